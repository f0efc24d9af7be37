"""Signed calls: what changes state at a service carries its caller's signature over exactly this call.

The request travels as the bytes that were signed. A call is void after its deadline, and its nonce is taken once, so a
recorded call is worth nothing; to call again is to sign again.
"""

import secrets
import time
from dataclasses import dataclass
from typing import TypeVar

from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress
from eth_utils.crypto import keccak
from google.protobuf.message import DecodeError, Message
from merit.v1.types_pb2 import SignedCall

from contracts.bindings import Domain, eip712
from protocol import wire
from protocol.refusals import ClockSkew, InvalidField, InvalidSignature

UPLOAD_UPDATE = "/merit.v1.UpdatesService/UploadUpdate"
CREATE_TASK = "/merit.v1.TasksService/CreateTask"
UPLOAD_GENESIS = "/merit.v1.ModelsService/UploadGenesis"

NONCE_BYTES = 16
MAX_BODY_BYTES = 64 << 10
MAX_LIFETIME_SECONDS = 300
"""A service remembers nonces for so long, and takes no call that lives longer."""
_LIFETIME_SECONDS = 120
_MAX_CORRECTION_SECONDS = 86_400

M = TypeVar("M", bound=Message)


class CallSigner:
    """Signs calls of one account, by the service's clock once that has been told.

    Args:
        domain: of the market that the calls are about.
    """

    def __init__(self, account: LocalAccount, domain: Domain) -> None:
        self._account = account
        self._domain = domain
        self._ahead_seconds = 0

    @property
    def address(self) -> ChecksumAddress:
        return self._account.address

    def sign(self, method: str, body: Message, *, task_id: int = 0, round: int = 0) -> SignedCall:
        """A call that can be made once, within two minutes."""
        raw, nonce = body.SerializeToString(), secrets.token_bytes(NONCE_BYTES)
        deadline_seconds = int(time.time()) + self._ahead_seconds + _LIFETIME_SECONDS
        call = eip712.Call(
            task_id=task_id,
            round=round,
            method=method,
            body_digest=keccak(raw),
            nonce=nonce,
            deadline_seconds=deadline_seconds,
        )
        return SignedCall(
            body=raw,
            signer=wire.address_bytes(self._account.address),
            nonce=nonce,
            deadline_seconds=deadline_seconds,
            signature=eip712.sign_call(self._account, self._domain, call),
        )

    def correct(self, skew: ClockSkew) -> bool:
        """Follows the service's clock from now on; False if that changes nothing, or is a day or more away.

        A service could otherwise have calls signed that stay good for years.
        """
        if skew.now_seconds is None:
            return False
        ahead_seconds = skew.now_seconds - int(time.time())
        worth_it = abs(ahead_seconds - self._ahead_seconds) > 1 and abs(ahead_seconds) < _MAX_CORRECTION_SECONDS
        if worth_it:
            self._ahead_seconds = ahead_seconds
        return worth_it


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A call that is well-formed and in time, and not yet believed.

    Attributes:
        signer: who it says that it is from.
    """

    call: SignedCall
    signer: ChecksumAddress

    def check_signature(self, domain: Domain, method: str, *, task_id: int = 0, round: int = 0) -> None:
        """InvalidSignature unless the signer signed this very call."""
        message = eip712.Call(
            task_id=task_id,
            round=round,
            method=method,
            body_digest=keccak(self.call.body),
            nonce=self.call.nonce,
            deadline_seconds=self.call.deadline_seconds,
        )
        try:
            signer = eip712.recover_call(domain, message, self.call.signature)
        except ValueError as error:
            raise InvalidSignature(f"header.signature: {error}", field="header.signature") from None
        if signer != self.signer:
            raise InvalidSignature(
                f"header.signature: it is {signer}'s, or over another call",
                field="header.signature",
                limit=f"{self.signer}'s EIP-712 signature over this Call",
            )


def read_call(call: SignedCall, body: M, now_seconds: int) -> tuple[Claimed, M]:
    """A call and its request, parsed into `body`, if it is well-formed and in time.

    Raises:
        InvalidField: naming the field.
        ClockSkew: its deadline is over, or too far ahead.
    """
    signer = wire.read_address(call.signer, "header.signer")
    if len(call.nonce) != NONCE_BYTES:
        raise InvalidField.of("header.nonce", f"{len(call.nonce)} bytes", f"it has {NONCE_BYTES}")
    if len(call.body) > MAX_BODY_BYTES:
        raise InvalidField.of("header.body", f"{len(call.body)} bytes", f"it has at most {MAX_BODY_BYTES}")
    _check_deadline(call.deadline_seconds, now_seconds)
    try:
        body.ParseFromString(call.body)
    except DecodeError:
        name = body.DESCRIPTOR.name
        raise InvalidField.of("header.body", f"{len(call.body)} other bytes", f"it is a {name}") from None
    return Claimed(call=call, signer=signer), body


def _check_deadline(deadline_seconds: int, now_seconds: int) -> None:
    latest = now_seconds + MAX_LIFETIME_SECONDS
    if not now_seconds <= deadline_seconds <= latest:
        raise ClockSkew(
            f"header.deadline_seconds: got {deadline_seconds}, but the service's clock says {now_seconds}",
            field="header.deadline_seconds",
            limit=f"{now_seconds} to {latest}",
            facts={ClockSkew.NOW: str(now_seconds)},
        )
