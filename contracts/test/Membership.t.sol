// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Point} from "../src/types/Point.sol";
import {Round, Settlement} from "../src/types/Round.sol";
import {TaskConfig, TaskId, TaskState} from "../src/types/Task.sol";
import {MarketFixture} from "./utils/MarketFixture.sol";
import {PlainToken} from "./utils/Tokens.sol";

/// @notice Who may take part, and what it costs to: allow-lists and stakes.
contract MembershipTest is MarketFixture {
    uint128 private constant STAKE = 77;

    // ------------------------------------------------------------ allow-list

    function test_allowListLetsItsMembersIn() public {
        (bytes32 root, bytes32[] memory proof) = _pair(trainer(0), trainer(1));
        TaskConfig memory config = defaultConfig();
        config.allowRoot = root;
        TaskId taskId = create(config);
        vm.prank(trainer(0));
        market.joinTask(taskId, proof);
        assertTrue(market.hasJoined(taskId, trainer(0)), "joined");
    }

    function test_allowListKeepsOthersOut() public {
        (bytes32 root, bytes32[] memory proof) = _pair(trainer(0), trainer(1));
        TaskConfig memory config = defaultConfig();
        config.allowRoot = root;
        TaskId taskId = create(config);
        address[3] memory others = [trainer(1), trainer(2), OWNER]; // the first with another's proof
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IMarket.NotAllowed.selector, others[i]));
            vm.prank(others[i]);
            market.joinTask(taskId, proof);
        }
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotAllowed.selector, trainer(0)));
        vm.prank(trainer(0));
        market.joinTask(taskId, noProof());
    }

    // ---------------------------------------------------------------- stakes

    function test_stakeIsTakenAndComesBackWithTheEnd() public {
        TaskId taskId = _staked();
        assertEq(address(market).balance, ROUNDS * REWARD + BOND + 2 * STAKE, "stakes");
        commit(taskId, 0, 2);
        Settlement memory given = settlement(0, 2, 4);
        acceptFirst(given, 1, 1);
        settle(taskId, 0, given);
        assertEq(credit(taskId, trainer(0)), REWARD, "no stake while it works");
        vm.expectRevert(abi.encodeWithSelector(IMarket.CreditLocked.selector, taskId));
        market.withdraw(taskId, trainer(1));
        vm.warp(START + COMMIT_WINDOW + 1);
        market.expireRound(taskId, Round.wrap(1), new address[](0), new Point[](0));
        assertEq(credit(taskId, trainer(0)), REWARD + STAKE, "with the stake");
        vm.expectEmit(address(market));
        emit IMarket.TrainerLeft(taskId, trainer(0), STAKE);
        vm.expectEmit(address(market));
        emit IMarket.Withdrawn(taskId, trainer(0), REWARD);
        assertEq(market.withdraw(taskId, trainer(0)), REWARD + STAKE, "first");
        assertEq(market.withdraw(taskId, trainer(1)), STAKE, "second");
        assertEq(address(market).balance, ROUNDS * REWARD - REWARD + BOND, "left");
        vm.expectRevert(abi.encodeWithSelector(IMarket.NothingToWithdraw.selector, taskId, trainer(1)));
        market.withdraw(taskId, trainer(1));
    }

    function test_stakeIsExact() public {
        TaskConfig memory config = defaultConfig();
        config.stakeWei = STAKE;
        TaskId taskId = create(config);
        vm.deal(trainer(0), 1000);
        uint256[3] memory values = [uint256(0), STAKE - 1, STAKE + 1];
        for (uint256 i = 0; i < values.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IMarket.WrongValue.selector, STAKE, values[i]));
            vm.prank(trainer(0));
            market.joinTask{value: values[i]}(taskId, noProof());
        }
    }

    function test_noValueWhereNoStakeIsAsked() public {
        TaskId taskId = create(defaultConfig());
        vm.deal(trainer(0), 1);
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongValue.selector, 0, 1));
        vm.prank(trainer(0));
        market.joinTask{value: 1}(taskId, noProof());
    }

    function test_stakesInAToken() public {
        PlainToken token = new PlainToken();
        TaskConfig memory config = defaultConfig();
        (config.token, config.stakeWei) = (address(token), STAKE);
        token.mint(OWNER, ROUNDS * REWARD);
        token.mint(trainer(0), STAKE);
        vm.prank(OWNER);
        token.approve(address(market), type(uint256).max);
        vm.prank(OWNER);
        TaskId taskId = market.createTask(config, genesisCid, "rule");
        vm.prank(trainer(0));
        token.approve(address(market), STAKE);
        vm.prank(trainer(0));
        market.joinTask(taskId, noProof());
        assertEq(token.balanceOf(address(market)), ROUNDS * REWARD + STAKE, "market");
        vm.prank(trainer(0));
        market.leaveTask(taskId);
        assertEq(token.balanceOf(trainer(0)), STAKE, "back");
    }

    /// @dev An owner whose aggregator never comes would hold the stakes otherwise.
    function test_leaveATaskThatNeverOpens() public {
        TaskConfig memory config = defaultConfig();
        config.stakeWei = STAKE;
        TaskId taskId = create(config);
        _join(taskId, 0);
        vm.expectEmit(address(market));
        emit IMarket.TrainerLeft(taskId, trainer(0), STAKE);
        vm.prank(trainer(0));
        market.leaveTask(taskId);
        assertEq(trainer(0).balance, STAKE, "back");
        assertTrue(!market.hasJoined(taskId, trainer(0)), "still in");
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotJoined.selector, trainer(0)));
        vm.prank(trainer(0));
        market.leaveTask(taskId);
    }

    function test_leaveWithoutAStake() public {
        TaskId taskId = create(defaultConfig());
        vm.prank(trainer(0));
        market.joinTask(taskId, noProof());
        vm.prank(trainer(0));
        market.leaveTask(taskId);
        assertTrue(!market.hasJoined(taskId, trainer(0)), "still in");
    }

    function test_nobodyLeavesAnOpenTask() public {
        TaskId taskId = _staked();
        vm.expectRevert(
            abi.encodeWithSelector(IMarket.WrongTaskState.selector, taskId, TaskState.Funded, TaskState.Open)
        );
        vm.prank(trainer(0));
        market.leaveTask(taskId);
    }

    // --------------------------------------------------------------- helpers

    function _staked() private returns (TaskId taskId) {
        TaskConfig memory config = defaultConfig();
        config.stakeWei = STAKE;
        taskId = create(config);
        _join(taskId, 0);
        _join(taskId, 1);
        vm.prank(AGGREGATOR);
        market.postBond{value: BOND}(taskId);
    }

    function _join(TaskId taskId, uint256 i) private {
        vm.deal(trainer(i), STAKE);
        vm.prank(trainer(i));
        market.joinTask{value: STAKE}(taskId, noProof());
    }

    /// @dev Tree of two leaves, and the first one's proof.
    function _pair(address a, address b) private pure returns (bytes32 root, bytes32[] memory proof) {
        bytes32 left = keccak256(bytes.concat(keccak256(abi.encode(a))));
        proof = new bytes32[](1);
        proof[0] = keccak256(bytes.concat(keccak256(abi.encode(b))));
        root = left < proof[0]
            ? keccak256(abi.encodePacked(left, proof[0]))
            : keccak256(abi.encodePacked(proof[0], left));
    }
}
