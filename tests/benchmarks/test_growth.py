"""Exponents are those of the data, and a projection is what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.growth import LOGROWS, exponent, exponents, full, linearity, project
from benchmarks.records import Record, spread
from circuits.commitment import smallest_logrows
from circuits.linear.update_argument import peak_bytes


def line(logrows: int, seconds: float, *, slots: int = 4, quotient: float = 0.0) -> Record:
    return {
        "kind": "argument", "dim": full(logrows), "logrows": logrows, "slots": slots, "bits": 8, "peak_mib": 2**logrows,
        "seconds": {"prove": spread([seconds]), "commit": spread([seconds])},
        "stages": {"quotient": spread([quotient or seconds / 2])},
    }  # fmt: skip


@given(st.floats(min_value=-3, max_value=3), st.floats(min_value=1e-3, max_value=1e3))
def test_the_exponent_of_a_power(power: float, factor: float) -> None:
    xs = [2.0, 3.0, 10.0, 1e3]
    assert exponent(xs, [factor * x**power for x in xs]) == pytest.approx(power, abs=1e-6)


def test_every_size_fills_its_domain() -> None:
    for logrows in LOGROWS:
        assert smallest_logrows(full(logrows)) == logrows
        assert smallest_logrows(full(logrows) + 1) == logrows + 1


def test_what_is_proportional_grows_with_exponent_one() -> None:
    records = [line(logrows, 1e-3 * full(logrows)) for logrows in range(10, 21)]
    found = exponents(records)
    assert found["prove seconds by dim"] == pytest.approx(1, abs=1e-3)
    assert linearity(records)[20] == 1
    assert linearity(records)[14] == pytest.approx(1, abs=0.05)


def test_a_fixed_cost_shows_in_small_domains() -> None:
    records = [line(logrows, 1e-5 * 2**logrows + 0.05) for logrows in range(14, 21)]
    assert linearity(records)[14] > 1.25


@given(st.integers(min_value=1, max_value=6), st.floats(min_value=0.1, max_value=0.9))
def test_a_projection_doubles_with_the_rows_and_a_little_more(steps: int, share: float) -> None:
    measured = line(20, 100.0, quotient=100 * share)
    [found] = project([measured], [full(20 + steps)], slots=4)
    assert found.prove_seconds == pytest.approx(2**steps * 100 * (1 + share * steps / 20), rel=1e-3)
    assert found.peak_gib * 2**30 > peak_bytes(20 + steps)
    assert found.string_exists


def test_beyond_the_ceremony_there_is_no_string() -> None:
    [found] = project([line(20, 1.0)], [100_000_000], slots=4)
    assert not found.string_exists
    assert project([line(20, 1.0)], [1], slots=10) == []
