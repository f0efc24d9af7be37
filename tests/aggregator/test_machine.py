"""Rounds from the bond to the last model: what goes right, what fails, and that a kill anywhere loses nothing."""

import asyncio
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from merit.v1.proofs_pb2 import ProofLayer
from merit.v1.tasks_pb2 import TaskStatus

from aggregator.errors import StateTakenOver, TooManyProofs
from aggregator.policy import check_policy
from aggregator.records import Step
from aggregator.server import SERVICES
from aggregator.state import State
from circuits.bn254 import G1Point
from circuits.circuit import Circuit
from circuits.commitment import check_opening
from circuits.errors import ProofCancelled
from circuits.linear import update_argument
from circuits.linear.gram import full_matrix, padded, upper_triangle
from circuits.linear.update_argument import verify
from circuits.model import fold
from circuits.proof import Proof
from clients.service import AggregatorClient
from contracts.bindings import RoundState, Settlement, TaskState, Token, allow, artifacts, proof_context
from contracts.bindings.deploy import create
from contracts.bindings.devchain import LocalChain, advance_time
from contracts.bindings.market import MAX_PAGE
from process.errors import ConfigurationError
from protocol import refusals
from protocol.terms import UnacceptableTerms
from store.objects import encode_model
from tests.contracts.conftest import create_malformed
from tests.stage import BOND_WEI, REWARD_WEI, STATEMENT, TRAINERS, ReferenceProver, Stage

ALL_STEPS = [
    Step.COLLECTING,
    Step.SEALED,
    Step.COMMITTED,
    Step.LINEAR_PROVEN,
    Step.RULE_PROVEN,
    Step.SETTLED,
    Step.PUBLISHED,
]


async def finished(client: AggregatorClient, task_id: int) -> list[tuple[int, Step]]:
    """The task's whole journal, once it is over."""
    async with asyncio.timeout(120):
        return [(report.round, Step(report.report.step)) async for report in client.watch(task_id)]


async def play(stage: Stage, client: AggregatorClient, task_id: int) -> None:
    """Every trainer sends an update in the first round."""
    await stage.reached(client, task_id, 0, Step.COLLECTING)
    await stage.send(client, task_id, 0)


# -------------------------------------------------------------- what goes right


async def test_a_task_from_bond_to_last_model(stage: Stage) -> None:
    async with stage.running() as (aggregator, client):
        task_id = await stage.open_task(client)
        expected, sent = stage.genesis, []
        for number in range(2):
            await stage.reached(client, task_id, number, Step.COLLECTING)
            sent.append(await stage.send(client, task_id, number))
        journal = await finished(client, task_id)
        assert journal == [(number, step) for number in range(2) for step in ALL_STEPS]

        paid = 0
        for number in range(2):
            view = stage.market.round(task_id, number)
            assert view.state == RoundState.SETTLED
            slots = (await client.round(task_id, number)).slots
            assert [slot.cid for slot in slots] == list(view.cids) == [update.header.cid for update in sent[number]]
            assert [slot.accepted for slot in slots] == list(view.accept) == [True] * 4 + [False]
            assert [slot.score for slot in slots] == list(view.scores)
            assert [int(slot.paid_wei) for slot in slots] == list(view.paid_wei)
            paid += sum(view.paid_wei)
            accepted = [u.column for u, taken in zip(sent[number], view.accept, strict=True) if taken]
            expected = fold(expected, accepted, STATEMENT.slots)
            data = await client.download_model(task_id, number + 1, limit_bytes=1 << 20)
            assert data == encode_model(expected)
            assert view.model_cid == (await client.model_info(task_id, number + 1)).cid
        check_opening(expected, G1Point(*stage.market.model_commitment(task_id)), stage.srs)

        view_after = stage.market.task(task_id)
        assert view_after.state == TaskState.CLOSED
        remainder, _ = stage.market.credit(task_id, stage.owner.address)
        assert paid + remainder == 2 * REWARD_WEI
        assert stage.market.credit(task_id, stage.operator.address)[0] == BOND_WEI
        assert aggregator.registry.tasks[task_id].finished


