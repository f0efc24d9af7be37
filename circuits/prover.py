"""ONNX to settings, keys, witness, proof: the only module that imports ezkl.

The library panics, and at times aborts the interpreter, so all of it runs in one worker process. Keys are cached by the
digest of everything that they depend on: the graph's bytes, the settings, the string and the library's version.
"""

import asyncio
import hashlib
import importlib.metadata
import inspect
import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from circuits import paths
from circuits.circuit import Circuit
from circuits.errors import FieldError, InvalidProof, ProverError, UnsoundCircuit
from circuits.proof import Proof, from_field, to_field
from circuits.srs import Srs, file_name, generate
from circuits.worker import Here, Worker

_MAX_VKA_WORDS = 1 << 12
_JSON_EXACT = 1 << 53  # JSON numbers pass through float64


@dataclass(frozen=True, kw_only=True)
class CircuitKeys:
    """The keys of one circuit under one string.

    Attributes:
        directory: holds circuit.onnx, settings.json, circuit.ezkl, vk, pk and vka.
        digest: of all that the keys depend on, 16 hex digits; it ends the directory's name.
    """

    directory: Path
    digest: str

    @cached_property
    def vka_words(self) -> tuple[bytes, ...]:
        """The verifying key as the on-chain verifier takes it: 32-byte words."""
        raw = (self.directory / "vka").read_bytes()
        count = int.from_bytes(raw[:8], "little")
        if not 0 < count <= _MAX_VKA_WORDS or len(raw) != 8 + 32 * count:
            raise ProverError(f"vka: {len(raw)} bytes do not hold the {count} words that it announces")
        return tuple(raw[8 + 32 * i : 40 + 32 * i] for i in range(count))

    @cached_property
    def vka_digest(self) -> bytes:
        """keccak256 of the words: what a task pins."""
        return keccak(b"".join(self.vka_words))


class Prover:
    """Makes keys and proofs, one at a time, in a worker process. Calls block; a crash is an error, not the end.

    Args:
        srs_directory: holds the kzg{k}.srs files.
        keys_directory: where keys are cached.
        worker: what runs the library; `Here` in a process that is a worker itself.
    """

    def __init__(
        self,
        *,
        srs_directory: Path | None = None,
        keys_directory: Path | None = None,
        worker: Worker | Here | None = None,
    ) -> None:
        self.srs_directory = srs_directory or paths.srs_directory()
        self.keys_directory = keys_directory or paths.keys_directory()
        self._worker = worker or Worker()

    def __enter__(self) -> "Prover":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the worker at once; a call under way raises ProverCrashed."""
        self._worker.close()

    def worker_peak_bytes(self) -> int:
        """The most memory that the worker ever held (ProverError on a system without /proc)."""
        return self._worker.call(_peak_bytes)

    def srs(self, k: int) -> Srs:
        """The string for 2^k rows."""
        return Srs.find(self.srs_directory, k)

    def ensure_test_srs(self, k: int, *, provable: bool = False) -> Srs:
        """The string for 2^k rows; where there is none, a new one for tests only (whoever runs this could know tau).

        Args:
            provable: with its side file; a test string without one is replaced.
        """
        path = self.srs_directory / file_name(k)
        with paths.exclusive(path):
            if provable and path.exists() and not self.srs(k).is_provable and self.srs(k).is_test_only:
                path.unlink()
            if not path.exists():
                generate(path, k)
        return self.srs(k)

    def keys(self, circuit: Circuit) -> CircuitKeys:
        """The circuit's keys, made on first use (seconds to minutes).

        Raises:
            UnsoundCircuit: the compiled circuit leaves values unconstrained.
            SrsError, ProverError, ProverCrashed.
        """
        srs = self.srs(circuit.settings.logrows)
        pointer = self.keys_directory / "known" / _recipe_digest(circuit, srs)
        if pointer.exists():
            name = pointer.read_text()
            if (self.keys_directory / name / "vka").exists():
                return CircuitKeys(directory=self.keys_directory / name, digest=name.rpartition("-")[2])
        keys = self._worker.call(_ensure_keys, circuit, srs.path, srs.digest, self.keys_directory)
        paths.write_atomically(pointer, keys.directory.name.encode())
        return keys

    def witness(self, circuit: Circuit, inputs: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """The circuit's outputs on these inputs, without a proof."""
        return self._worker.call(
            _witness, circuit, self.keys(circuit), self._srs_path(circuit), _checked(circuit, inputs)
        )

    def satisfies(self, circuit: Circuit, inputs: Sequence[Sequence[int]]) -> bool:
        """Whether these inputs meet every constraint of the circuit, checked gate by gate without a proof."""
        return self._worker.call(_satisfies, self.keys(circuit), self._srs_path(circuit), _checked(circuit, inputs))

    def prove(self, circuit: Circuit, inputs: Sequence[Sequence[int]]) -> Proof:
        """A proof of the circuit's outputs on these inputs, verified before it is returned.

        Args:
            inputs: one list of integers for each input of the circuit.
        Raises:
            FieldError: inputs of other lengths than the circuit's.
            ProverError: an input is outside what the circuit allows, or the library failed.
        """
        return self._worker.call(
            _prove, circuit, self.keys(circuit), self._srs_path(circuit), _checked(circuit, inputs)
        )

    def verify(self, circuit: Circuit, proof: Proof) -> None:
        """InvalidProof unless `proof` verifies under keys that are derived here from the circuit and the string."""
        self._worker.call(_verify, self.keys(circuit), self._srs_path(circuit), proof)

    def reusable_verifier(self, circuit: Circuit) -> str:
        """The Solidity source of the verifier contract, the same for every circuit."""
        return self._worker.call(_reusable_verifier, self.keys(circuit), self._srs_path(circuit))

    def _srs_path(self, circuit: Circuit) -> Path:
        return self.srs(circuit.settings.logrows).path


