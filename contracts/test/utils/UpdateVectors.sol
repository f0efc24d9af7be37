// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {UpdateArgument} from "../../src/UpdateArgument.sol";
import {Point} from "../../src/types/Point.sol";
import {Challenges, VerifyingKey} from "../../src/types/UpdateArgument.sol";
import {Test} from "./Test.sol";

/// @notice A statement, and what was sent as its proof.
struct Vector {
    VerifyingKey vk;
    bytes32 context;
    Point[] points;
    bytes gram;
    bytes proof;
}

/// @notice Statements and proofs that the Python oracle made (tests/native/vectors.py), and their verifier.
abstract contract UpdateVectors is Test {
    string internal constant HONEST = "test/vectors/update-argument.json";
    string internal constant CHEATS = "test/vectors/update-argument-cheats.json";
    string internal constant MEASURED = "test/vectors/update-argument-gas.json";

    uint256 internal constant VK_WORDS = 13;

    UpdateArgument internal argument;

    function setUp() public virtual {
        argument = new UpdateArgument();
    }

    function namesIn(string memory path) internal view returns (string[] memory) {
        return vm.parseJsonKeys(vm.readFile(path), ".");
    }

    function load(string memory path, string memory name) internal view returns (Vector memory vector) {
        string memory json = vm.readFile(path);
        vector.vk = abi.decode(_field(json, name, "vk"), (VerifyingKey));
        vector.context = bytes32(_field(json, name, "context"));
        vector.points = asPoints(_field(json, name, "points"));
        vector.gram = _field(json, name, "gram");
        vector.proof = _field(json, name, "proof");
    }

    /// @notice Names of proofs that the native prover made (native/vectors), in several shapes.
    function nativeNames() internal pure returns (string[] memory names) {
        names = new string[](6);
        (names[0], names[1], names[2]) = ("one", "four_bits", "eight_bits");
        (names[3], names[4], names[5]) = ("sixteen_bits", "wide_anchor", "widest_anchor");
    }

    function loadNative(string memory name) internal view returns (Vector memory vector) {
        string memory json = _nativeJson(name);
        vector.vk = abi.decode(vm.parseJsonBytes(json, ".vk"), (VerifyingKey));
        vector.context = bytes32(vm.parseJsonBytes(json, ".context"));
        bytes[] memory points = vm.parseJsonBytesArray(json, ".points");
        vector.points = new Point[](points.length);
        for (uint256 i = 0; i < points.length; ++i) {
            vector.points[i] = abi.decode(points[i], (Point));
        }
        vector.gram = vm.parseJsonBytes(json, ".gram");
        vector.proof = vm.parseJsonBytes(json, ".proof");
    }

    function nativeChallengesOf(string memory name) internal view returns (Challenges memory) {
        string memory json = _nativeJson(name);
        return Challenges({
            alpha: uint256(bytes32(vm.parseJsonBytes(json, ".challenges.alpha"))),
            beta: uint256(bytes32(vm.parseJsonBytes(json, ".challenges.beta"))),
            eta: uint256(bytes32(vm.parseJsonBytes(json, ".challenges.eta"))),
            zeta: uint256(bytes32(vm.parseJsonBytes(json, ".challenges.zeta"))),
            nu: uint256(bytes32(vm.parseJsonBytes(json, ".challenges.nu"))),
            u: uint256(bytes32(vm.parseJsonBytes(json, ".challenges.u")))
        });
    }

    function challengesOf(string memory path, string memory name) internal view returns (Challenges memory) {
        return abi.decode(_field(vm.readFile(path), name, "challenges"), (Challenges));
    }

    /// @notice A proof about two columns of 4 bits: the smallest with every kind of part.
    function small() internal view returns (Vector memory) {
        return load(HONEST, "two_columns");
    }

    function verify(Vector memory vector) internal view returns (bytes32) {
        return argument.verify(vector.vk, vector.context, vector.points, vector.gram, vector.proof);
    }

    /// @notice Whether the verifier accepts; a revert must carry an error. The gas is limited: a precompile keeps what
    /// it is given.
    function accepts(Vector memory vector) internal view returns (bool ok) {
        bytes memory answer;
        (ok, answer) = address(argument).staticcall{gas: 1_000_000}(encoded(vector));
        if (!ok) assertTrue(answer.length >= 4, "a typed error");
    }

    function encoded(Vector memory vector) internal pure returns (bytes memory) {
        return abi.encodeCall(
            UpdateArgument.verify, (vector.vk, vector.context, vector.points, vector.gram, vector.proof)
        );
    }

    function asPoints(bytes memory data) internal pure returns (Point[] memory points) {
        points = new Point[](data.length / 64);
        for (uint256 i = 0; i < points.length; ++i) {
            points[i] = Point(wordAt(data, 64 * i), wordAt(data, 64 * i + 32));
        }
    }

    function wordAt(bytes memory data, uint256 start) internal pure returns (uint256 word) {
        assertTrue(start + 32 <= data.length, "inside");
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), start))
        }
    }

    function putWord(bytes memory data, uint256 start, uint256 word) internal pure {
        assertTrue(start + 32 <= data.length, "inside");
        assembly ("memory-safe") {
            mstore(add(add(data, 0x20), start), word)
        }
    }

    function firstBytes(bytes memory data, uint256 count) internal pure returns (bytes memory cut) {
        cut = new bytes(count);
        for (uint256 i = 0; i < count; ++i) {
            cut[i] = data[i];
        }
    }

    function _nativeJson(string memory name) private view returns (string memory) {
        return vm.readFile(string.concat("../native/vectors/", name, ".json"));
    }

    function _field(string memory json, string memory name, string memory field)
        private
        pure
        returns (bytes memory)
    {
        return vm.parseJsonBytes(json, string.concat(".", name, ".", field));
    }
}
