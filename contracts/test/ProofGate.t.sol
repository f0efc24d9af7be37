// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {IUpdateArgument} from "../src/interfaces/IUpdateArgument.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {ProofGate} from "../src/libraries/ProofGate.sol";
import {Settlement} from "../src/types/Round.sol";
import {TaskConfig} from "../src/types/Task.sol";
import {MarketFixture} from "./utils/MarketFixture.sol";
import {AnsweringVerifier, ExactVerifier, WritingVerifier} from "./utils/Verifiers.sol";

/// @notice The gate alone, against verifiers that insist on every byte of what they are asked.
contract ProofGateTest is MarketFixture {
    bytes4 private constant VERIFY_PROOF = bytes4(keccak256("verifyProof(bytes,uint256[],bytes32[])"));
    bytes32 private constant CONTEXT = keccak256("context");
    uint256 private constant SLOTS = 4;
    uint256 private constant TRAINERS = 3;
    uint256 private constant ACTIVE = 7;

    TaskConfig private _config;
    ExactVerifier private _exact;
    ExactVerifier private _exactArgument;
    uint256 private _active = ACTIVE;

    function setUp() public override {
        super.setUp();
        _exact = new ExactVerifier();
        _exactArgument = new ExactVerifier();
        verifier = address(_exact);
        _config = defaultConfig();
    }

    function requireProven(Settlement calldata given) external view {
        ProofGate.requireProven(
            IUpdateArgument(address(_exactArgument)),
            this.pinOf(_config),
            CONTEXT,
            _config.slots,
            _active,
            given
        );
    }

    function pinOf(TaskConfig calldata config) external pure returns (bytes32) {
        return ProofGate.pinOf(config);
    }

    // ------------------------------------------------------------ the layout

    function test_acceptsExactlyTheExpectedRequests() public {
        Settlement memory given = _proven();
        this.requireProven(given);
    }

    /// @dev Every slot count, every number of trainers, with and without an anchor: the layout follows the definition
    /// word by word.
    function testFuzz_layout(uint256 slots, uint256 filled, bool anchored, uint256 seed) public {
        slots = bound(slots, 3, 32);
        filled = bound(filled, 2, slots);
        _config.slots = uint8(slots);
        _active = ((1 << filled) - 1) & ~uint256(anchored ? 1 : 0);
        Settlement memory given = settlement(0, filled, slots);
        int64[] memory gram = new int64[](filled * (filled + 1) / 2);
        for (uint256 i = 0; i < gram.length; ++i) {
            gram[i] = _drawnGram(seed, i);
        }
        given.gram = packed(gram);
        given.acceptBits = uint256(keccak256(abi.encode(seed))) & _active;
        for (uint256 i = 0; i < slots; ++i) {
            if ((given.acceptBits >> i) & 1 == 1) {
                given.scores[i] = uint64(uint256(keccak256(abi.encode(seed, i))));
            }
        }
        _expectBoth(given, gram);
        this.requireProven(given);
    }

    // --------------------------------------------- what the verifiers are asked

    function test_refusesAnotherGram() public {
        Settlement memory given = _proven();
        given.gram[23] ^= 0x01;
        _unexpectedByTheArgument(given);
    }

    function test_refusesOtherPoints() public {
        Settlement memory given = _proven();
        (given.points[0], given.points[1]) = (given.points[1], given.points[0]);
        _unexpectedByTheArgument(given);
    }

    function test_refusesAnotherContext() public {
        Settlement memory given = _proven();
        bytes memory request = abi.encodeCall(
            IUpdateArgument.verify,
            (given.updateKey, keccak256("other"), given.points, given.gram, given.updateProof)
        );
        _exactArgument = new ExactVerifier();
        _exactArgument.expectWord(request, _config.updateKey);
        _unexpectedByTheArgument(given);
    }

    function test_refusesOtherProofBytes() public {
        Settlement memory given = _proven();
        given.updateProof[0] ^= 0x01;
        _unexpectedByTheArgument(given);

        given = _proven();
        given.ruleProof[0] ^= 0x01;
        _rejected(given);
    }

    function test_refusesOtherActiveBits() public {
        // The same proofs, about a trainer more or less than they were made for.
        Settlement memory given = _proven();
        _active = ACTIVE | 8;
        _rejected(given);
        _active = ACTIVE ^ 4;
        _rejected(given);
    }

    function test_refusesOtherParameters() public {
        Settlement memory given = _proven();
        _config.ruleParams[0] = 3;
        given.terms = termsOf(_config);
        _rejected(given);
    }

    function test_refusesAnotherAcceptList() public {
        Settlement memory given = _proven();
        given.acceptBits ^= 4;
        _rejected(given);
    }

    function test_refusesAnEditedScore() public {
        Settlement memory given = _proven();
        given.scores[1] += 1;
        _rejected(given);
    }

    // ------------------------------------------------------ what comes before

    /// @dev Each of the four counts.
    function test_refusesOtherTerms() public {
        bytes32 pinned = keccak256(abi.encode(termsOf(_config)));
        for (uint256 i = 0; i < 5; ++i) {
            Settlement memory given = _proven();
            if (i == 0) given.terms.verifier = address(new AnsweringVerifier());
            if (i == 1) given.terms.updateKey = "self-made";
            if (i == 2) given.terms.ruleVka = "self-made";
            if (i == 3) given.terms.ruleParams[0] = 1;
            if (i == 4) given.terms.ruleParams = new uint256[](0);
            bytes32 other = keccak256(abi.encode(given.terms));
            _refused(given, abi.encodeWithSelector(IMarket.ProofTermsMismatch.selector, pinned, other));
        }
    }

    /// @dev The argument holds under a key of the prover's own making; that is not enough.
    function test_refusesAnotherUpdateKey() public {
        Settlement memory given = _proven();
        given.updateKey.tauG2[0] = 1;
        bytes32 other = keccak256(abi.encode(given.updateKey));
        _expectArgument(given, other);
        _refused(
            given, abi.encodeWithSelector(IMarket.UpdateKeyMismatch.selector, _config.updateKey, other)
        );
    }

    function test_refusesAnotherRuleKey() public {
        Settlement memory given = _proven();
        given.ruleVka[0] = "forged";
        _refused(
            given,
            abi.encodeWithSelector(
                IMarket.VkaMismatch.selector, _config.ruleVka, keccak256(abi.encodePacked(given.ruleVka))
            )
        );
    }

    function test_refusesWrongLengths() public {
        uint256[4] memory wrong = [uint256(0), 47, 49, 80];
        for (uint256 i = 0; i < wrong.length; ++i) {
            Settlement memory given = _proven();
            given.gram = new bytes(wrong[i]);
            _refused(given, abi.encodeWithSelector(IMarket.WrongLength.selector, bytes32("gram"), wrong[i], 48));
        }
        for (uint256 length = 3; length <= 5; length += 2) {
            Settlement memory given = _proven();
            given.scores = new uint64[](length);
            _refused(
                given, abi.encodeWithSelector(IMarket.WrongLength.selector, bytes32("scores"), length, SLOTS)
            );
        }
    }

    function test_refusesAnAcceptedInactiveSlot() public {
        uint256[2] memory empty = [TRAINERS, 255];
        for (uint256 i = 0; i < empty.length; ++i) {
            Settlement memory given = _proven();
            given.acceptBits |= 1 << empty[i];
            _refused(
                given,
                abi.encodeWithSelector(IMarket.AcceptedInactiveSlot.selector, given.acceptBits, ACTIVE)
            );
        }
    }

    function test_refusesAnAcceptedAnchor() public {
        Settlement memory given = _proven();
        _active = ACTIVE ^ 1;
        _refused(given, abi.encodeWithSelector(IMarket.AcceptedInactiveSlot.selector, given.acceptBits, _active));
    }

    function test_refusesAScoreWithoutAccept() public {
        Settlement memory given = _proven();
        given.scores[2] = 5; // a trainer who was not accepted
        _refused(given, abi.encodeWithSelector(IMarket.ScoreWithoutAccept.selector, 2, 5));
        given = _proven();
        given.scores[3] = 6; // nobody
        _refused(given, abi.encodeWithSelector(IMarket.ScoreWithoutAccept.selector, 3, 6));
    }

    // ------------------------------------------------- what the verifier says

    function test_refusesEveryAnswerButSuccessAndTheDigest() public {
        AnsweringVerifier answering = new AnsweringVerifier();
        _config.verifier = address(answering);
        Settlement memory given = _proven();
        given.terms = termsOf(_config);
        bytes32 digest = _config.ruleVka;
        bytes[6] memory answers = [
            bytes(""),
            abi.encode(1), // one word
            abi.encodePacked(uint256(1), bytes31(digest)), // one byte short
            abi.encode(0, digest), // no success
            abi.encode(2, digest), // not a boolean
            abi.encode(1, _config.updateKey) // another digest
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            answering.setAnswer(answers[i]);
            _refused(given, abi.encodeWithSelector(IMarket.VerifierMisbehaved.selector));
        }
        answering.setAnswer(abi.encode(1, digest));
        this.requireProven(given);
    }

    function test_refusesAVerifierThatIsGone() public {
        _config.verifier = address(0xDEAD);
        Settlement memory given = _proven();
        given.terms = termsOf(_config);
        _refused(given, abi.encodeWithSelector(IMarket.VerifierMisbehaved.selector));
    }

    function test_refusesAVerifierThatWrites() public {
        _config.verifier = address(new WritingVerifier());
        Settlement memory given = _proven();
        given.terms = termsOf(_config);
        _rejected(given);
    }

    // ---------------------------------------------------------------- helpers

    /// @dev Three trainers of four slots, two of them accepted; the verifiers expect it.
    function _proven() private returns (Settlement memory given) {
        given = settlement(0, TRAINERS, SLOTS);
        int64[] memory gram = new int64[](6);
        for (uint256 i = 0; i < gram.length; ++i) {
            gram[i] = int64(int256(i)) * 1000 - 3500;
        }
        given.gram = packed(gram);
        given.acceptBits = 3;
        (given.scores[0], given.scores[1]) = (10, 20);
        _expectBoth(given, gram);
    }

    function _expectBoth(Settlement memory given, int64[] memory gram) private {
        _expectArgument(given, _config.updateKey);
        uint256 slots = _config.slots;
        bytes memory rule = _gramWords(gram, given.points.length, slots);
        for (uint256 i = 0; i < slots; ++i) {
            rule = abi.encodePacked(rule, (_active >> i) & 1);
        }
        rule = abi.encodePacked(rule, uint256(2));
        for (uint256 i = 0; i < slots; ++i) {
            rule = abi.encodePacked(rule, (given.acceptBits >> i) & 1);
        }
        for (uint256 i = 0; i < slots; ++i) {
            rule = abi.encodePacked(rule, uint256(given.scores[i]));
        }
        _exact.expectRequest(_request(given.ruleProof, rule, given.ruleVka), _config.ruleVka);
    }

    function _expectArgument(Settlement memory given, bytes32 answer) private {
        bytes memory request = abi.encodeCall(
            IUpdateArgument.verify,
            (given.updateKey, CONTEXT, given.points, given.gram, given.updateProof)
        );
        _exactArgument.expectWord(request, answer);
    }

    /// @dev The canonical encoding, put together by hand: three offsets, then length and content of each argument.
    function _request(bytes memory proof, bytes memory instances, bytes32[] memory vka)
        private
        pure
        returns (bytes memory)
    {
        uint256 padded = (proof.length + 31) / 32 * 32;
        return abi.encodePacked(
            abi.encodePacked(VERIFY_PROOF, uint256(0x60), 0x80 + padded, 0xa0 + padded + instances.length),
            abi.encodePacked(proof.length, proof, new bytes(padded - proof.length)),
            abi.encodePacked(instances.length / 32, instances),
            abi.encodePacked(vka.length, vka)
        );
    }

    /// @dev The triangle over all slots, from the one over the filled ones.
    function _gramWords(int64[] memory gram, uint256 filled, uint256 slots)
        private
        pure
        returns (bytes memory words)
    {
        uint256[] memory felts = new uint256[](slots * (slots + 1) / 2);
        uint256 from;
        uint256 to;
        for (uint256 i = 0; i < slots; ++i) {
            for (uint256 j = i; j < slots; ++j) {
                if (j < filled) felts[to] = _felt(gram[from++]);
                ++to;
            }
        }
        return abi.encodePacked(felts);
    }

    function _felt(int64 value) private pure returns (uint256) {
        return addmod(uint256(int256(value) + 2 ** 64), Bn254.SCALAR_FIELD - 2 ** 64, Bn254.SCALAR_FIELD);
    }

    function _drawnGram(uint256 seed, uint256 i) private pure returns (int64) {
        uint256 drawn = uint256(keccak256(abi.encode("gram", seed, i))) % (2 ** 63 - 1);
        return int64(int256(drawn) - (2 ** 62 - 1));
    }

    function _unexpectedByTheArgument(Settlement memory given) private {
        bytes memory request = abi.encodeCall(
            IUpdateArgument.verify,
            (given.updateKey, CONTEXT, given.points, given.gram, given.updateProof)
        );
        _refused(given, abi.encodeWithSelector(ExactVerifier.UnexpectedRequest.selector, keccak256(request)));
    }

    function _rejected(Settlement memory given) private {
        _refused(given, abi.encodeWithSelector(IMarket.ProofRejected.selector));
    }

    function _refused(Settlement memory given, bytes memory reason) private {
        vm.expectRevert(reason);
        this.requireProven(given);
    }
}
