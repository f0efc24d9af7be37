"""Rates, counts and paces, by a clock that the test turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import limits as module
from aggregator.limits import Bucket, Limits, Pace, address_of
from protocol.refusals import RateLimited, SlowUpload, TooManyStreams


class Clock:
    def __init__(self) -> None:
        self.now_seconds = 0.0

    def __call__(self) -> float:
        return self.now_seconds


def limits(clock: Clock, **changes: float) -> Limits:
    fields = {"calls_per_second": 1.0, "bytes_per_second": 100.0, "calls_at_once": 1000, "all_at_once": 1000}
    return Limits(clock=clock, **(fields | changes))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 50)), max_size=30))
def test_no_more_is_taken_than_rate_and_burst_give(takes: list[tuple[float, float]]) -> None:
    """Whoever waits as told has never taken more than burst + rate * time."""
    bucket, now, taken = Bucket(rate=2, burst=10, at_seconds=0), 0.0, 0.0
    for count, pause in takes:
        wait = bucket.take(count, now)
        taken += count
        now += wait + pause
        assert taken <= 10 + 2 * (now - pause) + 1e-6


def test_an_address_has_a_rate_and_a_burst() -> None:
    clock = Clock()
    limited = limits(clock)
    for _ in range(10):
        with limited.call("a"):
            pass
    for _ in range(3):  # asking in vain costs nothing
        with pytest.raises(RateLimited) as caught, limited.call("a"):
            pass
        assert caught.value.retry_seconds == 1
    with limited.call("b"):
        pass
    clock.now_seconds = 1
    with limited.call("a"):
        pass
    with pytest.raises(RateLimited), limited.call("a"):
        pass


def test_a_long_pause_gives_no_more_than_the_burst() -> None:
    clock = Clock()
    limited = limits(clock)
    for now_seconds in (0, 10_000):
        clock.now_seconds = now_seconds
        for _ in range(10):
            with limited.call("a"):
                pass
        with pytest.raises(RateLimited), limited.call("a"):
            pass


def test_who_calls_often_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else strangers from many addresses would give it a new burst."""
    monkeypatch.setattr(module, "_MAX_ADDRESSES", 3)
    limited = limits(Clock())
    for index in range(10):
        for address in ("a", f"stranger {index}"):
            with limited.call(address):
                pass
    with pytest.raises(RateLimited), limited.call("a"):
        pass


def test_calls_at_once_are_counted_by_address_and_in_all() -> None:
    limited = limits(Clock(), calls_at_once=2, all_at_once=3)
    with limited.call("a"), limited.call("a"):
        with pytest.raises(TooManyStreams, match="2 are"), limited.call("a"):
            pass
        with limited.call("b"), pytest.raises(TooManyStreams, match="3 are"), limited.call("c"):
            pass
    with limited.call("a"), limited.call("a"), limited.call("c"):
        pass


def test_a_failed_call_is_over() -> None:
    limited = limits(Clock(), calls_at_once=1)
    for _ in range(2):
        with pytest.raises(ValueError, match="fails"), limited.call("a"):
            raise ValueError("fails")


def test_uploaded_bytes_are_paid_for_in_time() -> None:
    clock = Clock()
    limited = limits(clock)
    assert limited.bytes_wait_seconds("a", 100) == 0
    assert limited.bytes_wait_seconds("a", 50) == 0.5
    assert limited.bytes_wait_seconds("b", 50) == 0
    clock.now_seconds = 1
    assert limited.bytes_wait_seconds("a", 50) == 0


def test_strangers_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_ADDRESSES", 3)
    limited = limits(Clock())
    for index in range(100):
        with limited.call(str(index)):
            pass
    assert list(limited._calls._buckets) == ["97", "98", "99"]
    assert not limited._open


def test_a_slow_upload_has_a_while_and_then_a_rate() -> None:
    clock = Clock()
    pace = Pace(grace_seconds=10, bytes_per_second=100, clock=clock)
    clock.now_seconds = 10
    pace.check(0)
    clock.now_seconds = 15
    pace.check(500)
    with pytest.raises(SlowUpload):
        pace.check(499)
    pace.waited(5)
    pace.check(0)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:5000", "ipv4:127.0.0.1"),
        ("ipv6:%5B::1%5D:5000", "ipv6:%5B::1%5D"),
        ("unix:/run/merit.sock", "unix:/run/merit.sock"),
    ],
)
def test_an_address_has_no_port(peer: str, address: str) -> None:
    assert address_of(peer) == address
