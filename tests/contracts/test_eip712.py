"""Signatures against the text of EIP-712, not against a library's idea of it."""

from dataclasses import astuple

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from contracts.bindings import Domain, Receipt, UpdateCommitment
from contracts.bindings.eip712 import (
    Call,
    digest,
    recover_receipt,
    recover_update,
    sign_receipt,
    sign_update,
)

MARKET = "0x00000000000000000000000000000000000000aA"
DOMAIN = Domain(chain_id=31337, market=MARKET)
SIGNER = Account.from_key("0x" + "11" * 32)
UPDATE = UpdateCommitment(task_id=1, round=2, point_x=3, point_y=4, cid_digest=b"\x05" * 32)
RECEIPT = Receipt(
    task_id=1,
    round=2,
    trainer=SIGNER.address,
    point_x=3,
    point_y=4,
    cid_digest=b"\x05" * 32,
    received_at_seconds=1_800_000_000,
    stored_until_seconds=1_900_000_000,
)

UPDATE_FIELDS = [("taskId", "uint256"), ("round", "uint256"), ("pointX", "uint256"), ("pointY", "uint256")]
UPDATE_FIELDS += [("cidDigest", "bytes32")]
RECEIPT_FIELDS = [*UPDATE_FIELDS[:2], ("trainer", "address"), *UPDATE_FIELDS[2:]]
RECEIPT_FIELDS += [("receivedAtSeconds", "uint64"), ("storedUntilSeconds", "uint64")]

uint256 = st.integers(0, 2**256 - 1)
uint64 = st.integers(0, 2**64 - 1)
word = st.binary(min_size=32, max_size=32)


def by_the_text(domain: Domain, type_text: bytes, types: list[str], values: list[object]) -> bytes:
    separator = keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [
                keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak(b"Meritproof"),
                keccak(b"1"),
                domain.chain_id,
                domain.market,
            ],
        )
    )
    return keccak(b"\x19\x01" + separator + keccak(encode(["bytes32", *types], [keccak(type_text), *values])))


@given(uint256, uint256, uint256, uint256, word)
def test_update_digest(task_id: int, round: int, x: int, y: int, cid_digest: bytes) -> None:
    message = UpdateCommitment(task_id=task_id, round=round, point_x=x, point_y=y, cid_digest=cid_digest)
    assert digest(DOMAIN, message) == by_the_text(
        DOMAIN,
        b"UpdateCommitment(uint256 taskId,uint256 round,uint256 pointX,uint256 pointY,bytes32 cidDigest)",
        ["uint256"] * 4 + ["bytes32"],
        [task_id, round, x, y, cid_digest],
    )


@given(uint256, uint256, st.text(max_size=80), word, st.binary(min_size=16, max_size=16), uint64)
def test_call_digest(task_id: int, round: int, method: str, body: bytes, nonce: bytes, deadline: int) -> None:
    message = Call(
        task_id=task_id, round=round, method=method, body_digest=body, nonce=nonce, deadline_seconds=deadline
    )
    assert digest(DOMAIN, message) == by_the_text(
        DOMAIN,
        b"Call(uint256 taskId,uint256 round,string method,bytes32 bodyDigest,bytes16 nonce,uint64 deadlineSeconds)",
        ["uint256", "uint256", "bytes32", "bytes32", "bytes16", "uint64"],
        [task_id, round, keccak(method.encode()), body, nonce, deadline],
    )


@given(st.sampled_from([UPDATE, RECEIPT]), st.integers(1, 2**200), st.binary(min_size=20, max_size=20))
def test_digests_are_what_wallets_show(message: UpdateCommitment | Receipt, chain_id: int, market: bytes) -> None:
    """Signed as typed data, by another implementation."""
    domain = Domain(chain_id=chain_id, market=to_checksum_address(market))
    kind = type(message).__name__
    names = {"UpdateCommitment": UPDATE_FIELDS, "Receipt": RECEIPT_FIELDS}[kind]
    typed = encode_typed_data(
        {"name": "Meritproof", "version": "1", "chainId": chain_id, "verifyingContract": domain.market},
        {kind: [{"name": name, "type": type_} for name, type_ in names]},
        dict(zip((name for name, _ in names), astuple(message), strict=True)),
    )
    signature = bytes(SIGNER.sign_message(typed).signature)
    recover = recover_update if kind == "UpdateCommitment" else recover_receipt
    assert recover(domain, message, signature) == SIGNER.address  # type: ignore[arg-type]


@given(uint256, uint256, uint256, word, uint64, uint64)
def test_receipt_digest(task_id: int, x: int, y: int, cid_digest: bytes, received_at: int, until: int) -> None:
    message = Receipt(
        task_id=task_id,
        round=7,
        trainer=SIGNER.address,
        point_x=x,
        point_y=y,
        cid_digest=cid_digest,
        received_at_seconds=received_at,
        stored_until_seconds=until,
    )
    assert digest(DOMAIN, message) == by_the_text(
        DOMAIN,
        b"Receipt(uint256 taskId,uint256 round,address trainer,uint256 pointX,uint256 pointY,bytes32 cidDigest,"
        b"uint64 receivedAtSeconds,uint64 storedUntilSeconds)",
        ["uint256", "uint256", "address", "uint256", "uint256", "bytes32", "uint64", "uint64"],
        [task_id, 7, SIGNER.address, x, y, cid_digest, received_at, until],
    )


def test_signatures_name_their_signer() -> None:
    assert recover_update(DOMAIN, UPDATE, sign_update(SIGNER, DOMAIN, UPDATE)) == SIGNER.address
    assert recover_receipt(DOMAIN, RECEIPT, sign_receipt(SIGNER, DOMAIN, RECEIPT)) == SIGNER.address


def test_signatures_hold_for_one_domain() -> None:
    signature = sign_update(SIGNER, DOMAIN, UPDATE)
    for other in (Domain(chain_id=1, market=MARKET), Domain(chain_id=31337, market=SIGNER.address)):
        assert recover_update(other, UPDATE, signature) != SIGNER.address


def test_only_what_the_contract_takes() -> None:
    """The forms that libraries recover, too: the chain refuses these, and a whole round with them."""
    signature = sign_update(SIGNER, DOMAIN, UPDATE)
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = r + (order - s).to_bytes(32, "big") + bytes([55 - v])
    for other in (high, signature[:64] + bytes([v - 27]), signature[:64] + bytes([v + 10])):
        with pytest.raises(ValueError, match="malformed signature"):
            recover_update(DOMAIN, UPDATE, other)


@pytest.mark.parametrize("signature", [b"", b"\x01" * 64, b"\x00" * 65, b"\xff" * 65, b"\x01" * 66])
def test_malformed_signatures_are_value_errors(signature: bytes) -> None:
    with pytest.raises(ValueError, match="signature"):
        recover_update(DOMAIN, UPDATE, signature)
    with pytest.raises(ValueError, match="signature"):
        recover_receipt(DOMAIN, RECEIPT, signature)
