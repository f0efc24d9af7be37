// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {Point} from "../src/types/Point.sol";
import {Round, RoundState, RoundView, Settlement, Updates} from "../src/types/Round.sol";
import {TaskConfig, TaskId, TaskState, TaskView} from "../src/types/Task.sol";
import {BurningAccount, ContractWallet} from "./utils/Accounts.sol";
import {MarketFixture, Submission} from "./utils/MarketFixture.sol";

/// @notice The state machine: every transition, and every way not to make it.
contract MarketTest is MarketFixture {
    Round private constant FIRST = Round.wrap(0);
    Round private constant SECOND = Round.wrap(1);

    // ----------------------------------------------------------- createTask

    function test_createEscrowsTheWholeReward() public {
        TaskConfig memory config = defaultConfig();
        vm.expectEmit(address(market));
        emit IMarket.TaskCreated(TaskId.wrap(1), OWNER, AGGREGATOR, config, genesisCid, "rule");
        TaskId taskId = create(config);
        TaskView memory task = market.taskOf(taskId);
        assertEq(TaskId.unwrap(taskId), 1, "id");
        assertEq(uint256(task.state), uint256(TaskState.Funded), "state");
        assertEq(task.owner, OWNER, "owner");
        assertEq(task.escrowWei, ROUNDS * REWARD, "escrow");
        assertEq(task.modelScale, 12, "K");
        assertEq(task.deadline, 0, "deadline");
        assertEq(task.model, pointOf(GENESIS_SCALAR), "model");
        assertEq(keccak256(abi.encode(task.config)), keccak256(abi.encode(config)), "config");
        assertEq(address(market).balance, ROUNDS * REWARD, "balance");
    }

    function test_createRefusesAnyOtherValue() public {
        TaskConfig memory config = defaultConfig();
        uint256[3] memory values = [uint256(0), ROUNDS * REWARD - 1, ROUNDS * REWARD + 1];
        for (uint256 i = 0; i < values.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IMarket.WrongValue.selector, ROUNDS * REWARD, values[i]));
            vm.prank(OWNER);
            market.createTask{value: values[i]}(config, genesisCid, "rule");
        }
    }

    function test_createChecksTheTerms() public {
        TaskConfig memory config = defaultConfig();
        config.slots = 2;
        vm.expectRevert(abi.encodeWithSelector(IMarket.FieldTooSmall.selector, bytes32("slots"), 2, 3));
        vm.prank(OWNER);
        market.createTask{value: ROUNDS * REWARD}(config, genesisCid, "rule");
    }

    function test_createRefusesOneColumnForTwoPurposes() public {
        TaskConfig memory config = defaultConfig();
        config.emptyColumn = config.genesis;
        vm.expectRevert(
            abi.encodeWithSelector(IMarket.PointAlreadyUsed.selector, config.genesis.x, config.genesis.y)
        );
        vm.prank(OWNER);
        market.createTask{value: ROUNDS * REWARD}(config, genesisCid, "rule");
    }

    // ------------------------------------------------------------- postBond

    function test_bondOpensTheFirstRound() public {
        TaskId taskId = create(defaultConfig());
        vm.expectEmit(address(market));
        emit IMarket.BondPosted(taskId, AGGREGATOR, BOND);
        vm.expectEmit(address(market));
        emit IMarket.RoundOpened(taskId, FIRST, START + COMMIT_WINDOW);
        vm.prank(AGGREGATOR);
        market.postBond{value: BOND}(taskId);
        TaskView memory task = market.taskOf(taskId);
        assertEq(uint256(task.state), uint256(TaskState.Open), "state");
        assertEq(uint256(task.roundState), uint256(RoundState.Collecting), "round");
        assertEq(task.deadline, START + COMMIT_WINDOW, "deadline");
        assertEq(task.bondWei, BOND, "bond");
    }

    function test_onlyTheAggregatorPostsTheBond() public {
        TaskId taskId = create(defaultConfig());
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotAggregator.selector, OWNER));
        vm.prank(OWNER);
        market.postBond{value: BOND}(taskId);
    }

    function test_bondRefusesAnyOtherValue() public {
        TaskId taskId = create(defaultConfig());
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongValue.selector, BOND, BOND - 1));
        vm.prank(AGGREGATOR);
        market.postBond{value: BOND - 1}(taskId);
    }

    function test_bondIsPostedOnce() public {
        TaskId taskId = open(defaultConfig(), 0);
        vm.expectRevert(_wrongState(taskId, TaskState.Funded, TaskState.Open));
        vm.prank(AGGREGATOR);
        market.postBond{value: BOND}(taskId);
    }

    // ------------------------------------------------------------- joinTask

    function test_joinIsOpenToAllButOnce() public {
        TaskId taskId = create(defaultConfig());
        assertTrue(!market.hasJoined(taskId, trainer(0)), "joined before");
        vm.expectEmit(address(market));
        emit IMarket.TrainerJoined(taskId, trainer(0), 0);
        vm.startPrank(trainer(0));
        market.joinTask(taskId, noProof());
        assertTrue(market.hasJoined(taskId, trainer(0)), "not joined");
        vm.expectRevert(abi.encodeWithSelector(IMarket.AlreadyJoined.selector, trainer(0)));
        market.joinTask(taskId, noProof());
        vm.stopPrank();
    }

    function test_joinRefusesAClosedTask() public {
        TaskId taskId = create(defaultConfig());
        vm.prank(OWNER);
        market.closeTask(taskId);
        vm.expectRevert(_wrongState(taskId, TaskState.Open, TaskState.Closed));
        market.joinTask(taskId, noProof());
    }

    // ---------------------------------------------------------- commitRound

    function test_commitFixesTheUpdates() public {
        TaskId taskId = open(defaultConfig(), 3);
        Submission[] memory list = submissions(taskId, 0, 3);
        Settlement memory expected = settlement(0, 3, 4);
        bytes memory cids = abi.encodePacked(
            abi.encodePacked(uint8(5), list[0].cid, uint8(5)), list[1].cid, uint8(5), list[2].cid
        );
        vm.warp(START + COMMIT_WINDOW); // the last moment
        vm.expectEmit(address(market));
        emit IMarket.RoundCommitted(
            taskId, FIRST, expected.trainers, expected.points, cids, START + COMMIT_WINDOW + SETTLE_WINDOW
        );
        vm.prank(AGGREGATOR);
        commitList(taskId, FIRST, list);
        RoundView memory round = market.roundOf(taskId, FIRST);
        assertEq(uint256(round.state), uint256(RoundState.Committed), "state");
        assertEq(round.settleDeadline, START + COMMIT_WINDOW + SETTLE_WINDOW, "deadline");
        assertEq(round.updates, updatesHash(expected.trainers, expected.points), "updates");
        assertEq(market.taskOf(taskId).deadline, round.settleDeadline, "task's deadline");
    }

    function test_commitByTheAggregatorOnly() public {
        TaskId taskId = open(defaultConfig(), 2);
        Submission[] memory list = submissions(taskId, 0, 2);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotAggregator.selector, ANYONE));
        vm.prank(ANYONE);
        commitList(taskId, FIRST, list);
    }

    function test_commitNeedsAnOpenTask() public {
        TaskId taskId = create(defaultConfig());
        _commitRefused(
            taskId, FIRST, new Submission[](0), _wrongState(taskId, TaskState.Open, TaskState.Funded)
        );
    }

    function test_commitIsForTheCurrentRoundOnce() public {
        TaskId taskId = open(defaultConfig(), 2);
        Submission[] memory list = submissions(taskId, 1, 2);
        _commitRefused(
            taskId, SECOND, list, abi.encodeWithSelector(IMarket.WrongRound.selector, FIRST, SECOND)
        );
        commit(taskId, 0, 2);
        _commitRefused(
            taskId,
            FIRST,
            list,
            abi.encodeWithSelector(
                IMarket.WrongRoundState.selector, FIRST, RoundState.Collecting, RoundState.Committed
            )
        );
    }

    function test_commitWithinItsWindow() public {
        TaskId taskId = open(defaultConfig(), 2);
        Submission[] memory list = submissions(taskId, 0, 2);
        vm.warp(START + COMMIT_WINDOW + 1);
        _commitRefused(
            taskId,
            FIRST,
            list,
            abi.encodeWithSelector(IMarket.CommitWindowClosed.selector, START + COMMIT_WINDOW)
        );
    }

    function test_commitNeedsQuorumAndSlots() public {
        TaskId taskId = open(defaultConfig(), 5);
        Submission[] memory list = submissions(taskId, 0, 1);
        _commitRefused(taskId, FIRST, list, abi.encodeWithSelector(IMarket.TooFewTrainers.selector, 1, 2));
        list = submissions(taskId, 0, 5);
        _commitRefused(taskId, FIRST, list, abi.encodeWithSelector(IMarket.TooManyTrainers.selector, 5, 4));
    }

    function test_commitNeedsTrainersThatJoined() public {
        TaskId taskId = open(defaultConfig(), 2);
        Submission[] memory list = submissions(taskId, 0, 3);
        _commitRefused(taskId, FIRST, list, abi.encodeWithSelector(IMarket.NotJoined.selector, trainer(2)));
    }

    function test_commitRefusesATrainerTwice() public {
        TaskId taskId = open(defaultConfig(), 3);
        Submission[] memory list = submissions(taskId, 0, 3);
        list[2] = submission(taskId, 0, 0);
        list[2].point = pointOf(scalarFor(0, ROUNDS, 4242));
        list[2].signature = signed(taskId, 0, 0, list[2].point, list[2].cid);
        _commitRefused(
            taskId, FIRST, list, abi.encodeWithSelector(IMarket.DuplicateTrainer.selector, trainer(0))
        );
    }

    function test_commitRefusesACopiedCommitment() public {
        TaskId taskId = open(defaultConfig(), 3);
        Submission[] memory list = submissions(taskId, 0, 3);
        _copyInto(list[2], taskId, 0, 2, list[0].point);
        _commitRefused(taskId, FIRST, list, _alreadyUsed(list[0].point));
    }

    function test_commitRefusesAReplayedCommitment() public {
        TaskId taskId = committed(3);
        settle(taskId, 0, settlement(0, 3, 4));
        Submission[] memory list = submissions(taskId, 1, 3);
        Point memory own = pointOf(updateScalar(0, 1));
        Point memory others = pointOf(updateScalar(0, 0));
        Point memory negated = Point(others.x, Bn254.BASE_FIELD - others.y);
        Point[3] memory used = [own, others, negated];
        for (uint256 i = 0; i < used.length; ++i) {
            _copyInto(list[1], taskId, 1, 1, used[i]);
            _commitRefused(
                taskId,
                SECOND,
                list,
                abi.encodeWithSelector(IMarket.PointOfAnotherRound.selector, used[i].x, SECOND, 0)
            );
        }
    }

    function test_commitRefusesPublicColumns() public {
        TaskConfig memory config = defaultConfig();
        config.genesis = pointOf(scalarFor(0, ROUNDS, 50));
        config.emptyColumn = pointOf(scalarFor(0, ROUNDS, 60));
        TaskId taskId = open(config, 2);
        Submission[] memory list = submissions(taskId, 0, 2);
        _copyInto(list[0], taskId, 0, 0, config.emptyColumn);
        _commitRefused(taskId, FIRST, list, _alreadyUsed(list[0].point));
        _copyInto(list[0], taskId, 0, 0, config.genesis);
        _commitRefused(taskId, FIRST, list, _alreadyUsed(list[0].point));
    }

    function testFuzz_aPointBelongsToOneRound(uint256 scalar) public {
        vm.assume(scalar % Bn254.SCALAR_FIELD != 0);
        TaskId taskId = create(defaultConfig());
        Round of_ = market.roundOfPoint(taskId, pointOf(scalar).x);
        assertEq(Round.unwrap(of_), pointOf(scalar).x % ROUNDS, "round");
    }

    function test_commitNeedsListsOfOneLength() public {
        TaskId taskId = open(defaultConfig(), 2);
        bytes32[3] memory fields = [bytes32("points"), "cids", "signatures"];
        for (uint256 i = 0; i < 3; ++i) {
            Updates memory updates = emptyUpdates(2);
            if (i == 0) updates.points = new Point[](3);
            if (i == 1) updates.cids = new bytes[](3);
            if (i == 2) updates.signatures = new bytes[](3);
            vm.expectRevert(abi.encodeWithSelector(IMarket.WrongLength.selector, fields[i], 3, 2));
            vm.prank(AGGREGATOR);
            market.commitRound(taskId, FIRST, updates);
        }
    }

    function test_commitmentsOfTwoTasksDoNotMeet() public {
        committed(2);
        committed(2); // the same points
    }

    function test_commitRefusesPointsOffTheCurve() public {
        TaskId taskId = open(defaultConfig(), 2);
        Submission[] memory list = submissions(taskId, 0, 2);
        _copyInto(list[0], taskId, 0, 0, Point(0, 0));
        _commitRefused(taskId, FIRST, list, abi.encodeWithSelector(IMarket.InvalidPoint.selector, 0, 0));
        _copyInto(list[0], taskId, 0, 0, Point(1, 3));
        _commitRefused(taskId, FIRST, list, abi.encodeWithSelector(IMarket.InvalidPoint.selector, 1, 3));
    }

    function test_commitRefusesUnreasonableCids() public {
        TaskId taskId = open(defaultConfig(), 2);
        Submission[] memory list = submissions(taskId, 0, 2);
        list[1].cid = "";
        _commitRefused(taskId, FIRST, list, abi.encodeWithSelector(IMarket.InvalidCid.selector, 0, 128));
        list[1].cid = new bytes(129);
        _commitRefused(taskId, FIRST, list, abi.encodeWithSelector(IMarket.InvalidCid.selector, 129, 128));
    }

    /// @dev A signature holds for one trainer, task, round, point, CID and market.
    function test_commitRefusesEverySignatureButTheTrainersOnThisUpdate() public {
        TaskId other = open(defaultConfig(), 2);
        TaskId taskId = open(defaultConfig(), 2);
        Submission[] memory list = submissions(taskId, 0, 2);
        bytes[6] memory wrong = [
            signed(taskId, 0, 1, list[0].point, list[0].cid), // another trainer's
            signed(other, 0, 0, list[0].point, list[0].cid), // another task
            signed(taskId, 1, 0, list[0].point, list[0].cid), // another round
            signed(taskId, 0, 0, list[1].point, list[0].cid), // another point
            signed(taskId, 0, 0, list[0].point, list[1].cid), // another CID
            bytes("") // none
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            list[0].signature = wrong[i];
            _commitRefused(
                taskId, FIRST, list, abi.encodeWithSelector(IMarket.InvalidSignature.selector, trainer(0))
            );
        }
    }

    /// @dev As with EIP-7702: whoever delegates its account after signing must not break everybody's round.
    function test_codeOnASignersAccountTakesNothingBack() public {
        TaskId taskId = open(defaultConfig(), 2);
        vm.etch(trainer(0), hex"fe");
        commit(taskId, 0, 2);
    }

    function test_contractWalletsSignToo() public {
        TaskId taskId = open(defaultConfig(), 2);
        ContractWallet wallet = new ContractWallet();
        wallet.join(market, taskId);
        Submission[] memory list = submissions(taskId, 0, 2);
        list[1].trainer = address(wallet);
        list[1].signature = "";
        _commitRefused(
            taskId, FIRST, list, abi.encodeWithSelector(IMarket.InvalidSignature.selector, address(wallet))
        );
        wallet.approve(market.updateDigest(taskId, FIRST, list[1].point, keccak256(list[1].cid)));
        vm.prank(AGGREGATOR);
        commitList(taskId, FIRST, list);
    }

    /// @dev It costs the aggregator one attempt, and the wallet its place in the round.
    function test_aWalletThatBurnsGasHarmsOnlyItself() public {
        TaskId taskId = open(defaultConfig(), 2);
        BurningAccount wallet = new BurningAccount();
        wallet.join(market, taskId);
        Submission[] memory list = submissions(taskId, 0, 3);
        list[2].trainer = address(wallet);
        Updates memory updates = updatesOf(list);
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidSignature.selector, address(wallet)));
        vm.prank(AGGREGATOR);
        market.commitRound{gas: 10_000_000}(taskId, FIRST, updates);
        commit(taskId, 0, 2);
    }

    /// @dev Entries of the two lists of bytes are found by offsets that the caller gives.
    function test_commitRefusesEntriesOutsideItsCalldata() public {
        TaskId taskId = open(defaultConfig(), 2);
        Updates memory updates = updatesOf(submissions(taskId, 0, 2));
        bytes memory fine = abi.encodeCall(market.commitRound, (taskId, FIRST, updates));
        uint256 head = 4 + 3 * 32; // of `updates`, whose lists begin at offsets from here
        uint256[2] memory offsets = [uint256(1 << 20), type(uint256).max << 5];
        for (uint256 i = 0; i < offsets.length; ++i) {
            bytes memory call = bytes.concat(fine);
            _put(call, head + _word(call, head + 64) + 32, offsets[i]);
            vm.prank(AGGREGATOR);
            (bool ok,) = address(market).call(call);
            assertTrue(!ok, "a CID from nowhere");
            call = bytes.concat(fine);
            _put(call, head + _word(call, head + 96) + 32, offsets[i]);
            vm.prank(AGGREGATOR);
            (ok,) = address(market).call(call);
            assertTrue(!ok, "a signature from nowhere");
        }
        vm.prank(AGGREGATOR);
        (bool accepted,) = address(market).call(fine);
        assertTrue(accepted, "the same call, untouched");
    }

    /// @dev A word that is more than an address would make the log and the hash say something else than the checks.
    function test_commitRefusesDirtyAddresses() public {
        TaskId taskId = open(defaultConfig(), 2);
        Updates memory updates = updatesOf(submissions(taskId, 0, 2));
        bytes memory call = abi.encodeCall(market.commitRound, (taskId, FIRST, updates));
        uint256 head = 4 + 3 * 32;
        uint256 at = head + _word(call, head) + 32;
        _put(call, at, _word(call, at) | (1 << 160));
        vm.prank(AGGREGATOR);
        (bool ok,) = address(market).call(call);
        assertTrue(!ok, "committed");
    }

    // ---------------------------------------------------------- settleRound

    /// @dev Accepted words are those of their types, or what is hashed, proven, logged and paid could differ.
    function test_settleRefusesDirtyScores() public {
        TaskId taskId = committed(2);
        Settlement memory given = settlement(0, 2, 4);
        acceptFirst(given, 2, 1);
        bytes memory fine = abi.encodeCall(market.settleRound, (taskId, FIRST, given));
        uint256 head = 4 + 3 * 32;
        bytes memory call = bytes.concat(fine);
        uint256 at = head + _word(call, head + 32 * 4) + 32;
        _put(call, at, _word(call, at) | (1 << 64));
        (bool ok,) = address(market).call(call);
        assertTrue(!ok, "settled");
        (bool accepted,) = address(market).call(fine);
        assertTrue(accepted, "the same call, untouched");
    }

    /// @dev Two tasks with one set of keys and people: what settles one says nothing about the other's round.
    function test_settleRefusesAnotherTasksRound() public {
        TaskId other = open(defaultConfig(), 3);
        commit(other, 0, 3);
        TaskId taskId = committed(2);
        Settlement memory given = settlement(0, 3, 4);
        bytes32 wrong = updatesHash(given.trainers, given.points);
        Settlement memory own = settlement(0, 2, 4);
        bytes32 hash = updatesHash(own.trainers, own.points);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UpdatesMismatch.selector, hash, wrong));
        settle(taskId, 0, given);
        settle(other, 0, given);
    }

    /// @dev Terms of a task with a laxer rule.
    function test_settleRefusesAnotherTasksTerms() public {
        TaskConfig memory lax = defaultConfig();
        lax.ruleParams[0] = 9;
        open(lax, 2);
        TaskId taskId = committed(2);
        Settlement memory given = settlement(0, 2, 4);
        bytes32 pinned = keccak256(abi.encode(given.terms));
        given.terms = termsOf(lax);
        bytes32 other = keccak256(abi.encode(given.terms));
        vm.expectRevert(abi.encodeWithSelector(IMarket.ProofTermsMismatch.selector, pinned, other));
        settle(taskId, 0, given);
    }

    function test_settlePaysByScoreAndMovesTheModel() public {
        TaskId taskId = committed(3);
        Settlement memory given = settlement(0, 3, 4);
        given.acceptBits = 5; // trainers 0 and 2
        (given.scores[0], given.scores[2]) = (1, 2);
        uint256[] memory paid = new uint256[](3);
        (paid[0], paid[2]) = (333, 666);
        // K / n = 12 / 2
        Point memory model = pointOf(GENESIS_SCALAR + 6 * (updateScalar(0, 0) + updateScalar(0, 2)));
        vm.warp(START + SETTLE_WINDOW); // the last moment
        vm.expectEmit(address(market));
        emit IMarket.RoundSettled(taskId, FIRST, 5, given.scores, paid, model, 0, 0);
        vm.expectEmit(address(market));
        emit IMarket.RoundOpened(taskId, SECOND, START + SETTLE_WINDOW + COMMIT_WINDOW);
        settle(taskId, 0, given);

        assertEq(credit(taskId, trainer(0)), 333, "trainer 0");
        assertEq(credit(taskId, trainer(1)), 0, "trainer 1");
        assertEq(credit(taskId, trainer(2)), 666, "trainer 2");
        TaskView memory task = market.taskOf(taskId);
        assertEq(task.escrowWei, ROUNDS * REWARD - 999, "escrow keeps the remainder");
        assertEq(task.model, model, "model");
        assertEq(market.modelCommitment(taskId), model, "model commitment");
        assertEq(uint256(task.roundState), uint256(RoundState.Collecting), "next round");
        RoundView memory round = market.roundOf(taskId, FIRST);
        assertEq(uint256(round.state), uint256(RoundState.Settled), "state");
    }

    function test_settleWithNobodyAcceptedPaysNothing() public {
        TaskId taskId = committed(2);
        settle(taskId, 0, settlement(0, 2, 4));
        TaskView memory task = market.taskOf(taskId);
        assertEq(task.escrowWei, ROUNDS * REWARD, "escrow");
        assertEq(task.model, pointOf(GENESIS_SCALAR), "model");
    }

    function test_settleWithAllScoresZeroMovesTheModelAndPaysNothing() public {
        TaskId taskId = committed(2);
        Settlement memory given = settlement(0, 2, 4);
        acceptFirst(given, 1, 0);
        settle(taskId, 0, given);
        assertEq(market.taskOf(taskId).escrowWei, ROUNDS * REWARD, "escrow");
        assertEq(market.modelCommitment(taskId), pointOf(GENESIS_SCALAR + 12 * updateScalar(0, 0)), "model");
    }

    function test_lastRoundClosesTheTask() public {
        TaskId taskId = open(defaultConfig(), 2);
        for (uint256 round = 0; round < ROUNDS; ++round) {
            commit(taskId, round, 2);
            Settlement memory given = settlement(round, 2, 4);
            acceptFirst(given, 2, 7);
            if (round == ROUNDS - 1) {
                given.scores[1] = 0;
                vm.expectEmit(address(market));
                emit IMarket.TaskClosed(taskId, 0, BOND);
            }
            settle(taskId, round, given);
        }
        TaskView memory task = market.taskOf(taskId);
        assertEq(uint256(task.state), uint256(TaskState.Closed), "state");
        assertEq(uint256(task.roundState), uint256(RoundState.None), "round");
        assertEq(credit(taskId, trainer(0)), 500 + 500 + 1000, "trainer 0");
        assertEq(credit(taskId, trainer(1)), 500 + 500, "trainer 1");
        assertEq(credit(taskId, AGGREGATOR), BOND, "aggregator");
        assertEq(task.escrowWei + task.bondWei, 0, "left");
    }

    function test_settleIsForTheCurrentRoundOnce() public {
        TaskId taskId = open(defaultConfig(), 2);
        _settleRefused(taskId, FIRST, _wrongRoundState(FIRST, RoundState.Committed, RoundState.Collecting));
        commit(taskId, 0, 2);
        _settleRefused(taskId, SECOND, abi.encodeWithSelector(IMarket.WrongRound.selector, FIRST, SECOND));
        settle(taskId, 0, settlement(0, 2, 4));
        _settleRefused(taskId, FIRST, abi.encodeWithSelector(IMarket.WrongRound.selector, SECOND, FIRST));
    }

    function test_settleWithinItsWindow() public {
        TaskId taskId = committed(2);
        vm.warp(START + SETTLE_WINDOW + 1);
        _settleRefused(
            taskId, FIRST, abi.encodeWithSelector(IMarket.SettleWindowClosed.selector, START + SETTLE_WINDOW)
        );
    }

    function test_settleChecksTheUpdates() public {
        TaskId taskId = committed(3);
        Settlement memory given = settlement(0, 3, 4);
        bytes32 hash = updatesHash(given.trainers, given.points);
        (given.trainers[0], given.trainers[1]) = (given.trainers[1], given.trainers[0]);
        bytes32 wrong = updatesHash(given.trainers, given.points);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UpdatesMismatch.selector, hash, wrong));
        settle(taskId, 0, given);
        // A trainer dropped.
        given = settlement(0, 2, 4);
        wrong = updatesHash(given.trainers, given.points);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UpdatesMismatch.selector, hash, wrong));
        settle(taskId, 0, given);
    }

    function test_settleGoesThroughTheGate() public {
        TaskId taskId = committed(2);
        Settlement memory given = settlement(0, 2, 4);
        given.updateKey.tauG2[0] = 1; // self-made
        vm.expectRevert(
            abi.encodeWithSelector(
                IMarket.UpdateKeyMismatch.selector,
                keccak256(abi.encode(updateKey())),
                keccak256(abi.encode(given.updateKey))
            )
        );
        settle(taskId, 0, given);
    }

    function test_settleNeedsAnOpenTask() public {
        TaskId taskId = create(defaultConfig());
        _settleRefused(taskId, FIRST, _wrongState(taskId, TaskState.Open, TaskState.Funded));
    }

    // --------------------------------------------------------- publishModel

    function test_publishAfterTheSettlement() public {
        TaskId taskId = committed(2);
        vm.expectRevert(_wrongRoundState(FIRST, RoundState.Settled, RoundState.Committed));
        vm.prank(AGGREGATOR);
        market.publishModel(taskId, FIRST, "cid");
        settle(taskId, 0, settlement(0, 2, 4));
        vm.expectEmit(address(market));
        emit IMarket.ModelPublished(taskId, FIRST, "cid");
        vm.prank(AGGREGATOR);
        market.publishModel(taskId, FIRST, "cid");
    }

    function test_publishByTheAggregatorOnlyAndReasonably() public {
        TaskId taskId = committed(2);
        settle(taskId, 0, settlement(0, 2, 4));
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotAggregator.selector, ANYONE));
        vm.prank(ANYONE);
        market.publishModel(taskId, FIRST, "cid");
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidCid.selector, 0, 128));
        vm.prank(AGGREGATOR);
        market.publishModel(taskId, FIRST, "");
    }

    // ---------------------------------------------------------- expireRound

    function test_expiredCommitCostsTheWholeBond() public {
        TaskId taskId = committed(3);
        Settlement memory given = settlement(0, 3, 4);
        vm.warp(START + SETTLE_WINDOW + 1);
        uint256[] memory paid = new uint256[](3);
        (paid[0], paid[1], paid[2]) = (501, 500, 500); // 1501 in three
        vm.expectEmit(address(market));
        emit IMarket.RoundExpired(taskId, FIRST, given.trainers, paid);
        vm.expectEmit(address(market));
        emit IMarket.TaskClosed(taskId, ROUNDS * REWARD, 0);
        _expire(taskId, FIRST, given.trainers, given.points);
        assertEq(credit(taskId, trainer(0)), 501, "trainer 0");
        assertEq(credit(taskId, trainer(2)), 500, "trainer 2");
        assertEq(credit(taskId, OWNER), ROUNDS * REWARD, "owner");
        assertEq(credit(taskId, AGGREGATOR), 0, "aggregator");
        assertEq(uint256(market.roundOf(taskId, FIRST).state), uint256(RoundState.Expired), "round");
        assertEq(uint256(market.taskOf(taskId).state), uint256(TaskState.Closed), "task");
    }

    /// @dev Silence must not be a way out of paying for a round.
    function test_ownerWhoIsAggregatorLosesAtLeastWhatItKeeps() public {
        TaskConfig memory config = defaultConfig();
        (config.aggregator, config.bondWei) = (OWNER, REWARD); // the smallest bond there can be
        TaskId taskId = create(config);
        vm.prank(OWNER);
        market.postBond{value: REWARD}(taskId);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(trainer(i));
            market.joinTask(taskId, noProof());
        }
        Submission[] memory list = submissions(taskId, 0, 3);
        vm.prank(OWNER);
        commitList(taskId, FIRST, list);
        Settlement memory given = settlement(0, 3, 4);
        vm.warp(START + SETTLE_WINDOW + 1);
        _expire(taskId, FIRST, given.trainers, given.points);
        uint256 trainersGot =
            credit(taskId, trainer(0)) + credit(taskId, trainer(1)) + credit(taskId, trainer(2));
        assertEq(trainersGot, REWARD, "trainers got less than the round's reward");
        assertEq(credit(taskId, OWNER), (ROUNDS - 1) * REWARD + REWARD, "owner");
    }

    function test_expiredCollectionCostsNothing() public {
        TaskId taskId = open(defaultConfig(), 3);
        vm.warp(START + COMMIT_WINDOW + 1);
        vm.expectEmit(address(market));
        emit IMarket.RoundExpired(taskId, FIRST, new address[](0), new uint256[](0));
        vm.expectEmit(address(market));
        emit IMarket.TaskClosed(taskId, ROUNDS * REWARD, BOND);
        _expire(taskId, FIRST, new address[](0), new Point[](0));
        assertEq(credit(taskId, OWNER), ROUNDS * REWARD, "owner");
        assertEq(credit(taskId, AGGREGATOR), BOND, "aggregator");
    }

    function test_expireAfterTheWindowOnly() public {
        TaskId taskId = open(defaultConfig(), 3);
        vm.warp(START + COMMIT_WINDOW);
        _expireRefused(
            taskId, FIRST, 0, abi.encodeWithSelector(IMarket.WindowStillOpen.selector, START + COMMIT_WINDOW)
        );
        commit(taskId, 0, 3);
        uint256 deadline = START + COMMIT_WINDOW + SETTLE_WINDOW;
        vm.warp(deadline);
        _expireRefused(taskId, FIRST, 3, abi.encodeWithSelector(IMarket.WindowStillOpen.selector, deadline));
    }

    function test_expireChecksTheUpdates() public {
        TaskId taskId = committed(3);
        vm.warp(START + SETTLE_WINDOW + 1);
        Settlement memory given = settlement(0, 3, 4);
        bytes32 hash = updatesHash(given.trainers, given.points);
        given.trainers[1] = ANYONE; // wants the bond
        bytes32 wrong = updatesHash(given.trainers, given.points);
        vm.expectRevert(abi.encodeWithSelector(IMarket.UpdatesMismatch.selector, hash, wrong));
        _expire(taskId, FIRST, given.trainers, given.points);
    }

    function test_expireTakesNoTrainersWithoutACommit() public {
        TaskId taskId = open(defaultConfig(), 3);
        vm.warp(START + COMMIT_WINDOW + 1);
        _expireRefused(
            taskId, FIRST, 3, abi.encodeWithSelector(IMarket.WrongLength.selector, bytes32("trainers"), 6, 0)
        );
    }

    function test_expireIsForTheCurrentRoundOfAnOpenTask() public {
        TaskId taskId = committed(3);
        vm.warp(START + SETTLE_WINDOW + 1);
        _expireRefused(taskId, SECOND, 3, abi.encodeWithSelector(IMarket.WrongRound.selector, FIRST, SECOND));
        Settlement memory given = settlement(0, 3, 4);
        _expire(taskId, FIRST, given.trainers, given.points);
        _expireRefused(taskId, FIRST, 3, _wrongState(taskId, TaskState.Open, TaskState.Closed));
    }

    // ------------------------------------------------------------ closeTask

    function test_ownerCancelsBeforeTheBond() public {
        TaskId taskId = create(defaultConfig());
        vm.expectEmit(address(market));
        emit IMarket.TaskClosed(taskId, ROUNDS * REWARD, 0);
        vm.prank(OWNER);
        market.closeTask(taskId);
        assertEq(market.withdraw(taskId, OWNER), ROUNDS * REWARD, "refund");
    }

    function test_nobodyElseCancels() public {
        TaskId taskId = create(defaultConfig());
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOwner.selector, AGGREGATOR));
        vm.prank(AGGREGATOR);
        market.closeTask(taskId);
    }

    /// @dev An early close would be a way out of paying.
    function test_ownerCannotCloseAnOpenTask() public {
        TaskId taskId = committed(2);
        vm.expectRevert(_wrongState(taskId, TaskState.Funded, TaskState.Open));
        vm.prank(OWNER);
        market.closeTask(taskId);
    }

    // ---------------------------------------------------------------- views

    function test_unknownTasksAreNamed() public {
        TaskId unknown = TaskId.wrap(9);
        bytes memory reason = abi.encodeWithSelector(IMarket.UnknownTask.selector, unknown);
        vm.expectRevert(reason);
        market.taskOf(unknown);
        vm.expectRevert(reason);
        market.roundOf(unknown, FIRST);
        vm.expectRevert(reason);
        market.creditOf(unknown, OWNER);
        vm.expectRevert(reason);
        market.hasJoined(unknown, OWNER);
        vm.expectRevert(reason);
        market.roundOfPoint(unknown, 1);
        vm.expectRevert(reason);
        market.modelCommitment(unknown);
        vm.expectRevert(reason);
        market.joinTask(unknown, noProof());
        vm.expectRevert(reason);
        market.postBond(unknown);
        vm.expectRevert(reason);
        market.closeTask(unknown);
        vm.expectRevert(reason);
        market.withdraw(unknown, OWNER);
        vm.expectRevert(reason);
        market.publishModel(unknown, FIRST, "cid");
    }

    function test_pages() public {
        for (uint256 i = 0; i < 5; ++i) {
            create(defaultConfig());
        }
        assertEq(market.taskCount(), 5, "count");
        assertEq(market.tasksFrom(TaskId.wrap(1), 32).length, 5, "all");
        assertEq(market.tasksFrom(TaskId.wrap(4), 32).length, 2, "tail");
        assertEq(market.tasksFrom(TaskId.wrap(2), 3).length, 3, "middle");
        assertEq(market.tasksFrom(TaskId.wrap(6), 3).length, 0, "beyond");
        assertEq(market.tasksFrom(TaskId.wrap(0), 3).length, 0, "before");
        assertEq(market.tasksFrom(TaskId.wrap(1), 1)[0].owner, OWNER, "owner");
        vm.expectRevert(abi.encodeWithSelector(IMarket.PageTooLarge.selector, 33, 32));
        market.tasksFrom(TaskId.wrap(1), 33);
    }

    function test_roundsThatNeverWere() public {
        TaskId taskId = open(defaultConfig(), 2);
        assertEq(uint256(market.roundOf(taskId, FIRST).state), uint256(RoundState.Collecting), "first");
        assertEq(market.roundOf(taskId, FIRST).commitDeadline, START + COMMIT_WINDOW, "deadline");
        assertEq(uint256(market.roundOf(taskId, SECOND).state), uint256(RoundState.None), "second");
    }

    // -------------------------------------------------------------- helpers

    function _word(bytes memory data, uint256 at) private pure returns (uint256 word) {
        assertTrue(at + 32 <= data.length, "outside");
        // Safe: inside, as was just checked.
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), at))
        }
    }

    function _put(bytes memory data, uint256 at, uint256 word) private pure {
        assertTrue(at + 32 <= data.length, "outside");
        // Safe: inside, as was just checked.
        assembly ("memory-safe") {
            mstore(add(add(data, 0x20), at), word)
        }
    }

    function _copyInto(Submission memory into, TaskId taskId, uint256 round, uint256 i, Point memory point)
        private
        view
    {
        into.point = point;
        into.signature = signed(taskId, round, i, point, into.cid);
    }

    function _commitRefused(TaskId taskId, Round round, Submission[] memory list, bytes memory reason)
        private
    {
        vm.expectRevert(reason);
        vm.prank(AGGREGATOR);
        commitList(taskId, round, list);
    }

    function _settleRefused(TaskId taskId, Round round, bytes memory reason) private {
        Settlement memory given = settlement(0, 2, 4);
        vm.expectRevert(reason);
        market.settleRound(taskId, round, given);
    }

    function _expire(TaskId taskId, Round round, address[] memory trainers, Point[] memory points) private {
        vm.prank(ANYONE);
        market.expireRound(taskId, round, trainers, points);
    }

    function _expireRefused(TaskId taskId, Round round, uint256 count, bytes memory reason) private {
        Settlement memory given = settlement(0, count, 4);
        vm.expectRevert(reason);
        _expire(taskId, round, given.trainers, given.points);
    }

    function _wrongState(TaskId taskId, TaskState required, TaskState actual)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IMarket.WrongTaskState.selector, taskId, required, actual);
    }

    function _wrongRoundState(Round round, RoundState required, RoundState actual)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IMarket.WrongRoundState.selector, round, required, actual);
    }

    function _alreadyUsed(Point memory point) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IMarket.PointAlreadyUsed.selector, point.x, point.y);
    }
}
