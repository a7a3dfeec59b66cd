"""Waiting for a trade to be applied."""

from __future__ import annotations

import asyncio

import pytest

from gateway.waiters import Waiters

pytestmark = pytest.mark.anyio


async def test_everybody_is_told_once_in_the_order_of_the_trades() -> None:
    waiters, told = Waiters(), asyncio.Queue[tuple[int, bool]]()
    for seq in (3, 1, 2, 2):
        waiters.add(seq, 30.0, lambda applied, seq=seq: told.put_nowait((seq, applied)))  # type: ignore[misc]
    waiters.wake(2)
    assert [await told.get() for _ in range(3)] == [(1, True), (2, True), (2, True)]
    waiters.wake(3)
    waiters.wake(3)
    assert await told.get() == (3, True)
    assert told.empty()


async def test_who_waits_for_a_trade_is_told_before_anything_else_has_its_turn() -> None:
    waiters, told = Waiters(), list[bool]()
    waiters.add(1, 30.0, told.append)
    waiters.wake(1)
    assert told == [True]


async def test_whose_time_is_over_is_told_so_and_not_again_when_the_trade_is_applied() -> None:
    waiters, told = Waiters(), asyncio.Queue[tuple[str, bool]]()
    waiters.add(5, 30.0, lambda applied: told.put_nowait(("patient", applied)))
    waiters.add(5, 0.0, lambda applied: told.put_nowait(("hasty", applied)))
    assert await told.get() == ("hasty", False)
    waiters.wake(5)
    assert await told.get() == ("patient", True)
    assert told.empty()


async def test_those_who_gave_up_do_not_pile_up_while_nothing_is_applied() -> None:
    waiters, told = Waiters(), asyncio.Queue[bool]()
    for _ in range(1_000):
        waiters.add(9, 0.0, told.put_nowait)
        await told.get()
    assert len(waiters._heap) <= 1


async def test_a_failure_of_one_keeps_nobody_else_from_being_told() -> None:
    loop, waiters, told = asyncio.get_running_loop(), Waiters(), asyncio.Queue[bool]()
    failures: list[str] = []
    loop.set_exception_handler(lambda _, context: failures.append(str(context["exception"])))
    waiters.add(1, 30.0, lambda _: [][0])
    waiters.add(1, 30.0, told.put_nowait)
    waiters.wake(1)
    assert await told.get()
    assert failures == ["list index out of range"]
