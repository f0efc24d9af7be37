"""Witnesses of circuits without their keys: what the prover computes, in milliseconds."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from circuits import prover as prover_module
from circuits.circuit import Circuit
from circuits.prover import Prover

_COMPILED: dict[str, tuple[Path, dict[str, Any]]] = {}


def witness(prover: Prover, circuit: Circuit, inputs: Sequence[Sequence[int]]) -> list[int]:
    """The outputs (ProverError if a value leaves its room)."""
    return prover._worker.call(_witness, circuit, inputs)


def satisfies(prover: Prover, circuit: Circuit, inputs: Sequence[Sequence[int]]) -> bool:
    """Whether the inputs meet every constraint, gate by gate."""
    return prover._worker.call(_satisfies, circuit, inputs)


def settings_of(prover: Prover, circuit: Circuit) -> dict[str, Any]:
    """The library's settings of the compiled circuit, checked for soundness."""
    return prover._worker.call(_settings, circuit)


def _compiled(circuit: Circuit) -> tuple[Path, dict[str, Any]]:
    if circuit.name not in _COMPILED:
        at = Path(tempfile.mkdtemp())
        onnx, settings, compiled = (str(at / name) for name in ("circuit.onnx", "settings.json", "circuit.ezkl"))
        circuit.export_onnx(Path(onnx))
        library = prover_module._library()
        library.gen_settings(onnx, settings, py_run_args=prover_module._run_args(circuit))
        made = json.loads(Path(settings).read_text())
        prover_module._require_sound(circuit, made)
        library.compile_circuit(onnx, compiled, settings)
        _COMPILED[circuit.name] = at, made
    return _COMPILED[circuit.name]


def _witness(circuit: Circuit, inputs: list[list[int]]) -> list[int]:
    at, _ = _compiled(circuit)
    feed = {"input_data": [[prover_module._json(x) for x in vector] for vector in inputs]}
    (at / "input.json").write_text(json.dumps(feed))
    made = prover_module._library().gen_witness(
        str(at / "input.json"), str(at / "circuit.ezkl"), str(at / "witness.json")
    )
    return [prover_module._scalar(x) for vector in made["outputs"] for x in vector]


def _satisfies(circuit: Circuit, inputs: list[list[int]]) -> bool:
    _witness(circuit, inputs)
    at, _ = _compiled(circuit)
    return bool(prover_module._library().mock(str(at / "witness.json"), str(at / "circuit.ezkl")))


def _settings(circuit: Circuit) -> dict[str, Any]:
    return _compiled(circuit)[1]
