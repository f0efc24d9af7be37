// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PaceState, Task} from "../types/Task.sol";

/// @title How fast training still moves, and what follows: the next learning rate, and whether the target is met
/// @notice Everything is computed from a settled round's proven integers: the Gram triangle and the accept bits.
/// Halve on plateau: v = |A|^2 / n^2, A the sum of the round's n accepted updates. If v is below the lowest so far,
/// it becomes the lowest; otherwise, and when nobody was accepted, the round is stale. After `patience` stale rounds
/// in a row the rate is halved (floor), and the count starts again. Fractions are compared by cross products.
library Pace {
    /// @dev Where every rate of 64 bits is 0.
    uint8 internal constant MAX_HALVINGS = 64;

    /// @notice |A|^2 and n of a round, from its Gram triangle over the filled slots, 8 bytes an integer.
    /// @dev The gate has checked the triangle's length, and that no empty slot is accepted. |A|^2 is a sum of at most 32^2 entries below 2^62 in magnitude: below 2^72. It is a square, and a proven
    /// Gram matrix makes it one; if it were not, below 0 counts as 0.
    function norm(bytes calldata gram, uint256 filled, uint256 acceptBits)
        internal
        pure
        returns (uint80 sum, uint8 count)
    {
        int256 total = 0;
        uint256 entry = 0;
        // Safe: see above for the sum; `entry` counts the triangle's entries.
        unchecked {
            for (uint256 i = 0; i < filled; ++i) {
                if ((acceptBits >> i) & 1 == 0) {
                    entry += filled - i;
                    continue;
                }
                ++count;
                total += _entry(gram, entry++);
                for (uint256 j = i + 1; j < filled; ++j) {
                    if ((acceptBits >> j) & 1 == 1) total += 2 * _entry(gram, entry);
                    ++entry;
                }
            }
        }
        // Safe: below 2^72 and not negative.
        // forge-lint: disable-next-line(unsafe-typecast)
        sum = total < 0 ? 0 : uint80(uint256(total));
    }

    /// @notice Whether a round's v is at or below a target that is not 0.
    function isMet(uint256 targetNorm, uint256 sum, uint256 count) internal pure returns (bool) {
        return targetNorm != 0 && count != 0 && sum <= targetNorm * count * count;
    }

    /// @notice The rule's memory after a settled round. `patience` is not 0.
    function next(PaceState memory pace, uint256 patience, uint80 sum, uint8 count)
        internal
        pure
        returns (PaceState memory)
    {
        if (count != 0 && _isBelow(sum, count, pace.bestNorm, pace.bestCount)) {
            (pace.bestNorm, pace.bestCount, pace.stale) = (sum, count, 0);
        } else if (++pace.stale >= patience) {
            pace.stale = 0;
            if (pace.halvings < MAX_HALVINGS) ++pace.halvings;
        }
        return pace;
    }

    /// @notice The current round's learning rate, in units of 2^-32.
    function learningRate(Task storage task) internal view returns (uint256) {
        return task.config.learningRate >> task.pace.halvings;
    }

    /// @dev Entry `index` of the triangle, which has it.
    function _entry(bytes calldata gram, uint256 index) private pure returns (int256 value) {
        // Safe: reads calldata only.
        assembly ("memory-safe") {
            value := sar(192, calldataload(add(gram.offset, shl(3, index))))
        }
    }

    function _isBelow(uint256 sum, uint256 count, uint256 bestNorm, uint256 bestCount)
        private
        pure
        returns (bool)
    {
        return bestCount == 0 || sum * bestCount * bestCount < bestNorm * count * count;
    }
}
