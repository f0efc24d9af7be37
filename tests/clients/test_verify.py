"""A bundle verifies; each file of it, edited, does not."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from circuits.bn254 import FIELD_MODULUS
from circuits.model import fold
from circuits.prover import Prover
from clients.bundle import Bundle, BundleError
from clients.record import round_record, task_record
from clients.verify import verify_bundle
from contracts.bindings import KeyBoard
from contracts.bindings.devchain import embedded_chain
from protocol import last_model
from store.keywrap import Receiver
from store.objects import encode_model
from tests.scene import Scene

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scene(prover: Prover) -> Iterator[Scene]:
    with embedded_chain() as local:
        yield Scene(local, prover)


@pytest.fixture(scope="module")
def original(scene: Scene, prover: Prover, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two settled rounds of a real task."""
    bundle = Bundle(tmp_path_factory.mktemp("bundle"))
    changes = {"patience": 1, "learning_rate": 1 << 31, "target_norm": 1}
    task_id, model = scene.open_task(rounds=2, **changes), scene.genesis()
    strings = [prover.srs(k) for k in (11, 13)]
    bundle.write_task(task_record(scene.market, task_id, strings), encode_model(model), strings)
    for number in range(2):
        done = scene.committed_round(task_id, number, seed=number)
        scene.market.settle_round(scene.outsider, task_id, number, done.settlement)
        accepted = [c for c, a in zip(done.columns, done.settlement.accept, strict=False) if a]
        model = fold(model, accepted, scene.statement.slots)
        record = round_record(scene.market, task_id, number)
        bundle.write_round(record, done.linear.to_json().encode(), done.rule.to_json().encode(), encode_model(model))
    return bundle


