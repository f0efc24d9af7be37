"""Which tasks this operator takes on. A task may be sound, and still not worth its bond.

Anyone can name this aggregator in a task: a settle window of a second would take its bond, an unusual token its time.
"""

from aggregator.config import AggregatorConfig
from contracts.bindings import NATIVE, TaskConfig
from protocol.terms import UnacceptableTerms


def check_policy(terms: TaskConfig, config: AggregatorConfig) -> None:
    """UnacceptableTerms, naming the field, unless the terms are within the operator's limits."""
    if terms.token != NATIVE:
        raise UnacceptableTerms("token", terms.token, "this aggregator posts bonds in the native currency only")
    _at_least("settle_window_seconds", terms.settle_window_seconds, config.min_settle_window_seconds)
    _at_least("commit_window_seconds", terms.commit_window_seconds, config.min_commit_window_seconds)
    _at_least("reward_per_round_wei", terms.reward_per_round_wei, config.min_reward_per_round_wei)
    _at_most("bond_wei", terms.bond_wei, config.max_bond_wei)
    _at_most("k", terms.k, config.max_logrows)


def _at_least(field: str, value: int, minimum: int) -> None:
    if value < minimum:
        raise UnacceptableTerms(field, value, f"this aggregator asks for at least {minimum}")


def _at_most(field: str, value: int, maximum: int | None) -> None:
    if maximum is not None and value > maximum:
        raise UnacceptableTerms(field, value, f"this aggregator takes at most {maximum}")
