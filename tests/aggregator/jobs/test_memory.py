"""The least of the machine's memory and of every control group's that applies."""

from pathlib import Path

import psutil
import pytest

from aggregator.jobs.memory import available_bytes

MIB = 1 << 20


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    path = tmp_path / "groups"
    path.write_text("4:cpu,memory:/pod/box\n3:cpu:/elsewhere\n0::/pod/box\n")
    return path


def test_without_groups_it_is_the_machines(tmp_path: Path) -> None:
    found = available_bytes(groups=tmp_path / "none", mount=tmp_path)
    assert 0 < found <= psutil.virtual_memory().total


def test_the_own_groups_limit(tmp_path: Path, groups: Path) -> None:
    group(tmp_path / "pod/box", memory__max=100 * MIB, memory__current=30 * MIB)
    group(tmp_path / "pod", memory__max="max", memory__current=60 * MIB)
    assert available_bytes(groups=groups, mount=tmp_path) == 70 * MIB


def test_a_limit_further_up(tmp_path: Path, groups: Path) -> None:
    group(tmp_path / "pod/box", memory__max="max", memory__current=30 * MIB)
    group(tmp_path / "pod", memory__max=80 * MIB, memory__current=60 * MIB)
    assert available_bytes(groups=groups, mount=tmp_path) == 20 * MIB


def test_caches_do_not_count_as_used(tmp_path: Path, groups: Path) -> None:
    group(tmp_path / "pod/box", memory__max=100 * MIB, memory__current=90 * MIB)
    (tmp_path / "pod/box/memory.stat").write_text(f"anon {50 * MIB}\ninactive_file {40 * MIB}\n")
    assert available_bytes(groups=groups, mount=tmp_path) == 50 * MIB


def test_the_first_version_of_groups(tmp_path: Path, groups: Path) -> None:
    group(tmp_path / "memory/pod/box", memory__limit_in_bytes=50 * MIB, memory__usage_in_bytes=10 * MIB)
    assert available_bytes(groups=groups, mount=tmp_path) == 40 * MIB


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, groups: Path) -> None:
    group(tmp_path, memory__max=60 * MIB, memory__current=10 * MIB)
    assert available_bytes(groups=groups, mount=tmp_path) == 50 * MIB


def test_over_the_limit_there_is_nothing(tmp_path: Path, groups: Path) -> None:
    group(tmp_path, memory__max=10 * MIB, memory__current=60 * MIB)
    assert available_bytes(groups=groups, mount=tmp_path) == 0
