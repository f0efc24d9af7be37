"""`merit task show` for people."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clients.cli.amounts import amount
from clients.cli.status_view import at
from clients.tasks import RoundDocument, TaskDocument, TokenDocument

_UNUSED: tuple[object, ...] = ("0", 0, False, [], "0x" + "00" * 20, "0x" + "00" * 32)


def draw(out: Console, task: TaskDocument) -> None:
    """State, terms, checks, rounds, credits."""
    out.print(f"[bold]Task {task.task_id}[/bold] of {task.market} on chain {task.chain_id}: [bold]{task.state}[/bold]")
    token = task.token
    held = f"escrow {amount(int(task.escrow_wei), token)}, bond {amount(int(task.bond_wei), token)}"
    rate = "" if task.learning_rate is None else f", learning rate {task.learning_rate:g}"
    out.print(f"owner {task.owner}\n{held}{rate}")
    for check in task.checks:
        out.print(f"[green]✓[/green] {check.check}" if check.ok else f"[red]✗[/red] {escape(check.reason)}")
    terms = Table("term", "value", title="terms", title_justify="left", box=None, pad_edge=False)
    for name, value in task.terms.items():
        terms.add_row(name, escape(_term(name, value, token)), style="" if value not in _UNUSED else "dim")
    out.print("", terms)
    if task.rounds:
        out.print("", _rounds(task.rounds, token))
    credits = Table("account", "role", "owed", "", title="credits", title_justify="left", box=None, pad_edge=False)
    for credit in task.credits:
        when = "claimable" if credit.claimable else "with the task's end"
        owed = int(credit.amount_wei)
        credits.add_row(
            credit.account, credit.role, amount(owed, token), when if owed else "", style="" if owed else "dim"
        )
    out.print("", credits)


def _term(name: str, value: object, token: TokenDocument | None) -> str:
    if name.endswith("_wei"):
        return amount(int(str(value)), token)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _rounds(rounds: list[RoundDocument], token: TokenDocument | None) -> Table:
    table = Table(
        "round", "state", "trainer", "accepted", "score", "paid", title="rounds", title_justify="left", box=None,
        pad_edge=False,
    )  # fmt: skip
    for round in rounds:
        ends = f" until {at(round.deadline_seconds)}" if round.deadline_seconds else ""
        first = [str(round.round + 1), round.state + ends]
        for entry in round.entries:
            accepted = {None: "-", True: "[green]yes[/green]", False: "[red]no[/red]"}[entry.accepted]
            paid = "-" if entry.paid_wei is None else amount(int(entry.paid_wei), token)
            score = "-" if entry.score is None else f"{entry.score:,}"
            table.add_row(*first, entry.trainer, accepted, score, paid)
            first = ["", ""]
        if not round.entries:
            table.add_row(*first, "", "", "", "")
    return table