@pytest.fixture(scope="module")
def sealed_original(scene: Scene, prover: Prover, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A task whose last model is sealed, settled and handed over in one transaction."""
    bundle = Bundle(tmp_path_factory.mktemp("sealed"))
    task_id = scene.open_task(rounds=1, rule_name=scene.statement.rule.name + "+sealed")
    strings = [prover.srs(k) for k in (11, 13)]
    bundle.write_task(task_record(scene.market, task_id, strings), encode_model(scene.genesis()), strings)
    done = scene.committed_round(task_id, 0, seed=7)
    accepted = [c for c, a in zip(done.columns, done.settlement.accept, strict=False) if a]
    plain = encode_model(fold(scene.genesis(), accepted, scene.statement.slots))
    owner = last_model.owner_key(scene.market, scene.market.task(task_id))
    sealed = last_model.seal_model(plain, owner, last_model.model_context(scene.market.domain, task_id, 1))
    board = KeyBoard(scene.chain, scene.deployment.key_board)
    board.settle_and_share(scene.aggregator, scene.market, task_id, 0, done.settlement, [sealed.share()])
    scene.market.publish_model(scene.aggregator, task_id, 0, sealed.share().cid)
    record = round_record(scene.market, task_id, 0)
    proofs = (done.linear.to_json().encode(), done.rule.to_json().encode())
    bundle.write_round(record, *proofs, plain, sealed)
    assert plain not in [path.read_bytes() for path in bundle.root.rglob("*") if path.is_file()]
    return bundle


@pytest.fixture
def sealed_bundle(sealed_original: Bundle, tmp_path: Path) -> Bundle:
    shutil.copytree(sealed_original.root, tmp_path / "copy")
    return Bundle(tmp_path / "copy")


class TestSealedLastModel:
    def test_without_the_owners_key_all_else_is_checked(self, sealed_bundle: Bundle, scene: Scene) -> None:
        report = verify_bundle(sealed_bundle, rpc_url=scene.chain.rpc_url, market=scene.market.address)
        assert report.ok, report.checks
        assert any("sealed for its owner" in note and "--key-file" in note for note in report.notes)
        assert not any("opens the commitment" in what and "model" in what for what, _ in report.checks[8:])

    def test_with_the_owners_key_it_is_opened(self, sealed_bundle: Bundle, scene: Scene) -> None:
        report = verify_bundle(sealed_bundle, account=scene.owner)
        assert report.ok, report.checks
        assert ("round 1: the sealed model opens the commitment", "") in report.checks
        assert not any("sealed" in note for note in report.notes)

    def test_anothers_key_does_not_open_it(self, sealed_bundle: Bundle, scene: Scene) -> None:
        assert failed(sealed_bundle, account=scene.aggregator) == ["round 1: the sealed model opens the commitment"]

    def test_another_model_that_is_sealed_as_well(self, sealed_bundle: Bundle, scene: Scene) -> None:
        """Whoever hands over something else, sealed as it should be, is found out by who opens it, and by the chain."""
        task = sealed_bundle.task()
        context = last_model.model_context(scene.market.domain, task.task_id, 1)
        owner = last_model.owner_key(scene.market, scene.market.task(task.task_id))
        other = last_model.seal_model(encode_model(scene.genesis()), owner, context)
        self.replace(sealed_bundle, other)
        assert failed(sealed_bundle) == []
        assert failed(sealed_bundle, account=scene.owner) == ["round 1: the sealed model opens the commitment"]
        on_chain = failed(sealed_bundle, rpc_url=scene.chain.rpc_url, market=scene.market.address)
        assert on_chain == ["round 1: the sealed model's key was handed over on the chain"]

    def test_one_that_is_sealed_for_another_task_or_somebody_else(self, sealed_bundle: Bundle, scene: Scene) -> None:
        task = sealed_bundle.task()
        owner = last_model.owner_key(scene.market, scene.market.task(task.task_id))
        for version, receiver in ((2, owner), (1, Receiver.of(scene.outsider))):
            context = last_model.model_context(scene.market.domain, task.task_id, version)
            self.replace(sealed_bundle, last_model.seal_model(encode_model(scene.genesis()), receiver, context))
            [what] = failed(sealed_bundle)
            assert what.startswith("round 1: the last model is sealed for this task and its owner")

    def test_one_that_is_not_there_or_not_sealed(self, sealed_bundle: Bundle) -> None:
        at = sealed_bundle.root / "round-1"
        (at / "model.sealed").rename(at / "model.safetensors")
        assert failed(sealed_bundle)[0].startswith("round 1: the last model is sealed")
        (at / "model.key").write_bytes(b"key")
        assert failed(sealed_bundle)[0].startswith("round 1: the last model is sealed")

    def test_the_owners_wish_is_a_term(self, sealed_bundle: Bundle, scene: Scene) -> None:
        edit(sealed_bundle, TASK, lambda c: _set(c, "seal_last_model", False))
        chain = {"rpc_url": scene.chain.rpc_url, "market": scene.market.address}
        assert "the chain's task has these terms" in failed(sealed_bundle, **chain)

    def replace(self, bundle: Bundle, sealed: last_model.SealedModel) -> None:
        (bundle.root / "round-1" / "model.sealed").write_bytes(sealed.data)
        (bundle.root / "round-1" / "model.key").write_bytes(sealed.key.to_bytes())


@pytest.fixture
def bundle(original: Bundle, tmp_path: Path) -> Bundle:
    shutil.copytree(original.root, tmp_path / "copy")
    return Bundle(tmp_path / "copy")


def failed(bundle: Bundle, **options: Any) -> list[str]:
    return [what for what, why in verify_bundle(bundle, **options).checks if why]


def test_an_honest_bundle(bundle: Bundle, scene: Scene) -> None:
    assert failed(bundle) == []
    report = verify_bundle(bundle, rpc_url=scene.chain.rpc_url, market=scene.market.address)
    assert report.ok
    # Keys (2 strings, 2 layers, empty column), genesis, count, 8 a round; then terms, 2 rounds and the model on chain.
    assert len(report.checks) == 5 + 2 + 8 * 2 + 4


def edit(bundle: Bundle, name: str, change: Callable[[dict], None]) -> None:
    path = bundle.root / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _set(content: dict, key: str, value: object) -> None:
    content[key] = value


def _at(items: list, index: int, value: object) -> None:
    items[index] = value


def _entry(key: str, change: Callable[[object], object]) -> Callable[[dict], None]:
    def apply(content: dict) -> None:
        entry = next(e for e in content["entries"] if e["accepted"])
        entry[key] = change(entry[key])

    return apply


TASK, FIRST, SECOND = "task.json", "round-1/round.json", "round-2/round.json"
LINEAR, RULE = "round-1/linear.json", "round-1/rule.json"
ZERO_DIGEST = "00" * 32


def _last_byte_zero(content: dict) -> None:
    content["proof"] = content["proof"][:-2] + "00"


EDITS = {
    "another rule parameter": (TASK, lambda c: _set(c, "rule_params", {"f": 1}), "round 1: accepted"),
    "another rule key": (TASK, lambda c: _set(c, "rule_vka", ZERO_DIGEST), "the rule's key follows"),
    "another update key": (TASK, lambda c: _set(c, "update_key", ZERO_DIGEST), "the update argument's key"),
    "another string": (TASK, lambda c: c["srs_sha256"].update({"11": ZERO_DIGEST}), "string kzg11"),
    "another chain": (TASK, lambda c: _set(c, "chain_id", 1), "round 1: Gram"),
    "another market": (TASK, lambda c: _set(c, "market", c["owner"]), "round 1: Gram"),
    "another task": (TASK, lambda c: _set(c, "task_id", c["task_id"] + 1), "round 1: Gram"),
    "a string that no digest names": (TASK, lambda c: c["srs_sha256"].pop("13"), "the rule's key follows"),
    "another empty column": (TASK, lambda c: _set(c, "empty_column", c["genesis"]), "the empty column"),
    "another genesis": (TASK, lambda c: _set(c, "genesis", c["empty_column"]), "genesis model"),
    "a larger reward": (TASK, lambda c: _set(c, "reward_per_round_wei", "2" + "0" * 18), "round 1: pay"),
    "more rounds": (TASK, lambda c: _set(c, "rounds", 97), "round 1: every commitment belongs"),
    "another patience": (TASK, lambda c: _set(c, "patience", 0), "round 2: learning rate"),
    "a target that ended it before": (TASK, lambda c: _set(c, "target_norm", "9" * 20), "round 1: learning rate"),
    "an edited norm": (SECOND, lambda c: _set(c, "norm", str(int(c["norm"]) - 1)), "round 2: learning rate"),
    "an edited learning rate": (SECOND, lambda c: _set(c, "halvings", 1 - c["halvings"]), "round 2: learning rate"),
    "an edited score": (SECOND, _entry("score", lambda s: s + 1), "round 2: accepted"),
    "edited pay": (SECOND, _entry("paid_wei", lambda p: str(int(p) + 1)), "round 2: pay"),
    "a trainer struck out": (SECOND, _entry("accepted", lambda a: False), "round 2: accepted"),
    "an entry dropped": (SECOND, lambda c: c["entries"].pop(), "round 2: Gram"),
    "entries in another order": (SECOND, lambda c: c["entries"].reverse(), "round 2: Gram"),
    "another model commitment": (FIRST, lambda c: _set(c, "model", c["entries"][0]["point"]), "round 1: model"),
    "an edited linear proof": (LINEAR, _last_byte_zero, "round 1: Gram"),
    "an edited Gram": (LINEAR, lambda c: _at(c["instances"], 0, "1"), "round 1: Gram"),
    "an edited rule proof": (RULE, _last_byte_zero, "round 1: accepted"),
    "edited rule outputs": (RULE, lambda c: _at(c["instances"], -8, "1"), "round 1: accepted"),
}


@pytest.mark.parametrize(("name", "change", "expected"), EDITS.values(), ids=EDITS.keys())
def test_an_edited_file(bundle: Bundle, name: str, change: Callable[[dict], None], expected: str) -> None:
    edit(bundle, name, change)
    assert any(what.startswith(expected) for what in failed(bundle))


def test_a_model_that_is_not_the_sum(bundle: Bundle) -> None:
    path = bundle.root / "round-2" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert failed(bundle) == ["round 2: the model handed over opens the commitment"]


def test_a_proof_of_the_other_round(bundle: Bundle) -> None:
    for layer in ("linear", "rule"):
        shutil.copyfile(bundle.root / f"round-1/{layer}.json", bundle.root / f"round-2/{layer}.json")
    assert [w.split(":")[0] for w in failed(bundle)] == ["round 2"] * 3


def test_a_round_twice(bundle: Bundle) -> None:
    edit(bundle, "task.json", lambda c: _set(c, "rounds", 3))
    shutil.copytree(bundle.root / "round-2", bundle.root / "round-3")
    edit(bundle, "round-3/round.json", lambda c: _set(c, "round", 2))
    assert "round 3: every trainer once, no commitment used before" in failed(bundle)


def test_a_commitment_negated(bundle: Bundle) -> None:
    """P and -P have one x: who copies a commitment this way earns nothing on chain, either."""

    def negate(content: dict) -> None:
        first, second = content["entries"][:2]
        y = FIELD_MODULUS - int(first["point"][64:], 16)
        second["point"] = first["point"][:64] + f"{y:064x}"

    edit(bundle, FIRST, negate)
    assert "round 1: every trainer once, no commitment used before" in failed(bundle)


def test_a_trainer_twice(bundle: Bundle) -> None:
    edit(bundle, FIRST, lambda c: _set(c["entries"][1], "trainer", c["entries"][0]["trainer"]))
    assert failed(bundle) == ["round 1: every trainer once, no commitment used before"]


def test_what_is_no_regular_file(bundle: Bundle) -> None:
    path = bundle.root / LINEAR
    for make in (lambda: path.symlink_to("/dev/zero"), lambda: os.mkfifo(path)):
        path.unlink()
        make()
        assert "round 1: Gram matrix proven over exactly the committed updates" in failed(bundle)


def test_a_tail_that_is_no_text(bundle: Bundle) -> None:
    path = bundle.root / "round-1" / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"tail":"', b'"tail":1e', 1))
    assert failed(bundle)


def test_domains_larger_than_the_reader_takes(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="max-logrows"):
        verify_bundle(bundle, max_logrows=12)


def test_more_rounds_than_the_task_has(bundle: Bundle) -> None:
    edit(bundle, "task.json", lambda c: _set(c, "rounds", 1))
    assert "2 rounds of at most 1" in failed(bundle)


@pytest.mark.parametrize(
    "name", ["round-1/round.json", "round-1/linear.json", "round-2/model.safetensors", "task.json"]
)
@pytest.mark.parametrize("data", [b"", b"[" * 100_000, b" " * (20 << 20)], ids=["empty", "deep", "huge"])
def test_malformed_files_never_pass(bundle: Bundle, name: str, data: bytes) -> None:
    (bundle.root / name).write_bytes(data)
    if name in {TASK, FIRST}:
        with pytest.raises(BundleError, match=name):
            verify_bundle(bundle)
    else:
        assert failed(bundle)


def test_the_first_rate_is_the_chains_to_say(bundle: Bundle, scene: Scene) -> None:
    """Nothing that is proven follows from it."""
    edit(bundle, "task.json", lambda c: _set(c, "learning_rate", "1"))
    assert failed(bundle) == []
    assert failed(bundle, rpc_url=scene.chain.rpc_url) == ["the chain's task has these terms"]


def test_a_consistent_story_that_the_chain_does_not_tell(bundle: Bundle, scene: Scene) -> None:
    """Offline nothing is wrong with a bundle whose trainers were renamed; the chain knows better."""
    edit(bundle, "round-2/round.json", lambda c: _set(c["entries"][0], "trainer", scene.outsider.address))
    assert failed(bundle) == []
    assert failed(bundle, rpc_url=scene.chain.rpc_url) == ["round 2: the chain settled exactly this"]