def _recipe_digest(circuit: Circuit, srs: Srs) -> str:
    """Digest of what the graph is exported from, so that known keys are found without exporting it again.

    That is the circuit's parameters, this package's source and the circuit's own, the string, the libraries' versions.
    """
    sources = {*Path(__file__).parent.rglob("*.py"), Path(inspect.getfile(type(circuit)))}
    parts = [repr(circuit).encode(), repr(circuit.settings).encode(), srs.digest.encode()]
    parts += [importlib.metadata.version(name).encode() for name in ("ezkl", "torch", "onnx")]
    return _digest(parts + [path.read_bytes() for path in sorted(sources)])


def _digest(parts: Sequence[bytes]) -> str:
    joined = hashlib.sha256()
    for part in parts:
        joined.update(len(part).to_bytes(8, "big") + part)
    return joined.hexdigest()


def _checked(circuit: Circuit, inputs: Sequence[Sequence[int]]) -> list[list[int]]:
    lengths = tuple(len(vector) for vector in inputs)
    if lengths != circuit.input_lengths:
        raise FieldError("inputs", f"lengths {lengths}", f"{circuit.name} takes {circuit.input_lengths}")
    return [[int(x) for x in vector] for vector in inputs]


# What follows runs in the worker.


def _library() -> Any:
    import ezkl  # noqa: PLC0415  (the parent process must never load it)

    return ezkl


def _peak_bytes() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError as error:
        raise ProverError("peak memory: this system does not say") from error
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _run_args(circuit: Circuit) -> Any:
    args, settings = _library().PyRunArgs(), circuit.settings
    args.input_visibility = {"public": "public", "committed": "polycommit"}[settings.inputs]
    args.output_visibility = "public"
    args.param_visibility = "fixed"
    args.input_scale = args.param_scale = 0
    args.disable_freivalds = True  # the default leaves products unconstrained
    args.ignore_range_check_inputs_outputs = True
    args.num_inner_cols = 1
    args.decomp_base = settings.decomposition_base
    args.decomp_legs = settings.decomposition_legs
    args.lookup_range = settings.lookup_range
    args.logrows = settings.logrows
    return args


def _ensure_keys(circuit: Circuit, srs_path: Path, srs_digest: str, keys_directory: Path) -> CircuitKeys:
    keys_directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=keys_directory, prefix="tmp-") as scratch:
        draft = Path(scratch) / "keys"
        draft.mkdir()
        circuit.export_onnx(draft / "circuit.onnx")
        digest = _keys_digest(circuit, (draft / "circuit.onnx").read_bytes(), srs_digest)
        final = keys_directory / f"{circuit.name}-{digest[:16]}"
        with paths.exclusive(final):
            if not final.exists():
                _make_keys(circuit, draft, srs_path)
                draft.rename(final)
    return CircuitKeys(directory=final, digest=digest[:16])


def _keys_digest(circuit: Circuit, onnx: bytes, srs_digest: str) -> str:
    parts = [onnx, repr(circuit.settings).encode(), srs_digest.encode(), importlib.metadata.version("ezkl").encode()]
    return _digest(parts)


