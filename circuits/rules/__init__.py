"""The rule layer: from the Gram matrix to who is accepted and what each contributed. One rule a file."""

from circuits.errors import FieldError
from circuits.rules.base import Anchor, ContributionRule, OutlierRule, Rule, RuleCircuit
from circuits.rules.multi_krum import MultiKrum
from circuits.rules.projection import Projection

OUTLIER_RULES: dict[str, OutlierRule] = {rule.name: rule for rule in (MultiKrum(),)}
CONTRIBUTION_RULES: dict[str, ContributionRule] = {rule.name: rule for rule in (Projection(),)}


def load(outlier: str, contribution: str) -> Rule:
    """The rule that removes outliers by `outlier` and scores by `contribution` (FieldError for unknown names)."""
    for field, name, known in (
        ("outlier", outlier, OUTLIER_RULES),
        ("contribution", contribution, CONTRIBUTION_RULES),
    ):
        if name not in known:
            raise FieldError(field, repr(name), f"it must be one of {sorted(known)}")
    return Rule(OUTLIER_RULES[outlier], CONTRIBUTION_RULES[contribution])


__all__ = ["CONTRIBUTION_RULES", "OUTLIER_RULES", "Anchor", "Rule", "RuleCircuit", "load"]
