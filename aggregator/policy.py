"""Which tasks this operator takes on. A task may be sound, and still not worth its bond.

Anyone can name this aggregator in a task: a settle window of a second would take its bond, an unusual token its time.
"""

from aggregator.config import AggregatorConfig
from aggregator.errors import JobTooLarge
from aggregator.jobs import Jobs
from aggregator.jobs.job import linear_memory_bytes, rule_memory_bytes
from contracts.bindings import NATIVE, TaskConfig
from protocol import last_model
from protocol.terms import UnacceptableTerms, statement_of


def check_policy(terms: TaskConfig, config: AggregatorConfig, *, is_bonded: bool = False) -> None:
    """UnacceptableTerms, naming the field, unless the terms are within the operator's limits.

    Args:
        is_bonded: the task was taken on before, so limits that have changed since must not cost its bond.
    """
    if last_model.is_asked(terms) and config.key_board is None:
        raise UnacceptableTerms("rule_name", terms.rule_name, "without a key_board this aggregator seals no last model")
    if is_bonded:
        return
    if terms.token not in (NATIVE, *config.tokens):
        taken = ", ".join(("the native currency", *config.tokens))
        raise UnacceptableTerms("token", terms.token, f"this aggregator posts bonds in {taken}")
    _at_least("settle_window_seconds", terms.settle_window_seconds, config.min_settle_window_seconds)
    _at_least("commit_window_seconds", terms.commit_window_seconds, config.min_commit_window_seconds)
    _at_least("reward_per_round_wei", terms.reward_per_round_wei, config.min_reward_per_round_wei)
    _at_most("bond_wei", terms.bond_wei, config.max_bond_wei)
    _at_most("k", terms.k, config.max_logrows)


def check_memory(terms: TaskConfig, jobs: Jobs) -> None:
    """UnacceptableTerms, naming the field, if a proof of a full round would fit no machine that proves here."""
    statement = statement_of(terms)
    needs = {
        "k": linear_memory_bytes(logrows=statement.logrows, columns=statement.slots, fmt=statement.fmt),
        "slots": rule_memory_bytes(statement.rule_circuit.settings.logrows),
    }
    for field, need_bytes in needs.items():
        try:
            jobs.require_fits(need_bytes)
        except JobTooLarge as error:
            raise UnacceptableTerms(field, getattr(terms, field), str(error)) from error


def _at_least(field: str, value: int, minimum: int) -> None:
    if value < minimum:
        raise UnacceptableTerms(field, value, f"this aggregator asks for at least {minimum}")


def _at_most(field: str, value: int, maximum: int | None) -> None:
    if maximum is not None and value > maximum:
        raise UnacceptableTerms(field, value, f"this aggregator takes at most {maximum}")
