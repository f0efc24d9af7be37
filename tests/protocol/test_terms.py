"""Terms: what an honest task has is derived, and anything else is refused by the name of its field."""

from dataclasses import replace

import pytest

from circuits import rules
from circuits.bn254 import GENERATOR, SCALAR_MODULUS, G1Point
from circuits.commitment import commit, empty_column
from circuits.errors import SrsError
from contracts.bindings import Anchor, ValueOutOfRange, artifacts
from contracts.bindings.allowlist import proof_of, root_of
from contracts.bindings.deploy import create
from protocol.terms import (
    UnacceptableTerms,
    anchor_of,
    check_genesis,
    check_membership,
    check_terms,
    open_model,
    statement_of,
)
from store.cid import cid_of
from store.objects import encode_model
from tests.stage import STATEMENT, Stage


def test_honest_terms_are_accepted(stage: Stage) -> None:
    derived = check_terms(stage.task_config(), stage.chain, stage.prover)
    assert derived.statement == STATEMENT
    assert derived.empty_column == commit(empty_column(STATEMENT.dim, STATEMENT.fmt), stage.srs)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("update_key", b"\1" * 32, "update_key"),
        ("anchor", Anchor.REFERENCE, "anchor"),
        ("rule_vka", b"\1" * 32, "rule_vka"),
        ("empty_column", tuple(GENERATOR), "empty_column"),
        ("quorum", 4, "quorum"),
        ("rule_name", "mean+projection", "rule_name"),
        ("rule_name", "multi_krum", "rule_name"),
        ("rule_params", (), "rule_params"),
        ("rule_params", (1, 2), "rule_params"),
        ("rule_params", (1 << 40,), "rule_params[f]"),
        ("rule_params", (SCALAR_MODULUS - 1,), "rule_params[f]"),
        ("slots", 33, "slots"),
        ("bits", 5, "bits"),
        ("fractional_bits", 64, "fraction_bits"),
        ("dim", 10**6, "dim"),
        ("k", 30, "k"),
        ("target_norm", 20 * 8**2, "target_norm"),
        ("patience", 1, "learning_rate"),
    ],
)
def test_other_terms_are_refused(field: str, value: object, named: str, stage: Stage) -> None:
    config = replace(stage.task_config(), **{field: value})  # type: ignore[arg-type]
    with pytest.raises(UnacceptableTerms) as caught:
        check_terms(config, stage.chain, stage.prover)
    assert caught.value.field == named


def test_a_pace_that_means_to_train_is_accepted(stage: Stage) -> None:
    config = stage.task_config(target_norm=20 * 8**2 - 1, patience=1, learning_rate=1)
    assert check_terms(config, stage.chain, stage.prover).statement == STATEMENT


