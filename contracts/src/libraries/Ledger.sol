// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../interfaces/IMarket.sol";
import {Account, Progress, Task} from "../types/Task.sol";

/// @title Who is owed what
/// @notice Every wei of a task is in exactly one of escrow, bond, stakes and credits; these functions only move it
/// between them. Amounts fit 128 bits since reward and bond of a task together do (TaskTerms); what an account has is
/// checked all the same.
library Ledger {
    /// @notice floor(reward * score / sum of scores) for each of the first `count` slots; all 0 if the sum is.
    /// @dev reward < 2^128 and score < 2^64, so nothing overflows.
    function byScore(uint128 rewardWei, uint64[] calldata scores, uint256 count)
        internal
        pure
        returns (uint256[] memory shares)
    {
        if (scores.length < count) revert IMarket.WrongLength("scores", scores.length, count);
        shares = new uint256[](count);
        // Safe: reads the first `count` scores, which exist, and writes as many words of `shares`. See above for size.
        assembly ("memory-safe") {
            let first := add(shares, 0x20)
            let end := add(first, shl(5, count))
            let ahead := sub(scores.offset, first)
            let sum := 0
            for { let at := first } lt(at, end) { at := add(at, 0x20) } {
                let score := and(calldataload(add(at, ahead)), 0xffffffffffffffff)
                mstore(at, score)
                sum := add(sum, score)
            }
            if sum {
                for { let at := first } lt(at, end) { at := add(at, 0x20) } {
                    mstore(at, div(mul(rewardWei, mload(at)), sum))
                }
            }
        }
    }

    /// @notice `amountWei` in parts that differ by at most one wei, the larger ones first, for entries `first` to
    /// `count` - 1, of which there is one at least; 0 for those before.
    /// @dev Nothing is left over: an owner who is also the aggregator must not get a remainder of the bond back.
    function equally(uint128 amountWei, uint256 first, uint256 count)
        internal
        pure
        returns (uint256[] memory shares)
    {
        shares = new uint256[](count);
        uint256 parts = count - first;
        uint256 larger = first + amountWei % parts;
        for (uint256 i = first; i < count; ++i) {
            shares[i] = amountWei / parts + (i < larger ? 1 : 0);
        }
    }

    /// @notice Moves shares of the escrow to accounts. The caller stores `progress`.
    function creditFromEscrow(
        Task storage task,
        Progress memory progress,
        address[] calldata accounts,
        uint256[] memory shares
    ) internal {
        progress.escrowWei -= credit(task, accounts, shares);
    }

    /// @notice Moves what is left of the escrow to the owner, and of the bond to the aggregator. The caller stores
    /// `progress`.
    function refund(Task storage task, Progress memory progress, uint128 bondWei)
        internal
        returns (uint128 escrowWei)
    {
        escrowWei = progress.escrowWei;
        progress.escrowWei = 0;
        task.accounts[task.owner].creditWei += escrowWei;
        task.accounts[task.config.aggregator].creditWei += bondWei;
    }

    /// @notice Enters an account with the task's stake.
    function enter(Task storage task, address account) internal returns (uint128 stakeWei) {
        stakeWei = task.config.stakeWei;
        task.accounts[account].joined = true;
    }

    /// @notice Takes a member and its stake out of the books, to be paid out.
    function leave(Task storage task, address account) internal returns (uint128 stakeWei) {
        stakeWei = task.config.stakeWei;
        task.accounts[account].joined = false;
    }

    /// @notice Takes an account's credit out of the books, to be paid out.
    function take(Task storage task, address account) internal returns (uint128 amountWei) {
        amountWei = task.accounts[account].creditWei;
        task.accounts[account].creditWei = 0;
    }

    /// @notice Credits accounts with shares of an amount of at most 128 bits.
    function credit(Task storage task, address[] calldata accounts, uint256[] memory shares)
        internal
        returns (uint128 total)
    {
        // Safe: each share is at most the 128-bit amount that it is a share of, and so is their sum; only what an
        // account may have from elsewhere is checked.
        unchecked {
            for (uint256 i = 0; i < shares.length; ++i) {
                uint128 share = uint128(shares[i]);
                if (share == 0) continue;
                total += share;
                _add(task.accounts[accounts[i]], share);
            }
        }
    }

    function _add(Account storage account, uint128 amountWei) private {
        account.creditWei += amountWei;
    }
}
