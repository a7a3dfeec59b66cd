"""A worker's settings."""

from __future__ import annotations

from telemetry.environ import Storage


class WorkerSettings(Storage):
    """What a worker reads: where the gateway is to be found."""
