"""The candles of a chart: history once, then what the stream sends."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.errors import TryAgain
from tests.ui.rows import candle
from ui.board import Ask
from ui.candles import CANDLES, CHARTS, LOOKED_AWAY_SECONDS, Book, Series, length

MINUTES = [f"2026-11-22T{number // 60:02}:{number % 60:02}:00.000000000Z" for number in range(CANDLES + 20)]


def test_of_two_candles_of_an_instant_the_later_revision_stays_in_whatever_order_they_come() -> None:
    old, new = candle(MINUTES[0], 5, close="11"), candle(MINUTES[0], 6, close="12")
    for order in ([old, new], [new, old]):
        assert Series(order).rows() == [new]


def test_a_series_holds_the_newest_candles_ascending() -> None:
    series = Series(candle(minute, number) for number, minute in reversed(list(enumerate(MINUTES))))
    assert [row["start"] for row in series.rows()] == MINUTES[-CANDLES:]


def ask(symbol: str = "A") -> Ask:
    return Ask("candles", symbols=(symbol,), interval="1m")


def test_history_is_asked_once_per_connection() -> None:
    asked: list[Ask] = []

    def history(of: Ask) -> list[dict[str, Any]]:
        asked.append(of)
        return [candle(MINUTES[len(asked)], 1)]

    book = Book(history)
    assert len(book.rows(ask(), [], connection=1, now=0.0)) == 1
    assert len(book.rows(ask(), [candle(MINUTES[9], 2)], connection=1, now=0.0)) == 2
    assert [row["start"] for row in book.rows(ask(), [], connection=2, now=0.0)] == [MINUTES[2]]
    assert asked == [ask(), ask()]


def test_a_chart_that_nobody_looked_at_for_a_while_has_no_hole() -> None:
    answers = [[candle(MINUTES[0], 1)], [candle(MINUTES[0], 1), candle(MINUTES[1], 2)]]
    book = Book(lambda _: answers.pop(0))
    book.rows(ask(), [], connection=1, now=0.0)
    assert len(book.rows(ask(), [], connection=1, now=LOOKED_AWAY_SECONDS)) == 1
    newest = [candle(MINUTES[2], 3)]
    rows = book.rows(ask(), newest, connection=1, now=2 * LOOKED_AWAY_SECONDS + 1)
    assert [row["start"] for row in rows] == MINUTES[:3]


def test_a_range_is_told_in_the_unit_that_reads_best() -> None:
    assert [length("1s", 60), length("10s", 240), length("1h", 480)] == ["1 min", "40 min", "20 d"]


def test_a_history_that_fails_is_asked_again() -> None:
    answers: list[TryAgain | list[dict[str, Any]]] = [TryAgain("not now"), [candle(MINUTES[0], 1)]]

    def history(of: Ask) -> list[dict[str, Any]]:
        answer = answers.pop(0)
        if isinstance(answer, TryAgain):
            raise answer
        return answer

    book = Book(history)
    with pytest.raises(TryAgain):
        book.rows(ask(), [], connection=1, now=0.0)
    assert len(book.rows(ask(), [], connection=1, now=0.0)) == 1


def test_a_book_is_bounded() -> None:
    asked: list[str] = []

    def history(of: Ask) -> list[dict[str, Any]]:
        asked.append(of.symbols[0])
        return []

    book = Book(history)
    for number in range(CHARTS + 1):
        book.rows(ask(str(number)), [], connection=1, now=0.0)
    book.rows(ask(str(CHARTS)), [], connection=1, now=0.0)
    book.rows(ask("0"), [], connection=1, now=0.0)
    assert asked == [*map(str, range(CHARTS + 1)), "0"]
