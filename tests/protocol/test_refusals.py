"""The catalogue: every code has one exception and one page, and survives the trip."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st
from merit.v1.errors_pb2 import ErrorCode

from protocol import refusals
from protocol.refusals import DOMAIN, Refusal, from_error, from_status

KINDS = sorted(refusals._BY_REASON.values(), key=lambda kind: kind.code)
PAGES = Path(__file__).parents[2] / "docs" / "errors"


def failed(status: Status) -> grpc.aio.AioRpcError:
    """What a client's call raises."""
    sent = rpc_status.to_status(status)
    return grpc.aio.AioRpcError(
        sent.code, grpc.aio.Metadata(), grpc.aio.Metadata(*sent.trailing_metadata), details=sent.details
    )


def test_every_code_has_one_exception() -> None:
    assert {kind.code for kind in KINDS} == set(ErrorCode.values()) - {ErrorCode.ERROR_CODE_UNSPECIFIED}
    assert all(f"ERROR_CODE_{kind.reason}" == ErrorCode.Name(kind.code) for kind in KINDS)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README"}
    assert pages == {kind.reason for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_says_what_happened_and_what_to_do(kind: type[Refusal]) -> None:
    page = (PAGES / f"{kind.reason}.md").read_text()
    assert page.startswith(f"# {kind.reason}\n\n`{kind.status.name}`")
    assert ("`RetryInfo`" in page) == (kind.retry_seconds is not None)
    assert "\n**What happened.** " in page
    assert "\n**What to do.** " in page
    index = (PAGES / "README.md").read_text()
    assert f"| [{kind.reason}]({kind.reason}.md) | {kind.status.name} |" in index


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_survives_the_trip(kind: type[Refusal]) -> None:
    sent = kind("why", field="dim", limit="at most 3", facts={"clock": "7"})
    found = from_error(failed(sent.to_status()))
    assert type(found) is kind
    assert (found.message, found.field, found.limit, str(found)) == ("why", "dim", "at most 3", "why")
    assert found.facts == {"clock": "7"}
    assert found.retry_seconds == kind.retry_seconds


@pytest.mark.parametrize("kind", KINDS)
def test_the_details_are_googles(kind: type[Refusal]) -> None:
    """So that a client in any language, which has no catalogue, can act on them."""
    status = kind("why", field="dim", limit="at most 3").to_status()
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        kind.reason,
        DOMAIN,
        {"field": "dim", "limit": "at most 3"},
    )
    assert status.details[1].Unpack(bad)
    assert [(v.field, v.description) for v in bad.field_violations] == [("dim", "at most 3")]
    assert (len(status.details) == 3) == (kind.retry_seconds is not None)
    if len(status.details) == 3:
        assert status.details[2].Unpack(retry)
        assert retry.retry_delay.ToMilliseconds() == 1000 * (kind.retry_seconds or 0)


@pytest.mark.parametrize("kind", KINDS)
def test_no_refusal_travels_as_success(kind: type[Refusal]) -> None:
    assert kind.status != grpc.StatusCode.OK


def test_codes_of_later_versions_are_plain_refusals() -> None:
    status = Status(code=3, message="new", details=[refusals._packed(ErrorInfo(reason="NEW", domain=DOMAIN))])
    found = from_status(status)
    assert type(found) is Refusal
    assert found.message == "new"


def test_foreign_errors_are_no_refusals() -> None:
    assert from_status(Status(code=3)) is None
    foreign = ErrorInfo(reason="UNKNOWN_TASK", domain="elsewhere")
    assert from_status(Status(code=3, details=[refusals._packed(foreign)])) is None
    empty = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata())
    assert from_error(empty) is None


@given(st.binary(max_size=60))
def test_arbitrary_details_are_no_refusals(raw: bytes) -> None:
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", raw))
    assert from_error(grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), trailing)) is None
    info = Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=raw)
    found = from_status(Status(code=3, details=[info]))
    assert found is None or type(found) in {Refusal, *KINDS}


def test_long_values_are_not_quoted_in_full() -> None:
    assert len(str(refusals.InvalidField.of("field", "x" * 10_000, "it is short"))) < 300
