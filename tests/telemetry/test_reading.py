"""Reading from the gateway in the terminal: tables, JSON, and a stream that survives restarts, over real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.telemetry.scripted_gateway import ScriptedGateway, scripted_gateway
from tests.telemetry.test_cli import run

ROW = {"trades": 2, "quantity": "3.5", "vwap": 1.25, "price_last": "1.5", "imbalance": None, "notional": "4.375"}
STATS = {
    "as_of_seq": 17,
    "window": "1m",
    "symbols": {"A": {**ROW, "trades": 1}, "[red]B": ROW},
    "order": ["[red]B", "A"],
    "totals": {"trades": 3, "quantity": "4.5", "notional": {"": "1", "USD": "4.375"}},
    "next": None,
}
STREAMS = {"venue": {"fresh": 1, "silent": 0}, "source": {"fresh": 3, "silent": 1}, "symbol": {"silent": 1200}}


@contextmanager
def desk_of(*severities: str, streams: Mapping[str, Any] = STREAMS) -> Iterator[ScriptedGateway]:
    """A gateway with open alerts of these severities, and so many streams of each state."""
    with scripted_gateway() as gateway:
        alerts = [{"severity": severity} for severity in severities]
        gateway.pages["/v1/alerts?state=open&limit=10000"] = {"alerts": alerts, "next": None}
        gateway.pages["/v1/freshness?state=silent&limit=1"] = {"counts": streams, "streams": [], "next": None}
        yield gateway


@pytest.mark.parametrize("symbol", [None, "A"])
def test_stats_says_below_the_table_what_alerts_are_open_and_which_streams_silent(
    capsys: pytest.CaptureFixture[str], symbol: str | None
) -> None:
    with desk_of("warning", "critical", "warning") as gateway:
        gateway.pages["/v1/stats?window=all"] = STATS
        gateway.pages["/v1/stats/A?window=all"] = {"as_of_seq": 3, "window": "all", **ROW}
        assert run("stats", *([symbol] if symbol else []), "--url", gateway.url) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "open alerts: 1 critical, 2 warning; silent streams: 1 source, 1,200 symbol"
    assert "open_alerts" not in out


def test_stats_says_that_no_alert_is_open_and_no_stream_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with desk_of(streams={"venue": {"fresh": 1, "silent": 0}}) as gateway:
        gateway.pages["/v1/stats?window=all"] = STATS
        assert run("stats", "--url", gateway.url) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "open alerts: none; silent streams: none"


def test_stats_shows_a_table_in_the_given_order_with_totals(capsys: pytest.CaptureFixture[str]) -> None:
    with desk_of() as gateway:
        gateway.pages["/v1/stats?window=1m"] = STATS
        assert run("stats", "--window", "1m", "--url", gateway.url) == 0
    out = capsys.readouterr().out
    assert "as of seq 17" in out
    assert out.index("[red]B") < out.index("A ") < out.index("all")
    assert "4.375 USD" in out


def test_stats_as_json_is_the_answer_with_open_alerts_and_silent_streams(capsys: pytest.CaptureFixture[str]) -> None:
    with desk_of("info") as gateway:
        gateway.pages["/v1/stats?window=all"] = STATS
        assert run("stats", "--json", "--url", gateway.url) == 0
    assert json.loads(capsys.readouterr().out) == STATS | {
        "open_alerts": {"critical": 0, "warning": 0, "info": 1},
        "silent_streams": {"venue": 0, "source": 1, "symbol": 1200},
    }


def test_stats_of_one_symbol_with_a_slash_asks_for_it_and_shows_every_figure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with desk_of() as gateway:
        gateway.pages["/v1/stats/BTC%2FUSDT%3AUSDT?window=all"] = {"as_of_seq": 3, "window": "all", **ROW}
        assert run("stats", "BTC/USDT:USDT", "--url", gateway.url) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ROW)


def test_a_symbol_that_was_never_seen_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted_gateway() as gateway:
        assert run("stats", "NONE", "--url", gateway.url) == 2
    assert "there is nothing here" in capsys.readouterr().err


Talk = Callable[[ServerConnection, dict[str, Any]], None]


@contextmanager
def stream_server(*talks: Talk) -> Iterator[str]:
    """A WebSocket server that serves one connection after another by the given talks, then ends each."""
    waiting = list(talks)

    def handle(socket: ServerConnection) -> None:
        wanted = json.loads(socket.recv())["subscribe"]
        waiting.pop(0)(socket, wanted)

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def frame(kind: str, seq: int, data: Any = None) -> str:
    return json.dumps({"type": kind, "id": "tail", "topic": "trades", "seq": seq, "skipped": 0, "data": data})


def test_tail_prints_trades_line_by_line_and_resumes_after_the_last_one_when_the_stream_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    subscriptions: list[dict[str, Any]] = []

    def first(socket: ServerConnection, wanted: dict[str, Any]) -> None:
        subscriptions.append(wanted)
        socket.send(json.dumps({"type": "subscribed", "id": "tail", "topic": "trades", "seq": 4}))
        socket.send(frame("snapshot", 4, []))
        socket.send(json.dumps({"type": "heartbeat", "seq": 4}))
        socket.send(frame("update", 6, [{"seq": 5}, {"seq": 6}]))
        socket.send(frame("gap", 8, {"first": 7, "last": 8}))

    def second(socket: ServerConnection, wanted: dict[str, Any]) -> None:
        subscriptions.append(wanted)
        socket.send(frame("snapshot", 8, []))
        socket.send(frame("update", 9, [{"seq": 9, "symbol": "東京"}]))

    with stream_server(first, second) as url:
        assert run("tail", "--symbol", "A", "--count", "3", "--url", url) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ['{"seq": 5}', '{"seq": 6}', '{"seq": 9, "symbol": "東京"}']
    assert subscriptions == [
        {"id": "tail", "topic": "trades", "symbols": ["A"]},
        {"id": "tail", "topic": "trades", "symbols": ["A"], "from_seq": 9},
    ]
    assert '"first": 7' in captured.err


def test_tail_of_a_state_topic_prints_whole_frames(capsys: pytest.CaptureFixture[str]) -> None:
    def talk(socket: ServerConnection, wanted: dict[str, Any]) -> None:
        assert wanted == {"id": "tail", "topic": "stats", "symbols": ["*"], "window": "1m"}
        socket.send(frame("snapshot", 4, {"symbols": {"A": ROW}}))

    with stream_server(talk) as url:
        assert run("tail", "--topic", "stats", "--window", "1m", "--count", "1", "--url", url) == 0
    assert json.loads(capsys.readouterr().out)["data"] == {"symbols": {"A": ROW}}


def test_a_subscription_that_is_refused_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    def talk(socket: ServerConnection, wanted: dict[str, Any]) -> None:
        socket.send(json.dumps({"type": "error", "id": None, "detail": "topic: expected another"}))

    with stream_server(talk) as url:
        assert run("tail", "--topic", "alerts", "--url", url) == 2
    assert "topic: expected another" in capsys.readouterr().err
