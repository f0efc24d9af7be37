"""Who a last model is sealed for, and what strangers can write into the chain's log about it."""

import secrets
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from contracts.bindings import (
    Chain,
    Domain,
    KeyBoard,
    KeyShare,
    KeyUnknown,
    TransactionUnknown,
    public_key_of,
    shared_with,
)
from contracts.bindings.deploy import create
from contracts.bindings.devchain import anvil_chain
from protocol import last_model
from store.cid import cid_of
from store.errors import NotAReceiver, WrongContext, WrongKey
from store.keywrap import Receiver
from store.sealed import seal_for, unseal

pytestmark = pytest.mark.slow
CONTEXT = bytes(32)


@pytest.fixture(scope="module")
def chain_and_accounts() -> Iterator[tuple[Chain, list[LocalAccount]]]:
    with anvil_chain() as local:
        yield Chain(local.rpc_url), [Account.from_key(key) for key in local.private_keys]


FEES: dict[str, dict[str, object]] = {
    "EIP-1559": {"type": 2, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1},
    "EIP-1559 with an access list": {
        "type": 2, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1,
        "accessList": [{"address": "0x" + "01" * 20, "storageKeys": ["0x" + "02" * 32]}],
    },
    "EIP-2930": {"type": 1, "gasPrice": 10**10, "accessList": []},
    "EIP-155": {"gasPrice": 10**10},
    "before EIP-155": {"gasPrice": 10**10, "chainId": None},
}  # fmt: skip


@pytest.mark.parametrize("kind", FEES)
def test_a_public_key_follows_from_a_transaction(
    kind: str, chain_and_accounts: tuple[Chain, list[LocalAccount]]
) -> None:
    chain, [account, other, *_] = chain_and_accounts
    fields = {
        "to": other.address,
        "value": 5,
        "gas": 60_000,
        "nonce": chain.w3.eth.get_transaction_count(account.address),
        "chainId": chain.chain_id,
        "data": b"data",
        **FEES[kind],
    }
    signed = account.sign_transaction({name: value for name, value in fields.items() if value is not None})
    chain.w3.eth.send_raw_transaction(signed.raw_transaction)
    chain.wait(signed.hash)
    assert public_key_of(chain, bytes(signed.hash), account.address) == Receiver.of(account).public_key
    with pytest.raises(KeyUnknown, match=other.address):
        public_key_of(chain, bytes(signed.hash), other.address)


def test_of_no_transaction_follows_no_key(chain_and_accounts: tuple[Chain, list[LocalAccount]]) -> None:
    chain, [account, *_] = chain_and_accounts
    with pytest.raises(TransactionUnknown):
        public_key_of(chain, bytes(32), account.address)


def test_an_object_is_sealed_from_its_own_receiver_until_the_key_comes() -> None:
    account, other = Account.create(), Account.create()
    data, key = seal_for(b"model", Receiver.of(account), context=CONTEXT)
    with pytest.raises(NotAReceiver):
        unseal(data, account, context=CONTEXT)
    with pytest.raises(WrongKey):
        unseal(data, other, context=CONTEXT, wrapped=key)
    with pytest.raises(WrongContext):
        unseal(data, account, context=b"\1" * 32, wrapped=key)
    assert unseal(data, account, context=CONTEXT, wrapped=key) == b"model"
    again, _ = seal_for(b"model", Receiver.of(account), context=CONTEXT)
    assert again != data


def test_models_are_for_one_task_and_version_of_one_market() -> None:
    domains = [Domain(chain_id=chain, market="0x" + f"{market:02x}" * 20) for chain in (1, 2) for market in (1, 2)]
    contexts = {last_model.model_context(d, task, version) for d in domains for task in (1, 2) for version in (1, 2)}
    assert len(contexts) == 16


def test_the_wish_is_the_end_of_the_rules_name() -> None:
    for asked in (False, True):
        config = cast(Any, SimpleNamespace(rule_name=last_model.labelled("mad+equal", seal_last_model=asked)))
        assert last_model.is_asked(config) == asked
        assert last_model.rule_name_of(config) == "mad+equal"


def test_boards_decide_nothing_and_strangers_do_no_harm(chain_and_accounts: tuple[Chain, list[LocalAccount]]) -> None:
    """A key is found on whatever board it is; what only looks like one is left out."""
    chain, [account, stranger, *_] = chain_and_accounts
    boards = [KeyBoard.deploy(chain, stranger) for _ in range(2)]
    data, key = seal_for(b"model", Receiver.of(account), context=CONTEXT)
    share = last_model.SealedModel(data=data, key=key).share()
    assert share.cid == cid_of(data)
    forged = KeyShare(object_id=share.object_id, cid=share.cid, wrapped_key=key.address + secrets.token_bytes(81))
    boards[0].share(stranger, [forged])
    boards[1].share(account, [share])
    found = shared_with(chain, account.address, object_id=share.object_id)
    assert [each.wrapped_key for each in found] == [forged.wrapped_key, share.wrapped_key]
    assert [each.wrapped_key for each in boards[1].shared_with(account.address)] == [share.wrapped_key]
    log_garbage(chain, stranger, share, account.address)
    assert shared_with(chain, account.address, object_id=share.object_id) == found


def log_garbage(chain: Chain, account: LocalAccount, share: KeyShare, receiver: str) -> None:
    """A contract whose creation logs the event's topics and no data: PUSH32 topics, LOG4."""
    from contracts.bindings import keyboard

    word = bytes(12) + bytes.fromhex(receiver[2:])
    topics = [word, word, share.object_id, bytes(keyboard._topic())]  # the last one is pushed last, and comes first
    code = b"".join(b"\x7f" + topic for topic in topics) + b"\x5f\x5f\xa4\x00"
    from contracts.bindings.artifacts import Artifact

    create(chain, account, Artifact(abi=[], bytecode=code, runtime=b""))
