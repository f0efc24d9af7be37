"""`merit bench`: what it costs to run the market for a model, end to end and part by part."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import growth, market_round, models, profiling, quick, rule_keys, tables
from benchmarks.models import MODELS
from benchmarks.records import Record, Results
from benchmarks.update_argument import Size, measure_ezkl
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint
from circuits.prover import Prover

EZKL_LOGROWS = (15, 18)
"""Sizes of ezkl's circuit; the largest takes half a minute to prove, and 2 GB."""
FULL_LOGROWS = 16
"""Of the update argument that a parameter's time is compared at: its own time hardly changes from there on."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is measured.

    Attributes:
        models: in MODELS, or pkg.mod:factory; empty for all of MODELS.
        slots, bits: every combination of them is measured.
        runs: rounds and proofs of which medians are taken.
        compare: also the alternatives.
        growth: also growth with slots, and with dim up to 2^growth rows.
    """

    models: Sequence[str] = ()
    slots: Sequence[int] = (10,)
    bits: Sequence[int] = (8,)
    runs: int = 3
    compare: bool = False
    growth: int | None = None

    def __post_init__(self) -> None:
        for slots in self.slots:
            if not 4 <= slots <= 32:
                raise FieldError("slots", slots, "it must lie in [4, 32]: an argument is about at most 32 columns")
        for bits in self.bits:
            FixedPoint(bits=bits, fraction_bits=0)
        if self.runs < 1:
            raise FieldError("runs", self.runs, "it must be positive")
        if self.growth is not None and self.growth not in growth.LOGROWS:
            limit = f"it must lie in [{growth.LOGROWS[0]}, {growth.LOGROWS[-1]}]"
            raise FieldError("growth", self.growth, limit)


def run_bench(
    selection: Selection, console: Console, *, results: Path | None, resume: bool, out: Path | None, as_json: bool
) -> None:
    """Measures what is not in the results yet, prints tables, and writes Markdown and a picture into `out`.

    Raises:
        FieldError: an unknown model.
    """
    kept = Results(results, resume=resume)
    sized = [models.load(name) for name in selection.models or MODELS]
    with Prover() as prover:
        for bits in selection.bits:
            for slots in selection.slots:
                for model in sized:
                    _model(kept, prover, model, slots, bits, selection, console)
                for logrows in EZKL_LOGROWS if selection.compare else ():
                    _ezkl(kept, prover, slots, bits, logrows, selection.runs, console)
        if selection.growth is not None:
            sizes = [k for k in growth.LOGROWS if k <= selection.growth]
            growth.measure_growth(kept, runs=selection.runs, logrows=sizes, tell=console.print)
    _show(kept, console, out, as_json)


def run_quick(console: Console, *, accept: bool, as_json: bool) -> None:
    """Compares what does not depend on the machine with the baseline; times are printed and compared with nothing.

    Raises:
        FiguresChanged: naming each figure.
    """
    with Prover() as prover:
        found, round = quick.figures(prover, console.print)
    for part, seconds in round["seconds"].items():
        console.print(f"{part}: {seconds['median']} s")
    if as_json:
        print(json.dumps(found, indent=2))
    if accept:
        quick.accept(found)
    else:
        quick.check(found)
        console.print(f"{len(found)} figures are the baseline's")


def run_profile(name: str, slots: int, bits: int, console: Console, *, as_json: bool) -> None:
    """Where the time of a round goes."""
    statement = market_round.statement_of(models.load(name), slots=slots, bits=bits)
    with Prover() as prover:
        found = profiling.profile(prover, statement)
    if as_json:
        print(json.dumps({"model": name, "slots": slots, "bits": bits, **profiling.as_record(found)}, indent=2))
        return
    for title, costs in (("Python, own time", found.python), ("in merit_native's prove", found.native)):
        table = Table("where", "seconds", "share", title=f"{name}, {slots} slots, {bits} bits: {title}")
        for cost in costs:
            table.add_row(cost.where, f"{cost.seconds:.3f}", f"{cost.share:.1%}")
        Console().print(table)


def _model(
    kept: Results, prover: Prover, model: models.Sized, slots: int, bits: int, selection: Selection, console: Console
) -> None:
    console.print(f"{model.name}: {slots} x {model.dim:,} x {bits} bits")
    rule = market_round.statement_of(model, slots=slots, bits=bits).rule_circuit
    what = {"kind": "rule", "rule": rule.rule.name, "slots": slots}
    kept.once(what, lambda: rule_keys.measure(rule, runs=selection.runs))
    what = {"kind": "round", "model": model.name, "dim": model.dim, "slots": slots, "bits": bits}
    kept.once(what, lambda: market_round.measure(prover, model, slots=slots, bits=bits, runs=selection.runs))
    if selection.compare:
        whole = Size(dim=model.dim, slots=slots, bits=bits)
        last = Size(dim=model.last_layer, slots=slots, bits=bits)
        kept.once(
            {**what, "kind": "compared"},
            lambda: {
                "whole": growth.argument(kept, whole, runs=selection.runs),
                "last_layer": growth.argument(kept, last, runs=selection.runs),
            },
        )


def _ezkl(kept: Results, prover: Prover, slots: int, bits: int, logrows: int, runs: int, console: Console) -> None:
    """The linear layer as ezkl's circuit, next to the argument at that size and at one of its own."""
    console.print(f"ezkl's circuit of the linear layer: {slots} slots, 2^{logrows} rows")

    def measured() -> Record:
        found = measure_ezkl(prover, slots=slots, bits=bits, logrows=logrows, runs=runs)
        for name, dim in (("argument", found["dim"]), ("full", growth.full(FULL_LOGROWS))):
            found[name] = growth.argument(kept, Size(dim=dim, slots=slots, bits=bits), runs=runs)
        return found

    kept.once({"kind": "ezkl", "slots": slots, "bits": bits, "logrows": logrows}, measured)


def _show(kept: Results, console: Console, out: Path | None, as_json: bool) -> None:
    prices = tables.Prices()
    made = tables.tables(kept.all, prices)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = "\n\n".join(f"## {table.title}\n\n{table.markdown()}" for table in made)
        (out / "benchmarks.md").write_text(f"{text}\n\n{tables.machines(kept.all)}\n")
        (out / "benchmarks.json").write_text(json.dumps(kept.all, indent=2) + "\n")
        tables.draw(kept.all, out / "benchmarks.png")
        console.print(f"{out}/: benchmarks.md, benchmarks.json, benchmarks.png")
    if as_json:
        print(json.dumps(kept.all, indent=2))
        return
    for made_table in made:
        table = Table(*made_table.heads, title=made_table.title)
        for row in made_table.rows:
            table.add_row(*map(str, row))
        Console().print(table)
