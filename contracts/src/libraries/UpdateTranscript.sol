// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {Point} from "../types/Point.sol";
import {Challenges, VerifyingKey} from "../types/UpdateArgument.sol";
import {UpdateProof} from "./UpdateProof.sol";

/// @title What the verifier draws
/// @notice A challenge is keccak256 of the state and of all that was sent since the last challenge; the hash is the
/// next state, and modulo r the challenge. Everything is drawn after what it is a challenge to. All lengths follow
/// from the key and the number of columns, so no two statements or proofs are the same bytes.
library UpdateTranscript {
    bytes32 private constant START = keccak256("merit/update-argument/v1");

    /// @notice The challenges of a proof of the right shape.
    function draw(
        VerifyingKey calldata vk,
        bytes32 context,
        Point[] calldata points,
        bytes calldata gram,
        bytes calldata proof,
        uint256 committedDigits
    ) internal pure returns (Challenges memory drawn) {
        bytes32 state = keccak256(
            abi.encodePacked(
                START,
                UpdateProof.asBytes(vk),
                points.length,
                context,
                UpdateProof.asBytes(points),
                gram,
                UpdateProof.asBytes(UpdateProof.digits(proof, committedDigits))
            )
        );
        drawn.alpha = _scalar(state);
        state = keccak256(abi.encodePacked(state));
        drawn.beta = _scalar(state);
        bytes calldata quotients = UpdateProof.asBytes(UpdateProof.quotients(proof, committedDigits));
        state = keccak256(abi.encodePacked(state, quotients[:64])); // Z
        drawn.eta = _scalar(state);
        state = keccak256(abi.encodePacked(state, quotients[64:])); // Q0, Q1, Q2
        drawn.zeta = _scalar(state);
        state = keccak256(abi.encodePacked(state, UpdateProof.evaluationsBytes(proof, committedDigits)));
        drawn.nu = _scalar(state);
        // Not before both openings are fixed: who knows u can choose W_w so that any false evaluation passes.
        state = keccak256(abi.encodePacked(state, UpdateProof.asBytes(UpdateProof.openings(proof))));
        drawn.u = _scalar(state);
    }

    function _scalar(bytes32 state) private pure returns (uint256) {
        return uint256(state) % Bn254.SCALAR_FIELD;
    }
}
