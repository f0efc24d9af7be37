// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {Point} from "../types/Point.sol";

/// @title How the commitment to the model follows the accepted updates
library ModelCommitment {
    /// @dev lcm(1..n) for n = 0..32, six bytes each: looked up, since a settlement would pay for it otherwise.
    bytes private constant SCALES = hex"000000000001000000000001000000000002000000000006"
        hex"00000000000c00000000003c00000000003c0000000001a4"
        hex"0000000003480000000009d80000000009d8000000006c48000000006c48000000057fa8000000057fa8000000057fa8"
        hex"0000000aff50000000baf450000000baf45000000de021f000000de021f000000de021f000000de021f000013f230c90"
        hex"00013f230c9000063baf3ed000063baf3ed00012b30dbc700012b30dbc70021e488e58b0021e488e58b041aac93cbd50"
        hex"835592797aa0";

    /// @notice K = lcm(1..slots), so that K / n is whole for every number n of accepted updates. For slots <= 32.
    function scale(uint256 slots) internal pure returns (uint256 lcm) {
        bytes memory scales = SCALES;
        // Safe: reads a word that ends inside the table, or inside its length before it.
        assembly ("memory-safe") {
            lcm := and(mload(add(add(scales, 0x06), mul(slots, 6))), 0xffffffffffff)
        }
    }

    /// @notice M + (K / n) * (sum of the n accepted points); M itself if nobody was accepted.
    function move(Point memory model, Point memory sum, uint256 accepted, uint256 modelScale)
        internal
        view
        returns (Point memory)
    {
        if (accepted == 0) return model;
        // Exact: K is a multiple of every number of accepted updates.
        // slither-disable-next-line divide-before-multiply
        return Bn254.add(model, Bn254.mul(sum, modelScale / accepted));
    }
}
