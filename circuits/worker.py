"""One child process that runs jobs in order, and may crash, hang or be cancelled without taking its owner along."""

import atexit
import fcntl
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from circuits.errors import CircuitError, ProverCrashed, ProverError
from circuits.native import Progress

T = TypeVar("T")

DEFAULT_TIMEOUT_SECONDS = 3600.0


class Worker:
    """Starts its process on the first call. Calls from several threads take turns."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    def call(
        self,
        job: Callable[..., T],
        *args: object,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        progress: Progress | None = None,
    ) -> T:
        """job(*args), in the worker. `job` is a function of a module, its arguments and result can be pickled.

        Args:
            timeout_seconds: without a result, or a report of progress.
            progress: answers, in this thread, what the job asks of its keyword argument of that name.
        Raises:
            CircuitError: whatever the job raised; any other failure of it becomes a ProverError.
            ProverCrashed: the process died, or was not heard of for `timeout_seconds` (it is then killed).
        """
        name = job.__name__.strip("_")
        with self._turn:
            pipe = self._started()
            try:
                pipe.send((job, args, progress is not None))
                while True:
                    if not pipe.poll(timeout_seconds):
                        raise ProverCrashed(
                            f"{name}: no result after {timeout_seconds:g} seconds; the worker was ended"
                        )
                    message: _Report | tuple[T] | CircuitError = pipe.recv()
                    if not isinstance(message, _Report):
                        break
                    assert progress is not None
                    pipe.send(progress(*message.step))
            except (EOFError, OSError) as error:
                self._end()
                raise ProverCrashed(f"{name}: the worker process died (out of memory?)") from error
            except BaseException:
                self._end()
                raise
        return result_of(message)

    def cancel(self) -> None:
        """Kills what runs now; its caller gets ProverCrashed, the next call a new process."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Ends the process at once."""
        self.cancel()
        with self._turn:
            self._end()

    def _started(self) -> Connection:
        if self._pipe is not None and self._process is not None and self._process.is_alive():
            return self._pipe
        self._end()
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self._pipe

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


class Here:
    """The same calls in this very process, for one that is a worker itself."""

    def call(self, job: Callable[..., T], *args: object) -> T:
        return result_of(outcome_of(job, *args))

    def cancel(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class _Report:
    """What a job's progress is, on its way to the parent, who answers."""

    step: tuple[str, int, int]


def _serve(pipe: Connection) -> None:
    # Native code prints and warns for itself; what goes wrong comes back as an exception.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    logging.getLogger().addHandler(logging.NullHandler())
    atexit.register(os._exit, 0)  # its threads abort an orderly end of the interpreter
    end_with_parent()

    def ask(*step: Any) -> Any:
        pipe.send(_Report(step))
        return pipe.recv()

    while True:
        try:
            job, args, follows = pipe.recv()
        except EOFError:
            return
        pipe.send(outcome_of(job, *args, **({"progress": ask} if follows else {})))


def end_with_parent() -> None:
    """For a child process: it ends as soon as the parent does, however that ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()
    # While the library keeps the interpreter to itself no thread runs: then the kernel's SIGIO, which nobody handles,
    # ends the process as the pipe to its parent closes.
    if sys.platform == "linux":
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, fcntl.fcntl(parent.sentinel, fcntl.F_GETFL) | os.O_ASYNC)


def outcome_of(job: Callable[..., T], *args: object, **named: object) -> tuple[T] | CircuitError:
    """What the job returned, or the error that its caller is to raise: it can be pickled."""
    try:
        return (job(*args, **named),)
    except CircuitError as error:
        return error
    except BaseException as error:  # a Rust panic is no Exception, and cannot be pickled
        return ProverError(f"{job.__name__.strip('_')}: {type(error).__name__}: {error}")


def result_of(outcome: tuple[T] | CircuitError) -> T:
    """The inverse of `outcome_of`."""
    if isinstance(outcome, CircuitError):
        raise outcome
    return outcome[0]
