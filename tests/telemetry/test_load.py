"""The load of an event loop: measured at times, over what lies between."""

from __future__ import annotations

from time import monotonic

import pytest

from telemetry.load import LOOK_SECONDS, RATE_SECONDS, RATE_TRADES, Load, Rate


def test_a_thread_that_waited_took_next_to_nothing_and_one_that_computed_took_what_it_computed() -> None:
    load = Load()
    began = monotonic()
    assert load.share(began + 1000.0) < 0.01
    until = monotonic() + 0.05
    while monotonic() < until:
        pass
    assert 0.0 < load.share(began + 1000.1) <= 1.0, "others may have had the core"


def test_it_is_not_looked_at_again_before_the_time_has_come() -> None:
    load = Load()
    began = monotonic()
    assert load.share(began) == 0.0
    first = load.share(began + 2 * LOOK_SECONDS)
    until = monotonic() + 0.02
    while monotonic() < until:
        pass
    assert load.share(began + 2.9 * LOOK_SECONDS) == first
    assert load.share(began + 3.1 * LOOK_SECONDS) != first


def test_a_rate_is_of_a_tenth_of_a_second_or_of_many_trades_whichever_is_sooner() -> None:
    rate, began = Rate(1_000), monotonic() + 1.0
    assert rate.per_second(1_000, began) == 0.0
    assert rate.per_second(50_000, began + 0.09) == 0.0
    assert rate.per_second(51_000, began + 2 * RATE_SECONDS) == pytest.approx(25_000 / RATE_SECONDS)
    assert rate.per_second(51_000 + RATE_TRADES, began + 2 * RATE_SECONDS + 0.02) == pytest.approx(RATE_TRADES / 0.02)
