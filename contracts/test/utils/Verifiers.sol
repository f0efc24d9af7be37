// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IUpdateArgument} from "../../src/interfaces/IUpdateArgument.sol";
import {Point} from "../../src/types/Point.sol";
import {VerifyingKey} from "../../src/types/UpdateArgument.sol";

/// @notice Accepts exactly the calldata that it was told to expect, byte for byte.
contract ExactVerifier {
    mapping(bytes32 requestHash => bytes) public answerOf;

    error UnexpectedRequest(bytes32 requestHash);

    /// @notice Like the reusable verifier: two words of ABI, then something that no decoder takes.
    function expectRequest(bytes calldata request, bytes32 digest) external {
        answerOf[keccak256(request)] = abi.encodePacked(uint256(1), digest, type(uint256).max);
    }

    /// @notice Like the update argument: one word.
    function expectWord(bytes calldata request, bytes32 word) external {
        answerOf[keccak256(request)] = abi.encode(word);
    }

    fallback() external {
        bytes memory answer = answerOf[keccak256(msg.data)];
        if (answer.length == 0) revert UnexpectedRequest(keccak256(msg.data));
        assembly ("memory-safe") {
            return(add(answer, 0x20), mload(answer))
        }
    }
}

/// @notice An update argument that accepts every proof, for tests of what comes after it.
contract AcceptingArgument is IUpdateArgument {
    function verify(VerifyingKey calldata vk, bytes32, Point[] calldata, bytes calldata, bytes calldata)
        external
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(vk));
    }
}

/// @notice Accepts everything, for tests of what comes after the proofs.
contract AcceptingVerifier {
    function verifyProof(bytes calldata, uint256[] calldata, bytes32[] calldata vka)
        external
        pure
        returns (bool, bytes32, int256[] memory)
    {
        return (true, keccak256(abi.encodePacked(vka)), new int256[](0));
    }
}

/// @notice Accepts one proof of each statement: the hash of its instances. So a test says what it takes for proven.
contract StatedVerifier {
    error AnotherStatement();

    function verifyProof(bytes calldata proof, uint256[] calldata instances, bytes32[] calldata vka)
        external
        pure
        returns (bool, bytes32, int256[] memory)
    {
        if (bytes32(proof) != keccak256(abi.encodePacked(instances))) revert AnotherStatement();
        return (true, keccak256(abi.encodePacked(vka)), new int256[](0));
    }
}

/// @notice Succeeds, and answers with bytes of the test's choice.
contract AnsweringVerifier {
    bytes private _answer;

    function setAnswer(bytes calldata answer) external {
        _answer = answer;
    }

    fallback() external {
        bytes memory answer = _answer;
        assembly ("memory-safe") {
            return(add(answer, 0x20), mload(answer))
        }
    }
}

/// @notice Tries to change state while it is asked.
contract WritingVerifier {
    uint256 public calls;

    function verifyProof(bytes calldata, uint256[] calldata, bytes32[] calldata vka)
        external
        returns (bool, bytes32, int256[] memory)
    {
        ++calls;
        return (true, keccak256(abi.encodePacked(vka)), new int256[](0));
    }
}

/// @notice Accepts one key at next to no cost, for measuring what the market itself costs.
contract FreeVerifier {
    bytes32 private immutable _key;

    constructor(bytes32 key) {
        _key = key;
    }

    fallback() external {
        bytes32 digest = _key;
        // Safe: the two scratch words.
        assembly ("memory-safe") {
            mstore(0x00, 1)
            mstore(0x20, digest)
            return(0x00, 0x40)
        }
    }
}
