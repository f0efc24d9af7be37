"""The worker's process: it is asked and answered, and it does not outlive its owner."""

import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from circuits.errors import FieldError, ProverCrashed, ProverError
from circuits.worker import Here, Worker


def count(most: int, progress: Any) -> int:
    """Counts for as long as it may."""
    done = 0
    while done < most and progress("count", done, most) is not False:
        done += 1
    return done


def refuse() -> None:
    raise FieldError("field", 3, "it must be 2")


def fail() -> None:
    raise ZeroDivisionError("no")


def hold(marker: Path) -> None:
    """As a library that keeps the interpreter to itself: no other thread of the process runs."""
    marker.write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(600)


@pytest.fixture
def worker() -> Any:
    with_process = Worker()
    yield with_process
    with_process.close()


@pytest.mark.slow
class TestProgress:
    def test_is_told(self, worker: Worker) -> None:
        told: list[tuple[str, int, int]] = []
        assert worker.call(count, 3, progress=lambda *step: told.append(step)) == 3
        assert told == [("count", 0, 3), ("count", 1, 3), ("count", 2, 3)]

    def test_an_answer_of_false_ends_the_job_and_not_the_process(self, worker: Worker) -> None:
        assert worker.call(count, 100, progress=lambda stage, done, total: done < 7) == 7
        pid = worker.pid
        assert worker.call(count, 2, progress=lambda *_: None) == 2
        assert worker.pid == pid

    def test_one_that_keeps_telling_is_not_too_late(self, worker: Worker) -> None:
        worker.call(os.getpid)
        assert worker.call(count, 3, progress=lambda *_: time.sleep(3), timeout_seconds=8) == 3


@pytest.mark.slow
class TestEnds:
    def test_what_is_cancelled_is_lost(self, worker: Worker, tmp_path: Path) -> None:
        threading.Thread(target=lambda: (written(tmp_path / "pid"), worker.cancel())).start()
        with pytest.raises(ProverCrashed):
            worker.call(hold, tmp_path / "pid")
        assert worker.call(os.getpid) != int((tmp_path / "pid").read_text())

    def test_with_its_owner_even_while_a_library_holds_the_interpreter(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
        script = tmp_path / "owner.py"
        script.write_text(
            "import sys\nfrom pathlib import Path\nfrom circuits.worker import Worker\n"
            "from tests.circuits.test_worker import hold\n"
            "if __name__ == '__main__':\n    Worker().call(hold, Path(sys.argv[1]))\n"
        )
        owner = subprocess.Popen([sys.executable, str(script), str(tmp_path / "pid")])
        process = psutil.Process(written(tmp_path / "pid"))
        owner.kill()
        owner.wait()
        assert process.wait(timeout=60) is None


class TestHere:
    def test_raises_as_the_other_does(self) -> None:
        assert Here().call(abs, -3) == 3
        with pytest.raises(FieldError, match="it must be 2"):
            Here().call(refuse)
        with pytest.raises(ProverError, match="fail: ZeroDivisionError: no"):
            Here().call(fail)


def written(marker: Path) -> int:
    """The pid in the file, once it is there."""
    for _ in range(600):
        if marker.exists() and (text := marker.read_text()):
            return int(text)
        time.sleep(0.1)
    raise AssertionError("the job did not begin")
