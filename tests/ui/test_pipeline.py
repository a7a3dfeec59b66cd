"""The way of a trade as cards: figures at each hop, troubles by reason, workers, stages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.rows import view
from ui import pipeline


def worker(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": "w-1",
        "pid": 42,
        "generation": 1,
        "version": "7",
        "version_ok": True,
        "outstanding": 2,
        "leases_done": 5,
        "trades_done": 12_345,
        "beat_age_seconds": 0.25,
        "deaths": 0,
    }
    return values | given


def pool(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "as_of_seq": 90,
        "durable_seq": 100,
        "workers": [worker()],
        "intake": 7,
        "leased": 1,
        "waiting": 0,
        "backlog": 10,
        "refused": {},
        "redelivered": {},
        "dropped": {},
        "journal": {"bytes": 1_234_567, "last_sync_seconds": 0.002, "average_sync_seconds": 0.001, "trouble": None},
    }
    return values | given


def test_each_hop_has_its_figure() -> None:
    hops = pipeline.hops(view({}), pool(), 12.5)
    assert [(hop.title, hop.value) for hop in hops] == [
        ("Accepted", "107"), ("Durable", "100"), ("Leased", "1"), ("Applied", "90"), ("On this page", "7"),
    ]  # fmt: skip
    assert ("trades per second", "12.5") in hops[0].facts
    assert ("journal", "1.23 MB") in hops[1].facts
    assert ("last sync", "2 ms") in hops[1].facts
    assert ("behind the disk", "10") in hops[3].facts


def test_what_goes_wrong_stands_at_its_hop_by_reason() -> None:
    trouble = pool(
        refused={"invalid": 3}, redelivered={"deadline": 2, "second": 9}, dropped={"overlap": 1}, quarantined=[5]
    )
    accepted, durable, leased, applied, _ = pipeline.hops(view({}), trouble, None)
    assert accepted.troubles == (("refused: invalid", "3"),)
    assert durable.troubles == ()
    assert leased.troubles == (("given out again: deadline", "2"),)
    assert ("to a second worker, to be sure", "9") in leased.facts
    assert applied.troubles == (("dropped: overlap", "1"), ("set aside", "1"))


def test_a_journal_in_trouble_says_why() -> None:
    broken = pool(journal={"bytes": 0, "last_sync_seconds": 0, "average_sync_seconds": 0, "trouble": "no room"})
    durable = pipeline.hops(view({}), broken, None)[1]
    assert (durable.tone, durable.troubles) == ("bad", (("journal", "no room"),))


@pytest.mark.parametrize(
    ("given", "tone"),
    [({}, "good"), ({"beat_age_seconds": 9.0}, "warn"), ({"version_ok": False}, "bad")],
    ids=str,
)
def test_a_worker_that_is_late_or_of_other_statistics_stands_out(given: dict[str, Any], tone: str) -> None:
    (card,) = pipeline.workers(pool(workers=[worker(**given)]))
    assert (card.title, card.value, card.tone) == ("Worker w-1", "12,345", tone)


def test_stages_are_named_as_people_say() -> None:
    lines = pipeline.stages(view({}))
    assert [line[0] for line in lines] == ["End to end"]
    assert lines[0][3:6] == ["1.2 ms", "–", "12.3 ms"]


@pytest.mark.parametrize(("count", "text"), [(None, "–"), (999, "999 B"), (1_000, "1 kB"), (5_430_000_000, "5.43 GB")])
def test_bytes_are_shown_in_the_unit_that_reads_best(count: int | None, text: str) -> None:
    assert pipeline.size(count) == text
