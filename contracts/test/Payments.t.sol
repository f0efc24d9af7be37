// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {IMarket} from "../src/interfaces/IMarket.sol";
import {Round, Settlement} from "../src/types/Round.sol";
import {TaskConfig, TaskId} from "../src/types/Task.sol";
import {BombingPayee, BurningAccount, ReentrantPayee, RefusingPayee} from "./utils/Accounts.sol";
import {MarketFixture} from "./utils/MarketFixture.sol";
import {
    CallbackToken,
    FeeToken,
    GriefingToken,
    PlainToken,
    RefusingToken,
    SilentToken
} from "./utils/Tokens.sol";

/// @notice Money in and money out, in native currency and in tokens of every temper.
contract PaymentsTest is MarketFixture {
    bytes4 private constant REENTRANT = bytes4(keccak256("ReentrancyGuardReentrantCall()"));

    // ------------------------------------------------------------- withdraw

    function test_withdrawPaysOnceAndAnyoneMayTriggerIt() public {
        TaskId taskId = _closedWithAllPaidToFirst(defaultConfig());
        vm.expectEmit(address(market));
        emit IMarket.Withdrawn(taskId, trainer(0), ROUNDS * REWARD);
        vm.prank(ANYONE);
        assertEq(market.withdraw(taskId, trainer(0)), ROUNDS * REWARD, "amount");
        assertEq(trainer(0).balance, ROUNDS * REWARD, "balance");
        vm.expectRevert(abi.encodeWithSelector(IMarket.NothingToWithdraw.selector, taskId, trainer(0)));
        market.withdraw(taskId, trainer(0));
        assertEq(address(market).balance, BOND, "left");
        market.withdraw(taskId, AGGREGATOR);
        assertEq(address(market).balance, 0, "balance of the market");
    }

    function test_creditsAreLockedUntilTheTaskIsClosed() public {
        TaskId taskId = committed(2);
        _settleForFirst(taskId, 0);
        (uint256 amountWei, bool claimable) = market.creditOf(taskId, trainer(0));
        assertEq(amountWei, REWARD, "credit");
        assertTrue(!claimable, "claimable");
        vm.expectRevert(abi.encodeWithSelector(IMarket.CreditLocked.selector, taskId));
        market.withdraw(taskId, trainer(0));
    }

    function test_creditsAreClaimableByTheRoundWhereTheTaskSaysSo() public {
        TaskConfig memory config = defaultConfig();
        config.payByRound = true;
        TaskId taskId = open(config, 2);
        commit(taskId, 0, 2);
        _settleForFirst(taskId, 0);
        (, bool claimable) = market.creditOf(taskId, trainer(0));
        assertTrue(claimable, "locked");
        assertEq(market.withdraw(taskId, trainer(0)), REWARD, "amount");
        vm.expectRevert(abi.encodeWithSelector(IMarket.NothingToWithdraw.selector, taskId, AGGREGATOR));
        market.withdraw(taskId, AGGREGATOR); // the bond is still at work
    }

    function test_oneTaskCannotPayFromAnother() public {
        TaskId first = _closedWithAllPaidToFirst(defaultConfig());
        TaskId second = open(defaultConfig(), 0);
        market.withdraw(first, trainer(0));
        market.withdraw(first, AGGREGATOR);
        assertEq(address(market).balance, ROUNDS * REWARD + BOND, "balance");
        assertEq(market.taskOf(second).escrowWei, ROUNDS * REWARD, "escrow");
    }

    function test_reentrantPayeeIsPaidOnce() public {
        ReentrantPayee payee = new ReentrantPayee(market);
        TaskConfig memory config = defaultConfig();
        config.aggregator = address(payee);
        TaskId taskId = create(config);
        payee.join(taskId);
        vm.deal(address(payee), BOND);
        vm.prank(address(payee));
        market.postBond{value: BOND}(taskId);
        vm.warp(START + COMMIT_WINDOW + 1);
        Settlement memory none = settlement(0, 0, 4);
        market.expireRound(taskId, Round.wrap(0), none.trainers, none.points);
        market.withdraw(taskId, address(payee));
        assertEq(address(payee).balance, BOND, "balance");
        assertEq(keccak256(payee.answer()), keccak256(abi.encodeWithSelector(REENTRANT)), "second call");
    }

    function test_refusingPayeeHarmsOnlyItself() public {
        address payee = address(new RefusingPayee());
        TaskId taskId = _expiredWithBondOf(payee);
        vm.expectRevert(abi.encodeWithSelector(Errors.FailedCall.selector));
        market.withdraw(taskId, payee);
        assertEq(credit(taskId, payee), BOND, "credit");
        assertEq(market.withdraw(taskId, OWNER), ROUNDS * REWARD, "owner");
    }

    /// @dev Enough gas is left to say so, and nobody else waits for the account.
    function test_payeeThatBurnsItsGasHarmsOnlyItself() public {
        address payee = address(new BurningAccount());
        TaskId taskId = _expiredWithBondOf(payee);
        vm.expectRevert(abi.encodeWithSelector(Errors.FailedCall.selector));
        market.withdraw{gas: 2_000_000}(taskId, payee);
        assertEq(credit(taskId, payee), BOND, "credit");
        assertEq(market.withdraw(taskId, OWNER), ROUNDS * REWARD, "owner");
    }

    /// @dev The megabyte costs the payee 2.2 million gas to make. Copying it would cost as much again.
    function test_payeesReturnDataIsNotRead() public {
        address payee = address(new BombingPayee(false));
        TaskId taskId = _expiredWithBondOf(payee);
        assertEq(market.withdraw{gas: 3_000_000}(taskId, payee), BOND, "amount");
        assertEq(payee.balance, BOND, "balance");
    }

    function test_payeeThatRefusesWithAMegabyteHarmsOnlyItself() public {
        address payee = address(new BombingPayee(true));
        TaskId taskId = _expiredWithBondOf(payee);
        vm.expectRevert();
        market.withdraw{gas: 3_000_000}(taskId, payee);
        assertEq(credit(taskId, payee), BOND, "credit");
        assertEq(market.withdraw(taskId, OWNER), ROUNDS * REWARD, "owner");
    }

    function test_marketTakesNoStrayCurrency() public {
        (bool ok,) = address(market).call{value: 0}("");
        assertTrue(!ok, "accepted");
    }

    // --------------------------------------------------------------- tokens

    function test_wholeLifeInAToken() public {
        PlainToken token = new PlainToken();
        TaskConfig memory config = _inToken(address(token), token.mint);
        TaskId taskId = _closedWithAllPaidToFirst(config);
        assertEq(token.balanceOf(address(market)), ROUNDS * REWARD + BOND, "market");
        market.withdraw(taskId, trainer(0));
        market.withdraw(taskId, AGGREGATOR);
        assertEq(token.balanceOf(trainer(0)), ROUNDS * REWARD, "trainer");
        assertEq(token.balanceOf(AGGREGATOR), BOND, "aggregator");
        assertEq(token.balanceOf(address(market)), 0, "left");
    }

    function test_silentTokensWork() public {
        SilentToken token = new SilentToken();
        TaskConfig memory config = _inToken(address(token), token.mint);
        TaskId taskId = _closedWithAllPaidToFirst(config);
        market.withdraw(taskId, trainer(0));
        assertEq(token.balanceOf(trainer(0)), ROUNDS * REWARD, "trainer");
    }

    function test_feeOnTransferIsRefusedByName() public {
        FeeToken token = new FeeToken();
        TaskConfig memory config = _inToken(address(token), token.mint);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMarket.FeeOnTransferToken.selector, address(token), ROUNDS * REWARD, ROUNDS * REWARD - 1
            )
        );
        _createInToken(config);
    }

    function test_tokensThatRefuseOrAreNoneFail() public {
        RefusingToken token = new RefusingToken();
        TaskConfig memory config = _inToken(address(token), token.mint);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        _createInToken(config);
        config.token = address(0xDEAD);
        vm.expectRevert();
        _createInToken(config);
    }

    function test_noNativeCurrencyWithATokenTask() public {
        PlainToken token = new PlainToken();
        TaskConfig memory config = _inToken(address(token), token.mint);
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongValue.selector, 0, 1));
        vm.prank(OWNER);
        market.createTask{value: 1}(config, genesisCid, "rule");
        TaskId taskId = _createInToken(config);
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongValue.selector, 0, 1));
        vm.prank(AGGREGATOR);
        market.postBond{value: 1}(taskId);
    }

    function test_tokenThatBurnsGasOnTheWayOutLosesNoCredit() public {
        GriefingToken token = new GriefingToken();
        TaskConfig memory config = _inToken(address(token), token.mint);
        TaskId taskId = _closedWithAllPaidToFirst(config);
        token.setManners(true, false);
        vm.expectRevert();
        market.withdraw{gas: 2_000_000}(taskId, trainer(0));
        assertEq(credit(taskId, trainer(0)), ROUNDS * REWARD, "credit");
        token.setManners(false, false);
        assertEq(market.withdraw(taskId, trainer(0)), ROUNDS * REWARD, "later");
    }

    /// @dev As with a payee's.
    function test_tokensReturnDataIsNotRead() public {
        GriefingToken token = new GriefingToken();
        TaskConfig memory config = _inToken(address(token), token.mint);
        TaskId taskId = _closedWithAllPaidToFirst(config);
        token.setManners(false, true);
        assertEq(market.withdraw{gas: 3_000_000}(taskId, trainer(0)), ROUNDS * REWARD, "amount");
        assertEq(token.balanceOf(trainer(0)), ROUNDS * REWARD, "balance");
    }

    function test_tokensCannotReenter() public {
        CallbackToken token = new CallbackToken();
        TaskConfig memory config = _inToken(address(token), token.mint);
        token.setCallback(address(market), abi.encodeCall(IMarket.joinTask, (TaskId.wrap(1), noProof())));
        TaskId taskId = _createInToken(config);
        _assertTurnedAway(token);
        vm.prank(AGGREGATOR);
        market.postBond(taskId);
        _assertTurnedAway(token);
        vm.warp(START + COMMIT_WINDOW + 1);
        Settlement memory none = settlement(0, 0, 4);
        market.expireRound(taskId, Round.wrap(0), none.trainers, none.points);
        token.setCallback(address(market), abi.encodeCall(IMarket.withdraw, (taskId, OWNER)));
        market.withdraw(taskId, OWNER);
        _assertTurnedAway(token);
        assertEq(token.balanceOf(address(market)), BOND, "paid twice");
    }

    /// @dev While a token moves, no state-changing call gets in, not even one that would be refused anyway.
    function test_nothingIsEnteredWhileATokenMoves() public {
        CallbackToken token = new CallbackToken();
        TaskConfig memory config = _inToken(address(token), token.mint);
        TaskId one = TaskId.wrap(1);
        Round first = Round.wrap(0);
        Settlement memory none = settlement(0, 0, 4);
        bytes[9] memory calls = [
            abi.encodeCall(IMarket.createTask, (config, genesisCid, "rule")),
            abi.encodeCall(IMarket.postBond, (one)),
            abi.encodeCall(IMarket.joinTask, (one, noProof())),
            abi.encodeCall(IMarket.leaveTask, (one)),
            abi.encodeCall(IMarket.closeTask, (one)),
            abi.encodeCall(IMarket.commitRound, (one, first, emptyUpdates(0))),
            abi.encodeCall(IMarket.settleRound, (one, first, none)),
            abi.encodeCall(IMarket.expireRound, (one, first, none.trainers, none.points)),
            abi.encodeCall(IMarket.withdraw, (one, OWNER))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            token.mint(OWNER, ROUNDS * REWARD);
            token.setCallback(address(market), calls[i]);
            _createInToken(config);
            _assertTurnedAway(token);
        }
    }

    // -------------------------------------------------------------- helpers

    function _assertTurnedAway(CallbackToken token) private view {
        assertTrue(!token.entered(), "entered");
        assertEq(keccak256(token.answer()), keccak256(abi.encodeWithSelector(REENTRANT)), "reason");
    }

    /// @dev The aggregator gets its bond back.
    function _expiredWithBondOf(address aggregator) private returns (TaskId taskId) {
        TaskConfig memory config = defaultConfig();
        config.aggregator = aggregator;
        taskId = create(config);
        vm.deal(aggregator, BOND);
        vm.prank(aggregator);
        market.postBond{value: BOND}(taskId);
        vm.warp(START + COMMIT_WINDOW + 1);
        Settlement memory none = settlement(0, 0, 4);
        market.expireRound(taskId, Round.wrap(0), none.trainers, none.points);
    }

    function _settleForFirst(TaskId taskId, uint256 round) private {
        Settlement memory given = settlement(round, 2, 4);
        acceptFirst(given, 1, 1);
        settle(taskId, round, given);
    }

    function _closedWithAllPaidToFirst(TaskConfig memory config) private returns (TaskId taskId) {
        bool native = config.token == address(0);
        taskId = native ? create(config) : _createInToken(config);
        vm.prank(AGGREGATOR);
        market.postBond{value: native ? BOND : 0}(taskId);
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(trainer(i));
            market.joinTask(taskId, noProof());
        }
        for (uint256 round = 0; round < ROUNDS; ++round) {
            commit(taskId, round, 2);
            _settleForFirst(taskId, round);
        }
    }

    function _inToken(address token, function(address, uint256) external mint)
        private
        returns (TaskConfig memory config)
    {
        config = defaultConfig();
        config.token = token;
        mint(OWNER, ROUNDS * REWARD);
        mint(AGGREGATOR, BOND);
        vm.prank(OWNER);
        IERC20(token).approve(address(market), type(uint256).max);
        vm.prank(AGGREGATOR);
        IERC20(token).approve(address(market), type(uint256).max);
    }

    function _createInToken(TaskConfig memory config) private returns (TaskId) {
        vm.prank(OWNER);
        return market.createTask(config, genesisCid, "rule");
    }
}
