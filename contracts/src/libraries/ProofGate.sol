// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {IHalo2Verifier} from "../interfaces/IHalo2Verifier.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IUpdateArgument} from "../interfaces/IUpdateArgument.sol";
import {Point} from "../types/Point.sol";
import {ProofTerms, Settlement} from "../types/Round.sol";
import {TaskConfig} from "../types/Task.sol";

/// @title What stands between a proof and the money
/// @notice What both layers are about is taken from the task's own terms and state, and from one array of Gram integers;
/// the caller has no say in it.
library ProofGate {
    uint256 private constant GRAM_BYTES = 8;

    /// @notice Reverts, naming the reason, unless both proofs hold for exactly this settlement of this task.
    /// @dev The caller has checked trainers and points against the round's record: they are at most one a slot.
    /// @param pinned What `pinOf` gave for the task's terms.
    /// @param context What the update argument is bound to: this chain, contract, task and round.
    /// @param activeBits Bit i: slot i holds a trainer's update.
    function requireProven(
        IUpdateArgument updateArgument,
        bytes32 pinned,
        bytes32 context,
        uint256 slots,
        uint256 activeBits,
        Settlement calldata settlement
    ) internal view {
        _requireTerms(pinned, settlement.terms);
        _requireShape(settlement, slots, activeBits);
        _requireArgued(updateArgument, context, settlement);
        _requireAccepted(settlement, ruleInstances(settlement, slots, activeBits));
    }

    /// @notice The word that pins a task's terms.
    function pinOf(TaskConfig calldata config) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ProofTerms({
                    verifier: config.verifier,
                    updateKey: config.updateKey,
                    ruleVka: config.ruleVka,
                    ruleParams: config.ruleParams
                })
            )
        );
    }

    /// @notice Public instances of the rule layer: Gram triangle over all slots, active, parameters, accept, scores.
    /// Reverts with ScoreWithoutAccept where a slot that is not accepted has a score.
    function ruleInstances(Settlement calldata settlement, uint256 slots, uint256 activeBits)
        internal
        pure
        returns (uint256[] memory instances)
    {
        uint256[] calldata params = settlement.terms.ruleParams;
        uint256 triangle = slots * (slots + 1) / 2;
        instances = new uint256[](triangle + 3 * slots + params.length);
        _putGram(instances, settlement.gram, settlement.points.length, slots);
        uint256 at;
        // Safe: writes the parameters behind the triangle and the active bits, where `instances` has room for them.
        assembly ("memory-safe") {
            at := add(add(instances, 0x20), shl(5, triangle))
            calldatacopy(add(at, shl(5, slots)), params.offset, shl(5, params.length))
        }
        uint256 wrong = _putOutcome(at, slots, params.length, activeBits, settlement.acceptBits, settlement.scores);
        if (wrong != slots) revert IMarket.ScoreWithoutAccept(wrong, settlement.scores[wrong]);
    }

    /// @dev Each slot's active bit at `at`, its accept bit and its score in lists of their own behind the parameters. The
    /// first slot that has a score it may not have; `slots` if there is none.
    function _putOutcome(
        uint256 at,
        uint256 slots,
        uint256 params,
        uint256 activeBits,
        uint256 acceptBits,
        uint64[] calldata scores
    ) private pure returns (uint256 i) {
        // Safe: `instances` was allocated for exactly these parts, and there is one score a slot (_requireShape). A score
        // is 0, or 64 bits at most and accepted.
        assembly ("memory-safe") {
            // From a slot's active bit to its accept bit; its score is one list behind that.
            let toAccept := shl(5, add(slots, params))
            for {} lt(i, slots) { i := add(i, 1) } {
                let accepted := and(shr(i, acceptBits), 1)
                let score := calldataload(add(scores.offset, shl(5, i)))
                if gt(score, mul(accepted, 0xffffffffffffffff)) { break }
                mstore(at, and(shr(i, activeBits), 1))
                mstore(add(at, toAccept), accepted)
                mstore(add(add(at, toAccept), shl(5, slots)), score)
                at := add(at, 0x20)
            }
        }
    }

    function _requireTerms(bytes32 pinned, ProofTerms calldata terms) private pure {
        bytes32 given = keccak256(abi.encode(terms));
        if (given != pinned) revert IMarket.ProofTermsMismatch(pinned, given);
    }

    /// @dev The linear layer: under the pinned key, for these points and this Gram matrix.
    function _requireArgued(IUpdateArgument updateArgument, bytes32 context, Settlement calldata settlement)
        private
        view
    {
        bytes32 key = updateArgument.verify(
            settlement.updateKey, context, settlement.points, settlement.gram, settlement.updateProof
        );
        bytes32 pinned = settlement.terms.updateKey;
        if (key != pinned) revert IMarket.UpdateKeyMismatch(pinned, key);
    }

    function _requireShape(Settlement calldata settlement, uint256 slots, uint256 activeBits) private pure {
        uint256 filled = settlement.points.length;
        uint256 gramBytes = GRAM_BYTES * filled * (filled + 1) / 2;
        if (settlement.gram.length != gramBytes) {
            revert IMarket.WrongLength("gram", settlement.gram.length, gramBytes);
        }
        if (settlement.scores.length != slots) {
            revert IMarket.WrongLength("scores", settlement.scores.length, slots);
        }
        uint256 acceptBits = settlement.acceptBits;
        if (acceptBits & ~activeBits != 0) revert IMarket.AcceptedInactiveSlot(acceptBits, activeBits);
    }

    /// @dev The triangle over all slots, as field elements; it is 0 wherever a slot is empty. `instances` has room, and
    /// is all zeros.
    function _putGram(uint256[] memory instances, bytes calldata gram, uint256 filled, uint256 slots) private pure {
        uint256 field = Bn254.SCALAR_FIELD;
        // Safe: reads filled (filled + 1) / 2 integers of 8 bytes, which `gram` was checked to hold, and writes row by
        // row into a triangle of more, or as many, slots.
        assembly ("memory-safe") {
            let at := gram.offset
            let to := add(instances, 0x20)
            for { let i := 0 } lt(i, filled) { i := add(i, 1) } {
                let end := add(to, shl(5, sub(filled, i)))
                for {} lt(to, end) { to := add(to, 0x20) } {
                    let value := sar(192, calldataload(at))
                    // A negative value counts from the field's end.
                    mstore(to, add(value, and(field, sar(255, value))))
                    at := add(at, 8)
                }
                to := add(to, shl(5, sub(slots, filled)))
            }
        }
    }

    /// @dev The rule layer.
    function _requireAccepted(Settlement calldata settlement, uint256[] memory instances) private view {
        bytes32 pinned = settlement.terms.ruleVka;
        (uint256 request, uint256 requestBytes, bytes32 given) =
            _encode(settlement.ruleProof, instances, settlement.ruleVka);
        if (given != pinned) revert IMarket.VkaMismatch(pinned, given);
        (bool ok, uint256 answerBytes, uint256 success, bytes32 digest) =
            _ask(settlement.terms.verifier, request, requestBytes);
        if (!ok) revert IMarket.ProofRejected();
        // Also what an address without code leads to: it succeeds and answers nothing.
        if (answerBytes < 64 || success != 1 || digest != pinned) revert IMarket.VerifierMisbehaved();
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
