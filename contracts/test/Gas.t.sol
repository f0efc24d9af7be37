// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Round, Settlement, Updates} from "../src/types/Round.sol";
import {TaskConfig, TaskId} from "../src/types/Task.sol";
import {MarketFixture, Submission} from "./utils/MarketFixture.sol";
import {Market} from "../src/Market.sol";
import {FreeVerifier} from "./utils/Verifiers.sol";

/// @notice Gas of the two calls that a round costs, as a transaction of its own would pay it: storage is cold, every
/// slot is filled and paid. Without calldata and the 21,000 of any transaction, which are printed apart.
contract GasTest is MarketFixture {
    event log_named_uint(string key, uint256 val);

    function test_commit8() public { _commit(8); }
    function test_commit16() public { _commit(16); }
    function test_commit32() public { _commit(32); }
    function test_settle8() public { _settle(8); }
    function test_settle16() public { _settle(16); }
    function test_settle32() public { _settle(32); }

    function _opened(uint256 slots) private returns (TaskId taskId) {
        verifier = address(new FreeVerifier(keccak256(abi.encodePacked(linearVka())), keccak256(abi.encodePacked(ruleVka()))));
        TaskConfig memory config = defaultConfig();
        (config.slots, config.quorum) = (uint8(slots), uint8(slots));
        taskId = open(config, slots);
    }

    function _commit(uint256 slots) private {
        TaskId taskId = _opened(slots);
        Submission[] memory list = submissions(taskId, 0, slots);
        Updates memory updates = emptyUpdates(slots);
        for (uint256 i = 0; i < slots; ++i) {
            updates.trainers[i] = list[i].trainer;
            updates.points[i] = list[i].point;
            updates.cids[i] = abi.encodePacked(hex"01551220", bytes32(i));
            updates.signatures[i] = signed(taskId, 0, i, list[i].point, updates.cids[i]);
        }
        _measure(AGGREGATOR, abi.encodeCall(Market.commitRound, (taskId, Round.wrap(0), updates)), slots);
    }

    function _settle(uint256 slots) private {
        TaskId taskId = _opened(slots);
        commit(taskId, 0, slots);
        Settlement memory given = settlement(0, slots, slots);
        acceptFirst(given, slots, 7);
        given.linearProof = abi.encodePacked(given.linearProof, new bytes(2000));
        given.ruleProof = new bytes(2000);
        _measure(ANYONE, abi.encodeCall(Market.settleRound, (taskId, Round.wrap(0), given)), slots);
    }

    function _measure(address who, bytes memory data, uint256 slots) private {
        vm.cool(address(market));
        for (uint256 i = 0; i < slots; ++i) vm.cool(trainer(i));
        vm.prank(who);
        (bool ok,) = address(market).call(data);
        assertTrue(ok, "call");
        Vm2.Gas memory g = Vm2(address(vm)).lastCallGas();
        emit log_named_uint("gas", g.gasTotalUsed);
        emit log_named_uint("a slot", g.gasTotalUsed/slots);
    }
}
interface Vm2 { struct Gas { uint64 gasLimit; uint64 gasTotalUsed; uint64 gasMemoryUsed; int64 gasRefunded; uint64 gasRemaining; } function lastCallGas() external view returns (Gas memory); }
