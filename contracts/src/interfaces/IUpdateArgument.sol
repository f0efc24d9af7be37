// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Point} from "../types/Point.sol";
import {VerifyingKey} from "../types/UpdateArgument.sol";

/// @notice Verifier of the update argument: committed columns are in range and have a given Gram matrix.
interface IUpdateArgument {
    /// @notice Thrown for no columns, or more than a proof can be about.
    error ColumnsOutOfRange(uint256 count, uint256 maximum);
    /// @notice Thrown when a field has another length than the key and the number of columns ask for.
    error WrongLength(bytes32 field, uint256 lengthBytes, uint256 requiredBytes);
    /// @notice Thrown when a Gram integer's magnitude is 2^62 or more; `index` counts along the triangle.
    error GramOutOfRange(uint256 index, int64 value);
    /// @notice Thrown when a point is infinity, off the curve, or not reduced. Fields are `points` (the commitments),
    /// `digits`, `quotients` (Z, Q0, Q1, Q2) and `openings` (W, W_w).
    error InvalidPoint(bytes32 field, uint256 index, uint256 x, uint256 y);
    /// @notice Thrown when an evaluation is not below r.
    error ScalarOutOfField(uint256 index, uint256 value);
    /// @notice Thrown when zeta falls on a row, which no prover can bring about and an honest one never meets.
    error ZetaInDomain(uint256 zeta);
    /// @notice Thrown when a precompile does not answer: the key holds no point, or gas ran out.
    error PrecompileFailed(uint256 precompile);
    /// @notice Thrown when everything is well-formed and the proof does not hold.
    error ProofRejected();

    /// @notice Reverts unless the proof shows that each point commits to a column of n rows, all of them in
    /// [-2^(bits-1), 2^(bits-1)) (bits0 for column 0), and that G[i][j] is the sum over the first dim rows of the
    /// product of columns i and j.
    /// @dev Nothing that it says is worth more than the key: the caller compares the digest with the one it trusts.
    /// @param vk The verifying key.
    /// @param context A word that the proof is bound to: keccak256(abi.encode(chainId, contract, taskId, round)).
    /// @param points Commitments, 1..32 of them.
    /// @param gram Upper triangle of the Gram matrix row by row, each an int64 of 8 bytes, big-endian.
    /// @param proof D (bits / 2 - 1 points a column), Z, Q0, Q1, Q2, evaluations, W, W_w.
    /// @return vkDigest keccak256 of the key's 13 words.
    function verify(
        VerifyingKey calldata vk,
        bytes32 context,
        Point[] calldata points,
        bytes calldata gram,
        bytes calldata proof
    ) external view returns (bytes32 vkDigest);
}
