// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {ProofGate} from "../src/libraries/ProofGate.sol";
import {Layer, Settlement} from "../src/types/Round.sol";
import {TaskConfig} from "../src/types/Task.sol";
import {MarketFixture} from "./utils/MarketFixture.sol";
import {AnsweringVerifier, ExactVerifier, WritingVerifier} from "./utils/Verifiers.sol";

/// @notice The gate alone, against a verifier that insists on every byte of the layout.
contract ProofGateTest is MarketFixture {
    bytes4 private constant VERIFY_PROOF = bytes4(keccak256("verifyProof(bytes,uint256[],bytes32[])"));
    uint256 private constant SLOTS = 4;
    uint256 private constant TRAINERS = 3;

    TaskConfig private _config;
    ExactVerifier private _exact;

    function setUp() public override {
        super.setUp();
        _exact = new ExactVerifier();
        verifier = address(_exact);
        _config = defaultConfig();
    }

    function requireProven(Settlement calldata given) external view {
        ProofGate.requireProven(this.pinOf(_config), _config.slots, _config.emptySlot, given);
    }

    function pinOf(TaskConfig calldata config) external pure returns (bytes32) {
        return ProofGate.pinOf(config);
    }

    // ------------------------------------------------------------ the layout

    function test_acceptsExactlyTheExpectedRequests() public {
        Settlement memory given = _proven();
        this.requireProven(given);
    }

    /// @dev Every slot count, every number of trainers: the layout follows the definition word by word.
    function testFuzz_layout(uint256 slots, uint256 trainers, uint256 seed) public {
        slots = bound(slots, 3, 32);
        trainers = bound(trainers, 1, slots);
        _config.slots = uint8(slots);
        Settlement memory given = settlement(0, trainers, slots);
        for (uint256 i = 0; i < given.gram.length; ++i) {
            given.gram[i] = _drawnGram(seed, i);
        }
        given.acceptBits = uint256(keccak256(abi.encode(seed))) & ((1 << trainers) - 1);
        for (uint256 i = 0; i < slots; ++i) {
            if ((given.acceptBits >> i) & 1 == 1) {
                given.scores[i] = uint64(uint256(keccak256(abi.encode(seed, i))));
            }
        }
        _expectBoth(given);
        this.requireProven(given);
    }

    function test_gramLimitsAreInclusiveInside() public {
        Settlement memory given = settlement(0, TRAINERS, SLOTS);
        given.gram[0] = 2 ** 62 - 1;
        given.gram[1] = -(2 ** 62 - 1);
        _expectBoth(given);
        this.requireProven(given);
    }

    // ---------------------------------------------- what the verifier is asked

    function test_refusesAnotherGram() public {
        Settlement memory given = _proven();
        given.gram[2] += 1;
        _rejected(given, Layer.Linear);
    }

    function test_refusesAnotherDim() public {
        Settlement memory given = _proven();
        _config.dim += 1;
        given.terms = termsOf(_config);
        _rejected(given, Layer.Linear);
    }

    function test_refusesOtherProofBytes() public {
        Settlement memory given = _proven();
        given.linearProof[given.linearProof.length - 1] ^= 0x01;
        _rejected(given, Layer.Linear);

        given = _proven();
        given.ruleProof[0] ^= 0x01;
        _rejected(given, Layer.Rule);
    }

    function test_refusesAnotherActiveCount() public {
        // The same proofs, with one trainer more than they were made for.
        Settlement memory given = _proven();
        Settlement memory more = settlement(0, TRAINERS + 1, SLOTS);
        more.gram = given.gram;
        more.acceptBits = given.acceptBits;
        more.scores = given.scores;
        _expectLinear(more);
        _rejected(more, Layer.Rule);
    }

    function test_refusesOtherParameters() public {
        Settlement memory given = _proven();
        _config.ruleParams[0] = 3;
        given.terms = termsOf(_config);
        _rejected(given, Layer.Rule);
    }

    function test_refusesAnotherAcceptList() public {
        Settlement memory given = _proven();
        given.acceptBits ^= 4;
        _rejected(given, Layer.Rule);
    }

    function test_refusesAnEditedScore() public {
        Settlement memory given = _proven();
        given.scores[1] += 1;
        _rejected(given, Layer.Rule);
    }

    // ------------------------------------------------------ what comes before

    function test_refusesSwappedPoints() public {
        Settlement memory given = _proven();
        (given.points[0], given.points[1]) = (given.points[1], given.points[0]);
        _refused(given, abi.encodeWithSelector(IMarket.ProvenPointMismatch.selector, 0));
    }

    function test_refusesAProofOfOtherPoints() public {
        for (uint256 slot = 0; slot < SLOTS; ++slot) {
            Settlement memory given = _proven();
            given.linearProof[slot * 64 + 63] ^= 0x01; // y
            _refused(given, abi.encodeWithSelector(IMarket.ProvenPointMismatch.selector, slot));
            given = _proven();
            given.linearProof[slot * 64] ^= 0x01; // x
            _refused(given, abi.encodeWithSelector(IMarket.ProvenPointMismatch.selector, slot));
        }
    }

    function test_refusesAFilledEmptySlot() public {
        Settlement memory given = _proven();
        _config.emptySlot = pointOf(EMPTY_SLOT_SCALAR + 1);
        _refused(given, abi.encodeWithSelector(IMarket.ProvenPointMismatch.selector, TRAINERS));
    }

    function test_refusesATruncatedLinearProof() public {
        Settlement memory given = _proven();
        given.linearProof = slotPoints(given.points, SLOTS - 1);
        _refused(
            given, abi.encodeWithSelector(IMarket.LinearProofTooShort.selector, 64 * (SLOTS - 1), 64 * SLOTS)
        );
    }

    /// @dev Each of the five counts.
    function test_refusesOtherTerms() public {
        bytes32 pinned = keccak256(abi.encode(termsOf(_config)));
        for (uint256 i = 0; i < 6; ++i) {
            Settlement memory given = _proven();
            if (i == 0) given.terms.verifier = address(new AnsweringVerifier());
            if (i == 1) given.terms.dim += 1;
            if (i == 2) given.terms.linearVka = "self-made";
            if (i == 3) given.terms.ruleVka = "self-made";
            if (i == 4) given.terms.ruleParams[0] = 1;
            if (i == 5) given.terms.ruleParams = new uint256[](0);
            bytes32 other = keccak256(abi.encode(given.terms));
            _refused(given, abi.encodeWithSelector(IMarket.ProofTermsMismatch.selector, pinned, other));
        }
    }

    function test_refusesOtherVerifyingKeys() public {
        Settlement memory given = _proven();
        given.linearVka[1] = "forged";
        _refused(
            given,
            abi.encodeWithSelector(
                IMarket.VkaMismatch.selector,
                Layer.Linear,
                _config.linearVka,
                keccak256(abi.encodePacked(given.linearVka))
            )
        );

        given = _proven();
        given.ruleVka[0] = "forged";
        _refused(
            given,
            abi.encodeWithSelector(
                IMarket.VkaMismatch.selector,
                Layer.Rule,
                _config.ruleVka,
                keccak256(abi.encodePacked(given.ruleVka))
            )
        );
    }

    function test_refusesSwappedLayers() public {
        Settlement memory given = _proven();
        (given.linearVka, given.ruleVka) = (given.ruleVka, given.linearVka);
        _refused(
            given,
            abi.encodeWithSelector(
                IMarket.VkaMismatch.selector, Layer.Linear, _config.linearVka, _config.ruleVka
            )
        );
    }

    function test_refusesWrongLengths() public {
        Settlement memory given = _proven();
        given.gram = new int64[](9);
        _refused(given, abi.encodeWithSelector(IMarket.WrongLength.selector, bytes32("gram"), 9, 10));
        given = _proven();
        given.gram = new int64[](11);
        _refused(given, abi.encodeWithSelector(IMarket.WrongLength.selector, bytes32("gram"), 11, 10));
        given = _proven();
        given.scores = new uint64[](3);
        _refused(given, abi.encodeWithSelector(IMarket.WrongLength.selector, bytes32("scores"), 3, SLOTS));
        given = _proven();
        given.scores = new uint64[](5);
        _refused(given, abi.encodeWithSelector(IMarket.WrongLength.selector, bytes32("scores"), 5, SLOTS));
    }

    function test_refusesGramOutOfRange() public {
        int64[3] memory beyond = [int64(2 ** 62), -(2 ** 62), type(int64).min];
        for (uint256 i = 0; i < beyond.length; ++i) {
            Settlement memory given = _proven();
            given.gram[5] = beyond[i];
            _refused(given, abi.encodeWithSelector(IMarket.GramOutOfRange.selector, 5, beyond[i]));
        }
    }

    function test_refusesAnAcceptedEmptySlot() public {
        Settlement memory given = _proven();
        given.acceptBits |= 1 << TRAINERS;
        _refused(
            given, abi.encodeWithSelector(IMarket.AcceptedEmptySlot.selector, given.acceptBits, TRAINERS)
        );
        given = _proven();
        given.acceptBits |= 1 << 255;
        _refused(
            given, abi.encodeWithSelector(IMarket.AcceptedEmptySlot.selector, given.acceptBits, TRAINERS)
        );
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
        bytes32 digest = _config.linearVka;
        bytes[6] memory answers = [
            bytes(""),
            abi.encode(1), // one word
            abi.encodePacked(uint256(1), bytes31(digest)), // one byte short
            abi.encode(0, digest), // no success
            abi.encode(2, digest), // not a boolean
            abi.encode(1, _config.ruleVka) // another key's digest
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            answering.setAnswer(answers[i]);
            _refused(given, abi.encodeWithSelector(IMarket.VerifierMisbehaved.selector, Layer.Linear));
        }
        answering.setAnswer(abi.encode(1, digest)); // good enough for the linear layer, not for the rule
        _refused(given, abi.encodeWithSelector(IMarket.VerifierMisbehaved.selector, Layer.Rule));
    }

    function test_refusesAVerifierThatIsGone() public {
        _config.verifier = address(0xDEAD);
        Settlement memory given = _proven();
        given.terms = termsOf(_config);
        _refused(given, abi.encodeWithSelector(IMarket.VerifierMisbehaved.selector, Layer.Linear));
    }

    function test_refusesAVerifierThatWrites() public {
        _config.verifier = address(new WritingVerifier());
        Settlement memory given = _proven();
        given.terms = termsOf(_config);
        _rejected(given, Layer.Linear);
    }

    // ---------------------------------------------------------------- helpers

    /// @dev Three trainers of four slots, two of them accepted; the verifier expects it.
    function _proven() private returns (Settlement memory given) {
        given = settlement(0, TRAINERS, SLOTS);
        for (uint256 i = 0; i < given.gram.length; ++i) {
            given.gram[i] = int64(int256(i)) * 1000 - 3500;
        }
        given.acceptBits = 3;
        (given.scores[0], given.scores[1]) = (10, 20);
        _expectBoth(given);
    }

    function _expectBoth(Settlement memory given) private {
        _expectLinear(given);
        uint256 slots = _config.slots;
        bytes memory rule = _gramWords(given.gram);
        for (uint256 i = 0; i < slots; ++i) {
            rule = abi.encodePacked(rule, uint256(i < given.trainers.length ? 1 : 0));
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

    function _expectLinear(Settlement memory given) private {
        bytes memory linear = abi.encodePacked(_gramWords(given.gram), uint256(_config.slots) * _config.dim);
        _exact.expectRequest(_request(given.linearProof, linear, given.linearVka), _config.linearVka);
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

    function _gramWords(int64[] memory gram) private pure returns (bytes memory words) {
        uint256[] memory felts = new uint256[](gram.length);
        for (uint256 i = 0; i < gram.length; ++i) {
            felts[i] = uint256(
                addmod(uint256(int256(gram[i]) + 2 ** 64), Bn254.SCALAR_FIELD - 2 ** 64, Bn254.SCALAR_FIELD)
            );
        }
        return abi.encodePacked(felts);
    }

    function _drawnGram(uint256 seed, uint256 i) private pure returns (int64) {
        uint256 drawn = uint256(keccak256(abi.encode("gram", seed, i))) % (2 ** 63 - 1);
        return int64(int256(drawn) - (2 ** 62 - 1));
    }

    function _rejected(Settlement memory given, Layer layer) private {
        _refused(given, abi.encodeWithSelector(IMarket.ProofRejected.selector, layer));
    }

    function _refused(Settlement memory given, bytes memory reason) private {
        vm.expectRevert(reason);
        this.requireProven(given);
    }
}
