// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {Point} from "../types/Point.sol";
import {Round} from "../types/Round.sol";
import {Task, TaskId} from "../types/Task.sol";

/// @title Updates: what is signed, what is stored, what may not come twice
library Commitments {
    bytes32 internal constant UPDATE_TYPEHASH = keccak256(
        "UpdateCommitment(uint256 taskId,uint256 round,uint256 pointX,uint256 pointY,bytes32 cidDigest)"
    );

    /// @notice EIP-712 struct hash of one update.
    function structHash(TaskId taskId, Round round, Point calldata point, bytes32 cidDigest)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                UPDATE_TYPEHASH, TaskId.unwrap(taskId), Round.unwrap(round), point.x, point.y, cidDigest
            )
        );
    }

    /// @notice The one word that a round keeps of its updates.
    function updatesHash(address[] memory trainers, Point[] memory points) internal pure returns (bytes32) {
        return keccak256(abi.encode(trainers, points));
    }

    /// @notice Reverts with UpdatesMismatch unless these are the updates that a round committed to.
    function requireUpdates(bytes32 committed, address[] calldata trainers, Point[] calldata points)
        internal
        pure
    {
        bytes32 given = updatesHash(trainers, points);
        if (given != committed) revert IMarket.UpdatesMismatch(committed, given);
    }

    /// @notice Marks a valid point as used in a task; reverts if it was used before.
    /// @dev By its x alone, so that the negation of somebody's commitment counts as used, too.
    function useOnce(Task storage task, Point calldata point) internal {
        Bn254.requireValid(point);
        if (task.usedPoints[point.x]) revert IMarket.PointAlreadyUsed(point.x, point.y);
        task.usedPoints[point.x] = true;
    }
}
