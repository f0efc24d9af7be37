"""Sealed objects: only receivers read them, all of them or nothing; every attack of docs/encryption.md is refused."""

import hashlib
import itertools
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hypothesis import given, settings
from hypothesis import strategies as st

from store import sealed
from store.errors import (
    ForgedChunk,
    InvalidPublicKey,
    MalformedSeal,
    NotAReceiver,
    SealError,
    TruncatedSeal,
    WrongContext,
    WrongKey,
)
from store.keywrap import OBJECT_ID_BYTES, TAG_BYTES, WRAPPED_KEY_BYTES, Receiver, WrappedKey, unwrap, wrap
from store.sealed import (
    CHUNK_BYTES,
    MAX_RECEIVERS,
    header_size_bytes,
    key_of,
    open_with_key,
    seal,
    seal_pieces,
    sealed_size_bytes,
    share,
    unseal,
    unseal_pieces,
)

ALICE, BOB, EVE = (Account.from_key(bytes([i]) * 32) for i in (1, 2, 3))
CONTEXT = bytes(range(32))
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]


def make(data: bytes, *accounts: LocalAccount, context: bytes = CONTEXT) -> bytes:
    return seal(data, receivers=[Receiver.of(account) for account in accounts or (ALICE,)], context=context)


def pattern(size_bytes: int) -> bytes:
    return hashlib.shake_128(b"pattern").digest(size_bytes)


@pytest.mark.parametrize("size_bytes", SIZES)
def test_receivers_read_what_was_sealed(size_bytes: int) -> None:
    data = pattern(size_bytes)
    made = make(data, ALICE, BOB)
    assert len(made) == sealed_size_bytes(size_bytes, 2)
    assert unseal(made, ALICE, context=CONTEXT) == unseal(made, BOB, context=CONTEXT) == data


@settings(max_examples=20)
@given(data=st.binary(max_size=3 * CHUNK_BYTES), cuts=st.lists(st.integers(0, 3 * CHUNK_BYTES), max_size=4))
def test_pieces_do_not_matter(data: bytes, cuts: list[int]) -> None:
    def split(whole: bytes) -> list[bytes]:
        edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
        return [whole[a:b] for a, b in itertools.pairwise(edges)]

    made = b"".join(seal_pieces(split(data), len(data), receivers=[Receiver.of(ALICE)], context=CONTEXT))
    assert b"".join(unseal_pieces(split(made), ALICE, context=CONTEXT)) == data


def test_every_object_has_a_key_of_its_own() -> None:
    one, two = make(b"same"), make(b"same")
    assert key_of(one, ALICE, context=CONTEXT) != key_of(two, ALICE, context=CONTEXT)
    assert b"same" not in one


def test_a_receiver_can_be_added_later_and_the_object_stays() -> None:
    data = pattern(CHUNK_BYTES + 5)
    made = make(data)
    with pytest.raises(NotAReceiver) as caught:
        unseal(made, BOB, context=CONTEXT)
    assert caught.value.address == BOB.address
    header = made[: header_size_bytes(1)]
    later = share(header, ALICE, Receiver.of(BOB), context=CONTEXT)
    assert unseal(made, BOB, context=CONTEXT, wrapped=WrappedKey.from_bytes(later.to_bytes())) == data
    with pytest.raises(WrongKey):
        unseal(made, EVE, context=CONTEXT, wrapped=later)


def test_a_wrapped_key_fits_one_object() -> None:
    one, two = make(b"one"), make(b"two")
    later = share(one, ALICE, Receiver.of(BOB), context=CONTEXT)
    with pytest.raises(WrongKey):
        unseal(two, BOB, context=CONTEXT, wrapped=later)


def test_receivers_cannot_be_shown_different_things() -> None:
    """AES-GCM alone lets one ciphertext open to two texts under two keys; the object's id allows one key."""
    identity, other = sealed.object_id(b"k" * 32), b"l" * 32
    point = wrap(other, Receiver.of(BOB))
    with pytest.raises(WrongKey):
        unwrap(point, BOB, identity)
    # Even by somebody who derives the wrapping key as `wrap` does, and binds the wrong key to the right id.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store.keywrap.object_id", lambda key: identity)
        forged = wrap(other, Receiver.of(BOB))
    with pytest.raises(WrongKey, match="another object"):
        unwrap(forged, BOB, identity)


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda made: made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :] if at >= 0 else flip(len(made) + at)(made)


