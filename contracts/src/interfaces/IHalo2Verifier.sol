// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice The reusable verifier that ezkl generates: one contract for all circuits.
interface IHalo2Verifier {
    /// @notice Makes a verifying key known. Anyone may; a task pins the digest that it trusts.
    /// @return digest keccak256 of the words.
    function registerVka(bytes32[] calldata vka) external returns (bytes32 digest);

    /// @notice Reverts on any failure. What it returns is valid ABI for the first two values only.
    function verifyProof(bytes calldata proof, uint256[] calldata instances, bytes32[] calldata vka)
        external
        returns (bool success, bytes32 digest, int256[] memory rescaledInstances);
}
