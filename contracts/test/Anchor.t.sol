// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {Point} from "../src/types/Point.sol";
import {Round, Settlement} from "../src/types/Round.sol";
import {Anchor, TaskConfig, TaskId} from "../src/types/Task.sol";
import {MarketFixture, Submission} from "./utils/MarketFixture.sol";

/// @notice Slot 0 of a task with an anchor: whose it is, and that it is never paid.
contract AnchorTest is MarketFixture {
    uint256 private constant OWNER_KEY = 0xB0B;

    // -------------------------------------------------------- the reference

    function test_theOwnersReferenceFillsSlotZero() public {
        TaskId taskId = _openReferenced();
        _commit(taskId, _referenced(taskId, 2));
    }

    function test_nobodyElsesUpdateIsAReference() public {
        TaskId taskId = _openReferenced();
        Submission[] memory list = submissions(taskId, 0, 3);
        _expectWrongAnchor(list[0]);
        _commit(taskId, list);
    }

    function test_theReferenceIsSignedFor() public {
        TaskId taskId = _openReferenced();
        Submission[] memory list = _referenced(taskId, 2);
        list[0].signature = list[1].signature;
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidSignature.selector, vm.addr(OWNER_KEY)));
        _commit(taskId, list);
    }

    /// @dev Elsewhere than in slot 0 the owner is somebody who has not joined.
    function test_theOwnerIsNoTrainer() public {
        TaskId taskId = _openReferenced();
        Submission[] memory list = _referenced(taskId, 2);
        (list[0].point, list[1].point) = (list[1].point, list[0].point);
        list[1].trainer = vm.addr(OWNER_KEY);
        list[0].trainer = trainer(0);
        _expectWrongAnchor(list[0]);
        _commit(taskId, list);
    }

    function test_anAnchorDoesNotCountForTheQuorum() public {
        TaskId taskId = _openReferenced();
        Submission[] memory list = _referenced(taskId, 1);
        vm.expectRevert(abi.encodeWithSelector(IMarket.TooFewTrainers.selector, 2, 3));
        _commit(taskId, list);
    }

    function test_anAnchorTakesASlot() public {
        TaskConfig memory config = _config(Anchor.Reference);
        config.quorum = config.slots;
        vm.deal(vm.addr(OWNER_KEY), 1e18);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMarket.FieldTooLarge.selector, bytes32("quorum"), config.slots, config.slots - 1
            )
        );
        vm.prank(vm.addr(OWNER_KEY));
        market.createTask{value: uint256(REWARD) * ROUNDS}(config, genesisCid, "rule");
    }

    function test_anAcceptedAnchorIsRefused() public {
        TaskId taskId = _openReferenced();
        Submission[] memory list = _referenced(taskId, 2);
        _commit(taskId, list);
        Settlement memory given = _settlement(list, Anchor.Reference);
        given.acceptBits = 7;
        vm.expectRevert(abi.encodeWithSelector(IMarket.AcceptedInactiveSlot.selector, 7, 6));
        settle(taskId, 0, given);
    }

    function test_aReferenceIsNotPaid() public {
        TaskId taskId = _openReferenced();
        Submission[] memory list = _referenced(taskId, 2);
        _commit(taskId, list);
        Settlement memory given = _settlement(list, Anchor.Reference);
        (given.acceptBits, given.scores[1], given.scores[2]) = (6, 1, 3);
        settle(taskId, 0, given);
        assertEq(credit(taskId, vm.addr(OWNER_KEY)), 0, "owner");
        assertEq(credit(taskId, trainer(0)), REWARD / 4, "first");
        assertEq(credit(taskId, trainer(1)), uint256(REWARD) * 3 / 4, "second");
    }

    /// @dev The bond is for those who worked: an owner who is also the aggregator gets none of it back.
    function test_aReferenceHasNoShareOfTheBond() public {
        TaskId taskId = _openReferenced();
        Submission[] memory list = _referenced(taskId, 2);
        _commit(taskId, list);
        vm.warp(START + SETTLE_WINDOW + 1);
        Settlement memory given = _settlement(list, Anchor.Reference);
        market.expireRound(taskId, Round.wrap(0), given.trainers, given.points);
        assertEq(credit(taskId, vm.addr(OWNER_KEY)), uint256(REWARD) * ROUNDS, "owner: the escrow alone");
        assertEq(credit(taskId, trainer(0)) + credit(taskId, trainer(1)), BOND, "trainers");
    }

    // ----------------------------------------------------- the previous sum

    function test_theFirstRoundsAnchorIsTheEmptyColumn() public {
        TaskId taskId = open(_config(Anchor.PreviousSum), 3);
        _commit(taskId, _summed(taskId, 0, pointOf(EMPTY_COLUMN_SCALAR)));
    }

    function test_anotherPointIsNoPreviousSum() public {
        TaskId taskId = open(_config(Anchor.PreviousSum), 3);
        Submission[] memory list = _summed(taskId, 0, pointOf(EMPTY_COLUMN_SCALAR + 1));
        _expectWrongAnchor(list[0]);
        _commit(taskId, list);
        Point memory negated = pointOf(EMPTY_COLUMN_SCALAR);
        negated.y = Bn254.BASE_FIELD - negated.y;
        list[0].point = negated;
        _expectWrongAnchor(list[0]);
        _commit(taskId, list);
    }

    function test_thePreviousSumIsNobodys() public {
        TaskId taskId = open(_config(Anchor.PreviousSum), 3);
        Submission[] memory list = _summed(taskId, 0, pointOf(EMPTY_COLUMN_SCALAR));
        list[0].trainer = trainer(2);
        _expectWrongAnchor(list[0]);
        _commit(taskId, list);
    }

    function test_theAcceptedSumIsTheNextRoundsAnchor() public {
        TaskId taskId = open(_config(Anchor.PreviousSum), 3);
        Submission[] memory list = _summed(taskId, 0, pointOf(EMPTY_COLUMN_SCALAR));
        _commit(taskId, list);
        Settlement memory given = _settlement(list, Anchor.PreviousSum);
        (given.acceptBits, given.scores[1]) = (6, 1);
        settle(taskId, 0, given);

        Point memory sum = pointOf(updateScalar(0, 0) + updateScalar(0, 1));
        Submission[] memory stale = _summed(taskId, 1, pointOf(EMPTY_COLUMN_SCALAR));
        _expectWrongAnchor(stale[0]);
        _commitRound(taskId, 1, stale);
        list = _summed(taskId, 1, sum);
        _commitRound(taskId, 1, list);

        // Nobody is accepted: back to the column without data.
        given = _settlement(list, Anchor.PreviousSum);
        settle(taskId, 1, given);
        _commitRound(taskId, 2, _summed(taskId, 2, pointOf(EMPTY_COLUMN_SCALAR)));
    }

    // --------------------------------------------------------------- helpers

    function _config(Anchor anchor) private view returns (TaskConfig memory config) {
        config = defaultConfig();
        config.anchor = anchor;
    }

    function _openReferenced() private returns (TaskId taskId) {
        address owner = vm.addr(OWNER_KEY);
        vm.deal(owner, 1e18);
        TaskConfig memory config = _config(Anchor.Reference);
        vm.prank(owner);
        taskId = market.createTask{value: uint256(REWARD) * ROUNDS}(config, genesisCid, "rule");
        vm.prank(AGGREGATOR);
        market.postBond{value: BOND}(taskId);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(trainer(i));
            market.joinTask(taskId, noProof());
        }
    }

    /// @dev The owner's signed reference, then `count` trainers.
    function _referenced(TaskId taskId, uint256 count) private view returns (Submission[] memory list) {
        list = new Submission[](count + 1);
        list[0].trainer = vm.addr(OWNER_KEY);
        list[0].point = pointOf(scalarFor(0, ROUNDS, 50));
        list[0].cid = "reference";
        bytes32 digest =
            market.updateDigest(taskId, Round.wrap(0), list[0].point, keccak256(list[0].cid));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(OWNER_KEY, digest);
        list[0].signature = abi.encodePacked(r, s, v);
        for (uint256 i = 0; i < count; ++i) {
            list[i + 1] = submission(taskId, 0, i);
        }
    }

    /// @dev A claimed previous sum, then two trainers.
    function _summed(TaskId taskId, uint256 round, Point memory sum)
        private
        view
        returns (Submission[] memory list)
    {
        list = new Submission[](3);
        (list[0].point, list[0].cid) = (sum, "sum");
        (list[1], list[2]) = (submission(taskId, round, 0), submission(taskId, round, 1));
    }

    function _settlement(Submission[] memory list, Anchor anchor)
        private
        view
        returns (Settlement memory given)
    {
        given = settlement(0, list.length, 4);
        for (uint256 i = 0; i < list.length; ++i) {
            (given.trainers[i], given.points[i]) = (list[i].trainer, list[i].point);
        }
        given.terms = termsOf(_config(anchor));
    }

    function _commit(TaskId taskId, Submission[] memory list) private {
        _commitRound(taskId, 0, list);
    }

    function _commitRound(TaskId taskId, uint256 round, Submission[] memory list) private {
        vm.prank(AGGREGATOR);
        commitList(taskId, Round.wrap(uint32(round)), list);
    }

    function _expectWrongAnchor(Submission memory given) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IMarket.WrongAnchor.selector, given.trainer, given.point.x, given.point.y
            )
        );
    }
}
