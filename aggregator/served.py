"""Tasks in memory: what uploads and rounds need at once, and how their parts wake each other."""

import asyncio
import time
from bisect import bisect_right
from contextlib import suppress

from eth_typing import ChecksumAddress

from aggregator.finality import Head, Seen
from aggregator.records import Report
from aggregator.tools import Tools, off_loop
from contracts.bindings import Anchor, MalformedTask, MarketEvent, TaskConfig, TaskState, TaskView
from protocol.refusals import InvalidField, UnknownTask
from protocol.terms import Derived
from store.keywrap import Receiver

_DISCOVERY_PAUSE_SECONDS = 0.5
# Watchers wake at each step; this only bounds how long a missed one can stay unnoticed.
_WATCH_SECONDS = 5.0
_PAGE = 1000


class ServedTask:
    """A task that names this aggregator.

    Attributes:
        view: as last seen on chain.
        derived: keys and points, once the terms are checked.
        owner_key: whom the last model is sealed for; None where it is not.
        refusal: why it is not served, or "".
        joined: trainers, as last seen on chain.
        finished: its machine has nothing left to do.
        journal: its finished steps.
    """

    def __init__(self, view: TaskView) -> None:
        self.task_id = view.task_id
        self.view = view
        self.derived: Derived | None = None
        self.owner_key: Receiver | None = None
        self.refusal = ""
        self.joined: set[ChecksumAddress] = set()
        self.finished = False
        self.checked = asyncio.Event()
        self._changed = asyncio.Condition()
        self._version = 0
        self.journal = Journal(view.task_id)
        self._final_joined: set[ChecksumAddress] = set()
        self._logs_from = view.created_at_block
        self._seen = Seen()

    @property
    def config(self) -> TaskConfig:
        return self.view.config

    @property
    def referee(self) -> ChecksumAddress | None:
        """The owner, where its update fills slot 0 as the reference; it is then no trainer."""
        return self.view.owner if self.config.anchor == Anchor.REFERENCE else None

    @property
    def places(self) -> int:
        """Slots that are for trainers."""
        return self.config.slots - (self.config.anchor != Anchor.NONE)

    @property
    def trainers(self) -> set[ChecksumAddress]:
        """Who has joined, but for the referee."""
        return self.joined - {self.referee}

    async def terms(self) -> Derived:
        """What the terms stand for, once they are checked.

        Raises:
            InvalidField: they were refused.
        """
        await self.checked.wait()
        if self.derived is None:
            raise InvalidField.of("task_id", self.task_id, f"this aggregator does not serve it: {self.refusal}")
        return self.derived

    @property
    def version(self) -> int:
        """Grows with each change."""
        return self._version

    async def notify(self, *, step: bool = True) -> None:
        """Something has changed: an update, the chain, or, as far as is known, a step."""
        async with self._changed:
            self._version += 1
            self._changed.notify_all()
        if step:
            self.journal.notify()

    async def wait_for_change(self, seen: int, timeout_seconds: float) -> None:
        """Returns at the first change after version `seen`, or when the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds), self._changed:
                await self._changed.wait_for(lambda: self._version != seen)

    async def refresh(self, tools: Tools, within_seconds: float = 0.0) -> TaskView:
        """State and trainers as the chain has them, or had at most so long ago."""
        head, began_at = await off_loop(tools.finality.look, within_seconds), time.monotonic()
        if self._seen.is_of(head):
            return self.view
        before = (self.view.state, self.view.current_round, self.view.round_state, len(self.joined))
        await off_loop(self._look_at_trainers, head, tools)
        self.view = await off_loop(tools.market.task, self.task_id, self.view)
        self._seen.note(head, began_at)
        if before != (self.view.state, self.view.current_round, self.view.round_state, len(self.joined)):
            await self.notify()
        return self.view

    def _look_at_trainers(self, head: Head, tools: Tools) -> None:
        """From the logs; those of blocks that may be taken back are read each time."""
        events = (
            tools.market.events(self.task_id, self._logs_from, head.latest) if head.latest >= self._logs_from else []
        )
        self._final_joined = _after([e for e in events if e.block_number <= head.final], self._final_joined)
        self.joined = _after([e for e in events if e.block_number > head.final], self._final_joined)
        self._logs_from = max(self._logs_from, head.final + 1)

    async def has_joined(self, trainer: ChecksumAddress, tools: Tools) -> bool:
        """Whether an address has joined: asked of the chain unless known, for it may have just done so."""
        if trainer not in self.joined and await off_loop(tools.market.has_joined, self.task_id, trainer):
            self.joined.add(trainer)
        return trainer in self.joined


class Journal:
    """A task's finished steps in memory, for any number of watchers: one look at the database serves them all."""

    def __init__(self, task_id: int) -> None:
        self._task_id = task_id
        self._reports: list[Report] = []
        self._stale = True
        self._looked_at = 0.0
        self._looking = asyncio.Lock()
        self._changed = asyncio.Event()

    async def after(self, cursor: int, tools: Tools) -> list[Report]:
        """The reports with greater cursors, in order."""
        async with self._looking:
            if self._stale or time.monotonic() - self._looked_at > _WATCH_SECONDS:
                self._stale, self._looked_at = False, time.monotonic()
                await self._look(tools)
        return self._reports[bisect_right(self._reports, cursor, key=lambda report: report.cursor) :]

    def changed(self) -> asyncio.Event:
        """Set at the next step; to be asked for before the look that it follows."""
        return self._changed

    def notify(self) -> None:
        """There may be a new step."""
        self._stale = True
        self._changed.set()
        self._changed = asyncio.Event()

    async def _look(self, tools: Tools) -> None:
        while True:
            known = self._reports[-1].cursor if self._reports else 0
            page = await off_loop(tools.state.reports, self._task_id, after_cursor=known, limit=_PAGE)
            self._reports += page
            if len(page) < _PAGE:
                return


