// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IMarket} from "../../src/interfaces/IMarket.sol";
import {TaskId} from "../../src/types/Task.sol";

/// @notice A contract wallet that signs for whatever digest it was told.
contract ContractWallet is IERC1271 {
    bytes32 private _approved;

    function approve(bytes32 digest) external {
        _approved = digest;
    }

    function join(IMarket market, TaskId taskId) external {
        market.joinTask(taskId, new bytes32[](0));
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _approved ? IERC1271.isValidSignature.selector : bytes4(0);
    }

    receive() external payable {}
}

/// @notice Withdraws again while it is being paid.
contract ReentrantPayee {
    IMarket private immutable _market;
    TaskId private _taskId;
    bytes public answer;

    constructor(IMarket market) {
        _market = market;
    }

    function join(TaskId taskId) external {
        _taskId = taskId;
        _market.joinTask(taskId, new bytes32[](0));
    }

    receive() external payable {
        (, answer) = address(_market).call(abi.encodeCall(IMarket.withdraw, (_taskId, address(this))));
    }
}

/// @notice Does not want native currency.
contract RefusingPayee {
    function join(IMarket market, TaskId taskId) external {
        market.joinTask(taskId, new bytes32[](0));
    }
}

/// @notice Burns whatever gas it is given, when it is paid and when it is asked for a signature.
contract BurningAccount is IERC1271 {
    function join(IMarket market, TaskId taskId) external {
        market.joinTask(taskId, new bytes32[](0));
    }

    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        _burn();
    }

    receive() external payable {
        _burn();
    }

    function _burn() private pure {
        assembly ("memory-safe") {
            invalid()
        }
    }
}

/// @notice Takes its pay, or refuses it, with a megabyte of return data.
contract BombingPayee {
    bool private immutable _refuses;

    constructor(bool refuses) {
        _refuses = refuses;
    }

    receive() external payable {
        bool refuses = _refuses;
        // Safe: returns memory that nobody wrote.
        assembly ("memory-safe") {
            if refuses { revert(0x80, 0x100000) }
            return(0x80, 0x100000)
        }
    }
}
