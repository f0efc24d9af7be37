"""`merit status` for people: a line for the service, one for the chain, a table of tasks, one of proofs."""

import time

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from clients.status import RoundStatus, Status, TaskStatusDocument

_COLOURS = {"open": "green", "funded": "yellow", "closed": "dim", "refused": "red"}


def drawn(status: Status) -> RenderableType:
    """Everything that there is to see."""
    parts: list[RenderableType] = [_service(status), _chain(status)]
    if status.tasks:
        parts += ["", _tasks(status)]
    elif status.reachable:
        parts += ["", "No task names this aggregator."]
    if status.jobs:
        parts += ["", _jobs(status)]
    return Group(*parts)


def _service(status: Status) -> str:
    if not status.reachable:
        return f"[red]✗[/red] aggregator [bold]{status.target}[/bold]: {escape(status.error.partition(';')[0])}"
    down = [name for name, health in status.services.items() if health != "SERVING"]
    if down:
        return f"[yellow]![/yellow] aggregator [bold]{status.target}[/bold]: not serving {', '.join(down)}"
    return f"[green]✓[/green] aggregator [bold]{status.target}[/bold]: all {len(status.services)} services serve"


def _chain(status: Status) -> str:
    chain = status.chain
    if chain.error:
        return f"[red]✗[/red] chain {escape(chain.error)}"
    head = f"block {chain.block:,}, {spoken(chain.head_age_seconds or 0)} old"
    return f"[green]✓[/green] chain [bold]{chain.chain_id}[/bold] at {escape(chain.rpc_url)}: {head}"


def _tasks(status: Status) -> Table:
    table = Table(
        "task", "state", "rule", "model", "round", "under way", "updates", "time left", box=None, pad_edge=False
    )
    for task in status.tasks:
        colour = _COLOURS.get(task.status, "default")
        current = task.current
        table.add_row(
            str(task.task_id),
            f"[{colour}]{task.status}[/{colour}]",
            escape(task.rule),
            f"{task.dim:,} at {task.bits} bits",
            f"{current.round + 1} of {task.rounds}" if current else f"- of {task.rounds}",
            _under_way(task),
            f"{current.updates} of {task.slots}" if current else "-",
            _left(current, status.at_seconds),
        )
    return table


def _under_way(task: TaskStatusDocument) -> str:
    if task.refusal:
        return f"[red]{escape(task.refusal)}[/red]"
    if task.current is not None:
        return task.current.under_way
    if task.status == "closed":
        return "-"
    return "waits for trainers" if task.has_genesis else "waits for the owner's model"


def _left(current: RoundStatus | None, now_seconds: int) -> str:
    if current is None or current.deadline_seconds is None:
        return "-"
    left_seconds = current.deadline_seconds - now_seconds
    return spoken(left_seconds) if left_seconds > 0 else f"[red]over for {spoken(-left_seconds)}[/red]"


def _jobs(status: Status) -> Table:
    table = Table("proof", "task", "round", "state", "progress", "time", "memory", box=None, pad_edge=False)
    for job in status.jobs:
        waits = job.state == "queued"
        table.add_row(
            job.kind,
            str(job.task_id),
            str(job.round + 1),
            f"place {job.queue_place}" if waits else job.state,
            f"{job.stage} {100 * job.done // job.total}%" if job.total else job.stage or "-",
            spoken(int(job.waited_seconds if waits else job.seconds)),
            f"{job.memory_bytes / (1 << 20):,.0f} MiB",
        )
    return table


def spoken(seconds: int) -> str:
    """A duration as people say it: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    minutes, days = seconds // 60, seconds // 86_400
    if minutes < 1:
        return f"{seconds} s"
    if minutes < 60:
        return f"{minutes} min"
    if days < 1:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{days} d {minutes // 60 % 24} h"


def at(seconds: int) -> str:
    """A moment, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
