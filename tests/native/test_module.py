"""The Rust module from Python: what it agrees with, and that no argument makes it panic."""

import pickle
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import merit_native
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merit_native import NativeError
from numpy.typing import NDArray

from circuits.bn254 import GENERATOR, G1Point, sum_points
from circuits.commitment import SALT_ROWS, Column, commit
from circuits.srs import Srs

K = 10
N = 1 << K
DIM = 20
CONTEXT = bytes(range(32))


@dataclass(frozen=True)
class Scene:
    """An honest proof about three columns."""

    srs: merit_native.Srs
    path: Path
    key: bytes
    values: NDArray[np.int8]
    salts: NDArray[np.int8]
    points: bytes
    columns: list[merit_native.Column]
    gram: bytes
    proof: bytes


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    path = tmp_path_factory.mktemp("srs") / "kzg10.srs"
    merit_native.generate_srs(path, K)
    srs = merit_native.Srs(path)
    rng = np.random.default_rng(1)
    values = rng.integers(-128, 128, (3, DIM), dtype=np.int8)
    salts = rng.integers(-128, 128, (3, SALT_ROWS), dtype=np.int8)
    points = b"".join(merit_native.commit(srs, v, s) for v, s in zip(values, salts, strict=True))
    columns = [merit_native.Column(v, s, n=N, bits=8) for v, s in zip(values, salts, strict=True)]
    key = merit_native.make_key(srs, dim=DIM, bits=8)
    gram, proof = merit_native.prove(srs, key=key, context=CONTEXT, points=points, columns=columns)
    return Scene(srs, path, key, values, salts, points, columns, gram, proof)


def test_the_honest_proof_and_its_integers(scene: Scene) -> None:
    merit_native.verify(key=scene.key, context=CONTEXT, points=scene.points, gram=scene.gram, proof=scene.proof)
    wide = scene.values.astype(np.int64)
    expected = [int(wide[i] @ wide[j]) for i in range(3) for j in range(i, 3)]
    assert np.frombuffer(scene.gram, dtype=">i8").tolist() == expected
    assert len(scene.proof) == merit_native.proof_bytes(scene.key, 3)
    assert len(scene.key) == merit_native.KEY_BYTES
    with pytest.raises(merit_native.InvalidProof, match="it does not hold for this statement"):
        merit_native.verify(key=scene.key, context=bytes(32), points=scene.points, gram=scene.gram, proof=scene.proof)


@pytest.mark.parametrize("magnitude", [7, 127, 30_000, 1 << 21, 1 << 40, (1 << 63) - 1])
def test_commitments_are_those_of_the_reference(scene: Scene, magnitude: int) -> None:
    rng = np.random.default_rng(magnitude % 1000)
    values = rng.integers(-magnitude, magnitude, DIM, dtype=np.int64)
    salts = rng.integers(-magnitude, magnitude, SALT_ROWS, dtype=np.int64)
    expected = commit(Column(values=values, salts=salts, tail=-magnitude), Srs(scene.path)).to_bytes()
    assert merit_native.commit(scene.srs, values, salts, tail=-magnitude) == expected
    merit_native.check_opening(scene.srs, expected, values, salts, tail=-magnitude)
    with pytest.raises(merit_native.CommitmentMismatch):
        merit_native.check_opening(scene.srs, expected, values, salts, tail=1 - magnitude)


def test_every_width_of_integer_is_the_same_commitment(scene: Scene) -> None:
    values, salts = scene.values[0], scene.salts[0]
    for dtype in (np.int8, np.int16, np.int32, np.int64):
        assert merit_native.commit(scene.srs, values.astype(dtype), salts) == scene.points[:64]
    strided = np.repeat(values, 2)[::2]
    assert not strided.flags.c_contiguous
    assert merit_native.commit(scene.srs, strided, salts) == scene.points[:64]


def test_a_redrawn_salt_moves_the_commitment(scene: Scene) -> None:
    moved = scene.salts[0].astype(np.int64)
    moved[9] += 5
    expected = merit_native.commit(scene.srs, scene.values[0], moved)
    assert merit_native.commit_delta(scene.srs, scene.points[:64], row=DIM + 9, change=5) == expected


def test_a_column_given_whole_is_the_same_column(scene: Scene) -> None:
    rows = np.concatenate([scene.values[0], scene.salts[0], np.zeros(N - DIM - SALT_ROWS - 6, np.int8), np.ones(6)])
    whole = merit_native.Column.from_rows(rows.astype(np.int32), bits=8)
    assert (len(whole), whole.bits) == (N, 8)
    columns = [whole, *scene.columns[1:]]
    gram, proof = merit_native.prove(scene.srs, key=scene.key, context=CONTEXT, points=scene.points, columns=columns)
    assert gram == scene.gram
    merit_native.verify(key=scene.key, context=CONTEXT, points=scene.points, gram=gram, proof=proof)


