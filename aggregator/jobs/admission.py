"""Who may start: first come, first served, and never more memory on a machine than it has for proofs."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from aggregator.errors import JobTooLarge

S = TypeVar("S")


@dataclass(eq=False, kw_only=True)
class Place(Generic[S]):
    """One job's, in the queue and then on a seat.

    Attributes:
        seat: done once the job may start. machine: the seat's, for as long as its memory is held.
    """

    need_bytes: int
    seat: asyncio.Future[S]
    machine: str | None = None


@dataclass(eq=False, kw_only=True)
class _Machine(Generic[S]):
    budget_bytes: int
    held_bytes: int = 0
    seats: set[S] = field(default_factory=set)
    idle: list[S] = field(default_factory=list)


class Admission(Generic[S]):
    """Of seats, which are worker processes, on machines, which have memory. Not for several threads.

    The first in the queue waits for a seat on a machine with room for it, and everybody else for the first: a small job
    that could start sooner would let large ones wait forever.
    """

    def __init__(self) -> None:
        self._machines: dict[str, _Machine[S]] = {}
        self._queue: deque[Place[S]] = deque()

    def add_seat(self, seat: S, machine: str, budget_bytes: int) -> None:
        """A seat is free: a new one, or again. A machine without seats is forgotten."""
        for name, other in list(self._machines.items()):
            other.seats.discard(seat)
            if name != machine and not other.seats and not other.held_bytes:
                del self._machines[name]
        here = self._machines.setdefault(machine, _Machine(budget_bytes=budget_bytes))
        here.budget_bytes = budget_bytes
        here.seats.add(seat)
        here.idle.append(seat)
        self._advance()

    @property
    def budget_bytes(self) -> Mapping[str, int]:
        return {name: machine.budget_bytes for name, machine in self._machines.items()}

    @property
    def held_bytes(self) -> Mapping[str, int]:
        return {name: machine.held_bytes for name, machine in self._machines.items()}

    def require_fits(self, need_bytes: int) -> None:
        """JobTooLarge if no machine could ever run a job of this size. Where none is known yet, any may."""
        most = max((machine.budget_bytes for machine in self._machines.values()), default=need_bytes)
        if need_bytes > most:
            raise JobTooLarge(need_bytes, most)

    def enter(self, need_bytes: int) -> Place[S]:
        """Queues (JobTooLarge: see `require_fits`). `leave` must follow, whatever happens."""
        self.require_fits(need_bytes)
        place: Place[S] = Place(need_bytes=need_bytes, seat=asyncio.get_running_loop().create_future())
        self._queue.append(place)
        self._advance()
        return place

    def queue_place(self, place: Place[S]) -> int:
        """1 for the first; 0 for one that does not queue."""
        return self._queue.index(place) + 1 if place in self._queue else 0

    def leave(self, place: Place[S]) -> None:
        """Gives back the memory; `add_seat` follows when the seat can be used again."""
        if place in self._queue:
            self._queue.remove(place)
        elif place.machine is not None:
            self._machines[place.machine].held_bytes -= place.need_bytes
            place.machine = None
        self._advance()

    def _advance(self) -> None:
        while self._queue:
            free = self._machine_for(self._queue[0].need_bytes)
            if free is None:
                return
            name, machine = free
            place = self._queue.popleft()
            place.machine = name
            machine.held_bytes += place.need_bytes
            place.seat.set_result(machine.idle.pop())

    def _machine_for(self, need_bytes: int) -> tuple[str, _Machine[S]] | None:
        """Of those with an idle seat and room, the one with most room."""
        room = {
            name: machine.budget_bytes - machine.held_bytes
            for name, machine in self._machines.items()
            if machine.idle and machine.budget_bytes - machine.held_bytes >= need_bytes
        }
        if not room:
            return None
        name = max(room, key=room.__getitem__)
        return name, self._machines[name]
