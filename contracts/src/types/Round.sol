// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Point} from "./Point.sol";

/// @notice Number of a round within its task; the first is 0.
type Round is uint32;

using {roundEquals as ==, roundDiffers as !=} for Round global;

function roundEquals(Round a, Round b) pure returns (bool) {
    return Round.unwrap(a) == Round.unwrap(b);
}

function roundDiffers(Round a, Round b) pure returns (bool) {
    return Round.unwrap(a) != Round.unwrap(b);
}

/// @notice `Collecting` is not stored: it is what the current round is before anything else is written.
enum RoundState {
    None,
    Collecting,
    Committed,
    Settled,
    Expired
}

/// @notice One layer of a round's proof.
enum Layer {
    Linear,
    Rule
}

/// @notice A round in storage: two words. Whatever a log can carry is not here.
/// @param updates Hash of the round's trainers and points, see Commitments.updatesHash.
/// @param acceptBits Bit i: the update in slot i was accepted.
struct RoundRecord {
    bytes32 updates;
    RoundState state;
    uint8 trainerCount;
    uint32 acceptBits;
    uint40 committedAt;
}

/// @notice A round as views return it; deadlines are Unix seconds, 0 where they do not apply.
struct RoundView {
    RoundState state;
    uint256 commitDeadline;
    uint256 settleDeadline;
    uint256 trainerCount;
    uint256 acceptBits;
    bytes32 updates;
}

/// @notice One trainer's signed update, in the order of the slots.
/// @param point Commitment to the update.
/// @param cid Binary CIDv1 of the update's bytes, 1..128 bytes.
/// @param signature The trainer's EIP-712 signature over UpdateCommitment (ERC-1271 for contract wallets).
struct Submission {
    address trainer;
    Point point;
    bytes cid;
    bytes signature;
}

/// @notice Everything that settles a round.
/// @param trainers As committed, in slot order.
/// @param points As committed, in slot order.
/// @param gram Upper triangle of the Gram matrix over all slots, row by row: slots * (slots + 1) / 2 integers.
/// @param acceptBits Bit i: the rule accepts slot i.
/// @param scores One a slot, 0 for each that is not accepted.
/// @param linearVka Verifying-key words of the linear layer.
/// @param ruleVka Verifying-key words of the rule layer.
struct Settlement {
    address[] trainers;
    Point[] points;
    int64[] gram;
    uint256 acceptBits;
    uint64[] scores;
    bytes linearProof;
    bytes32[] linearVka;
    bytes ruleProof;
    bytes32[] ruleVka;
}
