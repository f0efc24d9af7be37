"""Keys of sealed objects through the chain's log, on both kinds of chain."""

import secrets
from collections.abc import Sequence

import pytest
from hexbytes import HexBytes
from web3.types import TxReceipt

from contracts.bindings import TaskState, TransactionReverted, ValueOutOfRange
from contracts.bindings.keyboard import KeyBoard, KeyShare, shared_in, shared_with
from contracts.bindings.market_errors import ScoreWithoutAccept
from store.cid import cid_of
from store.errors import WrongKey
from store.keywrap import Receiver, WrappedKey
from store.sealed import read_header_of, seal, share, unseal
from tests.contracts.conftest import World

pytestmark = pytest.mark.slow
CONTEXT = bytes(32)


@pytest.fixture(scope="module")
def board(world: World) -> KeyBoard:
    return KeyBoard.deploy(world.chain, world.owner)


def share_with(world: World, data: bytes) -> KeyShare:
    """The owner's object, for the aggregator."""
    wrapped = share(data, world.owner, Receiver.of(world.aggregator), context=CONTEXT)
    return KeyShare(object_id=read_header_of(data).object_id, cid=cid_of(data), wrapped_key=wrapped.to_bytes())


def test_a_later_receiver_finds_its_key_on_chain(world: World, board: KeyBoard) -> None:
    plain = secrets.token_bytes(100)
    data = seal(plain, receivers=[Receiver.of(world.owner)], context=CONTEXT)
    given = share_with(world, data)
    receipt = board.share(world.owner, [given])
    print(f"share, 1 key: {receipt['gasUsed']} gas")
    [found] = board.shared_with(world.aggregator.address, object_id=given.object_id)
    assert found.sender == world.owner.address
    assert found.receiver == world.aggregator.address
    assert found.cid == cid_of(data)
    wrapped = WrappedKey.from_bytes(found.wrapped_key)
    assert unseal(data, world.aggregator, context=CONTEXT, wrapped=wrapped) == plain
    assert board.shared_with(world.anyone.address) == []


def test_what_strangers_share_does_no_harm(world: World, board: KeyBoard) -> None:
    """Anyone can name any object and any receiver; the wrong key does not open."""
    data = seal(b"x", receivers=[Receiver.of(world.owner)], context=CONTEXT)
    other = seal(b"y", receivers=[Receiver.of(world.anyone)], context=CONTEXT)
    identity = read_header_of(data).object_id
    forged = share(other, world.anyone, Receiver.of(world.aggregator), context=CONTEXT)
    board.share(world.anyone, [KeyShare(object_id=identity, cid=cid_of(data), wrapped_key=forged.to_bytes())])
    board.share(world.owner, [share_with(world, data)])
    opened = []
    for found in board.shared_with(world.aggregator.address, object_id=identity):
        wrapped = WrappedKey.from_bytes(found.wrapped_key)
        try:
            opened.append(unseal(data, world.aggregator, context=CONTEXT, wrapped=wrapped))
        except WrongKey:
            assert found.sender == world.anyone.address
    assert opened == [b"x"]


@pytest.mark.parametrize("length", [1 << 255, (1 << 64) + 32, 1 << 40], ids=["huge", "word", "long"])
def test_logs_that_are_no_shares_are_left_out(length: int, world: World, board: KeyBoard) -> None:
    """Any contract can write them, with any data."""
    data = seal(b"x", receivers=[Receiver.of(world.owner)], context=CONTEXT)
    given = share_with(world, data)
    board.share(world.owner, [given])
    [log] = world.chain.logs({"fromBlock": 0, "toBlock": "latest", "topics": [None, HexBytes(given.object_id)]})
    receipt = write_log(world, log["topics"], [0x40, 0x80, length, 0, length, 0])
    assert shared_in(receipt, world.aggregator.address) == []
    found = shared_with(world.chain, world.aggregator.address, object_id=given.object_id)
    assert [share.wrapped_key for share in found] == [given.wrapped_key]


def write_log(world: World, topics: Sequence[bytes], words: list[int]) -> TxReceipt:
    """Has a contract's constructor write any log of four topics."""
    code = b"".join(b"\x7f" + w.to_bytes(32, "big") + b"\x60" + bytes([32 * i]) + b"\x52" for i, w in enumerate(words))
    code += b"".join(b"\x7f" + bytes(topic) for topic in reversed(topics))
    code += b"\x60" + bytes([32 * len(words)]) + b"\x60\x00\xa4\x00"
    eth, account = world.chain.w3.eth, world.anyone
    fields = {"nonce": eth.get_transaction_count(account.address), "chainId": world.chain.chain_id, "data": code}
    fields |= {"gas": 500_000, "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9, "value": 0}
    sent = eth.send_raw_transaction(account.sign_transaction(fields).raw_transaction)
    return eth.wait_for_transaction_receipt(sent)


def test_a_models_key_comes_with_the_last_pay(world: World, board: KeyBoard) -> None:
    """One transaction books the pay and hands the key over, or neither happens."""
    task_id = world.opened(rounds=1)
    submissions = world.commit(task_id, 0, rounds=1)
    model = seal(b"model", receivers=[Receiver.of(world.owner)], context=CONTEXT)
    given = share_with(world, model)
    wrong = world.settlement(submissions, (0, 0, 0), rounds=1)
    object.__setattr__(wrong, "scores", (1, *wrong.scores[1:]))
    with pytest.raises(TransactionReverted) as caught:
        board.settle_and_share(world.anyone, world.market, task_id, 0, wrong, [given])
    assert caught.value.error_name == ScoreWithoutAccept.__name__
    assert board.shared_with(world.aggregator.address, object_id=given.object_id) == []
    settlement = world.settlement(submissions, (1, 0, 0), rounds=1)
    board.settle_and_share(world.anyone, world.market, task_id, 0, settlement, [given])
    assert world.market.task(task_id).state == TaskState.CLOSED
    assert world.market.credit(task_id, submissions[0].trainer)[0] > 0
    assert len(board.shared_with(world.aggregator.address, object_id=given.object_id)) == 1


@pytest.mark.parametrize(("field", "value"), [("object_id", bytes(31)), ("wrapped_key", bytes(100))])
def test_lengths_are_checked(field: str, value: bytes) -> None:
    fields = {"object_id": bytes(32), "cid": b"x", "wrapped_key": bytes(101), field: value}
    with pytest.raises(ValueOutOfRange, match=field):
        KeyShare(**fields)
