"""The page's one WebSocket, against a real server whose answers the test decides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ui.rows import candle, row
from tests.ui.scripted_stream import ScriptedStream, until
from ui.board import Ask
from ui.feed import Feed


@contextmanager
def running(url: str) -> Iterator[Feed]:
    feed = Feed(url)
    feed.start()
    try:
        yield feed
    finally:
        feed.close()


def test_it_is_live_when_every_snapshot_is_there_and_then_follows_the_updates() -> None:
    with ScriptedStream() as stream:
        stream.symbols = {"BTC-USDT": row()}
        with running(stream.url) as feed:
            until(lambda: feed.view().status.phase == "live")
            assert set(feed.view().all.rows) == {"BTC-USDT"}
            name = next(sent["subscribe"]["id"] for sent in stream.commands if sent["subscribe"].get("window") == "all")
            update = {"type": "update", "id": name, "topic": "stats", "seq": 2, "skipped": 0}
            stream.say(update | {"data": {"symbols": {"AAPL": row()}, "totals": {"trades": 2}}})
            until(lambda: "AAPL" in feed.view().all.rows)
            until(lambda: feed.view().all.seq == 2)


def test_while_the_gateway_is_away_the_last_figures_stay_and_it_says_since_when() -> None:
    began = time.time_ns()
    with ScriptedStream() as stream:
        stream.symbols = {"BTC-USDT": row()}
        with running(stream.url) as feed:
            until(lambda: feed.view().status.phase == "live")
            stream.__exit__()
            until(lambda: feed.view().status.phase == "away")
            view = feed.view()
            assert set(view.all.rows) == {"BTC-USDT"}
            assert began <= view.status.since <= time.time_ns()
            assert view.status.reason
            with ScriptedStream(stream.port) as again:
                again.symbols, again.seq = {"AAPL": row()}, 1
                until(lambda: feed.view().status.phase == "live")
                assert set(feed.view().all.rows) == {"AAPL"}
                assert feed.view().seq == 1, "another gateway's numbers are not mixed with the first one's"
                assert feed.view().status.connection == 2


def test_it_waits_for_a_gateway_that_was_never_there() -> None:
    with ScriptedStream() as stream:
        port = stream.port
    with running(f"http://127.0.0.1:{port}") as feed:
        until(lambda: feed.view().status.phase == "away")
        with ScriptedStream(port):
            until(lambda: feed.view().status.phase == "live")


def test_it_subscribes_to_candles_when_somebody_looks_at_them_also_after_a_reconnect() -> None:
    symbol = "A" * 64 + "/<b>"
    ask = Ask("candles", symbols=(symbol,), interval="1m")
    with ScriptedStream() as stream:
        stream.candles = {symbol: [candle("2026-11-22T18:26:00.000000000Z", 3)]}
        with running(stream.url) as feed:
            until(lambda: feed.view().status.phase == "live")
            assert feed.want(ask).part(ask).rows.get(symbol, []) == []
            until(lambda: bool(feed.want(ask).part(ask).rows.get(symbol, [])))
            assert [row["revision"] for row in feed.want(ask).part(ask).rows.get(symbol, [])] == [3]
            stream.candles = {symbol: [candle("2026-11-22T18:26:00.000000000Z", 4)]}
            stream.cut()
            until(lambda: [row["revision"] for row in feed.want(ask).part(ask).rows.get(symbol, [])] == [4])
        ids = [command["subscribe"]["id"] for command in stream.commands]
        assert max(map(len, ids)) <= 64, "ids are short, however long a symbol is"


def test_closing_ends_the_thread() -> None:
    with ScriptedStream() as stream:
        feed = Feed(stream.url)
        feed.start()
        until(lambda: feed.view().status.phase == "live")
        feed.close()
        assert not feed._thread.is_alive()
