// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "./IMarket.sol";
import {Round, Settlement} from "../types/Round.sol";
import {TaskId} from "../types/Task.sol";

/// @notice An object's key, wrapped for one receiver (docs/encryption.md).
/// @param objectId Follows from the key: a receiver sees whether it was given the right one.
/// @param cid Where the sealed object is (binary CIDv1, 1..128 bytes).
/// @param wrappedKey 101 bytes: the receiver's address, an ephemeral public key, the sealed key.
struct KeyShare {
    bytes32 objectId;
    bytes cid;
    bytes wrappedKey;
}

/// @title Where keys of sealed objects are handed over in public
/// @notice Keeps nothing and decides nothing: whoever is given a key finds it in the log, and checks it by opening it.
interface IKeyBoard {
    /// @notice A key was handed to `receiver`. Anyone can say so; only the right key opens the object.
    event KeyShared(
        bytes32 indexed objectId,
        address indexed receiver,
        address indexed sender,
        bytes cid,
        bytes wrappedKey
    );

    /// @notice Thrown when a CID is empty or longer than 128 bytes, or a wrapped key has not 101 bytes.
    error InvalidShare(bytes32 field, uint256 lengthBytes);

    /// @notice Hands keys over.
    function share(KeyShare[] calldata shares) external;

    /// @notice Settles a round and hands keys over, both or neither: the keys of the model that a round leads to
    /// become known in the transaction that books its pay.
    function settleAndShare(
        IMarket market,
        TaskId taskId,
        Round round,
        Settlement calldata settlement,
        KeyShare[] calldata shares
    ) external;
}
