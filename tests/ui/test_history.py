"""How figures went: by steps of time, as rates where they only grow."""

from __future__ import annotations

from tests.ui.rows import AT
from tests.ui.test_cards import sample
from ui.history import SECONDS, STEP_SECONDS, History


def filled(seconds: int, per_second: int) -> History:
    history = History()
    for number in range(seconds + 1):
        history.add(sample(AT - seconds + number, trades=1000 + number * per_second, backlog=number))
    return history


def test_what_grows_is_shown_as_what_each_step_added_per_second() -> None:
    points = filled(60, 7).points(AT, 60, lambda of: of.trades, grows=True)
    assert len(points) == 60 // STEP_SECONDS
    assert set(points[1:]) == {7.0}


def test_a_figure_is_its_latest_value_in_each_step() -> None:
    history = History()
    begin = AT // STEP_SECONDS * STEP_SECONDS
    for at, backlog in ((begin - 10, 1), (begin - 6, 2), (begin - 5, 3), (begin, 4)):
        history.add(sample(at, backlog=backlog))
    assert history.points(begin, 20, lambda of: of.backlog) == [None, 2, 3, 4]


def test_steps_without_samples_are_empty_and_not_zero() -> None:
    assert filled(10, 7).points(AT, 60, lambda of: of.trades, grows=True)[:9] == [None] * 9


def test_a_sum_that_begins_anew_gives_no_negative_rate() -> None:
    history = filled(20, 7)
    history.add(sample(AT + 5, trades=3))
    assert history.points(AT + 5, 10, lambda of: of.trades, grows=True)[-1] == 0.0


def test_only_the_last_quarter_of_an_hour_is_kept() -> None:
    history = filled(2 * SECONDS, 7)
    assert history.before(AT, SECONDS) is not None
    assert history.before(AT, SECONDS + 30) is None


def test_a_clock_that_was_set_back_forgets_what_is_later() -> None:
    history = filled(100, 7)
    history.add(sample(AT - 50, backlog=99))
    assert history.points(AT - 50, 5, lambda of: of.backlog)[-1] == 99
    assert history.before(AT, 0) is None
