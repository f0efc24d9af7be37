"""Amounts as people read them. In a token they are said in its smallest unit, too: its decimals are its own word."""

from typing import Protocol

_ETHER_DECIMALS = 18
_SHOWN_DIGITS = 6


class Denominated(Protocol):
    """How a token writes amounts; None where it does not say."""

    @property
    def address(self) -> str: ...
    @property
    def symbol(self) -> str | None: ...
    @property
    def decimals(self) -> int | None: ...


def amount(units: int, token: Denominated | None) -> str:
    """So many of a token's smallest units, or wei of the native currency (None)."""
    if token is None:
        return ether(units)
    name = token.symbol or token.address
    if token.decimals is None or not units:
        return f"{units:,} units of {name}"
    return f"{_decimal(units, token.decimals)} {name} ({units:,} units)"


def ether(wei: int) -> str:
    """In ether where that is short, else in wei."""
    if wei == 0:
        return "0"
    if wei % 10 ** (_ETHER_DECIMALS - _SHOWN_DIGITS):
        return f"{wei:,} wei"
    return f"{_decimal(wei, _ETHER_DECIMALS)} ether"


def _decimal(units: int, decimals: int) -> str:
    whole, part = divmod(units, 10**decimals)
    return f"{whole:,}" + (f".{part:0{decimals}d}".rstrip("0") if part else "")
