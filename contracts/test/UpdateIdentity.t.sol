// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IUpdateArgument} from "../src/interfaces/IUpdateArgument.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {UpdateIdentity} from "../src/libraries/UpdateIdentity.sol";
import {Challenges, VerifyingKey} from "../src/types/UpdateArgument.sol";
import {UpdateVectors, Vector} from "./utils/UpdateVectors.sol";

/// @notice The field arithmetic against its definition, term by term.
contract UpdateIdentityTest is UpdateVectors {
    uint256 private constant R = Bn254.SCALAR_FIELD;
    int64 private constant LIMIT = 2 ** 62;

    function combinedGram(bytes calldata gram, uint256 columns, uint256 alpha, uint256 beta)
        external
        pure
        returns (uint256)
    {
        return UpdateIdentity.combinedGram(gram, columns, alpha, beta);
    }

    function quotient(
        VerifyingKey calldata vk,
        uint256 columns,
        bytes calldata gram,
        uint256[] calldata evaluations,
        Challenges calldata drawn
    ) external view returns (uint256, uint256) {
        return UpdateIdentity.quotient(vk, columns, gram, evaluations, drawn);
    }

    // ----------------------------------------------------------------- Gram

    function testFuzz_combinedGramIsTheDoubleSum(uint256 columns, uint256 alpha, uint256 beta, uint256 seed)
        public
        view
    {
        columns = bound(columns, 1, 32);
        (alpha, beta) = (alpha % R, beta % R);
        int64[] memory triangle = new int64[](columns * (columns + 1) / 2);
        for (uint256 i = 0; i < triangle.length; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            triangle[i] = int64(int256(word % (2 ** 63 - 1))) - (LIMIT - 1);
        }
        uint256 found = this.combinedGram(_packed(triangle), columns, alpha, beta);
        assertEq(found, _doubleSum(triangle, columns, alpha, beta), "t");
    }

    function test_combinedGramAtItsLimits() public view {
        int64[] memory triangle = new int64[](3);
        (triangle[0], triangle[1], triangle[2]) = (LIMIT - 1, -(LIMIT - 1), 0);
        uint256 found = this.combinedGram(_packed(triangle), 2, 3, R - 5);
        assertEq(found, _doubleSum(triangle, 2, 3, R - 5), "t");
    }

    function test_refusesGramIntegersBeyondTheLimit() public {
        int64[5] memory beyond = [LIMIT, -LIMIT, type(int64).max, type(int64).min, -LIMIT - 1];
        for (uint256 i = 0; i < beyond.length; ++i) {
            for (uint256 at = 0; at < 6; ++at) {
                int64[] memory triangle = new int64[](6);
                triangle[at] = beyond[i];
                vm.expectRevert(
                    abi.encodeWithSelector(IUpdateArgument.GramOutOfRange.selector, at, beyond[i])
                );
                this.combinedGram(_packed(triangle), 3, 7, 9);
            }
        }
    }

    // ------------------------------------------------------------- quotient

    /// @dev Any evaluations, not only those of a proof: what is computed is F(zeta) / (zeta^n - 1).
    function testFuzz_quotientFollowsTheIdentity(uint256 seed) public view {
        Vector memory vector = load(HONEST, "wide_column_0");
        uint256[] memory evaluations = new uint256[](2 + 2 + 1 + 3);
        for (uint256 i = 0; i < evaluations.length; ++i) {
            evaluations[i] = uint256(keccak256(abi.encode(seed, i))) % R;
        }
        Challenges memory drawn = challengesOf(HONEST, "wide_column_0");
        (uint256 value, uint256 zetaToN) = this.quotient(vector.vk, 2, vector.gram, evaluations, drawn);
        uint256 power = 1;
        for (uint256 i = 0; i < vector.vk.n; ++i) {
            power = mulmod(power, drawn.zeta, R);
        }
        assertEq(zetaToN, power, "zeta^n");
        uint256 t = this.combinedGram(vector.gram, 2, drawn.alpha, drawn.beta);
        uint256 f = _identity(vector.vk, evaluations, drawn, t);
        assertEq(mulmod(value, addmod(zetaToN, R - 1, R), R), f, "F");
    }

    function test_refusesZetaInTheDomain() public {
        Vector memory vector = small();
        Challenges memory drawn = challengesOf(HONEST, "two_columns");
        uint256 row = 1;
        for (uint256 i = 0; i < 3; ++i) {
            drawn.zeta = row;
            vm.expectRevert(abi.encodeWithSelector(IUpdateArgument.ZetaInDomain.selector, row));
            this.quotient(vector.vk, 2, vector.gram, new uint256[](7), drawn);
            row = mulmod(row, vector.vk.omega, R);
        }
    }

    // -------------------------------------------------------------- helpers

    /// @dev Two columns of 6 and 4 bits: evaluations v0 v1 d01 d02 d11 S z zw.
    function _identity(VerifyingKey memory vk, uint256[] memory e, Challenges memory drawn, uint256 t)
        private
        pure
        returns (uint256 f)
    {
        uint256 a = addmod(e[0], mulmod(drawn.alpha, e[1], R), R);
        uint256 b = addmod(e[0], mulmod(drawn.beta, e[1], R), R);
        f = addmod(e[7], R - e[6], R);
        f = addmod(f, R - mulmod(mulmod(a, b, R), e[5], R), R);
        f = addmod(f, mulmod(t, vk.nInverse, R), R);
        uint256 lowest0 =
            addmod(addmod(e[0], 32, R), R - addmod(mulmod(4, e[2], R), mulmod(16, e[3], R), R), R);
        uint256 lowest1 = addmod(addmod(e[1], 8, R), R - mulmod(4, e[4], R), R);
        uint256[5] memory digits = [lowest0, e[2], e[3], lowest1, e[4]];
        uint256 power = 1;
        for (uint256 i = 0; i < 5; ++i) {
            power = mulmod(power, drawn.eta, R);
            uint256 d = digits[i];
            uint256 term = mulmod(d, addmod(d, R - 1, R), R);
            term = mulmod(term, mulmod(addmod(d, R - 2, R), addmod(d, R - 3, R), R), R);
            f = addmod(f, mulmod(power, term, R), R);
        }
    }

    function _doubleSum(int64[] memory triangle, uint256 columns, uint256 alpha, uint256 beta)
        private
        pure
        returns (uint256 t)
    {
        uint256 index = 0;
        for (uint256 i = 0; i < columns; ++i) {
            for (uint256 j = i; j < columns; ++j) {
                int256 value = triangle[index++];
                uint256 entry = value < 0 ? R - uint256(-value) : uint256(value);
                t = addmod(t, mulmod(entry, mulmod(_power(alpha, i), _power(beta, j), R), R), R);
                if (i == j) continue;
                t = addmod(t, mulmod(entry, mulmod(_power(alpha, j), _power(beta, i), R), R), R);
            }
        }
    }

    function _power(uint256 base, uint256 exponent) private pure returns (uint256 power) {
        power = 1;
        for (uint256 i = 0; i < exponent; ++i) {
            power = mulmod(power, base, R);
        }
    }

    function _packed(int64[] memory triangle) private pure returns (bytes memory packed) {
        packed = new bytes(8 * triangle.length);
        for (uint256 i = 0; i < triangle.length; ++i) {
            uint64 word = uint64(triangle[i]);
            for (uint256 j = 0; j < 8; ++j) {
                packed[8 * i + j] = bytes1(uint8(word >> (56 - 8 * j)));
            }
        }
    }
}
