"""No request of any type crashes the server, hangs, or reaches what a caller must not see."""

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from merit.v1.types_pb2 import Chunk
from merit.v1.updates_pb2 import UploadUpdateRequest

from protocol.calls import UPLOAD_UPDATE, CallSigner
from protocol.wire import address_bytes
from tests.fuzz.harness import METHODS, SIGNED_BODIES, Served, request_class, served
from tests.fuzz.strategies import messages
from tests.stage import Stage

# One server for many requests: what one leaves behind is there for the next.
FUZZ = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture
def server(stage: Stage) -> Iterator[Served]:
    with served(stage) as running:
        yield running


def known(server: Served, task_id: int) -> dict[str, list[object]]:
    """Values that lead further in."""
    stage = server.stage
    update = stage.update(task_id, 0, stage.trainers[0], stage.draw(1))
    return {
        "task_id": [task_id],
        "round": [0, 1],
        "version": [0],
        "trainer": [address_bytes(stage.trainers[0].address)],
        "cid": [update.header.cid],
        "size_bytes": [len(update.data), len(stage.genesis_data)],
        "dtype": [update.header.dtype],
        "signature": [update.header.signature],
        "x": [update.header.point.x],
        "y": [update.header.point.y],
        "data": [update.data, update.data[:100]],
        "layer": [1, 2],
    }


def still_works(server: Served, task_id: int) -> None:
    """Nothing that was sent keeps an honest round from its end."""
    server.check_alive()
    server.run(server.stage.send(server.client, task_id, 0))
    server.run(server.stage.reached(server.client, task_id, 0, 7))


def test_every_method_takes_any_message(server: Served) -> None:
    task_id = server.run(server.stage.open_task(server.client))
    values = known(server, task_id)

    @FUZZ
    @given(st.data())
    def check(data: st.DataObject) -> None:
        for method, described in METHODS.items():
            if not described.client_streaming:
                request = data.draw(messages(described.input_type, values), label=method)
                server.call(method, [request.SerializeToString()])

    check()
    still_works(server, task_id)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_any_bytes(method: str, server: Served) -> None:
    """Whatever is no message is refused, like a message that makes no sense."""
    no_message = b"\xff"
    assert server.call(method, [no_message]) == grpc.StatusCode.INVALID_ARGUMENT

    @FUZZ
    @given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
    def check(requests: list[bytes]) -> None:
        server.call(method, requests)

    check()
    server.check_alive()


@pytest.mark.parametrize("method", SIGNED_BODIES)
def test_every_signed_call_takes_any_body(method: str, server: Served) -> None:
    """Signed by those who may call, so that the body is what is looked at."""
    stage = server.stage
    task_id = server.run(stage.open_task(server.client))
    values = known(server, task_id)
    signers = [CallSigner(account, stage.market.domain) for account in (stage.trainers[0], stage.owner, stage.outsider)]
    part = METHODS[method].input_type.fields[0].name

    def first(body: Message, signer: CallSigner) -> bytes:
        fields = {"task_id": getattr(body, "task_id", 0), "round": getattr(body, "round", 0)}
        call = signer.sign(method, body, **fields)
        return request_class(method)(**{part: call}).SerializeToString()

    chunks = messages(Chunk.DESCRIPTOR, values)

    @FUZZ
    @given(
        messages(SIGNED_BODIES[method].DESCRIPTOR, values),
        st.sampled_from(signers),
        st.lists(chunks, max_size=4),
    )
    def check(body: Message, signer: CallSigner, tail: list[Message]) -> None:
        requests = [first(body, signer)]
        if METHODS[method].client_streaming:
            requests += [request_class(method)(chunk=chunk).SerializeToString() for chunk in tail]
        server.call(method, requests)

    check()
    still_works(server, task_id)


@pytest.mark.parametrize("method", [name for name, each in METHODS.items() if each.client_streaming])
def test_every_stream_takes_any_sequence(method: str, server: Served) -> None:
    task_id = server.run(server.stage.open_task(server.client))
    values = known(server, task_id)

    @FUZZ
    @given(st.lists(messages(METHODS[method].input_type, values), max_size=4))
    def check(requests: list[Message]) -> None:
        server.call(method, [request.SerializeToString() for request in requests])

    check()
    still_works(server, task_id)


@FUZZ
@given(changed=st.integers(0, 400), to=st.integers(0, 255))
def test_an_honest_upload_with_one_byte_changed(server: Served, changed: int, to: int) -> None:
    stage = server.stage
    task_id = next(iter(server.aggregator.registry.tasks), None) or server.run(stage.open_task(server.client))
    update = stage.update(task_id, 0, stage.trainers[0], stage.draw(1))
    signed = update.signer.sign(UPLOAD_UPDATE, update.header, task_id=task_id, round=0)
    kind = UploadUpdateRequest
    raw = bytearray(kind(header=signed).SerializeToString())
    if raw[changed % len(raw)] == to:
        return
    raw[changed % len(raw)] = to
    server.call(
        "/merit.v1.UpdatesService/UploadUpdate", [bytes(raw), kind(chunk=Chunk(data=update.data)).SerializeToString()]
    )
    assert server.aggregator.tools.state.update(task_id, 0, stage.trainers[0].address) is None
    server.check_alive()
