"""Put and get of both stores against plain files, and what sealing adds.

    python -m benchmarks.store [--megabytes N ...] [--repeat N] [--json FILE] > table.md

Plain is a file written whole and synced, as the stores do, then read; reads come from memory, as they do soon after a
write. Every figure is the median of the repeats.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from eth_account import Account

from store.devnode import IPFS, dev_kubo
from store.interface import Store
from store.keywrap import Receiver
from store.kubo import KuboStore
from store.local import ContentStore
from store.sealed import seal, unseal

RECEIVER = Account.from_key(b"\x01" * 32)
CONTEXT = bytes(32)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One way to keep bytes. put, get: seconds."""

    way: str
    megabytes: int
    put_seconds: float
    get_seconds: float

    def rates(self) -> tuple[float, float]:
        """MB/s."""
        return self.megabytes / self.put_seconds, self.megabytes / self.get_seconds


def measure(way: str, data: Sequence[bytes], put: Callable[[bytes], bytes], get: Callable[[bytes], bytes]) -> Line:
    """Puts and gets each of the objects, which are fresh, so that nothing is there already."""
    puts, gets = [], []
    for each in data:
        started = time.perf_counter()
        name = put(each)
        puts.append(time.perf_counter() - started)
        started = time.perf_counter()
        found = get(name)
        gets.append(time.perf_counter() - started)
        assert found == each
    return Line(
        way=way,
        megabytes=len(data[0]) // 10**6,
        put_seconds=statistics.median(puts),
        get_seconds=statistics.median(gets),
    )


def ways(directory: Path, stack: ExitStack) -> dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]]:
    """Everything that is compared."""
    plain = directory / "plain"
    plain.mkdir()
    embedded: Store = ContentStore(directory / "embedded")
    found = {
        "plain file": (lambda data: _write(plain, data), lambda name: (plain / name.decode()).read_bytes()),
        "embedded": (embedded.put, embedded.get),
        "plain file, sealed": (
            lambda data: _write(plain, _sealed(data)),
            lambda name: _opened((plain / name.decode()).read_bytes()),
        ),
        "embedded, sealed": (lambda data: embedded.put(_sealed(data)), lambda cid: _opened(embedded.get(cid))),
    }
    if IPFS.is_file():
        node = stack.enter_context(dev_kubo(directory=directory))
        kubo: Store = KuboStore(node.url, spool_directory=directory / "spool")
        found["IPFS"] = (kubo.put, kubo.get)
        found["IPFS, sealed"] = (lambda data: kubo.put(_sealed(data)), lambda cid: _opened(kubo.get(cid)))
    return found


def _write(directory: Path, data: bytes) -> bytes:
    name = os.urandom(8).hex()
    with (directory / name).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return name.encode()


def _sealed(data: bytes) -> bytes:
    return seal(data, receivers=[Receiver.of(RECEIVER)], context=CONTEXT)


def _opened(data: bytes) -> bytes:
    return unseal(data, RECEIVER, context=CONTEXT)


def run(megabytes: Sequence[int], repeat: int) -> list[Line]:
    """Every way with every size."""
    lines = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        compared = ways(directory, stack)
        for size in megabytes:
            for way, (put, get) in compared.items():
                data = [os.urandom(size * 10**6) for _ in range(repeat)]
                lines.append(measure(way, data, put, get))
    return lines


def markdown(lines: Sequence[Line]) -> str:
    """A row a way and size; times are over a plain file of the same size."""
    rows = [
        "| | MB | put MB/s | get MB/s | put, times plain | get, times plain |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for line in lines:
        [plain] = [other for other in lines if (other.way, other.megabytes) == ("plain file", line.megabytes)]
        put, get = line.rates()
        slower = line.put_seconds / plain.put_seconds, line.get_seconds / plain.get_seconds
        rows.append(f"| {line.way} | {line.megabytes} | {put:.0f} | {get:.0f} | {slower[0]:.2f} | {slower[1]:.2f} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 46], help="sizes of the objects")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every figure goes")
    args = parser.parse_args()
    lines = run(args.megabytes, args.repeat)
    if args.json:
        args.json.write_text(json.dumps([asdict(line) for line in lines], indent=1))
    sys.stdout.write(markdown(lines))


if __name__ == "__main__":
    main()
