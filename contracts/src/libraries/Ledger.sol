// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Task} from "../types/Task.sol";

/// @title Who is owed what
/// @notice Every wei of a task is in exactly one of escrow, bond, stakes and credits; these functions only move it between
/// them. Amounts fit 128 bits since reward and bond of a task together do (TaskTerms), and the sums are checked.
library Ledger {
    /// @notice floor(reward * score / sum of scores) for each of the first `count` slots; all 0 if the sum is.
    /// @dev reward < 2^128 and score < 2^64, so nothing overflows.
    function byScore(uint128 rewardWei, uint64[] calldata scores, uint256 count)
        internal
        pure
        returns (uint256[] memory shares)
    {
        shares = new uint256[](count);
        uint256 sum = 0;
        // Safe: see above; indices are below the lengths, and checked.
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                shares[i] = scores[i];
                sum += shares[i];
            }
            if (sum == 0) return shares;
            for (uint256 i = 0; i < count; ++i) {
                shares[i] = uint256(rewardWei) * shares[i] / sum;
            }
        }
    }

    /// @notice `amountWei` in `count` >= 1 parts that differ by at most one wei, the larger ones first.
    /// @dev Nothing is left over: an owner who is also the aggregator must not get a remainder of the bond back.
    function equally(uint128 amountWei, uint256 count) internal pure returns (uint256[] memory shares) {
        shares = new uint256[](count);
        uint256 larger = amountWei % count;
        for (uint256 i = 0; i < count; ++i) {
            shares[i] = amountWei / count + (i < larger ? 1 : 0);
        }
    }

    /// @notice Moves shares of the escrow to accounts.
    function creditFromEscrow(Task storage task, address[] calldata accounts, uint256[] memory shares)
        internal
    {
        task.escrowWei -= _credit(task, accounts, shares);
    }

    /// @notice Moves shares of the bond to accounts.
    function creditFromBond(Task storage task, address[] calldata accounts, uint256[] memory shares)
        internal
    {
        task.bondWei -= _credit(task, accounts, shares);
    }

    /// @notice Moves what is left of escrow and bond to owner and aggregator.
    function refund(Task storage task) internal returns (uint128 escrowWei, uint128 bondWei) {
        (escrowWei, bondWei) = (task.escrowWei, task.bondWei);
        (task.escrowWei, task.bondWei) = (0, 0);
        task.accounts[task.owner].creditWei += escrowWei;
        task.accounts[task.config.aggregator].creditWei += bondWei;
        task.creditsWei += escrowWei + bondWei;
    }

    /// @notice Enters an account with the task's stake.
    function enter(Task storage task, address account) internal returns (uint128 stakeWei) {
        stakeWei = task.config.stakeWei;
        task.accounts[account].joined = true;
        if (stakeWei != 0) task.stakesWei += stakeWei;
    }

    /// @notice Takes a member and its stake out of the books, to be paid out.
    function leave(Task storage task, address account) internal returns (uint128 stakeWei) {
        stakeWei = task.config.stakeWei;
        task.accounts[account].joined = false;
        if (stakeWei != 0) task.stakesWei -= stakeWei;
    }

    /// @notice Takes an account's credit out of the books, to be paid out.
    function take(Task storage task, address account) internal returns (uint128 amountWei) {
        amountWei = task.accounts[account].creditWei;
        task.accounts[account].creditWei = 0;
        task.creditsWei -= amountWei;
    }

    function _credit(Task storage task, address[] calldata accounts, uint256[] memory shares)
        private
        returns (uint128 total)
    {
        for (uint256 i = 0; i < shares.length; ++i) {
            // Each share is at most the 128-bit amount that it is a share of.
            uint128 share = uint128(shares[i]);
            if (share == 0) continue;
            task.accounts[accounts[i]].creditWei += share;
            total += share;
        }
        task.creditsWei += total;
    }
}
