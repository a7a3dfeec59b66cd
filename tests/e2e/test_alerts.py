"""Alerts through real processes: a source stops, who is told, and that no restart tells it again."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.e2e.desk import TELEMETRY, Desk, until

HOLE = [
    {"symbol": "A", "quantity": "1", "price": "2", "source": "bot", "source_seq": number} for number in (101, 102, 109)
]


@contextmanager
def listening(desk: Desk, **wanted: Any) -> Iterator[list[dict[str, Any]]]:
    """The frames of the topic `alerts` as they come."""
    frames: list[dict[str, Any]] = []
    with connect(desk.url.replace("http", "ws") + "/v1/stream") as socket:
        socket.send(json.dumps({"subscribe": {"id": "a", "topic": "alerts", "interval_ms": 20, **wanted}}))

        def read() -> None:
            frames.extend(map(json.loads, socket))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        until(lambda: any(frame["type"] == "snapshot" for frame in frames), "the snapshot")
        yield frames
        socket.close()
        thread.join(10)


def told(frames: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    events = [event for frame in frames if frame["type"] == "update" for event in frame["data"]]
    return [(event["number"], event["event"], event["alert"]["rule"]) for event in events]


def alerts(desk: Desk, state: str = "open") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk.ask("GET", f"/v1/alerts?state={state}").body["alerts"]
    return found


def test_a_source_that_stops_is_told_once_whatever_is_killed(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        desk.start_gateway()
        desk.start_workers(1)
        for number in range(1, 1003):
            desk.post([{"symbol": "A", "quantity": "1", "price": "2", "source": "bot", "source_seq": number}])
        with listening(desk) as frames:
            until(lambda: told(frames), "the silence is told")
            assert told(frames) == [(1, "fired", "silent-source")]
        (alert,) = alerts(desk)
        assert (alert["key"], alert["state"]) == ("bot", "firing")
        metrics = str(desk.get("/metrics").body)
        assert 'telemetry_alerts_total{rule="silent-source"} 1.0' in metrics
        assert 'telemetry_alerts_open{rule="silent-source",severity="warning"} 1.0' in metrics
        assert 'telemetry_streams{kind="source",state="silent"} 1.0' in metrics
        health = desk.get("/readyz").body
        assert (health["open_alerts"], health["silent_streams"]) == (1, 2), "the source and its symbol"
        acknowledged = desk.post_json(f"/v1/alerts/{alert['id']}/ack", {"by": "ana"})
        assert acknowledged.body["acknowledged_by"] == "ana"
        assert desk.gateway is not None
        desk.gateway.kill()
        desk.start_gateway()
        until(
            lambda: desk.ask("GET", "/v1/freshness?kind=source").body["counts"]["source"]["silent"],
            "it is still silent",
        )
        with listening(desk, from_seq=1) as frames:
            until(lambda: len(told(frames)) >= 2, "what was told can be had again")
            (again,) = alerts(desk)
            assert (again["id"], again["acknowledged_by"], again["fired"]) == (alert["id"], "ana", 1)
            desk.post([{"symbol": "A", "quantity": "1", "price": "2", "source": "bot", "source_seq": 1003}])
            until(lambda: len(told(frames)) >= 3, "it comes again")
        assert told(frames) == [
            (1, "fired", "silent-source"),
            (2, "acknowledged", "silent-source"),
            (3, "resolved", "silent-source"),
        ]
        assert alerts(desk) == []
        assert [past["id"] for past in alerts(desk, "past")] == [alert["id"]]


def test_tail_prints_the_open_alerts_and_then_each_event_on_a_line(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        desk.start_gateway()
        desk.post(HOLE)
        until(lambda: alerts(desk), "the hole is told")
        tail = desk.start(*TELEMETRY, "tail", "--topic", "alerts", "--count", "2", name="tail")
        until(lambda: "\n" in tail.log.read_text("utf-8"), "the open alert is printed")
        desk.post([{**HOLE[0], "source_seq": number} for number in range(103, 109)])
        assert tail.wait() == 0
        lines = [json.loads(line) for line in tail.log.read_text("utf-8").splitlines()]
        assert [(line["number"], line["event"], line["alert"]["rule"]) for line in lines] == [
            (None, "open", "lost-trades"),
            (2, "resolved", "lost-trades"),
        ]
        shown = json.loads(desk.run("stats", "--json"))
        assert shown["open_alerts"] == {"critical": 1, "warning": 0, "info": 0}, "nobody has acknowledged it"
        assert shown["silent_streams"] == {"venue": 0, "source": 0, "strategy": 0, "symbol": 0}
        assert "open alerts: 1 critical; silent streams: none" in desk.run("stats")


def test_sighup_to_up_makes_its_gateway_read_the_rules_again(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nname = "holes"\nkind = "gap"\n', "utf-8")
    with Desk(tmp_path, rules=file, workers=1) as desk:
        up = desk.start(*TELEMETRY, "up", "--no-ui", name="up")
        until(lambda: up.code is not None or desk.takes_trades(), "the gateway takes trades")
        until(lambda: up.code is not None or "\nready" in up.log.read_text("utf-8"), "everything is ready")
        loaded_at = desk.get("/v1/alerts").body["rules_file"]["loaded_at"]
        file.write_text('[[rule]]\nname = "lost"\nkind = "gap"\n', "utf-8")
        up.send(signal.SIGHUP)
        until(lambda: [rule["name"] for rule in desk.get("/v1/alerts").body["rules"]] == ["lost"], "they are read")
        assert desk.get("/v1/alerts").body["rules_file"]["loaded_at"] > loaded_at
        assert up.events("service died") == [], "no restart read them"
        assert up.drain() == 0


def test_a_burst_of_a_named_symbol_is_an_alert_and_ends_with_its_window(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    rule = 'kind = "threshold"\nstatistic = "microburst"\nwindow = "10s"\nlimit = 20\nclear_for = "0s"\n'
    file.write_text(f'[[rule]]\nname = "burst"\n{rule}symbols = ["A", "B", "never"]\n', "utf-8")
    with Desk(tmp_path, rules=file) as desk:
        desk.start_gateway()
        desk.start_workers(1)
        now = time.time_ns()
        desk.post([{"symbol": "A", "quantity": "1", "price": "2", "timestamp": now + number} for number in range(30)])
        desk.post([{"symbol": "B", "quantity": "1", "price": "2", "timestamp": now + number} for number in range(20)])
        until(lambda: alerts(desk), "the burst is told")
        (alert,) = alerts(desk)
        assert (alert["rule"], alert["key"], alert["threshold"], alert["unit"]) == ("burst", "A", 20, "trades")
        assert "microburst in 10s of at most 20 trades, received 30 trades" in alert["message"]
        until(lambda: [alert["state"] for alert in alerts(desk)] == ["resolved"], "its ten seconds are over", 40)


def test_loss_survives_a_kill_and_the_audit_agrees(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        desk.start_gateway(snapshot_seconds=0.2)
        desk.start_workers(1)
        desk.post(HOLE)
        firing = [("lost-trades", "firing")]  # pending at first: what heals then has never been an alert
        until(lambda: [(alert["rule"], alert["state"]) for alert in alerts(desk)] == firing, "the hole is told")
        before = desk.get("/v1/sources").body["sources"]
        assert [(row["source"], row["missing"], row["newest_gap"]) for row in before] == [("bot", 6, [103, 108])]
        assert desk.gateway is not None
        desk.gateway.kill()
        desk.start_gateway()
        until(lambda: desk.get("/v1/sources").body["as_of_seq"] == 3, "the journal is watched again")
        assert desk.get("/v1/sources").body["sources"] == before
        desk.run("audit", "--data", str(desk.data))
        desk.post(
            [{"symbol": "A", "quantity": "1", "price": "2", "source": "bot", "source_seq": n} for n in range(103, 109)]
        )
        until(lambda: [alert["state"] for alert in alerts(desk)] == ["resolved"], "it heals")
        assert desk.gateway.drain() == 0
        desk.run("audit", "--data", str(desk.data))


def test_sighup_reads_the_rules_again_and_a_wrong_file_ends_a_start_with_every_error(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nname = "holes"\nkind = "gap"\nfor = "0s"\n', "utf-8")
    with Desk(tmp_path, rules=file) as desk:
        gateway = desk.start_gateway()
        desk.post(HOLE)
        until(lambda: [alert["rule"] for alert in alerts(desk)] == ["holes"], "the rule is used")
        file.write_text('[[rule]]\nname = "holes"\nkind = "gap"\nfor = 1\nsource = "x"\n', "utf-8")
        gateway.send(signal.SIGHUP)
        until(lambda: desk.get("/v1/alerts").body["rules_file"]["errors"], "the errors are shown")
        assert [error["line"] for error in desk.get("/v1/alerts").body["rules_file"]["errors"]] == [4, 5]
        assert [rule["name"] for rule in desk.get("/v1/alerts").body["rules"]] == ["holes"]
        file.write_text('[[rule]]\nname = "holes"\nkind = "gap"\nfor = "0s"\n', "utf-8")
        gateway.send(signal.SIGHUP)
        until(lambda: not desk.get("/v1/alerts").body["rules_file"]["errors"], "the file is right again")
        assert [alert["fired"] for alert in alerts(desk)] == [1], "and the alert went on"
        assert gateway.drain() == 0
        file.write_text('[[rule]]\nname = "holes"\nkind = "gap"\nfor = 1\nsource = "x"\n', "utf-8")
        broken = desk.start_gateway(wait=False)
        assert broken.wait() == 2
        log = broken.log.read_text("utf-8")
        assert "line 4, holes, for:" in log
        assert "line 5, holes, source:" in log


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/alerts/nothing/ack", "", 404),
        ("POST", "/v1/alerts/nothing/ack", '{"by": ""}', 422),
        ("POST", "/v1/alerts/nothing/ack", '{"who": "ana"}', 422),
        ("POST", "/v1/alerts/mutes", '{"rule": "nothing", "seconds": 1}', 404),
        ("POST", "/v1/alerts/mutes", '{"rule": "backlog"}', 422),
        ("POST", "/v1/alerts/mutes", '{"rule": "backlog", "seconds": 0}', 422),
        ("POST", "/v1/alerts/mutes", '{"rule": "backlog", "seconds": 1e9}', 422),
        ("POST", "/v1/alerts/mutes", "{", 400),
        ("POST", "/v1/alerts/mutes", " " * 5000, 413),
        ("DELETE", "/v1/alerts/mutes/nothing", "", 404),
        ("GET", "/v1/alerts?state=shut", "", 422),
        ("GET", "/v1/alerts?state=open&state=past", "", 422),
        ("GET", "/v1/alerts?rule=nothing", "", 422),
        ("GET", "/v1/alerts?severity=high", "", 422),
        ("GET", "/v1/alerts?cursor=x", "", 422),
        ("GET", "/v1/freshness?kind=bot", "", 422),
        ("GET", "/v1/freshness?state=dead", "", 422),
        ("GET", "/v1/freshness?cursor=x", "", 422),
        ("GET", "/v1/freshness?limit=0", "", 422),
        ("GET", "/v1/sources?limit=10001", "", 422),
        ("GET", "/v1/sources?names=x", "", 422),
    ],
)
def test_what_is_wrong_is_refused_as_everywhere(shared: Desk, method: str, path: str, body: str, status: int) -> None:
    answer = shared.ask(method, path, body)
    assert (answer.status, answer.body["status"]) == (status, status)


def test_streams_and_sources_are_read_in_pages_and_mutes_come_and_go(shared: Desk) -> None:
    shared.post(
        [{"symbol": f"S{n}", "quantity": "1", "price": "2", "source": f"bot-{n}", "source_seq": 1} for n in range(5)]
    )
    until(lambda: len(shared.get("/v1/sources").body["sources"]) == 5, "they are watched")
    for path, name in (
        ("/v1/sources?limit=2", "sources"),
        ("/v1/freshness?kind=symbol&kind=source&limit=3", "streams"),
    ):
        whole = shared.ask("GET", path.replace("limit=2", "limit=100").replace("limit=3", "limit=100")).body[name]
        rows: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            answer = shared.ask("GET", path + (f"&cursor={cursor}" if cursor else "")).body
            rows += answer[name]
            cursor = answer["next"]
        strip = [{key: value for key, value in row.items() if key != "age_seconds"} for row in rows]
        assert strip == [{key: value for key, value in row.items() if key != "age_seconds"} for row in whole]
    assert shared.ask("GET", "/v1/freshness?state=silent").body["streams"] == []
    mute = shared.post_json("/v1/alerts/mutes", {"rule": "backlog", "key": "backlog", "seconds": 60})
    assert mute.status == 201
    assert shared.get("/v1/alerts").body["mutes"] == [mute.body]
    assert shared.ask("DELETE", f"/v1/alerts/mutes/{mute.body['id']}", "").status == 204
    assert shared.get("/v1/alerts").body["mutes"] == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Desk(tmp_path_factory.mktemp("alerts")) as desk:
        desk.start_gateway()
        yield desk
