"""What REST said last: asked once for all viewers, kept while the gateway is away."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from telemetry.errors import TryAgain
from ui.reading import KEPT, Reading


class Gateway:
    """Answers with the number of the request, or with what is wrong."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.wrong: TryAgain | None = None
        self.now = 0.0

    def get(self, path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((path, dict(parameters)))
        if self.wrong is not None:
            raise self.wrong
        return {"number": len(self.asked)}

    def clock(self) -> float:
        return self.now


def reading(gateway: Gateway) -> Reading:
    return Reading(gateway.get, clock=gateway.clock)


def test_it_is_asked_once_a_second_however_many_look() -> None:
    gateway = Gateway()
    of = reading(gateway)
    told = [of.read("/a").document["number"] for _ in range(10)]
    gateway.now = 1.0
    assert [*told, of.read("/a").document["number"]] == [1] * 10 + [2]


def test_those_who_ask_at_the_same_time_share_one_answer() -> None:
    gateway = Gateway()
    of, together = reading(gateway), threading.Barrier(8)

    def look() -> None:
        together.wait(10)
        of.read("/a")

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(gateway.asked) == 1


def test_other_parameters_are_another_question() -> None:
    gateway = Gateway()
    of = reading(gateway)
    assert of.read("/a", state="open") != of.read("/a", state="past")
    assert gateway.asked == [("/a", {"state": "open"}), ("/a", {"state": "past"})]


def test_while_the_gateway_is_away_the_last_answer_stays_and_says_why_it_is_old() -> None:
    gateway = Gateway()
    of = reading(gateway)
    of.read("/a")
    gateway.wrong, gateway.now = TryAgain("does not answer"), 5.0
    told = of.read("/a")
    assert (told.document, told.error) == ({"number": 1}, "does not answer")
    gateway.wrong, gateway.now = None, 10.0
    assert of.read("/a").error == ""


def test_before_the_first_answer_the_error_is_raised() -> None:
    gateway = Gateway()
    gateway.wrong = TryAgain("does not answer")
    with pytest.raises(TryAgain, match="does not answer"):
        reading(gateway).read("/a")


def test_after_a_change_it_is_asked_anew() -> None:
    gateway = Gateway()
    of = reading(gateway)
    of.read("/a", state="open")
    of.forget("/a")
    assert of.read("/a", state="open").document == {"number": 2}


def test_it_remembers_so_many_questions_at_most() -> None:
    gateway = Gateway()
    of = reading(gateway)
    for number in range(KEPT + 1):
        of.read(f"/{number}")
    of.read("/1")
    assert len(gateway.asked) == KEPT + 1
    of.read("/0")
    assert len(gateway.asked) == KEPT + 2
