"""Progress of a run: a line for each step that is done, a spinner that names the one under way."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from clients.demo.processes import Event

# Event -> (what is done, what comes next).
_STEPS = {
    "round.collecting": ("", "trainers train, quantise, commit and upload; the aggregator checks and signs receipts"),
    "round.sealed": ("trained, quantised, committed, uploaded, receipts signed", "commitRound"),
    "round.committed": ("commitRound: commitments and signatures on chain", "proving the Gram matrix"),
    "round.linear_proven": ("linear layer proven: commitments -> Gram matrix", "proving acceptance and scores"),
    "round.rule_proven": ("rule layer proven: multi-Krum, projection", "settleRound verifies both proofs on chain"),
    "round.settled": ("settleRound: both proofs verified, credits booked, model moved", "publishing the model"),
    "round.published": ("new model published", "the owner checks and evaluates the model"),
}


class Display:
    """Prints to a console; on one that is no terminal only the finished steps appear."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("starting")
        self._uploads = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Shows the spinner while the block runs."""
        with self._status:
            yield

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Names a step of the set-up, and prints how long it took."""
        self._status.update(what)
        started = time.monotonic()
        yield
        self._done(what, time.monotonic() - started)

    def show(self, event: Event) -> None:
        """Prints what an event says."""
        fields = event.fields
        if event.name == "update.received":
            self._uploads += 1
            self._status.update(f"round {int(fields['round']) + 1}: {self._uploads} updates checked and receipted")
        elif event.name == "round.evaluated":
            self._done(f"owner: model opens the commitment; accuracy {fields['accuracy']:.1%}")
        elif event.name in _STEPS:
            self._round_step(event)
        elif event.name in ("trainer.withdrew", "owner.withdrew"):
            amount = fields.get("paid_wei") or fields.get("refunded_wei")
            self._done(f"{event.party} withdrew {amount} wei")
        elif fields.get("level") in ("warning", "error"):
            self._console.print(f"  [yellow]! {event.party}: {event.name}[/yellow] {_rest(event)}")

    def _round_step(self, event: Event) -> None:
        done, following = _STEPS[event.name]
        fields, number = event.fields, int(event.fields["round"]) + 1
        if event.name == "round.collecting":
            self._uploads = 0
            self._console.print(f"[bold]Round {number}[/bold]")
        else:
            self._done(done, fields.get("seconds"), fields.get("gas"))
        self._status.update(f"round {number}: {following}")

    def _done(self, what: str, seconds: float | None = None, gas: int | None = None) -> None:
        costs = "".join([f"  {seconds:.1f} s" if seconds is not None else "", f"  {gas:,} gas" if gas else ""])
        self._console.print(f"  [green]✓[/green] {what}[dim]{costs}[/dim]")


def _rest(event: Event) -> str:
    hidden = ("event", "level", "timestamp", "role")
    return " ".join(f"{k}={v}" for k, v in event.fields.items() if k not in hidden)
