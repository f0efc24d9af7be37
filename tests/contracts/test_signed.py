"""A transaction that is kept is sent once: taken up again, told to nodes that forgot it, or replaced, never doubled."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import pytest
from eth_account import Account
from eth_account.datastructures import SignedTransaction
from eth_account.signers.local import LocalAccount
from eth_utils.conversions import to_bytes
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

from contracts.bindings import (
    Chain,
    Journal,
    Signed,
    TransactionReplaced,
    TransactionTimeout,
    artifacts,
    chain,
    check_verifier,
)
from contracts.bindings.deploy import create
from contracts.bindings.devchain import anvil_chain

VERIFIER_KEYS = [(bytes([i]) * 32,) for i in range(1, 4)]


class Kept:
    """A journal in memory; it is told in order."""

    def __init__(self) -> None:
        self.kept: list[Signed] = []
        self.told: list[str] = []

    def latest(self) -> Signed | None:
        return self.kept[-1] if self.kept else None

    def signed(self, transaction: Signed) -> None:
        self.told.append("signed")
        self.kept.append(transaction)

    def sent(self, transaction: Signed) -> None:
        assert transaction == self.kept[-1]
        self.told.append("sent")


class Killed(Exception):
    pass


class World:
    """A chain that mines on demand, and a contract on it whose calls can be repeated."""

    every_seconds = 0.05

    def __init__(self, rpc_url: str, key: str) -> None:
        self.chain = Chain(rpc_url, timeout_seconds=30)
        self.account: LocalAccount = Account.from_key(key)
        verifier, _ = create(self.chain, self.account, artifacts.verifier())
        self._contract = self.chain.contract(verifier, artifacts.verifier().abi)
        self.ask("evm_setAutomine", False)
        self.before = self.sent

    def ask(self, method: str, *params: object) -> None:
        answer = self.chain.w3.provider.make_request(method, list(params))  # type: ignore[arg-type]
        assert "error" not in answer, answer

    def call(self, index: int = 0) -> ContractFunction:
        return self._contract.functions.registerVka(list(VERIFIER_KEYS[index]))

    def send(self, journal: Journal, index: int = 0) -> TxReceipt:
        return self.chain.send(self.account, self.call(index), journal=journal)

    @property
    def sent(self) -> int:
        """Mined transactions of the account."""
        return self.chain.w3.eth.get_transaction_count(self.account.address)

    def mine(self) -> None:
        self.ask("evm_mine")

    @contextmanager
    def mining(self) -> Iterator[None]:
        """Blocks come by themselves."""
        stop = threading.Event()

        def mine() -> None:
            while not stop.wait(self.every_seconds):
                self.mine()

        thread = threading.Thread(target=mine)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def world() -> Iterator[World]:
    with anvil_chain() as local:
        yield World(local.rpc_url, local.private_keys[0])


def killed_at(journal: Kept, moment: str) -> None:
    """The process ends when the journal is told this."""
    original: Callable[[Signed], None] = getattr(journal, moment)

    def dying(transaction: Signed) -> None:
        original(transaction)
        raise Killed

    setattr(journal, moment, dying)


@pytest.mark.parametrize("moment", ["signed", "sent"])
def test_a_restart_takes_up_what_was_sent_or_nearly(moment: str, world: World) -> None:
    journal = Kept()
    killed_at(journal, moment)
    with pytest.raises(Killed):
        world.send(journal)
    with world.mining():
        receipt = world.send(journal)
        assert bytes(receipt["transactionHash"]) == journal.kept[0].hash
        # Nothing is sent for what is mined, either.
        assert world.send(journal)["transactionHash"] == receipt["transactionHash"]
    assert world.sent - world.before == 1
    assert journal.told == (["signed"] if moment == "signed" else ["signed", "sent"])


def test_a_node_that_forgot_it_is_told_again(world: World) -> None:
    journal = Kept()
    killed_at(journal, "sent")
    with pytest.raises(Killed):
        world.send(journal)
    world.ask("anvil_dropTransaction", "0x" + journal.kept[0].hash.hex())
    with world.mining():
        world.send(journal)
    assert world.sent - world.before == 1


def test_one_that_waits_for_too_long_is_replaced_by_a_dearer_one(world: World) -> None:
    world.chain.timeout_seconds = 0.5
    journal = Kept()
    with pytest.raises(TransactionTimeout):
        world.send(journal)
    with pytest.raises(TransactionTimeout):
        world.send(journal)
    first, second = journal.kept
    assert (first.nonce, first.data) == (second.nonce, second.data)
    assert second.raised({"maxFeePerGas": 0})["maxFeePerGas"] > first.raised({"maxFeePerGas": 0})["maxFeePerGas"]
    world.chain.timeout_seconds = 30
    with world.mining():
        assert bytes(world.send(journal)["transactionHash"]) == second.hash
    assert world.sent - world.before == 1


class Expensive(World):
    """Every block asks for a base fee that what was signed before does not pay."""

    BASE_FEE_WEI = 10**12
    every_seconds = 0.1

    def mine(self) -> None:
        self.ask("anvil_setNextBlockBaseFeePerGas", hex(self.BASE_FEE_WEI))
        super().mine()


@pytest.fixture
def expensive() -> Iterator[Expensive]:
    with anvil_chain() as local:
        yield Expensive(local.rpc_url, local.private_keys[0])


def max_fee(transaction: Signed) -> int:
    """Most that it pays for a unit of gas."""
    return int(transaction._fields["maxFeePerGas"])


@pytest.mark.parametrize("journalled", [True, False])
def test_one_that_blocks_leave_out_is_sent_with_higher_fees(journalled: bool, expensive: Expensive) -> None:
    """And what the account sent after it is not held back any more."""
    first, second = Kept(), Kept()
    with ThreadPoolExecutor(2) as threads:
        sending = [threads.submit(expensive.chain.send, expensive.account, expensive.call(0), journal=first)]
        while not first.kept:
            time.sleep(0.01)
        journal = second if journalled else None
        sending.append(threads.submit(expensive.chain.send, expensive.account, expensive.call(1), journal=journal))
        while expensive.chain.w3.eth.get_transaction_count(expensive.account.address, "pending") < expensive.before + 2:
            time.sleep(0.01)
        assert max_fee(first.kept[0]) < expensive.BASE_FEE_WEI
        with expensive.mining():
            receipts = [each.result(60) for each in sending]
    assert [receipt["status"] for receipt in receipts] == [1, 1]
    assert expensive.sent - expensive.before == 2
    assert bytes(receipts[0]["transactionHash"]) in {each.hash for each in first.kept[1:]}
    assert first.told == ["signed", "sent"] * len(first.kept)
    for before, after in pairwise(first.kept):
        assert (after.nonce, after.data, after.call) == (before.nonce, before.data, before.call)
        assert max_fee(after) >= max_fee(before) * 9 // 8
    nonces = {each.nonce for each in second.kept}
    assert nonces <= {first.kept[0].nonce + 1}


def test_who_cannot_pay_more_waits_with_what_was_sent(expensive: Expensive) -> None:
    journal = Kept()
    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(expensive.send, journal)
        while not journal.told:
            time.sleep(0.01)
        first = journal.kept[0]
        held_wei = first.call["gas"] * max_fee(first)
        expensive.ask("anvil_setBalance", expensive.account.address, hex(held_wei))
        with expensive.mining():
            while len(journal.kept) < 3:
                time.sleep(0.05)
        assert not sending.done()
        while not sending.done():
            expensive.ask("anvil_setNextBlockBaseFeePerGas", hex(1))
            expensive.ask("evm_mine")
            time.sleep(0.05)
        receipt = sending.result()
    assert bytes(receipt["transactionHash"]) == first.hash
    assert journal.kept[-1] == first
    assert journal.told.count("sent") == 1


def test_a_creation_that_blocks_leave_out_is_sent_with_higher_fees(expensive: Expensive) -> None:
    with ThreadPoolExecutor(1) as threads:
        creating = threads.submit(create, expensive.chain, expensive.account, artifacts.verifier())
        while expensive.chain.w3.eth.get_transaction_count(expensive.account.address, "pending") == expensive.before:
            time.sleep(0.01)
        with expensive.mining():
            address, _ = creating.result(60)
    check_verifier(expensive.chain, address)


def test_fees_stay_within_a_few_times_what_the_chain_charges(world: World) -> None:
    """What waits for an earlier transaction that is gone is mined at no price."""
    world.ask("eth_sendRawTransaction", (gap := transfer_of(world)).raw_transaction.to_0x_hex())
    journal = Kept()
    world.chain.timeout_seconds = 4
    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(world.send, journal)
        while not journal.told:
            time.sleep(0.01)
        world.ask("anvil_dropTransaction", gap.hash.to_0x_hex())
        market_wei = max(world.chain._fees().values())
        with world.mining(), pytest.raises(TransactionTimeout):
            sending.result(60)
    assert len(journal.kept) > 2
    assert max(map(max_fee, journal.kept)) <= 4 * market_wei
    dearest = journal.kept[-1]
    with world.mining(), pytest.raises(TransactionTimeout) as caught:
        world.send(journal)
    assert journal.kept[-1] == dearest
    assert caught.value.tx_hash == "0x" + dearest.hash.hex()


def transfer_of(world: World) -> SignedTransaction:
    """The account's next transaction, which nobody sends."""
    fields = {"to": "0x" + "11" * 20, "value": 1, "gas": 21_000, "gasPrice": 10**10}
    return world.account.sign_transaction(fields | {"nonce": world.sent, "chainId": world.chain.chain_id})


