// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "../../src/libraries/Bn254.sol";
import {Point} from "../../src/types/Point.sol";
import {Vm} from "./Vm.sol";

/// @notice What every test contract builds on.
abstract contract Test {
    /// @dev forge looks for this name.
    bool public constant IS_TEST = true;

    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    error NotEqual(string what, uint256 actual, uint256 expected);
    error NotTrue(string what);

    function assertEq(uint256 actual, uint256 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(what, actual, expected);
    }

    function assertEq(address actual, address expected, string memory what) internal pure {
        assertEq(uint160(actual), uint160(expected), what);
    }

    function assertEq(bytes32 actual, bytes32 expected, string memory what) internal pure {
        assertEq(uint256(actual), uint256(expected), what);
    }

    function assertEq(Point memory actual, Point memory expected, string memory what) internal pure {
        assertEq(actual.x, expected.x, what);
        assertEq(actual.y, expected.y, what);
    }

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    function assertEq(bytes memory actual, bytes memory expected, string memory what) internal pure {
        assertEq(keccak256(actual), keccak256(expected), what);
    }

    /// @notice Folds a fuzzed number into a range, both ends included.
    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        if (value >= low && value <= high) return value;
        unchecked {
            // Wraps to 0 for the whole range, which the line above has answered.
            return low + value % (high - low + 1);
        }
    }

    /// @notice scalar * G: points whose discrete logarithms the tests know.
    function pointOf(uint256 scalar) internal view returns (Point memory) {
        return Bn254.mul(Point({x: 1, y: 2}), scalar);
    }
}
