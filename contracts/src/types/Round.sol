// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Point} from "./Point.sol";
import {VerifyingKey} from "./UpdateArgument.sol";

/// @notice Number of a round within its task; the first is 0.
type Round is uint32;

using {roundEquals as ==, roundDiffers as !=} for Round global;

function roundEquals(Round a, Round b) pure returns (bool) {
    return Round.unwrap(a) == Round.unwrap(b);
}

function roundDiffers(Round a, Round b) pure returns (bool) {
    return Round.unwrap(a) != Round.unwrap(b);
}

/// @notice Only the current round's state is stored: every earlier one was settled, or there would be no later one.
enum RoundState {
    None,
    Collecting,
    Committed,
    Settled,
    Expired
}

/// @notice A round as views return it; deadlines are Unix seconds, 0 where they do not apply. Who took part, and
/// what came of it, is in the round's logs.
/// @param updates Hash of the current round's trainers and points, once it is committed (Commitments.updatesHash).
struct RoundView {
    RoundState state;
    uint256 commitDeadline;
    uint256 settleDeadline;
    bytes32 updates;
}

/// @notice Everything that commits a round; entry i of each list fills slot i.
/// @param trainers Members of the task, each once. Slot 0 of a task with an anchor: the owner for its reference, 0 for
/// the previous sum.
/// @param points Commitments to the updates, each with an x that is the round modulo the task's rounds; but the
/// previous sum is what it is.
/// @param cids Binary CIDv1 of each update's bytes, 1..128 bytes.
/// @param signatures Each trainer's EIP-712 signature over UpdateCommitment (ERC-1271 for contract wallets); nobody
/// signs for the previous sum, whose entry is ignored.
struct Updates {
    address[] trainers;
    Point[] points;
    bytes[] cids;
    bytes[] signatures;
}

/// @notice Those of a task's terms that its proofs depend on. A settlement brings them along, and one pinned word says
/// whether they are the task's: that is cheaper than to read them from storage.
/// @param verifier Checks the rule layer's proofs.
/// @param updateKey keccak256 of the update argument's verifying key.
/// @param ruleVka keccak256 of the rule layer's verifying-key words.
/// @param ruleParams Public parameters of the rule.
struct ProofTerms {
    address verifier;
    bytes32 updateKey;
    bytes32 ruleVka;
    uint256[] ruleParams;
}

/// @notice Everything that settles a round.
/// @param trainers As committed, in slot order.
/// @param points As committed, in slot order.
/// @param gram Upper triangle of the Gram matrix over the filled slots, row by row: 8 bytes an integer, big-endian.
/// @param acceptBits Bit i: the rule accepts slot i.
/// @param scores One a slot, 0 for each that is not accepted.
/// @param updateProof The update argument.
/// @param updateKey The update argument's verifying key.
/// @param ruleProof Proof of the rule layer.
/// @param ruleVka Verifying-key words of the rule layer.
/// @param terms The task's own.
struct Settlement {
    address[] trainers;
    Point[] points;
    bytes gram;
    uint256 acceptBits;
    uint64[] scores;
    bytes updateProof;
    VerifyingKey updateKey;
    bytes ruleProof;
    bytes32[] ruleVka;
    ProofTerms terms;
}
