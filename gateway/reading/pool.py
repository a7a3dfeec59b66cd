"""The way of a trade in figures: what came in, is on disk, is out with workers, was merged, was given out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from telemetry.backbone import Status


def pool(
    status: Status, applied: int, *, refused: Mapping[str, int], dropped: Mapping[str, int], intake: int
) -> dict[str, Any]:
    """The answer of `GET /v1/workers` but for its freshness fields; `intake`: trades that wait for the journal."""
    return {
        "workers": [asdict(worker) for worker in status.workers],
        "intake": intake,
        "leased": status.leased,
        "waiting": status.waiting,
        "backlog": status.durable_seq - applied,
        "refused": dict(refused),
        "redelivered": dict(status.redelivered),
        "dropped": dict(dropped),
        "garbage": status.garbage,
        "set_aside": status.quarantined,
        "journal": None if status.journal is None else _journal(status.journal),
    }


def _journal(journal: Any) -> dict[str, Any]:
    """The journal's size, and how long its syncs take: the last one, and on average since the start."""
    return {
        "bytes": journal.bytes,
        "last_sync_seconds": journal.last_sync_seconds,
        "average_sync_seconds": journal.average_sync_seconds,
        "trouble": journal.failure or journal.full,
    }
