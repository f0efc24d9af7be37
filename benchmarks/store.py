"""Put and get of both stores against plain files, and what sealing adds.

    python -m benchmarks.store [--megabytes N ...] [--repeat N] [--json FILE] > table.md

Plain is a file written whole and synced, as the stores do, then read. Reads come from the disk: the system is told to
drop what it holds of the files before each. Every figure is the median of the repeats.
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
    """One way to keep bytes.

    Attributes:
        put_cpu_seconds, get_cpu_seconds: of this process alone, without an IPFS node's.
    """

    way: str
    megabytes: int
    put_seconds: float
    get_seconds: float
    put_cpu_seconds: float
    get_cpu_seconds: float

    def rates(self) -> tuple[float, float]:
        """MB/s."""
        return self.megabytes / self.put_seconds, self.megabytes / self.get_seconds


def measure(
    way: str, data: Sequence[bytes], put: Callable[[bytes], bytes], get: Callable[[bytes], bytes], directory: Path
) -> Line:
    """Puts and gets each of the objects, which are fresh, so that nothing is there already."""
    puts, gets = [], []
    for each in data:
        name, spent = _timed(put, each)
        puts.append(spent)
        _drop_cached(directory)
        found, spent = _timed(get, name)
        gets.append(spent)
        assert found == each
    return Line(
        way=way,
        megabytes=len(data[0]) // 10**6,
        put_seconds=statistics.median(seconds for seconds, _ in puts),
        get_seconds=statistics.median(seconds for seconds, _ in gets),
        put_cpu_seconds=statistics.median(cpu for _, cpu in puts),
        get_cpu_seconds=statistics.median(cpu for _, cpu in gets),
    )


def _timed(call: Callable[[bytes], bytes], argument: bytes) -> tuple[bytes, tuple[float, float]]:
    """The result; seconds, and seconds of this process."""
    started, cpu = time.perf_counter(), time.process_time()
    result = call(argument)
    return result, (time.perf_counter() - started, time.process_time() - cpu)


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


def _drop_cached(directory: Path) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


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
                lines.append(measure(way, data, put, get, directory))
    return lines


def markdown(lines: Sequence[Line]) -> str:
    """A row a way and size; times are over a plain file of the same size."""
    heading = ["", "MB", "put MB/s", "get MB/s", "put, times plain", "get, times plain", "put CPU ms", "get CPU ms"]
    rows = [heading, ["---", *["---:"] * (len(heading) - 1)]]
    for line in lines:
        [plain] = [other for other in lines if (other.way, other.megabytes) == ("plain file", line.megabytes)]
        put, get = line.rates()
        slower = line.put_seconds / plain.put_seconds, line.get_seconds / plain.get_seconds
        cpu = 1000 * line.put_cpu_seconds, 1000 * line.get_cpu_seconds
        figures = [f"{put:.0f}", f"{get:.0f}", *(f"{x:.2f}" for x in slower), *(f"{x:.0f}" for x in cpu)]
        rows.append([line.way, str(line.megabytes), *figures])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


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
