"""What one address, and all together, may ask of the service at once and over time.

Addresses are those of the connections: behind one gateway all callers share one.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from protocol.refusals import RateLimited, SlowUpload, TooManyStreams

_MAX_ADDRESSES = 10_000


def address_of(peer: str) -> str:
    """The address of gRPC's name for a peer: 'ipv4:127.0.0.1:5000' -> 'ipv4:127.0.0.1'."""
    kind, _, _ = peer.partition(":")
    return peer.rpartition(":")[0] if kind in ("ipv4", "ipv6") else peer


@dataclass(kw_only=True)
class Bucket:
    """Tokens that come back at a steady rate, up to `burst`."""

    rate: float
    burst: float
    tokens: float = field(init=False)
    at_seconds: float

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, count: float, now_seconds: float) -> float:
        """Takes tokens, into debt if need be; returns how long the debt takes to come back, in seconds."""
        self.tokens = min(self.burst, self.tokens + (now_seconds - self.at_seconds) * self.rate)
        self.at_seconds = now_seconds
        self.tokens -= count
        return max(0.0, -self.tokens / self.rate)

    def give_back(self, count: float) -> None:
        self.tokens += count


class Limits:
    """Lives on the event loop.

    Args:
        calls_per_second: of one address; ten seconds' worth may come at once.
        bytes_per_second: uploaded by one address.
        calls_at_once: of one address, watches and uploads among them. all_at_once: of all addresses.
    """

    def __init__(
        self,
        *,
        calls_per_second: float,
        bytes_per_second: float,
        calls_at_once: int,
        all_at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = _Buckets(calls_per_second, 10 * calls_per_second)
        self._bytes = _Buckets(bytes_per_second, bytes_per_second)
        self._calls_at_once = calls_at_once
        self._all_at_once = all_at_once
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._all_open = 0

    @contextmanager
    def call(self, address: str) -> Iterator[None]:
        """A call of this address is under way.

        Raises:
            RateLimited: it has used up its rate. TooManyStreams: it, or all together, have too many under way.
        """
        bucket = self._calls.of(address, self._clock())
        wait_seconds = bucket.take(1, self._clock())
        if wait_seconds:
            bucket.give_back(1)
            limit = f"{self._calls.rate:g} calls a second"
            refusal = RateLimited(f"rate: {address} has used it up", limit=limit)
            refusal.retry_seconds = round(wait_seconds, 3)
            raise refusal
        for count, most in ((self._open[address], self._calls_at_once), (self._all_open, self._all_at_once)):
            if count >= most:
                raise TooManyStreams(f"calls: {count} are under way", limit=f"{most} at once")
        self._open[address] += 1
        self._all_open += 1
        try:
            yield
        finally:
            self._all_open -= 1
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def bytes_wait_seconds(self, address: str, count: int) -> float:
        """Counts uploaded bytes; returns how long to wait before more are taken."""
        now_seconds = self._clock()
        return self._bytes.of(address, now_seconds).take(count, now_seconds)


class _Buckets:
    """One a address, for those who called last: who has not called for long has a full one anyway."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, address: str, now_seconds: float) -> Bucket:
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = Bucket(rate=self.rate, burst=self._burst, at_seconds=now_seconds)
            if len(self._buckets) > _MAX_ADDRESSES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        return bucket


class Pace:
    """How long an upload may take: a while, and as long as its bytes take at the least rate."""

    def __init__(
        self, *, grace_seconds: float, bytes_per_second: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._grace_seconds = grace_seconds
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._since_seconds = clock()

    def waited(self, seconds: float) -> None:
        """The service itself has waited for so long, which is not held against the upload."""
        self._since_seconds += seconds

    def check(self, received_bytes: int) -> None:
        """SlowUpload if it took longer."""
        if self._clock() - self._since_seconds > self._grace_seconds + received_bytes / self._bytes_per_second:
            limit = f"at least {self._bytes_per_second:g} bytes a second after {self._grace_seconds:g} s"
            raise SlowUpload(f"upload: {received_bytes} bytes came too slowly", limit=limit)


class Flow:
    """The bytes of one upload: not slower than they have to be, and of one address not faster than they may."""

    def __init__(self, limits: Limits, address: str, pace: Pace) -> None:
        self._limits = limits
        self._address = address
        self._pace = pace

    async def took(self, count: int, received_bytes: int) -> None:
        """So many more have come; waits before the next ones are read. SlowUpload if they took too long."""
        self._pace.check(received_bytes)
        wait_seconds = self._limits.bytes_wait_seconds(self._address, count)
        if wait_seconds:
            await asyncio.sleep(wait_seconds)
            self._pace.waited(wait_seconds)