async def test_proofs_can_be_downloaded(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client, rounds=1)
        with pytest.raises(refusals.UnknownProof):
            await client.download_proof(task_id, 0, ProofLayer.PROOF_LAYER_LINEAR)
        updates = await stage.send(client, task_id, 0)
        await finished(client, task_id)
        linear = await client.download_proof(task_id, 0, ProofLayer.PROOF_LAYER_LINEAR)
        rule = await client.download_proof(task_id, 0, ProofLayer.PROOF_LAYER_RULE)
        argument = {
            "context": proof_context(stage.market.domain, task_id, 0),
            "points": [update.point for update in updates],
            "proof": linear,
        }
        verify(STATEMENT.update_key(stage.srs), **argument)  # type: ignore[arg-type]
        triangle = upper_triangle(padded(full_matrix(linear.instances, TRAINERS), STATEMENT.slots))
        assert list(rule.instances[: len(triangle)]) == triangle


@pytest.mark.slow
async def test_watch_resumes_at_its_cursor(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client, rounds=1)
        await stage.send(client, task_id, 0)
        await finished(client, task_id)
        everything = [report async for report in client.watch(task_id)]
        assert [report.cursor for report in everything] == sorted({report.cursor for report in everything})
        rest = [report async for report in client.watch(task_id, everything[2].cursor)]
        assert rest == everything[3:]
        assert all(report.report.gas_used > 0 for report in rest if report.report.transaction)


