// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {Point} from "../types/Point.sol";

/// @title How the commitment to the model follows the accepted updates
library ModelCommitment {
    /// @notice K = lcm(1..slots), so that K / n is whole for every number n of accepted updates.
    /// @dev lcm(1..32) = 144403552893600 fits 48 bits.
    function scale(uint256 slots) internal pure returns (uint48) {
        uint256 lcm = 1;
        for (uint256 i = 2; i <= slots; ++i) {
            lcm = lcm / _gcd(lcm, i) * i;
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint48(lcm);
    }

    /// @notice M + (K / n) * (sum of the n accepted points); M itself if nobody was accepted.
    function move(Point memory model, Point[] calldata points, uint256 acceptBits, uint256 modelScale)
        internal
        view
        returns (Point memory)
    {
        (Point memory sum, uint256 accepted) = Bn254.sum(points, acceptBits);
        if (accepted == 0) return model;
        return Bn254.add(model, Bn254.mul(sum, modelScale / accepted));
    }

    function _gcd(uint256 a, uint256 b) private pure returns (uint256) {
        while (b != 0) (a, b) = (b, a % b);
        return a;
    }
}
