"""Users' scripts: what they may be, and what is said of those that are not."""

from pathlib import Path

import numpy as np
import pytest

from clients.errors import InvalidModel, ScriptError
from clients.script import Script


def script(directory: Path, text: str) -> Script:
    path = directory / "user.py"
    path.write_text(text)
    return Script(path)


def test_a_function_of_vectors(tmp_path: Path) -> None:
    train = script(tmp_path, "def train(parameters, round, learning_rate): return parameters + round").training()
    assert train(np.zeros(3), 2, None).tolist() == [2, 2, 2]


MODEL = """
import torch

def build():
    model = torch.nn.Linear(2, 1)
    torch.nn.init.ones_(model.weight)
    torch.nn.init.zeros_(model.bias)
    return model

def train(model, round, learning_rate):
    with torch.no_grad():
        model.bias += learning_rate
"""


def test_a_model_that_is_trained_in_place(tmp_path: Path) -> None:
    loaded = script(tmp_path, MODEL)
    assert loaded.start().tolist() == [1, 1, 0]
    start = np.array([0.1, 0.2, 0.3])  # none of them a float32
    assert loaded.training()(start, 0, 0.5) == pytest.approx([0.1, 0.2, 0.8], abs=1e-7)
    # What was not trained has not moved at all, although float32 rounds it.
    assert loaded.training()(start, 0, 0.5)[:2].tolist() == [0.1, 0.2]


def test_a_start_without_torch(tmp_path: Path) -> None:
    text = "import numpy\ndef build(): return numpy.arange(3)\ndef train(parameters, round, rate): return parameters"
    loaded = script(tmp_path, text)
    assert loaded.start().tolist() == [0, 1, 2]
    assert loaded.training()(np.ones(3), 0, None).tolist() == [1, 1, 1]


def test_what_lies_beside_it_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "beside_the_script.py").write_text("STEP = 7")
    text = "from beside_the_script import STEP\ndef train(parameters, round, learning_rate): return parameters + STEP"
    assert script(tmp_path, text).training()(np.zeros(1), 0, None).tolist() == [7]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"train\(parameters, round, learning_rate\): it is not defined"),
        ("train = 1", "train: it is int"),
        ("def train(parameters): ...", "train: it must take 3 arguments"),
        ("def train(a, b, c): ...\ndef build(x): ...", "build: it must take 0 arguments"),
        ("def train(a, b, c): ...\ndef build(): raise OSError('no data')", "build: OSError: no data"),
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ("1 +", "SyntaxError"),
        ("raise RuntimeError('broken')", "RuntimeError: broken"),
    ],
)
def test_what_is_missing_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=said) as caught:
        script(tmp_path, text).training()
    assert caught.value.path == tmp_path / "user.py"


def test_a_failure_keeps_its_cause(tmp_path: Path) -> None:
    train = script(tmp_path, "def train(parameters, round, learning_rate): return 1 / round").training()
    with pytest.raises(ScriptError) as caught:
        train(np.zeros(1), 0, None)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_start_needs_a_build(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"build\(\)"):
        script(tmp_path, "").start()
    with pytest.raises(InvalidModel):
        script(tmp_path, "def build(): return 'a model'").start()


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="no such file"):
        Script(tmp_path / "missing.py")
    (tmp_path / "data.txt").write_text("")
    with pytest.raises(ScriptError, match="not a Python file"):
        Script(tmp_path / "data.txt")
