"""Results as tables: for a terminal, for docs/benchmarks.md, and as a picture.

    python -m benchmarks.tables benchmarks/results/NAME.jsonl [--docs docs/benchmarks.md] [--png FILE] [prices]

Prices are inputs, not forecasts. In the page, what is between `<!-- NAME -->` and `<!-- /NAME -->` is replaced.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import growth
from benchmarks.market_round import AGGREGATOR_PARTS, OTHER_PARTS, TRAINER_PARTS
from benchmarks.records import Record, read

Row = Sequence[object]
ROUND_GAS = ("commit_round", "settle", "publish")
_GUIDE_SLOTS, _GUIDE_BITS = 10, 8
_PROJECTED_DIMS = (10_000_000, 100_000_000)
_GWEI = 1e-9


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What gas costs; inputs.

    Attributes:
        l1_gwei: of a unit of gas on an L1. rollup_gwei: on a rollup.
        rollup_byte_gwei: of a byte of calldata that a rollup posts.
        ether: in units of the currency that costs are shown in.
    """

    l1_gwei: float = 2.0
    rollup_gwei: float = 0.01
    rollup_byte_gwei: float = 0.1
    ether: float = 3000.0

    def l1(self, gas: int) -> float:
        return gas * self.l1_gwei * _GWEI * self.ether

    def rollup(self, gas: int, calldata_bytes: int) -> float:
        return (gas * self.rollup_gwei + calldata_bytes * self.rollup_byte_gwei) * _GWEI * self.ether


@dataclass(frozen=True, kw_only=True)
class Table:
    """Attributes:
    name: of its place in the page. heads, rows: as shown.
    """

    name: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Row]

    def markdown(self) -> str:
        lines = ["| " + " | ".join(self.heads) + " |", "|" + "---|" * len(self.heads)]
        return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in self.rows])


def tables(records: Sequence[Record], prices: Prices) -> list[Table]:
    """Every table that the records have rows for."""
    made = [
        guide(records, prices), parts(records), matrix(records), keys(records), arguments(records), compared(records),
        dims(records), slots(records), exponents(records), projections(records),
    ]  # fmt: skip
    return [table for table in made if table.rows]


def guide(records: Sequence[Record], prices: Prices) -> Table:
    """One row a model: what a buyer asks first."""
    rows = []
    for record in _rounds(records):
        if (record["slots"], record["bits"]) != (_GUIDE_SLOTS, _GUIDE_BITS):
            continue
        gas = sum(record["gas"][step] for step in ROUND_GAS)
        data = sum(record["calldata_bytes"][step] for step in ROUND_GAS)
        rows.append((
            record["model"], f"{record['dim']:,}", _seconds(_total(record, TRAINER_PARTS)),
            _seconds(_total(record, AGGREGATOR_PARTS)), f"{record['aggregator_peak_mib']:,}", f"{gas:,}",
            f"{prices.l1(gas):,.2f}", f"{prices.rollup(gas, data):,.3f}",
        ))  # fmt: skip
    heads = (
        "model", "parameters", "a trainer, s", "the aggregator, s", "its memory, MiB", "gas a round",
        f"L1 at {prices.l1_gwei:g} gwei", f"rollup at {prices.rollup_gwei:g} gwei",
    )  # fmt: skip
    title = f"a round with {_GUIDE_SLOTS} trainers and {_GUIDE_BITS} bits"
    return Table(name="guide", title=title, heads=heads, rows=rows)


def parts(records: Sequence[Record]) -> Table:
    """Seconds of each part with the spread, and its share of all work."""
    names = (*TRAINER_PARTS, *AGGREGATOR_PARTS, *OTHER_PARTS)
    rows = [
        (r["model"], r["slots"], r["bits"], *(f"{_spread(r['seconds'][n])} ({r['share'][n]:.0%})" for n in names))
        for r in _rounds(records)
        if (r["slots"], r["bits"]) == (_GUIDE_SLOTS, _GUIDE_BITS)
    ]
    heads = ("model", "slots", "bits", *(name.replace("_", " ") for name in names))
    return Table(name="parts", title="seconds by part, and their share of everybody's work", heads=heads, rows=rows)


def matrix(records: Sequence[Record]) -> Table:
    """Every model, number of slots and width."""
    rows = []
    for r in _rounds(records):
        gas, data = r["gas"], r["calldata_bytes"]
        rows.append((
            r["model"], r["slots"], r["bits"], _seconds(_total(r, TRAINER_PARTS)),
            _spread(r["seconds"]["linear_proof"]), _spread(r["seconds"]["rule_proof"]),
            f"{gas['verify_linear']:,}", f"{gas['verify_rule']:,}", f"{gas['settle']:,}", f"{data['settle']:,}",
            f"{r['proof_bytes']['linear']:,}", f"{r['aggregator_peak_mib']:,}",
        ))  # fmt: skip
    heads = (
        "model", "slots", "bits", "a trainer, s", "linear proof, s", "rule proof, s", "linear verifier, gas",
        "rule verifier, gas", "settle, gas", "settle, calldata bytes", "linear proof, bytes", "memory, MiB",
    )  # fmt: skip
    return Table(name="matrix", title="every size", heads=heads, rows=rows)


