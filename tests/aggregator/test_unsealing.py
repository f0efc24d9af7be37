"""Updates travel and rest sealed: for this aggregator, and one task, round and sender."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from aggregator.jobs import ColumnAt
from aggregator.records import Step
from aggregator.service import Aggregator
from circuits.commitment import Column
from clients.sending import receiver_of
from clients.service import AggregatorClient
from protocol import refusals
from protocol.sealing import HEADER_BYTES, seal_update, update_context
from store.errors import InvalidPublicKey, NotAReceiver
from store.keywrap import KEY_BYTES, Receiver
from store.objects import encode_update
from store.sealed import seal, share, unseal
from tests.stage import STATEMENT, Stage

pytestmark = pytest.mark.slow


@pytest.fixture
async def running(stage: Stage) -> AsyncIterator[tuple[Aggregator, AggregatorClient]]:
    async with stage.running() as pair:
        yield pair


@pytest.fixture
def client(running: tuple[Aggregator, AggregatorClient]) -> AggregatorClient:
    return running[1]


async def send(
    client: AggregatorClient, stage: Stage, task_id: int, data: bytes, column: Column, *, index: int = 0
) -> None:
    update = stage.sealed_update(task_id, 0, stage.trainers[index], column, data)
    await client.upload_update(update.header, update.data, update.signer)


async def test_no_plain_update_reaches_the_disk(stage: Stage, running: tuple[Aggregator, AggregatorClient]) -> None:
    """Through a whole task: nothing on disk holds an update."""
    aggregator, client = running
    task_id = await stage.open_task(client, rounds=1)
    sent = await stage.send(client, task_id, 0)
    await stage.reached(client, task_id, 0, Step.PUBLISHED)
    secrets_of = [encode_update(update.column, STATEMENT.fmt)[-STATEMENT.dim - 64 :] for update in sent]
    files = [path for path in stage.directory.rglob("*") if path.is_file()]
    assert any(path.read_bytes() == sent[0].data for path in files)
    for path in files:
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets_of), path
    for update in sent:
        assert aggregator.tools.store.get(update.header.cid) == update.data


async def test_an_outsider_cannot_read_an_update(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client)
    [update] = await stage.send(client, task_id, 0, count=1)
    context = update_context(stage.market.domain, task_id, 0, update.trainer)
    for account in (stage.outsider, stage.owner, stage.trainers[0], stage.trainers[1]):
        with pytest.raises(NotAReceiver):
            unseal(update.data, account, context=context)
    # The aggregator can let somebody else read it, and nothing of what is stored changes.
    later = share(update.data[:HEADER_BYTES], stage.operator, Receiver.of(stage.owner), context=context)
    plain = encode_update(update.column, STATEMENT.fmt)
    assert unseal(update.data, stage.owner, context=context, wrapped=later) == plain


async def test_what_is_not_sealed_for_this_very_place_is_refused(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client)
    trainer, other = stage.trainers[:2]
    column = stage.draw(0)
    plain = encode_update(column, STATEMENT.fmt)
    honest = stage.sealed(plain, task_id, 0, trainer)
    domain = stage.market.domain

    def made(receiver: Receiver, *place: object) -> bytes:
        return seal_update(plain, receiver, update_context(*place))  # type: ignore[arg-type]

    operator = Receiver.of(stage.operator)
    wrong = {
        "for another receiver": made(Receiver.of(stage.outsider), domain, task_id, 0, trainer.address),
        "another task's": made(operator, domain, task_id + 1, 0, trainer.address),
        "another round's": made(operator, domain, task_id, 1, trainer.address),
        "another sender's": made(operator, domain, task_id, 0, other.address),
        "another market's": made(operator, replace(domain, market=stage.verifier), task_id, 0, trainer.address),
        "another chain's": made(operator, replace(domain, chain_id=1), task_id, 0, trainer.address),
        "a flipped bit": honest[:-1] + bytes([honest[-1] ^ 1]),
        "a changed header": honest[:100] + bytes([honest[100] ^ 1]) + honest[101:],
        "another object's header": stage.sealed(plain, task_id, 0, trainer)[:HEADER_BYTES] + honest[HEADER_BYTES:],
        "not sealed": plain.ljust(len(honest), b"\0"),
    }
    for name, data in wrong.items():
        assert len(data) == len(honest), name
        with pytest.raises(refusals.MalformedContent) as caught:
            await send(client, stage, task_id, data, column)
        assert caught.value.field == "content", name
    await send(client, stage, task_id, honest, column)


async def test_sealed_updates_have_one_size(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client)
    trainer, column = stage.trainers[0], stage.draw(0)
    plain = encode_update(column, STATEMENT.fmt)
    context = update_context(stage.market.domain, task_id, 0, trainer.address)
    receivers = [Receiver.of(stage.operator), Receiver.of(stage.outsider)]
    for data in (seal(plain, receivers=receivers, context=context), plain):
        with pytest.raises(refusals.MalformedContent) as caught:
            await send(client, stage, task_id, data, column)
        assert caught.value.field == "size_bytes"


async def test_anothers_ciphertext_is_of_no_use(stage: Stage, client: AggregatorClient) -> None:
    """Who copies another's bytes, under a commitment of its own, is refused: they are sealed for the other."""
    task_id = await stage.open_task(client)
    [update] = await stage.send(client, task_id, 0, count=1)
    with pytest.raises(refusals.MalformedContent, match="context"):
        await send(client, stage, task_id, update.data, stage.draw(1), index=1)


async def test_the_aggregators_key_is_the_tasks(stage: Stage, client: AggregatorClient) -> None:
    task_id = await stage.open_task(client)
    task = await client.task(task_id)
    assert Receiver(task.aggregator_key).address == stage.operator.address
    view = stage.market.task(task_id)
    plain = encode_update(column := stage.draw(0), STATEMENT.fmt)
    context = update_context(stage.market.domain, task_id, 0, stage.trainers[0].address)
    data = seal_update(plain, await receiver_of(client, view), context)
    assert stage.opened(data, task_id, 0, stage.trainers[0].address).salts.tolist() == column.salts.tolist()


async def test_a_key_that_is_not_the_tasks_is_refused(stage: Stage, client: AggregatorClient) -> None:
    """Whoever stands in for the aggregator cannot have updates sealed for itself."""
    task_id = await stage.open_task(client)
    config = replace(stage.market.task(task_id).config, aggregator=stage.outsider.address)
    view = replace(stage.market.task(task_id), config=config)
    with pytest.raises(InvalidPublicKey):
        await receiver_of(client, view)


def test_keys_are_in_no_text() -> None:
    key = bytes(range(KEY_BYTES))
    assert repr(key) not in repr(ColumnAt(cid=b"x", key=key))
