// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {UpdateArgument} from "../src/UpdateArgument.sol";
import {IUpdateArgument} from "../src/interfaces/IUpdateArgument.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {Point} from "../src/types/Point.sol";
import {VerifyingKey} from "../src/types/UpdateArgument.sol";
import {UpdateVectors, Vector} from "./utils/UpdateVectors.sol";

/// @notice The whole verifier, against proofs of an independent prover: honest ones, lies, and damage.
contract UpdateArgumentTest is UpdateVectors {
    uint256 private constant P = Bn254.BASE_FIELD;
    uint256 private constant R = Bn254.SCALAR_FIELD;

    // Where the parts of `small()` begin: D has 2 points, then Z, Q0, Q1, Q2, 7 evaluations, W, W_w.
    uint256 private constant DIGITS = 2;
    uint256 private constant EVALUATIONS_AT = 64 * (DIGITS + 4);
    uint256 private constant EVALUATIONS = 7;
    uint256 private constant OPENINGS_AT = EVALUATIONS_AT + 32 * EVALUATIONS;
    uint256 private constant PROOF_BYTES = OPENINGS_AT + 128;

    // ------------------------------------------------------------- accepted

    function test_acceptsHonestProofsOfEveryShape() public view {
        string[] memory names = namesIn(HONEST);
        assertEq(names.length, 6, "vectors");
        for (uint256 i = 0; i < names.length; ++i) {
            Vector memory vector = load(HONEST, names[i]);
            assertEq(verify(vector), keccak256(abi.encode(vector.vk)), names[i]);
        }
    }

    /// @dev Proofs of the prover that is used, which were made over strings of its own.
    function test_acceptsTheNativeProversProofs() public view {
        string[] memory names = nativeNames();
        for (uint256 i = 0; i < names.length; ++i) {
            Vector memory vector = loadNative(names[i]);
            assertEq(verify(vector), keccak256(abi.encode(vector.vk)), names[i]);
        }
    }

    function test_smallHasTheShapeThatTheseTestsCountOn() public view {
        Vector memory vector = small();
        assertEq(vector.points.length, 2, "columns");
        assertEq(vector.proof.length, PROOF_BYTES, "proof");
    }

    // ----------------------------------------------------------------- lies

    /// @dev Each is a proof by a prover who goes on as well as it can; every one is well-formed.
    function test_rejectsEveryCheat() public {
        string[] memory names = namesIn(CHEATS);
        assertEq(names.length, 37, "vectors");
        for (uint256 i = 0; i < names.length; ++i) {
            if (keccak256(bytes(names[i])) == keccak256("digits_at_infinity")) continue;
            _rejected(load(CHEATS, names[i]));
        }
    }

    /// @dev Honest, but commits to a digit column that is all 0.
    function test_refusesDigitsAtInfinity() public {
        _refused(load(CHEATS, "digits_at_infinity"), _invalidPoint("digits", 0, 0, 0));
    }

    // ------------------------------------------------------ another statement

    function test_rejectsAnotherGram() public {
        Vector memory vector = small();
        for (uint256 i = 0; i < vector.gram.length; ++i) {
            Vector memory other = small();
            other.gram[i] ^= 0x01;
            if (i % 8 == 0) {
                // Of the highest byte, the lowest bit keeps the number within its limits.
                assertTrue(!accepts(other), "another entry");
            } else {
                _rejected(other);
            }
        }
    }

    function test_rejectsSwappedCommitments() public {
        Vector memory vector = small();
        (vector.points[0], vector.points[1]) = (vector.points[1], vector.points[0]);
        _rejected(vector);
    }

    function test_rejectsARepeatedCommitment() public {
        Vector memory vector = small();
        vector.points[1] = vector.points[0];
        _rejected(vector);
        vector = small();
        vector.points[0] = vector.points[1];
        _rejected(vector);
    }

    function test_rejectsAnotherCommitment() public {
        for (uint256 i = 0; i < 2; ++i) {
            Vector memory vector = small();
            vector.points[i] = Bn254.add(vector.points[i], Point(1, 2));
            _rejected(vector);
        }
    }

    function test_rejectsADroppedCommitment() public {
        Vector memory vector = small();
        Point[] memory one = new Point[](1);
        one[0] = vector.points[0];
        vector.points = one;
        _refused(vector, _wrongLength("gram", 24, 8));
        vector.gram = firstBytes(vector.gram, 8);
        _refused(vector, _wrongLength("proof", PROOF_BYTES, PROOF_BYTES - 128));
    }

    function test_rejectsAnotherContext() public {
        for (uint256 i = 0; i < 256; i += 5) {
            Vector memory vector = small();
            vector.context ^= bytes32(1 << i);
            _rejected(vector);
        }
    }

    /// @dev No proof under one key is one under another, which differs in a single bit.
    function test_rejectsAnotherKey() public view {
        Vector memory vector = small();
        bytes memory words = abi.encode(vector.vk);
        for (uint256 i = 0; i < 32 * VK_WORDS; ++i) {
            words[i] ^= 0x01;
            vector.vk = abi.decode(words, (VerifyingKey));
            assertTrue(!accepts(vector), "another key");
            words[i] ^= 0x01;
        }
    }

    function test_rejectsTheKeyOfAnotherDim() public {
        Vector memory vector = small();
        vector.vk.dim += 1;
        _rejected(vector);
        vector = small();
        vector.vk.selector = load(HONEST, "one_column").vk.selector;
        _rejected(vector);
    }

    function test_rejectsAnotherStructuredReferenceString() public {
        Vector memory vector = small();
        vector.vk.srsDigest = bytes32(uint256(vector.vk.srsDigest) + 1);
        _rejected(vector);
        vector = small();
        vector.vk.tauG2 = load(HONEST, "one_column").vk.tauG2;
        _rejected(vector);
    }

    /// @dev The key is taken as it is. A precompile keeps the gas that it is given, hence a limit.
    function test_refusesAKeyWithoutPoints() public view {
        Vector memory vector = small();
        vector.vk.selector.y += 1;
        _precompileFails(vector, 7);
        vector = small();
        vector.vk.tauG2[3] ^= 1;
        _precompileFails(vector, 8);
    }

    // --------------------------------------------------------------- damage

    function test_rejectsEveryProofByteFlipped() public view {
        Vector memory vector = small();
        for (uint256 i = 0; i < vector.proof.length; ++i) {
            _rejectedWithByte(vector, i, 0x01);
            _rejectedWithByte(vector, i, 0x80);
            _rejectedWithByte(vector, i, 0xff);
        }
    }

    function testFuzz_rejectsAnyOtherProof(uint256 at, uint8 change) public view {
        vm.assume(change != 0);
        _rejectedWithByte(small(), at % PROOF_BYTES, bytes1(change));
    }

    function test_rejectsEveryScalarReplaced() public {
        uint256[4] memory values = [0, 1, R - 1, R];
        for (uint256 i = 0; i < EVALUATIONS; ++i) {
            uint256 at = EVALUATIONS_AT + 32 * i;
            for (uint256 j = 0; j < values.length; ++j) {
                _rejectedWithScalar(i, at, values[j]);
            }
            // The same number modulo r, encoded otherwise.
            _rejectedWithScalar(i, at, wordAt(small().proof, at) + R);
            _rejectedWithScalar(i, at, type(uint256).max);
        }
    }

    function test_rejectsEveryCoordinateReplaced() public {
        uint256[8] memory values = [0, 1, R - 1, R, P - 1, P, P + 1, type(uint256).max];
        for (uint256 at = 0; at < PROOF_BYTES; at += 32) {
            if (at >= EVALUATIONS_AT && at < OPENINGS_AT) continue;
            for (uint256 j = 0; j < values.length; ++j) {
                Vector memory vector = small();
                putWord(vector.proof, at, values[j]);
                uint256 start = at & ~uint256(63);
                if (at >= OPENINGS_AT) start = OPENINGS_AT + ((at - OPENINGS_AT) & ~uint256(63));
                _refusedPoint(vector, start);
            }
        }
    }

    function test_rejectsEveryPointReplaced() public {
        for (uint256 at = 0; at < PROOF_BYTES; at += 64) {
            if (at == EVALUATIONS_AT) at = OPENINGS_AT;
            // Infinity, and a proper point encoded otherwise, are no points here.
            _refusedWithPoint(at, 0, 0);
            Vector memory vector = small();
            (uint256 x, uint256 y) = (wordAt(vector.proof, at), wordAt(vector.proof, at + 32));
            _refusedWithPoint(at, x + P, y);
            _refusedWithPoint(at, x, y + P);
            // Points that are in order, but others.
            _rejectedWithPoint(at, x, P - y);
            _rejectedWithPoint(at, 1, 2);
            _rejectedWithPoint(at, vector.points[0].x, vector.points[0].y);
        }
    }

    function test_rejectsSwappedPointsOfTheProof() public {
        uint256 points = DIGITS + 4;
        for (uint256 i = 0; i < points; ++i) {
            for (uint256 j = i + 1; j < points; ++j) {
                _rejectedWithSwap(64 * i, 64 * j);
            }
        }
        _rejectedWithSwap(OPENINGS_AT, OPENINGS_AT + 64);
    }

    function test_refusesInvalidCommitments() public {
        for (uint256 i = 0; i < 2; ++i) {
            _refusedCommitment(i, 0, 0);
            _refusedCommitment(i, 1, 3);
            _refusedCommitment(i, 1 + P, 2);
        }
    }

    function test_refusesWrongLengths() public {
        Vector memory vector = small();
        bytes memory proof = vector.proof;
        uint256[8] memory lengths = [
            0,
            32,
            PROOF_BYTES - 64,
            PROOF_BYTES - 32,
            PROOF_BYTES - 1,
            PROOF_BYTES + 1,
            PROOF_BYTES + 32,
            PROOF_BYTES + 64
        ];
        for (uint256 i = 0; i < lengths.length; ++i) {
            vector.proof = bytes.concat(proof, new bytes(64));
            vector.proof = firstBytes(vector.proof, lengths[i]);
            _refused(vector, _wrongLength("proof", lengths[i], PROOF_BYTES));
        }
        vector = small();
        bytes memory gram = vector.gram;
        uint256[4] memory gramLengths = [uint256(0), 16, 23, 25];
        for (uint256 i = 0; i < gramLengths.length; ++i) {
            vector.gram = firstBytes(bytes.concat(gram, new bytes(1)), gramLengths[i]);
            _refused(vector, _wrongLength("gram", gramLengths[i], 24));
        }
    }

    function test_refusesNoColumnsAndTooMany() public {
        Vector memory vector = small();
        vector.points = new Point[](0);
        _refused(vector, abi.encodeWithSelector(IUpdateArgument.ColumnsOutOfRange.selector, 0, 32));
        vector.points = new Point[](33);
        _refused(vector, abi.encodeWithSelector(IUpdateArgument.ColumnsOutOfRange.selector, 33, 32));
    }

    function test_refusesAGramIntegerBeyondTheLimit() public {
        Vector memory vector = small();
        vector.gram[8] = 0x40;
        _refused(
            vector,
            abi.encodeWithSelector(
                IUpdateArgument.GramOutOfRange.selector, 1, int64(uint64(wordOfGram(vector, 1)))
            )
        );
    }

    function wordOfGram(Vector memory vector, uint256 index) internal pure returns (uint256 word) {
        for (uint256 i = 8 * index; i < 8 * index + 8; ++i) {
            word = (word << 8) | uint8(vector.gram[i]);
        }
    }

    // -------------------------------------------------------------- helpers

    function _rejected(Vector memory vector) private {
        _refused(vector, abi.encodeWithSelector(IUpdateArgument.ProofRejected.selector));
    }

    function _refused(Vector memory vector, bytes memory reason) private {
        vm.expectRevert(reason);
        argument.verify(vector.vk, vector.context, vector.points, vector.gram, vector.proof);
    }

    /// @dev Leaves the vector as it was.
    function _rejectedWithByte(Vector memory vector, uint256 at, bytes1 change) private view {
        vector.proof[at] ^= change;
        assertTrue(!accepts(vector), "another proof");
        vector.proof[at] ^= change;
    }

    function _rejectedWithScalar(uint256 index, uint256 at, uint256 value) private {
        Vector memory vector = small();
        putWord(vector.proof, at, value);
        if (value < R) {
            _rejected(vector);
        } else {
            _refused(vector, abi.encodeWithSelector(IUpdateArgument.ScalarOutOfField.selector, index, value));
        }
    }

    function _rejectedWithPoint(uint256 at, uint256 x, uint256 y) private {
        _rejected(_withPoint(at, x, y));
    }

    function _refusedWithPoint(uint256 at, uint256 x, uint256 y) private {
        _refusedPoint(_withPoint(at, x, y), at);
    }

    function _withPoint(uint256 at, uint256 x, uint256 y) private view returns (Vector memory vector) {
        vector = small();
        putWord(vector.proof, at, x);
        putWord(vector.proof, at + 32, y);
    }

    function _refusedPoint(Vector memory vector, uint256 at) private {
        (bytes32 field, uint256 start) = ("digits", 0);
        if (at >= 64 * DIGITS) (field, start) = ("quotients", 64 * DIGITS);
        if (at >= OPENINGS_AT) (field, start) = ("openings", OPENINGS_AT);
        uint256 y = wordAt(vector.proof, at + 32);
        _refused(vector, _invalidPoint(field, (at - start) / 64, wordAt(vector.proof, at), y));
    }

    function _refusedCommitment(uint256 index, uint256 x, uint256 y) private {
        Vector memory vector = small();
        vector.points[index] = Point(x, y);
        _refused(vector, _invalidPoint("points", index, x, y));
    }

    function _rejectedWithSwap(uint256 one, uint256 other) private {
        Vector memory vector = small();
        for (uint256 i = 0; i < 64; i += 32) {
            uint256 word = wordAt(vector.proof, one + i);
            putWord(vector.proof, one + i, wordAt(vector.proof, other + i));
            putWord(vector.proof, other + i, word);
        }
        _rejected(vector);
    }

    function _invalidPoint(bytes32 field, uint256 index, uint256 x, uint256 y)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IUpdateArgument.InvalidPoint.selector, field, index, x, y);
    }

    function _precompileFails(Vector memory vector, uint256 precompile) private view {
        (bool ok, bytes memory answer) = address(argument).staticcall{gas: 10_000_000}(encoded(vector));
        assertTrue(!ok, "refused");
        bytes memory expected = abi.encodeWithSelector(IUpdateArgument.PrecompileFailed.selector, precompile);
        assertEq(answer, expected, "reason");
    }

    function _wrongLength(bytes32 field, uint256 lengthBytes, uint256 requiredBytes)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IUpdateArgument.WrongLength.selector, field, lengthBytes, requiredBytes);
    }
}
