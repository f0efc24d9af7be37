// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IMarket} from "./interfaces/IMarket.sol";
import {Commitments} from "./libraries/Commitments.sol";
import {Ledger} from "./libraries/Ledger.sol";
import {ModelCommitment} from "./libraries/ModelCommitment.sol";
import {Pace} from "./libraries/Pace.sol";
import {Payments} from "./libraries/Payments.sol";
import {ProofGate} from "./libraries/ProofGate.sol";
import {TaskTerms} from "./libraries/TaskTerms.sol";
import {Point} from "./types/Point.sol";
import {Round, RoundState, RoundView, Settlement, Updates} from "./types/Round.sol";
import {PaceState, Task, TaskConfig, TaskId, TaskState, TaskView} from "./types/Task.sol";

/// @title The market: state machine and books, with the logic in libraries
/// @dev Every state-changing call follows the same order: checks, effects, event, and tokens last.
contract Market is IMarket, EIP712, ReentrancyGuardTransient {
    using Ledger for Task;
    using Pace for Task;

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
        task.createdAtBlock = uint40(block.number);
        task.escrowWei = rewardWei;
        task.owner = msg.sender;
        task.model = config.genesis;
        task.config = config;
        task.publicHalves = Commitments.publicHalvesOf(config);
        // So that the first commit does not pay for a fresh word.
        task.updates = bytes32(type(uint256).max);
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
    function joinTask(TaskId taskId, bytes32[] calldata proof) external payable nonReentrant {
        Task storage task = _task(taskId);
        if (task.state == TaskState.Closed) revert WrongTaskState(taskId, TaskState.Open, TaskState.Closed);
        if (task.accounts[msg.sender].joined) revert AlreadyJoined(msg.sender);
        _requireAllowed(task.config.allowRoot, proof);

        uint128 stakeWei = task.enter(msg.sender);
        emit TrainerJoined(taskId, msg.sender, stakeWei);

        Payments.collect(task.config.token, stakeWei);
    }

    /// @inheritdoc IMarket
    function leaveTask(TaskId taskId) external nonReentrant {
        Task storage task = _inState(taskId, TaskState.Funded);
        if (!task.accounts[msg.sender].joined) revert NotJoined(msg.sender);

        uint128 stakeWei = task.leave(msg.sender);
        emit TrainerLeft(taskId, msg.sender, stakeWei);

        if (stakeWei != 0) Payments.pay(task.config.token, msg.sender, stakeWei);
    }

    /// @inheritdoc IMarket
    function closeTask(TaskId taskId) external nonReentrant {
        Task storage task = _inState(taskId, TaskState.Funded);
        if (msg.sender != task.owner) revert NotOwner(msg.sender);
        _close(taskId, task);
    }

    // ---------------------------------------------------------------- rounds

    /// @inheritdoc IMarket
    function commitRound(TaskId taskId, Round round, Updates calldata updates) external nonReentrant {
        Task storage task = _inState(taskId, TaskState.Open);
        _onlyAggregator(task);
        _requireCurrent(task, round, RoundState.Collecting);
        uint256 deadline = _deadline(task);
        // Windows are minutes at least; a validator's clock is off by seconds.
        // slither-disable-next-line timestamp
        if (block.timestamp > deadline) revert CommitWindowClosed(deadline);
        _requireCount(task, updates);
        Commitments.requireFresh(
            task.config.rounds, task.publicHalves, round, updates.trainers, updates.points
        );
        bytes memory cids = Commitments.packed(updates.cids);
        _requireSigned(task, taskId, round, updates);

        task.roundState = RoundState.Committed;
        task.phaseStartedAt = uint40(block.timestamp);
        task.updates = Commitments.updatesHash(updates.trainers, updates.points);
        emit RoundCommitted(taskId, round, updates.trainers, updates.points, cids, _deadline(task));
    }

    /// @inheritdoc IMarket
    function settleRound(TaskId taskId, Round round, Settlement calldata settlement) external nonReentrant {
        Task storage task = _inState(taskId, TaskState.Open);
        _requireCurrent(task, round, RoundState.Committed);
        uint256 deadline = _deadline(task);
        // slither-disable-next-line timestamp
        if (block.timestamp > deadline) revert SettleWindowClosed(deadline);
        Commitments.requireUpdates(task.updates, settlement.trainers, settlement.points);
        ProofGate.requireProven(task.config, settlement);

        (bool targetMet, uint80 norm, uint8 halvings) = _keepPace(task, settlement);
        Point memory model = ModelCommitment.move(
            task.model, settlement.points, settlement.acceptBits, ModelCommitment.scale(task.config.slots)
        );
        task.model = model;
        uint256[] memory paidWei =
            Ledger.byScore(task.config.rewardPerRoundWei, settlement.scores, settlement.trainers.length);
        task.creditFromEscrow(settlement.trainers, paidWei);
        task.roundState = RoundState.Settled;
        emit RoundSettled(
            taskId, round, settlement.acceptBits, settlement.scores, paidWei, model, norm, halvings
        );

        uint32 next = Round.unwrap(round) + 1;
        if (targetMet || next == task.config.rounds) _close(taskId, task);
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
        // slither-disable-next-line timestamp
        if (block.timestamp <= deadline) revert WindowStillOpen(deadline);
        uint256[] memory paidWei = new uint256[](0);
        if (task.roundState == RoundState.Committed) {
            Commitments.requireUpdates(task.updates, trainers, points);
            paidWei = Ledger.equally(task.bondWei, trainers.length);
            task.creditFromBond(trainers, paidWei);
        } else if (trainers.length + points.length != 0) {
            revert WrongLength("trainers", trainers.length + points.length, 0);
        }
        task.roundState = RoundState.Expired;
        emit RoundExpired(taskId, round, trainers, paidWei);
        // Either the bond is gone, and covers no other round, or the aggregator is.
        _close(taskId, task);
    }

    // -------------------------------------------------------------- pay-outs

    /// @inheritdoc IMarket
    function withdraw(TaskId taskId, address account) external nonReentrant returns (uint256 amountWei) {
        Task storage task = _task(taskId);
        if (!_claimable(task)) revert CreditLocked(taskId);
        uint128 creditWei = task.take(account);
        amountWei = creditWei + _owedStakeWei(task, account);
        if (amountWei == 0) revert NothingToWithdraw(taskId, account);
        if (amountWei != creditWei) emit TrainerLeft(taskId, account, task.leave(account));
        emit Withdrawn(taskId, account, creditWei);

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
        result.state = _roundState(task, round);
        if (result.state == RoundState.Collecting) result.commitDeadline = _deadline(task);
        if (result.state == RoundState.Committed) {
            result.settleDeadline = _deadline(task);
            result.updates = task.updates;
        }
    }

    /// @inheritdoc IMarket
    function creditOf(TaskId taskId, address account)
        external
        view
        returns (uint256 amountWei, bool claimable)
    {
        Task storage task = _task(taskId);
        return (task.accounts[account].creditWei + _owedStakeWei(task, account), _claimable(task));
    }

    /// @inheritdoc IMarket
    function hasJoined(TaskId taskId, address account) external view returns (bool) {
        return _task(taskId).accounts[account].joined;
    }

    /// @inheritdoc IMarket
    function roundOfPoint(TaskId taskId, uint256 pointX) external view returns (Round) {
        // Safe: less than the number of rounds, which has 32 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        return Round.wrap(uint32(Commitments.roundOfPoint(pointX, _task(taskId).config.rounds)));
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

    /// @dev Leaves are as OpenZeppelin's standard tree makes them: hashed twice, so that none passes for a node.
    function _requireAllowed(bytes32 root, bytes32[] calldata proof) private view {
        if (root == 0) return;
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(msg.sender))));
        if (!MerkleProof.verifyCalldata(proof, root, leaf)) revert NotAllowed(msg.sender);
    }

    function _requireCount(Task storage task, Updates calldata updates) private view {
        uint256 count = updates.trainers.length;
        if (count < task.config.quorum) revert TooFewTrainers(count, task.config.quorum);
        if (count > task.config.slots) revert TooManyTrainers(count, task.config.slots);
        _requireLength("points", updates.points.length, count);
        _requireLength("cids", updates.cids.length, count);
        _requireLength("signatures", updates.signatures.length, count);
    }

    function _requireLength(bytes32 field, uint256 length, uint256 required) private pure {
        if (length != required) revert WrongLength(field, length, required);
    }

    function _requireSigned(Task storage task, TaskId taskId, Round round, Updates calldata updates)
        private
        view
    {
        bytes32 domain = _domainSeparatorV4();
        address[] calldata trainers = updates.trainers;
        Point[] calldata points = updates.points;
        bytes[] calldata cids = updates.cids;
        bytes[] calldata signatures = updates.signatures;
        for (uint256 i = 0; i < trainers.length; ++i) {
            address trainer = trainers[i];
            if (!task.accounts[trainer].joined) revert NotJoined(trainer);
            bytes32 message = Commitments.structHash(taskId, round, points[i], Commitments.digestOf(cids[i]));
            bytes32 digest = MessageHashUtils.toTypedDataHash(domain, message);
            Commitments.requireSigned(trainer, digest, signatures[i]);
        }
    }

    /// @dev Where nothing follows from the round's norm, it is not computed, and 0.
    function _keepPace(Task storage task, Settlement calldata settlement)
        private
        returns (bool targetMet, uint80 norm, uint8 halvings)
    {
        (uint256 target, uint256 patience) = (task.config.targetNorm, task.config.patience);
        if (target == 0 && patience == 0) return (false, 0, 0);
        uint8 count;
        (norm, count) = Pace.norm(settlement.gram, task.config.slots, settlement.acceptBits);
        targetMet = Pace.isMet(target, norm, count);
        if (patience == 0) return (targetMet, norm, 0);
        PaceState memory pace = Pace.next(task.pace, patience, norm, count);
        task.pace = pace;
        halvings = pace.halvings;
    }

    function _openRound(TaskId taskId, Task storage task, Round round) private {
        task.currentRound = round;
        task.roundState = RoundState.Collecting;
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

    function _requireCurrent(Task storage task, Round round, RoundState required) private view {
        if (round != task.currentRound) revert WrongRound(task.currentRound, round);
        if (task.roundState != required) revert WrongRoundState(round, required, task.roundState);
    }

    function _roundState(Task storage task, Round round) private view returns (RoundState) {
        Round current = task.currentRound;
        if (round == current) return task.roundState;
        return Round.unwrap(round) < Round.unwrap(current) ? RoundState.Settled : RoundState.None;
    }

    /// @dev Of an open task's current round.
    function _deadline(Task storage task) private view returns (uint256) {
        bool committed = task.roundState == RoundState.Committed;
        uint32 window = committed ? task.config.settleWindowSeconds : task.config.commitWindowSeconds;
        return task.phaseStartedAt + window;
    }

    function _owedStakeWei(Task storage task, address account) private view returns (uint128) {
        bool owed = task.state == TaskState.Closed && task.accounts[account].joined;
        return owed ? task.config.stakeWei : 0;
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
            result.roundState = task.roundState;
            result.deadline = _deadline(task);
        }
        result.createdAtBlock = task.createdAtBlock;
        result.modelScale = ModelCommitment.scale(task.config.slots);
        result.escrowWei = task.escrowWei;
        result.creditsWei = task.creditsWei;
        result.bondWei = task.bondWei;
        result.stakesWei = task.stakesWei;
        result.learningRate = task.learningRate();
        result.pace = task.pace;
        result.model = task.model;
        result.config = task.config;
    }
}
