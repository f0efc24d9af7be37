// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Ledger} from "../src/libraries/Ledger.sol";
import {Progress, Task} from "../src/types/Task.sol";
import {Test} from "./utils/Test.sol";

contract LedgerTest is Test {
    using Ledger for Task;

    Task private _task;

    function byScore(uint128 rewardWei, uint64[] calldata scores, uint256 count)
        external
        pure
        returns (uint256[] memory)
    {
        return Ledger.byScore(rewardWei, scores, count);
    }

    function creditFromEscrow(address[] calldata accounts, uint256[] calldata shares) external {
        Progress memory progress = _task.progress;
        _task.creditFromEscrow(progress, accounts, shares);
        _task.progress = progress;
    }

    function testFuzz_sharesAreFlooredAndNeverExceedTheReward(uint128 rewardWei, uint64[8] memory drawn)
        public
        view
    {
        uint64[] memory scores = new uint64[](8);
        uint256 sum;
        for (uint256 i = 0; i < 8; ++i) {
            scores[i] = drawn[i];
            sum += drawn[i];
        }
        uint256[] memory shares = this.byScore(rewardWei, scores, 8);
        uint256 total;
        for (uint256 i = 0; i < 8; ++i) {
            total += shares[i];
            if (sum == 0) {
                assertEq(shares[i], 0, "share of nothing");
                continue;
            }
            // floor: share * sum <= reward * score < (share + 1) * sum
            assertTrue(shares[i] * sum <= uint256(rewardWei) * scores[i], "share too large");
            assertTrue((shares[i] + 1) * sum > uint256(rewardWei) * scores[i], "share too small");
        }
        assertTrue(total <= rewardWei, "more than the reward");
        if (sum != 0) assertTrue(rewardWei - total < 8, "remainder of a share or more");
    }

    function test_noScoreNoPay() public view {
        uint256[] memory shares = this.byScore(1000, new uint64[](3), 3);
        assertEq(shares[0] + shares[1] + shares[2], 0, "paid");
    }

    function test_everyShareNeedsAScore() public {
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongLength.selector, bytes32("scores"), 2, 3));
        this.byScore(1000, new uint64[](2), 3);
    }

    function test_largestAmountsDoNotOverflow() public view {
        uint64[] memory scores = new uint64[](32);
        for (uint256 i = 0; i < 32; ++i) {
            scores[i] = type(uint64).max;
        }
        uint256[] memory shares = this.byScore(type(uint128).max, scores, 32);
        assertEq(shares[0], uint256(type(uint128).max) / 32, "share");
    }

    function testFuzz_equalPartsLeaveNothing(uint128 amountWei, uint256 first, uint256 count) public pure {
        first = bound(first, 0, 1);
        count = bound(count, 1 + first, 32);
        uint256[] memory shares = Ledger.equally(amountWei, first, count);
        uint256 total;
        for (uint256 i = first; i < count; ++i) {
            total += shares[i];
            assertTrue(shares[first] - shares[i] <= 1, "unequal");
        }
        if (first == 1) assertEq(shares[0], 0, "an anchor's share");
        assertEq(total, amountWei, "total");
    }

    function test_cannotCreditMoreThanTheEscrow() public {
        _task.progress.escrowWei = 10;
        address[] memory accounts = new address[](2);
        (accounts[0], accounts[1]) = (address(1), address(2));
        uint256[] memory shares = new uint256[](2);
        (shares[0], shares[1]) = (6, 5);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        this.creditFromEscrow(accounts, shares);
    }

    function test_onePersonInTwoRolesIsCreditedTwice() public {
        _task.owner = address(1);
        _task.config.aggregator = address(1);
        Progress memory progress;
        progress.escrowWei = 10;
        assertEq(_task.refund(progress, 5), 10, "refunded");
        assertEq(progress.escrowWei, 0, "escrow");
        assertEq(_task.accounts[address(1)].creditWei, 15, "credit");
        assertEq(_task.take(address(1)), 15, "taken");
        assertEq(_task.accounts[address(1)].creditWei, 0, "credit left");
        assertEq(_task.take(address(1)), 0, "taken again");
    }
}
