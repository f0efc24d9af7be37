"""A market on a chain with a round committed and proven: where attacks start from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from eth_account import Account
from eth_account.signers.local import LocalAccount

from circuits.bn254 import G1Point
from circuits.commitment import Column, commit, draw_for_round, empty_column
from circuits.linear import update_argument
from circuits.linear.gram import gram, padded, upper_triangle
from circuits.model import genesis
from circuits.proof import Proof
from circuits.prover import Prover
from circuits.statement import DEMO_STATEMENT, Statement
from contracts.bindings import (
    Chain,
    Market,
    ProofTerms,
    Settlement,
    Submission,
    TaskConfig,
    UpdateCommitment,
    cid_digest,
    deploy,
    proof_context,
    register_vka,
)
from contracts.bindings.devchain import LocalChain
from contracts.bindings.eip712 import sign_update
from store.cid import cid_of
from store.objects import encode_model

REWARD_PER_ROUND_WEI = 10**18
TRAINERS = 7  # of 8 slots, so that an empty slot is part of every proof


@dataclass(frozen=True, kw_only=True)
class Round:
    """A committed round of `task_id`, and an honest settlement of it."""

    task_id: int
    number: int
    columns: list[Column]
    points: list[G1Point]
    settlement: Settlement
    linear: Proof
    rule: Proof


class Scene:
    """Owner, aggregator and trainers on one chain; rounds of random updates on demand."""

    def __init__(self, local: LocalChain, prover: Prover, statement: Statement = DEMO_STATEMENT) -> None:
        self.prover, self.statement = prover, statement
        self.chain = Chain(local.rpc_url)
        accounts: list[LocalAccount] = [Account.from_key(key) for key in local.private_keys]
        self.owner, self.aggregator, self.outsider, *rest = accounts
        self.trainers = rest[:TRAINERS]
        self.deployment = deploy(self.chain, self.owner)
        self.market = Market(self.chain, self.deployment.market)
        self.srs = prover.srs(statement.logrows)
        self.update_key = statement.update_key(self.srs)
        self.rule_keys = prover.keys(statement.rule_circuit)
        register_vka(self.chain, self.aggregator, self.deployment.verifier, self.rule_keys.vka_words)

    def open_task(self, *, rounds: int = 2, **changes: object) -> int:
        """A task with every trainer joined and the bond posted; `changes` replace fields of its config."""
        start = self.genesis()
        fields: dict[str, object] = {
            "aggregator": self.aggregator.address,
            "reward_per_round_wei": REWARD_PER_ROUND_WEI,
            "bond_wei": REWARD_PER_ROUND_WEI,
            "rounds": rounds,
            "quorum": TRAINERS,
            "slots": self.statement.slots,
            "dim": self.statement.dim,
            "bits": self.statement.fmt.bits,
            "k": self.statement.logrows,
            "fractional_bits": self.statement.fmt.fraction_bits,
            "commit_window_seconds": 3600,
            "settle_window_seconds": 3600,
            "verifier": self.deployment.verifier,
            "update_key": self.update_key.digest,
            "rule_vka": self.rule_keys.vka_digest,
            "rule_params": self.statement.rule_param_words,
            "genesis": commit(start, self.srs),
            "empty_column": commit(empty_column(self.statement.dim, self.statement.fmt), self.srs),
            "genesis_cid": cid_of(encode_model(start)),
            "rule_name": self.statement.rule.name,
        }
        task_id = self.market.create_task(self.owner, TaskConfig(**(fields | changes)))  # type: ignore[arg-type]
        for trainer in self.trainers:
            self.market.join(trainer, task_id)
        self.market.post_bond(self.aggregator, task_id)
        return task_id

    def genesis(self) -> Column:
        """The model before the first round: zeros."""
        return genesis(np.zeros(self.statement.dim), self.statement.fmt, self.statement.slots)

    def draw_columns(self, seed: int, number: int, rounds: int) -> tuple[list[Column], list[G1Point]]:
        """One random update a trainer, for round `number` of `rounds`, and the commitments."""
        rng, fmt = np.random.default_rng(seed), self.statement.fmt
        size = (len(self.trainers), self.statement.dim)
        rows = rng.integers(fmt.lowest, fmt.highest + 1, size)
        drawn = [draw_for_round(row, fmt, self.srs, round=number, rounds=rounds) for row in rows]
        return [column for column, _ in drawn], [point for _, point in drawn]

    def submission(self, task_id: int, number: int, trainer: LocalAccount, point: G1Point) -> Submission:
        """A trainer's signed word for its point."""
        cid = cid_of(point.to_bytes())
        message = UpdateCommitment(
            task_id=task_id, round=number, point_x=point.x, point_y=point.y, cid_digest=cid_digest(cid)
        )
        signature = sign_update(trainer, self.market.domain, message)
        return Submission(trainer=trainer.address, point=point, cid=cid, signature=signature)

    def commit_round(self, task_id: int, number: int, points: Sequence[G1Point]) -> None:
        """Fixes the round's updates on chain."""
        rows = [self.submission(task_id, number, t, p) for t, p in zip(self.trainers, points, strict=True)]
        self.market.commit_round(self.aggregator, task_id, number, rows)

    def argue(self, task_id: int, number: int, columns: list[Column], points: list[G1Point]) -> Proof:
        """The update argument about these columns, for a round of this market."""
        context = proof_context(self.market.domain, task_id, number)
        return update_argument.prove(self.srs, self.update_key, context=context, columns=columns, points=points)

    def prove(self, task_id: int, number: int, columns: list[Column], points: list[G1Point]) -> Round:
        """Both proofs, and the settlement that they support."""
        statement, n = self.statement, len(columns)
        matrix = padded(gram(columns), statement.slots)
        linear = self.argue(task_id, number, columns, points)
        params = statement.rule_param_list
        rule_inputs = statement.rule_circuit.inputs(upper_triangle(matrix), statement.active_bits(n), params)
        rule = self.prover.prove(statement.rule_circuit, rule_inputs)
        accept, score = statement.rule.reference(matrix, statement.active_bits(n), **statement.rule_params)
        settlement = Settlement(
            trainers=tuple(t.address for t in self.trainers),
            points=tuple(points),
            gram=linear.instances,
            accept=tuple(map(bool, accept)),
            scores=tuple(score),
            update_proof=linear.data,
            update_key=self.update_key.words,
            rule_proof=rule.data,
            rule_vka=self.rule_keys.vka_words,
            terms=ProofTerms.of(self.market.task(task_id).config),
        )
        return Round(
            task_id=task_id,
            number=number,
            columns=columns,
            points=points,
            settlement=settlement,
            linear=linear,
            rule=rule,
        )

    def committed_round(self, task_id: int, number: int, seed: int) -> Round:
        """A round of random updates, committed on chain and proven."""
        columns, points = self.draw_columns(seed, number, self.market.task(task_id).config.rounds)
        self.commit_round(task_id, number, points)
        return self.prove(task_id, number, columns, points)

    def try_settle(self, task_id: int, number: int, settlement: Settlement) -> None:
        """What `settle_round` would do, without doing it: raises as it would."""
        from contracts.bindings.market import settlement_tuple

        fn = self.market._fn.settleRound(task_id, number, settlement_tuple(settlement))
        self.chain.read(fn, sender=self.outsider.address)
