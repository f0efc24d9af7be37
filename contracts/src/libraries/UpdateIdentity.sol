// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {IUpdateArgument} from "../interfaces/IUpdateArgument.sol";
import {Challenges, VerifyingKey} from "../types/UpdateArgument.sol";

/// @title The identity that holds on every row
/// @notice F = z(omega X) - z - a b S + t / n + sum over all digits d of eta^(1+index) d (d-1) (d-2) (d-3), with
/// a = sum alpha^i v_i, b = sum beta^i v_i, t = sum alpha^i beta^j G[i][j], vanishes on all n rows; so X^n - 1
/// divides it. Field arithmetic on what the prover says the polynomials are at zeta.
library UpdateIdentity {
    uint256 private constant R = Bn254.SCALAR_FIELD;
    uint256 private constant MODEXP = 0x05;
    /// @dev 2^62 - 1: the greatest magnitude of a Gram integer.
    uint256 private constant GRAM_MAXIMUM = 0x3fffffffffffffff;

    /// @notice F(zeta) / (zeta^n - 1), and zeta^n.
    /// @param columns Number of columns, 1..32.
    /// @param gram N (N + 1) / 2 integers of 8 bytes.
    /// @param evaluations Scalars below r: v of each column, digits, S, z, and z at omega * zeta; of the right number.
    function quotient(
        VerifyingKey calldata vk,
        uint256 columns,
        bytes calldata gram,
        uint256[] calldata evaluations,
        Challenges memory drawn
    ) internal view returns (uint256 value, uint256 zetaToN) {
        value = mulmod(combinedGram(gram, columns, drawn.alpha, drawn.beta), vk.nInverse, R);
        uint256 last = evaluations.length - 1;
        value = addmod(value, evaluations[last], R);
        value = addmod(value, R - evaluations[last - 1], R);
        uint256[] calldata v = evaluations[:columns];
        uint256 product = mulmod(horner(v, drawn.alpha), horner(v, drawn.beta), R);
        value = addmod(value, R - mulmod(product, evaluations[last - 2], R), R);
        value = addmod(value, _rangeTerms(vk, columns, evaluations, drawn.eta), R);

        zetaToN = drawn.zeta;
        for (uint256 m = vk.n; m > 1; m >>= 1) {
            zetaToN = mulmod(zetaToN, zetaToN, R);
        }
        if (zetaToN == 1) revert IUpdateArgument.ZetaInDomain(drawn.zeta);
        value = mulmod(value, _inverse(addmod(zetaToN, R - 1, R)), R);
    }

    /// @notice sum x^i values[i].
    function horner(uint256[] calldata values, uint256 x) internal pure returns (uint256 sum) {
        for (uint256 i = values.length; i > 0; --i) {
            sum = addmod(mulmod(sum, x, R), values[i - 1], R);
        }
    }

    /// @notice t = sum over all i, j of alpha^i beta^j G[i][j], from the upper triangle.
    /// Reverts with GramOutOfRange at the first integer of a magnitude of 2^62 or more.
    /// @dev As sum over i of (alpha beta)^i (sum over j >= i of beta^(j-i) G[i][j] + sum over j > i of
    /// alpha^(j-i) G[i][j]), by Horner's rule from the last integer to the first.
    function combinedGram(bytes calldata gram, uint256 columns, uint256 alpha, uint256 beta)
        internal
        pure
        returns (uint256 t)
    {
        uint256 field = R; // assembly takes no constant that is computed
        uint256 seen = 0;
        // Safe: reads calldata only, N (N + 1) / 2 integers of 8 bytes, which is what `gram` was checked to hold (the
        // word that the last begins may end behind it). Sums of two numbers below 2^255 do not overflow. A third of
        // the gas of slices and checked indices: there are 528 integers at N = 32.
        assembly ("memory-safe") {
            let at := add(gram.offset, gram.length)
            let both := mulmod(alpha, beta, field)
            for { let row := 1 } iszero(gt(row, columns)) { row := add(row, 1) } {
                let byBeta := 0
                let byAlpha := 0
                let entry := 0
                for { let first := sub(at, shl(3, row)) } gt(at, first) {} {
                    at := sub(at, 8)
                    // The integer plus 2^62, so that it is positive: in [1, 2^63) exactly if its magnitude is below
                    // 2^62; outside, bit 63 or bit 64 is set.
                    entry := add(and(add(shr(192, calldataload(at)), GRAM_MAXIMUM), 0xffffffffffffffff), 1)
                    seen := or(seen, entry)
                    byBeta := add(mulmod(byBeta, beta, field), entry)
                    byAlpha := add(mulmod(byAlpha, alpha, field), entry)
                }
                // The diagonal is in both.
                t := addmod(mulmod(t, both, field), add(byBeta, sub(byAlpha, entry)), field)
            }
        }
        if (seen >> 63 != 0) _revertOutOfRange(gram);
        // The offset's own share: 2^62 (sum alpha^i) (sum beta^i).
        uint256 offsets = mulmod(_geometric(alpha, columns), _geometric(beta, columns), R);
        t = addmod(t, R - mulmod(offsets, GRAM_MAXIMUM + 1, R), R);
    }

    function _revertOutOfRange(bytes calldata gram) private pure {
        int64 maximum = type(int64).max / 2; // 2^62 - 1
        for (uint256 i = 0; i < gram.length; i += 8) {
            int64 value = int64(uint64(bytes8(gram[i:i + 8])));
            if (value > maximum || value < -maximum) {
                revert IUpdateArgument.GramOutOfRange(i / 8, value);
            }
        }
    }

    /// @dev 1 + base + ... + base^(count-1).
    function _geometric(uint256 base, uint256 count) private pure returns (uint256 sum) {
        for (uint256 i = 0; i < count; ++i) {
            sum = addmod(mulmod(sum, base, R), 1, R);
        }
    }

    /// @dev sum over all digits of eta^(1+index) d (d-1) (d-2) (d-3), by Horner's rule from the last digit to the first.
    /// The lowest digit of a column is what the others leave of v + 2^(bits-1).
    function _rangeTerms(
        VerifyingKey calldata vk,
        uint256 columns,
        uint256[] calldata evaluations,
        uint256 eta
    ) private pure returns (uint256 total) {
        uint256 width = vk.bits;
        uint256 to = evaluations.length - 3; // behind the column's digits
        for (uint256 i = columns; i > 0; --i) {
            if (i == 1) width = vk.bits0;
            uint256 from = to + 1 - width / 2;
            uint256 upper;
            (total, upper) = _digitTerms(evaluations[from:to], total, eta);
            uint256 lowest = addmod(addmod(evaluations[i - 1], 1 << (width - 1), R), R - upper, R);
            total = addmod(mulmod(total, eta, R), _range4(lowest), R);
            to = from;
        }
        total = mulmod(total, eta, R);
    }

    /// @dev Horner's rule over the committed digits of one column, last to first; and sum over j >= 1 of 4^j d_j, below
    /// r.
    function _digitTerms(uint256[] calldata digits, uint256 start, uint256 eta)
        private
        pure
        returns (uint256 total, uint256 upper)
    {
        uint256 field = R;
        total = start;
        // Safe: reads words that lie in calldata, each below r. Sums are of two numbers below 2 r < 2^255 and do not
        // overflow. Saves 20,000 gas at N = 32, where there are 96 digits.
        assembly ("memory-safe") {
            for { let at := add(digits.offset, shl(5, digits.length)) } gt(at, digits.offset) {} {
                at := sub(at, 0x20)
                let digit := calldataload(at)
                let pair := mulmod(digit, add(digit, sub(field, 3)), field)
                upper := mulmod(4, add(upper, digit), field)
                total := add(mulmod(total, eta, field), mulmod(pair, add(pair, 2), field))
            }
        }
    }

    /// @dev d (d-1) (d-2) (d-3) = e (e + 2) with e = d (d - 3).
    function _range4(uint256 d) private pure returns (uint256) {
        uint256 e = mulmod(d, addmod(d, R - 3, R), R);
        return mulmod(e, addmod(e, 2, R), R);
    }

    /// @dev 1/x, for 0 < x < r.
    function _inverse(uint256 x) private view returns (uint256 inverse) {
        uint256[6] memory input = [uint256(0x20), 0x20, 0x20, x, R - 2, R];
        bool ok;
        // Safe: reads the 6 words of `input` and writes the first.
        assembly ("memory-safe") {
            ok := staticcall(gas(), MODEXP, input, 0xc0, input, 0x20)
        }
        if (!ok) revert IUpdateArgument.PrecompileFailed(MODEXP);
        return input[0];
    }
}
