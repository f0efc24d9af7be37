"""The catalogue: every code has one exception, and survives the trip."""

import grpc
import pytest
from merit.v1.errors_pb2 import ErrorCode, ErrorDetail

from protocol import refusals
from protocol.refusals import METADATA_KEY, Refusal, from_metadata

KINDS = sorted(refusals._BY_CODE.values(), key=lambda kind: kind.code)


def trailing(entry: tuple[str, bytes]) -> grpc.aio.Metadata:
    return grpc.aio.Metadata(entry)


def test_every_code_has_one_exception() -> None:
    assert {kind.code for kind in KINDS} == set(ErrorCode.values()) - {ErrorCode.ERROR_CODE_UNSPECIFIED}


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_survives_the_trip(kind: type[Refusal]) -> None:
    sent = kind("why", field="dim", limit="at most 3")
    found = from_metadata(trailing(sent.to_metadata()))
    assert type(found) is kind
    assert found is not None
    assert (found.message, found.field, found.limit, str(found)) == ("why", "dim", "at most 3", "why")


@pytest.mark.parametrize("kind", KINDS)
def test_no_refusal_travels_as_success(kind: type[Refusal]) -> None:
    assert kind.status != grpc.StatusCode.OK


def test_codes_of_later_versions_are_plain_refusals() -> None:
    detail = ErrorDetail(code=9999, message="new")  # type: ignore[arg-type]
    found = from_metadata(trailing((METADATA_KEY, detail.SerializeToString())))
    assert type(found) is Refusal
    assert found is not None
    assert found.message == "new"


def test_foreign_metadata_is_no_refusal() -> None:
    assert from_metadata(None) is None
    assert from_metadata(grpc.aio.Metadata()) is None
    assert from_metadata(trailing((METADATA_KEY, b"\xff\xff"))) is None


def test_long_values_are_not_quoted_in_full() -> None:
    assert len(str(refusals.InvalidField.of("field", "x" * 10_000, "it is short"))) < 300
