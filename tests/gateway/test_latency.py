"""The stages of latency: which clock, which count, and what becomes of a negative time."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.latency import BOUNDS, STAGES, Latency
from telemetry.errors import InvalidInput
from telemetry.quantiles import seconds
from tests.gateway.test_aggregator import head

MS = 1_000_000
SECOND = 1000 * MS


def test_a_trade_is_measured_from_its_arrival_to_the_journal_and_to_the_figures() -> None:
    latency = Latency()
    latency.committed(3, [(10 * MS, 2), (12 * MS, 1)], 15 * MS)
    latency.committed(4, [(20 * MS, 1)], 25 * MS)
    latency.analysed(head(1, 3, received_ns=17 * MS, started_ns=17 * MS, finished_ns=18 * MS), 19 * MS, 20 * MS)
    latency.applied(3, 30 * MS)
    rows = latency.rows("all", SECOND)
    assert tuple(rows) == STAGES
    counts = {name: row["count"] for name, row in rows.items()}
    assert counts == {
        "client": 0, "journal": 4, "dispatch": 1, "analysis": 1, "merge": 1, "end_to_end": 3, "publish": 0,
    }  # fmt: skip
    assert rows["journal"]["max"] == 0.005
    assert rows["journal"]["mean"] == pytest.approx((5 + 5 + 3 + 5) / 4 / 1000)
    assert rows["dispatch"]["max"] == 0.002
    assert (rows["analysis"]["max"], rows["merge"]["max"]) == (0.001, 0.001)
    assert (rows["end_to_end"]["max"], rows["end_to_end"]["p50"]) == (0.02, pytest.approx(0.02, rel=0.01))


def test_a_trade_is_measured_once_also_when_more_is_applied_later() -> None:
    latency = Latency()
    latency.committed(1, [(0, 1)], 1)
    for now in (2, 3, 4):
        latency.applied(1, now)
    assert latency.rows("all", 5)["end_to_end"]["count"] == 1


def test_duplicates_only_and_empty_commits_are_not_measured() -> None:
    latency = Latency()
    latency.committed(0, [(0, 0)], 5)
    latency.applied(0, 6)
    assert {row["count"] for row in latency.rows("all", 7).values()} == {0}


def test_what_has_never_been_measured_is_null_and_not_zero() -> None:
    row = Latency().rows("1m", 0)["client"]
    assert row == {
        "count": 0, "mean": None, "p50": None, "p90": None, "p99": None, "p999": None, "max": None, "negative": 0,
        "reason": None,
    }  # fmt: skip


def test_negative_times_are_counted_apart_and_never_enter_the_histogram() -> None:
    latency = Latency()
    stage = latency.stages["client"]
    stage.add(-5 * MS, 3, 0)
    stage.add(5 * MS, 2999, 0)
    row = latency.rows("all", 0)["client"]
    assert (row["count"], row["negative"], row["reason"], row["p50"]) == (2999, 3, None, pytest.approx(0.005, rel=0.01))
    assert (sum(stage.buckets), stage.total_ns) == (2999, 2999 * 5 * MS)
    stage.add(-5 * MS, 1, SECOND)
    row = latency.rows("1m", SECOND)["client"]
    assert (row["count"], row["negative"], row["reason"], row["p50"], row["mean"]) == (2999, 4, "clock", None, None)
    assert latency.rows("1m", 100 * SECOND)["client"]["reason"] is None


def test_windows_forget_what_is_older_and_all_forgets_nothing() -> None:
    latency = Latency()
    stage = latency.stages["merge"]
    for second in range(0, 7200, 5):
        stage.add(MS, 1, second * SECOND)
    now = 7199 * SECOND
    found = {name: latency.rows(name, now)["merge"]["count"] for name in ("10s", "1m", "5m", "1h", "all")}
    # Slots of ten seconds: the running one and those of the window before it.
    assert found == {"10s": 4, "1m": 14, "5m": 62, "1h": 722, "all": 1440}
    assert latency.rows("1h", now + 3620 * SECOND)["merge"]["count"] == 0
    with pytest.raises(InvalidInput, match="window: expected one of"):
        latency.rows("1d", now)


def test_times_counted_at_once_are_those_counted_one_by_one() -> None:
    one_by_one, at_once = Latency().stages["client"], Latency().stages["client"]
    values = [-5, 0, 1, 100_000, 100_001, 5 * MS, 5 * MS, 60 * SECOND, 2**63 - 1]
    for value in values:
        one_by_one.add(value, 1, 15 * SECOND)
    at_once.add_all(np.array(values), 15 * SECOND)
    assert at_once.buckets == one_by_one.buckets
    assert seconds(at_once.window(None, 0)) == seconds(one_by_one.window(None, 0))


def test_a_time_of_a_slot_that_is_over_does_not_push_others_out_of_the_hour() -> None:
    stage = Latency().stages["client"]
    for slot in range(300):
        for late in (0, 1) * 5:  # answers are measured with the time at which their requests came
            stage.add(MS, 1, slot * 10 * SECOND - late)
    assert int(stage.window(360, 2990 * SECOND).counts.sum()) == 3000


def test_the_histogram_has_a_bucket_for_each_bound_the_upper_one_inclusive() -> None:
    stage = Latency().stages["merge"]
    for bound in BOUNDS:
        stage.add(round(bound * SECOND), 1, 0)
        stage.add(round(bound * SECOND) + 1, 1, 0)
    assert stage.buckets == [1, *[2] * (len(BOUNDS) - 1), 1]
