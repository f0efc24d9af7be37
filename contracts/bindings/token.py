"""ERC-20 tokens: what one calls itself, what an account holds of it, and what a market may take."""

from dataclasses import dataclass
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils.address import to_checksum_address
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

from contracts.bindings import artifacts
from contracts.bindings.chain import Chain
from contracts.bindings.errors import ChainRefused, InsufficientFunds, NotAContract, TransactionReverted
from contracts.bindings.market import Market
from contracts.bindings.records import NATIVE, require_address

MAX_SYMBOL_CHARACTERS = 16
MAX_DECIMALS = 77
"""10^77 is the largest power of ten in 256 bits."""


@dataclass(frozen=True, kw_only=True)
class Denomination:
    """How a token writes amounts, by its own word: anyone can call a token anything.

    Attributes:
        address: the token's.
        symbol, decimals: None where it has none that are fit to be shown.
    """

    address: ChecksumAddress
    symbol: str | None
    decimals: int | None


class Token:
    """An ERC-20 at an address. Reads and calls raise what `Chain.read` and `Chain.send` do.

    Raises:
        ValueOutOfRange: it is no address.
    """

    def __init__(self, chain: Chain, address: str) -> None:
        require_address("token", address)
        self.chain = chain
        self.address = to_checksum_address(address)
        self._fn: Any = chain.contract(address, artifacts.forge("IERC20Metadata").abi).functions

    @property
    def denomination(self) -> Denomination:
        symbol, decimals = self._optional(self._fn.symbol()), self._optional(self._fn.decimals())
        return Denomination(
            address=self.address,
            symbol=symbol if isinstance(symbol, str) and _is_fit(symbol) else None,
            decimals=decimals if isinstance(decimals, int) and decimals <= MAX_DECIMALS else None,
        )

    def balance(self, account: str) -> int:
        """Of an account, in the smallest unit."""
        return int(self.chain.read(self._fn.balanceOf(to_checksum_address(account))))

    def allowance(self, account: str, spender: str) -> int:
        """What `spender` may still take from the account."""
        return int(self.chain.read(self._fn.allowance(to_checksum_address(account), to_checksum_address(spender))))

    def allow(self, account: LocalAccount, spender: str, amount: int) -> TxReceipt | None:
        """Lets `spender` take the amount and no more, unless it may take that much already; None then.

        Raises:
            InsufficientFunds: the account holds less.
        """
        held = self.balance(account.address)
        if held < amount:
            raise InsufficientFunds(account.address, self.chain.chain_id, held, amount, unit=f"units of {self.address}")
        allowed = self.allowance(account.address, spender)
        if allowed >= amount:
            return None
        try:
            return self._approve(account, spender, amount)
        except TransactionReverted:
            if not allowed:
                raise
        # Some tokens change no allowance but to and from zero.
        self._approve(account, spender, 0)
        return self._approve(account, spender, amount)

    def _approve(self, account: LocalAccount, spender: str, amount: int) -> TxReceipt:
        return self.chain.send(account, self._fn.approve(to_checksum_address(spender), amount))

    def _optional(self, fn: ContractFunction) -> Any:
        """What the standard leaves open: also old tokens, which answer with other types."""
        try:
            return self.chain.read(fn)
        except (ChainRefused, NotAContract, TransactionReverted, UnicodeDecodeError, OverflowError):
            return None


def _is_fit(symbol: str) -> bool:
    """Short, and nothing that a terminal or its markup takes for something else."""
    return 0 < len(symbol) <= MAX_SYMBOL_CHARACTERS and symbol.isprintable() and not set(symbol) & set("[]\\")


def token_of(chain: Chain, address: str) -> Token | None:
    """The ERC-20 that a task is in; None where that is the native currency."""
    return None if address == NATIVE else Token(chain, address)


def allow(market: Market, account: LocalAccount, address: str, amount: int) -> TxReceipt | None:
    """Lets a market take an amount of a task's token from the account; None where nothing has to be done.

    Raises:
        InsufficientFunds, NotAContract, and what `Chain.send` does.
    """
    token = token_of(market.chain, address)
    return None if token is None else token.allow(account, market.address, amount)
