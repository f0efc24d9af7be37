"""The market's parties as child processes whose events arrive in one queue."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from process.configuration import DELIMITER, PREFIX

_TAIL_LINES = 12
_STOP_SECONDS = 20.0


class PartyFailed(Exception):
    """A party ended although the market had not, or nobody said anything for too long.

    Attributes:
        party: its name.
        log: where its output is.
    """

    def __init__(self, party: str, reason: str, log: Path) -> None:
        super().__init__(f"{party} {reason}; its log is {log}\n{_tail(log)}".rstrip())
        self.party = party
        self.log = log


@dataclass(frozen=True)
class Event:
    """One line that a party printed. `fields["event"]` names what happened."""

    party: str
    fields: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.fields.get("event", ""))


@dataclass
class _Party:
    process: subprocess.Popen[str]
    log: Path
    may_end: bool


class Parties:
    """Starts processes, gathers their events, and ends whatever still runs when the context does.

    Args:
        logs: directory of one .jsonl file (events) and one .err file (the rest) a party.
        silence_seconds: longest time without any event.
    """

    def __init__(self, logs: Path, silence_seconds: float = 300) -> None:
        self._logs = logs
        self._silence_seconds = silence_seconds
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._parties: dict[str, _Party] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Parties":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, name: str, *command: str, may_end: bool = True) -> None:
        """Runs `merit command...` as a party. One that may not end is stopped by `stop`."""
        log = self._logs / f"{name}.err"
        with log.open("w") as errors:
            process = subprocess.Popen(  # noqa: S603  (our own command line)
                [sys.executable, "-m", "clients", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**_environment(), "OMP_NUM_THREADS": "1", "GRPC_VERBOSITY": "ERROR"},
            )
        self._parties[name] = _Party(process, log, may_end)
        threading.Thread(target=self._read, args=(name, process), daemon=True).start()

    def events(self) -> Iterator[Event]:
        """Every event of every party as it happens, for as long as the caller listens.

        Raises:
            PartyFailed: a party failed, or all were silent for too long.
        """
        last = time.monotonic()
        while True:
            try:
                event = self._events.get(timeout=0.5)
            except queue.Empty:
                self._check(last)
                continue
            last = time.monotonic()
            yield event

    def wait(self, name: str) -> None:
        """Waits for a party's end (PartyFailed unless it is orderly)."""
        party = self._parties[name]
        try:
            code = party.process.wait(timeout=self._silence_seconds)
        except subprocess.TimeoutExpired:
            raise PartyFailed(name, f"did not end within {self._silence_seconds:g} seconds", party.log) from None
        if code != 0:
            raise PartyFailed(name, f"ended with code {code}", party.log)

    def stop(self) -> None:
        """Asks everyone to end, and makes those end who do not."""
        running = [p.process for p in self._parties.values() if p.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with (self._logs / f"{name}.jsonl").open("w") as copy:
            for line in process.stdout:
                copy.write(line)
                copy.flush()
                try:
                    fields = json.loads(line)
                except ValueError:
                    continue
                if isinstance(fields, dict):
                    self._events.put(Event(name, fields))

    def _check(self, last: float) -> None:
        for name, party in self._parties.items():
            code = party.process.poll()
            if code is not None and (code != 0 or not party.may_end):
                raise PartyFailed(name, f"ended with code {code}", party.log)
        if time.monotonic() - last > self._silence_seconds:
            name, party = next(iter(self._parties.items()))
            raise PartyFailed(name, f"and all others were silent for {self._silence_seconds:g} seconds", party.log)


def _environment() -> dict[str, str]:
    """This process's, without what configures the user's own market."""
    return {n: v for n, v in os.environ.items() if not (n.startswith(PREFIX) and DELIMITER in n)}


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
    except OSError:
        return ""
