"""Runs the demo: starts a chain and every party, follows their events, gathers what they showed."""

import json
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from clients.demo.display import Display
from clients.demo.plan import ETHER_WEI, Plan
from clients.demo.processes import Event, Parties
from clients.demo.summary import RoundSummary, Summary, TrainerSummary
from contracts.bindings import Chain, Deployment, Market, RoundView, TaskState, deploy
from contracts.bindings.devchain import LocalChain, anvil_chain, embedded_chain
from process.keyfile import create_key_file, load_account

_GAS_MONEY_WEI = ETHER_WEI // 2
_BOND_WEI = ETHER_WEI
_STEP_NAMES = {
    "round.sealed": "train and upload",
    "round.committed": "commit",
    "round.linear_proven": "linear proof",
    "round.rule_proven": "rule proof",
    "round.settled": "settle",
    "round.published": "publish",
}
_GAS_STEPS = ("commit", "settle", "publish")


@dataclass(frozen=True, kw_only=True)
class Where:
    """Which chain the demo runs on.

    Attributes:
        name: embedded, anvil, or the host of a node.
        rpc_url: of the node; None for a local chain that the demo starts itself.
        funder_key_file: key that pays for everything on a given node.
    """

    name: str = "embedded"
    rpc_url: str | None = None
    funder_key_file: Path | None = None


@dataclass
class _Observed:
    """What the parties said."""

    seconds: dict[int, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    gas: dict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    proof_bytes: dict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    accuracy: dict[int, float] = field(default_factory=dict)
    withdrawn_wei: dict[str, int] = field(default_factory=dict)
    refunded_wei: int | None = None
    model_verified: bool = False

    def take(self, event: Event) -> None:
        fields = event.fields
        if event.name in _STEP_NAMES:
            number, step = int(fields["round"]), _STEP_NAMES[event.name]
            self.seconds[number][step] = float(fields["seconds"])
            if step in _GAS_STEPS:
                self.gas[number][step] = int(fields["gas"])
            if "proof_bytes" in fields:
                self.proof_bytes[number][step.split()[0]] = int(fields["proof_bytes"])
        elif event.name == "round.evaluated":
            self.accuracy[int(fields["round"])] = float(fields["accuracy"])
        elif event.name == "model.verified":
            self.model_verified = bool(fields["complete"])
        elif event.name == "trainer.withdrew":
            self.withdrawn_wei[str(fields["trainer"])] = int(fields["paid_wei"])
        elif event.name == "owner.withdrew":
            self.refunded_wei = int(fields["refunded_wei"])


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """A chain with contracts and accounts: what the parties are started on."""

    chain: Chain
    deployment: Deployment
    accounts: dict[str, LocalAccount]
    keys: Path
    setup_gas: dict[str, int]


def run_demo(plan: Plan, where: Where, out: Path, display: Display) -> Summary:
    """Runs the whole market and writes `out`: a bundle, summary.json, logs.

    Raises:
        PartyFailed: a party failed; its log is kept.
        BindingsError, KeyFileError: the chain, or the funder's key.
    """
    started = time.monotonic()
    _clear(out)
    with ExitStack() as stack:
        stack.enter_context(display.running())
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="merit-demo-")))
        local = stack.enter_context(_local_chain(where, display))
        stage = _prepare(plan, where, local, work, out, display)
        parties = stack.enter_context(Parties(out / "logs"))
        observed, task_id = _run_parties(plan, stage, parties, work, out, display)
        market = Market(stage.chain, stage.deployment.market)
        with display.step("honest-only FedAvg in floats, for comparison"):
            baseline, samples = _baseline(plan)
        summary = _summarise(plan, where, stage, market, task_id, observed, baseline, samples)
    summary = summary.model_copy(update={"seconds_total": round(time.monotonic() - started, 1)})
    (out / "summary.json").write_text(summary.model_dump_json(indent=2) + "\n")
    return summary


