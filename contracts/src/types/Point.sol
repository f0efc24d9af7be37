// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice An affine point of BN254's G1. Infinity is (0, 0), as the precompiles have it.
struct Point {
    uint256 x;
    uint256 y;
}
