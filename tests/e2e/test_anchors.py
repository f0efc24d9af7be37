"""Whole markets of rules with an anchor: real training, gRPC, EVM and proofs, and a bundle that verifies."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from aggregator.config import AggregatorConfig
from aggregator.service import Aggregator
from circuits.prover import Prover
from clients.bundle import Bundle, point_hex
from clients.config import OwnerConfig, TrainerConfig
from clients.run import run_owner, run_trainer
from clients.verify import verify_bundle
from contracts.bindings import NOBODY, Chain, Market, deploy
from contracts.bindings.devchain import anvil_chain
from process.keyfile import create_key_file

pytestmark = pytest.mark.slow

TRAINERS, SLOTS, ROUNDS = 3, 4, 2
REWARD_WEI = 10**18
RULES: dict[str, tuple[dict[str, Any], int | None]] = {
    "the previous sum": (
        {"outlier": "cross_round", "contribution": "projection", "rule_params": {"bound_percent": 0, "l": 3}},
        None,
    ),
    "the reference": ({"outlier": "aligned", "contribution": "shapley", "rule_params": {}}, TRAINERS),
}


class SharedProver:
    """The session's prover, which its users do not close."""

    def __init__(self, prover: Prover) -> None:
        self._prover = prover

    def __enter__(self) -> Prover:
        return self._prover

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("anchor", RULES)
async def test_a_market_with_an_anchor(
    anchor: str, prover: Prover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.connection.Prover", lambda: SharedProver(prover))
    statement, shard = RULES[anchor]
    with anvil_chain() as local:
        chain, accounts = Chain(local.rpc_url), [Account.from_key(key) for key in local.private_keys]
        deployment = deploy(chain, accounts[0])
        for index in range(TRAINERS + 2):
            create_key_file(tmp_path / f"{index}.key", local.private_keys[index])
        aggregator = await asyncio.to_thread(
            Aggregator,
            AggregatorConfig(
                rpc_url=local.rpc_url,
                market=deployment.market,
                key_file=tmp_path / "1.key",
                data_directory=tmp_path / "aggregator",
                open_when_joined=TRAINERS,
            ),
            prover=prover,
        )
        serving = asyncio.create_task(aggregator.run())
        while not aggregator.port:
            await asyncio.sleep(0.05)
            assert not serving.done()
        shared: dict[str, Any] = {
            "rpc_url": local.rpc_url,
            "market": deployment.market,
            "aggregator_target": f"127.0.0.1:{aggregator.port}",
            "data": {"weights": (1,) * (TRAINERS + 1)},
        }
        offer = OwnerConfig(
            **shared,
            key_file=tmp_path / "0.key",
            directory=tmp_path / "owner",
            aggregator=accounts[1].address,
            verifier=deployment.verifier,
            statement={"slots": SLOTS, **statement},  # type: ignore[arg-type]
            reward_per_round_wei=REWARD_WEI,
            bond_wei=REWARD_WEI,
            rounds=ROUNDS,
            quorum=TRAINERS,
            reference_shard=shard,
        )
        owner = asyncio.create_task(run_owner(offer))
        task_id = 1
        while Market(chain, deployment.market).task_count() < task_id:
            await asyncio.sleep(0.05)
            assert not owner.done(), owner.result()
        trainers = [
            run_trainer(
                TrainerConfig(
                    **shared,
                    key_file=tmp_path / f"{index + 2}.key",
                    directory=tmp_path / f"trainer-{index}",
                    task_id=task_id,
                    shard=index,
                )
            )
            for index in range(TRAINERS)
        ]
        paid_wei = await asyncio.gather(*trainers)
        assert await owner == task_id
        assert 0 <= ROUNDS * REWARD_WEI - sum(paid_wei) < ROUNDS * TRAINERS

        aggregator.stop()
        await serving
        aggregator.tools.state.close()
        bundle, market = Bundle(tmp_path / "owner"), deployment.market
        report = verify_bundle(bundle, rpc_url=local.rpc_url, market=market)
        assert report.ok, report.checks
        assert sum(": slot 0 holds" in what for what, _ in report.checks) == ROUNDS

        name = f"round 2: slot 0 holds {anchor}"
        for change in _edits(anchor, bundle):
            edited = Bundle(tmp_path / "edited")
            shutil.copytree(bundle.root, edited.root, dirs_exist_ok=True)
            change(edited)
            assert name in [what for what, why in verify_bundle(edited).checks if why]


def _edits(anchor: str, bundle: Bundle) -> list[Callable[[Bundle], None]]:
    def edit(file: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Bundle], None]:
        def apply(edited: Bundle) -> None:
            content = json.loads((edited.root / file).read_text())
            change(content)
            (edited.root / file).write_text(json.dumps(content))

        return apply

    trainer = bundle.round(0).entries[1]
    second = "round-2/round.json"
    edits = [edit(second, lambda c: c["entries"][0].update(trainer=trainer.trainer))]
    if anchor == "the reference":
        return [*edits, edit("task.json", lambda c: c.update(owner=NOBODY))]
    return [
        *edits,
        edit(second, lambda c: c["entries"][0].update(point=trainer.point)),
        edit(second, lambda c: c["entries"][0].update(point=point_hex((1, 2)))),
        edit(second, lambda c: c["entries"].clear()),
    ]
