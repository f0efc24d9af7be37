// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Bn254} from "./Bn254.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {Point} from "../types/Point.sol";
import {Round} from "../types/Round.sol";
import {TaskTerms} from "./TaskTerms.sol";
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

    /// @notice The one word that a round keeps of its updates: keccak256 of all trainers' words, their number, and
    /// all points' words.
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
            let trainersBytes := shl(5, count)
            calldatacopy(buffer, trainers.offset, trainersBytes)
            mstore(add(buffer, trainersBytes), count)
            calldatacopy(add(add(buffer, trainersBytes), 0x20), points.offset, shl(6, count))
            hash := keccak256(buffer, add(mul(count, 0x60), 0x20))
        }
    }

    /// @notice What `RoundCommitted` has for CIDs: one after another, each after one byte with its length.
    /// @dev Reverts with InvalidCid unless each has 1..128 bytes.
    function packed(bytes[] calldata cids) internal pure returns (bytes memory all) {
        all = new bytes(cids.length * (1 + TaskTerms.MAX_CID_BYTES));
        uint256 end;
        // Safe: each entry takes at most what was allocated for it; then the length is cut to what was written.
        assembly ("memory-safe") {
            end := add(all, 0x20)
        }
        for (uint256 i = 0; i < cids.length; ++i) {
            bytes calldata cid = cids[i];
            TaskTerms.requireCid(cid);
            assembly ("memory-safe") {
                mstore8(end, cid.length)
                calldatacopy(add(end, 1), cid.offset, cid.length)
                end := add(add(end, 1), cid.length)
            }
        }
        assembly ("memory-safe") {
            mstore(all, sub(sub(end, all), 0x20))
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
        uint256 repeated = _repeated(_offset(points), 0x40, points.length);
        for (uint256 i = 0; i < points.length; ++i) {
            Point calldata point = points[i];
            uint256 x = point.x;
            Bn254.requireValid(point);
            uint256 belongsTo = roundOfPoint(x, rounds);
            if (belongsTo != Round.unwrap(round)) revert IMarket.PointOfAnotherRound(x, round, belongsTo);
            if (x == genesisX || x == emptySlotX || i == repeated) revert IMarket.PointAlreadyUsed(x, point.y);
        }
    }

    /// @notice Reverts with DuplicateTrainer if an address occurs twice.
    /// @dev Words are compared: whoever reads an address with dirty upper bits from calldata reverts.
    function requireDistinct(address[] calldata trainers) internal pure {
        uint256 at;
        // Safe: reads an offset.
        assembly ("memory-safe") {
            at := trainers.offset
        }
        uint256 repeated = _repeated(at, 0x20, trainers.length);
        if (repeated != trainers.length) revert IMarket.DuplicateTrainer(trainers[repeated]);
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

    function _offset(Point[] calldata points) private pure returns (uint256 at) {
        // Safe: reads an offset.
        assembly ("memory-safe") {
            at := points.offset
        }
    }

    /// @dev Index of the first word that an earlier one equals, or `count`; word i is at `at + i * stride`.
    function _repeated(uint256 at, uint256 stride, uint256 count) private pure returns (uint256 repeated) {
        // Safe: reads calldata only. All pairs, since the slots' order is the aggregator's to choose; 496 at most.
        assembly ("memory-safe") {
            repeated := count
            let end := add(at, mul(stride, count))
            for { let i := add(at, stride) } lt(i, end) { i := add(i, stride) } {
                let word := calldataload(i)
                let same := 0
                for { let j := at } lt(j, i) { j := add(j, stride) } { same := or(same, eq(calldataload(j), word)) }
                if same {
                    repeated := div(sub(i, at), stride)
                    break
                }
            }
        }
    }
}
