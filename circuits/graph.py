"""PyTorch to ONNX in the one dialect that the prover loads (TorchScript export, opset 17, fixed shapes)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from circuits.tensors import torch

OPSET = 17


def export(module: torch.nn.Module, lengths: Sequence[int], names: Sequence[str], path: Path) -> None:
    """Writes `module`, a function of flat vectors of the given lengths, to `path`."""
    # Exact on integers below 2^53.
    example = tuple(torch.ones(length, dtype=torch.float64) for length in lengths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter advertises its successor, which the prover cannot load
        torch.onnx.export(module.eval(), example, str(path), opset_version=OPSET, dynamo=False, input_names=list(names))
    model = onnx.load(path)
    _widen(model.graph)
    onnx.save(model, path)


def _widen(exported: onnx.GraphProto) -> None:
    """Puts float64 wherever the exporter wrote float32, to which it rounds scalars of a module that is all float64."""
    del exported.value_info[:]
    for node in exported.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
                attribute.i = onnx.TensorProto.DOUBLE
            elif node.op_type == "Constant" and attribute.t.data_type == onnx.TensorProto.FLOAT:
                exact = numpy_helper.to_array(attribute.t).astype(np.float64)
                attribute.t.CopyFrom(numpy_helper.from_array(exact, attribute.t.name))


def pair_index(slots: int) -> torch.Tensor:
    """int64[slots, slots]: where entry (i, j) of a symmetric matrix stands in its row-major upper triangle."""
    index = torch.zeros(slots, slots, dtype=torch.long)
    upper = torch.triu_indices(slots, slots)
    index[upper[0], upper[1]] = torch.arange(upper.shape[1])
    return torch.maximum(index, index.T)


def diagonal(matrix: torch.Tensor) -> torch.Tensor:
    """The diagonal [n] of a matrix [n, n]; by constant indices, which cost no rows (torch.diagonal does not export)."""
    index = torch.from_numpy(np.arange(len(matrix)))
    return matrix[index, index]
