// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Commitments} from "./Commitments.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {Point} from "../types/Point.sol";
import {Round} from "../types/Round.sol";
import {TaskId} from "../types/Task.sol";

/// @title The two logs of a round, encoded by hand
/// @dev What `emit` makes of the same values, without reading each array's entries one by one. Tests compare the two.
/// Arrays lie in calldata as they do in a log, but for entries with dirty upper bits: the callers have looked at each.
library Logs {
    /// @notice Emits IMarket.RoundCommitted.
    /// @dev `trainers` are clean, there are as many points, and each CID has at most 128 bytes.
    function roundCommitted(
        TaskId taskId,
        Round round,
        address[] calldata trainers,
        Point[] calldata points,
        bytes[] calldata cids,
        uint256 settleDeadline
    ) internal {
        bytes32 name = IMarket.RoundCommitted.selector;
        uint256 data;
        uint256 packed;
        uint256 at;
        // Safe: free memory only, which stays free. Lengths are those of arrays that the decoder found in calldata.
        assembly ("memory-safe") {
            data := mload(0x40)
            let count := trainers.length
            let trainersBytes := shl(5, count)
            mstore(data, 0x80)
            mstore(add(data, 0x20), add(0xa0, trainersBytes))
            mstore(add(data, 0x40), add(0xc0, mul(trainersBytes, 3)))
            mstore(add(data, 0x60), settleDeadline)
            at := add(data, 0x80)
            mstore(at, count)
            calldatacopy(add(at, 0x20), trainers.offset, trainersBytes)
            at := add(add(at, 0x20), trainersBytes)
            mstore(at, count)
            calldatacopy(add(at, 0x20), points.offset, shl(1, trainersBytes))
            packed := add(add(at, 0x20), shl(1, trainersBytes))
            at := add(packed, 0x20)
        }
        for (uint256 i = 0; i < cids.length; ++i) {
            bytes calldata cid = Commitments.entryOf(cids, i);
            // Safe: as above; the length fits a byte.
            assembly ("memory-safe") {
                mstore8(at, cid.length)
                calldatacopy(add(at, 1), cid.offset, cid.length)
                at := add(add(at, 1), cid.length)
            }
        }
        // Safe: as above; the word of zeros pads the last bytes.
        assembly ("memory-safe") {
            mstore(at, 0)
            mstore(packed, sub(sub(at, packed), 0x20))
            let dataBytes := and(add(sub(at, data), 0x1f), not(0x1f))
            log3(data, dataBytes, name, taskId, round)
        }
    }

    /// @notice Emits IMarket.RoundSettled.
    /// @dev `scores` are clean.
    function roundSettled(
        TaskId taskId,
        Round round,
        uint256 acceptBits,
        uint64[] calldata scores,
        uint256[] memory paidWei,
        Point memory model,
        uint256 norm,
        uint256 halvings
    ) internal {
        bytes32 name = IMarket.RoundSettled.selector;
        // Safe: free memory only, which stays free. Lengths are those of arrays that exist.
        assembly ("memory-safe") {
            let data := mload(0x40)
            let scoresBytes := shl(5, scores.length)
            let paidBytes := add(shl(5, mload(paidWei)), 0x20)
            mstore(data, acceptBits)
            mstore(add(data, 0x20), 0xe0)
            mstore(add(data, 0x40), add(0x100, scoresBytes))
            mcopy(add(data, 0x60), model, 0x40)
            mstore(add(data, 0xa0), norm)
            mstore(add(data, 0xc0), halvings)
            mstore(add(data, 0xe0), scores.length)
            calldatacopy(add(data, 0x100), scores.offset, scoresBytes)
            mcopy(add(add(data, 0x100), scoresBytes), paidWei, paidBytes)
            log3(data, add(add(0x100, scoresBytes), paidBytes), name, taskId, round)
        }
    }
}
