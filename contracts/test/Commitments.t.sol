// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {Commitments} from "../src/libraries/Commitments.sol";
import {Point} from "../src/types/Point.sol";
import {Round} from "../src/types/Round.sol";
import {Task, TaskId} from "../src/types/Task.sol";
import {MarketFixture} from "./utils/MarketFixture.sol";

contract CommitmentsTest is MarketFixture {
    using Commitments for Task;

    Task private _task;

    function useOnce(Point calldata point) external {
        _task.useOnce(point);
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

    function testFuzz_pointsAreUsedOnce(uint128 scalar) public {
        vm.assume(scalar != 0);
        Point memory point = pointOf(scalar);
        this.useOnce(point);
        _alreadyUsed(point);
        // Its negation is known to whoever has seen it.
        _alreadyUsed(Point(point.x, Bn254.BASE_FIELD - point.y));
    }

    function test_refusesPointsOffTheCurve() public {
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidPoint.selector, 1, 3));
        this.useOnce(Point(1, 3));
    }

    function test_updatesAreBoundInOrder() public {
        address[] memory trainers = new address[](2);
        (trainers[0], trainers[1]) = (address(1), address(2));
        Point[] memory points = new Point[](2);
        (points[0], points[1]) = (pointOf(3), pointOf(4));
        bytes32 hash = Commitments.updatesHash(trainers, points);
        this.requireUpdates(hash, trainers, points);

        (points[0], points[1]) = (points[1], points[0]);
        _mismatch(hash, trainers, points);
        (trainers[0], trainers[1]) = (trainers[1], trainers[0]);
        _mismatch(hash, trainers, points);
        _mismatch(hash, new address[](0), new Point[](0));
    }

    function _alreadyUsed(Point memory point) private {
        vm.expectRevert(abi.encodeWithSelector(IMarket.PointAlreadyUsed.selector, point.x, point.y));
        this.useOnce(point);
    }

    function _mismatch(bytes32 hash, address[] memory trainers, Point[] memory points) private {
        bytes32 given = Commitments.updatesHash(trainers, points);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UpdatesMismatch.selector, hash, given));
        this.requireUpdates(hash, trainers, points);
    }
}
