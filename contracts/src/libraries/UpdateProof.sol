// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {IUpdateArgument} from "../interfaces/IUpdateArgument.sol";
import {Point} from "../types/Point.sol";
import {VerifyingKey} from "../types/UpdateArgument.sol";

/// @title The bytes of an update argument
/// @notice Views of a proof's parts in calldata, nothing is copied; and all that is checked of them alone.
library UpdateProof {
    /// @notice Most columns of one proof.
    uint256 internal constant MAX_COLUMNS = 32;

    uint256 private constant POINT_BYTES = 64;
    uint256 private constant SCALAR_BYTES = 32;
    uint256 private constant GRAM_BYTES = 8;
    /// @dev Z, Q0, Q1, Q2.
    uint256 private constant QUOTIENTS_BYTES = 4 * POINT_BYTES;
    /// @dev W, W_w.
    uint256 private constant OPENINGS_BYTES = 2 * POINT_BYTES;

    /// @notice Reverts unless the numbers of columns, of Gram integers and of the proof's bytes belong together.
    /// @return committedDigits How many digit columns are committed: all but the lowest of each column.
    function requireShape(
        VerifyingKey calldata vk,
        uint256 columns,
        uint256 gramLengthBytes,
        uint256 proofLengthBytes
    ) internal pure returns (uint256 committedDigits) {
        if (columns == 0 || columns > MAX_COLUMNS) {
            revert IUpdateArgument.ColumnsOutOfRange(columns, MAX_COLUMNS);
        }
        uint256 gramBytes = GRAM_BYTES * columns * (columns + 1) / 2;
        if (gramLengthBytes != gramBytes) {
            revert IUpdateArgument.WrongLength("gram", gramLengthBytes, gramBytes);
        }
        // Checked arithmetic: the widths are the caller's.
        committedDigits = (vk.bits0 / 2 - 1) + (columns - 1) * (vk.bits / 2 - 1);
        uint256 proofBytes = POINT_BYTES * committedDigits + QUOTIENTS_BYTES + SCALAR_BYTES
            * evaluationCount(columns, committedDigits) + OPENINGS_BYTES;
        if (proofLengthBytes != proofBytes) {
            revert IUpdateArgument.WrongLength("proof", proofLengthBytes, proofBytes);
        }
    }

    /// @notice v of each column, each committed digit, S and z at zeta; z at omega * zeta.
    function evaluationCount(uint256 columns, uint256 committedDigits) internal pure returns (uint256) {
        return columns + committedDigits + 3;
    }

    /// @notice Commitments to digits 1.. of each column, row by row.
    function digits(bytes calldata proof, uint256 committedDigits) internal pure returns (Point[] calldata) {
        return _asPoints(proof[:POINT_BYTES * committedDigits]);
    }

    /// @notice Commitments to z and the three parts of the quotient.
    function quotients(bytes calldata proof, uint256 committedDigits)
        internal
        pure
        returns (Point[] calldata)
    {
        uint256 start = POINT_BYTES * committedDigits;
        return _asPoints(proof[start:start + QUOTIENTS_BYTES]);
    }

    /// @notice All values at zeta, and the one at omega * zeta.
    function evaluations(bytes calldata proof, uint256 committedDigits)
        internal
        pure
        returns (uint256[] calldata scalars)
    {
        bytes calldata data = evaluationsBytes(proof, committedDigits);
        // Safe: as many words as fit into bytes that are known to lie in calldata.
        assembly ("memory-safe") {
            scalars.offset := data.offset
            scalars.length := div(data.length, SCALAR_BYTES)
        }
    }

    /// @notice The evaluations as bytes.
    function evaluationsBytes(bytes calldata proof, uint256 committedDigits)
        internal
        pure
        returns (bytes calldata)
    {
        return proof[POINT_BYTES * committedDigits + QUOTIENTS_BYTES:proof.length - OPENINGS_BYTES];
    }

    /// @notice W and W_w.
    function openings(bytes calldata proof) internal pure returns (Point[] calldata) {
        return _asPoints(proof[proof.length - OPENINGS_BYTES:]);
    }

    /// @dev The bytes as points; there is a whole number of them.
    function _asPoints(bytes calldata data) private pure returns (Point[] calldata points) {
        // Safe: as many points as fit into bytes that are known to lie in calldata.
        assembly ("memory-safe") {
            points.offset := data.offset
            points.length := div(data.length, POINT_BYTES)
        }
    }

    /// @notice The points as bytes.
    function asBytes(Point[] calldata points) internal pure returns (bytes calldata data) {
        // Safe: the decoder has found all of the points in calldata.
        assembly ("memory-safe") {
            // Length and offset of one variable, which the tool takes for one value.
            // slither-disable-next-line write-after-write
            data.offset := points.offset
            data.length := mul(points.length, POINT_BYTES)
        }
    }

    /// @notice The key's words as bytes.
    function asBytes(VerifyingKey calldata vk) internal pure returns (bytes calldata data) {
        // Safe: the decoder has found all 13 words in calldata.
        assembly ("memory-safe") {
            // Length and offset of one variable, which the tool takes for one value.
            // slither-disable-next-line write-after-write
            data.offset := vk
            data.length := 0x1a0
        }
    }

    /// @notice Reverts unless every point of a proof of the right shape is valid and every scalar is below r.
    function requireParts(bytes calldata proof, uint256 committedDigits) internal pure {
        requirePoints("digits", digits(proof, committedDigits));
        requirePoints("quotients", quotients(proof, committedDigits));
        requireScalars(evaluations(proof, committedDigits));
        requirePoints("openings", openings(proof));
    }

    /// @notice Reverts with InvalidPoint unless all are finite, on the curve and canonically encoded.
    /// @dev The precompiles would find out as well, but for infinity; and they keep all gas that they are given.
    function requirePoints(bytes32 field, Point[] calldata points) internal pure {
        uint256 p = Bn254.BASE_FIELD;
        bool valid = true;
        // Safe: reads points that lie in calldata. The same as Bn254.isValid, which takes 34,000 gas more at
        // N = 32. (0, 0), which stands for infinity, is on no curve with y^2 = x^3 + 3.
        assembly ("memory-safe") {
            let end := add(points.offset, shl(6, points.length))
            for { let at := points.offset } lt(at, end) { at := add(at, 0x40) } {
                let x := calldataload(at)
                let y := calldataload(add(at, 0x20))
                let onCurve := eq(mulmod(y, y, p), addmod(mulmod(x, mulmod(x, x, p), p), 3, p))
                valid := and(valid, and(onCurve, and(lt(x, p), lt(y, p))))
            }
        }
        if (!valid) _revertInvalid(field, points);
    }

    function _revertInvalid(bytes32 field, Point[] calldata points) private pure {
        for (uint256 i = 0; i < points.length; ++i) {
            (uint256 x, uint256 y) = (points[i].x, points[i].y);
            if (!Bn254.isValid(x, y)) revert IUpdateArgument.InvalidPoint(field, i, x, y);
        }
    }

    /// @notice Reverts with ScalarOutOfField unless all are below r.
    function requireScalars(uint256[] calldata scalars) internal pure {
        for (uint256 i = 0; i < scalars.length; ++i) {
            uint256 value = scalars[i];
            if (value >= Bn254.SCALAR_FIELD) revert IUpdateArgument.ScalarOutOfField(i, value);
        }
    }
}