def keys(records: Sequence[Record]) -> Table:
    """What is made once: for a rule and a number of slots, or for a domain."""
    rows = [
        (
            r["slots"], f"2^{r['logrows']}", f"{r['rows']:,}", _spread(r["seconds"]["setup"]),
            _spread(r["seconds"]["prove"]), f"{r['key_bytes']['rule_proving_key'] / 2**20:,.0f}",
            f"{r['key_bytes']['rule_vka']:,}", f"{r['proof_bytes']:,}",
        )
        for r in sorted((r for r in records if r["kind"] == "rule"), key=lambda r: r["slots"])
    ]  # fmt: skip
    heads = (
        "slots", "domain", "rows", "set-up, s", "proof, s", "proving key, MiB", "verifying key, bytes", "proof, bytes",
    )  # fmt: skip
    return Table(name="keys", title="multi_krum+projection", heads=heads, rows=rows)


def arguments(records: Sequence[Record]) -> Table:
    """The update argument of each model next to the lower bound and its last layer alone."""
    rows = []
    for r in (r for r in records if r["kind"] == "compared"):
        whole, last = r["whole"], r["last_layer"]
        prove, commit = whole["seconds"]["prove"]["median"], whole["seconds"]["commit"]["median"]
        rows.append((
            r["model"], r["slots"], f"{r['dim']:,}", _spread(whole["seconds"]["prove"]), _seconds(commit),
            f"{prove / commit:.1f}", _seconds(whole["seconds"]["read"]["median"]), f"{last['dim']:,}",
            _spread(last["seconds"]["prove"]), f"{whole['peak_mib']:,}",
        ))  # fmt: skip
    heads = (
        "model", "slots", "parameters", "prove, s", "commit all, s", "prove / commit", "read all, s",
        "last layer's parameters", "prove those, s", "memory, MiB",
    )  # fmt: skip
    return Table(name="arguments", title="the update argument, and what bounds it", heads=heads, rows=rows)


def compared(records: Sequence[Record]) -> Table:
    """The same layer as an ezkl circuit."""
    rows = []
    for r in sorted((r for r in records if r["kind"] == "ezkl"), key=lambda r: (r["bits"], r["slots"], r["logrows"])):
        same, full = r["argument"], r["full"]
        theirs, ours, best = (1e3 * each["seconds"]["prove"]["median"] / each["dim"] for each in (r, same, full))
        rows.append((
            r["slots"], f"2^{r['logrows']}", f"{r['dim']:,}", _spread(r["seconds"]["prove"]),
            _spread(same["seconds"]["prove"]), _seconds(theirs), _seconds(ours), f"{theirs / ours:,.0f}",
            f"{full['dim']:,}", _seconds(best), f"{theirs / best:,.0f}", f"{r['proof_bytes']:,}",
            f"{same['proof_bytes']:,}",
        ))  # fmt: skip
    heads = (
        "slots", "ezkl's rows", "parameters", "ezkl, s", "the argument, s", "ezkl, ms a parameter",
        "the argument, ms a parameter", "ratio", "the argument at its own size: parameters", "ms a parameter", "ratio",
        "ezkl's proof, bytes", "the argument's, bytes",
    )  # fmt: skip
    return Table(name="compared", title="the linear layer as an ezkl circuit", heads=heads, rows=rows)


def dims(records: Sequence[Record]) -> Table:
    """Growth with the model."""
    linear = growth.linearity(records)
    rows = [
        (
            f"2^{r['logrows']}", f"{r['dim']:,}", _seconds(r["seconds"]["string"]["median"]),
            _spread(r["seconds"]["commit"]), _spread(r["seconds"]["prove"]),
            f"{1e6 * r['seconds']['prove']['median'] / r['dim']:.1f}", f"{linear.get(r['logrows'], 0) or '':.3}",
            f"{r['peak_mib']:,}",
        )
        for r in growth.by_dim(records)
    ]  # fmt: skip
    heads = (
        "rows",
        "parameters",
        "string, s",
        "commit all, s",
        "prove, s",
        "µs a parameter",
        "of that at 2^20",
        "memory, MiB",
    )
    return Table(name="dims", title="4 slots, 8 bits", heads=heads, rows=rows)


def slots(records: Sequence[Record]) -> Table:
    """Growth with the trainers."""
    rows = [
        (
            r["slots"], _spread(r["seconds"]["prove"]), _seconds(r["seconds"]["prove"]["median"] / r["slots"]),
            f"{r['peak_mib']:,}", f"{r['proof_bytes']:,}",
        )
        for r in growth.by_slots(records)
    ]  # fmt: skip
    heads = ("slots", "prove, s", "a slot, s", "memory, MiB", "proof, bytes")
    return Table(name="slots", title="2^14 rows, 8 bits", heads=heads, rows=rows)


def exponents(records: Sequence[Record]) -> Table:
    """Fitted to the two tables above."""
    rows = [(name, f"{value:.2f}") for name, value in growth.exponents(records).items()]
    return Table(name="exponents", title="fitted exponents", heads=("grows as", "exponent"), rows=rows)


