// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Point} from "../types/Point.sol";
import {Round, RoundState, RoundView, Settlement, Updates} from "../types/Round.sol";
import {TaskConfig, TaskId, TaskState, TaskView} from "../types/Task.sol";

/// @title A market for proven contributions to federated training
/// @notice An owner escrows a reward, trainers commit to updates, an aggregator under bond proves which of them
/// count and how much, and the contract pays by the proven scores. No account has any power beyond its role in a
/// task, and nothing can be upgraded.
/// @dev For every token: the sum of escrow, bond, stakes and credits over all tasks equals the contract's balance, as
/// long as nobody sends it tokens unasked and the token does not change balances by itself (rebasing is unsupported).
interface IMarket {
    // ---------------------------------------------------------------- events

    /// @notice A task was created and its whole reward escrowed.
    event TaskCreated(
        TaskId indexed taskId,
        address indexed owner,
        address indexed aggregator,
        TaskConfig config,
        bytes genesisCid,
        string ruleName
    );

    /// @notice The aggregator posted its bond: the task is open.
    event BondPosted(TaskId indexed taskId, address indexed aggregator, uint256 amountWei);

    /// @notice A trainer joined, with its stake if the task asks for one.
    event TrainerJoined(TaskId indexed taskId, address indexed trainer, uint256 stakeWei);

    /// @notice A trainer, or a member of a closed task, got its stake back; it is a member no more.
    event TrainerLeft(TaskId indexed taskId, address indexed trainer, uint256 stakeWei);

    /// @notice A round began to collect; it must be committed by `commitDeadline` (Unix seconds).
    event RoundOpened(TaskId indexed taskId, Round indexed round, uint256 commitDeadline);

    /// @notice A round's updates were fixed, in slot order. `cids` has one CID after another, each after one byte with
    /// its length. The round must be settled by `settleDeadline` (Unix seconds).
    event RoundCommitted(
        TaskId indexed taskId,
        Round indexed round,
        address[] trainers,
        Point[] points,
        bytes cids,
        uint256 settleDeadline
    );

    /// @notice A round's proofs were accepted. `scores` has one entry a slot, `paidWei` one a filled slot; `model` is
    /// the new commitment, `norm` is |A|^2 of the sum A of the accepted updates (0 where the task has neither target
    /// nor patience); the learning rate that follows is the first one, halved `halvings` times.
    event RoundSettled(
        TaskId indexed taskId,
        Round indexed round,
        uint256 acceptBits,
        uint64[] scores,
        uint256[] paidWei,
        Point model,
        uint256 norm,
        uint256 halvings
    );

    /// @notice The aggregator said where the model after `round` can be fetched.
    event ModelPublished(TaskId indexed taskId, Round indexed round, bytes cid);

    /// @notice A round was not committed (no trainers, nothing slashed) or not settled in time; `paidWei` is what
    /// each of its trainers got from the bond.
    event RoundExpired(TaskId indexed taskId, Round indexed round, address[] trainers, uint256[] paidWei);

    /// @notice A task ended; unspent reward and bond were credited back.
    event TaskClosed(TaskId indexed taskId, uint256 refundedWei, uint256 bondReturnedWei);

    /// @notice A credit was paid out; a stake that came with it is in `TrainerLeft`.
    event Withdrawn(TaskId indexed taskId, address indexed account, uint256 amountWei);

    // ---------------------------------------------------------------- errors

    /// @notice Thrown when no task has this id.
    error UnknownTask(TaskId taskId);
    /// @notice Thrown when a call needs the task to be in another state.
    error WrongTaskState(TaskId taskId, TaskState required, TaskState actual);
    /// @notice Thrown when a call names a round that is not the current one.
    error WrongRound(Round current, Round given);
    /// @notice Thrown when a call needs the round to be in another state.
    error WrongRoundState(Round round, RoundState required, RoundState actual);
    /// @notice Thrown when somebody else than the task's aggregator calls.
    error NotAggregator(address caller);
    /// @notice Thrown when somebody else than the task's owner calls.
    error NotOwner(address caller);

