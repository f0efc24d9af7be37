"""What a round left in the store: a small JSON object that names its model and its accepted sum, and what they open.

There is one encoding of each content (sorted keys, no spaces, ASCII): whoever knows a round knows its manifest's CID.
"""

import json
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from store.cid import from_text
from store.errors import MalformedObject

MAX_MANIFEST_BYTES = 2048

_MAX_WHOLE = (1 << 63) - 1


def _known_cid(text: str) -> str:
    from_text(text)
    return text


Cid = Annotated[str, Field(max_length=128), AfterValidator(_known_cid)]
Commitment = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
"""x and y, 32 bytes each, big-endian."""
Whole = Annotated[int, Field(ge=0, le=_MAX_WHOLE)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Opening(_Document):
    """An object in the store, whose integers and salts open a commitment."""

    cid: Cid
    commitment: Commitment


class Manifest(_Document):
    """Of one settled round.

    Attributes:
        round: counts from 0. model: the one after it. sealed: whether that is sealed for the task's owner.
        accepted: how many updates were.
        sum: of these; None if there are none, or if the model is sealed, for it would give that away.
    """

    chain_id: Whole
    market: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
    task_id: Whole
    round: Whole
    model: Opening
    sealed: bool
    accepted: Annotated[int, Field(ge=0, le=32)]
    sum: Opening | None


def encode_manifest(manifest: Manifest) -> bytes:
    """The one encoding."""
    return json.dumps(manifest.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode("ascii")


def decode_manifest(data: bytes) -> Manifest:
    """The inverse of `encode_manifest`.

    Raises:
        MalformedObject: too large, no such object, or not in its one encoding.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise MalformedObject("manifest", f"{len(data)} bytes", f"it has at most {MAX_MANIFEST_BYTES}")
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(("manifest", *map(str, first["loc"])))
        raise MalformedObject(field, "another value", first["msg"]) from None
    if encode_manifest(manifest) != data:
        raise MalformedObject("manifest", "another encoding", "keys are sorted and there are no spaces")
    return manifest
