"""Nonces of signed calls: each is taken once, and remembered for as long as its call could be taken again."""

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from aggregator.tables import NonceRow
from protocol.refusals import ReplayedCall


def spend(session: Session, signer: str, nonce: bytes, deadline_seconds: int) -> None:
    """Remembers a call's nonce (ReplayedCall if it was taken before)."""
    session.add(NonceRow(signer=signer, nonce=nonce, deadline_seconds=deadline_seconds))
    try:
        session.flush()
    except IntegrityError:
        raise ReplayedCall(
            f"header.nonce: a call of {signer} with {nonce.hex()} was taken before",
            field="header.nonce",
            limit="a fresh one for each call",
        ) from None


def forget(session: Session, now_seconds: int) -> None:
    """Those whose calls are void by now."""
    session.execute(delete(NonceRow).where(NonceRow.deadline_seconds < now_seconds))
