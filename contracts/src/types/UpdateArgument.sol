// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Point} from "./Point.sol";

/// @notice What an update argument is checked with. A task pins keccak256 of its 13 words.
/// @param n Rows of a column, a power of two.
/// @param omega The root of unity of order n whose powers are the rows' points (a power of 7, as halo2 has it).
/// @param nInverse 1/n modulo r.
/// @param dim Rows that count for the Gram matrix: the first ones.
/// @param bits Width of an entry; bits / 2 base-4 digits.
/// @param bits0 Width of an entry of column 0.
/// @param srsDigest SHA-256 of the structured reference string's file.
/// @param selector Commitment to the column of `dim` ones and zeros.
/// @param tauG2 [tau]_2 as the pairing precompile takes it: x imaginary, x real, y imaginary, y real.
struct VerifyingKey {
    uint256 n;
    uint256 omega;
    uint256 nInverse;
    uint256 dim;
    uint256 bits;
    uint256 bits0;
    bytes32 srsDigest;
    Point selector;
    uint256[4] tauG2;
}

/// @notice What the transcript draws, in this order; each is below r.
/// @param alpha, beta Combine the columns, and with them all entries of the Gram matrix.
/// @param eta Combines the constraints.
/// @param zeta Where the polynomials are opened.
/// @param nu Combines the openings at zeta.
/// @param u Combines the openings at zeta and at omega * zeta.
struct Challenges {
    uint256 alpha;
    uint256 beta;
    uint256 eta;
    uint256 zeta;
    uint256 nu;
    uint256 u;
}
