"""Generates the Python of proto/merit/v1 into proto/gen, which is on the path of everything that speaks gRPC.

Run by `make setup`; again without harm. mypy-protobuf adds the types.
"""

import importlib.resources
import shutil
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PLUGINS = ("python", "grpc_python", "mypy", "mypy_grpc")


def generate(target: Path) -> None:
    """Writes the modules of every .proto below this folder into `target`, and nothing else into it."""
    sources = sorted(str(path.relative_to(HERE)) for path in HERE.glob("merit/**/*.proto"))
    well_known = str(importlib.resources.files("grpc_tools") / "_proto")
    with tempfile.TemporaryDirectory(dir=HERE) as scratch:
        draft = Path(scratch) / "gen"
        draft.mkdir()
        plugins = [f"--plugin=protoc-gen-{name}={_script(f'protoc-gen-{name}')}" for name in ("mypy", "mypy_grpc")]
        outputs = [f"--{plugin}_out={draft}" for plugin in PLUGINS]
        # protoc takes the relative paths of its sources from the first import path that they lie under.
        status = protoc.main(["protoc", f"-I{HERE}", f"-I{well_known}", *plugins, *outputs, *sources])
        if status != 0:
            raise SystemExit(status)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)


def _script(name: str) -> Path:
    return Path(sys.executable).parent / name


if __name__ == "__main__":
    generate(HERE / "gen")
