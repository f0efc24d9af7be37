// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Market} from "../src/Market.sol";
import {Round, Settlement, Updates} from "../src/types/Round.sol";
import {TaskConfig, TaskId} from "../src/types/Task.sol";
import {MarketFixture, Submission} from "./utils/MarketFixture.sol";
import {FreeVerifier} from "./utils/Verifiers.sol";

/// @notice Execution gas of the two calls that a round costs, as a transaction of its own pays it: storage is cold,
/// every slot is filled, CIDs have 36 bytes, everyone is paid. Calldata, the 21,000 of any transaction, and the
/// verifications come on top. The numbers are in snapshots/Round.json; `make contracts-gas` fails when they change.
contract GasTest is MarketFixture {
    string private constant GROUP = "Round";

    function test_commitRound() public {
        _commit("commitRound, 8 slots", 8);
        _commit("commitRound, 16 slots", 16);
        _commit("commitRound, 32 slots", 32);
    }

    function test_settleRound() public {
        _settle("settleRound, 8 slots", 8);
        _settle("settleRound, 16 slots", 16);
        _settle("settleRound, 32 slots", 32);
    }

    function _commit(string memory name, uint256 slots) private {
        TaskId taskId = _opened(slots);
        Submission[] memory list = submissions(taskId, 0, slots);
        Updates memory updates = emptyUpdates(slots);
        for (uint256 i = 0; i < slots; ++i) {
            updates.trainers[i] = list[i].trainer;
            updates.points[i] = list[i].point;
            updates.cids[i] = abi.encodePacked(hex"01551220", bytes32(i));
            updates.signatures[i] = signed(taskId, 0, i, list[i].point, updates.cids[i]);
        }
        _measure(name, AGGREGATOR, abi.encodeCall(Market.commitRound, (taskId, Round.wrap(0), updates)));
    }

    function _settle(string memory name, uint256 slots) private {
        TaskId taskId = _opened(slots);
        commit(taskId, 0, slots);
        Settlement memory given = settlement(0, slots, slots);
        acceptFirst(given, slots, 7);
        given.terms = termsOf(market.taskOf(taskId).config);
        _measure(name, ANYONE, abi.encodeCall(Market.settleRound, (taskId, Round.wrap(0), given)));
    }

    function _opened(uint256 slots) private returns (TaskId) {
        TaskConfig memory config = defaultConfig();
        config.verifier = address(new FreeVerifier(config.ruleVka));
        (config.slots, config.quorum) = (uint8(slots), uint8(slots));
        return open(config, slots);
    }

    function _measure(string memory name, address sender, bytes memory data) private {
        vm.cool(address(market));
        vm.prank(sender);
        (bool ok,) = address(market).call(data);
        uint256 gasUsed = vm.lastCallGas().gasTotalUsed;
        assertTrue(ok, name);
        vm.snapshotValue(GROUP, name, gasUsed);
    }
}
