// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IMarket} from "./interfaces/IMarket.sol";
import {Commitments} from "./libraries/Commitments.sol";
import {Ledger} from "./libraries/Ledger.sol";
import {ModelCommitment} from "./libraries/ModelCommitment.sol";
import {Payments} from "./libraries/Payments.sol";
import {ProofGate} from "./libraries/ProofGate.sol";
import {TaskTerms} from "./libraries/TaskTerms.sol";
import {Point} from "./types/Point.sol";
import {Round, RoundRecord, RoundState, RoundView, Settlement, Submission} from "./types/Round.sol";
import {Task, TaskConfig, TaskId, TaskState, TaskView} from "./types/Task.sol";

/// @title The market: state machine and books, with the logic in libraries
/// @dev Every state-changing call follows the same order: checks, effects, event, and tokens last.
contract Market is IMarket, EIP712, ReentrancyGuardTransient {
    using Commitments for Task;
    using Ledger for Task;

    uint256 private constant MAX_PAGE = 32;

    /// @inheritdoc IMarket
    uint256 public taskCount;

    mapping(TaskId taskId => Task) private _tasks;

    constructor() EIP712("Meritproof", "1") {}

    // ------------------------------------------------------------ life cycle

    /// @inheritdoc IMarket
    function createTask(TaskConfig calldata config, bytes calldata genesisCid, string calldata ruleName)
        external
        payable
        nonReentrant
        returns (TaskId taskId)
    {
        TaskTerms.requireValid(config, genesisCid, ruleName);
        taskId = TaskId.wrap(++taskCount);
        Task storage task = _tasks[taskId];
        uint128 rewardWei = config.rewardPerRoundWei * config.rounds;

        task.state = TaskState.Funded;
        task.createdAtBlock = uint64(block.number);
        task.modelScale = ModelCommitment.scale(config.slots);
        task.escrowWei = rewardWei;
        task.owner = msg.sender;
        task.model = config.genesis;
        task.config = config;
        // Public columns are nobody's work.
        task.useOnce(config.genesis);
        task.useOnce(config.emptySlot);
        emit TaskCreated(taskId, msg.sender, config.aggregator, config, genesisCid, ruleName);

        Payments.collect(config.token, rewardWei);
    }

    /// @inheritdoc IMarket
    function postBond(TaskId taskId) external payable nonReentrant {
        Task storage task = _inState(taskId, TaskState.Funded);
        _onlyAggregator(task);
        uint128 bondWei = task.config.bondWei;

        task.state = TaskState.Open;
        task.bondWei = bondWei;
        emit BondPosted(taskId, msg.sender, bondWei);
        _openRound(taskId, task, Round.wrap(0));

        Payments.collect(task.config.token, bondWei);
    }

    /// @inheritdoc IMarket
    function joinTask(TaskId taskId) external nonReentrant {
        Task storage task = _task(taskId);
        if (task.state == TaskState.Closed) revert WrongTaskState(taskId, TaskState.Open, TaskState.Closed);
        if (task.accounts[msg.sender].joined) revert AlreadyJoined(msg.sender);

        task.accounts[msg.sender].joined = true;
        emit TrainerJoined(taskId, msg.sender);
    }

    /// @inheritdoc IMarket
    function closeTask(TaskId taskId) external nonReentrant {
        Task storage task = _inState(taskId, TaskState.Funded);
        if (msg.sender != task.owner) revert NotOwner(msg.sender);
        _close(taskId, task);
    }

    // ---------------------------------------------------------------- rounds

    /// @inheritdoc IMarket
    function commitRound(TaskId taskId, Round round, Submission[] calldata submissions)
        external
        nonReentrant
    {
        Task storage task = _inState(taskId, TaskState.Open);
        _onlyAggregator(task);
        RoundRecord storage record = _currentRound(task, round, RoundState.Collecting);
        uint256 deadline = task.phaseStartedAt + task.config.commitWindowSeconds;
        if (block.timestamp > deadline) revert CommitWindowClosed(deadline);
        uint256 count = submissions.length;
        if (count < task.config.quorum) revert TooFewTrainers(count, task.config.quorum);
        if (count > task.config.slots) revert TooManyTrainers(count, task.config.slots);

        address[] memory trainers = new address[](count);
        Point[] memory points = new Point[](count);
        bytes[] memory cids = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            _admit(taskId, task, round, submissions[i], trainers, i);
            trainers[i] = submissions[i].trainer;
            points[i] = submissions[i].point;
            cids[i] = submissions[i].cid;
        }
        record.updates = Commitments.updatesHash(trainers, points);
        record.state = RoundState.Committed;
        // Safe: at most 32 slots.
        // forge-lint: disable-next-line(unsafe-typecast)
        record.trainerCount = uint8(count);
        record.committedAt = uint40(block.timestamp);
        task.phaseStartedAt = uint40(block.timestamp);
        emit RoundCommitted(
            taskId, round, trainers, points, cids, block.timestamp + task.config.settleWindowSeconds
        );
    }

    /// @inheritdoc IMarket
    function settleRound(TaskId taskId, Round round, Settlement calldata settlement) external nonReentrant {
        Task storage task = _inState(taskId, TaskState.Open);
        RoundRecord storage record = _currentRound(task, round, RoundState.Committed);
        uint256 deadline = task.phaseStartedAt + task.config.settleWindowSeconds;
        if (block.timestamp > deadline) revert SettleWindowClosed(deadline);
        Commitments.requireUpdates(record.updates, settlement.trainers, settlement.points);
        ProofGate.requireProven(task.config, settlement);

        record.state = RoundState.Settled;
        // Safe: the gate refuses bits beyond the trainers, who are at most 32.
        record.acceptBits = uint32(settlement.acceptBits);
        Point memory model =
            ModelCommitment.move(task.model, settlement.points, settlement.acceptBits, task.modelScale);
        task.model = model;
        uint256[] memory paidWei =
            Ledger.byScore(task.config.rewardPerRoundWei, settlement.scores, settlement.trainers.length);
        task.creditFromEscrow(settlement.trainers, paidWei);
        emit RoundSettled(taskId, round, settlement.acceptBits, settlement.scores, paidWei, model);

        uint32 next = Round.unwrap(round) + 1;
        if (next == task.config.rounds) _close(taskId, task);
        else _openRound(taskId, task, Round.wrap(next));
    }

    /// @inheritdoc IMarket
    function publishModel(TaskId taskId, Round round, bytes calldata cid) external {
        Task storage task = _task(taskId);
        _onlyAggregator(task);
        RoundState state = _roundState(task, round);
        if (state != RoundState.Settled) revert WrongRoundState(round, RoundState.Settled, state);
        TaskTerms.requireCid(cid);
        emit ModelPublished(taskId, round, cid);
    }

    /// @inheritdoc IMarket
    function expireRound(TaskId taskId, Round round, address[] calldata trainers, Point[] calldata points)
        external
        nonReentrant
    {
        Task storage task = _inState(taskId, TaskState.Open);
        if (round != task.currentRound) revert WrongRound(task.currentRound, round);
        uint256 deadline = _deadline(task);
        if (block.timestamp <= deadline) revert WindowStillOpen(deadline);
        RoundRecord storage record = task.rounds[round];
        uint256[] memory paidWei = new uint256[](0);
        if (record.state == RoundState.Committed) {
            Commitments.requireUpdates(record.updates, trainers, points);
            paidWei = Ledger.equally(task.bondWei, trainers.length);
            task.creditFromBond(trainers, paidWei);
        } else if (trainers.length + points.length != 0) {
            revert WrongLength("trainers", trainers.length + points.length, 0);
        }
        record.state = RoundState.Expired;
        emit RoundExpired(taskId, round, trainers, paidWei);
        // Either the bond is gone, and covers no other round, or the aggregator is.
        _close(taskId, task);
    }

    // -------------------------------------------------------------- pay-outs

    /// @inheritdoc IMarket
    function withdraw(TaskId taskId, address account) external nonReentrant returns (uint256 amountWei) {
        Task storage task = _task(taskId);
        if (!_claimable(task)) revert CreditLocked(taskId);
        amountWei = task.take(account);
        if (amountWei == 0) revert NothingToWithdraw(taskId, account);
        emit Withdrawn(taskId, account, amountWei);

        Payments.pay(task.config.token, account, amountWei);
    }

    // ----------------------------------------------------------------- views

    /// @inheritdoc IMarket
    function taskOf(TaskId taskId) external view returns (TaskView memory) {
        return _view(_task(taskId));
    }

    /// @inheritdoc IMarket
    function tasksFrom(TaskId first, uint256 limit) external view returns (TaskView[] memory page) {
        if (limit > MAX_PAGE) revert PageTooLarge(limit, MAX_PAGE);
        uint256 id = TaskId.unwrap(first);
        if (id == 0 || id > taskCount) return page;
        uint256 left = taskCount - id + 1;
        page = new TaskView[](left < limit ? left : limit);
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = _view(_tasks[TaskId.wrap(id + i)]);
        }
    }

    /// @inheritdoc IMarket
    function roundOf(TaskId taskId, Round round) external view returns (RoundView memory result) {
        Task storage task = _task(taskId);
        RoundRecord storage record = task.rounds[round];
        result.state = _roundState(task, round);
        result.trainerCount = record.trainerCount;
        result.acceptBits = record.acceptBits;
        result.updates = record.updates;
        if (result.state == RoundState.Collecting) result.commitDeadline = _deadline(task);
        if (record.committedAt != 0) {
            result.settleDeadline = record.committedAt + task.config.settleWindowSeconds;
        }
    }

    /// @inheritdoc IMarket
    function creditOf(TaskId taskId, address account)
        external
        view
        returns (uint256 amountWei, bool claimable)
    {
        Task storage task = _task(taskId);
        return (task.accounts[account].creditWei, _claimable(task));
    }

    /// @inheritdoc IMarket
    function hasJoined(TaskId taskId, address account) external view returns (bool) {
        return _task(taskId).accounts[account].joined;
    }

    /// @inheritdoc IMarket
    function isPointUsed(TaskId taskId, uint256 pointX) external view returns (bool) {
        return _task(taskId).usedPoints[pointX];
    }

    /// @inheritdoc IMarket
    function modelCommitment(TaskId taskId) external view returns (Point memory) {
        return _task(taskId).model;
    }

    /// @inheritdoc IMarket
    function updateDigest(TaskId taskId, Round round, Point calldata point, bytes32 cidDigest)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(Commitments.structHash(taskId, round, point, cidDigest));
    }

    // --------------------------------------------------------------- private

    /// @dev `admitted` holds the round's trainers before slot `slot`.
    function _admit(
        TaskId taskId,
        Task storage task,
        Round round,
        Submission calldata submission,
        address[] memory admitted,
        uint256 slot
    ) private {
        address trainer = submission.trainer;
        if (!task.accounts[trainer].joined) revert NotJoined(trainer);
        for (uint256 i = 0; i < slot; ++i) {
            if (admitted[i] == trainer) revert DuplicateTrainer(trainer);
        }
        TaskTerms.requireCid(submission.cid);
        task.useOnce(submission.point);
        bytes32 digest = updateDigest(taskId, round, submission.point, keccak256(submission.cid));
        // A plain signature first: an account that puts code on itself after signing cannot take its word back.
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, submission.signature);
        if (
            signer != trainer
                && !SignatureChecker.isValidERC1271SignatureNowCalldata(trainer, digest, submission.signature)
        ) revert InvalidSignature(trainer);
    }

    function _openRound(TaskId taskId, Task storage task, Round round) private {
        task.currentRound = round;
        task.phaseStartedAt = uint40(block.timestamp);
        emit RoundOpened(taskId, round, block.timestamp + task.config.commitWindowSeconds);
    }

    function _close(TaskId taskId, Task storage task) private {
        task.state = TaskState.Closed;
        (uint128 refundedWei, uint128 bondReturnedWei) = task.refund();
        emit TaskClosed(taskId, refundedWei, bondReturnedWei);
    }

    function _task(TaskId taskId) private view returns (Task storage task) {
        task = _tasks[taskId];
        if (task.state == TaskState.None) revert UnknownTask(taskId);
    }

    function _inState(TaskId taskId, TaskState required) private view returns (Task storage task) {
        task = _task(taskId);
        if (task.state != required) revert WrongTaskState(taskId, required, task.state);
    }

    function _currentRound(Task storage task, Round round, RoundState required)
        private
        view
        returns (RoundRecord storage)
    {
        if (round != task.currentRound) revert WrongRound(task.currentRound, round);
        RoundState state = _roundState(task, round);
        if (state != required) revert WrongRoundState(round, required, state);
        return task.rounds[round];
    }

    function _roundState(Task storage task, Round round) private view returns (RoundState state) {
        state = task.rounds[round].state;
        bool current = task.state == TaskState.Open && round == task.currentRound;
        if (state == RoundState.None && current) state = RoundState.Collecting;
    }

    /// @dev Of an open task's current round.
    function _deadline(Task storage task) private view returns (uint256) {
        bool committed = task.rounds[task.currentRound].state == RoundState.Committed;
        uint32 window = committed ? task.config.settleWindowSeconds : task.config.commitWindowSeconds;
        return task.phaseStartedAt + window;
    }

    function _claimable(Task storage task) private view returns (bool) {
        return task.state == TaskState.Closed || task.config.payByRound;
    }

    function _onlyAggregator(Task storage task) private view {
        if (msg.sender != task.config.aggregator) revert NotAggregator(msg.sender);
    }

    function _view(Task storage task) private view returns (TaskView memory result) {
        result.owner = task.owner;
        result.state = task.state;
        result.currentRound = task.currentRound;
        if (task.state == TaskState.Open) {
            result.roundState = _roundState(task, task.currentRound);
            result.deadline = _deadline(task);
        }
        result.createdAtBlock = task.createdAtBlock;
        result.modelScale = task.modelScale;
        result.escrowWei = task.escrowWei;
        result.creditsWei = task.creditsWei;
        result.bondWei = task.bondWei;
        result.model = task.model;
        result.config = task.config;
    }
}
