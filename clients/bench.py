"""`merit bench`: what a round of a real model costs, as a table or JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from benchmarks.models import MODELS, dim_of
from benchmarks.update_argument import as_json as document
from benchmarks.update_argument import compare, measure
from circuits.errors import FieldError
from circuits.fixedpoint import FixedPoint


def run_bench(
    models: Sequence[str], slots: int, bits: int, ezkl_dim: int | None, console: Console, as_json: bool
) -> None:
    """Measures and prints.

    Raises:
        FieldError: an unknown model or width.
    """
    FixedPoint(bits=bits, fraction_bits=0)
    for name in models:
        if name not in MODELS:
            raise FieldError("models", name, f"it must be one of {sorted(MODELS)}")
    dims = {name: dim_of(name) for name in models}
    lines = measure(dims, slots=slots, bits=bits, tell=console.print)
    ezkl = compare(lines, dim=ezkl_dim, slots=slots, bits=bits, tell=console.print) if ezkl_dim else None
    if as_json:
        print(json.dumps(document(lines, ezkl), indent=2))
        return
    table = Table(*(name.replace("_", " ") for name in asdict(lines[0])))
    for line in lines:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in asdict(line).values()))
    Console().print(table)
    if ezkl:
        print(f"ezkl's circuit at dim {ezkl.dim:,}: {ezkl.prove_seconds} s, {ezkl.proof_bytes:,} bytes")
        for name, ratio in ezkl.ratio.items():
            print(f"time a parameter, ezkl over {name}: {ratio:,}")
