// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {IHalo2Verifier} from "../interfaces/IHalo2Verifier.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {Point} from "../types/Point.sol";
import {Layer, ProofTerms, Settlement} from "../types/Round.sol";
import {TaskConfig} from "../types/Task.sol";

/// @title What stands between a proof and the money
/// @notice Both layers' public inputs are built here, from the task's own terms and state and from one array of Gram
/// integers; the caller has no say in them.
library ProofGate {
    /// @dev Bytes of a commitment at the head of a linear proof: x and y, big-endian.
    uint256 private constant POINT_BYTES = 64;
    int256 private constant GRAM_LIMIT = 0x4000000000000000; // 2^62

    /// @notice Reverts, naming the reason, unless both proofs hold for exactly this settlement of this task.
    /// @dev The caller has checked trainers and points against the round's record: they are at most one a slot.
    /// @param pinned What `pinOf` gave for the task's terms.
    function requireProven(
        bytes32 pinned,
        uint256 slots,
        Point storage emptySlot,
        Settlement calldata settlement
    ) internal view {
        ProofTerms calldata terms = settlement.terms;
        bytes32 given = keccak256(abi.encode(terms));
        if (given != pinned) revert IMarket.ProofTermsMismatch(pinned, given);
        _requireShape(settlement, slots);
        _requireProvenPoints(settlement.linearProof, settlement.points, emptySlot, slots);

        uint256[] memory linear = linearInstances(settlement.gram, slots * terms.dim);
        uint256[] memory rule = ruleInstances(settlement, slots, linear);
        address verifier = terms.verifier;
        _requireAccepted(
            Layer.Linear, verifier, terms.linearVka, settlement.linearProof, linear, settlement.linearVka
        );
        _requireAccepted(Layer.Rule, verifier, terms.ruleVka, settlement.ruleProof, rule, settlement.ruleVka);
    }

    /// @notice The word that pins a task's terms.
    function pinOf(TaskConfig calldata config) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ProofTerms({
                    verifier: config.verifier,
                    dim: config.dim,
                    linearVka: config.linearVka,
                    ruleVka: config.ruleVka,
                    ruleParams: config.ruleParams
                })
            )
        );
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
    /// Reverts with ScoreWithoutAccept where a slot that is not accepted has a score.
    /// @param linear The linear layer's instances: they begin with the same triangle, which is taken from there.
    function ruleInstances(Settlement calldata settlement, uint256 slots, uint256[] memory linear)
        internal
        pure
        returns (uint256[] memory instances)
    {
        uint256[] calldata params = settlement.terms.ruleParams;
        uint256 triangle = linear.length - 1;
        instances = new uint256[](triangle + 3 * slots + params.length);
        uint256 trainerCount = settlement.points.length;
        uint256 acceptBits = settlement.acceptBits;
        uint64[] calldata scores = settlement.scores;
        uint256 wrong = slots;
        // Safe: `instances` was allocated for exactly these five parts, `linear` has the triangle, and there is one
        // score a slot (_requireShape). A score is 0, or 64 bits at most and accepted.
        assembly ("memory-safe") {
            let to := add(instances, 0x20)
            let slotsBytes := shl(5, slots)
            mcopy(to, add(linear, 0x20), shl(5, triangle))
            to := add(to, shl(5, triangle))
            calldatacopy(add(to, slotsBytes), params.offset, shl(5, params.length))
            // From a slot's active bit to its accept bit; its score is one list behind that.
            let toAccept := add(slotsBytes, shl(5, params.length))
            let toScore := add(toAccept, slotsBytes)
            for { let i := 0 } lt(i, slots) { i := add(i, 1) } {
                let accepted := and(shr(i, acceptBits), 1)
                let score := calldataload(add(scores.offset, shl(5, i)))
                if gt(score, mul(accepted, 0xffffffffffffffff)) {
                    wrong := i
                    break
                }
                mstore(to, lt(i, trainerCount))
                mstore(add(to, toAccept), accepted)
                mstore(add(to, toScore), score)
                to := add(to, 0x20)
            }
        }
        if (wrong != slots) revert IMarket.ScoreWithoutAccept(wrong, scores[wrong]);
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
    }

    /// @dev The verifier hashes the commitments at the proof's head, but compares them with nothing: this does.
    function _requireProvenPoints(
        bytes calldata proof,
        Point[] calldata points,
        Point storage emptySlot,
        uint256 slots
    ) private view {
        if (proof.length < slots * POINT_BYTES) {
            revert IMarket.LinearProofTooShort(proof.length, slots * POINT_BYTES);
        }
        uint256 count = points.length;
        if (!_startsWith(proof, points)) {
            for (uint256 i = 0; i < count; ++i) {
                _requireProvenPoint(proof, i, points[i].x, points[i].y);
            }
        }
        if (count == slots) return;
        (uint256 emptyX, uint256 emptyY) = (emptySlot.x, emptySlot.y);
        for (uint256 i = count; i < slots; ++i) {
            _requireProvenPoint(proof, i, emptyX, emptyY);
        }
    }

    /// @dev Compared by hash. `proof` is known to be long enough.
    function _startsWith(bytes calldata proof, Point[] calldata points) private pure returns (bool same) {
        // Safe: copies 64 bytes a point, twice, to free memory, which stays free.
        assembly ("memory-safe") {
            let size := shl(6, points.length)
            let given := mload(0x40)
            let proven := add(given, size)
            calldatacopy(given, points.offset, size)
            calldatacopy(proven, proof.offset, size)
            same := eq(keccak256(given, size), keccak256(proven, size))
        }
    }

    /// @dev `proof` is known to hold a point for this slot.
    function _requireProvenPoint(bytes calldata proof, uint256 slot, uint256 x, uint256 y) private pure {
        uint256 provenX;
        uint256 provenY;
        // Safe: reads calldata only.
        assembly ("memory-safe") {
            let at := add(proof.offset, mul(slot, 0x40))
            provenX := calldataload(at)
            provenY := calldataload(add(at, 0x20))
        }
        if (provenX != x || provenY != y) revert IMarket.ProvenPointMismatch(slot);
    }

    /// @dev As field elements. `instances` has room.
    function _putGram(uint256[] memory instances, int64[] calldata gram) private pure {
        uint256 count = gram.length;
        uint256 field = Bn254.SCALAR_FIELD;
        bool outside;
        // Safe: reads `count` words of calldata, and writes as many words of `instances`. A word that is a proper
        // int64 of a magnitude below the limit passes, and no other.
        assembly ("memory-safe") {
            let at := gram.offset
            let end := add(at, shl(5, count))
            let ahead := sub(add(instances, 0x20), at)
            let highest := sub(GRAM_LIMIT, 1)
            let width := shl(1, highest)
            for {} lt(at, end) { at := add(at, 0x20) } {
                let value := calldataload(at)
                outside := or(outside, gt(add(value, highest), width))
                // A negative value counts from the field's end.
                mstore(add(at, ahead), add(value, and(field, sar(255, value))))
            }
        }
        if (outside) _revertOutside(gram);
    }

    function _revertOutside(int64[] calldata gram) private pure {
        for (uint256 i = 0; i < gram.length; ++i) {
            int256 value = gram[i];
            if (value >= GRAM_LIMIT || value <= -GRAM_LIMIT) revert IMarket.GramOutOfRange(i, gram[i]);
        }
    }

    function _requireAccepted(
        Layer layer,
        address verifier,
        bytes32 pinned,
        bytes calldata proof,
        uint256[] memory instances,
        bytes32[] calldata vka
    ) private view {
        (uint256 request, uint256 requestBytes, bytes32 given) = _encode(proof, instances, vka);
        if (given != pinned) revert IMarket.VkaMismatch(layer, pinned, given);
        (bool ok, uint256 answerBytes, uint256 success, bytes32 digest) =
            _ask(verifier, request, requestBytes);
        if (!ok) revert IMarket.ProofRejected(layer);
        // Also what an address without code leads to: it succeeds and answers nothing.
        if (answerBytes < 64 || success != 1 || digest != pinned) revert IMarket.VerifierMisbehaved(layer);
    }

    /// @dev A call of `verifyProof` in free memory, and the hash of its key. The encoding must be canonical, hence built
    /// here: the verifier reads evaluations at fixed offsets of its calldata, whatever the offsets in the head say.
    function _encode(bytes calldata proof, uint256[] memory instances, bytes32[] calldata vka)
        private
        pure
        returns (uint256 request, uint256 requestBytes, bytes32 given)
    {
        bytes4 selector = IHalo2Verifier.verifyProof.selector;
        // Safe: writes behind the free pointer, which stays: the next request may have the memory again. Lengths are
        // those of arrays that the decoder found inside calldata, so no sum of them overflows.
        assembly ("memory-safe") {
            request := mload(0x40)
            let args := add(request, 0x04)
            let at := add(args, 0x60)
            mstore(request, selector)
            mstore(args, 0x60)
            mstore(at, proof.length)
            at := add(at, 0x20)
            calldatacopy(at, proof.offset, proof.length)
            // The padding. If there is none, this is where the next argument begins, and is written again.
            mstore(add(at, proof.length), 0)
            at := add(at, and(add(proof.length, 0x1f), not(0x1f)))
            mstore(add(args, 0x20), sub(at, args))
            let size := add(shl(5, mload(instances)), 0x20)
            mcopy(at, instances, size)
            at := add(at, size)
            mstore(add(args, 0x40), sub(at, args))
            mstore(at, vka.length)
            at := add(at, 0x20)
            size := shl(5, vka.length)
            calldatacopy(at, vka.offset, size)
            given := keccak256(at, size)
            requestBytes := sub(add(at, size), request)
        }
    }

    /// @dev A static call, since a verifier has no business changing state.
    function _ask(address verifier, uint256 request, uint256 requestBytes)
        private
        view
        returns (bool ok, uint256 answerBytes, uint256 success, bytes32 digest)
    {
        // Safe: reads what `_encode` wrote, before anything else is, and writes at most the two scratch words. Only two
        // words of the answer are valid ABI, so only they are copied.
        assembly ("memory-safe") {
            ok := staticcall(gas(), verifier, request, requestBytes, 0x00, 0x40)
            answerBytes := returndatasize()
            success := mload(0x00)
            digest := mload(0x20)
        }
    }
}