async def test_task_is_described(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.create_task(joined=0)
        described = await client.task(task_id)
        assert (described.status, described.has_genesis) == (TaskStatus.TASK_STATUS_FUNDED, False)
        assert described.rule_name == "multi_krum+projection"
        assert described.genesis_cid == stage.market.task(task_id).config.genesis_cid
        with pytest.raises(refusals.UnknownTask):
            await client.task(task_id + 1)
        with pytest.raises(refusals.UnknownRound):
            await client.round(task_id, 0)
        with pytest.raises(refusals.UnknownModel):
            await client.model_info(task_id, 0)


async def test_genesis_is_taken_from_anyone_who_has_it(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.create_task()
        wrong = bytearray(stage.genesis_data)
        wrong[-1] ^= 1
        with pytest.raises(refusals.MalformedContent) as caught:
            await client.upload_genesis(task_id, bytes(wrong), stage.owner_signer)
        assert caught.value.field == "genesis_cid"
        with pytest.raises(refusals.InvalidField):
            await client.upload_genesis(task_id, bytes(1 << 20), stage.owner_signer)
        first = await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        assert await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer) == first
        assert await client.download_model(task_id, 0, limit_bytes=1 << 20) == stage.genesis_data


async def test_bond_waits_for_trainers_and_genesis(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.create_task(joined=TRAINERS - 1)
        await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        await asyncio.sleep(0.5)
        assert stage.market.task(task_id).state == TaskState.FUNDED
        await asyncio.to_thread(stage.market.join, stage.trainers[TRAINERS - 1], task_id)
        await stage.reached(client, task_id, 0, Step.COLLECTING)


@pytest.mark.slow
async def test_two_tasks_at_once(stage: Stage) -> None:
    async with stage.running() as (_, client):
        first, second = await stage.open_task(client, rounds=1), await stage.open_task(client, rounds=1)
        await stage.send(client, second, 0)
        await finished(client, second)
        assert stage.market.task(first).round_state == RoundState.COLLECTING
        await stage.send(client, first, 0)
        await finished(client, first)


@pytest.mark.slow
async def test_round_starts_when_every_slot_is_taken(stage: Stage) -> None:
    """Two more have joined than there are slots: nobody waits for them."""
    async with stage.running(open_when_joined=8) as (_, client):
        task_id = await stage.open_task(client, joined=8, rounds=1)
        await stage.send(client, task_id, 0, count=STATEMENT.slots)
        await finished(client, task_id)
        assert len(stage.market.round(task_id, 0).trainers) == STATEMENT.slots


@pytest.mark.slow
async def test_quorum_is_enough_when_the_window_ends(stage: Stage) -> None:
    async with stage.running(open_when_joined=6, commit_margin_seconds=600) as (_, client):
        task_id = await stage.open_task(client, joined=6, rounds=1)
        await stage.send(client, task_id, 0)
        await asyncio.sleep(0.5)
        assert stage.market.task(task_id).round_state == RoundState.COLLECTING
        await asyncio.to_thread(advance_time, stage.chain, 3600 - 500)
        await finished(client, task_id)
        assert len(stage.market.round(task_id, 0).trainers) == TRAINERS


# -------------------------------------------------------------------- what fails


async def test_round_without_quorum_ends_and_gives_the_bond_back(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0, count=TRAINERS - 1)
        await asyncio.to_thread(advance_time, stage.chain, 3700)
        journal = await finished(client, task_id)
        assert journal[-1] == (0, Step.EXPIRED)
        assert stage.market.round(task_id, 0).state == RoundState.EXPIRED
        assert stage.market.credit(task_id, stage.operator.address)[0] == BOND_WEI


@pytest.mark.slow
async def test_round_that_was_not_settled_in_time_is_over(stage: Stage) -> None:
    class Slow(ReferenceProver):
        def prove(self, circuit: Circuit, inputs: Any) -> Proof:
            advance_time(stage.chain, 4000)
            return super().prove(circuit, inputs)

    stage.prover = Slow(stage.prover, stage.directory / "keys")
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0)
        assert (await finished(client, task_id))[-1] == (0, Step.EXPIRED)
        assert stage.market.credit(task_id, stage.trainers[0].address)[0] > 0


def lying(proof: Proof, lie: str) -> Proof:
    first, last = proof.instances[0], proof.instances[-1]
    edited = {"first": (first + 1, *proof.instances[1:]), "last": (*proof.instances[:-1], last + 1)}
    return Proof(data=proof.data, instances=edited[lie])


@pytest.mark.slow
@pytest.mark.parametrize("lie", ["first", "last"])
@pytest.mark.parametrize("layer", ["linear", "rule"])
async def test_proof_that_differs_from_the_reference_is_never_settled(
    layer: str, lie: str, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lying(ReferenceProver):
        def prove(self, circuit: Circuit, inputs: Any) -> Proof:
            return lying(super().prove(circuit, inputs), lie)

    honest = update_argument.prove
    if layer == "linear":
        monkeypatch.setattr(update_argument, "prove", lambda *args, **named: lying(honest(*args, **named), lie))
    else:
        stage.prover = Lying(stage.prover, stage.directory / "keys")
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0)
        journal = await finished(client, task_id)
        assert journal[-1][1] == (Step.COMMITTED if layer == "linear" else Step.LINEAR_PROVEN)
        assert stage.market.round(task_id, 0).state == RoundState.COMMITTED


@pytest.mark.slow
async def test_updates_on_chain_must_be_the_sealed_ones(stage: Stage) -> None:
    """Whoever else holds the operator's key has committed the same updates to other slots."""
    async with stage.running() as (aggregator, client):
        commit = aggregator.tools.market.commit_round
        aggregator.tools.market.commit_round = lambda *args: commit(*args[:-2], args[-2][::-1])  # type: ignore[method-assign]
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0)
        assert (await finished(client, task_id))[-1] == (0, Step.SEALED)


@pytest.mark.slow
@pytest.mark.parametrize("field", ["accept", "scores"])
async def test_outcome_on_chain_must_be_the_proven_one(field: str, stage: Stage) -> None:
    """The stage's verifier accepts everything, so a dishonest settlement goes through: it is noticed."""
    async with stage.running() as (aggregator, client):
        settle = aggregator.tools.market.settle_round

        def dishonest(account: Any, task_id: int, round: int, settlement: Settlement, journal: Any) -> Any:
            edited = {
                "accept": (*settlement.accept[:3], False, *settlement.accept[4:]),
                "scores": (*settlement.scores[:3], 0, *settlement.scores[4:]),
            }
            changes = edited if field == "accept" else {"scores": edited["scores"]}
            return settle(account, task_id, round, replace(settlement, **changes), journal)

        aggregator.tools.market.settle_round = dishonest  # type: ignore[method-assign]
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0)
        assert (await finished(client, task_id))[-1] == (0, Step.RULE_PROVEN)


