"""An owner's files of its task: downloads what was proven and handed over, beside what the chain says."""

import asyncio

from merit.v1.proofs_pb2 import ProofLayer

from circuits.prover import Prover
from clients.bundle import Bundle
from clients.owner import CheckedModel
from clients.record import round_record, task_record
from clients.service import AggregatorClient
from contracts.bindings import Market
from protocol.terms import statement_of
from store.objects import model_size_limit_bytes


class Collector:
    """Fills a bundle while a task runs. What it downloads is checked by `merit verify`, not here."""

    def __init__(
        self, bundle: Bundle, *, market: Market, aggregator: AggregatorClient, prover: Prover, task_id: int
    ) -> None:
        self._bundle = bundle
        self._market = market
        self._aggregator = aggregator
        self._prover = prover
        self._task_id = task_id

    async def begin(self) -> None:
        """Writes the task's terms, the genesis model and the strings."""
        config = (await asyncio.to_thread(self._market.task, self._task_id)).config
        statement = statement_of(config)
        rows = sorted({statement.logrows, statement.rule_circuit.settings.logrows})
        strings = [self._prover.srs(k) for k in rows]
        record = await asyncio.to_thread(task_record, self._market, self._task_id, strings)
        limit_bytes = model_size_limit_bytes(config.dim)
        genesis = await self._aggregator.download_model(self._task_id, 0, limit_bytes=limit_bytes)
        await asyncio.to_thread(self._bundle.write_task, record, genesis, strings)

    async def add(self, model: CheckedModel) -> None:
        """Writes a settled round: record, both proofs, and the model that was checked."""
        linear, rule = [
            await self._aggregator.download_proof(self._task_id, model.round, layer)
            for layer in (ProofLayer.PROOF_LAYER_LINEAR, ProofLayer.PROOF_LAYER_RULE)
        ]
        record = await asyncio.to_thread(round_record, self._market, self._task_id, model.round)
        proofs = (linear.to_json().encode(), rule.to_json().encode())
        await asyncio.to_thread(self._bundle.write_round, record, *proofs, model.data, model.sealed)