HEADER = header_size_bytes(1)
FULL = CHUNK_BYTES + TAG_BYTES
THREE = 2 * CHUNK_BYTES + 100


def swap_chunks(made: bytes) -> bytes:
    return (
        made[:HEADER]
        + made[HEADER + FULL : HEADER + 2 * FULL]
        + made[HEADER : HEADER + FULL]
        + made[HEADER + 2 * FULL :]
    )


def other_header(made: bytes) -> bytes:
    return make(pattern(THREE))[:HEADER] + made[HEADER:]


def smaller_size(made: bytes) -> bytes:
    """Announces two whole chunks, and leaves out the last."""
    return made[:8] + (2 * CHUNK_BYTES).to_bytes(8, "big") + made[16 : HEADER + 2 * FULL]


ATTACKS: dict[str, tuple[Callable[[bytes], bytes], type[SealError]]] = {
    "magic": (flip(0), MalformedSeal),
    "size, by a bit": (flip(15), SealError),
    "size, a chunk less": (smaller_size, ForgedChunk),
    "object id": (flip(16), WrongKey),
    "context": (flip(48), WrongContext),
    "receivers' number": (flip(80), SealError),
    "too many receivers": (lambda made: made[:80] + b"\xff" + made[81:], MalformedSeal),
    "receiver's address": (flip(81), NotAReceiver),
    "ephemeral key": (flip(81 + 20 + 5), WrongKey),
    "ephemeral key off the curve": (lambda made: made[:101] + b"\x05" + made[102:], WrongKey),
    "wrapped key": (flip(81 + 53), WrongKey),
    "wrapped key's tag": (flip(HEADER - 1), WrongKey),
    "first chunk": (flip(HEADER), ForgedChunk),
    "a middle bit": (flip(HEADER + FULL + 999), ForgedChunk),
    "last tag": (flip(-1), ForgedChunk),
    "chunks out of order": (swap_chunks, ForgedChunk),
    "a chunk twice": (
        lambda made: made[: HEADER + FULL] + made[HEADER : HEADER + FULL] + made[HEADER + 2 * FULL :],
        ForgedChunk,
    ),
    "another object's header": (other_header, ForgedChunk),
    "nothing": (lambda made: b"", MalformedSeal),
    "cut in the header": (lambda made: made[: HEADER - 1], TruncatedSeal),
    "cut after the header": (lambda made: made[:HEADER], TruncatedSeal),
    "cut between chunks": (lambda made: made[: HEADER + FULL], TruncatedSeal),
    "cut in a chunk": (lambda made: made[:-1], TruncatedSeal),
    "a byte more": (lambda made: made + b"\0", MalformedSeal),
    "an object more": (lambda made: made + made, MalformedSeal),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(name: str) -> None:
    attack, error = ATTACKS[name]
    made = make(pattern(THREE))
    assert attack(made) != made
    with pytest.raises(error):
        unseal(attack(made), ALICE, context=CONTEXT)
    if issubclass(error, ForgedChunk | TruncatedSeal | MalformedSeal):
        key = key_of(made, ALICE, context=CONTEXT)
        with pytest.raises(SealError):
            open_with_key(attack(made), key)


def test_a_whole_chunk_of_another_object_does_not_fit() -> None:
    one, two = make(pattern(THREE)), make(pattern(THREE))
    spliced = one[: HEADER + FULL] + two[HEADER + FULL :]
    with pytest.raises(ForgedChunk) as caught:
        unseal(spliced, ALICE, context=CONTEXT)
    assert caught.value.index == 1


def test_an_unfinished_object_is_no_shorter_one() -> None:
    """A chunk sealed as not the last does not pass as the last, nor the other way round."""
    key, data = b"k" * 32, pattern(CHUNK_BYTES)
    wrapped = wrap(key, Receiver.of(ALICE))
    header = sealed.Header(
        size_bytes=len(data), object_id=sealed.object_id(key), context=CONTEXT, wrapped_keys=(wrapped,)
    ).to_bytes()
    digest = hashlib.sha256(header).digest()
    for last in (0, 1):
        chunk = AESGCM(key).encrypt(bytes(11) + bytes([last]), data, digest)
        if last:
            assert unseal(header + chunk, ALICE, context=CONTEXT) == data
        else:
            with pytest.raises(ForgedChunk):
                unseal(header + chunk, ALICE, context=CONTEXT)


@settings(max_examples=60)
@given(position=st.integers(0, sealed_size_bytes(100, 2) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(position: int, bit: int) -> None:
    """By every receiver: the chunks bind the whole header, other receivers' keys too."""
    made = bytearray(make(pattern(100), ALICE, BOB))
    made[position] ^= 1 << bit
    for account in (ALICE, BOB):
        with pytest.raises(SealError):
            unseal(bytes(made), account, context=CONTEXT)


@given(data=st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    for prefix in (b"", sealed.MAGIC, sealed.MAGIC + (10).to_bytes(8, "big")):
        with pytest.raises(SealError):
            unseal(prefix + data, ALICE, context=CONTEXT)


def test_an_enormous_size_costs_nothing() -> None:
    made = make(b"x")
    huge = made[:8] + (sealed.MAX_PLAIN_BYTES + 1).to_bytes(8, "big") + made[16:]
    with pytest.raises(MalformedSeal) as caught:
        unseal(huge, ALICE, context=CONTEXT)
    assert caught.value.field == "size_bytes"
    most = made[:8] + sealed.MAX_PLAIN_BYTES.to_bytes(8, "big") + made[16:]
    with pytest.raises(TruncatedSeal):
        unseal(most, ALICE, context=CONTEXT)


@pytest.mark.parametrize("said", [0, 4, 6, CHUNK_BYTES + 5])
def test_a_source_of_another_size_is_refused(said: int) -> None:
    with pytest.raises(TruncatedSeal):
        list(seal_pieces([b"12345"], said, receivers=[Receiver.of(ALICE)], context=CONTEXT))


def test_receivers_are_few_and_different() -> None:
    alice = Receiver.of(ALICE)
    with pytest.raises(MalformedSeal, match="twice"):
        seal(b"", receivers=[alice, alice], context=CONTEXT)
    many = [Receiver.of(Account.from_key(bytes([i + 1]) * 32)) for i in range(MAX_RECEIVERS + 1)]
    with pytest.raises(MalformedSeal, match="at most 16"):
        seal(b"", receivers=many, context=CONTEXT)
    assert unseal(seal(b"x", receivers=many[1:], context=CONTEXT), BOB, context=CONTEXT) == b"x"


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_context_has_one_length(size: int) -> None:
    with pytest.raises(MalformedSeal):
        seal(b"", receivers=[Receiver.of(ALICE)], context=bytes(size))


class TestReceiver:
    def test_its_address_is_the_accounts(self) -> None:
        for account in (ALICE, BOB, EVE):
            assert Receiver.of(account).address == account.address

    def test_a_key_that_is_handed_over_must_be_the_addresss(self) -> None:
        Receiver.of(ALICE).require_address(ALICE.address.lower())
        with pytest.raises(InvalidPublicKey):
            Receiver.of(EVE).require_address(ALICE.address)

    @pytest.mark.parametrize("bad", [b"", bytes(33), b"\x04" + bytes(64), b"\x02" + b"\xff" * 32, b"\x02" + bytes(31)])
    def test_points_off_the_curve_are_refused(self, bad: bytes) -> None:
        with pytest.raises(InvalidPublicKey):
            Receiver(bad)


def test_wrapped_keys_have_one_length() -> None:
    assert len(wrap(b"k" * 32, Receiver.of(ALICE)).to_bytes()) == WRAPPED_KEY_BYTES
    for size in (0, WRAPPED_KEY_BYTES - 1, WRAPPED_KEY_BYTES + 1):
        with pytest.raises(MalformedSeal):
            WrappedKey.from_bytes(bytes(size))


def test_a_wrap_says_nothing_twice() -> None:
    """A fresh ephemeral key each time: two wraps of one key share the address and nothing else."""
    one, two = (wrap(b"k" * 32, Receiver.of(ALICE)) for _ in range(2))
    assert one.address == two.address
    assert one.ephemeral != two.ephemeral
    assert one.sealed != two.sealed
    assert len(sealed.object_id(b"k" * 32)) == OBJECT_ID_BYTES


def test_a_key_opens_its_own_object() -> None:
    made = make(pattern(THREE))
    key = key_of(made[:HEADER], ALICE, context=CONTEXT)
    assert open_with_key(made, key) == pattern(THREE)
    with pytest.raises(WrongKey):
        open_with_key(make(b"other"), key)
    with pytest.raises(WrongContext):
        key_of(made, ALICE, context=bytes(32))
