// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Market} from "../../src/Market.sol";
import {Round, RoundState, RoundView} from "../../src/types/Round.sol";
import {TaskId, TaskState, TaskView} from "../../src/types/Task.sol";
import {Test} from "../utils/Test.sol";
import {LogBook} from "./LogBook.sol";
import {MarketHandler} from "./MarketHandler.sol";

/// @notice What holds after any sequence of anybody's steps.
contract MarketInvariantTest is Test {
    uint256 private constant DRAWN_FROM = 3; // as in the handler

    MarketHandler private _handler;
    Market private _market;

    function setUp() public {
        _handler = new MarketHandler();
        _market = _handler.marketAddress();
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @dev forge asks for these two: only the handler's steps are drawn.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(_handler), selectors: _steps()});
    }

    /// @dev A campaign that never gets anywhere would hold, too.
    function test_everyStepHappens() external {
        bytes4[] memory steps = _steps();
        for (uint256 i = 0; i < 3000; ++i) {
            uint256 drawn = uint256(keccak256(abi.encode("step", i)));
            (bool ok,) =
                address(_handler).call(abi.encodeWithSelector(steps[drawn % steps.length], drawn >> 8));
            assertTrue(ok, "a step failed");
        }
        bytes32[12] memory names = [
            bytes32("create"),
            "bond",
            "join",
            "leave",
            "commit",
            "settle",
            "expire committed",
            "expire collecting",
            "cancel",
            "withdraw",
            "trespass",
            "time"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            assertTrue(_handler.done(names[i]) > 3, string(abi.encodePacked(names[i])));
        }
    }

    /// @notice One campaign for all that must hold: the books balance, nobody is credited without a settled round, and
    /// whoever has the logs has the state.
    function invariant_holdsAfterEveryStep() external view {
        address token = address(_handler.token());
        assertEq(_flowWei(address(0)), address(_market).balance, "native flow");
        assertEq(_flowWei(token), _handler.token().balanceOf(address(_market)), "token flow");
        uint256 count = _market.taskCount();
        for (uint256 id = count < DRAWN_FROM ? 1 : count + 1 - DRAWN_FROM; id <= count; ++id) {
            _check(id, _market.taskOf(TaskId.wrap(id)));
        }
    }

    /// @dev Steps change the last few tasks only, so these are looked at after every step; here, at a campaign's end,
    /// all are: the older ones stay as they were.
    function afterInvariant() external view {
        (uint256 nativeWei, uint256 tokenWei) = (0, 0);
        for (uint256 id = 1; id <= _market.taskCount(); ++id) {
            TaskView memory task = _market.taskOf(TaskId.wrap(id));
            uint256 heldWei = _check(id, task);
            if (task.config.token == address(0)) nativeWei += heldWei;
            else tokenWei += heldWei;
            bytes32 told = keccak256(abi.encode(_handler.book().config(id)));
            assertEq(told, keccak256(abi.encode(task.config)), "config");
        }
        assertEq(nativeWei, address(_market).balance, "native");
        assertEq(tokenWei, _handler.token().balanceOf(address(_market)), "token");
    }

    /// @return heldWei escrow + bond + stakes + credits.
    function _check(uint256 id, TaskView memory task) private view returns (uint256 heldWei) {
        (uint256 creditsWei, uint256 stakesWei) = _compareAccounts(id, task);
        LogBook.Entry memory told = _handler.book().entry(id);
        assertEq(told.stakesWei, stakesWei, "stakes");
        assertEq(told.creditsWei, creditsWei, "credits");
        _compare(id, told, task);
        heldWei = task.escrowWei + task.bondWei + stakesWei + creditsWei;
        _checkMoney(id, task, heldWei, creditsWei);
    }

    /// @dev escrow + bond + stakes + credits is what went into the task less what went out, so that nobody is paid twice
    /// or from another task's money. A closed task holds nothing but credits, and stakes that nobody has asked for yet.
    function _checkMoney(uint256 id, TaskView memory task, uint256 heldWei, uint256 creditsWei) private view {
        TaskId taskId = TaskId.wrap(id);
        assertEq(heldWei, _handler.taskPaidInWei(taskId) - _handler.taskPaidOutWei(taskId), "task");
        if (task.state == TaskState.Closed) assertEq(task.escrowWei + task.bondWei, 0, "closed");
        if (task.state == TaskState.Funded) assertEq(creditsWei + task.bondWei, 0, "funded");
        if (task.state == TaskState.Open) assertEq(task.bondWei, task.config.bondWei, "bond");
        uint256 settled = _handler.settledRounds(taskId);
        assertTrue(
            _handler.rewardedWei(taskId) <= settled * task.config.rewardPerRoundWei, "paid for nothing"
        );
        if (task.state == TaskState.Open && settled == 0) assertEq(creditsWei, 0, "credited for nothing");
    }

    /// @dev Each account as the logs have it. Once a task is closed, `creditOf` has the stakes in it.
    function _compareAccounts(uint256 id, TaskView memory task)
        private
        view
        returns (uint256 creditsWei, uint256 stakesWei)
    {
        LogBook book = _handler.book();
        bool closed = task.state == TaskState.Closed;
        uint256 count = _handler.accountCount();
        for (uint256 i = 0; i < count; ++i) {
            address account = _handler.accounts(i);
            bool joined = _market.hasJoined(TaskId.wrap(id), account);
            (uint256 owedWei,) = _market.creditOf(TaskId.wrap(id), account);
            uint256 stakeWei = joined ? task.config.stakeWei : 0;
            uint256 creditWei = owedWei - (closed ? stakeWei : 0);
            assertTrue(joined == book.joined(id, account), "membership");
            assertEq(book.creditWei(id, account), creditWei, "credit");
            creditsWei += creditWei;
            stakesWei += stakeWei;
        }
    }

    /// @dev State from logs = state in storage.
    function _compare(uint256 id, LogBook.Entry memory told, TaskView memory task) private view {
        assertEq(uint256(told.state), uint256(task.state), "state");
        assertEq(told.owner, task.owner, "owner");
        assertEq(told.escrowWei, task.escrowWei, "escrow");
        assertEq(told.bondWei, task.bondWei, "bond");
        assertEq(told.model, task.model, "model");
        assertEq(uint256(task.config.learningRate) >> told.halvings, task.learningRate, "learning rate");
        assertEq(told.round, Round.unwrap(task.currentRound), "round");
        RoundView memory round = _market.roundOf(TaskId.wrap(id), task.currentRound);
        assertEq(uint256(told.roundState), uint256(round.state), "round state");
        if (task.state != TaskState.Open) return;
        assertEq(told.deadline, task.deadline, "deadline");
        if (round.state == RoundState.Committed) assertEq(told.updates, round.updates, "updates");
    }

    function _flowWei(address token) private view returns (uint256) {
        return _handler.paidInWei(token) - _handler.paidOutWei(token);
    }

    function _steps() private pure returns (bytes4[] memory steps) {
        steps = new bytes4[](11);
        steps[0] = MarketHandler.createTask.selector;
        steps[1] = MarketHandler.postBond.selector;
        steps[2] = MarketHandler.joinTask.selector;
        steps[3] = MarketHandler.commitRound.selector;
        steps[4] = MarketHandler.settleRound.selector;
        steps[5] = MarketHandler.expireRound.selector;
        steps[6] = MarketHandler.closeTask.selector;
        steps[7] = MarketHandler.withdraw.selector;
        steps[8] = MarketHandler.trespass.selector;
        steps[9] = MarketHandler.passTime.selector;
        steps[10] = MarketHandler.leaveTask.selector;
    }
}