async def test_a_model_that_is_not_the_chains_is_not_published(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.handover.fold", lambda model, columns, slots: model)
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0)
        assert (await finished(client, task_id))[-1] == (0, Step.SETTLED)
        with pytest.raises(refusals.UnknownModel):
            await client.model_info(task_id, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value"),
    [("rule_vka", b"\1" * 32), ("quorum", 4), ("rule_name", "mean+projection"), ("k", 14), ("update_key", b"\1" * 32)],
)
async def test_dishonest_terms_are_refused_and_said(field: str, value: object, stage: Stage) -> None:
    async with stage.running(max_logrows=13) as (_, client):
        task_id = await stage.create_task(**{field: value})
        with pytest.raises(refusals.InvalidField, match=field):
            await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        described = await client.task(task_id)
        assert described.status == TaskStatus.TASK_STATUS_REFUSED
        assert field in described.refusal
    async with stage.running(max_logrows=13) as (_, client):
        with pytest.raises(refusals.InvalidField, match=field):  # answered once the terms are checked again
            await client.upload_genesis(task_id, stage.genesis_data, stage.owner_signer)
        assert (await client.task(task_id)).status == TaskStatus.TASK_STATUS_REFUSED


@pytest.mark.parametrize(
    ("limit", "field"),
    [
        ({"min_settle_window_seconds": 3601}, "settle_window_seconds"),
        ({"min_commit_window_seconds": 3601}, "commit_window_seconds"),
        ({"min_reward_per_round_wei": REWARD_WEI + 1}, "reward_per_round_wei"),
        ({"max_bond_wei": BOND_WEI - 1}, "bond_wei"),
    ],
)
def test_operators_limits(limit: dict[str, int], field: str, stage: Stage) -> None:
    check_policy(stage.task_config(), stage.config())
    with pytest.raises(UnacceptableTerms) as caught:
        check_policy(stage.task_config(), stage.config(**limit))
    assert caught.value.field == field


@pytest.mark.slow
async def test_limits_that_change_leave_a_bonded_task_alone(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client)
    async with stage.running(max_bond_wei=1, min_reward_per_round_wei=10**30) as (aggregator, client):
        task = await aggregator.registry.get(task_id)
        await task.checked.wait()
        assert not task.refusal
        later = await stage.create_task(joined=0)
        refused = await aggregator.registry.get(later)
        await refused.checked.wait()
        assert refused.refusal


def test_domains_beyond_the_operators_limit_are_refused(stage: Stage) -> None:
    check_policy(stage.task_config(k=13), stage.config(max_logrows=13))
    with pytest.raises(UnacceptableTerms) as caught:
        check_policy(stage.task_config(k=14), stage.config(max_logrows=13))
    assert caught.value.field == "k"


