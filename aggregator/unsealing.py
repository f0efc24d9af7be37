"""Keys of sealed updates. They rest nowhere but under this aggregator's own key, in the objects' headers."""

from aggregator.records import Update
from aggregator.tools import Tools
from contracts.bindings import NOBODY
from protocol.sealing import HEADER_BYTES, update_context
from store.sealed import key_of, open_with_key


def key_of_header(header: bytes, *, task_id: int, round: int, sender: str, tools: Tools) -> bytes:
    """The key of an update, from what stands before its chunks.

    Raises:
        SealError: it is not sealed for this aggregator, or for another task, round or sender.
    """
    context = update_context(tools.market.domain, task_id, round, sender)
    return key_of(header, tools.account, context=context)


def key_of_update(update: Update, tools: Tools) -> bytes | None:
    """The key of a stored update; None for the sum that nobody sent, which is no secret: anyone can add it up."""
    if update.trainer == NOBODY:
        return None
    header = b"".join(tools.store.stream(update.cid, 0, HEADER_BYTES))
    return key_of_header(header, task_id=update.task_id, round=update.round, sender=update.trainer, tools=tools)


def opened(update: Update, tools: Tools) -> bytes:
    """The update object's plain bytes."""
    data, key = tools.store.get(update.cid), None
    if update.trainer != NOBODY:
        header = data[:HEADER_BYTES]
        key = key_of_header(header, task_id=update.task_id, round=update.round, sender=update.trainer, tools=tools)
    return data if key is None else open_with_key(data, key)
