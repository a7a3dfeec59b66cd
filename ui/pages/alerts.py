"""Alerts."""

from __future__ import annotations

from ui.components import note


def page() -> None:
    """Everything below the strip."""
    note("The gateway serves no alerts yet.", "quiet", key="alerts say")
