// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Point} from "./Point.sol";
import {Round, RoundRecord, RoundState} from "./Round.sol";

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

/// @notice What a task promises. It never changes after `createTask`.
/// @param aggregator The only account that may post the bond, commit rounds and publish models.
/// @param token ERC-20 of reward and bond; 0 is the chain's native currency.
/// @param rewardPerRoundWei Split by score in each settled round, in the token's smallest unit.
/// @param bondWei Posted by the aggregator, lost when a committed round expires; at least one round's reward.
/// @param rounds Number of rounds, numbered from 0.
/// @param quorum Fewest trainers of a committed round, 1..slots.
/// @param slots Slots of both circuits, 3..32.
/// @param bits Width of an update's entry: 4, 8 or 16.
/// @param dim Length of an update, 1..2^k - 518.
/// @param k Log2 of the commitment's domain, 10..28.
/// @param fractionalBits q of the public scale 2^-q, at most 64.
/// @param commitWindowSeconds From a round's opening to the latest `commitRound`.
/// @param settleWindowSeconds From `commitRound` to the latest `settleRound`.
/// @param payByRound Credits are claimable after each round; otherwise when the task is closed.
/// @param verifier The reusable Halo2 verifier that both layers' proofs are checked with.
/// @param linearVka keccak256 of the linear layer's verifying-key words.
/// @param ruleVka keccak256 of the rule layer's verifying-key words.
/// @param ruleParams Public parameters of the rule (for multi-Krum: f), each a field element, at most 16.
/// @param genesis Commitment to the model before the first round.
/// @param emptySlot Commitment to the public column of a slot that nobody filled.
struct TaskConfig {
    address aggregator;
    address token;
    uint128 rewardPerRoundWei;
    uint128 bondWei;
    uint32 rounds;
    uint8 quorum;
    uint8 slots;
    uint8 bits;
    uint32 dim;
    uint8 k;
    uint8 fractionalBits;
    uint32 commitWindowSeconds;
    uint32 settleWindowSeconds;
    bool payByRound;
    address verifier;
    bytes32 linearVka;
    bytes32 ruleVka;
    uint256[] ruleParams;
    Point genesis;
    Point emptySlot;
}

/// @notice One account's standing in one task. Joining writes the word, so that a first credit does not pay for it.
struct Account {
    uint128 creditWei;
    bool joined;
}

/// @notice A task in storage.
/// @param phaseStartedAt When the current round was opened or, once it is committed, committed (Unix seconds).
/// @param createdAtBlock Where the task's logs begin.
/// @param modelScale K = lcm(1..slots): the model is an integer vector in units of 2^-q / K.
/// @param escrowWei Reward not yet credited to anyone.
/// @param creditsWei Sum of all accounts' credits.
/// @param bondWei The aggregator's bond while it is posted.
/// @param model Commitment to the current model.
struct Task {
    TaskState state;
    Round currentRound;
    uint40 phaseStartedAt;
    uint64 createdAtBlock;
    uint64 modelScale;
    uint128 escrowWei;
    uint128 creditsWei;
    uint128 bondWei;
    address owner;
    Point model;
    TaskConfig config;
    mapping(address account => Account) accounts;
    mapping(Round round => RoundRecord) rounds;
    mapping(uint256 pointX => bool) usedPoints;
}

/// @notice A task as views return it.
/// @param roundState State of the current round; `None` unless the task is `Open`.
/// @param deadline Latest time of the current round's next step (Unix seconds); 0 unless the task is `Open`.
struct TaskView {
    address owner;
    TaskState state;
    Round currentRound;
    RoundState roundState;
    uint256 deadline;
    uint256 createdAtBlock;
    uint256 modelScale;
    uint256 escrowWei;
    uint256 creditsWei;
    uint256 bondWei;
    Point model;
    TaskConfig config;
}
