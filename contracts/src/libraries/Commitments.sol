// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Bn254} from "./Bn254.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {Point} from "../types/Point.sol";
import {Round} from "../types/Round.sol";
import {TaskConfig, TaskId} from "../types/Task.sol";

/// @title Updates: what is signed, what is stored, what may not come twice
/// @notice No point may be used twice in a task, and nothing is stored to see to that:
/// - A point belongs to one round of a task of R rounds: the one that its x leaves modulo R. It is refused in every
///   other, so a commitment of an earlier round, anybody's, can never come back; nor can its negation, which has the
///   same x. An honest trainer draws one salt again until its point falls on its round: R tries on average, an
///   addition of points each. Salts that are uniform but for that hide as before: they have 2,048 bits at least,
///   and a point has 254.
/// - Within a round all x are compared with one another, and with the two public columns, which are nobody's work.
/// - A task has each round once, so that is all. And since no memory of other people's points decides, nobody can
///   use up, or front-run, what an honest trainer needs; it knows before it signs that its point will do.
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

    /// @notice The one word that a round keeps of its updates: keccak256 of all trainers' words, then all points'.
    /// @dev As many trainers as points, so that the boundary between them is in the length.
    function updatesHash(address[] calldata trainers, Point[] calldata points)
        internal
        pure
        returns (bytes32 hash)
    {
        uint256 count = trainers.length;
        if (points.length != count) revert IMarket.WrongLength("points", points.length, count);
        // Safe: copies 32 * count and 64 * count bytes of arrays whose bounds the decoder has checked to free memory,
        // which stays free. A trainer's word with dirty upper bits hashes to something else than a clean one.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, trainers.offset, shl(5, count))
            calldatacopy(add(buffer, shl(5, count)), points.offset, shl(6, count))
            hash := keccak256(buffer, mul(count, 0x60))
        }
    }

    /// @notice Reverts with UpdatesMismatch unless these are the updates that a round committed to.
    function requireUpdates(bytes32 committed, address[] calldata trainers, Point[] calldata points)
        internal
        pure
    {
        bytes32 given = updatesHash(trainers, points);
        if (given != committed) revert IMarket.UpdatesMismatch(committed, given);
    }

    /// @notice The one round that a point can be used in, of a task with `rounds` rounds.
    function roundOfPoint(uint256 pointX, uint256 rounds) internal pure returns (uint256) {
        return pointX % rounds;
    }

    /// @notice Reverts unless every point is valid, belongs to `round`, is nobody else's and no public column.
    function requireFresh(TaskConfig storage config, Round round, Point[] calldata points) internal view {
        (uint256 rounds, uint256 genesisX, uint256 emptySlotX) =
            (config.rounds, config.genesis.x, config.emptySlot.x);
        for (uint256 i = 0; i < points.length; ++i) {
            Point calldata point = points[i];
            uint256 x = point.x;
            Bn254.requireValid(point);
            uint256 belongsTo = roundOfPoint(x, rounds);
            if (belongsTo != Round.unwrap(round)) revert IMarket.PointOfAnotherRound(x, round, belongsTo);
            bool used = x == genesisX || x == emptySlotX;
            for (uint256 j = 0; j < i; ++j) {
                if (points[j].x == x) used = true;
            }
            if (used) revert IMarket.PointAlreadyUsed(x, point.y);
        }
    }

    /// @notice Reverts with DuplicateTrainer if an address occurs twice.
    function requireDistinct(address[] calldata trainers) internal pure {
        for (uint256 i = 1; i < trainers.length; ++i) {
            address trainer = trainers[i];
            for (uint256 j = 0; j < i; ++j) {
                if (trainers[j] == trainer) revert IMarket.DuplicateTrainer(trainer);
            }
        }
    }

    /// @notice Reverts with InvalidSignature unless the trainer signed the digest.
    /// @dev Its key is tried first: that spares those who have no code the look for it. Nobody has a key to a
    /// contract's address; an account that delegates to code (EIP-7702) may sign either way.
    function requireSigned(address trainer, bytes32 digest, bytes calldata signature) internal view {
        (address signer, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (fault == ECDSA.RecoverError.NoError && signer == trainer) return;
        if (!SignatureChecker.isValidERC1271SignatureNowCalldata(trainer, digest, signature)) {
            revert IMarket.InvalidSignature(trainer);
        }
    }
}
