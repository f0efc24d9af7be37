// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {Commitments} from "../src/libraries/Commitments.sol";
import {Point} from "../src/types/Point.sol";
import {Round} from "../src/types/Round.sol";
import {TaskConfig, TaskId} from "../src/types/Task.sol";
import {MarketFixture} from "./utils/MarketFixture.sol";

contract CommitmentsTest is MarketFixture {
    TaskConfig private _config;

    function requireFresh(uint32 round, address[] calldata trainers, Point[] calldata points) external view {
        uint256 halves = this.publicHalves(_config);
        Commitments.requireFresh(_config.rounds, halves, Round.wrap(round), trainers, points, 0);
    }

    function publicHalves(TaskConfig calldata config) external pure returns (uint256) {
        return Commitments.publicHalvesOf(config);
    }

    /// @dev As many trainers as points, all different.
    function _fresh(uint32 round, Point[] memory points) private view {
        this.requireFresh(round, _trainers(points.length), points);
    }

    function _trainers(uint256 count) private pure returns (address[] memory trainers) {
        trainers = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            trainers[i] = address(uint160(1000 + i));
        }
    }

    function hashOf(address[] calldata trainers, Point[] calldata points) external pure returns (bytes32) {
        return Commitments.updatesHash(trainers, points);
    }

    function requireUpdates(bytes32 hash, address[] calldata trainers, Point[] calldata points)
        external
        pure
    {
        Commitments.requireUpdates(hash, trainers, points);
    }

    /// @dev Against the EIP-712 text, not against the library's constants.
    function testFuzz_digestIsEip712(uint256 taskId, uint32 round, Point calldata point, bytes32 cidDigest)
        public
        view
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("Meritproof"),
                keccak256("1"),
                block.chainid,
                address(market)
            )
        );
        bytes32 typeHash = keccak256(
            "UpdateCommitment(uint256 taskId,uint256 round,uint256 pointX,uint256 pointY,bytes32 cidDigest)"
        );
        bytes32 message = keccak256(abi.encode(typeHash, taskId, uint256(round), point.x, point.y, cidDigest));
        assertEq(
            market.updateDigest(TaskId.wrap(taskId), Round.wrap(round), point, cidDigest),
            keccak256(abi.encodePacked(hex"1901", domain, message)),
            "digest"
        );
    }

    function test_digestFollowsTheChain() public {
        bytes32 before = market.updateDigest(TaskId.wrap(1), Round.wrap(0), Point(1, 2), 0);
        vm.chainId(5);
        assertTrue(
            before != market.updateDigest(TaskId.wrap(1), Round.wrap(0), Point(1, 2), 0), "same on a fork"
        );
    }

    /// @dev In every round but its own, whatever its sign.
    function testFuzz_aPointFitsOneRound(uint128 scalar, uint16 rounds) public {
        vm.assume(scalar != 0 && rounds != 0);
        _config.rounds = rounds;
        Point[] memory points = new Point[](1);
        points[0] = pointOf(scalar);
        uint256 own = points[0].x % rounds;
        _fresh(uint32(own), points);
        if (rounds == 1) return;
        uint32 other = uint32((own + 1 + uint256(scalar) % (rounds - 1)) % rounds);
        for (uint256 sign = 0; sign < 2; ++sign) {
            vm.expectRevert(
                abi.encodeWithSelector(IMarket.PointOfAnotherRound.selector, points[0].x, other, own)
            );
            _fresh(other, points);
            points[0].y = Bn254.BASE_FIELD - points[0].y;
        }
    }

    function testFuzz_pointsAreUsedOnceInARound(uint256 count, uint256 first, uint256 second) public {
        _config.rounds = 1;
        count = bound(count, 2, 32);
        Point[] memory points = new Point[](count);
        for (uint256 i = 0; i < count; ++i) {
            points[i] = pointOf(100 + i);
        }
        _fresh(0, points);
        first = bound(first, 0, count - 1);
        second = bound(second, 0, count - 1);
        if (first == second) return;
        // Its negation is known to whoever has seen it.
        points[second] = Point(points[first].x, Bn254.BASE_FIELD - points[first].y);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMarket.PointAlreadyUsed.selector, points[first].x, points[first > second ? first : second].y
            )
        );
        _fresh(0, points);
    }

    function test_publicColumnsAreUsed() public {
        _config.rounds = 1;
        _config.genesis = pointOf(5);
        _config.emptyColumn = pointOf(6);
        Point[] memory points = new Point[](2);
        points[0] = pointOf(7);
        for (uint256 scalar = 5; scalar < 7; ++scalar) {
            points[1] = pointOf(scalar);
            vm.expectRevert(
                abi.encodeWithSelector(IMarket.PointAlreadyUsed.selector, points[1].x, points[1].y)
            );
            _fresh(0, points);
        }
    }

    function test_refusesPointsOffTheCurve() public {
        _config.rounds = 1;
        Point[] memory points = new Point[](1);
        points[0] = Point(1, 3);
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidPoint.selector, 1, 3));
        _fresh(0, points);
    }

    function testFuzz_trainersComeOnce(uint256 count, uint256 first, uint256 second) public {
        _config.rounds = 1;
        count = bound(count, 2, 32);
        Point[] memory points = new Point[](count);
        for (uint256 i = 0; i < count; ++i) {
            points[i] = pointOf(100 + i);
        }
        address[] memory trainers = _trainers(count);
        first = bound(first, 0, count - 1);
        second = bound(second, 0, count - 1);
        if (first == second) return;
        trainers[second] = trainers[first];
        vm.expectRevert(abi.encodeWithSelector(IMarket.DuplicateTrainer.selector, trainers[first]));
        this.requireFresh(0, trainers, points);
    }

    /// @dev All share a low byte, which is what marks a suspect.
    function test_lookalikesAreNotTaken() public {
        _config.rounds = 1;
        uint256 count = 4;
        Point[] memory points = new Point[](count);
        address[] memory trainers = new address[](count);
        uint256 scalar = 100;
        for (uint256 i = 0; i < count; ++i) {
            while (pointOf(scalar).x & 0xff != 7) ++scalar;
            points[i] = pointOf(scalar++);
            trainers[i] = address(uint160(((i + 1) << 8) | 9));
        }
        this.requireFresh(0, trainers, points);
        trainers[3] = trainers[1];
        vm.expectRevert(abi.encodeWithSelector(IMarket.DuplicateTrainer.selector, trainers[1]));
        this.requireFresh(0, trainers, points);
        (trainers[3], points[3]) = (address(1), points[0]);
        vm.expectRevert(abi.encodeWithSelector(IMarket.PointAlreadyUsed.selector, points[0].x, points[0].y));
        this.requireFresh(0, trainers, points);
    }

    function test_updatesNeedAPointEach() public {
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongLength.selector, bytes32("points"), 3, 2));
        this.hashOf(new address[](2), new Point[](3));
    }

    function test_updatesAreBoundInOrder() public {
        address[] memory trainers = new address[](2);
        (trainers[0], trainers[1]) = (address(1), address(2));
        Point[] memory points = new Point[](2);
        (points[0], points[1]) = (pointOf(3), pointOf(4));
        bytes32 hash = updatesHash(trainers, points);
        this.requireUpdates(hash, trainers, points);

        (points[0], points[1]) = (points[1], points[0]);
        _mismatch(hash, trainers, points);
        (trainers[0], trainers[1]) = (trainers[1], trainers[0]);
        _mismatch(hash, trainers, points);
        _mismatch(hash, new address[](0), new Point[](0));
    }

    function _mismatch(bytes32 hash, address[] memory trainers, Point[] memory points) private {
        bytes32 given = updatesHash(trainers, points);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UpdatesMismatch.selector, hash, given));
        this.requireUpdates(hash, trainers, points);
    }
}
