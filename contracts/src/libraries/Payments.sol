// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {IMarket} from "../interfaces/IMarket.sol";

/// @title Native currency and ERC-20 alike
library Payments {
    using SafeERC20 for IERC20;

    /// @notice Stands for the chain's native currency.
    address internal constant NATIVE = address(0);

    /// @notice Takes exactly `amountWei` from the caller.
    // Its callers are createTask, postBond and joinTask, all payable; the tool does not follow the guard's modifier.
    // slither-disable-next-line msg-value-in-nonpayable
    function collect(address token, uint256 amountWei) internal {
        uint256 requiredWei = token == NATIVE ? amountWei : 0;
        if (msg.value != requiredWei) revert IMarket.WrongValue(requiredWei, msg.value);
        if (token == NATIVE) return;
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amountWei);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amountWei) revert IMarket.FeeOnTransferToken(token, amountWei, received);
    }

    /// @notice Pays `amountWei` to `account`.
    function pay(address token, address account, uint256 amountWei) internal {
        if (token == NATIVE) Address.sendValue(payable(account), amountWei);
        else IERC20(token).safeTransfer(account, amountWei);
    }
}
