"""The candles of a chart: history once, then what the stream sends."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.errors import TryAgain
from tests.ui.rows import candle
from ui.candles import CANDLES, CHARTS, Book, Series

MINUTES = [f"2026-11-22T{number // 60:02}:{number % 60:02}:00.000000000Z" for number in range(CANDLES + 20)]


def test_of_two_candles_of_an_instant_the_later_revision_stays_in_whatever_order_they_come() -> None:
    old, new = candle(MINUTES[0], 5, close="11"), candle(MINUTES[0], 6, close="12")
    for order in ([old, new], [new, old]):
        assert Series(order).rows() == [new]


def test_a_series_holds_the_newest_candles_ascending() -> None:
    series = Series(candle(minute, number) for number, minute in reversed(list(enumerate(MINUTES))))
    assert [row["start"] for row in series.rows()] == MINUTES[-CANDLES:]


def test_history_is_asked_once_per_connection() -> None:
    asked: list[tuple[str, str]] = []

    def history(symbol: str, interval: str) -> list[dict[str, Any]]:
        asked.append((symbol, interval))
        return [candle(MINUTES[len(asked)], 1)]

    book = Book(history)
    assert len(book.rows("A", "1m", [], connection=1)) == 1
    assert len(book.rows("A", "1m", [candle(MINUTES[9], 2)], connection=1)) == 2
    assert [row["start"] for row in book.rows("A", "1m", [], connection=2)] == [MINUTES[2]]
    assert asked == [("A", "1m"), ("A", "1m")]


def test_a_history_that_fails_is_asked_again() -> None:
    answers: list[TryAgain | list[dict[str, Any]]] = [TryAgain("not now"), [candle(MINUTES[0], 1)]]

    def history(symbol: str, interval: str) -> list[dict[str, Any]]:
        answer = answers.pop(0)
        if isinstance(answer, TryAgain):
            raise answer
        return answer

    book = Book(history)
    with pytest.raises(TryAgain):
        book.rows("A", "1m", [], connection=1)
    assert len(book.rows("A", "1m", [], connection=1)) == 1


def test_a_book_is_bounded() -> None:
    asked: list[str] = []

    def history(symbol: str, interval: str) -> list[dict[str, Any]]:
        asked.append(symbol)
        return []

    book = Book(history)
    for number in range(CHARTS + 1):
        book.rows(str(number), "1m", [], connection=1)
    book.rows(str(CHARTS), "1m", [], connection=1)
    book.rows("0", "1m", [], connection=1)
    assert asked == [*map(str, range(CHARTS + 1)), "0"]
