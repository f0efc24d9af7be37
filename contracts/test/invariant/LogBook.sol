// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../../src/interfaces/IMarket.sol";
import {Point} from "../../src/types/Point.sol";
import {RoundState} from "../../src/types/Round.sol";
import {TaskConfig, TaskState} from "../../src/types/Task.sol";
import {Vm} from "../utils/Vm.sol";

/// @notice A task's state as the market's logs tell it, and nothing but the logs.
contract LogBook {
    struct Entry {
        TaskState state;
        RoundState roundState;
        uint32 round;
        address owner;
        uint256 deadline;
        uint256 escrowWei;
        uint256 bondWei;
        uint256 stakesWei;
        uint256 creditsWei;
        uint256 halvings;
        bytes32 updates;
        Point model;
    }

    mapping(uint256 taskId => Entry) private _entries;
    mapping(uint256 taskId => TaskConfig) private _configs;
    mapping(uint256 taskId => mapping(address account => uint256)) public creditWei;
    mapping(uint256 taskId => mapping(address account => bool)) public joined;
    mapping(uint256 taskId => address[]) private _committed;

    function entry(uint256 taskId) external view returns (Entry memory) {
        return _entries[taskId];
    }

    function config(uint256 taskId) external view returns (TaskConfig memory) {
        return _configs[taskId];
    }

    function read(Vm.Log[] calldata logs, address market) external {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == market) _read(uint256(logs[i].topics[1]), logs[i]);
        }
    }

    function _read(uint256 id, Vm.Log calldata log) private {
        bytes32 name = log.topics[0];
        if (name == IMarket.TaskCreated.selector) _created(id, log);
        else if (name == IMarket.BondPosted.selector) _bonded(id, log.data);
        else if (name == IMarket.TrainerJoined.selector) _joined(id, _account(log), log.data);
        else if (name == IMarket.TrainerLeft.selector) _left(id, _account(log), log.data);
        else if (name == IMarket.RoundOpened.selector) _opened(id, log);
        else if (name == IMarket.RoundCommitted.selector) _roundCommitted(id, log.data);
        else if (name == IMarket.RoundSettled.selector) _settled(id, log.data);
        else if (name == IMarket.RoundExpired.selector) _expired(id, log.data);
        else if (name == IMarket.TaskClosed.selector) _closed(id, log.data);
        else if (name == IMarket.Withdrawn.selector) _withdrawn(id, _account(log), log.data);
    }

    function _created(uint256 id, Vm.Log calldata log) private {
        (TaskConfig memory terms,,) = abi.decode(log.data, (TaskConfig, bytes, string));
        Entry storage task = _entries[id];
        task.state = TaskState.Funded;
        task.owner = address(uint160(uint256(log.topics[2])));
        task.escrowWei = uint256(terms.rewardPerRoundWei) * terms.rounds;
        task.model = terms.genesis;
        _configs[id] = terms;
    }

    function _bonded(uint256 id, bytes calldata data) private {
        _entries[id].state = TaskState.Open;
        _entries[id].bondWei = abi.decode(data, (uint256));
    }

    function _joined(uint256 id, address account, bytes calldata data) private {
        joined[id][account] = true;
        _entries[id].stakesWei += abi.decode(data, (uint256));
    }

    function _left(uint256 id, address account, bytes calldata data) private {
        joined[id][account] = false;
        _entries[id].stakesWei -= abi.decode(data, (uint256));
    }

    function _opened(uint256 id, Vm.Log calldata log) private {
        _entries[id].round = uint32(uint256(log.topics[2]));
        _entries[id].roundState = RoundState.Collecting;
        _entries[id].deadline = abi.decode(log.data, (uint256));
    }

    function _roundCommitted(uint256 id, bytes calldata data) private {
        (address[] memory trainers, Point[] memory points,, uint256 deadline) =
            abi.decode(data, (address[], Point[], bytes, uint256));
        bytes memory flat = abi.encodePacked(trainers, trainers.length);
        for (uint256 i = 0; i < points.length; ++i) {
            flat = abi.encodePacked(flat, points[i].x, points[i].y);
        }
        _entries[id].updates = keccak256(flat);
        _entries[id].roundState = RoundState.Committed;
        _entries[id].deadline = deadline;
        _committed[id] = trainers;
    }

    function _settled(uint256 id, bytes calldata data) private {
        (,, uint256[] memory paidWei, Point memory model,, uint256 halvings) =
            abi.decode(data, (uint256, uint64[], uint256[], Point, uint256, uint256));
        Entry storage task = _entries[id];
        task.roundState = RoundState.Settled;
        task.model = model;
        task.halvings = halvings;
        task.escrowWei -= _credit(id, _committed[id], paidWei);
    }

    function _expired(uint256 id, bytes calldata data) private {
        (address[] memory trainers, uint256[] memory paidWei) = abi.decode(data, (address[], uint256[]));
        _entries[id].roundState = RoundState.Expired;
        _entries[id].bondWei -= _credit(id, trainers, paidWei);
    }

    function _closed(uint256 id, bytes calldata data) private {
        (uint256 refundedWei, uint256 bondReturnedWei) = abi.decode(data, (uint256, uint256));
        Entry storage task = _entries[id];
        task.state = TaskState.Closed;
        task.escrowWei -= refundedWei;
        task.bondWei -= bondReturnedWei;
        creditWei[id][task.owner] += refundedWei;
        creditWei[id][_configs[id].aggregator] += bondReturnedWei;
        task.creditsWei += refundedWei + bondReturnedWei;
    }

    function _withdrawn(uint256 id, address account, bytes calldata data) private {
        uint256 amountWei = abi.decode(data, (uint256));
        creditWei[id][account] -= amountWei;
        _entries[id].creditsWei -= amountWei;
    }

    function _credit(uint256 id, address[] memory accounts, uint256[] memory paidWei)
        private
        returns (uint256 sum)
    {
        for (uint256 i = 0; i < paidWei.length; ++i) {
            creditWei[id][accounts[i]] += paidWei[i];
            sum += paidWei[i];
        }
        _entries[id].creditsWei += sum;
    }

    function _account(Vm.Log calldata log) private pure returns (address) {
        return address(uint160(uint256(log.topics[2])));
    }
}
