"""What the market asks the rule's verifier is what the statement says, for every combination, word by word.

The verifier here accepts one proof of each statement: the hash of its instances. All else is the market as deployed:
it works out the active bits from its own record, and takes parameters from the task, and Gram integers, accept and
scores from the settlement.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits import rules
from circuits.fixedpoint import FixedPoint
from circuits.linear.gram import padded, upper_triangle
from circuits.proof import to_field
from circuits.rules import Rule
from circuits.statement import Statement
from contracts.bindings import (
    NOBODY,
    Anchor,
    Point,
    ProofTerms,
    Settlement,
    Submission,
    UpdateCommitment,
    artifacts,
    cid_digest,
    market_errors,
)
from contracts.bindings.deploy import create
from contracts.bindings.devchain import anvil_chain
from contracts.bindings.eip712 import sign_update
from contracts.bindings.market import settlement_tuple
from protocol.terms import anchor_of
from tests.circuits.strategies import rounds
from tests.contracts.conftest import RULE_VKA, UPDATE_KEY, World, build_world, point

pytestmark = pytest.mark.slow

SLOTS, FEWEST = 6, 3
COMBINATIONS = rules.combinations()
CID = b"\x01\x55cid"


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A committed round of a rule's task, and a settlement of it that says nothing yet."""

    task_id: int
    statement: Statement
    filled: int
    blank: Settlement


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with anvil_chain() as local:
        built = build_world(*local)
        stated, _ = create(built.chain, built.owner, artifacts.forge("StatedVerifier", "Verifiers"))
        yield replace(built, verifier=stated)


@pytest.mark.parametrize("rule", COMBINATIONS, ids=lambda rule: rule.name)
def test_the_market_asks_about_the_statements_instances(world: World, rule: Rule) -> None:
    """Fewest and most trainers, parameters at both ends of their ranges."""
    ends = [_committed(world, rule, "low", FEWEST), _committed(world, rule, "high", SLOTS)]

    @settings(max_examples=8)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        case = data.draw(st.sampled_from(ends))
        statement, filled = case.statement, case.filled
        drawn = data.draw(rounds(filled, least=filled, anchor=rule.anchor))
        gram, active = padded(drawn.gram, SLOTS), statement.active_bits(filled)
        accept, score = rule.reference(gram, active, **statement.rule_params)
        inputs = statement.rule_circuit.inputs(upper_triangle(gram), active, statement.rule_param_list)
        instances = [x for vector in inputs for x in vector] + accept + score
        given_ = replace(
            case.blank, gram=tuple(upper_triangle(drawn.gram)), accept=tuple(map(bool, accept)), scores=tuple(score)
        )
        _settles(world, case.task_id, given_, instances)
        at = data.draw(st.integers(0, len(instances) - 1))
        instances[at] += data.draw(st.sampled_from([-1, 1]))
        with pytest.raises(market_errors.ProofRejected):
            _settles(world, case.task_id, given_, instances)

    check()


def _settles(world: World, task_id: int, given: Settlement, instances: list[int]) -> None:
    """What a settlement would do whose rule proof is about these instances."""
    words = b"".join(to_field(value).to_bytes(32, "big") for value in instances)
    stated = settlement_tuple(replace(given, rule_proof=keccak(words)))
    world.chain.read(world.market._fn.settleRound(task_id, 0, stated), sender=world.anyone.address)


def _committed(world: World, rule: Rule, end: str, filled: int) -> Committed:
    params = {parameter.name: getattr(parameter, end) for parameter in rule.params_schema}
    statement = Statement(
        slots=SLOTS,
        dim=650,
        fmt=FixedPoint(bits=8, fraction_bits=8),
        outlier=rule.outlier.name,
        contribution=rule.contribution.name,
        rule_params={**params, "f": int(end == "high")} if "f" in params else params,
    )
    filled += statement.anchors if filled < SLOTS else 0
    anchor = anchor_of(statement)
    config = world.config(
        slots=SLOTS, quorum=1, anchor=anchor, rule_params=statement.rule_param_words, rule_name=rule.name
    )
    task_id = world.market.create_task(world.owner, config)
    world.market.post_bond(world.aggregator, task_id)
    people: list[Any] = list(world.trainers[: filled - statement.anchors])
    for trainer in people:
        world.market.join(trainer, task_id)
    if anchor is not Anchor.NONE:
        people = [world.owner if anchor is Anchor.REFERENCE else None, *people]
    rows = [_submission(world, task_id, who, i, Point(*config.empty_column)) for i, who in enumerate(people)]
    world.market.commit_round(world.aggregator, task_id, 0, rows)
    blank = Settlement(
        trainers=tuple(row.trainer for row in rows),
        points=tuple(row.point for row in rows),
        gram=(),
        accept=(),
        scores=(),
        update_proof=b"update",
        update_key=UPDATE_KEY,
        rule_proof=b"",
        rule_vka=RULE_VKA,
        terms=ProofTerms.of(config),
    )
    return Committed(task_id=task_id, statement=statement, filled=filled, blank=blank)


def _submission(world: World, task_id: int, who: LocalAccount | None, index: int, empty: Point) -> Submission:
    """A signed commitment; nobody's is the empty column."""
    if who is None:
        return Submission(trainer=NOBODY, point=empty, cid=CID, signature=b"")
    committed = point(100 + index)
    message = UpdateCommitment(
        task_id=task_id, round=0, point_x=committed.x, point_y=committed.y, cid_digest=cid_digest(CID)
    )
    signature = sign_update(who, world.market.domain, message)
    return Submission(trainer=who.address, point=committed, cid=CID, signature=signature)
