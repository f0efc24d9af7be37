// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Market} from "../../src/Market.sol";
import {Point} from "../../src/types/Point.sol";
import {ProofTerms, Round, Settlement, Updates} from "../../src/types/Round.sol";
import {TaskConfig, TaskId} from "../../src/types/Task.sol";
import {VerifyingKey} from "../../src/types/UpdateArgument.sol";
import {Test} from "./Test.sol";
import {AcceptingArgument, AcceptingVerifier} from "./Verifiers.sol";

/// @notice One trainer's signed update, in the order of the slots.
struct Submission {
    address trainer;
    Point point;
    bytes cid;
    bytes signature;
}

/// @notice A market, its people, and the steps of a round. Trainer i has private key TRAINER_KEY + i.
abstract contract MarketFixture is Test {
    uint256 internal constant TRAINER_KEY = 0xA11CE;
    uint256 internal constant EMPTY_COLUMN_SCALAR = 7;
    uint256 internal constant GENESIS_SCALAR = 11;
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant COMMIT_WINDOW = 100;
    uint256 internal constant SETTLE_WINDOW = 200;
    uint128 internal constant REWARD = 1000;
    uint128 internal constant BOND = 1501;
    uint32 internal constant ROUNDS = 3;

    address internal constant OWNER = address(0x0123);
    address internal constant AGGREGATOR = address(0xA66);
    address internal constant ANYONE = address(0xBEEF);

    Market internal market;
    address internal verifier;
    bytes internal genesisCid = hex"01551220";

    function setUp() public virtual {
        vm.warp(START);
        market = new Market(new AcceptingArgument());
        verifier = address(new AcceptingVerifier());
        vm.deal(OWNER, 1e30);
        vm.deal(AGGREGATOR, 1e30);
    }

    // ------------------------------------------------------------- building

    function defaultConfig() internal view returns (TaskConfig memory config) {
        config.aggregator = AGGREGATOR;
        config.rewardPerRoundWei = REWARD;
        config.bondWei = BOND;
        config.rounds = ROUNDS;
        config.quorum = 2;
        config.slots = 4;
        config.bits = 8;
        config.dim = 650;
        config.k = 16;
        config.fractionalBits = 8;
        config.commitWindowSeconds = uint32(COMMIT_WINDOW);
        config.settleWindowSeconds = uint32(SETTLE_WINDOW);
        config.verifier = verifier;
        config.updateKey = keccak256(abi.encode(updateKey()));
        config.ruleVka = keccak256(abi.encodePacked(ruleVka()));
        config.ruleParams = new uint256[](1);
        config.ruleParams[0] = 2;
        config.genesis = pointOf(GENESIS_SCALAR);
        config.emptyColumn = pointOf(EMPTY_COLUMN_SCALAR);
    }

    function updateKey() internal view returns (VerifyingKey memory key) {
        (key.n, key.dim, key.bits, key.bits0) = (2 ** 16, 650, 8, 8);
        key.selector = pointOf(13);
    }

    function ruleVka() internal pure returns (bytes32[] memory vka) {
        vka = new bytes32[](3);
        (vka[0], vka[1], vka[2]) = (keccak256("rule 0"), keccak256("rule 1"), keccak256("rule 2"));
    }

    function trainer(uint256 i) internal pure returns (address) {
        return vm.addr(TRAINER_KEY + i);
    }

    /// @notice Discrete logarithm of trainer i's commitment in a round.
    function updateScalar(uint256 round, uint256 i) internal view returns (uint256) {
        return scalarFor(round, ROUNDS, 100_000 * (round + 1) + 1000 * i);
    }

    /// @notice The first scalar from `from` on whose point belongs to a round: what a trainer does with its salts.
    function scalarFor(uint256 round, uint256 rounds, uint256 from) internal view returns (uint256 scalar) {
        scalar = from;
        while (pointOf(scalar).x % rounds != round) ++scalar;
    }

    function updatesHash(address[] memory trainers, Point[] memory points) internal pure returns (bytes32) {
        bytes memory flat = abi.encodePacked(trainers, trainers.length);
        for (uint256 i = 0; i < points.length; ++i) {
            flat = abi.encodePacked(flat, points[i].x, points[i].y);
        }
        return keccak256(flat);
    }

    function noProof() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }

    function submission(TaskId taskId, uint256 round, uint256 i)
        internal
        view
        returns (Submission memory result)
    {
        result.trainer = trainer(i);
        result.point = pointOf(updateScalar(round, i));
        result.cid = abi.encodePacked("cid", uint8(round), uint8(i));
        result.signature = signed(taskId, round, i, result.point, result.cid);
    }

    function signed(TaskId taskId, uint256 round, uint256 i, Point memory point, bytes memory cid)
        internal
        view
        returns (bytes memory)
    {
        bytes32 digest = market.updateDigest(taskId, Round.wrap(uint32(round)), point, keccak256(cid));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(TRAINER_KEY + i, digest);
        return abi.encodePacked(r, s, v);
    }

    function submissions(TaskId taskId, uint256 round, uint256 count)
        internal
        view
        returns (Submission[] memory result)
    {
        result = new Submission[](count);
        for (uint256 i = 0; i < count; ++i) {
            result[i] = submission(taskId, round, i);
        }
    }

    /// @notice A settlement of what `submissions` committed: nobody accepted, all scores 0.
    function settlement(uint256 round, uint256 count, uint256 slots)
        internal
        view
        returns (Settlement memory result)
    {
        result.trainers = new address[](count);
        result.points = new Point[](count);
        for (uint256 i = 0; i < count; ++i) {
            result.trainers[i] = trainer(i);
            result.points[i] = pointOf(updateScalar(round, i));
        }
        result.gram = new bytes(count * (count + 1) * 4);
        result.scores = new uint64[](slots);
        result.updateProof = "update proof";
        result.updateKey = updateKey();
        result.ruleProof = "rule proof";
        result.ruleVka = ruleVka();
        result.terms = termsOf(defaultConfig());
    }

    function termsOf(TaskConfig memory config) internal pure returns (ProofTerms memory) {
        return ProofTerms({
            verifier: config.verifier,
            updateKey: config.updateKey,
            ruleVka: config.ruleVka,
            ruleParams: config.ruleParams
        });
    }

    /// @notice A Gram triangle as a settlement has it.
    function packed(int64[] memory gram) internal pure returns (bytes memory data) {
        for (uint256 i = 0; i < gram.length; ++i) {
            data = abi.encodePacked(data, gram[i]);
        }
    }

    function acceptFirst(Settlement memory given, uint256 count, uint64 score) internal pure {
        given.acceptBits = (1 << count) - 1;
        for (uint256 i = 0; i < count; ++i) {
            given.scores[i] = score;
        }
    }

    // ---------------------------------------------------------------- steps

    function create(TaskConfig memory config) internal returns (TaskId) {
        vm.prank(OWNER);
        return market.createTask{value: uint256(config.rewardPerRoundWei) * config.rounds}(
            config, genesisCid, "rule"
        );
    }

    function open(TaskConfig memory config, uint256 trainers) internal returns (TaskId taskId) {
        taskId = create(config);
        vm.prank(AGGREGATOR);
        market.postBond{value: config.bondWei}(taskId);
        for (uint256 i = 0; i < trainers; ++i) {
            vm.prank(trainer(i));
            market.joinTask(taskId, noProof());
        }
    }

    function commit(TaskId taskId, uint256 round, uint256 count) internal {
        Submission[] memory list = submissions(taskId, round, count);
        vm.prank(AGGREGATOR);
        commitList(taskId, Round.wrap(uint32(round)), list);
    }

    /// @dev Makes no other call than the one, so that a cheat code before it is meant for it.
    function commitList(TaskId taskId, Round round, Submission[] memory list) internal {
        market.commitRound(taskId, round, updatesOf(list));
    }

    function updatesOf(Submission[] memory list) internal pure returns (Updates memory updates) {
        updates = emptyUpdates(list.length);
        for (uint256 i = 0; i < list.length; ++i) {
            updates.trainers[i] = list[i].trainer;
            updates.points[i] = list[i].point;
            updates.cids[i] = list[i].cid;
            updates.signatures[i] = list[i].signature;
        }
    }

    function emptyUpdates(uint256 count) internal pure returns (Updates memory updates) {
        updates.trainers = new address[](count);
        updates.points = new Point[](count);
        updates.cids = new bytes[](count);
        updates.signatures = new bytes[](count);
    }

    function committed(uint256 count) internal returns (TaskId taskId) {
        taskId = open(defaultConfig(), count);
        commit(taskId, 0, count);
    }

    function settle(TaskId taskId, uint256 round, Settlement memory given) internal {
        vm.prank(ANYONE);
        market.settleRound(taskId, Round.wrap(uint32(round)), given);
    }

    function credit(TaskId taskId, address account) internal view returns (uint256 amountWei) {
        (amountWei,) = market.creditOf(taskId, account);
    }
}
