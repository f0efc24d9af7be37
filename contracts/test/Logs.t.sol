// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Logs} from "../src/libraries/Logs.sol";
import {Point} from "../src/types/Point.sol";
import {Round} from "../src/types/Round.sol";
import {TaskId} from "../src/types/Task.sol";
import {Test} from "./utils/Test.sol";

/// @notice The logs that are encoded by hand are those that the compiler makes.
contract LogsTest is Test {
    function roundCommitted(
        TaskId taskId,
        Round round,
        address[] calldata trainers,
        Point[] calldata points,
        bytes[] calldata cids,
        uint256 deadline
    ) external {
        Logs.roundCommitted(taskId, round, trainers, points, cids, deadline);
    }

    function roundSettled(
        TaskId taskId,
        Round round,
        uint256 acceptBits,
        uint64[] calldata scores,
        uint256[] calldata paidWei,
        Point calldata model,
        uint256 norm,
        uint256 halvings
    ) external {
        Logs.roundSettled(taskId, round, acceptBits, scores, paidWei, model, norm, halvings);
    }

    function testFuzz_roundCommitted(
        TaskId taskId,
        Round round,
        address[] memory trainers,
        uint256 seed,
        uint256 deadline
    ) public {
        uint256 count = trainers.length;
        Point[] memory points = new Point[](count);
        bytes[] memory cids = new bytes[](count);
        bytes memory packed;
        for (uint256 i = 0; i < count; ++i) {
            bytes32 drawn = keccak256(abi.encode(seed, i));
            points[i] = Point(uint256(drawn), uint256(keccak256(abi.encode(drawn))));
            cids[i] = _drawnCid(drawn);
            packed = abi.encodePacked(packed, uint8(cids[i].length), cids[i]);
        }
        vm.expectEmit(address(this));
        emit IMarket.RoundCommitted(taskId, round, trainers, points, packed, deadline);
        this.roundCommitted(taskId, round, trainers, points, cids, deadline);
    }

    function testFuzz_roundSettled(
        TaskId taskId,
        Round round,
        uint64[] memory scores,
        uint256[] memory paidWei,
        Point memory model,
        uint256[3] memory numbers
    ) public {
        vm.expectEmit(address(this));
        emit IMarket.RoundSettled(taskId, round, numbers[0], scores, paidWei, model, numbers[1], numbers[2]);
        this.roundSettled(taskId, round, numbers[0], scores, paidWei, model, numbers[1], numbers[2]);
    }

    /// @dev 1 to 128 bytes.
    function _drawnCid(bytes32 drawn) private pure returns (bytes memory cid) {
        cid = new bytes(1 + uint256(drawn) % 128);
        for (uint256 i = 0; i < cid.length; ++i) {
            cid[i] = drawn[i % 32];
        }
    }
}
