"""What a round of a real model costs: commitments, the update argument, its verification here and in an EVM.

    merit bench [--models NAME ...] [--slots N] [--bits B] [--ezkl-dim D] [--json]

Each line is measured in a process of its own, so that its peak memory is its own (the mapped string counts). Updates
are random and fill every slot. Gas is that of a transaction which calls the verifier, on anvil.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from circuits.bn254 import G1Point
from circuits.commitment import Column, commit, draw_salts, smallest_logrows
from circuits.fixedpoint import FixedPoint
from circuits.linear import update_argument
from circuits.linear.gram import gram, upper_triangle
from circuits.proof import Proof
from circuits.prover import Prover
from circuits.srs import Srs
from circuits.worker import Worker

T = TypeVar("T")

CONTEXT = bytes(31) + b"\1"
_TIMEOUT_SECONDS = 6 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """One model at one size.

    Attributes:
        dim: parameters. logrows: log2 of the domain.
        key_seconds: to derive the verifying key, the string's digest included.
        commit_seconds: one update's commitment, the mean. prove_seconds: of all of them.
        microseconds_a_parameter: prove_seconds over dim.
        peak_mib: of the whole process, the string's mapped pages included.
        verify_seconds: by the Rust verifier.
        gas: of a transaction with the proof, its calldata included.
    """

    model: str
    dim: int
    logrows: int
    slots: int
    bits: int
    key_seconds: float
    commit_seconds: float
    prove_seconds: float
    microseconds_a_parameter: float
    verify_seconds: float
    peak_mib: int
    proof_bytes: int
    gas: int


@dataclass(frozen=True, kw_only=True)
class EzklLine:
    """The linear layer as an ezkl circuit, at a size that it can do.

    Attributes:
        ratio: its time a parameter over the update argument's, by model.
    """

    dim: int
    logrows: int
    slots: int
    bits: int
    prove_seconds: float
    microseconds_a_parameter: float
    proof_bytes: int
    ratio: dict[str, float]


@dataclass(frozen=True)
class _Measured:
    key: update_argument.UpdateKey
    points: list[G1Point]
    proof: Proof
    seconds: dict[str, float]
    peak_mib: int


def measure(models: dict[str, int], *, slots: int, bits: int, tell: Callable[[str], None]) -> list[Line]:
    """A line for each model.

    Args:
        models: parameters by name.
        tell: called with what is done next.
    """
    lines = []
    with Prover() as prover:
        for model, dim in models.items():
            logrows = smallest_logrows(dim)
            tell(f"{model}: string of 2^{logrows} powers")
            srs = prover.ensure_test_srs(logrows, provable=True)
            tell(f"{model}: {slots} updates of {dim:,} entries of {bits} bits")
            worker = Worker()
            try:
                found = worker.call(_measured, srs.path, dim, slots, bits, timeout_seconds=_TIMEOUT_SECONDS)
            finally:
                worker.close()
            tell(f"{model}: gas")
            lines.append(_line(model, dim, logrows, slots, bits, found, gas=_gas(found)))
    return lines


def compare(lines: list[Line], *, dim: int, slots: int, bits: int, tell: Callable[[str], None]) -> EzklLine:
    """The ezkl circuit of the same layer, in the same run."""
    from benchmarks.ezkl_linear import GramCircuit, rows_needed, rows_of  # noqa: PLC0415  (loads torch)

    fmt = FixedPoint(bits=bits, fraction_bits=0)
    logrows = max(rows_needed(slots=slots, dim=dim).bit_length(), bits + 1)
    circuit = GramCircuit(slots=slots, dim=dim, fmt=fmt, logrows=logrows)
    columns = _columns(slots, dim, bits)
    with Prover() as prover:
        prover.ensure_test_srs(logrows)
        tell(f"ezkl: keys of {circuit.name}")
        prover.keys(circuit)
        tell(f"ezkl: proof of {circuit.name}")
        started_at = time.perf_counter()
        proof = prover.prove(circuit, [rows_of(column) for column in columns])
        seconds = time.perf_counter() - started_at
    assert list(proof.instances[:-1]) == upper_triangle(gram(columns))
    each = seconds / dim
    return EzklLine(
        dim=dim,
        logrows=logrows,
        slots=slots,
        bits=bits,
        prove_seconds=round(seconds, 2),
        microseconds_a_parameter=round(1e6 * each, 2),
        proof_bytes=len(proof.data),
        ratio={line.model: round(each / (line.prove_seconds / line.dim), 1) for line in lines},
    )


def as_json(lines: list[Line], ezkl: EzklLine | None) -> dict[str, Any]:
    """What `--json` prints."""
    return {"update_argument": [asdict(line) for line in lines], "ezkl": asdict(ezkl) if ezkl else None}


def _line(model: str, dim: int, logrows: int, slots: int, bits: int, found: _Measured, gas: int) -> Line:
    seconds = found.seconds
    return Line(
        model=model,
        dim=dim,
        logrows=logrows,
        slots=slots,
        bits=bits,
        key_seconds=round(seconds["key"], 3),
        commit_seconds=round(seconds["commit"] / slots, 3),
        prove_seconds=round(seconds["prove"], 2),
        microseconds_a_parameter=round(1e6 * seconds["prove"] / dim, 2),
        verify_seconds=round(seconds["verify"], 4),
        peak_mib=found.peak_mib,
        proof_bytes=len(found.proof.data),
        gas=gas,
    )


def _columns(slots: int, dim: int, bits: int) -> list[Column]:
    fmt, rng = FixedPoint(bits=bits, fraction_bits=0), np.random.default_rng(1)
    return [Column(values=rng.integers(fmt.lowest, fmt.highest + 1, dim), salts=draw_salts(fmt)) for _ in range(slots)]


def _measured(path: Path, dim: int, slots: int, bits: int) -> _Measured:
    """Runs in a process of its own."""
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], T]) -> T:
        started_at = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - started_at
        return result

    srs = Srs(path)
    key = timed("key", lambda: update_argument.make_key(srs, dim=dim, bits=bits))
    columns = _columns(slots, dim, bits)
    points = timed("commit", lambda: [commit(column, srs) for column in columns])
    proof = timed("prove", lambda: update_argument.prove(srs, key, context=CONTEXT, columns=columns, points=points))
    peak_mib = _peak_mib()
    timed("verify", lambda: update_argument.verify(key, context=CONTEXT, points=points, proof=proof))
    assert list(proof.instances) == upper_triangle(gram(columns))
    return _Measured(key, points, proof, seconds, peak_mib)


def _peak_mib() -> int:
    """This process's largest resident size. Not by getrusage, which counts the parent's before the exec as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def _gas(found: _Measured) -> int:
    from eth_account import Account  # noqa: PLC0415

    from contracts.bindings import Chain, artifacts  # noqa: PLC0415
    from contracts.bindings.deploy import create  # noqa: PLC0415
    from contracts.bindings.devchain import anvil_chain  # noqa: PLC0415
    from contracts.bindings.market import key_struct  # noqa: PLC0415

    with anvil_chain() as local:
        chain, account = Chain(local.rpc_url), Account.from_key(local.private_keys[0])
        address, _ = create(chain, account, artifacts.update_argument())
        fn = chain.contract(address, artifacts.update_argument().abi).functions.verify(
            tuple(key_struct(found.key.words).values()),
            CONTEXT,
            [tuple(point) for point in found.points],
            update_argument.pack_gram(found.proof.instances),
            found.proof.data,
        )
        assert bytes(chain.read(fn)) == found.key.digest
        return int(chain.send(account, fn)["gasUsed"])