def _make_keys(circuit: Circuit, at: Path, srs_path: Path) -> None:
    ezkl = _library()
    onnx, settings, compiled = str(at / "circuit.onnx"), str(at / "settings.json"), str(at / "circuit.ezkl")
    ezkl.gen_settings(onnx, settings, py_run_args=_run_args(circuit))
    _require_sound(circuit, json.loads((at / "settings.json").read_text()))
    ezkl.compile_circuit(onnx, compiled, settings)
    ezkl.setup(compiled, str(at / "vk"), str(at / "pk"), str(srs_path))

    async def write_vka() -> None:
        await ezkl.create_evm_vka(str(at / "vk"), settings, str(at / "vka"), str(srs_path))

    asyncio.run(write_vka())


def _require_sound(circuit: Circuit, settings: dict[str, Any]) -> None:
    unconstrained = settings["einsum_params"]["total_einsum_col_size"]
    if unconstrained != 0 or settings["run_args"]["disable_freivalds"] is not True:
        raise UnsoundCircuit(f"{circuit.name}: {unconstrained} einsum columns would be left to the prover")
    if settings["run_args"]["logrows"] != circuit.settings.logrows:
        raise UnsoundCircuit(f"{circuit.name}: compiled for 2^{settings['run_args']['logrows']} rows")


def _gen_witness(keys: CircuitKeys, srs_path: Path, inputs: list[list[int]], scratch: Path) -> dict[str, Any]:
    (scratch / "input.json").write_text(json.dumps({"input_data": [[_json(x) for x in v] for v in inputs]}))
    at = keys.directory
    witness: dict[str, Any] = _library().gen_witness(
        str(scratch / "input.json"),
        str(at / "circuit.ezkl"),
        str(scratch / "witness.json"),
        str(at / "vk"),
        str(srs_path),
    )
    return witness


def _json(value: int) -> int | str:
    return value if abs(value) < _JSON_EXACT else to_field(value).to_bytes(32, "little").hex()


def _scalar(little_endian_hex: str) -> int:
    return from_field(int.from_bytes(bytes.fromhex(little_endian_hex), "little"))


def _witness(circuit: Circuit, keys: CircuitKeys, srs_path: Path, inputs: list[list[int]]) -> tuple[int, ...]:
    with tempfile.TemporaryDirectory() as scratch:
        outputs = _gen_witness(keys, srs_path, inputs, Path(scratch))["outputs"]
    return tuple(_scalar(x) for vector in outputs for x in vector)


def _satisfies(keys: CircuitKeys, srs_path: Path, inputs: list[list[int]]) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        _gen_witness(keys, srs_path, inputs, Path(scratch))
        try:
            return bool(_library().mock(str(Path(scratch) / "witness.json"), str(keys.directory / "circuit.ezkl")))
        except RuntimeError:
            return False


def _prove(circuit: Circuit, keys: CircuitKeys, srs_path: Path, inputs: list[list[int]]) -> Proof:
    at = keys.directory
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        _gen_witness(keys, srs_path, inputs, scratch)
        _library().prove(
            str(scratch / "witness.json"),
            str(at / "circuit.ezkl"),
            str(at / "pk"),
            str(scratch / "proof.json"),
            str(srs_path),
        )
        raw = json.loads((scratch / "proof.json").read_text())
    instances = tuple(_scalar(x) for x in raw["instances"][0])
    proof = Proof(data=bytes.fromhex(raw["hex_proof"].removeprefix("0x")), instances=instances)
    _verify(keys, srs_path, proof)
    return proof


def _verify(keys: CircuitKeys, srs_path: Path, proof: Proof) -> None:
    document = {
        "protocol": None,
        "instances": [[to_field(x).to_bytes(32, "little").hex() for x in proof.instances]],
        "proof": list(proof.data),
        "hex_proof": "0x" + proof.data.hex(),
        "split": None,
        "pretty_public_inputs": None,
        "timestamp": None,
        "version": None,
    }
    at, accepted = keys.directory, False
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "proof.json"
        path.write_text(json.dumps(document))
        try:
            accepted = _library().verify(str(path), str(at / "settings.json"), str(at / "vk"), str(srs_path))
        except BaseException as error:
            raise InvalidProof(f"{at.name}: {error}") from None
    if not accepted:
        raise InvalidProof(f"{at.name}: the verifier said no")


def _reusable_verifier(keys: CircuitKeys, srs_path: Path) -> str:
    async def write(at: Path) -> None:
        # It writes the source, then looks for a compiler, which may be out of reach and is not needed here.
        with suppress(Exception):
            await _library().create_evm_verifier(
                str(keys.directory / "vk"), str(keys.directory / "settings.json"), str(at / "v.sol"), str(at / "v.abi"),
                str(srs_path), reusable=True,
            )  # fmt: skip

    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(write(Path(scratch)))
        source = Path(scratch) / "v.sol"
        if not source.exists():
            raise ProverError("reusable verifier: the library wrote no source")
        return source.read_text()
