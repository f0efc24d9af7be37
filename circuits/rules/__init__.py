"""The rule layer: from the Gram matrix to who is accepted and what each contributed. One rule a file."""

from circuits.errors import FieldError
from circuits.rules.aligned import Aligned
from circuits.rules.base import Anchor, ContributionRule, OutlierRule, Parameter
from circuits.rules.circuit import RuleCircuit
from circuits.rules.cross_round import CrossRound
from circuits.rules.equal import Equal
from circuits.rules.leave_one_out import LeaveOneOut, LeaveOneOutReference
from circuits.rules.mad import Mad
from circuits.rules.multi_krum import MultiKrum
from circuits.rules.none import NoRule
from circuits.rules.norm_bound import NormBound
from circuits.rules.projection import Projection
from circuits.rules.rule import Limits, Rule, largest_dim
from circuits.rules.shapley import Shapley, ShapleyReference
from circuits.rules.three_sigma import ThreeSigma

OUTLIER_RULES: dict[str, OutlierRule] = {
    rule.name: rule for rule in (NoRule(), NormBound(), MultiKrum(), Mad(), ThreeSigma(), Aligned(), CrossRound())
}
CONTRIBUTION_RULES: dict[str, ContributionRule] = {
    rule.name: rule
    for rule in (Equal(), Projection(), Shapley(), ShapleyReference(), LeaveOneOut(), LeaveOneOutReference())
}


def load(outlier: str, contribution: str) -> Rule:
    """The rule that removes outliers by `outlier` and scores by `contribution`.

    Raises:
        FieldError: an unknown name, or two rules that need different anchors in slot 0.
    """
    for field, name, known in (
        ("outlier", outlier, OUTLIER_RULES),
        ("contribution", contribution, CONTRIBUTION_RULES),
    ):
        if name not in known:
            raise FieldError(field, repr(name), f"it must be one of {sorted(known)}")
    return Rule(OUTLIER_RULES[outlier], CONTRIBUTION_RULES[contribution])


def combinations() -> list[Rule]:
    """Every rule that `load` gives."""
    rules = []
    for outlier in OUTLIER_RULES.values():
        for contribution in CONTRIBUTION_RULES.values():
            if len({outlier.anchor, contribution.anchor} - {Anchor.NONE}) < 2:
                rules.append(Rule(outlier, contribution))
    return rules


__all__ = [
    "CONTRIBUTION_RULES",
    "OUTLIER_RULES",
    "Anchor",
    "ContributionRule",
    "Limits",
    "OutlierRule",
    "Parameter",
    "Rule",
    "RuleCircuit",
    "combinations",
    "largest_dim",
    "load",
]
