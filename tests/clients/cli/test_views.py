"""Amounts and durations as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.cli.amounts import amount, ether
from clients.cli.status_view import spoken
from clients.tasks import TokenDocument

ETHER_WEI = 10**18
TOKEN = "0x" + "11" * 20


@given(st.integers(0, 2**128))
def test_an_amount_is_said_exactly(wei: int) -> None:
    number, _, unit = ether(wei).replace(",", "").partition(" ")
    whole, _, part = number.partition(".")
    scale = ETHER_WEI if unit == "ether" else 1
    assert int(whole) * scale + int(part.ljust(18, "0") or 0) == wei


@pytest.mark.parametrize(
    ("wei", "shown"),
    [
        (0, "0"),
        (1, "1 wei"),
        (ETHER_WEI, "1 ether"),
        (1_500_000 * 10**12, "1.5 ether"),
        (12345 * ETHER_WEI, "12,345 ether"),
    ],
)
def test_amounts(wei: int, shown: str) -> None:
    assert ether(wei) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_durations(seconds: int, shown: str) -> None:
    assert spoken(seconds) == shown


@given(st.integers(0, 2**128), st.integers(0, 77))
def test_an_amount_of_a_token_is_said_exactly_twice(units: int, decimals: int) -> None:
    said = amount(units, TokenDocument(address=TOKEN, symbol="P", decimals=decimals))
    if not units:
        assert said == "0 units of P"
        return
    number, _, rest = said.replace(",", "").partition(" P ")
    whole, _, part = number.partition(".")
    assert int(whole) * 10**decimals + int(part.ljust(decimals, "0") or 0) == units
    assert rest == f"({units} units)"


def test_a_token_that_does_not_say_how_is_counted_in_units() -> None:
    assert amount(1500, TokenDocument(address=TOKEN, symbol="P", decimals=None)) == "1,500 units of P"
    assert amount(1500, TokenDocument(address=TOKEN, symbol=None, decimals=None)) == f"1,500 units of {TOKEN}"
    assert amount(1500, TokenDocument(address=TOKEN, symbol=None, decimals=2)) == f"15 {TOKEN} (1,500 units)"
    assert amount(1500, None) == "1,500 wei"
