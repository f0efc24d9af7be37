"""Never more memory than a machine has, first come first served, and everybody's turn comes."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.errors import JobTooLarge
from aggregator.jobs.admission import Admission, Place

MACHINES = st.lists(st.tuples(st.integers(1, 100), st.integers(1, 3)), min_size=1, max_size=3)
NEEDS = st.lists(st.integers(1, 100), max_size=20)


def opened(machines: list[tuple[int, int]]) -> Admission[str]:
    """Of machines, each a budget and a number of seats."""
    admission: Admission[str] = Admission()
    for index, (budget_bytes, seats) in enumerate(machines):
        for number in range(seats):
            admission.add_seat(f"{index}.{number}", str(index), budget_bytes)
    return admission


def end(admission: Admission[str], place: Place[str]) -> None:
    """The job is over, and its seat free."""
    machine = place.machine
    admission.leave(place)
    if machine is not None:
        admission.add_seat(place.seat.result(), machine, admission.budget_bytes[machine])


def play(machines: list[tuple[int, int]], needs: list[int], choices: st.DataObject) -> None:
    admission, waiting, running, started = opened(machines), [], [], []
    budgets = admission.budget_bytes
    for need in needs:
        if need > max(budgets.values()):
            with pytest.raises(JobTooLarge):
                admission.enter(need)
        else:
            waiting.append(admission.enter(need))
    arrived = list(waiting)
    while waiting or running:
        begun = [place for place in waiting if place.seat.done()]
        waiting = [place for place in waiting if not place.seat.done()]
        running += begun
        started += begun
        assert running, "nobody runs, and somebody waits"
        seats = [place.seat.result() for place in running]
        assert len(set(seats)) == len(seats)
        for name, budget_bytes in budgets.items():
            held = sum(place.need_bytes for place in running if place.machine == name)
            assert held == admission.held_bytes[name] <= budget_bytes
        assert [admission.queue_place(place) for place in waiting] == list(range(1, len(waiting) + 1))
        leaver = choices.draw(st.sampled_from(running + waiting))
        (running if leaver in running else waiting).remove(leaver)
        arrived = [place for place in arrived if place is not leaver or place.seat.done()]
        end(admission, leaver)
    assert started == arrived
    assert set(admission.held_bytes.values()) == {0}


@given(MACHINES, NEEDS, st.data())
def test_any_course_of_jobs(machines: list[tuple[int, int]], needs: list[int], choices: st.DataObject) -> None:
    async def run() -> None:
        play(machines, needs, choices)

    asyncio.run(run())


async def test_a_small_job_does_not_overtake_a_large_one() -> None:
    admission = opened([(10, 3)])
    first, large, small = admission.enter(6), admission.enter(5), admission.enter(1)
    assert first.seat.done()
    assert [admission.queue_place(place) for place in (first, large, small)] == [0, 1, 2]
    end(admission, first)
    assert large.seat.done()
    assert small.seat.done()


async def test_one_that_gives_up_lets_the_next_start() -> None:
    admission = opened([(10, 3)])
    admission.enter(6)
    large, small = admission.enter(5), admission.enter(1)
    admission.leave(large)
    assert small.seat.done()


async def test_the_limit_is_said() -> None:
    with pytest.raises(JobTooLarge, match="proof_memory_bytes") as caught:
        opened([(10, 1), (12, 1)]).enter(13)
    assert (caught.value.need_bytes, caught.value.limit_bytes) == (13, 12)


async def test_a_seat_that_comes_back_elsewhere_takes_its_memory_along() -> None:
    """A node of a cluster died with its worker, and another took it over."""
    admission = opened([(10, 1)])
    place = admission.enter(8)
    waiting = admission.enter(9)
    admission.leave(place)
    assert not waiting.seat.done(), "its memory is free, but there is nobody to use it"
    admission.add_seat("0.0", "other", 9)
    assert waiting.machine == "other"
    assert admission.budget_bytes == {"other": 9}
