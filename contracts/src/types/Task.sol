// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Point} from "./Point.sol";
import {Round, RoundState} from "./Round.sol";

/// @notice Number of a task; the first is 1.
type TaskId is uint256;

using {taskIdEquals as ==} for TaskId global;

function taskIdEquals(TaskId a, TaskId b) pure returns (bool) {
    return TaskId.unwrap(a) == TaskId.unwrap(b);
}

/// @notice `Funded`: reward escrowed, waiting for the bond. `Open`: rounds run. `Closed`: only credits are left.
enum TaskState {
    None,
    Funded,
    Open,
    Closed
}

/// @notice What slot 0 of every round holds instead of a trainer's update. It is never active: neither accepted nor
/// paid. `Reference`: the owner's own update. `PreviousSum`: the sum of the updates accepted in the round before, or
/// the empty column where there is none.
enum Anchor {
    None,
    Reference,
    PreviousSum
}

/// @notice What a task promises. It never changes after `createTask`. The order packs it into storage: a call reads
/// few words.
/// @param aggregator The only account that may post the bond, commit rounds and publish models.
/// @param rounds Number of rounds, numbered from 0; at most 65,536.
/// @param commitWindowSeconds From a round's opening to the latest `commitRound`.
/// @param settleWindowSeconds From `commitRound` to the latest `settleRound`.
/// @param verifier The reusable Halo2 verifier that the rule layer's proofs are checked with.
/// @param dim Length of an update, 1..2^k - 518.
/// @param quorum Fewest trainers of a committed round, 1..slots; an anchor does not count, and takes a slot.
/// @param slots Slots of the rule's circuit, 3..32.
/// @param anchor What slot 0 holds, see Anchor.
/// @param bits Width of an update's entry: 4, 8 or 16.
/// @param k Log2 of the commitment's domain, 10..28.
/// @param fractionalBits q of the public scale 2^-q, at most 64.
/// @param payByRound Credits are claimable after each round; otherwise when the task is closed.
/// @param token ERC-20 of reward, bond and stakes; 0 is the chain's native currency.
/// @param learningRate Of the first round, in units of 2^-32; 0 if the task leaves it to its trainers.
/// @param rewardPerRoundWei Split by score in each settled round, in the token's smallest unit.
/// @param targetNorm The task is done when |A|^2 <= targetNorm * n^2, A the sum of a round's n > 0 accepted
/// updates; 0 asks for nothing. In squared units of 2^-q.
/// @param patience Rounds without progress after which the learning rate is halved; 0 keeps it constant.
/// @param bondWei Posted by the aggregator, lost when a committed round expires; at least one round's reward.
/// @param stakeWei Posted by each trainer when it joins, returned with the task's end; 0 asks for none.
/// @param allowRoot Merkle root of those who may join (OpenZeppelin's standard tree over one address a leaf); 0 is
/// open to all.
/// @param updateKey keccak256 of the update argument's verifying key.
/// @param ruleVka keccak256 of the rule layer's verifying-key words.
/// @param ruleParams Public parameters of the rule (for multi-Krum: f), each a field element, at most 16.
/// @param genesis Commitment to the model before the first round.
/// @param emptyColumn Commitment to the public column without data: what stands for the sum of the round before the first.
struct TaskConfig {
    address aggregator;
    uint32 rounds;
    uint32 commitWindowSeconds;
    uint32 settleWindowSeconds;
    address verifier;
    uint32 dim;
    uint8 quorum;
    uint8 slots;
    Anchor anchor;
    uint8 bits;
    uint8 k;
    uint8 fractionalBits;
    bool payByRound;
    address token;
    uint64 learningRate;
    uint128 rewardPerRoundWei;
    uint96 targetNorm;
    uint16 patience;
    uint128 bondWei;
    uint128 stakeWei;
    bytes32 allowRoot;
    bytes32 updateKey;
    bytes32 ruleVka;
    uint256[] ruleParams;
    Point genesis;
    Point emptyColumn;
}

/// @notice One account's standing in one task. Joining writes the word, so that a first credit does not pay for it.
struct Account {
    uint128 creditWei;
    bool joined;
}

/// @notice What the hyper-parameter rule remembers, see Pace.
/// @param bestNorm, bestCount The lowest |A|^2 / n^2 so far, as |A|^2 and n; n = 0 before the first.
/// @param stale Rounds since then, or since the last halving.
/// @param halvings How often the learning rate was halved; it stays at 64, where any rate is 0.
struct PaceState {
    uint80 bestNorm;
    uint8 bestCount;
    uint16 stale;
    uint8 halvings;
}

/// @notice What changes as a task proceeds, in one word: a call reads it once and writes it once.
/// @param roundState Of the current round.
/// @param phaseStartedAt When the current round was opened or, once it is committed, committed (Unix seconds).
/// @param quorum, slots, anchor As in the config; here so that a commit reads a word less.
/// @param escrowWei Reward not yet credited to anyone.
struct Progress {
    TaskState state;
    RoundState roundState;
    Round currentRound;
    uint40 phaseStartedAt;
    uint8 quorum;
    uint8 slots;
    Anchor anchor;
    uint128 escrowWei;
}

/// @notice A task in storage. What no call needs to decide is in the logs alone: sums of credits and stakes, say. The
/// bond is `config.bondWei` while the task is open, and nothing before and after.
/// @param createdAtBlock Where the task's logs begin.
/// @param updates Hash of the last committed round's trainers and points; before the first, anything but 0.
/// @param proofTerms Pins what proofs depend on, see ProofGate.
/// @param publicHalves The low 128 bits of the x of genesis and empty column, so that a commit reads one word.
/// @param model Commitment to the current model.
/// @param previousSum Where it is the anchor: commitment to the sum of the updates accepted last.
struct Task {
    Progress progress;
    address owner;
    uint40 createdAtBlock;
    bytes32 updates;
    bytes32 proofTerms;
    uint256 publicHalves;
    Point model;
    PaceState pace;
    Point previousSum;
    TaskConfig config;
    mapping(address account => Account) accounts;
}

/// @notice A task as views return it.
/// @param roundState State of the current round; `None` unless the task is `Open`.
/// @param modelScale K = lcm(1..slots): the model is an integer vector in units of 2^-q / K.
/// @param deadline Latest time of the current round's next step (Unix seconds); 0 unless the task is `Open`.
/// @param escrowWei Reward not yet credited to anyone.
/// @param bondWei The aggregator's bond while it is posted.
/// @param learningRate Of the current round, in units of 2^-32.
struct TaskView {
    address owner;
    TaskState state;
    Round currentRound;
    RoundState roundState;
    uint256 deadline;
    uint256 createdAtBlock;
    uint256 modelScale;
    uint256 escrowWei;
    uint256 bondWei;
    uint256 learningRate;
    PaceState pace;
    Point model;
    TaskConfig config;
}
