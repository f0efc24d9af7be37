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

    /// @notice escrow + bonds + stakes + credits = balance, for each token; and it is what went in less what went out.
    function invariant_everyWeiIsAccountedFor() external view {
        address token = address(_handler.token());
        (uint256 nativeWei, uint256 tokenWei) = (_owed(address(0)), _owed(token));
        assertEq(nativeWei, address(_market).balance, "native");
        assertEq(tokenWei, _handler.token().balanceOf(address(_market)), "token");
        assertEq(nativeWei, _handler.paidInWei(address(0)) - _handler.paidOutWei(address(0)), "native flow");
        assertEq(tokenWei, _handler.paidInWei(token) - _handler.paidOutWei(token), "token flow");
    }

    /// @notice What a task took in less what it paid out is what it holds: no task lives on another's money.
    function invariant_everyTaskHoldsItsOwn() external view {
        for (uint256 id = 1; id <= _market.taskCount(); ++id) {
            TaskId taskId = TaskId.wrap(id);
            uint256 holdsWei = _handler.taskPaidInWei(taskId) - _handler.taskPaidOutWei(taskId);
            assertEq(_heldWei(id), holdsWei, "task");
        }
    }

    function invariant_aClosedTaskHoldsOnlyCredits() external view {
        for (uint256 id = 1; id <= _market.taskCount(); ++id) {
            TaskView memory task = _market.taskOf(TaskId.wrap(id));
            if (task.state == TaskState.Closed) assertEq(task.escrowWei + task.bondWei, 0, "closed");
            if (task.state == TaskState.Funded) assertEq(_creditsWei(id) + task.bondWei, 0, "funded");
            if (task.state == TaskState.Open) assertEq(task.bondWei, task.config.bondWei, "bond");
        }
    }

    function invariant_noCreditWithoutASettledRound() external view {
        for (uint256 id = 1; id <= _market.taskCount(); ++id) {
            TaskId taskId = TaskId.wrap(id);
            TaskView memory task = _market.taskOf(taskId);
            uint256 settled = _handler.settledRounds(taskId);
            assertTrue(
                _handler.rewardedWei(taskId) <= settled * task.config.rewardPerRoundWei, "paid for nothing"
            );
            if (task.state == TaskState.Open && settled == 0) {
                assertEq(_creditsWei(id), 0, "credited for nothing");
            }
        }
    }

    /// @notice Whoever has the logs has the state.
    function invariant_stateFromLogsIsStateInStorage() external view {
        LogBook book = _handler.book();
        for (uint256 id = 1; id <= _market.taskCount(); ++id) {
            _compare(id, book.entry(id), _market.taskOf(TaskId.wrap(id)));
            for (uint256 i = 0; i < _handler.accountCount(); ++i) {
                address account = _handler.accounts(i);
                bool joined = book.joined(id, account);
                TaskView memory task = _market.taskOf(TaskId.wrap(id));
                bool owed = joined && task.state == TaskState.Closed;
                (uint256 owedWei,) = _market.creditOf(TaskId.wrap(id), account);
                assertEq(book.creditWei(id, account) + (owed ? task.config.stakeWei : 0), owedWei, "credit");
                assertTrue(joined == _market.hasJoined(TaskId.wrap(id), account), "membership");
            }
        }
    }

    function _compare(uint256 id, LogBook.Entry memory told, TaskView memory task) private view {
        assertEq(uint256(told.state), uint256(task.state), "state");
        assertEq(told.owner, task.owner, "owner");
        assertEq(told.escrowWei, task.escrowWei, "escrow");
        assertEq(told.bondWei, task.bondWei, "bond");
        assertEq(told.stakesWei, _stakesWei(id), "stakes");
        assertEq(told.creditsWei, _creditsWei(id), "credits");
        assertEq(told.model, task.model, "model");
        assertEq(told.config.learningRate >> told.halvings, task.learningRate, "learning rate");
        assertEq(keccak256(abi.encode(told.config)), keccak256(abi.encode(task.config)), "config");
        assertEq(told.round, Round.unwrap(task.currentRound), "round");
        RoundView memory round = _market.roundOf(TaskId.wrap(id), task.currentRound);
        assertEq(uint256(told.roundState), uint256(round.state), "round state");
        if (task.state != TaskState.Open) return;
        assertEq(told.deadline, task.deadline, "deadline");
        if (round.state == RoundState.Committed) assertEq(told.updates, round.updates, "updates");
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

    function _owed(address token) private view returns (uint256 sumWei) {
        for (uint256 id = 1; id <= _market.taskCount(); ++id) {
            if (_market.taskOf(TaskId.wrap(id)).config.token == token) sumWei += _heldWei(id);
        }
    }

    /// @dev escrow + bond + stakes + credits.
    function _heldWei(uint256 id) private view returns (uint256) {
        TaskView memory task = _market.taskOf(TaskId.wrap(id));
        return task.escrowWei + task.bondWei + _stakesWei(id) + _creditsWei(id);
    }

    function _stakesWei(uint256 id) private view returns (uint256) {
        return _members(id) * _market.taskOf(TaskId.wrap(id)).config.stakeWei;
    }

    /// @dev Once a task is closed, `creditOf` has the stakes in it.
    function _creditsWei(uint256 id) private view returns (uint256 sumWei) {
        for (uint256 i = 0; i < _handler.accountCount(); ++i) {
            (uint256 creditWei,) = _market.creditOf(TaskId.wrap(id), _handler.accounts(i));
            sumWei += creditWei;
        }
        if (_market.taskOf(TaskId.wrap(id)).state == TaskState.Closed) sumWei -= _stakesWei(id);
    }

    function _members(uint256 id) private view returns (uint256 count) {
        for (uint256 i = 0; i < _handler.accountCount(); ++i) {
            if (_market.hasJoined(TaskId.wrap(id), _handler.accounts(i))) ++count;
        }
    }
}