def projections(records: Sequence[Record]) -> Table:
    """Not measured."""
    rows = [
        (
            f"{p.dim:,}", p.slots, f"2^{p.logrows}", f"{p.prove_seconds / 60:,.0f}", f"{p.peak_gib:,.0f}",
            "yes" if p.string_exists else "no: the ceremony ends at 2^26",
        )
        for count in (4, 10)
        for p in growth.project(records, _PROJECTED_DIMS, slots=count)
    ]  # fmt: skip
    heads = ("parameters", "slots", "rows", "prove, minutes", "memory, GiB", "string of that size")
    return Table(name="projections", title="projections, not measured", heads=heads, rows=rows)


def draw(records: Sequence[Record], path: Path) -> None:
    """Time by part of each model, and growth with the model."""
    import matplotlib as mpl  # noqa: PLC0415  (seconds to load)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    rounds = [r for r in _rounds(records) if (r["slots"], r["bits"]) == (_GUIDE_SLOTS, _GUIDE_BITS)]
    starts = [0.0] * len(rounds)
    for part in (*TRAINER_PARTS, *AGGREGATOR_PARTS):
        widths = [r["seconds"][part]["median"] for r in rounds]
        left.barh([r["model"] for r in rounds], widths, left=starts, label=part.replace("_", " "))
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    left.set(xlabel="seconds", title=f"a round: one trainer, then the aggregator ({_GUIDE_SLOTS} slots)")
    left.legend(fontsize="small")
    line = growth.by_dim(records)
    sizes = [r["dim"] for r in line]
    right.loglog(sizes, [r["seconds"]["prove"]["median"] for r in line], "o-", label="prove, s")
    right.loglog(sizes, [r["seconds"]["commit"]["median"] for r in line], "s-", label="commit all, s")
    right.loglog(sizes, [r["peak_mib"] / 1024 for r in line], "^-", label="peak memory, GiB")
    right.set(xlabel="parameters", title="the update argument, 4 slots, 8 bits")
    right.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def fill(page: str, made: Sequence[Table], *, machine: str, prices: Prices) -> str:
    """The page with every table in its place."""
    contents = {table.name: table.markdown() for table in made}
    contents["machine"] = machine
    contents["prices"] = (
        f"{prices.l1_gwei:g} gwei a unit of gas on the L1; on the rollup {prices.rollup_gwei:g} gwei, and "
        f"{prices.rollup_byte_gwei:g} gwei a byte of calldata; an ether at {prices.ether:,.0f}."
    )
    for name, content in contents.items():
        place = re.compile(rf"(<!-- {name} -->\n)(?:.*?\n)?(<!-- /{name} -->)", re.DOTALL)
        page = place.sub(lambda found, text=content: f"{found[1]}{text}\n{found[2]}", page)  # type: ignore[misc]
    return page


def machines(records: Sequence[Record]) -> str:
    """Where and with what the records were measured, and how busy it was."""
    lines = []
    for fixed in {tuple((k, v) for k, v in r["machine"].items() if k != "load") for r in records}:
        loads = [r["machine"]["load"] for r in records if fixed == _fixed(r)]
        facts = dict(fixed)
        versions = ", ".join(f"{k} {v}" for k, v in facts.items() if k not in ("cpu", "cores", "memory_gib"))
        lines.append(
            f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB; {versions}; "
            f"{len(loads)} measurements, load average {min(loads):g} to {max(loads):g}."
        )
    return "\n".join(sorted(lines))


def _fixed(record: Record) -> tuple[tuple[str, object], ...]:
    return tuple((k, v) for k, v in record["machine"].items() if k != "load")


def _rounds(records: Sequence[Record]) -> list[Record]:
    rounds = [record for record in records if record["kind"] == "round"]
    return sorted(rounds, key=lambda r: (r["dim"], r["model"], r["slots"], r["bits"]))


def _total(record: Record, names: Sequence[str]) -> float:
    return sum(float(record["seconds"][name]["median"]) for name in names)


def _spread(found: Record) -> str:
    """Median, and extremes where there are several runs."""
    if found["runs"] == 1:
        return f"{_seconds(found['median'])}"
    return f"{_seconds(found['median'])} [{_seconds(found['low'])}, {_seconds(found['high'])}]"


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--docs", type=Path, help="a page whose tables are replaced")
    parser.add_argument("--png", type=Path)
    for name in ("l1_gwei", "rollup_gwei", "rollup_byte_gwei", "ether"):
        parser.add_argument("--" + name.replace("_", "-"), type=float, default=getattr(Prices, name))
    args = parser.parse_args()
    records = [record for path in args.results for record in read(path)]
    prices = Prices(**{name: getattr(args, name) for name in ("l1_gwei", "rollup_gwei", "rollup_byte_gwei", "ether")})
    made = tables(records, prices)
    if args.docs:
        page = fill(args.docs.read_text(), made, machine=machines(records), prices=prices)
        args.docs.write_text(page)
    else:
        print("\n\n".join(f"### {table.title}\n\n{table.markdown()}" for table in made))
    if args.png:
        draw(records, args.png)


if __name__ == "__main__":
    main()
