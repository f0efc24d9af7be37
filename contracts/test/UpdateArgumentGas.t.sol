// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {UpdateVectors, Vector} from "./utils/UpdateVectors.sol";

/// @notice Execution gas of one verification, 8 bits an entry, and what the call's data costs on top as part of a
/// transaction (16 gas a byte that is not 0, 4 otherwise). The numbers are in snapshots/UpdateArgument.json.
contract UpdateArgumentGasTest is UpdateVectors {
    string private constant GROUP = "UpdateArgument";

    function test_verify() public {
        _measure("4_columns", "4 columns");
        _measure("10_columns", "10 columns");
        _measure("32_columns", "32 columns");
    }

    function _measure(string memory vectorName, string memory name) private {
        Vector memory vector = load(MEASURED, vectorName);
        bytes memory data = encoded(vector);
        vm.cool(address(argument));
        (bool ok,) = address(argument).staticcall(data);
        uint256 gasUsed = vm.lastCallGas().gasTotalUsed;
        assertTrue(ok, name);
        vm.snapshotValue(GROUP, string.concat("verify, ", name), gasUsed);
        vm.snapshotValue(GROUP, string.concat("verify, ", name, ", calldata"), _calldataGas(data));
    }

    function _calldataGas(bytes memory data) private pure returns (uint256 total) {
        for (uint256 i = 0; i < data.length; ++i) {
            total += data[i] == 0 ? 4 : 16;
        }
    }
}
