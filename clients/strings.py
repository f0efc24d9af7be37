"""`merit srs`: makes and checks structured reference strings."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from circuits import native, paths
from circuits.srs import Srs, file_name, generate


def generate_string(k: int, directory: Path | None, console: Console, as_json: bool) -> None:
    """Makes a string for tests and says what it is.

    Raises:
        SrsError: there is one already, or it cannot be written.
    """
    path = (directory or paths.srs_directory()) / file_name(k)
    with paths.exclusive(path), _shown(console) as progress:
        srs = generate(path, k, progress)
    _tell(srs, as_json)


def check_string(file: Path, extend_from: Path | None, console: Console, as_json: bool) -> None:
    """Checks a string and says what it is.

    Args:
        extend_from: a larger string of the same ceremony, to write the side file from.
    Raises:
        SrsError: the file is no string, or not all of one tau; or the larger one is of another.
    """
    srs = Srs(file)
    with _shown(console) as progress:
        srs.check(progress)
    if extend_from is not None:
        srs.extend_from(Srs(extend_from))
    _tell(srs, as_json)


def _tell(srs: Srs, as_json: bool) -> None:
    if as_json:
        fields = {"k": srs.k, "sha256": srs.digest, "test_only": srs.is_test_only, "provable": srs.is_provable}
        print(json.dumps({"file": str(srs.path), **fields}, indent=2))
        return
    print(f"{srs.path}: 2^{srs.k} powers, SHA-256 {srs.digest}")
    print("for tests only: local chains take it, no other does" if srs.is_test_only else "the public ceremony's")
    if not srs.is_provable:
        print("without its side file: good to commit and to verify, not to prove (--extend-from)")


@contextmanager
def _shown(console: Console) -> Iterator[native.Progress]:
    """A bar for each stage, where somebody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars: dict[str, int] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(stage, total=total)
            progress.update(bars[stage], completed=done)  # type: ignore[arg-type]

        yield report
