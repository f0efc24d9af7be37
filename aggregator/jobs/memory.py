"""How much memory this process may still take: the machine's, or its control group's where that is less."""

from collections.abc import Iterator
from pathlib import Path

import psutil

_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
# By version: the controller's folder, and the files that hold limit and use.
_FILES = {1: ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"), 2: ("", "memory.max", "memory.current")}
_RECLAIMABLE = ("inactive_file", "total_inactive_file")


def default_budget_bytes() -> int:
    """What proofs may take here unless the operator says otherwise: workers that wait keep something too."""
    return available_bytes() * 7 // 8


def available_bytes(*, groups: Path = _GROUPS, mount: Path = _MOUNT) -> int:
    """Bytes that can be taken now without swapping, or being killed for it.

    Args:
        groups: names this process's control groups. mount: where they are.
    """
    machine: int = psutil.virtual_memory().available
    return max(0, min([machine, *_group_room_bytes(groups, mount)]))


def _group_room_bytes(groups: Path, mount: Path) -> Iterator[int]:
    """What is left of each limit that applies: a group is bound by those that it lies in."""
    for folder, limit_file, use_file in _folders(groups, mount):
        limit, used = _number(folder / limit_file), _number(folder / use_file)
        if limit is not None and used is not None:
            yield limit - used + _reclaimable_bytes(folder)


def _folders(groups: Path, mount: Path) -> Iterator[tuple[Path, str, str]]:
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return  # a system without control groups
    for line in lines:
        number, controllers, path = line.split(":", 2)
        version = 2 if number == "0" else 1
        if version == 1 and "memory" not in controllers.split(","):
            continue
        controller, limit_file, use_file = _FILES[version]
        root = mount / controller
        folder = root / path.lstrip("/")
        for each in (folder, *folder.parents):
            yield each, limit_file, use_file
            if each == root:
                break


def _number(path: Path) -> int | None:
    """None where there is no such file, or it says `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable_bytes(folder: Path) -> int:
    """Cached pages of files, which count as used and are given back when they are asked for."""
    try:
        fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return max(int(fields.get(name, 0)) for name in _RECLAIMABLE)
