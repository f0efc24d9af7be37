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
/// - Within a round all x are compared with one another, and with the two public columns (by half an x), which are
///   nobody's work.
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
        returns (bytes32 hash)
    {
        bytes32 typeHash = UPDATE_TYPEHASH;
        // Safe: abi.encode of the six words, in free memory, which stays free.
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            mstore(add(words, 0x20), taskId)
            mstore(add(words, 0x40), round)
            calldatacopy(add(words, 0x60), point, 0x40)
            mstore(add(words, 0xa0), cidDigest)
            hash := keccak256(words, 0xc0)
        }
    }

    /// @notice keccak256 of bytes in calldata.
    function digestOf(bytes calldata data) internal pure returns (bytes32 digest) {
        // Safe: copies to free memory, which stays free.
        assembly ("memory-safe") {
            let copy := mload(0x40)
            calldatacopy(copy, data.offset, data.length)
            digest := keccak256(copy, data.length)
        }
    }

    /// @notice Entry i < list.length, without the check that it lies inside calldata: what does not, is zeros.
    /// @dev A length can be anything: the caller bounds it before it copies.
    function entryOf(bytes[] calldata list, uint256 i) internal pure returns (bytes calldata entry) {
        // Safe: reads calldata only.
        assembly ("memory-safe") {
            let at := add(list.offset, calldataload(add(list.offset, shl(5, i))))
            // Length and offset of one variable, which the tool takes for one value.
            // slither-disable-next-line write-after-write
            entry.length := calldataload(at)
            entry.offset := add(at, 0x20)
        }
    }

    /// @notice Entry i < list.length.
    function entryOf(Point[] calldata list, uint256 i) internal pure returns (Point calldata point) {
        // Safe: the decoder has found the whole list inside calldata.
        assembly ("memory-safe") {
            point := add(list.offset, shl(6, i))
        }
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

    /// @notice What a task keeps of its two public columns to know them again.
    /// @dev Half an x is enough: an honest point meets it once in 2^127, and its trainer would draw again.
    function publicHalvesOf(TaskConfig calldata config) internal pure returns (uint256) {
        return (config.genesis.x << 128) | (config.emptyColumn.x & type(uint128).max);
    }

    /// @notice Reverts unless every point from entry `first` on is valid, belongs to `round` and is no public column, and
    /// no point and no trainer comes twice. As many trainers as points.
    function requireFresh(
        uint256 rounds,
        uint256 publicHalves,
        Round round,
        address[] calldata trainers,
        Point[] calldata points,
        uint256 first
    ) internal pure {
        _requireDistinct(trainers, points);
        for (uint256 i = first; i < points.length; ++i) {
            Point calldata point = entryOf(points, i);
            (uint256 x, uint256 y) = (point.x, point.y);
            if (!Bn254.isValid(x, y)) revert IMarket.InvalidPoint(x, y);
            uint256 belongsTo = roundOfPoint(x, rounds);
            if (belongsTo != Round.unwrap(round)) revert IMarket.PointOfAnotherRound(x, round, belongsTo);
            if (_isPublic(x, publicHalves)) revert IMarket.PointAlreadyUsed(x, y);
        }
    }

    /// @notice Reverts with InvalidSignature unless entry i of `signatures` is the trainer's over the digest.
    /// @dev Its key is tried first: that spares those who have no code the look for it. Nobody has a key to a
    /// contract's address; an account that delegates to code (EIP-7702) may sign either way.
    function requireSigned(address trainer, bytes32 digest, bytes[] calldata signatures, uint256 i)
        internal
        view
    {
        // The third value only explains the fault.
        // slither-disable-next-line unused-return
        (address signer, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(digest, entryOf(signatures, i));
        if (fault == ECDSA.RecoverError.NoError && signer == trainer) return;
        if (!SignatureChecker.isValidERC1271SignatureNowCalldata(trainer, digest, signatures[i])) {
            revert IMarket.InvalidSignature(trainer);
        }
    }

    function _isPublic(uint256 x, uint256 publicHalves) private pure returns (bool) {
        uint256 half = x & type(uint128).max;
        return half == publicHalves >> 128 || half == publicHalves & type(uint128).max;
    }

    /// @dev As many trainers as points.
    function _requireDistinct(address[] calldata trainers, Point[] calldata points) private pure {
        uint256 trainersAt;
        uint256 pointsAt;
        // Safe: reads nothing.
        assembly ("memory-safe") {
            trainersAt := trainers.offset
            pointsAt := points.offset
        }
        uint256 count = points.length;
        uint256 repeated = _firstRepeated(trainersAt, 0x20, count);
        if (repeated != count) revert IMarket.DuplicateTrainer(trainers[repeated]);
        repeated = _firstRepeated(pointsAt, 0x40, count);
        if (repeated != count) revert IMarket.PointAlreadyUsed(points[repeated].x, points[repeated].y);
    }

    /// @dev The first index at which a word of calldata equals an earlier one, of `count` that begin `stride` bytes
    /// apart at `first`; `count` if there is none. Words are compared as they are: reading a trainer with dirty upper
    /// bits as an address reverts.
    function _firstRepeated(uint256 first, uint256 stride, uint256 count)
        private
        pure
        returns (uint256 index)
    {
        // Safe: reads calldata only. Whoever shares the low byte of an earlier one is compared with all of them: in any
        // order of the slots, which is the aggregator's to choose, that is seldom.
        assembly ("memory-safe") {
            let at := first
            let end := add(first, mul(count, stride))
            let seen := 0
            for {} lt(at, end) { at := add(at, stride) } {
                let word := calldataload(at)
                // The number of bits comes first, as meant: bit `low byte` of a word.
                // slither-disable-next-line incorrect-shift
                let bit := shl(and(word, 0xff), 1)
                if and(seen, bit) {
                    let same := 0
                    for { let other := first } lt(other, at) { other := add(other, stride) } {
                        same := or(same, eq(calldataload(other), word))
                    }
                    if same { break }
                }
                seen := or(seen, bit)
            }
            index := div(sub(at, first), stride)
        }
    }
}