def test_another_call_for_the_same_purpose_takes_its_place(world: World) -> None:
    journal = Kept()
    killed_at(journal, "sent")
    with pytest.raises(Killed):
        world.send(journal, 0)
    del journal.sent
    world.chain.timeout_seconds = 0.5
    with pytest.raises(TransactionTimeout):
        world.send(journal, 1)
    world.chain.timeout_seconds = 30
    with world.mining():
        receipt = world.send(journal, 1)
    assert bytes(receipt["transactionHash"]) == journal.kept[1].hash
    assert world.sent - world.before == 1
    assert world.chain.receipt(journal.kept[0].hash) is None


def test_one_whose_nonce_is_taken_is_sent_anew(world: World) -> None:
    """It never got to a node, and something else of the account went first."""
    journal = Kept()
    killed_at(journal, "signed")
    with pytest.raises(Killed):
        world.send(journal)
    del journal.signed
    with world.mining():
        world.chain.transfer(world.account, "0x" + "11" * 20, 1)
        receipt = world.send(journal)
    assert bytes(receipt["transactionHash"]) == journal.kept[1].hash
    assert journal.kept[1].nonce == journal.kept[0].nonce + 1


def test_one_that_was_taken_back_is_sent_again(world: World) -> None:
    journal = Kept()
    with world.mining():
        first = world.send(journal)
    world.ask("anvil_reorg", world.chain.block_number() - first["blockNumber"] + 1, [])
    assert world.chain.receipt(journal.kept[0].hash) is None
    with world.mining():
        again = world.send(journal)
    assert again["transactionHash"] == first["transactionHash"]
    assert again["blockHash"] != first["blockHash"]