def _after(events: list[MarketEvent], joined: set[ChecksumAddress]) -> set[ChecksumAddress]:
    """Who has joined after these events."""
    joined = set(joined)
    for event in events:
        if event.name == "TrainerJoined":
            joined.add(event.args["trainer"])
        elif event.name == "TrainerLeft":
            joined.discard(event.args["trainer"])
    return joined


class Registry:
    """The tasks of this aggregator, found on chain once their creation is final.

    Attributes:
        tasks: by id.
    """

    def __init__(self, tools: Tools) -> None:
        self.tasks: dict[int, ServedTask] = {}
        self.found: asyncio.Queue[ServedTask] = asyncio.Queue()
        self._tools = tools
        self._last_id = 0
        self._seen = Seen()
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def get(self, task_id: int) -> ServedTask:
        """A task by id; looks at the chain for one that is not known yet.

        Raises:
            UnknownTask: it is not this aggregator's.
        """
        if task_id not in self.tasks:
            await self.discover()
        if task_id not in self.tasks:
            raise UnknownTask(f"task_id: this aggregator serves no task {task_id}", field="task_id")
        return self.tasks[task_id]

    async def discover(self) -> None:
        """Finds new tasks on chain. Callers share a look, so that strangers' questions cost one look in a while."""
        asked_at = time.monotonic()
        async with self._looking:
            if self._looked_at >= asked_at:
                return
            await asyncio.sleep(self._looked_at + _DISCOVERY_PAUSE_SECONDS - asked_at)
            began_at = time.monotonic()
            head = await off_loop(self._tools.finality.look)
            if not self._seen.is_of(head):
                await self._discover(head)
                self._seen.note(head, began_at)
            self._looked_at = began_at

    async def _discover(self, head: Head) -> None:
        market, known = self._tools.market, await off_loop(self._tools.state.tasks)
        while page := await off_loop(market.tasks, self._last_id + 1):
            for view in page:
                if not isinstance(view, MalformedTask) and view.created_at_block > head.final:
                    return
                if isinstance(view, MalformedTask):
                    # A stranger's, or of no rule that could be served.
                    self._tools.log.warning("task.malformed", task=view.task_id, reason=str(view))
                elif self._is_ours(view, known):
                    await self._add(view)
                self._last_id = view.task_id

    def _is_ours(self, view: TaskView, known: set[int]) -> bool:
        if view.config.aggregator != self._tools.account.address:
            return False
        only = self._tools.config.tasks
        if only is not None and view.task_id not in only:
            return False
        # A task that was closed before this state was begun has nothing to serve.
        return view.state != TaskState.CLOSED or view.task_id in known

    async def _add(self, view: TaskView) -> None:
        task = ServedTask(view)
        await off_loop(self._tools.state.put_task, view.task_id)
        self.tasks[view.task_id] = task
        await self.found.put(task)