    /// @notice Thrown when a field of a new task is under its minimum.
    error FieldTooSmall(bytes32 field, uint256 value, uint256 minimum);
    /// @notice Thrown when a field of a new task is over its maximum.
    error FieldTooLarge(bytes32 field, uint256 value, uint256 maximum);
    /// @notice Thrown when a field of a new task has a value that is not among those allowed.
    error FieldNotAllowed(bytes32 field, uint256 value);
    /// @notice Thrown when the named verifier is not a contract.
    error VerifierWithoutCode(address verifier);
    /// @notice Thrown when the native currency sent with a call is not exactly what it needs.
    error WrongValue(uint256 requiredWei, uint256 sentWei);
    /// @notice Thrown when a token delivers another amount than it was asked for.
    error FeeOnTransferToken(address token, uint256 requiredWei, uint256 receivedWei);

    /// @notice Thrown when a trainer joins twice.
    error AlreadyJoined(address trainer);
    /// @notice Thrown when an account is not on the task's allow-list.
    error NotAllowed(address trainer);
    /// @notice Thrown when a round names a trainer that has not joined the task.
    error NotJoined(address trainer);
    /// @notice Thrown when slot 0 of a task with an anchor is filled by somebody else than the owner (its reference), or
    /// by an account or a point that are not 0 and the previous sum.
    error WrongAnchor(address trainer, uint256 x, uint256 y);
    /// @notice Thrown when a round names a trainer twice.
    error DuplicateTrainer(address trainer);
    /// @notice Thrown when a round has fewer trainers than the task's quorum.
    error TooFewTrainers(uint256 count, uint256 quorum);
    /// @notice Thrown when a round has more trainers than the task's slots.
    error TooManyTrainers(uint256 count, uint256 slots);
    /// @notice Thrown when a CID is empty or longer than the maximum.
    error InvalidCid(uint256 lengthBytes, uint256 maximumBytes);
    /// @notice Thrown when a signature is not the trainer's over this very update.
    error InvalidSignature(address trainer);
    /// @notice Thrown when a point is not on the curve, is infinity, or has coordinates beyond the field.
    error InvalidPoint(uint256 x, uint256 y);
    /// @notice Thrown when a point's x belongs to another round of the task: what was used once never fits again.
    error PointOfAnotherRound(uint256 x, Round round, uint256 belongsTo);
    /// @notice Thrown when a point or its negation is another trainer's in this round, or one of the public columns.
    error PointAlreadyUsed(uint256 x, uint256 y);

    /// @notice Thrown when a round is committed after its window.
    error CommitWindowClosed(uint256 deadline);
    /// @notice Thrown when a round is settled after its window.
    error SettleWindowClosed(uint256 deadline);
    /// @notice Thrown when a round is expired before its window has passed.
    error WindowStillOpen(uint256 deadline);
    /// @notice Thrown when trainers and points are not those that the round committed to.
    error UpdatesMismatch(bytes32 committed, bytes32 given);

    /// @notice Thrown when the Gram triangle or the scores have not the length that trainers or slots ask for, or
    /// lists that belong together differ in length.
    error WrongLength(bytes32 field, uint256 length, uint256 required);
    /// @notice Thrown when a slot is accepted that holds no trainer's update.
    error AcceptedInactiveSlot(uint256 acceptBits, uint256 activeBits);
    /// @notice Thrown when a slot that is not accepted has a score.
    error ScoreWithoutAccept(uint256 slot, uint64 score);
    /// @notice Thrown when a settlement's proof terms are not the task's.
    error ProofTermsMismatch(bytes32 pinned, bytes32 given);
    /// @notice Thrown when the update argument's key is not the one that the task pinned.
    error UpdateKeyMismatch(bytes32 pinned, bytes32 given);
    /// @notice Thrown when the rule layer's verifying-key words are not those that the task pinned.
    error VkaMismatch(bytes32 pinned, bytes32 given);
    /// @notice Thrown when the verifier does not accept the rule layer's proof.
    error ProofRejected();
    /// @notice Thrown when the verifier accepts, but answers with something else than success and the pinned digest.
    error VerifierMisbehaved();
    /// @notice Thrown when a curve precompile fails.
    error PrecompileFailed(uint256 precompile);