def test_joining_takes_what_the_trainer_agreed_to(stage: Stage) -> None:
    names = [trainer.address for trainer in stage.trainers[:3]]
    listed = stage.task_config(allow_root=root_of(names), stake_wei=5)
    member = {"account": names[1], "allowed": names, "max_stake_wei": 5}
    assert check_membership(listed, **member) == list(proof_of(names, names[1]))  # type: ignore[arg-type]
    open_to_all = {"account": names[1], "allowed": [], "max_stake_wei": 0}
    assert check_membership(stage.task_config(), **open_to_all) == []  # type: ignore[arg-type]
    paid = stage.task_config(allow_root=root_of(names), stake_wei=5, token=stage.outsider.address)
    in_token = member | {"stake_token": stage.outsider.address.lower()}
    assert check_membership(paid, **in_token) == list(proof_of(names, names[1]))  # type: ignore[arg-type]
    for terms, change, field in (
        (listed, {"max_stake_wei": 4}, "stake_wei"),
        (listed, in_token, "token"),
        (paid, {}, "token"),
        (listed, {"allowed": []}, "allow_root"),
        (listed, {"allowed": names[:2]}, "allow_root"),
        (stage.task_config(), {}, "allow_root"),
    ):
        with pytest.raises(UnacceptableTerms) as caught:
            check_membership(terms, **(member | change))  # type: ignore[arg-type]
        assert caught.value.field == field
    with pytest.raises(ValueOutOfRange, match="on the list"):
        check_membership(listed, **(member | {"account": stage.outsider.address}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule_name", "words", "anchor"),
    [
        ("aligned+projection", (), Anchor.REFERENCE),
        ("none+shapley_reference", (), Anchor.REFERENCE),
        ("cross_round+equal", (SCALAR_MODULUS - 30, 2), Anchor.PREVIOUS_SUM),
    ],
)
def test_the_anchor_is_the_rules(rule_name: str, words: tuple[int, ...], anchor: Anchor, stage: Stage) -> None:
    config = stage.task_config(rule_name=rule_name, rule_params=words)
    assert anchor_of(statement_of(config)) == anchor
    for other in set(Anchor) - {anchor}:
        with pytest.raises(UnacceptableTerms) as caught:
            check_terms(replace(config, anchor=other), stage.chain, stage.prover)
        assert caught.value.field == "anchor"


@pytest.mark.parametrize("outlier", [n for n, rule in rules.OUTLIER_RULES.items() if rule.anchor is rules.Anchor.NONE])
@pytest.mark.parametrize("end", ["low", "high"])
def test_parameters_come_back_from_the_chains_words(outlier: str, end: str, stage: Stage) -> None:
    params = {p.name: getattr(p, end) for p in rules.OUTLIER_RULES[outlier].parameters}
    statement = replace(STATEMENT, outlier=outlier, rule_params=params)
    config = stage.task_config(rule_name=statement.rule.name, rule_params=statement.rule_param_words)
    assert statement_of(config) == statement


def test_rounds_must_fit_the_models_integers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("circuits.model.MAX_MODEL_BITS", 11)
    with pytest.raises(UnacceptableTerms) as caught:
        check_terms(stage.task_config(rounds=3), stage.chain, stage.prover)
    assert caught.value.field == "rounds"


@pytest.mark.parametrize(
    ("change", "field"),
    [({"slots": 5, "quorum": 5}, "rule_vka"), ({"dim": 21}, "update_key"), ({"bits": 8}, "update_key")],
)
def test_keys_of_another_statement_do_not_fit(change: dict[str, int], field: str, stage: Stage) -> None:
    with pytest.raises(UnacceptableTerms) as caught:
        check_terms(replace(stage.task_config(), **change), stage.chain, stage.prover)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_size_limit_comes_before_any_work(stage: Stage) -> None:
    with pytest.raises(UnacceptableTerms) as caught:
        check_terms(stage.task_config(), stage.chain, prover=None, max_logrows=9)  # type: ignore[arg-type]
    assert caught.value.field == "k"


def test_verifier_must_be_the_pinned_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(UnacceptableTerms) as caught:
        check_terms(stage.task_config(), stage.chain, stage.prover)
    assert caught.value.field == "verifier"
    pinned, _ = create(stage.chain, stage.owner, artifacts.verifier())
    check_terms(stage.task_config(verifier=pinned), stage.chain, stage.prover)


def test_test_only_string_is_refused_on_other_chains(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.bindings.Chain.is_local", False)
    with pytest.raises(SrsError):
        check_terms(stage.task_config(), stage.chain, stage.prover)


def test_genesis_is_bytes_and_commitment(stage: Stage) -> None:
    config = stage.task_config()
    opened = check_genesis(stage.genesis_data, config, stage.srs)
    assert (opened.values == stage.genesis.values).all()
    with pytest.raises(UnacceptableTerms) as caught:
        check_genesis(stage.genesis_data + b"x", config, stage.srs)
    assert caught.value.field == "genesis_cid"
    with pytest.raises(UnacceptableTerms) as caught:
        check_genesis(stage.genesis_data, replace(config, genesis=tuple(GENERATOR)), stage.srs)
    assert caught.value.field == "genesis"


def test_model_must_open_the_commitment(stage: Stage) -> None:
    other = encode_model(stage.draw(1))
    with pytest.raises(UnacceptableTerms) as caught:
        open_model(other, STATEMENT.dim, commit(stage.genesis, stage.srs), stage.srs)
    assert caught.value.field == "model"
    with pytest.raises(UnacceptableTerms):
        open_model(b"no model", STATEMENT.dim, G1Point(1, 2), stage.srs)


def test_a_model_with_another_tail_is_another_model(stage: Stage) -> None:
    """The tail counts the updates that a model is made of: without it, a scaled model could open a commitment."""
    other = replace(stage.genesis, tail=stage.genesis.tail + 1)
    with pytest.raises(UnacceptableTerms):
        open_model(encode_model(other), STATEMENT.dim, commit(stage.genesis, stage.srs), stage.srs)


def test_unusable_genesis_cid_is_shown_in_hex(stage: Stage) -> None:
    config = replace(stage.task_config(), genesis_cid=b"\0\1")
    with pytest.raises(UnacceptableTerms, match="0001"):
        check_genesis(stage.genesis_data, config, stage.srs)
    assert cid_of(stage.genesis_data) == stage.task_config().genesis_cid


def test_statement_is_read_off_the_terms(stage: Stage) -> None:
    assert statement_of(stage.task_config()) == STATEMENT
