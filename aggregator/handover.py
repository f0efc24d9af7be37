"""The last model of a task whose owner has it sealed: made before the round is settled, handed over as it is.

The sealed object is in the store, and its wrapped key in the state, before the transaction that carries the key is
made; so every attempt carries the same key, and the object is there whichever of them is mined. The key itself is kept
nowhere: only the owner opens the object.
"""

from collections.abc import Sequence

from web3.types import TxReceipt

from aggregator import anchors
from aggregator.errors import Disagreement, StateLost
from aggregator.outbox import Outbox
from aggregator.records import Model, Purpose, Update
from aggregator.served import ServedTask
from aggregator.tools import Tools, off_loop
from circuits.bn254 import G1Point
from circuits.commitment import Column, check_opening
from circuits.errors import CommitmentMismatch
from circuits.linear.gram import full_matrix
from circuits.model import fold, fold_commitment
from circuits.rules import pace
from contracts.bindings import Journal, KeyBoard, KeyShare, KeyUnknown, Settlement, TaskView
from protocol import last_model
from protocol.holders import holder_of
from protocol.terms import Derived, UnacceptableTerms
from store.keywrap import Receiver
from store.objects import decode_model, encode_model
from store.sealed import header_size_bytes, read_header_of


def owner_key_of(view: TaskView, tools: Tools) -> Receiver | None:
    """Whom a task's last model is sealed for; None if it is not.

    Raises:
        UnacceptableTerms: the owner has no key of its own.
    """
    if not last_model.is_asked(view.config):
        return None
    try:
        return last_model.owner_key(tools.market, view)
    except KeyUnknown as error:
        raise UnacceptableTerms("rule_name", view.config.rule_name, f"a model cannot be sealed: {error}") from error


def next_model(
    task_id: int, round: int, accepted: Sequence[Update], commitment: G1Point, *, terms: Derived, tools: Tools
) -> Column:
    """The model after a round.

    Args:
        commitment: what it must open.
    Raises:
        Disagreement: it does not. StateLost: the model before is not here.
    """
    statement = terms.statement
    before = tools.state.model(task_id, round)
    if before is None:
        raise StateLost(f"model {round} of task {task_id} is not in this state")
    columns = anchors.columns_of(accepted, statement, tools)
    after = fold(decode_model(tools.store.get(before.cid), statement.dim), columns, statement.slots)
    try:
        check_opening(after, commitment, terms.srs)
    except CommitmentMismatch as error:
        raise Disagreement(f"model after round {round}", "the chain's commitment", error) from error
    return after


class Handover:
    """Of one task, whose owner may not want its last model sealed."""

    def __init__(self, task: ServedTask, terms: Derived, tools: Tools, outbox: Outbox) -> None:
        self._task = task
        self._terms = terms
        self._tools = tools
        self._outbox = outbox

    def is_due(self, round: int, updates: Sequence[Update], gram: Sequence[int]) -> bool:
        """Whether a round leads to a model that is sealed.

        Args:
            updates: the round's, judged. gram: upper triangle of the proven matrix of these.
        """
        if self._task.owner_key is None:
            return False
        accept = [int(bool(update.accepted)) for update in updates]
        norm, count = pace.norm(full_matrix(gram, len(accept)), accept)
        return last_model.ends_task(self._task.config, round, norm=norm, count=count)

    async def model(self, round: int, updates: Sequence[Update]) -> Model:
        """The sealed model after a round, in store and state; made unless it is there.

        Raises:
            Disagreement, StateLost: as `next_model` does.
        """
        return await self._tools.with_store(self._model, round, updates)

    async def share(self, model: Model) -> KeyShare:
        """What the owner is handed; needs the object, which so is known to be there."""
        return await self._tools.with_store(self._share, model)

    def settle(self, round: int, settlement: Settlement, share: KeyShare, journal: Journal) -> TxReceipt:
        """Settles a round and hands the key over, both or neither; blocks as `Market.settle_round` does."""
        tools = self._tools
        return self._board.settle_and_share(
            tools.account, tools.market, self._task.task_id, round, settlement, [share], journal
        )

    async def make_good(self, round: int, share: KeyShare) -> None:
        """Hands the key over where somebody else has settled the round: anyone can, who has its proofs."""
        receiver, begin = share.receiver, self._task.view.created_at_block
        given = await off_loop(self._board.shared_with, receiver, object_id=share.object_id, from_block=begin)
        if any(known.wrapped_key == share.wrapped_key and known.cid == share.cid for known in given):
            return
        self._tools.log.warning("key.shared_late", task=self._task.task_id, round=round)

        def give(journal: Journal) -> TxReceipt:
            return self._board.share(self._tools.account, [share], journal)

        await self._outbox.send(Purpose.SHARE, round, give)

    @property
    def _board(self) -> KeyBoard:
        # Without one such a task is not served (see policy.py).
        assert self._tools.board is not None
        return self._tools.board

    def _share(self, model: Model) -> KeyShare:
        header = read_header_of(b"".join(self._tools.store.stream(model.cid, 0, header_size_bytes(0))))
        return KeyShare(object_id=header.object_id, cid=model.cid, wrapped_key=model.wrapped_key)

    def _model(self, round: int, updates: Sequence[Update]) -> Model:
        tools, task_id = self._tools, self._task.task_id
        accepted = [update for update in updates if update.accepted]
        commitment = self._commitment_after(round, accepted)
        known = tools.state.model(task_id, round + 1)
        # Another commitment is that of a round that the chain took back, and that went on with other updates.
        # And one whose object is lost has to be made again, since its key is kept nowhere.
        is_right = known is not None and known.wrapped_key and known.point == commitment
        if known is not None and is_right and tools.store.has(known.cid):
            return known
        plain = encode_model(next_model(task_id, round, accepted, commitment, terms=self._terms, tools=tools))
        assert self._task.owner_key is not None
        context = last_model.model_context(tools.market.domain, task_id, round + 1)
        sealed = last_model.seal_model(plain, self._task.owner_key, context)
        cid = tools.store.put_for(holder_of(task_id), sealed.data)
        tools.boundary("store.model")
        model = Model(
            task_id=task_id,
            version=round + 1,
            cid=cid,
            size_bytes=len(sealed.data),
            point=commitment,
            wrapped_key=sealed.key.to_bytes(),
        )
        tools.state.put_model(model)
        return model

    def _commitment_after(self, round: int, accepted: Sequence[Update]) -> G1Point:
        """What the settlement will leave on chain."""
        before = self._tools.state.model(self._task.task_id, round)
        if before is None:
            raise StateLost(f"model {round} of task {self._task.task_id} is not in this state")
        return fold_commitment(before.point, [update.point for update in accepted], self._terms.statement.slots)
