// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IKeyBoard, KeyShare} from "./interfaces/IKeyBoard.sol";
import {IMarket} from "./interfaces/IMarket.sol";
import {Round, Settlement} from "./types/Round.sol";
import {TaskId} from "./types/Task.sol";

/// @title Key board: events only
contract KeyBoard is IKeyBoard {
    uint256 private constant MAX_CID_BYTES = 128;
    uint256 private constant WRAPPED_KEY_BYTES = 101;

    /// @inheritdoc IKeyBoard
    function share(KeyShare[] calldata shares) external {
        _share(shares);
    }

    /// @inheritdoc IKeyBoard
    function settleAndShare(
        IMarket market,
        TaskId taskId,
        Round round,
        Settlement calldata settlement,
        KeyShare[] calldata shares
    ) external {
        _share(shares);
        market.settleRound(taskId, round, settlement);
    }

    function _share(KeyShare[] calldata shares) private {
        for (uint256 i = 0; i < shares.length; ++i) {
            KeyShare calldata given = shares[i];
            uint256 cidBytes = given.cid.length;
            if (cidBytes == 0 || cidBytes > MAX_CID_BYTES) revert InvalidShare("cid", cidBytes);
            if (given.wrappedKey.length != WRAPPED_KEY_BYTES) {
                revert InvalidShare("wrappedKey", given.wrappedKey.length);
            }
            // Safe: a wrapped key begins with its receiver.
            address receiver = address(bytes20(given.wrappedKey[:20]));
            emit KeyShared(given.objectId, receiver, msg.sender, given.cid, given.wrappedKey);
        }
    }
}