def test_a_sum_of_columns_in_front(scene: Scene) -> None:
    # Column 0 is the sum of the other two: salts and tail add up, and its commitment is their sum.
    total = scene.values[1:].sum(axis=0, dtype=np.int32)
    salts = scene.salts[1:].sum(axis=0, dtype=np.int32)
    wide = merit_native.Column(total, salts, n=N, bits=10, tail=2)
    both = sum_points(G1Point.from_bytes(scene.points[i : i + 64]) for i in (64, 128)).to_bytes()
    key = merit_native.make_key(scene.srs, dim=DIM, bits=8, bits0=10)
    points = both + scene.points[64:]
    columns = [wide, *scene.columns[1:]]
    gram, proof = merit_native.prove(scene.srs, key=key, context=CONTEXT, points=points, columns=columns)
    merit_native.verify(key=key, context=CONTEXT, points=points, gram=gram, proof=proof)


def test_errors_name_the_place(scene: Scene) -> None:
    values = scene.values[0].astype(np.int64)
    values[3] = 128
    with pytest.raises(merit_native.OutOfRange) as refused:
        merit_native.Column(values, scene.salts[0], n=N, bits=8, index=5)
    error = refused.value
    assert (error.column, error.row, error.value, error.limit) == (5, 3, 128, 128)
    assert str(error) == "column 5, row 3: got 128, but it must lie in [-128, 128)"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, str(again)) == (type(error), error.args, str(error))

    with pytest.raises(merit_native.CommitmentMismatch) as mismatch:
        merit_native.prove(scene.srs, key=scene.key, context=CONTEXT, points=scene.points, columns=scene.columns[::-1])
    assert mismatch.value.column == 0

    with pytest.raises(merit_native.SrsError) as missing:
        merit_native.Srs(scene.path.with_name("none.srs"))
    assert missing.value.file == "none.srs"
    assert str(scene.path.parent) not in str(missing.value)


@pytest.mark.parametrize(
    "wrong", [[1, 2], b"\x01\x02", np.zeros(DIM), np.zeros(DIM, np.uint8), np.zeros((2, 10), np.int8), None, "text"]
)
def test_what_is_no_vector_of_signed_integers(scene: Scene, wrong: object) -> None:
    with pytest.raises(merit_native.FieldError) as refused:
        merit_native.commit(scene.srs, wrong, scene.salts[0])  # type: ignore[arg-type]
    assert refused.value.field == "values"


def test_progress_is_reported_and_can_stop_the_work(scene: Scene) -> None:
    reports: list[tuple[str, int, int]] = []

    def prove(progress: Callable[[str, int, int], bool | None]) -> None:
        merit_native.prove(
            scene.srs,
            key=scene.key,
            context=CONTEXT,
            points=scene.points,
            columns=scene.columns,
            progress=progress,
        )

    prove(lambda *report: reports.append(report))
    assert {stage for stage, done, total in reports if done == total} == {stage for stage, _, _ in reports}
    for stop in range(len(reports)):
        calls = iter(range(stop, -1, -1))
        with pytest.raises(merit_native.Cancelled):
            prove(lambda *_, calls=calls: next(calls) > 0)

    def broken(*_: object) -> None:
        raise KeyError("the callback's own")

    with pytest.raises(KeyError, match="the callback's own"):
        prove(broken)


def test_a_real_string_is_consistent_and_others_run_meanwhile(srs: Srs) -> None:
    """The prover's own test string passes; and the interpreter's lock is free while it is checked."""
    finished = threading.Event()
    entered = threading.Event()
    found: list[bytes] = []

    def check() -> None:
        string = merit_native.Srs(srs.path)
        entered.set()
        found.append(string.check())
        finished.set()

    interval = sys.getswitchinterval()
    # Longer than the check: this thread runs again only if the other gives the lock away by itself.
    sys.setswitchinterval(600)
    try:
        thread = threading.Thread(target=check)
        thread.start()
        entered.wait()
        ran_meanwhile = not finished.is_set()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert ran_meanwhile
    assert found[0].hex() == srs.digest


def test_cancelled_strings_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(merit_native.Cancelled):
        merit_native.generate_srs(tmp_path / "kzg8.srs", 8, lambda _stage, done, _total: done == 0)
    assert not list(tmp_path.iterdir())
    merit_native.generate_srs(tmp_path / "kzg8.srs", 8)
    merit_native.generate_srs(tmp_path / "kzg9.srs", 9)
    small, large = merit_native.Srs(tmp_path / "kzg8.srs"), merit_native.Srs(tmp_path / "kzg9.srs")
    with pytest.raises(merit_native.SrsError, match="not of the same tau"):
        small.extend_from(large)
    assert small.check().hex() == Srs(tmp_path / "kzg8.srs").digest


