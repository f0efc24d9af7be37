"""A real server in a thread, and every method that it has: what is sent is arbitrary, how it answers is not."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from merit.v1 import (
    assessments_pb2,
    jobs_pb2,
    models_pb2,
    proofs_pb2,
    receipts_pb2,
    rounds_pb2,
    tasks_pb2,
    updates_pb2,
)

from aggregator.service import Aggregator
from clients.service import AggregatorClient
from protocol import wire
from tests.stage import Stage

T = TypeVar("T")

FILES = (assessments_pb2, jobs_pb2, models_pb2, proofs_pb2, receipts_pb2, rounds_pb2, tasks_pb2, updates_pb2)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
SIGNED_BODIES: dict[str, type[Message]] = {
    "/merit.v1.UpdatesService/UploadUpdate": updates_pb2.UpdateHeader,
    "/merit.v1.ModelsService/UploadGenesis": models_pb2.GenesisHeader,
    "/merit.v1.TasksService/CreateTask": tasks_pb2.TaskCreation,
}
# Long enough for an answer; a watch is still open then.
_TIMEOUT_SECONDS = 20.0
_WATCH_SECONDS = 0.2
_DETAILS = "grpc-status-details-bin"
_BUGS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED)


def request_class(method: str) -> type[Message]:
    return GetMessageClass(METHODS[method].input_type)


@dataclass
class Served:
    """Attributes:
    channel: of a caller that blocks. loop: the server's.
    """

    stage: Stage
    aggregator: Aggregator
    client: AggregatorClient
    channel: grpc.Channel
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)

    def call(self, method: str, requests: Sequence[bytes]) -> grpc.StatusCode:
        """Sends exactly these messages; a bug of the server is an AssertionError, and so is a bare status."""
        described = METHODS[method]
        watches = "/Watch" in method
        timeout = _WATCH_SECONDS if watches else _TIMEOUT_SECONDS
        try:
            if described.client_streaming:
                self.channel.stream_unary(method)(iter(requests), timeout=timeout)
            elif described.server_streaming:
                for _ in self.channel.unary_stream(method)(requests[0], timeout=timeout):
                    pass
            else:
                self.channel.unary_unary(method)(requests[0], timeout=timeout)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
            assert code not in _BUGS, f"{method}: {code}: {details}"
            explained = any(key == _DETAILS for key, _ in error.trailing_metadata() or ())
            assert explained or code == grpc.StatusCode.DEADLINE_EXCEEDED, f"{method}: {code}, and no more: {details}"
            assert watches or code != grpc.StatusCode.DEADLINE_EXCEEDED or "came" in details, f"{method} hangs"
            return code
        return grpc.StatusCode.OK

    def check_alive(self) -> None:
        """The server still answers."""
        assert self.call("/merit.v1.TasksService/ListTasks", [b""]) == grpc.StatusCode.OK


@contextmanager
def served(stage: Stage, **changes: object) -> Iterator[Served]:
    """An aggregator with limits that one caller does not reach."""
    limits = {"calls_per_second": 1e6, "max_calls_per_address": 4096, "idle_seconds": 5}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = stage.running(**(limits | changes))
    aggregator, client = asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(120)
    channel = grpc.insecure_channel(f"127.0.0.1:{aggregator.port}", options=list(wire.CHANNEL_OPTIONS))
    try:
        yield Served(stage, aggregator, client, channel, loop)
    finally:
        channel.close()
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(120)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
