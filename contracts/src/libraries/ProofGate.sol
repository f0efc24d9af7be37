// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {IHalo2Verifier} from "../interfaces/IHalo2Verifier.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {Point} from "../types/Point.sol";
import {Layer, Settlement} from "../types/Round.sol";
import {TaskConfig} from "../types/Task.sol";

/// @title What stands between a proof and the money
/// @notice Both layers' public inputs are built here, from the task's own state and from one array of Gram
/// integers, never taken from the caller: what is not handed in cannot be wrong.
library ProofGate {
    /// @dev Bytes of a commitment at the head of a linear proof: x and y, big-endian.
    uint256 private constant POINT_BYTES = 64;
    int64 private constant GRAM_LIMIT = 2 ** 62;

    /// @notice Reverts, naming the reason, unless both proofs hold for exactly this settlement of this task.
    /// @dev The caller has checked trainers and points against the round's record.
    function requireProven(TaskConfig storage config, Settlement calldata settlement) internal view {
        uint256 slots = config.slots;
        _requireShape(settlement, slots);
        _requireProvenPoints(settlement.linearProof, settlement.points, config.emptySlot, slots);

        address verifier = config.verifier;
        uint256[] memory linear = linearInstances(settlement.gram, slots * config.dim);
        _requireAccepted(
            Layer.Linear, verifier, config.linearVka, settlement.linearProof, linear, settlement.linearVka
        );
        uint256[] memory rule = ruleInstances(settlement, slots, config.ruleParams);
        _requireAccepted(Layer.Rule, verifier, config.ruleVka, settlement.ruleProof, rule, settlement.ruleVka);
    }

    /// @notice Public instances of the linear layer: the Gram triangle, then the range check's tally slots * dim.
    function linearInstances(int64[] calldata gram, uint256 tally)
        internal
        pure
        returns (uint256[] memory instances)
    {
        instances = new uint256[](gram.length + 1);
        _putGram(instances, gram);
        instances[gram.length] = tally;
    }

    /// @notice Public instances of the rule layer: Gram triangle, active, parameters, accept, scores.
    function ruleInstances(Settlement calldata settlement, uint256 slots, uint256[] memory params)
        internal
        pure
        returns (uint256[] memory instances)
    {
        uint256 next = settlement.gram.length;
        instances = new uint256[](next + 3 * slots + params.length);
        _putGram(instances, settlement.gram);
        for (uint256 i = 0; i < slots; ++i) {
            instances[next++] = i < settlement.points.length ? 1 : 0;
        }
        for (uint256 i = 0; i < params.length; ++i) {
            instances[next++] = params[i];
        }
        for (uint256 i = 0; i < slots; ++i) {
            instances[next++] = (settlement.acceptBits >> i) & 1;
        }
        for (uint256 i = 0; i < slots; ++i) {
            instances[next++] = settlement.scores[i];
        }
    }

    function _requireShape(Settlement calldata settlement, uint256 slots) private pure {
        uint256 triangle = slots * (slots + 1) / 2;
        if (settlement.gram.length != triangle) {
            revert IMarket.WrongLength("gram", settlement.gram.length, triangle);
        }
        if (settlement.scores.length != slots) {
            revert IMarket.WrongLength("scores", settlement.scores.length, slots);
        }
        uint256 acceptBits = settlement.acceptBits;
        uint256 trainerCount = settlement.points.length;
        if (acceptBits >> trainerCount != 0) revert IMarket.AcceptedEmptySlot(acceptBits, trainerCount);
        for (uint256 i = 0; i < slots; ++i) {
            uint64 score = settlement.scores[i];
            if (score != 0 && (acceptBits >> i) & 1 == 0) revert IMarket.ScoreWithoutAccept(i, score);
        }
    }

    /// @dev The verifier hashes the commitments at the proof's head, but compares them with nothing: this does.
    function _requireProvenPoints(
        bytes calldata proof,
        Point[] calldata points,
        Point memory emptySlot,
        uint256 slots
    ) private pure {
        if (proof.length < slots * POINT_BYTES) {
            revert IMarket.LinearProofTooShort(proof.length, slots * POINT_BYTES);
        }
        for (uint256 i = 0; i < slots; ++i) {
            Point memory expected = i < points.length ? points[i] : emptySlot;
            (uint256 x, uint256 y) =
                abi.decode(proof[i * POINT_BYTES:(i + 1) * POINT_BYTES], (uint256, uint256));
            if (x != expected.x || y != expected.y) revert IMarket.ProvenPointMismatch(i);
        }
    }

    function _putGram(uint256[] memory instances, int64[] calldata gram) private pure {
        for (uint256 i = 0; i < gram.length; ++i) {
            int64 value = gram[i];
            if (value <= -GRAM_LIMIT || value >= GRAM_LIMIT) revert IMarket.GramOutOfRange(i, value);
            // Safe: the magnitude is below 2^62, and taken after the sign is known.
            // forge-lint: disable-next-line(unsafe-typecast)
            uint256 magnitude = uint64(value < 0 ? -value : value);
            instances[i] = value < 0 ? Bn254.SCALAR_FIELD - magnitude : magnitude;
        }
    }

    /// @dev The encoding must be canonical, hence built here: the verifier reads evaluations at fixed offsets of its
    /// calldata, whatever the offsets in the head say.
    function _requireAccepted(
        Layer layer,
        address verifier,
        bytes32 pinned,
        bytes calldata proof,
        uint256[] memory instances,
        bytes32[] calldata vka
    ) private view {
        bytes32 given = keccak256(abi.encodePacked(vka));
        if (given != pinned) revert IMarket.VkaMismatch(layer, pinned, given);

        bytes memory request = abi.encodeCall(IHalo2Verifier.verifyProof, (proof, instances, vka));
        (bool ok, uint256 answerBytes, uint256 success, bytes32 digest) = _ask(verifier, request);
        if (!ok) revert IMarket.ProofRejected(layer);
        // Also what an address without code leads to: it succeeds and answers nothing.
        if (answerBytes < 64 || success != 1 || digest != pinned) revert IMarket.VerifierMisbehaved(layer);
    }

    /// @dev A static call, since a verifier has no business changing state.
    function _ask(address verifier, bytes memory request)
        private
        view
        returns (bool ok, uint256 answerBytes, uint256 success, bytes32 digest)
    {
        // Safe: reads `request`, and writes at most the two scratch words. Only two words of the answer are valid
        // ABI, so only they are copied.
        assembly ("memory-safe") {
            ok := staticcall(gas(), verifier, add(request, 0x20), mload(request), 0x00, 0x40)
            answerBytes := returndatasize()
            success := mload(0x00)
            digest := mload(0x20)
        }
    }
}
