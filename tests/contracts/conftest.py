"""Chains to test on, and a market on each of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from contracts.bindings import (
    Chain,
    Market,
    Point,
    ProofTerms,
    Settlement,
    Submission,
    TaskConfig,
    UpdateCommitment,
    artifacts,
    cid_digest,
    deploy,
    vka_digest,
)
from contracts.bindings.deploy import create
from contracts.bindings.devchain import anvil_chain, embedded_chain
from contracts.bindings.eip712 import sign_update
from contracts.bindings.market import _config_tuple

BASE_FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
UPDATE_KEY = tuple(range(1, 14))
UPDATE_KEY_DIGEST = keccak(b"".join(word.to_bytes(32, "big") for word in UPDATE_KEY))
RULE_VKA = (b"\x03" * 32,)
REWARD_WEI = 1000
BOND_WEI = 1501
ROUNDS = 2
SLOTS = 4
DIM = 650
COMMIT_WINDOW_SECONDS = 600
SETTLE_WINDOW_SECONDS = 900


def point(seed: int, round: int = 0, rounds: int = ROUNDS) -> Point:
    """A point of the curve for a round of `rounds`, another one for each seed."""
    x = seed * 1000 * rounds + round
    while True:
        y = pow(x**3 + 3, (BASE_FIELD + 1) // 4, BASE_FIELD)
        if (y * y - x**3 - 3) % BASE_FIELD == 0:
            return Point(x, y)
        x += rounds


@dataclass(frozen=True)
class World:
    """A chain with a market, and the people on it. `verifier` accepts every proof, and so does what `market` asks.

    `strict_market` and `real_verifier` are those that `deploy` makes.
    """

    chain: Chain
    market: Market
    strict_market: Market
    verifier: str
    real_verifier: str
    owner: LocalAccount
    aggregator: LocalAccount
    anyone: LocalAccount
    trainers: tuple[LocalAccount, ...]

    def config(self, **changes: Any) -> TaskConfig:
        """A small task in native currency."""
        config = TaskConfig(
            aggregator=self.aggregator.address,
            reward_per_round_wei=REWARD_WEI,
            bond_wei=BOND_WEI,
            rounds=ROUNDS,
            quorum=2,
            slots=SLOTS,
            dim=DIM,
            k=11,
            fractional_bits=8,
            commit_window_seconds=COMMIT_WINDOW_SECONDS,
            settle_window_seconds=SETTLE_WINDOW_SECONDS,
            verifier=self.verifier,
            update_key=UPDATE_KEY_DIGEST,
            rule_vka=vka_digest(RULE_VKA),
            rule_params=(2,),
            genesis=point(1),
            empty_column=point(2),
            genesis_cid=b"\x01\x55genesis",
            rule_name="multi_krum+projection",
        )
        return replace(config, **changes)

    def opened(self, trainers: int = 3, **changes: Any) -> int:
        """A task whose bond is posted and whose first trainers have joined."""
        task_id = self.market.create_task(self.owner, self.config(**changes))
        self.market.post_bond(self.aggregator, task_id)
        for trainer in self.trainers[:trainers]:
            self.market.join(trainer, task_id)
        return task_id

    def submission(self, task_id: int, round: int, index: int, rounds: int = ROUNDS) -> Submission:
        """Trainer `index`'s signed update."""
        committed, cid = point(100 + 10 * round + index, round, rounds), b"cid" + bytes([round, index])
        message = UpdateCommitment(
            task_id=task_id,
            round=round,
            point_x=committed.x,
            point_y=committed.y,
            cid_digest=cid_digest(cid),
        )
        trainer = self.trainers[index]
        signature = sign_update(trainer, self.market.domain, message)
        return Submission(trainer=trainer.address, point=committed, cid=cid, signature=signature)

    def commit(self, task_id: int, round: int = 0, trainers: int = 3, rounds: int = ROUNDS) -> list[Submission]:
        """Commits a round of the first trainers."""
        submissions = [self.submission(task_id, round, index, rounds) for index in range(trainers)]
        self.market.commit_round(self.aggregator, task_id, round, submissions)
        return submissions

    def settlement(self, submissions: list[Submission], scores: tuple[int, ...], **changes: Any) -> Settlement:
        """Accepts whoever has a score; the proofs are for the accepting verifier. `changes` are those of the config."""
        points = tuple(submission.point for submission in submissions)
        triangle = len(points) * (len(points) + 1) // 2
        padding = (0,) * (SLOTS - len(scores))
        return Settlement(
            trainers=tuple(submission.trainer for submission in submissions),
            points=points,
            gram=tuple(range(-5, triangle - 5)),
            accept=tuple(score > 0 for score in scores),
            scores=scores + padding,
            update_proof=b"update",
            update_key=UPDATE_KEY,
            rule_proof=b"rule",
            rule_vka=RULE_VKA,
            terms=ProofTerms.of(self.config(**changes)),
        )


def create_malformed(market: Market, owner: LocalAccount, config: TaskConfig) -> int:
    """A task whose rule name is no text, which the bindings would not make."""
    mark = "UNTEXT"
    fn = market._fn.createTask(_config_tuple(config), b"\x01", mark)
    data = fn._encode_transaction_data().replace(mark.encode().hex(), "ff" * len(mark))
    request = {"to": market.address, "value": config.total_reward_wei, "gas": 2_000_000, "data": data}
    market.chain.wait(HexBytes(market.chain._submit(owner, request).hash))
    return market.task_count()


def build_world(rpc_url: str, private_keys: tuple[str, ...]) -> World:
    """Deploys everything."""
    chain = Chain(rpc_url)
    owner, aggregator, anyone, *trainers = (Account.from_key(key) for key in private_keys[:9])
    deployment = deploy(chain, owner)
    accepting, _ = create(chain, owner, artifacts.forge("AcceptingVerifier", "Verifiers"))
    argument, _ = create(chain, owner, artifacts.forge("AcceptingArgument", "Verifiers"))
    market, _ = create(chain, owner, artifacts.market(), argument)
    return World(
        chain=chain,
        market=Market(chain, market),
        strict_market=Market(chain, deployment.market),
        verifier=accepting,
        real_verifier=deployment.verifier,
        owner=owner,
        aggregator=aggregator,
        anyone=anyone,
        trainers=tuple(trainers),
    )


_CHAINS: dict[str, Callable[[], Any]] = {"embedded": embedded_chain, "anvil": anvil_chain}


@pytest.fixture(scope="session", params=list(_CHAINS))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The same world on every kind of chain."""
    with _CHAINS[request.param]() as local:
        yield build_world(*local)
