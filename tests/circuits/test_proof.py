import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.bn254 import SCALAR_MODULUS
from circuits.errors import FieldError
from circuits.proof import Proof, from_field, to_field

signed = st.integers(-(SCALAR_MODULUS // 2), SCALAR_MODULUS // 2)


@given(signed)
def test_signed_scalars_round_trip(value: int) -> None:
    assert from_field(to_field(value)) == value


@given(st.binary(max_size=300), st.lists(signed, max_size=10))
def test_json_round_trips(data: bytes, instances: list[int]) -> None:
    proof = Proof(data=data, instances=tuple(instances))
    assert Proof.from_json(proof.to_json()) == proof


MALFORMED = {
    "empty": "",
    "list": "[]",
    "no fields": "{}",
    "no hex": '{"proof": "zz", "instances": []}',
    "no number": '{"proof": "", "instances": ["x"]}',
    "no string": '{"proof": 1, "instances": []}',
    "infinity": '{"proof": "", "instances": [Infinity]}',
    "float": '{"proof": "", "instances": [1.9, true]}',
    "text": '{"proof": "", "instances": "123"}',
    "more": '{"proof": "", "instances": [], "x": 1}',
    "unreduced": f'{{"proof": "", "instances": ["{SCALAR_MODULUS}"]}}',
    "deep": "[" * 100_000,
    "huge": " " * (5 << 20),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="proof"):
        Proof.from_json(text)


def test_points_of_a_short_or_bad_proof() -> None:
    with pytest.raises(FieldError):
        Proof(data=bytes(127), instances=()).committed_points(2)
    with pytest.raises(FieldError):
        Proof(data=b"\x01" * 64, instances=()).committed_points(1)
