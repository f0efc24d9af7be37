// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Accepts exactly the calldata that it was told to expect, byte for byte.
contract ExactVerifier {
    mapping(bytes32 requestHash => bytes32) public digestOf;

    error UnexpectedRequest(bytes32 requestHash);

    function expectRequest(bytes calldata request, bytes32 digest) external {
        digestOf[keccak256(request)] = digest;
    }

    fallback() external {
        bytes32 digest = digestOf[keccak256(msg.data)];
        if (digest == 0) revert UnexpectedRequest(keccak256(msg.data));
        // Like the real one: two words of ABI, then something that no decoder takes.
        bytes memory answer = abi.encodePacked(uint256(1), digest, type(uint256).max);
        assembly ("memory-safe") {
            return(add(answer, 0x20), mload(answer))
        }
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

/// @notice Accepts two keys at next to no cost, for measuring what the market itself costs.
contract FreeVerifier {
    bytes32 private immutable _linear;
    bytes32 private immutable _rule;

    constructor(bytes32 linear, bytes32 rule) {
        (_linear, _rule) = (linear, rule);
    }

    fallback() external {
        uint256 keyWords;
        // Safe: reads calldata only. The key comes last: two words for the linear layer, three for the rule.
        assembly ("memory-safe") {
            keyWords := calldataload(sub(calldatasize(), 0x60))
        }
        bytes32 digest = keyWords == 2 ? _linear : _rule;
        // Safe: the two scratch words.
        assembly ("memory-safe") {
            mstore(0x00, 1)
            mstore(0x20, digest)
            return(0x00, 0x40)
        }
    }
}
