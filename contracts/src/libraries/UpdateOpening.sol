// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {UpdateProof} from "./UpdateProof.sol";
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
    /// @param termX, termY, scalar The next point and its factor; then their product.
    struct Sum {
        uint256 x;
        uint256 y;
        uint256 termX;
        uint256 termY;
        uint256 scalar;
    }

    /// @notice Reverts with ProofRejected unless the openings hold. All points are on the curve, all scalars below r.
    /// @param committedDigits How many digit columns the proof commits to.
    /// @param quotientValue What the identity says Q0 + zeta^n Q1 + zeta^2n Q2 is at zeta.
    function requireOpened(
        VerifyingKey calldata vk,
        Point[] calldata points,
        bytes calldata proof,
        uint256 committedDigits,
        Challenges memory drawn,
        uint256 quotientValue,
        uint256 zetaToN
    ) internal view {
        uint256 value = _combinedValues(
            UpdateProof.evaluations(proof, committedDigits), quotientValue, drawn.nu, drawn.u
        );
        Sum memory right = _start(Bn254.mul(Point(1, 2), R - value));
        uint256 power = _addColumns(right, vk, points, UpdateProof.digits(proof, committedDigits), drawn.nu);
        _addQuotients(right, UpdateProof.quotients(proof, committedDigits), power, drawn, zetaToN);
        Sum memory left = _addOpenings(right, vk.omega, UpdateProof.openings(proof), drawn);
        if (!_pair(left, vk.tauG2, right)) revert IUpdateArgument.ProofRejected();
    }

    /// @dev sum += points, digits and selector, each with its power of nu.
    /// @return power The next one.
    function _addColumns(
        Sum memory sum,
        VerifyingKey calldata vk,
        Point[] calldata points,
        Point[] calldata digits,
        uint256 nu
    ) private view returns (uint256 power) {
        power = _addAll(sum, points, 1, nu);
        power = _addAll(sum, digits, power, nu);
        power = _addAll(sum, _single(vk.selector), power, nu);
    }

    /// @dev sum += (power + u) Z + power * nu (Q0 + zeta^n Q1 + zeta^2n Q2).
    function _addQuotients(
        Sum memory sum,
        Point[] calldata quotients,
        uint256 power,
        Challenges memory drawn,
        uint256 zetaToN
    ) private view {
        _addAll(sum, quotients[:1], addmod(power, drawn.u, R), drawn.nu);
        _addAll(sum, quotients[1:], mulmod(power, drawn.nu, R), zetaToN);
    }

    /// @dev right += zeta W + u omega zeta W_w, and left = W + u W_w.
    function _addOpenings(Sum memory right, uint256 omega, Point[] calldata openings, Challenges memory drawn)
        private
        view
        returns (Sum memory left)
    {
        _addAll(right, openings, drawn.zeta, mulmod(drawn.u, omega, R));
        left = _start(openings[0]);
        _addAll(left, openings[1:], drawn.u, drawn.u);
    }

    /// @dev E + u z(omega zeta), with E = sum nu^k e_k over the evaluations at zeta, then the quotient's value.
    function _combinedValues(uint256[] calldata evaluations, uint256 quotientValue, uint256 nu, uint256 u)
        private
        pure
        returns (uint256 sum)
    {
        uint256 k = evaluations.length - 1;
        uint256 shifted = mulmod(u, evaluations[k], R);
        sum = quotientValue;
        for (; k > 0; --k) {
            sum = addmod(mulmod(sum, nu, R), evaluations[k - 1], R);
        }
        sum = addmod(sum, shifted, R);
    }

    /// @dev sum += scalar * (points[0] + ratio * points[1] + ratio^2 * points[2] + ...).
    /// @return next The factor that would come next.
    function _addAll(Sum memory sum, Point[] calldata points, uint256 scalar, uint256 ratio)
        private
        view
        returns (uint256 next)
    {
        uint256 field = R; // assembly takes no constant that is computed
        bool ok = true;
        next = scalar;
        // Safe: copies points that lie in calldata to the last 3 words of `sum`; the first call reads those and writes
        // 2 of them, the second reads the first 4 and writes 2. The calls need assembly; the loop around them saves
        // 17,000 gas at N = 32.
        assembly ("memory-safe") {
            let term := add(sum, 0x40)
            let end := add(points.offset, shl(6, points.length))
            for { let at := points.offset } lt(at, end) { at := add(at, 0x40) } {
                calldatacopy(term, at, 0x40)
                mstore(add(term, 0x40), next)
                ok := and(ok, staticcall(gas(), MUL, term, 0x60, term, 0x40))
                ok := and(ok, staticcall(gas(), ADD, sum, 0x80, sum, 0x40))
                next := mulmod(next, ratio, field)
            }
        }
        if (!ok) revert IUpdateArgument.PrecompileFailed(MUL);
    }

    function _single(Point calldata point) private pure returns (Point[] calldata one) {
        // Safe: the one point lies in calldata.
        assembly ("memory-safe") {
            one.offset := point
            one.length := 1
        }
    }

    function _start(Point memory point) private pure returns (Sum memory sum) {
        (sum.x, sum.y) = (point.x, point.y);
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
