// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A well-behaved token.
contract PlainToken is ERC20 {
    constructor() ERC20("Plain", "P") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }
}

/// @notice Keeps one unit of every transfer.
contract FeeToken is PlainToken {
    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from != address(0) && to != address(0)) super._update(to, address(0), 1);
    }
}

/// @notice Transfers, but returns nothing, like some old tokens.
contract SilentToken {
    bytes32 public constant symbol = "OLD";
    mapping(address account => uint256) public balanceOf;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function approve(address, uint256) external pure returns (bool) {
        return true;
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @notice Changes no allowance but to and from zero, like some old tokens, and calls itself what it is told.
contract StubbornToken is PlainToken {
    string private _symbol;

    constructor(string memory symbol_) {
        _symbol = symbol_;
    }

    function symbol() public view override returns (string memory) {
        return _symbol;
    }

    function approve(address spender, uint256 amount) public override returns (bool) {
        require(amount == 0 || allowance(msg.sender, spender) == 0, "from zero");
        return super.approve(spender, amount);
    }
}

/// @notice Says false instead of transferring.
contract RefusingToken is PlainToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @notice Calls back whenever it moves.
contract CallbackToken is PlainToken {
    address private _target;
    bytes private _call;
    bool public entered;
    bytes public answer;

    function setCallback(address target, bytes calldata call) external {
        (_target, _call) = (target, call);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_target != address(0)) (entered, answer) = _target.call(_call);
    }
}

/// @notice From some moment on, its transfers burn all gas, or return a megabyte after the word for true.
contract GriefingToken is PlainToken {
    bool private _burns;
    bool private _bombs;

    function setManners(bool burns, bool bombs) external {
        (_burns, _bombs) = (burns, bombs);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        (bool burns, bool bombs) = (_burns, _bombs);
        super.transfer(to, amount);
        // Safe: ends the call.
        assembly ("memory-safe") {
            if burns { invalid() }
            if bombs {
                mstore(0x80, 1)
                return(0x80, 0x100000)
            }
        }
        return true;
    }
}
