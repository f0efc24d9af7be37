// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IUpdateArgument} from "./interfaces/IUpdateArgument.sol";
import {UpdateIdentity} from "./libraries/UpdateIdentity.sol";
import {UpdateOpening} from "./libraries/UpdateOpening.sol";
import {UpdateProof} from "./libraries/UpdateProof.sol";
import {UpdateTranscript} from "./libraries/UpdateTranscript.sol";
import {Point} from "./types/Point.sol";
import {Challenges, VerifyingKey} from "./types/UpdateArgument.sol";

/// @title Verifier of the update argument
/// @notice Stateless, one for all tasks. See docs/update-argument.md.
/// @dev The key's words are not examined. A caller trusts the key whose digest it pinned, of which all words are
/// right, and no other; a proof under any other key says nothing, whatever its words are.
contract UpdateArgument is IUpdateArgument {
    /// @inheritdoc IUpdateArgument
    function verify(
        VerifyingKey calldata vk,
        bytes32 context,
        Point[] calldata points,
        bytes calldata gram,
        bytes calldata proof
    ) external view returns (bytes32 vkDigest) {
        uint256 committedDigits = UpdateProof.requireShape(vk, points.length, gram.length, proof.length);
        UpdateProof.requirePoints("points", points);
        UpdateProof.requireParts(proof, committedDigits);

        Challenges memory drawn = UpdateTranscript.draw(vk, context, points, gram, proof, committedDigits);
        (uint256 quotientValue, uint256 zetaToN) = UpdateIdentity.quotient(
            vk, points.length, gram, UpdateProof.evaluations(proof, committedDigits), drawn
        );
        UpdateOpening.requireOpened(vk, points, proof, committedDigits, drawn, quotientValue, zetaToN);
        return keccak256(UpdateProof.asBytes(vk));
    }
}
