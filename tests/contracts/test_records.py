"""Values that do not fit never reach the chain, and are named."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.bindings import NATIVE, ProofTerms, Settlement, Submission, TaskConfig, ValueOutOfRange

ADDRESS = "0x00000000000000000000000000000000000000aa"
CONFIG = TaskConfig(
    aggregator=ADDRESS,
    reward_per_round_wei=1,
    bond_wei=1,
    rounds=2,
    quorum=3,
    slots=8,
    dim=650,
    k=11,
    fractional_bits=8,
    commit_window_seconds=60,
    settle_window_seconds=60,
    verifier=ADDRESS,
    update_key=bytes(32),
    rule_vka=bytes(32),
    genesis=(1, 2),
    empty_column=(1, 2),
    genesis_cid=b"cid",
)
SETTLEMENT = Settlement(
    trainers=(ADDRESS,),
    points=((1, 2),),
    gram=(0, 1, -1),
    accept=(True, False, True),
    scores=(1, 0, 2),
    update_proof=b"",
    update_key=(0,) * 13,
    rule_proof=b"",
    rule_vka=(bytes(32),),
    terms=ProofTerms.of(CONFIG),
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slots", 256),
        ("slots", -1),
        ("rounds", 2**32),
        ("dim", -1),
        ("reward_per_round_wei", 2**128),
        ("bond_wei", -1),
        ("rule_params", (2**256,)),
        ("genesis", (1, -2)),
        ("update_key", b""),
        ("empty_column", (2**256, 1)),
        ("rule_vka", bytes(33)),
        ("stake_wei", 2**128),
        ("target_norm", 2**96),
        ("learning_rate", 2**64),
        ("patience", 2**16),
        ("allow_root", bytes(31)),
        ("aggregator", "0x12"),
        ("verifier", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),  # checksum
        ("token", ""),
    ],
)
def test_terms(field: str, value: Any) -> None:
    with pytest.raises(ValueOutOfRange) as caught:
        replace(CONFIG, **{field: value})
    assert field in caught.value.field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trainers", ("nobody",)),
        ("points", ((2**256, 1),)),
        ("gram", (2**63,)),
        ("gram", (-(2**63) - 1,)),
        ("scores", (-1,)),
        ("scores", (2**64,)),
        ("update_key", (0,) * 12),
        ("update_key", (0,) * 12 + (2**256,)),
        ("rule_vka", (bytes(31),)),
    ],
)
def test_settlements(field: str, value: Any) -> None:
    with pytest.raises(ValueOutOfRange) as caught:
        replace(SETTLEMENT, **{field: value})
    assert caught.value.field == field


def test_submissions() -> None:
    with pytest.raises(ValueOutOfRange, match="trainer"):
        Submission(trainer="", point=(1, 2), cid=b"", signature=b"")
    with pytest.raises(ValueOutOfRange, match="point"):
        Submission(trainer=ADDRESS, point=(-1, 2), cid=b"", signature=b"")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("verifier", "0x12"),
        ("update_key", b"\1"),
        ("rule_vka", bytes(33)),
        ("rule_params", (-1,)),
    ],
)
def test_proof_terms(field: str, value: Any) -> None:
    with pytest.raises(ValueOutOfRange) as caught:
        replace(SETTLEMENT.terms, **{field: value})
    assert field in caught.value.field


def test_bits_and_totals() -> None:
    assert SETTLEMENT.accept_bits == 0b101
    assert replace(CONFIG, reward_per_round_wei=7, rounds=3).total_reward_wei == 21
    assert CONFIG.token == NATIVE
