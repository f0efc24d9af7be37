"""Partial uploads: bounded, durable, and given up in time."""

import os
import resource
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from aggregator.partials import PartialKey, Partials
from protocol.refusals import InvalidChunk
from store.cid import cid_of
from store.errors import StorageFull

KEY = PartialKey(task_id=1, round=0, sender=Account.from_key(b"\1" * 32).address, cid=cid_of(b"whole"))
OTHER = replace(KEY, sender=Account.from_key(b"\2" * 32).address)


@pytest.fixture
def partials(tmp_path: Path) -> Partials:
    return Partials(tmp_path / "partials", lifetime_seconds=100)


def files(partials: Partials) -> list[Path]:
    return sorted(path for path in partials._directory.rglob("*") if path.is_file())


def put(partials: Partials, key: PartialKey, data: bytes) -> None:
    with partials.open(key) as partial:
        partial.write(data)


def test_an_upload_goes_on_where_it_stopped(partials: Partials, tmp_path: Path) -> None:
    put(partials, KEY, b"wh")
    again = Partials(tmp_path / "partials", lifetime_seconds=100)
    assert again.received_bytes(KEY) == 2
    with again.open(KEY) as partial:
        partial.write(b"ole")
    assert (partial.size_bytes, partial.cid(), partial.path.read_bytes()) == (5, KEY.cid, b"whole")


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=4))
def test_wherever_it_is_continued_the_bytes_are_the_same(data: bytes, offsets: list[int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        partials, key = Partials(Path(directory), lifetime_seconds=100), replace(KEY, cid=cid_of(data))
        there = 0
        for offset in offsets:
            if offset > there:
                with pytest.raises(InvalidChunk):
                    partials.open(key, offset)
                continue
            with partials.open(key, offset) as partial:
                there = min(len(data), offset + 1000)
                partial.write(data[offset:there])
        with partials.open(key, there) as partial:
            partial.write(data[there:])
        assert (partial.cid(), partial.path.read_bytes()) == (key.cid, data)


def test_a_trainer_has_one_for_each_task(partials: Partials) -> None:
    for key in (KEY, replace(KEY, cid=cid_of(b"other")), replace(KEY, round=1)):
        put(partials, key, b"x")
        put(partials, OTHER, b"x")
        assert len(files(partials)) == 2
    put(partials, replace(KEY, task_id=2), b"x")
    assert len(files(partials)) == 3


def test_what_nobody_goes_on_with_is_given_up(partials: Partials) -> None:
    put(partials, KEY, b"x")
    put(partials, OTHER, b"x")
    assert partials.sweep(lambda task_id, round: True) == 0
    os.utime(files(partials)[0], (1, 1))
    assert partials.sweep(lambda task_id, round: True) == 1
    assert len(files(partials)) == 1


def test_what_belongs_to_a_sealed_round_goes_with_it(partials: Partials) -> None:
    put(partials, KEY, b"x")
    put(partials, replace(OTHER, round=1), b"x")
    assert partials.sweep(lambda task_id, round: (task_id, round) == (1, 1)) == 1
    assert partials.received_bytes(replace(OTHER, round=1)) == 1
    assert partials.sweep(lambda task_id, round: False) == 1
    assert list(partials._directory.iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """The system refuses larger files, as a full disk would: EFBIG instead of ENOSPC."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_keeps_nothing(partials: Partials, small_files: None) -> None:
    with pytest.raises(StorageFull), partials.open(KEY) as partial:
        partial.write(bytes(4096))
        partial.write(b"x")
    assert files(partials) == []
