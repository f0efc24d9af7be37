"""A summary as tables on a terminal, and as a picture."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from clients.demo.plan import ETHER_WEI
from clients.demo.summary import Summary

_HONEST = "#2a6f97"
_ATTACKERS = ("#c44536", "#e09f3e", "#7b2d8b", "#5b8c5a", "#8d6e63", "#555555", "#d4739a")


def print_summary(console: Console, summary: Summary) -> None:
    """Trainers, rounds and costs."""
    console.print(_trainers(summary))
    console.print(_rounds(summary))
    paid_wei = sum(int(t.paid) for t in summary.trainers)
    console.print(
        f"escrow {summary.reward} wei = paid {paid_wei} + returned to the owner {summary.remainder};  "
        f"model verified against the chain: [bold]{'yes' if summary.model_verified else 'NO'}[/bold]"
    )


def _trainers(summary: Summary) -> Table:
    table = Table(title="Trainers", title_justify="left")
    for heading in ("trainer", "role"):
        table.add_column(heading)
    for heading in ("shard", "accepted rounds", "score", "paid (ether)"):
        table.add_column(heading, justify="right")
    for t in summary.trainers:
        style = "" if t.role == "honest" else "red"
        cells = (t.address, t.role, str(t.samples), f"{t.accepted_rounds}/{len(summary.rounds)}", f"{t.score:,}")
        table.add_row(*cells, f"{int(t.paid) / ETHER_WEI:.6f}", style=style)
    return table


def _rounds(summary: Summary) -> Table:
    table = Table(title="Rounds", title_justify="left")
    table.add_column("")
    for r in summary.rounds:
        table.add_column(f"round {r.round}", justify="right")
    table.add_row("accuracy", *(f"{r.accuracy:.1%}" for r in summary.rounds))
    table.add_row("honest-only FedAvg", *(f"{a:.1%}" for a in summary.baseline_accuracy), style="dim")
    for step in summary.rounds[0].seconds:
        table.add_row(f"seconds: {step}", *(f"{r.seconds[step]:.1f}" for r in summary.rounds))
    for step in summary.rounds[0].gas:
        table.add_row(f"gas: {step}", *(f"{r.gas[step]:,}" for r in summary.rounds))
    for layer in summary.rounds[0].proof_bytes:
        table.add_row(f"proof bytes: {layer}", *(f"{r.proof_bytes[layer]:,}" for r in summary.rounds))
    return table


def draw(summary: Summary, path: Path) -> None:
    """Accuracy by round and pay by trainer, as a PNG."""
    import matplotlib as mpl  # noqa: PLC0415  (a second to load, and needed at the very end only)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(2, 3), layout="constrained")
    numbers = [r.round for r in summary.rounds]
    left.plot(numbers, [100 * a for a in summary.baseline_accuracy], "--", color="#999999", label="honest-only FedAvg")
    left.plot(numbers, [100 * r.accuracy for r in summary.rounds], "o-", color=_HONEST, label="this market")
    left.set(title="Accuracy on the owner's hold-out set", xlabel="round", ylabel="%", xticks=numbers)
    left.legend(loc="lower right", frameon=False)

    attacks = dict.fromkeys(t.role for t in summary.trainers if t.role != "honest")
    colours = {"honest": _HONEST} | dict(zip(attacks, _ATTACKERS, strict=False))
    labels = [f"{t.address[:6]}\n{t.samples}" for t in summary.trainers]
    paid = [int(t.paid) / ETHER_WEI for t in summary.trainers]
    bars = right.bar(labels, paid, color=[colours[t.role] for t in summary.trainers])
    right.bar_label(bars, fmt="%.3f", padding=2, fontsize=8)
    right.set(title=f"Paid of {summary.reward / ETHER_WEI:g} ether", xlabel="trainer, samples", ylabel="ether")
    handles = [Patch(color=colour) for colour in colours.values()]
    right.legend(handles, [name.replace("_", " ") for name in colours], loc="upper left", frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=140)
    plt.close(figure)