def test_who_was_replaced_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same key in other hands, while it was waited for."""
    monkeypatch.setattr(chain, "_SURE_AFTER", 1)
    journal = Kept()

    def overtaken(transaction: Signed) -> None:
        world.ask("anvil_dropTransaction", "0x" + transaction.hash.hex())
        other = threading.Thread(target=world.chain.w3.eth.send_raw_transaction, args=(rival.raw_transaction,))
        other.start()
        other.join()
        world.ask("evm_mine")

    rival = transfer_of(world)
    journal.sent = overtaken  # type: ignore[method-assign]
    with pytest.raises(TransactionReplaced) as caught:
        world.send(journal)
    assert caught.value.tx_hash == "0x" + journal.kept[0].hash.hex()


@pytest.mark.parametrize("kind", ["gasPrice", "maxFeePerGas"])
def test_what_a_transaction_says_is_read_from_its_bytes(kind: str) -> None:
    account: LocalAccount = Account.create()
    fees = {"gasPrice": 800} if kind == "gasPrice" else {"maxFeePerGas": 800, "maxPriorityFeePerGas": 80}
    fields = {"to": "0x" + "11" * 20, "value": 0, "gas": 21_000, "nonce": 7, "chainId": 1, "data": "0x1234", **fees}
    encoded = account.sign_transaction(fields)
    transaction = Signed(bytes(encoded.hash), bytes(encoded.raw_transaction))
    assert (transaction.nonce, transaction.data) == (7, b"\x12\x34")
    assert transaction.call == {"to": to_bytes(hexstr="0x" + "11" * 20), "value": 0, "gas": 21_000, "data": b"\x12\x34"}
    # Nodes ask for a tenth more.
    assert transaction.raised(dict.fromkeys(fees, 0)) == {name: fee * 9 // 8 + 1 for name, fee in fees.items()}
    assert transaction.raised(dict.fromkeys(fees, 5000)) == dict.fromkeys(fees, 5000)