    /// @notice Thrown when a credit is not claimable before the task is closed.
    error CreditLocked(TaskId taskId);
    /// @notice Thrown when an account has no credit in a task.
    error NothingToWithdraw(TaskId taskId, address account);
    /// @notice Thrown when a page asks for more entries than a view returns at once.
    error PageTooLarge(uint256 limit, uint256 maximum);

    // ----------------------------------------------------------------- calls

    /// @notice Creates a task owned by the caller and takes `rounds * rewardPerRoundWei` into escrow.
    /// @param genesisCid Where the genesis model is (binary CIDv1, 1..128 bytes); the commitment binds its content.
    /// @param ruleName A label for people, at most 64 bytes; `ruleVka` is what binds.
    function createTask(TaskConfig calldata config, bytes calldata genesisCid, string calldata ruleName)
        external
        payable
        returns (TaskId taskId);

    /// @notice The aggregator posts its bond, and the first round begins to collect.
    function postBond(TaskId taskId) external payable;

    /// @notice The caller becomes a trainer of a task that is not closed, and posts the stake that the task asks for.
    /// @param proof Merkle proof of the caller under the task's `allowRoot`; ignored where it is 0.
    function joinTask(TaskId taskId, bytes32[] calldata proof) external payable;

    /// @notice The caller takes its stake back from a task whose bond was never posted. All other tasks end by
    /// themselves, and their stakes are paid out by `withdraw`.
    function leaveTask(TaskId taskId) external;

    /// @notice The aggregator fixes the current round's updates.
    function commitRound(TaskId taskId, Round round, Updates calldata updates) external;

    /// @notice Anyone who holds the proofs settles the current round: scores are credited, the model moves on.
    function settleRound(TaskId taskId, Round round, Settlement calldata settlement) external;

    /// @notice The aggregator says where the model after a settled round is (binary CIDv1, 1..128 bytes).
    function publishModel(TaskId taskId, Round round, bytes calldata cid) external;

    /// @notice Anyone ends a round whose window has passed, and with it the task. A committed round costs the
    /// aggregator its whole bond, in equal parts to the round's trainers (the first ones get one wei more where it
    /// does not divide); one that was not committed costs nothing, since no work is proven to exist.
    /// @param trainers As committed; empty if the round was not committed.
    /// @param points As committed; empty if the round was not committed.
    function expireRound(TaskId taskId, Round round, address[] calldata trainers, Point[] calldata points)
        external;

    /// @notice The owner takes back a task whose bond was never posted. All other tasks close by themselves: with
    /// the last settled round, with one that meets the task's target, or when a round expires.
    function closeTask(TaskId taskId) external;

    /// @notice Pays `account` its credit and, once the task is closed, its stake. Anyone may trigger it.
    function withdraw(TaskId taskId, address account) external returns (uint256 amountWei);

    // ----------------------------------------------------------------- views

    /// @notice Number of tasks; ids run from 1 to it.
    function taskCount() external view returns (uint256);

    /// @notice One task: terms and state.
    function taskOf(TaskId taskId) external view returns (TaskView memory);

    /// @notice Tasks from id `first` on, at most `limit` (1..32) of them.
    function tasksFrom(TaskId first, uint256 limit) external view returns (TaskView[] memory page);

    /// @notice One round.
    function roundOf(TaskId taskId, Round round) external view returns (RoundView memory);

    /// @notice What a task owes an account (once it is closed, with the stake), and whether it can be withdrawn now.
    function creditOf(TaskId taskId, address account)
        external
        view
        returns (uint256 amountWei, bool claimable);

    /// @notice Whether an account has joined a task.
    function hasJoined(TaskId taskId, address account) external view returns (bool);

    /// @notice The one round of a task that a point with this x can be committed in.
    function roundOfPoint(TaskId taskId, uint256 pointX) external view returns (Round);

    /// @notice Commitment to a task's current model.
    function modelCommitment(TaskId taskId) external view returns (Point memory);

    /// @notice The EIP-712 digest that a trainer signs for its update; `cidDigest` is keccak256 of the CID's bytes.
    function updateDigest(TaskId taskId, Round round, Point calldata point, bytes32 cidDigest)
        external
        view
        returns (bytes32);
}