def _clear(out: Path) -> None:
    """Removes an earlier run's files, and nothing that is not one's."""
    if out.exists() and any(out.iterdir()) and not (out / "logs").is_dir():
        raise FileExistsError(f"{out} holds something else than a demo's files; choose another --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "logs").mkdir()


@contextmanager
def _local_chain(where: Where, display: Display) -> Iterator[LocalChain | None]:
    if where.rpc_url is not None:
        yield None
        return
    start = {"embedded": embedded_chain, "anvil": anvil_chain}[where.name]
    with ExitStack() as stack:
        with display.step(f"chain: {where.name}"):
            chain = stack.enter_context(start())
        yield chain


def _prepare(plan: Plan, where: Where, local: LocalChain | None, work: Path, out: Path, display: Display) -> _Stage:
    if local is not None:
        chain, keys = Chain(local.rpc_url), work / "keys"
        funder: LocalAccount = Account.from_key(local.private_keys[0])
    else:
        # What these accounts hold is worth something, so their keys are kept.
        assert where.rpc_url is not None
        chain, keys = Chain(where.rpc_url), out / "keys"
        funder = load_account(where.funder_key_file)
    keys.mkdir(mode=0o700)
    names = ["owner", "aggregator", *(f"trainer-{i + 1}" for i in range(len(plan.roles)))]
    extra = {"owner": plan.reward_wei, "aggregator": _BOND_WEI}
    with display.step(f"{len(names)} accounts with keys of their own, funded"):
        accounts = {name: create_key_file(keys / name) for name in names}
        for name, account in accounts.items():
            chain.transfer(funder, account.address, _GAS_MONEY_WEI + extra.get(name, 0))
    with display.step("market and verifier deployed by the owner"):
        before = chain.block_number()
        deployment = deploy(chain, accounts["owner"])
        gas = {"deploy": _gas_since(chain, before)}
    return _Stage(chain=chain, deployment=deployment, accounts=accounts, keys=keys, setup_gas=gas)


def _gas_since(chain: Chain, block: int) -> int:
    """Gas used in the blocks after `block`; on a shared chain that includes others' transactions."""
    return sum(int(chain.w3.eth.get_block(n)["gasUsed"]) for n in range(block + 1, chain.block_number() + 1))


def _run_parties(
    plan: Plan, stage: _Stage, parties: Parties, work: Path, out: Path, display: Display
) -> tuple[_Observed, int]:
    observed, task_id, started_trainers = _Observed(), 0, False
    common = {"rpc_url": stage.chain.rpc_url, "market": stage.deployment.market}
    before = stage.chain.block_number()
    parties.start(
        "aggregator",
        "serve",
        "--config",
        _config(work, "aggregator", "aggregator", _aggregator(stage, common, work, plan)),
        may_end=False,
    )
    for event in parties.events():
        observed.take(event)
        display.show(event)
        if event.name == "service.listening":
            common["aggregator_target"] = f"{event.fields['host']}:{event.fields['port']}"
            parties.start(
                "owner", "owner", "--config", _config(work, "owner", "owner", _owner(plan, stage, common, work, out))
            )
        elif event.name == "task.created":
            task_id = int(event.fields["task"])
        elif event.name == "task.genesis_sent" and not started_trainers:
            started_trainers = True
            for i in range(len(plan.roles)):
                name = f"trainer-{i + 1}"
                config = _trainer(plan, stage, common, work, i, task_id)
                parties.start(name, "trainer", "--config", _config(work, name, "trainer", config))
        elif event.name == "round.collecting" and int(event.fields["round"]) == 0:
            stage.setup_gas["task"] = _gas_since(stage.chain, before)
        if observed.refunded_wei is not None and len(observed.withdrawn_wei) == len(plan.roles):
            break
    for name in ("owner", *(f"trainer-{i + 1}" for i in range(len(plan.roles)))):
        parties.wait(name)
    return observed, task_id


def _config(work: Path, name: str, section: str, content: dict[str, Any]) -> str:
    path = work / f"{name}.json"
    path.write_text(json.dumps({section: content}))
    return str(path)


def _aggregator(stage: _Stage, common: dict[str, str], work: Path, plan: Plan) -> dict[str, Any]:
    return {
        **common,
        "key_file": str(stage.keys / "aggregator"),
        "data_directory": str(work / "aggregator"),
        "open_when_joined": len(plan.roles),
        "poll_seconds": 0.3,
    }


def _owner(plan: Plan, stage: _Stage, common: dict[str, str], work: Path, out: Path) -> dict[str, Any]:
    return {
        **common,
        "key_file": str(stage.keys / "owner"),
        "directory": str(work / "owner"),
        "bundle": str(out),
        "aggregator": stage.accounts["aggregator"].address,
        "verifier": stage.deployment.verifier,
        "data": plan.data.model_dump(),
        "reward_per_round_wei": plan.reward_per_round_wei,
        "bond_wei": _BOND_WEI,
        "rounds": plan.rounds,
        "quorum": len(plan.roles),
        "poll_seconds": 0.5,
    }


def _trainer(plan: Plan, stage: _Stage, common: dict[str, str], work: Path, index: int, task_id: int) -> dict[str, Any]:
    name = f"trainer-{index + 1}"
    return {
        **common,
        "key_file": str(stage.keys / name),
        "directory": str(work / name),
        "task_id": task_id,
        "shard": index,
        "behaviour": plan.roles[index],
        "colluders": plan.colluders(index),
        "data": plan.data.model_dump(),
        "recipe": plan.recipe.model_dump(),
        "poll_seconds": 1,
    }


def _baseline(plan: Plan) -> tuple[list[float], list[int]]:
    """Accuracy by round of honest-only FedAvg on the same seeds, and every shard's size."""
    from clients.baseline import federated_average  # noqa: PLC0415  (loads torch)
    from clients.data import digits  # noqa: PLC0415
    from clients.run import recipe_of  # noqa: PLC0415

    shards, test = digits(seed=plan.data.seed, weights=plan.data.weights)
    honest = [(shards[i], recipe_of(plan.recipe, i)) for i, role in enumerate(plan.roles) if role == "honest"]
    return federated_average(honest, test, plan.rounds), [len(shard) for shard in shards]


def _summarise(
    plan: Plan, where: Where, stage: _Stage, market: Market, task_id: int, observed: _Observed,
    baseline: list[float], samples: list[int],
) -> Summary:  # fmt: skip
    views = [market.round(task_id, number) for number in range(plan.rounds)]
    task = market.task(task_id)
    assert task.state == TaskState.CLOSED, "every party saw the task's end"
    return Summary(
        chain=where.name,
        chain_id=stage.chain.chain_id,
        market=market.address,
        task_id=task_id,
        rule=task.config.rule_name,
        reward=plan.reward_wei,
        remainder=str(observed.refunded_wei),
        rounds=[_round(view, observed) for view in views],
        trainers=[_trainer_summary(plan, stage, i, views, observed, samples) for i in range(len(plan.roles))],
        baseline_accuracy=baseline,
        setup_gas=stage.setup_gas,
        model_verified=observed.model_verified,
        seconds_total=0,
    )


def _round(view: RoundView, observed: _Observed) -> RoundSummary:
    rows = list(zip(view.trainers, view.accept, view.scores, strict=True))
    return RoundSummary(
        round=view.round + 1,
        accepted=[trainer for trainer, accepted, _ in rows if accepted],
        scores={trainer: score for trainer, _, score in rows},
        accuracy=observed.accuracy[view.round],
        gas=observed.gas[view.round],
        seconds=observed.seconds[view.round],
        proof_bytes=observed.proof_bytes[view.round],
    )


def _trainer_summary(
    plan: Plan, stage: _Stage, index: int, views: list[RoundView], observed: _Observed, samples: list[int]
) -> TrainerSummary:
    address = stage.accounts[f"trainer-{index + 1}"].address
    mine = [view.trainers.index(address) for view in views]
    return TrainerSummary(
        address=address,
        role=plan.roles[index],
        samples=samples[index],
        accepted_rounds=sum(view.accept[slot] for view, slot in zip(views, mine, strict=True)),
        score=sum(view.scores[slot] for view, slot in zip(views, mine, strict=True)),
        paid=str(observed.withdrawn_wei[address]),
    )
