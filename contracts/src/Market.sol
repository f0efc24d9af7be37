// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IMarket} from "./interfaces/IMarket.sol";
import {IUpdateArgument} from "./interfaces/IUpdateArgument.sol";
import {Bn254} from "./libraries/Bn254.sol";
import {Commitments} from "./libraries/Commitments.sol";
import {Ledger} from "./libraries/Ledger.sol";
import {Logs} from "./libraries/Logs.sol";
import {ModelCommitment} from "./libraries/ModelCommitment.sol";
import {Pace} from "./libraries/Pace.sol";
import {Payments} from "./libraries/Payments.sol";
import {ProofGate} from "./libraries/ProofGate.sol";
import {TaskTerms} from "./libraries/TaskTerms.sol";
import {Point} from "./types/Point.sol";
import {Round, RoundState, RoundView, Settlement, Updates} from "./types/Round.sol";
import {Anchor, PaceState, Progress, Task, TaskConfig, TaskId, TaskState, TaskView} from "./types/Task.sol";

/// @title The market: state machine and books, with the logic in libraries
/// @dev Every state-changing call follows the same order: checks, effects, event, and tokens last.
contract Market is IMarket, EIP712, ReentrancyGuardTransient {
    using Ledger for Task;
    using Pace for Task;

    uint256 private constant MAX_PAGE = 32;

    /// @dev What all signatures of a round are over.
    struct Signed {
        bytes32 domain;
        TaskId taskId;
        Round round;
    }

    /// @inheritdoc IMarket
    uint256 public taskCount;

    mapping(TaskId taskId => Task) private _tasks;

    IUpdateArgument private immutable _updateArgument;

    /// @param updateArgument Verifier of the update argument, for all tasks and for good.
    constructor(IUpdateArgument updateArgument) EIP712("Meritproof", "1") {
        if (address(updateArgument).code.length == 0) revert VerifierWithoutCode(address(updateArgument));
        _updateArgument = updateArgument;
    }

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

        task.progress.state = TaskState.Funded;
        task.progress.escrowWei = rewardWei;
        (task.progress.quorum, task.progress.slots) = (config.quorum, config.slots);
        task.progress.anchor = config.anchor;
        if (config.anchor == Anchor.PreviousSum) task.previousSum = config.emptyColumn;
        task.createdAtBlock = uint40(block.number);
        task.owner = msg.sender;
        task.model = config.genesis;
        task.config = config;
        task.proofTerms = ProofGate.pinOf(config);
        task.publicHalves = Commitments.publicHalvesOf(config);
        // So that the first commit does not pay for a fresh word.
        task.updates = bytes32(type(uint256).max);
        emit TaskCreated(taskId, msg.sender, config.aggregator, config, genesisCid, ruleName);

        Payments.collect(config.token, rewardWei);
    }

    /// @inheritdoc IMarket
    function postBond(TaskId taskId) external payable nonReentrant {
        (Task storage task, Progress memory progress) = _inState(taskId, TaskState.Funded);
        _onlyAggregator(task);
        uint128 bondWei = task.config.bondWei;

        progress.state = TaskState.Open;
        emit BondPosted(taskId, msg.sender, bondWei);
        _openRound(taskId, task, progress, Round.wrap(0));

        Payments.collect(task.config.token, bondWei);
    }

    /// @inheritdoc IMarket
    function joinTask(TaskId taskId, bytes32[] calldata proof) external payable nonReentrant {
        Task storage task = _task(taskId);
        if (task.progress.state == TaskState.Closed) {
            revert WrongTaskState(taskId, TaskState.Open, TaskState.Closed);
        }
        if (task.accounts[msg.sender].joined) revert AlreadyJoined(msg.sender);
        _requireAllowed(task.config.allowRoot, proof);

        uint128 stakeWei = task.enter(msg.sender);
        emit TrainerJoined(taskId, msg.sender, stakeWei);

        Payments.collect(task.config.token, stakeWei);
    }

    /// @inheritdoc IMarket
    function leaveTask(TaskId taskId) external nonReentrant {
        (Task storage task,) = _inState(taskId, TaskState.Funded);
        if (!task.accounts[msg.sender].joined) revert NotJoined(msg.sender);

        uint128 stakeWei = task.leave(msg.sender);
        emit TrainerLeft(taskId, msg.sender, stakeWei);

        if (stakeWei != 0) Payments.pay(task.config.token, msg.sender, stakeWei);
    }

    /// @inheritdoc IMarket
    function closeTask(TaskId taskId) external nonReentrant {
        (Task storage task, Progress memory progress) = _inState(taskId, TaskState.Funded);
        if (msg.sender != task.owner) revert NotOwner(msg.sender);
        _close(taskId, task, progress, 0);
    }

    // ---------------------------------------------------------------- rounds

    /// @inheritdoc IMarket
    function commitRound(TaskId taskId, Round round, Updates calldata updates) external nonReentrantView {
        (Task storage task, Progress memory progress) = _inState(taskId, TaskState.Open);
        _onlyAggregator(task);
        _requireCurrent(progress, round, RoundState.Collecting);
        uint256 deadline = _deadline(task, progress);
        // Windows are minutes at least; a validator's clock is off by seconds.
        // slither-disable-next-line timestamp
        if (block.timestamp > deadline) revert CommitWindowClosed(deadline);
        _requireCount(progress, updates);
        address[] calldata trainers = updates.trainers;
        _requireAnchor(task, progress.anchor, updates);
        uint256 unsigned = progress.anchor == Anchor.PreviousSum ? 1 : 0;
        Commitments.requireFresh(
            task.config.rounds, task.publicHalves, round, trainers, updates.points, unsigned
        );
        _requireJoined(task, trainers, _anchors(progress));
        _requireSigned(taskId, round, updates, unsigned);

        progress.roundState = RoundState.Committed;
        progress.phaseStartedAt = uint40(block.timestamp);
        task.progress = progress;
        task.updates = Commitments.updatesHash(trainers, updates.points);
        deadline = _deadline(task, progress);
        Logs.roundCommitted(taskId, round, trainers, updates.points, updates.cids, deadline);
    }

    /// @inheritdoc IMarket
    function settleRound(TaskId taskId, Round round, Settlement calldata settlement)
        external
        nonReentrantView
    {
        (Task storage task, Progress memory progress) = _inState(taskId, TaskState.Open);
        _requireCurrent(progress, round, RoundState.Committed);
        uint256 deadline = _deadline(task, progress);
        // slither-disable-next-line timestamp
        if (block.timestamp > deadline) revert SettleWindowClosed(deadline);
        Commitments.requireUpdates(task.updates, settlement.trainers, settlement.points);
        _requireProven(taskId, task, round, progress, settlement);

        (bool targetMet, uint80 norm, uint8 halvings) = _keepPace(task, settlement);
        Point memory model = _move(task, progress, settlement);
        uint256[] memory paidWei =
            Ledger.byScore(task.config.rewardPerRoundWei, settlement.scores, settlement.trainers.length);
        task.creditFromEscrow(progress, settlement.trainers, paidWei);
        progress.roundState = RoundState.Settled;
        Logs.roundSettled(
            taskId, round, settlement.acceptBits, settlement.scores, paidWei, model, norm, halvings
        );

        uint32 next = Round.unwrap(round) + 1;
        if (targetMet || next == task.config.rounds) _close(taskId, task, progress, task.config.bondWei);
        else _openRound(taskId, task, progress, Round.wrap(next));
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
        (Task storage task, Progress memory progress) = _inState(taskId, TaskState.Open);
        if (round != progress.currentRound) revert WrongRound(progress.currentRound, round);
        uint256 deadline = _deadline(task, progress);
        // slither-disable-next-line timestamp
        if (block.timestamp <= deadline) revert WindowStillOpen(deadline);
        uint256[] memory paidWei = new uint256[](0);
        uint128 bondWei = task.config.bondWei;
        if (progress.roundState == RoundState.Committed) {
            Commitments.requireUpdates(task.updates, trainers, points);
            paidWei = Ledger.equally(bondWei, _anchors(progress), trainers.length);
            bondWei -= task.credit(trainers, paidWei);
        } else if (trainers.length + points.length != 0) {
            revert WrongLength("trainers", trainers.length + points.length, 0);
        }
        progress.roundState = RoundState.Expired;
        emit RoundExpired(taskId, round, trainers, paidWei);
        // Either the bond is gone, and covers no other round, or the aggregator is.
        _close(taskId, task, progress, bondWei);
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
        if (result.state == RoundState.Collecting) result.commitDeadline = _deadline(task, task.progress);
        if (result.state == RoundState.Committed) {
            result.settleDeadline = _deadline(task, task.progress);
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

    function _requireCount(Progress memory progress, Updates calldata updates) private pure {
        uint256 count = updates.trainers.length;
        uint256 quorum = progress.quorum + _anchors(progress);
        if (count < quorum) revert TooFewTrainers(count, quorum);
        if (count > progress.slots) revert TooManyTrainers(count, progress.slots);
        _requireLength("points", updates.points.length, count);
        _requireLength("cids", updates.cids.length, count);
        _requireLength("signatures", updates.signatures.length, count);
    }

    function _requireLength(bytes32 field, uint256 length, uint256 required) private pure {
        if (length != required) revert WrongLength(field, length, required);
    }

    /// @dev Whose is slot 0. Its point, if it is the owner's, is checked and signed for like everyone's.
    function _requireAnchor(Task storage task, Anchor anchor, Updates calldata updates) private view {
        if (anchor == Anchor.None) return;
        address account = updates.trainers[0];
        (uint256 x, uint256 y) = (updates.points[0].x, updates.points[0].y);
        bool right = anchor == Anchor.Reference
            ? account == task.owner
            : account == address(0) && x == task.previousSum.x && y == task.previousSum.y;
        if (!right) revert WrongAnchor(account, x, y);
    }

    /// @param first The first entry that is a trainer's.
    function _requireJoined(Task storage task, address[] calldata trainers, uint256 first) private view {
        for (uint256 i = first; i < trainers.length; ++i) {
            if (!task.accounts[trainers[i]].joined) revert NotJoined(trainers[i]);
        }
    }

    /// @param first The first entry that somebody signs for.
    function _requireSigned(TaskId taskId, Round round, Updates calldata updates, uint256 first)
        private
        view
    {
        // In memory, for the stack has no room for them beside the four arrays.
        Signed memory signed = Signed(_domainSeparatorV4(), taskId, round);
        address[] calldata trainers = updates.trainers;
        Point[] calldata points = updates.points;
        bytes[] calldata cids = updates.cids;
        bytes[] calldata signatures = updates.signatures;
        if (first != 0) TaskTerms.requireCid(Commitments.entryOf(cids, 0));
        for (uint256 i = first; i < trainers.length; ++i) {
            bytes32 digest = _digest(signed, Commitments.entryOf(points, i), Commitments.entryOf(cids, i));
            Commitments.requireSigned(trainers[i], digest, signatures, i);
        }
    }

    function _digest(Signed memory signed, Point calldata point, bytes calldata cid)
        private
        pure
        returns (bytes32)
    {
        TaskTerms.requireCid(cid);
        bytes32 message = Commitments.structHash(signed.taskId, signed.round, point, Commitments.digestOf(cid));
        return MessageHashUtils.toTypedDataHash(signed.domain, message);
    }

    function _requireProven(
        TaskId taskId,
        Task storage task,
        Round round,
        Progress memory progress,
        Settlement calldata settlement
    ) private view {
        bytes32 context = keccak256(abi.encode(block.chainid, address(this), taskId, round));
        // All filled slots but the anchor's.
        uint256 activeBits = ((1 << settlement.points.length) - 1) & ~_anchors(progress);
        ProofGate.requireProven(
            _updateArgument, task.proofTerms, context, progress.slots, activeBits, settlement
        );
    }

    /// @dev The commitments to the model and, where it is the next round's anchor, to the accepted sum move on.
    function _move(Task storage task, Progress memory progress, Settlement calldata settlement)
        private
        returns (Point memory model)
    {
        (Point memory sum, uint256 accepted) = Bn254.sum(settlement.points, settlement.acceptBits);
        model = ModelCommitment.move(task.model, sum, accepted, ModelCommitment.scale(progress.slots));
        task.model = model;
        if (progress.anchor != Anchor.PreviousSum) return model;
        if (accepted == 0) task.previousSum = task.config.emptyColumn;
        else task.previousSum = sum;
    }

    /// @dev How many slots of a round are not a trainer's: 1 or 0; as bits, too.
    function _anchors(Progress memory progress) private pure returns (uint256) {
        return progress.anchor == Anchor.None ? 0 : 1;
    }

    /// @dev Where nothing follows from the round's norm, it is not computed, and 0.
    function _keepPace(Task storage task, Settlement calldata settlement)
        private
        returns (bool targetMet, uint80 norm, uint8 halvings)
    {
        (uint256 target, uint256 patience) = (task.config.targetNorm, task.config.patience);
        if (target == 0 && patience == 0) return (false, 0, 0);
        uint8 count;
        (norm, count) = Pace.norm(settlement.gram, settlement.points.length, settlement.acceptBits);
        targetMet = Pace.isMet(target, norm, count);
        if (patience == 0) return (targetMet, norm, 0);
        PaceState memory pace = Pace.next(task.pace, patience, norm, count);
        task.pace = pace;
        halvings = pace.halvings;
    }

    function _openRound(TaskId taskId, Task storage task, Progress memory progress, Round round) private {
        progress.currentRound = round;
        progress.roundState = RoundState.Collecting;
        progress.phaseStartedAt = uint40(block.timestamp);
        task.progress = progress;
        emit RoundOpened(taskId, round, _deadline(task, progress));
    }

    /// @param bondWei What the aggregator gets back.
    function _close(TaskId taskId, Task storage task, Progress memory progress, uint128 bondWei) private {
        progress.state = TaskState.Closed;
        uint128 refundedWei = task.refund(progress, bondWei);
        task.progress = progress;
        emit TaskClosed(taskId, refundedWei, bondWei);
    }

    function _task(TaskId taskId) private view returns (Task storage task) {
        task = _tasks[taskId];
        if (task.progress.state == TaskState.None) revert UnknownTask(taskId);
    }

    function _inState(TaskId taskId, TaskState required)
        private
        view
        returns (Task storage task, Progress memory progress)
    {
        task = _tasks[taskId];
        progress = task.progress;
        if (progress.state == required) return (task, progress);
        if (progress.state == TaskState.None) revert UnknownTask(taskId);
        revert WrongTaskState(taskId, required, progress.state);
    }

    function _requireCurrent(Progress memory progress, Round round, RoundState required) private pure {
        if (round != progress.currentRound) revert WrongRound(progress.currentRound, round);
        if (progress.roundState != required) revert WrongRoundState(round, required, progress.roundState);
    }

    function _roundState(Task storage task, Round round) private view returns (RoundState) {
        Round current = task.progress.currentRound;
        if (round == current) return task.progress.roundState;
        return Round.unwrap(round) < Round.unwrap(current) ? RoundState.Settled : RoundState.None;
    }

    /// @dev Of an open task's current round.
    function _deadline(Task storage task, Progress memory progress) private view returns (uint256) {
        bool committed = progress.roundState == RoundState.Committed;
        uint32 window = committed ? task.config.settleWindowSeconds : task.config.commitWindowSeconds;
        return progress.phaseStartedAt + window;
    }

    function _owedStakeWei(Task storage task, address account) private view returns (uint128) {
        bool owed = task.progress.state == TaskState.Closed && task.accounts[account].joined;
        return owed ? task.config.stakeWei : 0;
    }

    function _claimable(Task storage task) private view returns (bool) {
        return task.progress.state == TaskState.Closed || task.config.payByRound;
    }

    function _onlyAggregator(Task storage task) private view {
        if (msg.sender != task.config.aggregator) revert NotAggregator(msg.sender);
    }

    function _view(Task storage task) private view returns (TaskView memory result) {
        Progress memory progress = task.progress;
        result.owner = task.owner;
        result.state = progress.state;
        result.currentRound = progress.currentRound;
        if (progress.state == TaskState.Open) {
            result.roundState = progress.roundState;
            result.deadline = _deadline(task, progress);
            result.bondWei = task.config.bondWei;
        }
        result.createdAtBlock = task.createdAtBlock;
        result.modelScale = ModelCommitment.scale(progress.slots);
        result.escrowWei = progress.escrowWei;
        result.learningRate = task.learningRate();
        result.pace = task.pace;
        result.model = task.model;
        result.config = task.config;
    }
}
