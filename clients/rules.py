"""`merit rules`: what each rule does, takes and costs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from circuits import rules
from circuits.errors import FieldError
from circuits.rules import ContributionRule, OutlierRule, Rule, largest_dim

SLOTS = (8, 16, 32)
BITS = (8, 16)

Part = OutlierRule | ContributionRule


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a rule takes at a number of slots.

    Attributes:
        logrows: log2 of the circuit's rows.
        rows: an upper bound of those that are used.
        largest_dim: the largest model by bits of an entry, for which nothing can overflow.
    """

    slots: int
    logrows: int
    rows: int
    largest_dim: Mapping[int, int]


def print_rules(console: Console, as_json: bool) -> None:
    """All rules, a line each."""
    kinds: dict[str, list[Part]] = {
        "outlier": list(rules.OUTLIER_RULES.values()),
        "contribution": list(rules.CONTRIBUTION_RULES.values()),
    }
    if as_json:
        print(json.dumps({kind: [_facts(part) for part in parts] for kind, parts in kinds.items()}, indent=2))
        return
    for kind, parts in kinds.items():
        table = Table("rule", "formula", "parameters", "slot 0", title=f"{kind} rules", title_justify="left")
        for part in parts:
            names = ", ".join(parameter.name for parameter in getattr(part, "parameters", ()))
            table.add_row(part.name, escape(part.formula), names, part.anchor.value)
        console.print(table)


def print_rule(console: Console, name: str, as_json: bool) -> None:
    """One rule, or a combination of two.

    Raises:
        FieldError: there is no such rule, or the two do not go together.
    """
    rule = _rule(name)
    parts = [part for part in (rule.outlier, rule.contribution) if part.name in name.split("+")]
    sizes = [_size(rule, slots) for slots in SLOTS]
    if as_json:
        print(json.dumps({"parts": [_facts(p) for p in parts], "sizes": [asdict(s) for s in sizes]}, indent=2))
        return
    for part in parts:
        facts = _facts(part)
        lines = [part.name, *(f"  {key}: {facts[key]}" for key in ("formula", "source", "slot_0"))]
        for parameter in facts["parameters"]:
            bounds = f"[{parameter['low']}, {parameter['high']}]"
            lines.append(f"  {parameter['name']} in {bounds}: {parameter['meaning']}")
        console.print("\n".join(lines), highlight=False, markup=False)
    table = Table("slots", "rows", "of", *(f"largest model, {bits} bits" for bits in BITS), title=f"as {rule.name}")
    for size in sizes:
        dims = [f"{size.largest_dim[bits]:,}" for bits in BITS]
        table.add_row(str(size.slots), f"{size.rows:,}", f"2^{size.logrows}", *dims)
    console.print(table)


def _rule(name: str) -> Rule:
    """The combination of that name; a single rule stands beside the cheapest of the other kind."""
    if "+" in name:
        outlier, _, contribution = name.partition("+")
        return rules.load(outlier, contribution)
    if name in rules.CONTRIBUTION_RULES:
        return rules.load("none", name)
    if name in rules.OUTLIER_RULES:
        return rules.load(name, "equal")
    raise FieldError("rule", repr(name), f"it must be one of {[*rules.OUTLIER_RULES, *rules.CONTRIBUTION_RULES]}")


def _size(rule: Rule, slots: int) -> Size:
    settings = rule.settings(slots)
    return Size(
        slots=slots,
        logrows=settings.logrows,
        rows=rule.rows(slots, settings.decomposition_legs),
        largest_dim={bits: largest_dim(rule, slots, bits) for bits in BITS},
    )


def _facts(part: Part) -> dict[str, Any]:
    parameters: Sequence[Any] = getattr(part, "parameters", ())
    return {
        "name": part.name,
        "formula": part.formula,
        "source": part.source,
        "slot_0": part.anchor.value,
        "parameters": [asdict(parameter) for parameter in parameters],
    }
