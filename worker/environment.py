"""A worker's settings."""

from __future__ import annotations

from telemetry.environ import Analysis, Storage


class WorkerSettings(Storage, Analysis):
    """What a worker reads: where the gateway is to be found, and how trades are analysed."""
