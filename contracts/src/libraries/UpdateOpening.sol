// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {IUpdateArgument} from "../interfaces/IUpdateArgument.sol";
import {Point} from "../types/Point.sol";
import {Challenges, VerifyingKey} from "../types/UpdateArgument.sol";

/// @title The batched KZG opening
/// @notice W opens sum nu^k p_k at zeta, over all polynomials p_k; W_w opens z at omega * zeta. Both in one check:
/// e(W + u W_w, [tau]_2) = e(zeta W + u omega zeta W_w + P - E G + u (Z - z(omega zeta) G), [1]_2), with P the
/// combined commitments and E the combined values.
library UpdateOpening {
    uint256 private constant R = Bn254.SCALAR_FIELD;

    uint256 private constant ADD = 0x06;
    uint256 private constant MUL = 0x07;
    uint256 private constant PAIRING = 0x08;

    /// @dev -[1]_2, imaginary parts first: negated, so that the product of both pairings is 1.
    uint256 private constant MINUS_G2_X_IMAGINARY =
        0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2;
    uint256 private constant MINUS_G2_X_REAL =
        0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed;
    uint256 private constant MINUS_G2_Y_IMAGINARY =
        0x275dc4a288d1afb3cbb1ac09187524c7db36395df7be3b99e673b13a075a65ec;
    uint256 private constant MINUS_G2_Y_REAL =
        0x1d9befcd05a5323e6da4d435f3b617cdb3af83285c2df711ef39c01571827f9d;

    /// @notice A sum of points under way. A product is written behind it, where the addition reads it.
    /// @param x, y The sum so far.
    /// @param nextX, nextY, scalar The next point and its factor; then their product.
    struct Sum {
        uint256 x;
        uint256 y;
        uint256 nextX;
        uint256 nextY;
        uint256 scalar;
    }

    /// @notice Reverts with ProofRejected unless the openings hold. All points are on the curve, all scalars below r.
    /// @param quotients Z, Q0, Q1, Q2.
    /// @param evaluations As the proof has them; the last is z at omega * zeta.
    /// @param openings W, W_w.
    /// @param quotientValue What the identity says Q0 + zeta^n Q1 + zeta^2n Q2 is at zeta.
    function requireOpened(
        VerifyingKey calldata vk,
        Point[] calldata points,
        Point[] calldata digits,
        Point[] calldata quotients,
        uint256[] calldata evaluations,
        Point[] calldata openings,
        Challenges memory drawn,
        uint256 quotientValue,
        uint256 zetaToN
    ) internal view {
        Sum memory right = _combinedCommitments(vk, points, digits, quotients, drawn, zetaToN);
        (uint256 zeta, uint256 u) = (drawn.zeta, drawn.u);
        uint256 value = _combinedValues(evaluations, quotientValue, drawn.nu);
        value = addmod(value, mulmod(u, evaluations[evaluations.length - 1], R), R);
        _add(right, 1, 2, R - value);
        _add(right, openings[0], zeta);
        _add(right, openings[1], mulmod(u, mulmod(zeta, vk.omega, R), R));

        Sum memory left;
        (left.x, left.y) = (openings[0].x, openings[0].y);
        _add(left, openings[1], u);
        if (!_pair(left, vk.tauG2, right)) revert IUpdateArgument.ProofRejected();
    }

    /// @dev P + u Z. The first commitment's factor is 1.
    function _combinedCommitments(
        VerifyingKey calldata vk,
        Point[] calldata points,
        Point[] calldata digits,
        Point[] calldata quotients,
        Challenges memory drawn,
        uint256 zetaToN
    ) private view returns (Sum memory sum) {
        uint256 nu = drawn.nu;
        uint256 power = nu;
        (sum.x, sum.y) = (points[0].x, points[0].y);
        for (uint256 i = 1; i < points.length; ++i) {
            _add(sum, points[i], power);
            power = mulmod(power, nu, R);
        }
        for (uint256 i = 0; i < digits.length; ++i) {
            _add(sum, digits[i], power);
            power = mulmod(power, nu, R);
        }
        _add(sum, vk.selector, power);
        power = mulmod(power, nu, R);
        _add(sum, quotients[0], addmod(power, drawn.u, R));
        power = mulmod(power, nu, R);
        for (uint256 i = 1; i < 4; ++i) {
            _add(sum, quotients[i], power);
            power = mulmod(power, zetaToN, R);
        }
    }

    /// @dev E = sum nu^k e_k over the evaluations at zeta, then the quotient's value.
    function _combinedValues(uint256[] calldata evaluations, uint256 quotientValue, uint256 nu)
        private
        pure
        returns (uint256 sum)
    {
        sum = quotientValue;
        for (uint256 k = evaluations.length - 1; k > 0; --k) {
            sum = addmod(mulmod(sum, nu, R), evaluations[k - 1], R);
        }
    }

    function _add(Sum memory sum, Point calldata point, uint256 scalar) private view {
        _add(sum, point.x, point.y, scalar);
    }

    /// @dev sum += scalar * (x, y).
    function _add(Sum memory sum, uint256 x, uint256 y, uint256 scalar) private view {
        (sum.nextX, sum.nextY, sum.scalar) = (x, y, scalar);
        bool ok;
        // Safe: reads the last 3 words of `sum` and writes the first 2 of them; then reads the first 4 and writes the
        // first 2. Both in place: arrays of their own for each call would cost memory 140 times.
        assembly ("memory-safe") {
            let next := add(sum, 0x40)
            ok := staticcall(gas(), MUL, next, 0x60, next, 0x40)
            ok := and(ok, staticcall(gas(), ADD, sum, 0x80, sum, 0x40))
        }
        if (!ok) revert IUpdateArgument.PrecompileFailed(MUL);
    }

    /// @dev Whether e(left, tauG2) = e(right, [1]_2).
    function _pair(Sum memory left, uint256[4] calldata tauG2, Sum memory right) private view returns (bool) {
        uint256[12] memory input = [
            left.x,
            left.y,
            tauG2[0],
            tauG2[1],
            tauG2[2],
            tauG2[3],
            right.x,
            right.y,
            MINUS_G2_X_IMAGINARY,
            MINUS_G2_X_REAL,
            MINUS_G2_Y_IMAGINARY,
            MINUS_G2_Y_REAL
        ];
        bool ok;
        // Safe: reads the 12 words of `input` and writes the first.
        assembly ("memory-safe") {
            ok := staticcall(gas(), PAIRING, input, 0x180, input, 0x20)
        }
        if (!ok) revert IUpdateArgument.PrecompileFailed(PAIRING);
        return input[0] == 1;
    }
}
