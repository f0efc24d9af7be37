"""An event loop in a thread of its own, for callers that block."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """Runs coroutines and waits for them. What it entered is left, in reverse order, when it closes."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="merit", daemon=True)
        self._thread.start()
        self._stack = AsyncExitStack()

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Runs a coroutine beside whatever else there is."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result. Whatever interrupts the wait, such as Ctrl-C, cancels it."""
        future = self.start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enters a context, which lasts until the loop is closed."""
        return self.run(self._stack.enter_async_context(context))

    def iterate(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """The items of an asynchronous generator, which is closed however the iteration ends."""
        end = object()
        try:
            while (item := self.run(_next(items, end))) is not end:
                yield item  # type: ignore[misc]
        finally:
            self.run(items.aclose())

    def close(self) -> None:
        """Ends the thread; a second call does nothing."""
        if self._loop.is_closed():
            return
        try:
            self.run(self._stack.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _next(items: AsyncIterator[T], end: object) -> T | object:
    return await anext(items, end)
