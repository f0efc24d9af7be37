// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "./Bn254.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {Anchor, TaskConfig} from "../types/Task.sol";

/// @title Which terms a task may have
library TaskTerms {
    uint256 internal constant MIN_SLOTS = 3;
    uint256 internal constant MAX_SLOTS = 32;
    /// @dev 2^9 rows do not hold the salts and the tail.
    uint256 internal constant MIN_K = 10;
    /// @dev The scalar field has a domain of 2^28. It also keeps dim * 2^(2 (bits - 1)), and so any Gram entry,
    /// under 2^58: far from wrapping around the field, and inside ProofGate's limit.
    uint256 internal constant MAX_K = 28;
    /// @dev Rows of a column that are not data: 512 salts and 6 of tail.
    uint256 internal constant RESERVED_ROWS = 518;
    uint256 internal constant MAX_FRACTIONAL_BITS = 64;
    uint256 internal constant MAX_RULE_PARAMS = 16;
    /// @dev A trainer draws salts that often until its point belongs to the round.
    uint256 internal constant MAX_ROUNDS = 65_536;
    uint256 internal constant MAX_WINDOW_SECONDS = 365 days;
    uint256 internal constant MAX_CID_BYTES = 128;
    uint256 internal constant MAX_RULE_NAME_BYTES = 64;

    /// @notice Reverts, naming the field, unless these terms are sound.
    function requireValid(TaskConfig calldata config, bytes calldata genesisCid, string calldata ruleName)
        internal
        view
    {
        _requireMoney(config);
        _requireShape(config);
        _requireProofs(config);
        // A rule for the learning rate needs a rate.
        if (config.patience != 0) _atLeast("learningRate", config.learningRate, 1);
        requireCid(genesisCid);
        _atMost("ruleName", bytes(ruleName).length, MAX_RULE_NAME_BYTES);
    }

    /// @notice Reverts with InvalidCid unless a CID has 1..128 bytes.
    function requireCid(bytes calldata cid) internal pure {
        if (cid.length == 0 || cid.length > MAX_CID_BYTES) {
            revert IMarket.InvalidCid(cid.length, MAX_CID_BYTES);
        }
    }

    function _requireMoney(TaskConfig calldata config) private pure {
        _atLeast("aggregator", uint160(config.aggregator), 1);
        _atLeast("rewardPerRoundWei", config.rewardPerRoundWei, 1);
        // With a smaller bond it could pay not to settle.
        _atLeast("bondWei", config.bondWei, config.rewardPerRoundWei);
        _atLeast("rounds", config.rounds, 1);
        _atMost("rounds", config.rounds, MAX_ROUNDS);
        uint256 rewardWei = uint256(config.rewardPerRoundWei) * config.rounds;
        // The ledger counts in 128 bits, and a task's credits can reach reward and bond together.
        _atMost("rewardPerRoundWei", rewardWei, type(uint128).max);
        _atMost("bondWei", config.bondWei, type(uint128).max - rewardWei);
        _atLeast("commitWindowSeconds", config.commitWindowSeconds, 1);
        _atMost("commitWindowSeconds", config.commitWindowSeconds, MAX_WINDOW_SECONDS);
        _atLeast("settleWindowSeconds", config.settleWindowSeconds, 1);
        _atMost("settleWindowSeconds", config.settleWindowSeconds, MAX_WINDOW_SECONDS);
    }

    function _requireShape(TaskConfig calldata config) private pure {
        _atLeast("slots", config.slots, MIN_SLOTS);
        _atMost("slots", config.slots, MAX_SLOTS);
        _atLeast("quorum", config.quorum, 1);
        _atMost("quorum", config.quorum, config.slots - (config.anchor == Anchor.None ? 0 : 1));
        if (config.bits != 4 && config.bits != 8 && config.bits != 16) {
            revert IMarket.FieldNotAllowed("bits", config.bits);
        }
        _atLeast("k", config.k, MIN_K);
        _atMost("k", config.k, MAX_K);
        _atLeast("dim", config.dim, 1);
        _atMost("dim", config.dim, (1 << config.k) - RESERVED_ROWS);
        _atMost("fractionalBits", config.fractionalBits, MAX_FRACTIONAL_BITS);
    }

    function _requireProofs(TaskConfig calldata config) private view {
        if (config.verifier.code.length == 0) revert IMarket.VerifierWithoutCode(config.verifier);
        _atLeast("updateKey", uint256(config.updateKey), 1);
        _atLeast("ruleVka", uint256(config.ruleVka), 1);
        _atMost("ruleParams.length", config.ruleParams.length, MAX_RULE_PARAMS);
        for (uint256 i = 0; i < config.ruleParams.length; ++i) {
            _atMost("ruleParams", config.ruleParams[i], Bn254.SCALAR_FIELD - 1);
        }
        Bn254.requireValid(config.genesis);
        Bn254.requireValid(config.emptyColumn);
        // One column for two purposes.
        if (config.emptyColumn.x == config.genesis.x) {
            revert IMarket.PointAlreadyUsed(config.emptyColumn.x, config.emptyColumn.y);
        }
    }

    function _atLeast(bytes32 field, uint256 value, uint256 minimum) private pure {
        if (value < minimum) revert IMarket.FieldTooSmall(field, value, minimum);
    }

    function _atMost(bytes32 field, uint256 value, uint256 maximum) private pure {
        if (value > maximum) revert IMarket.FieldTooLarge(field, value, maximum);
    }
}