# Anything: lengths around the right ones, and right ones with a byte changed.
def mangled(honest: bytes) -> st.SearchStrategy[bytes]:
    def flip(at: int, mask: int) -> bytes:
        return honest[:at] + bytes([honest[at] ^ mask]) + honest[at + 1 :]

    return st.one_of(
        st.binary(max_size=600),
        st.binary(min_size=len(honest), max_size=len(honest)),
        st.builds(flip, st.integers(0, len(honest) - 1), st.integers(1, 255)),
        st.integers(0, len(honest)).map(lambda end: honest[:end]),
        st.binary(max_size=80).map(lambda more: honest + more),
    )


integers = st.one_of(st.integers(-3, 600), st.integers(-(1 << 70), 1 << 70))
arrays = st.one_of(
    st.binary(max_size=64),
    st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=600).map(lambda rows: np.array(rows, dtype=np.int64)),
    st.lists(st.integers(-128, 127), min_size=512, max_size=512).map(lambda rows: np.array(rows, dtype=np.int8)),
    st.floats().map(np.array),
    st.none(),
)
fuzzed = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def survives(call: object, *args: object, **kwargs: object) -> None:
    """Calls; only Python's own complaints about types, and this module's typed errors, may come out."""
    try:
        call(*args, **kwargs)  # type: ignore[operator]
    except (TypeError, OverflowError):
        pass
    except merit_native.InternalError:
        raise
    except NativeError:
        pass


@fuzzed
@given(data=st.data())
def test_fuzz_verify(scene: Scene, data: st.DataObject) -> None:
    honest = {
        "key": scene.key,
        "context": CONTEXT,
        "points": scene.points,
        "gram": scene.gram,
        "proof": scene.proof,
    }
    field = data.draw(st.sampled_from(sorted(honest)))
    changed = data.draw(mangled(honest[field]))
    if changed == honest[field]:
        return
    with pytest.raises((merit_native.FieldError, merit_native.InvalidProof)):
        merit_native.verify(**honest | {field: changed})


@fuzzed
@given(data=st.data())
def test_fuzz_prove(scene: Scene, data: st.DataObject) -> None:
    """With the callback stopping what would be honest, so that it is quick."""
    survives(
        merit_native.prove,
        scene.srs,
        key=data.draw(st.one_of(st.just(scene.key), mangled(scene.key))),
        context=data.draw(st.one_of(st.just(CONTEXT), st.binary(max_size=40))),
        points=data.draw(st.one_of(st.just(scene.points), mangled(scene.points))),
        columns=data.draw(st.lists(st.sampled_from([*scene.columns, None, 3]), max_size=40)),
        progress=lambda _stage, done, _total: done == 0,
    )


@fuzzed
@given(data=st.data())
def test_fuzz_keys(scene: Scene, data: st.DataObject) -> None:
    key = data.draw(mangled(scene.key))
    survives(merit_native.key_digest, key)
    survives(merit_native.proof_bytes, key, data.draw(integers))
    survives(merit_native.make_key, scene.srs, dim=data.draw(integers), bits=data.draw(integers))
    survives(merit_native.make_key, scene.srs, dim=DIM, bits=8, bits0=data.draw(integers))
    survives(merit_native.peak_bytes, data.draw(integers))


@fuzzed
@given(values=arrays, salts=arrays, n=integers, bits=integers, tail=integers, index=st.integers(0, 40))
def test_fuzz_columns(scene: Scene, values: object, salts: object, n: int, bits: int, tail: int, index: int) -> None:
    survives(merit_native.Column, values, salts, n=n, bits=bits, tail=tail, index=index)
    survives(merit_native.Column, values, salts, n=N, bits=22, tail=1, index=index)
    survives(merit_native.Column.from_rows, values, bits=bits, index=index)
    survives(merit_native.commit, scene.srs, values, salts, tail=tail)


@fuzzed
@given(data=st.data())
def test_fuzz_points(scene: Scene, data: st.DataObject) -> None:
    point = data.draw(mangled(GENERATOR.to_bytes()))
    survives(merit_native.commit_delta, scene.srs, point, row=data.draw(integers), change=data.draw(integers))
    survives(merit_native.check_opening, scene.srs, point, scene.values[0], scene.salts[0], tail=data.draw(integers))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), large_k=st.integers(27, 1 << 40))
def test_fuzz_strings(scene: Scene, tmp_path: Path, data: st.DataObject, large_k: int) -> None:
    path = tmp_path / "kzg10.srs"
    path.write_bytes(data.draw(mangled(scene.path.read_bytes())))
    path.with_suffix(".next").write_bytes(data.draw(mangled(scene.path.with_suffix(".next").read_bytes())))
    survives(lambda: merit_native.Srs(path).check())
    survives(merit_native.generate_srs, path, large_k)
