"""The docs name everything that is there, and their examples are true. Settings: see test_structure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.answering.openapi import TRADE
from gateway.latency import STAGES
from gateway.live import EVENT_TOPICS, STATE_TOPICS, Wanted
from gateway.reading.windows import INTERVALS, WINDOWS
from telemetry.environ import NAMES
from telemetry.errors import PROBLEMS
from tests.e2e.desk import Desk
from tests.gateway.conftest import started

DOCS = Path(__file__).resolve().parents[1] / "docs"


def text(name: str) -> str:
    return (DOCS / f"{name}.md").read_text("utf-8")


def missing(names: Any, page: str) -> list[str]:
    """Names that do not stand in a page as code of their own."""
    words = set(re.findall(r"[\w./{}]+", " ".join(re.findall(r"`([^`\n]+)`", page))))
    return sorted(set(names) - words)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with started(tmp_path_factory.mktemp("docs")) as gateway:
        yield gateway.desk


def examples(kind: str) -> list[str]:
    """The blocks of a kind in api.md."""
    found: list[str] = re.findall(rf"```{kind}\n(.*?)```", text("api"), re.DOTALL)
    return found


def test_the_example_of_a_request_is_answered_as_it_says(desk: Desk) -> None:
    request = next(block for block in examples("") if block.startswith("POST"))
    body = request.partition("\n\n")[2].encode()
    assert desk.post(body, key="7f0e-1", wait=True).body == json.loads(examples("json")[0])
    assert desk.post(body, key="7f0e-1").headers["idempotent-replayed"] == "true"


def test_the_example_of_an_error_is_what_is_answered(desk: Desk) -> None:
    trades = [{"symbol": "A", "quantity": "1", "price": "2"}, {"symbol": "A", "quantity": "5 ", "price": "2"}]
    assert desk.post(trades).body == json.loads(examples("json")[1])


def test_every_route_is_in_the_docs(desk: Desk) -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, methods in desk.get("/openapi.json").body["paths"].items()
        for method in methods
    }
    page = text("api")
    assert [route for route in routes | {"GET /docs", "GET /openapi.json"} if f"`{route}`" not in page] == []
    assert "/v1/stream" in page


def test_every_metric_is_in_the_docs_and_every_metric_in_the_docs_exists(desk: Desk) -> None:
    desk.post([{"symbol": "A", "quantity": "1", "price": "2"}], wait=True)
    page = str(desk.get("/metrics").body)
    families = set(re.findall(r"^# TYPE (telemetry_\w+)", page, re.MULTILINE))
    assert missing(families, re.sub(r"\{[a-z,]+\}", "", text("api"))) == []
    assert sorted(set(re.findall(r"telemetry_[a-z_]+", text("api"))) - families) == []


def test_every_figure_of_a_row_and_of_a_candle_is_defined(desk: Desk) -> None:
    desk.post([{"symbol": "A", "quantity": "1", "price": "2"}], wait=True)
    row = desk.get("/v1/stats/A").body
    (candle, *_) = desk.get("/v1/candles/A").body["candles"]
    assert missing((*row.keys() - {"symbol"}, *candle), text("statistics")) == []


def test_every_figure_of_patterns_and_profile_is_defined_by_a_formula(desk: Desk) -> None:
    desk.post([{"symbol": "A", "quantity": "1", "price": "2", "timestamp": "2026-01-02T03:04:05.001Z"}], wait=True)
    bounds = {"symbol", "window", "window_start", "window_end", "as_of_seq", "durable_seq"}
    found, profile = (desk.get(f"/v1/{route}/A").body for route in ("patterns", "profile"))
    page = text("statistics")
    defined = {
        name for names in re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", names)
    }
    assert sorted(found.keys() - bounds - defined) == []
    assert missing((*found["largest"][0], *found["microbursts"][0], *profile.keys() - bounds), page) == []
    assert missing(profile["minutes"][0], page) == []


def test_every_stage_and_every_figure_of_it_is_defined(desk: Desk) -> None:
    page = text("statistics")
    for stage in STAGES:
        assert re.search(rf"^\| `{stage}` \|.*\|.*\|.*\|", page, re.MULTILINE), stage
    assert missing(desk.get("/v1/latency").body["stages"]["merge"], page) == []


def test_every_field_of_a_trade_window_interval_topic_and_status_is_in_the_docs() -> None:
    page = text("api")
    assert missing(TRADE["properties"], page) == []
    assert missing((*WINDOWS, *INTERVALS, *STATE_TOPICS, *EVENT_TOPICS, *Wanted.__struct_fields__), page) == []
    statuses = {status for status, _ in PROBLEMS.values()} - {429, 500}  # 429 has no limit yet, 500 is a mistake
    assert [status for status in sorted(statuses) if f"| {status} |" not in page] == []


def test_every_setting_that_the_docs_name_exists() -> None:
    for page in DOCS.glob("*.md"):
        assert sorted(set(re.findall(r"TELEMETRY_[A-Z_]+", page.read_text("utf-8"))) - set(NAMES)) == [], page.name


def test_links_between_pages_lead_somewhere() -> None:
    for page in (*DOCS.glob("*.md"), DOCS.parent / "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
