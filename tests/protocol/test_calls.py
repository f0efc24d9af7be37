"""Signed calls: only the very call that was signed passes, and only in time."""

import time
from collections.abc import Callable

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st
from merit.v1.models_pb2 import GenesisHeader
from merit.v1.types_pb2 import SignedCall
from merit.v1.updates_pb2 import UpdateHeader

from contracts.bindings import Domain
from protocol.calls import (
    MAX_BODY_BYTES,
    MAX_LIFETIME_SECONDS,
    UPLOAD_GENESIS,
    UPLOAD_UPDATE,
    CallSigner,
    read_call,
)
from protocol.refusals import ClockSkew, InvalidField, InvalidSignature, Refusal

DOMAIN = Domain(chain_id=31337, market="0x" + "11" * 20)
ACCOUNT, OTHER = (Account.from_key(bytes([i]) * 32) for i in (1, 2))
HEADER = UpdateHeader(task_id=7, round=3, size_bytes=10)


@pytest.fixture
def signer() -> CallSigner:
    return CallSigner(ACCOUNT, DOMAIN)


def signed(signer: CallSigner) -> SignedCall:
    return signer.sign(UPLOAD_UPDATE, HEADER, task_id=7, round=3)


def now() -> int:
    return int(time.time())


def check(call: SignedCall, domain: Domain = DOMAIN, method: str = UPLOAD_UPDATE) -> str:
    claimed, header = read_call(call, UpdateHeader(), now())
    claimed.check_signature(domain, method, task_id=header.task_id, round=header.round)
    return claimed.signer


def test_a_signed_call_is_its_signers(signer: CallSigner) -> None:
    assert check(signed(signer)) == ACCOUNT.address == signer.address


@pytest.mark.parametrize(("task_id", "round"), [(0, 0), (7, 5), (8, 3)])
def test_a_call_is_about_any_task_and_round(task_id: int, round: int, signer: CallSigner) -> None:
    header = UpdateHeader(task_id=task_id, round=round)
    assert check(signer.sign(UPLOAD_UPDATE, header, task_id=task_id, round=round)) == ACCOUNT.address


def test_no_two_calls_are_alike(signer: CallSigner) -> None:
    assert len({signed(signer).nonce for _ in range(20)}) == 20


@pytest.mark.parametrize(
    "domain",
    [Domain(chain_id=1, market=DOMAIN.market), Domain(chain_id=31337, market="0x" + "22" * 20)],
    ids=["another chain", "another market"],
)
def test_a_call_is_for_one_market_of_one_chain(domain: Domain, signer: CallSigner) -> None:
    with pytest.raises(InvalidSignature):
        check(signed(signer), domain)


CHANGES: dict[str, Callable[[SignedCall], object]] = {
    "task": lambda call: set_body(call, UpdateHeader(task_id=8, round=3, size_bytes=10)),
    "round": lambda call: set_body(call, UpdateHeader(task_id=7, round=4, size_bytes=10)),
    "body": lambda call: set_body(call, UpdateHeader(task_id=7, round=3, size_bytes=11)),
    "nonce": lambda call: setattr(call, "nonce", bytes(16)),
    "deadline": lambda call: setattr(call, "deadline_seconds", call.deadline_seconds + 1),
    "signer": lambda call: setattr(call, "signer", bytes.fromhex(OTHER.address[2:])),
    "signature": lambda call: setattr(call, "signature", bytes([call.signature[0] ^ 1]) + call.signature[1:]),
    "length of the signature": lambda call: setattr(call, "signature", call.signature[:64]),
}


def set_body(call: SignedCall, body: UpdateHeader) -> None:
    call.body = body.SerializeToString()


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_call_is_refused(change: str, signer: CallSigner) -> None:
    call = signed(signer)
    CHANGES[change](call)
    with pytest.raises(InvalidSignature) as caught:
        check(call)
    assert caught.value.field == "header.signature"


def test_task_and_round_are_signed_apart_from_the_body(signer: CallSigner) -> None:
    """A wallet shows them; so they are what the service acts on."""
    for wrong in ({"task_id": 8, "round": 3}, {"task_id": 7, "round": 4}):
        with pytest.raises(InvalidSignature):
            check(signer.sign(UPLOAD_UPDATE, HEADER, **wrong))


def test_a_call_is_for_one_method(signer: CallSigner) -> None:
    with pytest.raises(InvalidSignature):
        check(signed(signer), method=UPLOAD_GENESIS)


@pytest.mark.parametrize(("off_seconds", "taken"), [(-1, False), (0, True), (MAX_LIFETIME_SECONDS + 1, False)])
def test_a_call_is_in_time(off_seconds: int, taken: bool, signer: CallSigner) -> None:
    call, clock = signed(signer), 1_000_000
    call.deadline_seconds = clock + off_seconds
    if taken:
        read_call(call, UpdateHeader(), clock)
        return
    with pytest.raises(ClockSkew) as caught:
        read_call(call, UpdateHeader(), clock)
    assert caught.value.now_seconds == clock


def test_a_signer_follows_the_services_clock(signer: CallSigner) -> None:
    clock = now() + 5000
    with pytest.raises(ClockSkew) as caught:
        read_call(signed(signer), UpdateHeader(), clock)
    assert signer.correct(caught.value)
    read_call(signed(signer), UpdateHeader(), clock)
    assert not signer.correct(caught.value), "a second time it would change nothing"


@pytest.mark.parametrize("said", [None, "", "x", str(10**40), "25 hours ahead"])
def test_a_signer_follows_no_absurd_clock(said: str | None, signer: CallSigner) -> None:
    if said == "25 hours ahead":
        said = str(int(time.time()) + 90_000)
    assert not signer.correct(ClockSkew("why", facts={} if said is None else {ClockSkew.NOW: said}))
    check(signed(signer))


@pytest.mark.parametrize(
    ("field", "value"),
    [("nonce", bytes(15)), ("signer", bytes(19)), ("body", bytes(MAX_BODY_BYTES + 1)), ("body", b"\xff")],
)
def test_a_malformed_field_is_named(field: str, value: bytes, signer: CallSigner) -> None:
    call = signed(signer)
    setattr(call, field, value)
    with pytest.raises(InvalidField) as caught:
        check(call)
    assert caught.value.field == f"header.{field}"


def test_a_body_has_a_limit(signer: CallSigner) -> None:
    """Also one that is well-formed; the largest that is allowed passes."""
    for cid_bytes, taken in ((MAX_BODY_BYTES - 4, True), (MAX_BODY_BYTES - 3, False)):
        body = UpdateHeader(cid=bytes(cid_bytes))
        assert (body.ByteSize() <= MAX_BODY_BYTES) == taken
        call = signer.sign(UPLOAD_UPDATE, body)
        if taken:
            check(call)
            continue
        with pytest.raises(InvalidField, match=f"at most {MAX_BODY_BYTES}"):
            check(call)


@given(st.binary(max_size=200))
def test_arbitrary_calls_are_refused(raw: bytes) -> None:
    call = SignedCall()
    try:
        call.ParseFromString(raw)
    except Exception:  # no such message: gRPC answers it
        return
    with pytest.raises(Refusal):
        claimed, body = read_call(call, GenesisHeader(), 0)
        claimed.check_signature(DOMAIN, UPLOAD_GENESIS, task_id=body.task_id)
