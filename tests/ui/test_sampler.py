"""The loop that writes history while nobody looks, and that of a filter while somebody does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from tests.ui.rows import AT, ZONE, row, view
from tests.ui.scripted_stream import ScriptedStream, until
from ui.feed import Feed
from ui.filters import Filters
from ui.history import History
from ui.sampler import FILTERED, Sampler, sample

FILLS = Filters(kind=("fill",))


@contextmanager
def running(stream: ScriptedStream) -> Iterator[Sampler]:
    feed = Feed(stream.url)
    sampler = Sampler(feed, ZONE)
    feed.start()
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.close()
        feed.close()


def filled(history: History) -> bool:
    return any(point is not None for point in history.points(time.time(), 60, lambda of: of.backlog))


def test_history_is_written_without_a_viewer_and_that_of_a_filter_from_the_first_look_on() -> None:
    with ScriptedStream() as stream, running(stream) as sampler:
        until(lambda: filled(sampler.history(Filters())))
        until(lambda: filled(sampler.history(FILLS)))
        asked = [command["subscribe"] for command in stream.commands if "subscribe" in command]
        assert any(ask["topic"] == "totals" and ask.get("kinds") == ["fill"] for ask in asked)
        assert sampler.history(FILLS) is sampler.history(FILLS._replace(account=("A",))), "figures know no account"


def test_histories_of_filters_are_bounded_and_that_of_everything_is_among_them() -> None:
    sampler = Sampler(Feed("http://127.0.0.1:1"), ZONE)
    everything = sampler.history(Filters())
    kept = [sampler.history(Filters(venue=(str(number),))) for number in range(FILTERED * 2)]
    again = [sampler.history(Filters(venue=(str(number),))) for number in range(FILTERED * 2)]
    assert sum(one is other for one, other in zip(kept, again, strict=True)) == FILTERED - 1
    assert sampler.history(Filters()) is everything


def test_a_sample_is_what_the_view_says() -> None:
    totals = {"trades": 70, "quantity": "5", "notional": {"USD": "1.25"}}
    taken = sample(view({"A": row()}, totals=totals), Filters(), AT, ZONE)
    assert (taken.at, taken.trades, taken.today, taken.rate) == (AT, 70, 70, 7.0)
    assert (taken.notional, taken.p99, taken.backlog) == ({"USD": Decimal("1.25")}, 0.0123, 0)