@pytest.mark.slow
async def test_a_linear_proof_ends_with_the_process(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread looks at every step whether anybody waits for it, and the proof is made after a restart."""
    honest, began, ended = update_argument.prove, threading.Event(), threading.Event()

    def endless(*args: Any, progress: Any, **named: Any) -> Proof:
        began.set()
        while progress("running sum", 1, 2):
            time.sleep(0.01)
        ended.set()
        raise ProofCancelled("it was cancelled")

    monkeypatch.setattr(update_argument, "prove", endless)
    async with stage.running(drain_seconds=0.2) as (_, client):
        task_id = await stage.open_task(client, rounds=1)
        await stage.send(client, task_id, 0)
        assert await asyncio.to_thread(began.wait, 30)
    assert ended.wait(10)
    monkeypatch.setattr(update_argument, "prove", honest)
    async with stage.running() as (_, client):
        assert (await finished(client, task_id))[-1] == (0, Step.PUBLISHED)


@pytest.mark.slow
async def test_every_proof_counts(stage: Stage) -> None:
    async with stage.running() as (aggregator, client):
        task_id = await stage.open_task(client, rounds=1)
        sent = await stage.send(client, task_id, 0)
        await finished(client, task_id)
        for update in sent:
            for _ in range(2):
                aggregator.tools.state.count_argument([update.point])
            with pytest.raises(TooManyProofs):
                aggregator.tools.state.require_provable([update.point])


@pytest.mark.slow
async def test_a_commitment_gets_no_fourth_proof(stage: Stage) -> None:
    async with stage.running() as (aggregator, client):
        task_id = await stage.open_task(client, rounds=1)
        sent = await stage.send(client, task_id, 0, count=TRAINERS - 1)
        points = [sent[0].point]
        for _ in range(3):
            aggregator.tools.state.count_argument(points)
        last = stage.update(task_id, 0, stage.trainers[TRAINERS - 1], stage.draw(9))
        await client.upload_update(last.header, last.data, last.signer)
        assert (await finished(client, task_id))[-1] == (0, Step.COMMITTED)


def test_bonds_in_tokens_are_refused(stage: Stage) -> None:
    with pytest.raises(UnacceptableTerms) as caught:
        check_policy(stage.task_config(token=stage.outsider.address), stage.config())
    assert caught.value.field == "token"


def test_bonds_in_tokens_that_the_operator_named_are_not(stage: Stage) -> None:
    token = stage.outsider.address
    check_policy(stage.task_config(token=token), stage.config(tokens=(token.lower(),)))
    with pytest.raises(UnacceptableTerms, match=token):
        check_policy(stage.task_config(token=stage.owner.address), stage.config(tokens=(token,)))
    with pytest.raises(ValueError, match="tokens"):
        stage.config(tokens=("0x12",))


async def test_bonds_of_two_tasks_in_one_token_do_not_compete(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is allowed exactly what it takes, and nothing is left."""
    artifact = artifacts.forge("PlainToken", "Tokens")
    address, _ = await asyncio.to_thread(create, stage.chain, stage.owner, artifact)
    contract: Any = stage.chain.contract(address, artifact.abi)
    for account in (stage.owner, stage.operator):
        await asyncio.to_thread(stage.chain.send, stage.owner, contract.functions.mint(account.address, 10**6))
    token = Token(stage.chain, address)
    async with stage.running(tokens=(address,)) as (_, client):
        opened = []
        for _ in range(2):
            await asyncio.to_thread(allow, stage.market, stage.owner, address, 2 * REWARD_WEI)
            opened.append(await stage.create_task(token=address))
        await asyncio.gather(*(client.upload_genesis(t, stage.genesis_data, stage.owner_signer) for t in opened))
        for task_id in opened:
            await stage.reached(client, task_id, 0, Step.COLLECTING)
        assert [stage.market.task(task_id).bond_wei for task_id in opened] == [BOND_WEI, BOND_WEI]
    assert token.allowance(stage.operator.address, stage.market.address) == 0
    assert "attempt.failed" not in capsys.readouterr().out


async def test_a_task_that_its_owner_took_back_is_over(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.create_task(joined=0)
        assert (await client.task(task_id)).status == TaskStatus.TASK_STATUS_FUNDED
        await asyncio.to_thread(stage.market.close, stage.owner, task_id)
        assert await finished(client, task_id) == []
        assert (await client.task(task_id)).status == TaskStatus.TASK_STATUS_CLOSED


async def test_other_aggregators_tasks_are_not_served(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.create_task(aggregator=stage.outsider.address)
        with pytest.raises(refusals.UnknownTask):
            await client.task(task_id)


@pytest.mark.slow
async def test_strangers_tasks_hide_none(stage: Stage) -> None:
    """One that cannot be read, and more than the market shows at once."""
    create_malformed(stage.market, stage.outsider, stage.task_config())
    for _ in range(MAX_PAGE):
        stage.market.create_task(stage.owner, stage.task_config(aggregator=stage.outsider.address))
    async with stage.running() as (aggregator, client):
        task_id = await stage.create_task()
        assert task_id > MAX_PAGE + 1
        assert (await client.task(task_id)).task_id == task_id
        assert set(aggregator.registry.tasks) == {task_id}


async def test_state_belongs_to_one_market(stage: Stage, local: LocalChain, tmp_path: Path) -> None:
    async with stage.running():
        pass
    (tmp_path / "other").mkdir()
    other = Stage(local, stage.prover.shared, tmp_path / "other")
    with pytest.raises(ConfigurationError) as caught:
        other.aggregator(data_directory=stage.directory / "aggregator")
    assert caught.value.field == "market"


async def test_whose_state_another_process_has_taken_stops(stage: Stage) -> None:
    aggregator = await asyncio.to_thread(stage.aggregator)
    running = asyncio.create_task(aggregator.run())
    # As after a broken connection to the server that keeps the lock.
    aggregator.tools.state._database._lock.release()
    identity = {"chain": str(stage.chain.chain_id), "market": stage.market.address}
    other = await asyncio.to_thread(State, stage.config().database, identity | {"aggregator": stage.operator.address})
    await stage.create_task()
    with pytest.raises(StateTakenOver):
        await running
    other.close()
    aggregator.close()


@pytest.mark.slow
async def test_lost_state_stops_the_task_and_not_the_service(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0)
        await stage.reached(client, task_id, 1, Step.COLLECTING)
    async with stage.running(data_directory=stage.directory / "empty") as (_, client):
        assert await finished(client, task_id) == []
        assert (await client.task(task_id)).current_round == 1


# ------------------------------------------------------------- kills and restarts


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is tidied up."""


@pytest.mark.slow
async def test_restart_between_rounds_goes_on(stage: Stage) -> None:
    async with stage.running() as (_, client):
        task_id = await stage.open_task(client)
        await stage.send(client, task_id, 0)
        await stage.reached(client, task_id, 1, Step.COLLECTING)
        early = [stage.update(task_id, 1, t, stage.draw(1000 + i, round=1)) for i, t in enumerate(stage.trainers[:2])]
        receipts = [await client.upload_update(update.header, update.data, update.signer) for update in early]
    async with stage.running() as (_, client):
        assert [await client.upload_update(update.header, update.data, update.signer) for update in early] == receipts
        for index, trainer in enumerate(stage.trainers[2:TRAINERS], start=2):
            update = stage.update(task_id, 1, trainer, stage.draw(1000 + index, round=1))
            await client.upload_update(update.header, update.data, update.signer)
        journal = await finished(client, task_id)
        assert journal == [(number, step) for number in range(2) for step in ALL_STEPS]


@pytest.mark.slow
async def test_settlement_by_somebody_else_is_taken_as_done(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anyone who holds the proofs may settle; the aggregator finds it done."""
    async with stage.running() as (aggregator, client):
        task_id = await stage.open_task(client, rounds=1)
        settle = aggregator.tools.market.settle_round

        def overtaken(account: Any, *args: Any) -> Any:
            settle(stage.outsider, *args[:-1])
            return settle(account, *args)

        monkeypatch.setattr(aggregator.tools.market, "settle_round", overtaken)
        await stage.send(client, task_id, 0)
        assert (await finished(client, task_id))[-1] == (0, Step.PUBLISHED)


# -------------------------------------------------------------- chain down, stops


class Line:
    """A TCP line to the chain that can be cut."""

    def __init__(self, rpc_url: str) -> None:
        host, port = rpc_url.removeprefix("http://").rstrip("/").split(":")
        self._target = (host, int(port))
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = _free_port()

    async def connect(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
async def test_round_goes_on_when_the_chain_is_back(stage: Stage) -> None:
    line = Line(stage.rpc_url)
    await line.connect()
    async with stage.running(rpc_url=f"http://127.0.0.1:{line.port}") as (_, client):
        task_id = await stage.open_task(client, rounds=1)
        await line.cut()
        client._patience_seconds = 0
        stranger = stage.update(task_id, 0, stage.outsider, stage.draw(9))
        with pytest.raises(refusals.ChainDown):
            await client.upload_update(stranger.header, stranger.data, stranger.signer)
        client._patience_seconds = 30
        await line.connect()
        await stage.send(client, task_id, 0)
        assert (await finished(client, task_id))[-1] == (0, Step.PUBLISHED)
        await line.cut()


async def test_stop_ends_streams_and_reports_not_serving(stage: Stage) -> None:
    async with stage.running(drain_seconds=5) as (aggregator, client):
        task_id = await stage.open_task(client)
        stub = health_pb2_grpc.HealthStub(client._channel)
        for name in ("", *SERVICES):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        statuses = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]))
        assert (await anext(aiter(statuses))).status == health_pb2.HealthCheckResponse.SERVING
        reports = client.watch(task_id)
        await anext(reports)
        aggregator.stop()
        assert (await anext(aiter(statuses))).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(refusals.Draining):
            await anext(reports)
