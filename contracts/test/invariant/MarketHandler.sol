// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../../src/interfaces/IMarket.sol";
import {Market} from "../../src/Market.sol";
import {Point} from "../../src/types/Point.sol";
import {Round, RoundState, Settlement} from "../../src/types/Round.sol";
import {TaskConfig, TaskId, TaskState, TaskView} from "../../src/types/Task.sol";
import {MarketFixture, Submission} from "../utils/MarketFixture.sol";
import {LogBook} from "./LogBook.sol";
import {PlainToken} from "../utils/Tokens.sol";

/// @notice Plays every role at random. A step that does not fit the state of the task that it drew does nothing.
contract MarketHandler is MarketFixture {
    uint256 private constant TRAINERS = 5;
    uint256 private constant SLOTS = 4;
    uint256 private constant DRAWN_FROM = 3;
    address private constant SELF_DEALER = address(0x5E1F); // owner and aggregator of some tasks

    PlainToken public token;
    LogBook public book;
    address[] public accounts;
    uint256 private _nextScalar = 1000;

    mapping(address token => uint256) public paidInWei;
    mapping(address token => uint256) public paidOutWei;
    mapping(TaskId taskId => uint256) public taskPaidInWei;
    mapping(TaskId taskId => uint256) public taskPaidOutWei;
    mapping(TaskId taskId => uint256) public rewardedWei;
    mapping(TaskId taskId => uint256) public settledRounds;
    mapping(bytes32 step => uint256) public done;

    mapping(TaskId taskId => address[]) private _committedTrainers;
    mapping(TaskId taskId => Point[]) private _committedPoints;

    constructor() {
        setUp();
        token = new PlainToken();
        book = new LogBook();
        accounts.push(OWNER);
        accounts.push(AGGREGATOR);
        accounts.push(SELF_DEALER);
        for (uint256 i = 0; i < TRAINERS; ++i) {
            accounts.push(trainer(i));
        }
        for (uint256 i = 0; i < accounts.length; ++i) {
            vm.deal(accounts[i], 1e30);
            token.mint(accounts[i], 1e30);
            vm.prank(accounts[i]);
            token.approve(address(market), type(uint256).max);
        }
    }

    /// @dev Every step's logs go into the book.
    modifier logged() {
        vm.recordLogs();
        _;
        book.read(vm.getRecordedLogs(), address(market));
    }

    function marketAddress() external view returns (Market) {
        return market;
    }

    function accountCount() external view returns (uint256) {
        return accounts.length;
    }

    // ---------------------------------------------------------------- steps

    function createTask(uint256 seed) external logged {
        if (_live() == DRAWN_FROM) return; // so that tasks get somewhere before they are forgotten
        TaskConfig memory config = defaultConfig();
        config.token = seed % 2 == 0 ? address(0) : address(token);
        config.rounds = uint32(1 + (seed >> 8) % 4);
        config.rewardPerRoundWei = uint128(1 + (seed >> 16) % 1e6);
        config.bondWei = config.rewardPerRoundWei + uint128((seed >> 40) % 1e6);
        config.quorum = uint8(1 + (seed >> 64) % 3);
        config.payByRound = (seed >> 72) % 2 == 0;
        config.stakeWei = uint128((seed >> 80) % 3) * 500;
        (config.learningRate, config.patience) = (1 << 40, uint16((seed >> 84) % 3));
        config.targetNorm = uint96((seed >> 88) % 2) * 50;
        bool selfDealing = (seed >> 73) % 4 == 0;
        if (selfDealing) config.aggregator = SELF_DEALER;

        uint256 amountWei = uint256(config.rewardPerRoundWei) * config.rounds;
        vm.prank(selfDealing ? SELF_DEALER : OWNER);
        TaskId taskId =
            market.createTask{value: config.token == address(0) ? amountWei : 0}(config, genesisCid, "rule");
        _paidIn(taskId, config.token, amountWei);
        _count("create");
    }

    function postBond(uint256 seed) external logged {
        (bool found, TaskId taskId, TaskView memory task) = _draw(seed);
        if (!found || task.state != TaskState.Funded) return;
        bool native = task.config.token == address(0);
        vm.prank(task.config.aggregator);
        market.postBond{value: native ? task.config.bondWei : 0}(taskId);
        _paidIn(taskId, task.config.token, task.config.bondWei);
        _count("bond");
    }

    function joinTask(uint256 seed) external logged {
        (bool found, TaskId taskId, TaskView memory task) = _draw(seed);
        if (!found || task.state == TaskState.Closed) return;
        for (uint256 i = 0; i < TRAINERS; ++i) {
            if ((seed >> (128 + i)) & 1 == 0 || market.hasJoined(taskId, trainer(i))) continue;
            bool native = task.config.token == address(0);
            vm.prank(trainer(i));
            market.joinTask{value: native ? task.config.stakeWei : 0}(taskId, noProof());
            _paidIn(taskId, task.config.token, task.config.stakeWei);
        }
        _count("join");
    }

    function leaveTask(uint256 seed) external logged {
        (bool found, TaskId taskId, TaskView memory task) = _draw(seed);
        address who = trainer((seed >> 128) % TRAINERS);
        if (!found || task.state != TaskState.Funded || !market.hasJoined(taskId, who)) return;
        if ((seed >> 160) % 4 != 0) return; // seldom: somebody should be left
        vm.prank(who);
        market.leaveTask(taskId);
        _paidOut(taskId, task.config.token, task.config.stakeWei);
        _count("leave");
    }

    function commitRound(uint256 seed) external logged {
        (bool found, TaskId taskId, TaskView memory task) = _draw(seed);
        if (!found || task.roundState != RoundState.Collecting || block.timestamp > task.deadline) return;
        Submission[] memory list = new Submission[](SLOTS);
        uint256 count;
        delete _committedTrainers[taskId];
        delete _committedPoints[taskId];
        for (uint256 i = 0; i < TRAINERS && count < SLOTS; ++i) {
            if (!market.hasJoined(taskId, trainer(i)) || (seed >> (128 + i)) % 4 == 0) continue;
            Submission memory one = list[count++];
            one.trainer = trainer(i);
            one.point = pointOf(
                _nextScalar = scalarFor(Round.unwrap(task.currentRound), task.config.rounds, _nextScalar + 1)
            );
            one.cid = "cid";
            one.signature = signed(taskId, Round.unwrap(task.currentRound), i, one.point, one.cid);
            _committedTrainers[taskId].push(one.trainer);
            _committedPoints[taskId].push(one.point);
        }
        if (count < task.config.quorum) return;
        // Safe: shortens an array in memory.
        assembly ("memory-safe") {
            mstore(list, count)
        }
        vm.prank(task.config.aggregator);
        commitList(taskId, task.currentRound, list);
        _count("commit");
    }

    function settleRound(uint256 seed) external logged {
        (bool found, TaskId taskId, TaskView memory task) = _draw(seed);
        if (!found || task.roundState != RoundState.Committed || block.timestamp > task.deadline) return;
        Settlement memory given = _settlement(taskId, seed);
        uint256 before = _trainersCredit(taskId);
        vm.prank(ANYONE);
        market.settleRound(taskId, task.currentRound, given);
        uint256 addedWei = _trainersCredit(taskId) - before;
        rewardedWei[taskId] += addedWei;
        ++settledRounds[taskId];
        assertTrue(addedWei <= task.config.rewardPerRoundWei, "a round paid more than its reward");
        _count("settle");
    }

    function expireRound(uint256 seed) external logged {
        (bool found, TaskId taskId, TaskView memory task) = _draw(seed);
        if (!found || task.state != TaskState.Open || block.timestamp <= task.deadline) return;
        bool committed_ = task.roundState == RoundState.Committed;
        address[] memory trainers = committed_ ? _committedTrainers[taskId] : new address[](0);
        Point[] memory points = committed_ ? _committedPoints[taskId] : new Point[](0);
        vm.prank(ANYONE);
        market.expireRound(taskId, task.currentRound, trainers, points);
        _count(committed_ ? bytes32("expire committed") : bytes32("expire collecting"));
    }

    function closeTask(uint256 seed) external logged {
        (bool found, TaskId taskId, TaskView memory task) = _draw(seed);
        // Seldom: a cancelled task is of no further use.
        if (!found || task.state != TaskState.Funded || (seed >> 128) % 8 != 0) return;
        vm.prank(task.owner);
        market.closeTask(taskId);
        _count("cancel");
    }

    function withdraw(uint256 seed) external logged {
        (bool found, TaskId taskId, TaskView memory task) = _draw(seed);
        address who = accounts[(seed >> 128) % accounts.length];
        if (!found) return;
        (uint256 amountWei, bool claimable) = market.creditOf(taskId, who);
        if (amountWei == 0 || !claimable) return;
        market.withdraw(taskId, who);
        _paidOut(taskId, task.config.token, amountWei);
        assertEq(credit(taskId, who), 0, "paid, and still owed");
        _count("withdraw");
    }

    /// @notice Somebody tries something that is not his to do, with nonsense for arguments: nothing may come of it.
    function trespass(uint256 seed) external logged {
        (bool found, TaskId taskId, TaskView memory task) = _draw(seed);
        if (!found) return;
        Round round = task.currentRound;
        bytes[5] memory calls = [
            abi.encodeCall(IMarket.closeTask, (taskId)),
            abi.encodeCall(IMarket.postBond, (taskId)),
            abi.encodeCall(IMarket.commitRound, (taskId, round, emptyUpdates(3))),
            abi.encodeCall(IMarket.publishModel, (taskId, round, "cid")),
            abi.encodeCall(
                IMarket.settleRound, (taskId, Round.wrap(Round.unwrap(round) + 1), _settlement(taskId, seed))
            )
        ];
        vm.prank(ANYONE);
        (bool ok,) = address(market).call(calls[(seed >> 128) % calls.length]);
        assertTrue(!ok, "trespassed");
        _count("trespass");
    }

    function passTime(uint256 seed) external {
        // Now and then long enough for every window to pass.
        bool long = (seed >> 128) % 8 == 0;
        vm.warp(block.timestamp + 1 + (long ? SETTLE_WINDOW : seed % (SETTLE_WINDOW / 4)));
        _count("time");
    }

    // -------------------------------------------------------------- helpers

    function _count(bytes32 step) private {
        ++done[step];
    }

    function _paidIn(TaskId taskId, address token_, uint256 amountWei) private {
        paidInWei[token_] += amountWei;
        taskPaidInWei[taskId] += amountWei;
    }

    function _paidOut(TaskId taskId, address token_, uint256 amountWei) private {
        paidOutWei[token_] += amountWei;
        taskPaidOutWei[taskId] += amountWei;
    }

    /// @dev One of the last tasks.
    function _draw(uint256 seed) private view returns (bool found, TaskId taskId, TaskView memory task) {
        uint256 count = market.taskCount();
        if (count == 0) return (false, taskId, task);
        uint256 back = (seed >> 192) % DRAWN_FROM;
        taskId = TaskId.wrap(back < count ? count - back : 1);
        return (true, taskId, market.taskOf(taskId));
    }

    /// @dev How many of the tasks that can be drawn are not closed.
    function _live() private view returns (uint256 live) {
        uint256 count = market.taskCount();
        for (uint256 back = 0; back < DRAWN_FROM && back < count; ++back) {
            if (market.taskOf(TaskId.wrap(count - back)).state != TaskState.Closed) ++live;
        }
    }

    function _settlement(TaskId taskId, uint256 seed) private view returns (Settlement memory given) {
        given.trainers = _committedTrainers[taskId];
        given.points = _committedPoints[taskId];
        int64[] memory gram = new int64[](given.points.length * (given.points.length + 1) / 2);
        for (uint256 i = 0; i < gram.length; ++i) {
            gram[i] = int64(int256(uint256(keccak256(abi.encode(seed, i))) % 600)) - 150;
        }
        given.gram = packed(gram);
        given.scores = new uint64[](SLOTS);
        for (uint256 i = 0; i < given.points.length; ++i) {
            if ((seed >> i) & 1 == 0) continue;
            given.acceptBits |= 1 << i;
            given.scores[i] = uint64(seed >> (16 * i)) % 1000;
        }
        given.updateProof = "update proof";
        given.updateKey = updateKey();
        given.ruleVka = ruleVka();
        given.terms = termsOf(market.taskOf(taskId).config);
    }

    /// @dev Trainers have no other role here, so that their credits are rewards or shares of a bond.
    function _trainersCredit(TaskId taskId) private view returns (uint256 sum) {
        for (uint256 i = 0; i < TRAINERS; ++i) {
            uint256 stakeWei = market.taskOf(taskId).config.stakeWei;
            bool owed =
                market.taskOf(taskId).state == TaskState.Closed && market.hasJoined(taskId, trainer(i));
            sum += credit(taskId, trainer(i)) - (owed ? stakeWei : 0);
        }
    }
}
