"""The way of a trade as cards: from the sender to the figures, with what goes wrong at each hop. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.board import View
from ui.figures import NONE, seconds
from ui.hops import Hop

STAGES = {
    "client": ("Sender to gateway", "from the sender's clock to ours"),
    "journal": ("To disk", "received, checked, written, synced"),
    "dispatch": ("To a worker", "on disk until a worker has it"),
    "analysis": ("Analysed", "with the worker, there and back"),
    "merge": ("Merged", "result here until it is in the figures"),
    "end_to_end": ("End to end", "received until in the figures"),
    "publish": ("Published", "in the figures until it is written to who follows"),
    "order_to_fill": ("Order to fill", "the order left until it was filled"),
}
_UNITS = ("B", "kB", "MB", "GB", "TB")
# Reasons that are the system at work; the others are troubles.
EXPECTED = {
    "second": "to a second worker, to be sure",
    "applied": "results that came second",
    "duplicate": "results that came twice",
}
LATE_BEAT_SECONDS = 3.0  # workers say hello each second


def hops(view: View, pool: Mapping[str, Any], per_second: float | None) -> list[Hop]:
    """The hops in their order; `pool` is the answer of `GET /v1/workers`."""
    return [_accepted(pool, per_second), _durable(view, pool), _leased(view, pool), _applied(view, pool), _shown(view)]


def _accepted(pool: Mapping[str, Any], per_second: float | None) -> Hop:
    intake = pool.get("intake", 0)
    facts = (
        ("trades per second", NONE if per_second is None else f"{per_second:,.1f}"),
        ("wait for the journal", f"{intake:,}"),
    )
    accepted = pool["durable_seq"] + intake
    return Hop("Accepted", f"{accepted:,}", "trades", facts, _counts(pool.get("refused"), "refused"), "good")


def _durable(view: View, pool: Mapping[str, Any]) -> Hop:
    journal = pool.get("journal") or {}
    facts = (
        ("journal", size(journal.get("bytes"))),
        ("last sync", seconds(journal.get("last_sync_seconds"))),
        ("syncs, average", seconds(journal.get("average_sync_seconds"))),
        ("to disk, p99", _p99(view, "journal")),
    )
    trouble = journal.get("trouble")
    troubles = (("journal", str(trouble)),) if trouble else ()
    return Hop("Durable", f"{pool['durable_seq']:,}", "trades", facts, troubles, "bad" if trouble else "good")


def _leased(view: View, pool: Mapping[str, Any]) -> Hop:
    usable = sum(worker["version_ok"] for worker in pool["workers"])
    facts = (
        ("workers", f"{usable:,}"),
        ("analysed, wait for earlier", f"{pool['waiting']:,}"),
        ("to a worker, p99", _p99(view, "dispatch")),
        ("analysis, p99", _p99(view, "analysis")),
        *_expected(pool["redelivered"]),
    )
    again = _counts(pool["redelivered"], "given out again")
    return Hop("Leased", f"{pool['leased']:,}", "ranges out", facts, again, "good" if usable else "bad")


def _applied(view: View, pool: Mapping[str, Any]) -> Hop:
    backlog = pool["backlog"]
    facts = (
        ("behind the disk", f"{backlog:,}"),
        ("merge, p99", _p99(view, "merge")),
        ("end to end, p99", _p99(view, "end_to_end")),
        *_expected(pool["dropped"]),
    )
    troubles = _counts(pool["dropped"], "dropped")
    if quarantined := len(pool.get("quarantined") or ()):
        troubles = (*troubles, ("set aside", f"{quarantined:,}"))
    return Hop("Applied", f"{pool['as_of_seq']:,}", "trades", facts, troubles, "warn" if backlog > 100_000 else "good")


def _shown(view: View) -> Hop:
    status = view.status
    facts = (("publish, p99", _p99(view, "publish")), ("connections", f"{status.connection:,}"))
    return Hop("On this page", f"{view.seq:,}", "seq", facts, (), "good" if status.phase == "live" else "bad")


def workers(pool: Mapping[str, Any]) -> list[Hop]:
    """A card for each worker, in the order of their names."""
    return [_worker(worker) for worker in sorted(pool["workers"], key=lambda worker: str(worker["id"]))]


def _worker(worker: Mapping[str, Any]) -> Hop:
    late = worker["beat_age_seconds"] > LATE_BEAT_SECONDS
    tone = "bad" if not worker["version_ok"] else "warn" if late else "good"
    facts = (
        ("process", str(worker["pid"])),
        ("ranges done", f"{worker['leases_done']:,}"),
        ("holds now", f"{worker['outstanding']:,}"),
        ("last hello", f"{seconds(worker['beat_age_seconds'])} ago"),
        ("started, times", f"{worker['generation']:,}"),
    )
    troubles = [("deaths", f"{worker['deaths']:,}")] if worker["deaths"] else []
    if not worker["version_ok"]:
        troubles.append(("other statistics", str(worker["version"])))
    return Hop(f"Worker {worker['id']}", f"{worker['trades_done']:,}", "trades", facts, troubles, tone)


def stages(view: View) -> list[list[str]]:
    """A line for each stage of the last minute."""
    lines = []
    for name, row in view.latency.rows.items():
        title, about = STAGES.get(name, (name, ""))
        quantiles = [seconds(row.get(quantile)) for quantile in ("p50", "p90", "p99", "p999", "max")]
        lines.append([title, about, f"{row.get('count', 0):,}", *quantiles])
    return lines


def size(count: int | None) -> str:
    """Bytes in the unit that reads best."""
    if count is None:
        return NONE
    shown, unit = float(count), 0
    while shown >= 1000 and unit < len(_UNITS) - 1:
        shown, unit = shown / 1000, unit + 1
    return f"{shown:.3g} {_UNITS[unit]}" if unit else f"{count:,} B"


def _p99(view: View, stage: str) -> str:
    return seconds((view.latency.rows.get(stage) or {}).get("p99"))


def _counts(counts: Mapping[str, int] | None, what: str) -> tuple[tuple[str, str], ...]:
    found = sorted((counts or {}).items())
    return tuple((f"{what}: {reason}", f"{count:,}") for reason, count in found if count and reason not in EXPECTED)


def _expected(counts: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    return tuple((words, f"{counts[reason]:,}") for reason, words in EXPECTED.items() if counts.get(reason))
