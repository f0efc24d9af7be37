// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../interfaces/IMarket.sol";
import {Point} from "../types/Point.sol";

/// @title BN254's G1, as far as the precompiles go
/// @dev The cofactor is 1: on the curve is in the group.
library Bn254 {
    /// @notice The base field, of coordinates.
    uint256 internal constant BASE_FIELD =
        21888242871839275222246405745257275088696311157297823662689037894645226208583;
    /// @notice The scalar field, of a proof's instances.
    uint256 internal constant SCALAR_FIELD =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;

    uint256 private constant ADD = 0x06;
    uint256 private constant MUL = 0x07;

    /// @notice Whether a point is finite, on the curve and canonically encoded.
    function isValid(uint256 x, uint256 y) internal pure returns (bool) {
        if (x >= BASE_FIELD || y >= BASE_FIELD) return false;
        uint256 x3 = mulmod(x, mulmod(x, x, BASE_FIELD), BASE_FIELD);
        // (0, 0), which stands for infinity, does not satisfy this.
        return mulmod(y, y, BASE_FIELD) == addmod(x3, 3, BASE_FIELD);
    }

    /// @notice Reverts with InvalidPoint unless the point is finite, on the curve and canonically encoded.
    function requireValid(Point calldata point) internal pure {
        if (!isValid(point.x, point.y)) revert IMarket.InvalidPoint(point.x, point.y);
    }

    /// @notice a + b.
    function add(Point memory a, Point memory b) internal view returns (Point memory total) {
        uint256[4] memory input = [a.x, a.y, b.x, b.y];
        bool ok;
        // Safe: reads the 4 words of `input`, writes the 2 words of `total`, both allocated above.
        assembly ("memory-safe") {
            ok := staticcall(gas(), ADD, input, 0x80, total, 0x40)
        }
        if (!ok) revert IMarket.PrecompileFailed(ADD);
    }

    /// @notice The sum of those points whose bit is set, and how many they are; infinity if none is.
    function sum(Point[] calldata points, uint256 bits)
        internal
        view
        returns (Point memory total, uint256 count)
    {
        bool ok = true;
        // Safe: reads calldata, and uses 4 words of free memory, which stays free: the running sum, which begins at
        // infinity, and the next point.
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, 0)
            mstore(add(input, 0x20), 0)
            let length := points.length
            for { let i := 0 } lt(i, length) { i := add(i, 1) } {
                if and(shr(i, bits), 1) {
                    calldatacopy(add(input, 0x40), add(points.offset, shl(6, i)), 0x40)
                    ok := staticcall(gas(), ADD, input, 0x80, input, 0x40)
                    if iszero(ok) { break }
                    count := add(count, 1)
                }
            }
            mcopy(total, input, 0x40)
        }
        if (!ok) revert IMarket.PrecompileFailed(ADD);
    }

    /// @notice scalar * a.
    function mul(Point memory a, uint256 scalar) internal view returns (Point memory product) {
        uint256[3] memory input = [a.x, a.y, scalar];
        bool ok;
        // Safe: reads the 3 words of `input`, writes the 2 words of `product`, both allocated above.
        assembly ("memory-safe") {
            ok := staticcall(gas(), MUL, input, 0x60, product, 0x40)
        }
        if (!ok) revert IMarket.PrecompileFailed(MUL);
    }
}
