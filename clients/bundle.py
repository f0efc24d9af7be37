"""A finished task as files: what `merit verify` needs to check all of it again, offline.

task.json           terms and identity
genesis.safetensors the first model
round-R/round.json  who took part, and what was settled (R counts from 1)
round-R/linear.json, rule.json, model.safetensors
round-R/model.sealed, model.key   in its place: a last model that is sealed for the owner, and its wrapped key
srs/                the strings that the proofs were made under
"""

import os
import shutil
import stat
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from circuits.bn254 import G1Point
from circuits.errors import CircuitError, FieldError
from circuits.fixedpoint import FixedPoint
from circuits.proof import Proof
from circuits.srs import Srs
from circuits.statement import Statement
from protocol import last_model
from protocol.last_model import SealedModel
from store.errors import MalformedSeal
from store.keywrap import WRAPPED_KEY_BYTES, WrappedKey

D = TypeVar("D", bound=BaseModel)

_MAX_DOCUMENT_BYTES = 1 << 20
MAX_PROOF_BYTES = 8 << 20

Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PointHex = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
"""x and y, 32 bytes each, big-endian."""
Decimal = Annotated[str, Field(pattern=r"^[0-9]{1,40}$")]
"""An integer that passes what JSON numbers hold."""
Wei = Decimal


class BundleError(Exception):
    """A file of a bundle is missing, too large or malformed; the message names it."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskRecord(_Document):
    """The terms of the task, as on chain."""

    chain_id: int
    market: Address
    verifier: Address
    task_id: int
    owner: Address
    aggregator: Address
    slots: int
    dim: int
    bits: int
    fraction_bits: int
    logrows: int = Field(ge=10)
    outlier: str
    contribution: str
    rule_params: dict[str, int]
    update_key: Digest
    rule_vka: Digest
    genesis: PointHex
    empty_column: PointHex
    rounds: int = Field(ge=1)
    reward_per_round_wei: Wei
    target_norm: Decimal = "0"
    learning_rate: Decimal = "0"
    patience: int = Field(default=0, ge=0)
    seal_last_model: bool = False
    srs_sha256: dict[int, Digest]

    @property
    def statement(self) -> Statement:
        """What the task proves (BundleError if no circuit here proves it)."""
        try:
            return Statement(
                slots=self.slots,
                dim=self.dim,
                fmt=FixedPoint(bits=self.bits, fraction_bits=self.fraction_bits),
                logrows=self.logrows,
                outlier=self.outlier,
                contribution=self.contribution,
                rule_params=self.rule_params,
            )
        except FieldError as error:
            raise BundleError(f"task.json: {error}") from error


class Entry(_Document):
    """One trainer of one round, in slot order."""

    trainer: Address
    point: PointHex
    cid: str
    accepted: bool
    score: int = Field(ge=0)
    paid_wei: Wei


class RoundRecord(_Document):
    """A settled round, as on chain."""

    round: int = Field(ge=0)
    entries: tuple[Entry, ...] = Field(max_length=32)
    model: PointHex
    norm: Decimal = "0"
    """|A|^2 of the accepted sum; 0 where the task has neither target nor patience."""
    halvings: int = Field(default=0, ge=0)
    """Of the learning rate, up to and with this round's."""


def point_hex(point: tuple[int, int]) -> str:
    """A point as a bundle writes it."""
    return G1Point(*point).to_bytes().hex()


def point_of(text: str) -> G1Point:
    """The inverse of `point_hex` (FieldError off the curve)."""
    return G1Point.from_bytes(bytes.fromhex(text))


class Bundle:
    """A bundle in a directory. What is read is bounded before it is parsed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def srs_directory(self) -> Path:
        return self.root / "srs"

    @staticmethod
    def round_name(number: int) -> str:
        """Directory of the round that the contract counts as `number`, from 0; people count from 1."""
        return f"round-{number + 1}"

    def write_task(self, record: TaskRecord, genesis: bytes, strings: list[Srs]) -> None:
        """Starts a bundle."""
        self.srs_directory.mkdir(parents=True, exist_ok=True)
        for srs in strings:
            _link(srs.path, self.srs_directory / srs.path.name)
        self._write("task.json", record.model_dump_json(indent=2).encode())
        self._write("genesis.safetensors", genesis)

    def write_round(
        self, record: RoundRecord, linear: bytes, rule: bytes, model: bytes, sealed: SealedModel | None = None
    ) -> None:
        """Adds a settled round. Of a sealed model nothing else is written: who has the bundle is not its owner."""
        at = self.round_name(record.round)
        (self.root / at).mkdir(exist_ok=True)
        self._write(f"{at}/linear.json", linear)
        self._write(f"{at}/rule.json", rule)
        if sealed is None:
            self._write(f"{at}/model.safetensors", model)
        else:
            self._write(f"{at}/model.sealed", sealed.data)
            self._write(f"{at}/model.key", sealed.key.to_bytes())
        self._write(f"{at}/round.json", record.model_dump_json(indent=2).encode())

    def task(self) -> TaskRecord:
        """The task's terms."""
        return self._document("task.json", TaskRecord)

    def round(self, number: int) -> RoundRecord:
        """A round's record."""
        return self._document(f"{self.round_name(number)}/round.json", RoundRecord)

    def round_count(self) -> int:
        """Rounds 0..count-1 are there, without a gap."""
        count = 0
        while (self.root / self.round_name(count) / "round.json").is_file():
            count += 1
        return count

    def sealed_model(self, number: int, dim: int) -> SealedModel:
        """A round's sealed model, and its key as the owner can read it."""
        at = self.round_name(number)
        key = self.read(f"{at}/model.key", WRAPPED_KEY_BYTES)
        try:
            wrapped = WrappedKey.from_bytes(key)
        except MalformedSeal as error:
            raise BundleError(f"{at}/model.key: {error}") from error
        return SealedModel(data=self.read(f"{at}/model.sealed", last_model.size_limit_bytes(dim)), key=wrapped)

    def proof(self, number: int, layer: str) -> Proof:
        """A round's proof; `layer` is linear or rule."""
        name = f"{self.round_name(number)}/{layer}.json"
        try:
            return Proof.from_json(self.read(name, MAX_PROOF_BYTES).decode())
        except (CircuitError, UnicodeDecodeError) as error:
            raise BundleError(f"{name}: {error}") from error

    def read(self, name: str, limit_bytes: int) -> bytes:
        """A file's bytes (BundleError if it is missing or over the limit)."""
        try:
            # Not blocking: whoever made the bundle may have put a pipe or a device there.
            handle = os.open(self.root / name, os.O_RDONLY | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise BundleError(f"{name}: not a regular file")
                data = file.read(limit_bytes + 1)
        except OSError as error:
            raise BundleError(f"{name}: cannot be read ({error.strerror})") from error
        if len(data) > limit_bytes:
            raise BundleError(f"{name}: more than the {limit_bytes} bytes that are read")
        return data

    def _document(self, name: str, kind: type[D]) -> D:
        try:
            return kind.model_validate_json(self.read(name, _MAX_DOCUMENT_BYTES))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BundleError(f"{name}: {where}: {first['msg']}") from error

    def _write(self, name: str, data: bytes) -> None:
        draft = self.root / (name + ".tmp")
        draft.write_bytes(data)
        draft.replace(self.root / name)


def _link(source: Path, target: Path) -> None:
    """A hard link where the file system allows it, else a copy."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
