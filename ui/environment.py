"""The page's settings."""

from __future__ import annotations

from telemetry.environ import Page, Reaching


class UiSettings(Reaching, Page):
    """What the page reads: where it listens, and how it reaches the gateway."""
