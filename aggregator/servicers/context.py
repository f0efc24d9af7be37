"""The type of a call's context, which the services here only pass on."""

from typing import Any

from grpc.aio import ServicerContext

Context = ServicerContext[Any, Any]
