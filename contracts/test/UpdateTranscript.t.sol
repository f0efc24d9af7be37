// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {UpdateProof} from "../src/libraries/UpdateProof.sol";
import {UpdateTranscript} from "../src/libraries/UpdateTranscript.sol";
import {Point} from "../src/types/Point.sol";
import {Challenges, VerifyingKey} from "../src/types/UpdateArgument.sol";
import {UpdateVectors, Vector} from "./utils/UpdateVectors.sol";

/// @notice The transcript is the other verifiers' byte for byte, and nothing is drawn before what it is a challenge to.
contract UpdateTranscriptTest is UpdateVectors {
    uint256 private constant ALPHA = 0;
    uint256 private constant ETA = 2;
    uint256 private constant ZETA = 3;
    uint256 private constant NU = 4;
    uint256 private constant U = 5;
    uint256 private constant CHALLENGES = 6;

    function draw(
        VerifyingKey calldata vk,
        bytes32 context,
        Point[] calldata points,
        bytes calldata gram,
        bytes calldata proof
    ) external pure returns (Challenges memory) {
        uint256 digits = UpdateProof.requireShape(vk, points.length, gram.length, proof.length);
        return UpdateTranscript.draw(vk, context, points, gram, proof, digits);
    }

    function drawWithoutCheck(Vector calldata vector, uint256 digits)
        external
        pure
        returns (Challenges memory)
    {
        return UpdateTranscript.draw(
            vector.vk, vector.context, vector.points, vector.gram, vector.proof, digits
        );
    }

    // ------------------------------------------------------ the same as others

    function test_drawsTheOraclesChallenges() public view {
        string[] memory names = namesIn(HONEST);
        for (uint256 i = 0; i < names.length; ++i) {
            _equal(_drawn(load(HONEST, names[i])), challengesOf(HONEST, names[i]), names[i]);
        }
        names = namesIn(CHEATS);
        for (uint256 i = 0; i < names.length; ++i) {
            _equal(_drawn(load(CHEATS, names[i])), challengesOf(CHEATS, names[i]), names[i]);
        }
    }

    function test_drawsTheNativeProversChallenges() public view {
        string[] memory names = nativeNames();
        for (uint256 i = 0; i < names.length; ++i) {
            _equal(_drawn(loadNative(names[i])), nativeChallengesOf(names[i]), names[i]);
        }
    }

    // ------------------------------------------------------------ the order

    function test_everyBitOfTheKeyChangesAllChallenges() public view {
        Vector memory vector = small();
        bytes memory words = abi.encode(vector.vk);
        uint256[CHALLENGES] memory before = _flat(vector);
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] ^= 0x01;
            vector.vk = abi.decode(words, (VerifyingKey));
            _changedFrom(vector, before, ALPHA);
            words[i] ^= 0x01;
        }
    }

    function test_everyBitOfTheContextChangesAllChallenges() public view {
        Vector memory vector = small();
        uint256[CHALLENGES] memory before = _flat(vector);
        for (uint256 i = 0; i < 256; ++i) {
            vector.context ^= bytes32(1 << i);
            _changedFrom(vector, before, ALPHA);
            vector.context ^= bytes32(1 << i);
        }
    }

    function test_everyBitOfTheCommitmentsChangesAllChallenges() public view {
        Vector memory vector = small();
        uint256[CHALLENGES] memory before = _flat(vector);
        for (uint256 i = 0; i < vector.points.length; ++i) {
            for (uint256 j = 0; j < 256; ++j) {
                vector.points[i].x ^= 1 << j;
                _changedFrom(vector, before, ALPHA);
                vector.points[i].x ^= 1 << j;
                vector.points[i].y ^= 1 << j;
                _changedFrom(vector, before, ALPHA);
                vector.points[i].y ^= 1 << j;
            }
        }
    }

    function test_everyByteOfTheGramChangesAllChallenges() public view {
        Vector memory vector = small();
        uint256[CHALLENGES] memory before = _flat(vector);
        for (uint256 i = 0; i < vector.gram.length; ++i) {
            vector.gram[i] ^= 0x10;
            _changedFrom(vector, before, ALPHA);
            vector.gram[i] ^= 0x10;
        }
    }

    function test_everyByteOfTheProofChangesAllLaterChallenges() public view {
        Vector memory vector = small();
        uint256[CHALLENGES] memory before = _flat(vector);
        for (uint256 i = 0; i < vector.proof.length; ++i) {
            vector.proof[i] ^= 0x04;
            _changedFrom(vector, before, _firstDrawnAfter(i, vector.proof.length));
            vector.proof[i] ^= 0x04;
        }
    }

    /// @dev What belongs to one part cannot be read as another's: the number of columns is a word of its own.
    function test_theNumberOfColumnsIsBound() public view {
        Vector memory vector = small();
        uint256[CHALLENGES] memory before = _flat(vector);
        // The same bytes in the same order, but the second point stands where the Gram integers begin.
        Point[] memory one = new Point[](1);
        one[0] = vector.points[0];
        vector.gram = bytes.concat(abi.encode(vector.points[1]), vector.gram);
        vector.points = one;
        Challenges memory drawn = this.drawWithoutCheck(vector, 2);
        assertTrue(drawn.alpha != before[ALPHA], "alpha");
    }

    // -------------------------------------------------------------- helpers

    /// @dev Of `small()`: D has 2 points, then Z, Q0..Q2, 7 evaluations, W, W_w.
    function _firstDrawnAfter(uint256 at, uint256 length) private pure returns (uint256) {
        if (at < 128) return ALPHA;
        if (at < 192) return ETA;
        if (at < 384) return ZETA;
        if (at < length - 128) return NU;
        return U;
    }

    /// @dev Challenges drawn earlier than `first` are as they were, all others are not.
    function _changedFrom(Vector memory vector, uint256[CHALLENGES] memory before, uint256 first)
        private
        view
    {
        Challenges memory drawn = this.drawWithoutCheck(vector, 2);
        uint256[CHALLENGES] memory found = abi.decode(abi.encode(drawn), (uint256[6]));
        for (uint256 i = 0; i < CHALLENGES; ++i) {
            assertTrue((found[i] == before[i]) == (i < first), "order");
        }
    }

    function _flat(Vector memory vector) private view returns (uint256[CHALLENGES] memory) {
        return abi.decode(abi.encode(_drawn(vector)), (uint256[6]));
    }

    function _drawn(Vector memory vector) private view returns (Challenges memory) {
        return this.draw(vector.vk, vector.context, vector.points, vector.gram, vector.proof);
    }

    function _equal(Challenges memory found, Challenges memory expected, string memory name) private pure {
        assertEq(abi.encode(found), abi.encode(expected), name);
    }
}
