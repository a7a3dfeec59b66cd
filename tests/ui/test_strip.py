"""What the strip shows in every state of the gateway."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.rows import LIVE, ZONE, view
from ui.board import Status, View
from ui.strip import state

NOW = 1_795_352_400_000_000_000


def shown(of: View) -> dict[str, Any]:
    return state(ZONE, of, "Overview", NOW)


def test_a_gateway_that_was_never_there_is_shown_without_a_single_figure() -> None:
    found = shown(View(Status("connecting", "", NOW, 0), 0, {}))
    assert found["gateway"] == "connecting"
    assert [found[name] for name in ("heard", "workers", "silent", "alerts")] == [None] * 4


def test_when_all_is_well_it_says_so_and_how_old_the_figures_are() -> None:
    found = shown(view({}))
    assert (found["gateway"], found["workers"], found["seq"]) == ("ready", 2, 7)
    assert (found["zone"], found["now"]) == (ZONE, NOW // 1_000_000)
    assert found["title"] == "Overview · Trading Telemetry"


@pytest.mark.parametrize("phase", ["away", "connecting"])
def test_a_gateway_that_is_away_is_named_with_its_reason_whatever_it_said_last(phase: str) -> None:
    found = shown(view({}, status=LIVE._replace(phase=phase, reason="connection refused")))
    assert found["gateway"] == phase
    assert found["reason"] == ("connection refused" if phase == "away" else "")
