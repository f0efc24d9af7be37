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
    /// @dev Gram integers are above -2^62; with this added they are positive.
    uint256 private constant GRAM_OFFSET = 0x4000000000000000;

    /// @notice F(zeta) / (zeta^n - 1), and zeta^n.
    /// @param columns Number of columns, 1..32.
    /// @param evaluations Scalars below r: v of each column, digits, S, z, and z at omega * zeta; of the right number.
    function quotient(
        VerifyingKey calldata vk,
        uint256 columns,
        bytes calldata gram,
        uint256[] calldata evaluations,
        Challenges memory drawn
    ) internal view returns (uint256 value, uint256 zetaToN) {
        uint256[] memory alphas = _powers(drawn.alpha, columns);
        uint256[] memory betas = _powers(drawn.beta, columns);
        uint256 last = evaluations.length - 1;
        uint256 abs = mulmod(_combine(evaluations, alphas), _combine(evaluations, betas), R);
        abs = mulmod(abs, evaluations[last - 2], R);
        value = addmod(evaluations[last], R - evaluations[last - 1], R);
        value = addmod(value, R - abs, R);
        value = addmod(value, mulmod(combinedGram(gram, alphas, betas), vk.nInverse, R), R);
        value = addmod(value, _rangeTerms(vk, columns, evaluations, drawn.eta), R);

        zetaToN = drawn.zeta;
        for (uint256 m = vk.n; m > 1; m >>= 1) {
            zetaToN = mulmod(zetaToN, zetaToN, R);
        }
        if (zetaToN == 1) revert IUpdateArgument.ZetaInDomain(drawn.zeta);
        value = mulmod(value, _inverse(addmod(zetaToN, R - 1, R)), R);
    }

    /// @notice t = sum over all i, j of alpha^i beta^j G[i][j], from the upper triangle.
    /// Reverts with GramOutOfRange at the first integer of a magnitude of 2^62 or more.
    function combinedGram(bytes calldata gram, uint256[] memory alphas, uint256[] memory betas)
        internal
        pure
        returns (uint256 t)
    {
        uint256 field = R;
        uint256 outside = type(uint256).max;
        // Safe: reads N (N + 1) / 2 integers of 8 bytes, which is what `gram` was checked to hold, and N entries of
        // both arrays. Half the gas of slices and checked indices: 528 integers at N = 32.
        assembly ("memory-safe") {
            let words := shl(5, mload(alphas))
            let at := gram.offset
            let alphaSum := 0
            let betaSum := 0
            for { let i := 0x20 } iszero(gt(i, words)) { i := add(i, 0x20) } {
                let alpha := mload(add(alphas, i))
                let beta := mload(add(betas, i))
                alphaSum := addmod(alphaSum, alpha, field)
                betaSum := addmod(betaSum, beta, field)
                let byBetas := 0 // sum over j >= i of beta^j G[i][j]
                let byAlphas := 0 // sum over j > i of alpha^j G[i][j]
                for { let j := i } iszero(gt(j, words)) { j := add(j, 0x20) } {
                    // As a number of 64 bits; the magnitude is below 2^62 exactly if it lies in [1, 2^63).
                    let entry := and(add(shr(192, calldataload(at)), GRAM_OFFSET), 0xffffffffffffffff)
                    if iszero(lt(sub(entry, 1), 0x7fffffffffffffff)) {
                        outside := shr(3, sub(at, gram.offset))
                        break
                    }
                    byBetas := addmod(byBetas, mulmod(mload(add(betas, j)), entry, field), field)
                    byAlphas := addmod(byAlphas, mulmod(mload(add(alphas, j)), entry, field), field)
                    if eq(i, j) { byAlphas := 0 }
                    at := add(at, 8)
                }
                t := addmod(
                    t,
                    addmod(mulmod(alpha, byBetas, field), mulmod(beta, byAlphas, field), field),
                    field
                )
            }
            t := addmod(t, sub(field, mulmod(mulmod(alphaSum, betaSum, field), GRAM_OFFSET, field)), field)
        }
        if (outside != type(uint256).max) {
            int64 value = int64(uint64(bytes8(gram[8 * outside:8 * outside + 8])));
            revert IUpdateArgument.GramOutOfRange(outside, value);
        }
    }

    /// @dev sum over all digits of eta^(1+index) d (d-1) (d-2) (d-3). The lowest digit of a column is what the others
    /// leave of v + 2^(bits-1).
    function _rangeTerms(
        VerifyingKey calldata vk,
        uint256 columns,
        uint256[] calldata evaluations,
        uint256 eta
    ) private pure returns (uint256 total) {
        uint256 width = vk.bits0;
        uint256 from = columns; // of the column's digits
        uint256 power = eta;
        for (uint256 i = 0; i < columns; ++i) {
            uint256 to = from + width / 2 - 1;
            uint256 upper = 0; // sum over j >= 1 of 4^j d_j
            for (uint256 j = to; j > from; --j) {
                upper = mulmod(4, addmod(upper, evaluations[j - 1], R), R);
            }
            uint256 lowest = addmod(addmod(evaluations[i], 1 << (width - 1), R), R - upper, R);
            total = addmod(total, mulmod(power, _range4(lowest), R), R);
            power = mulmod(power, eta, R);
            for (uint256 j = from; j < to; ++j) {
                total = addmod(total, mulmod(power, _range4(evaluations[j]), R), R);
                power = mulmod(power, eta, R);
            }
            (from, width) = (to, vk.bits);
        }
    }

    /// @dev d (d-1) (d-2) (d-3) = e (e + 2) with e = d (d - 3).
    function _range4(uint256 d) private pure returns (uint256) {
        uint256 e = mulmod(d, addmod(d, R - 3, R), R);
        return mulmod(e, addmod(e, 2, R), R);
    }

    /// @dev 1, base, base^2, ...
    function _powers(uint256 base, uint256 count) private pure returns (uint256[] memory powers) {
        powers = new uint256[](count);
        uint256 power = 1;
        for (uint256 i = 0; i < count; ++i) {
            powers[i] = power;
            power = mulmod(power, base, R);
        }
    }

    /// @dev sum factors[i] * values[i], over the factors.
    function _combine(uint256[] calldata values, uint256[] memory factors)
        private
        pure
        returns (uint256 sum)
    {
        for (uint256 i = 0; i < factors.length; ++i) {
            sum = addmod(sum, mulmod(factors[i], values[i], R), R);
        }
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
