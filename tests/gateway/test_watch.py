"""Watching as the gateway does it, with the default rules: real trades raise nothing, each doctored copy its one alert.

The clocks are the test's, and trades arrive when they were made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.watching.asked import Cut, alerts, sources, streams
from gateway.watching.calendars import Calendars
from telemetry.columns import Columns, concatenate, from_trades
from telemetry.decode import Decoder
from telemetry.errors import InvalidInput
from telemetry.formats import BadRow, Options, TradeFile
from telemetry.frame import Array, Text
from telemetry.times import parse_time
from tests.gateway.watched import MONDAY, SECOND, Stand, at

US = "us_equity_multi/sampleMultiTradeData.csv.gz"
SETS = {
    US: None,
    "binance_xrpeth/XRP_ETH-trades.feather": "XRP/ETH",
    "binance_xrpeth/XRP_ETH-trades.parquet": "XRP/ETH",
    "binance_xrpeth/XRP_OLD-trades.json.gz": "XRP/ETH",
    "binance_btcusdt_parquet/btcusdt-trades.parquet": "BTCUSDT",
    "eu_equity/sampleTDataEurope.csv.gz": "EU",
}
PART = 20_000
MS = SECOND // 1000
Change = Callable[[Columns], Columns]


@cache
def real(file: Path, symbol: str | None) -> Columns:
    """The trades of a file that the gateway takes, of one venue, source and strategy, numbered."""
    decoder = Decoder(compiled=False, secret=bytes(16))
    whole = {"venue": "V", "source": "feed", "strategy": "s"}
    with TradeFile(file, Options(symbol=symbol), lambda _: None) as trades:
        rows = [json.dumps({**row.trade, **whole}) for row in trades if not isinstance(row, BadRow)]
    parts = []
    while rows:
        body = f"[{','.join(rows[:PART])}]".encode()
        try:
            batch = decoder.decode(body, "json", MONDAY)
        except InvalidInput as error:  # floats that no decimal of 18 digits is: replay leaves these out too
            wrong = {each["index"] for each in error.errors}
            rows = [row for place, row in enumerate(rows) if place not in wrong]
            continue
        parts.append(batch.columns if batch.columns is not None else from_trades(batch.trades or []))
        rows = rows[PART:]
    found = concatenate(parts)
    return of(found, source_seq=np.arange(1, len(found) + 1))


def of(columns: Columns, **optional: Array | Text) -> Columns:
    return replace(columns, optional={**columns.optional, **optional})


def arrival_of(columns: Columns) -> Array:
    """When each trade arrives: with all of its second, a moment after the last of them."""
    second = columns.timestamp // SECOND
    last = np.flatnonzero(np.diff(second, append=-1))
    ends = columns.timestamp[last] + MS
    found: Array = ends[np.searchsorted(last, np.arange(len(columns)))]
    return found


def played(columns: Columns, seconds_after: int = 3, *, tick: bool = True) -> Stand:
    """Everything arrives when it was made, one request a second; judged each second (not `tick`: with each request)."""
    arrival = arrival_of(columns)
    stand = Stand(start_ns=int(arrival[0]), stall_seconds=4.0 if tick else 1e9)

    async def run() -> None:
        starts = np.flatnonzero(np.diff(arrival, prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts[1:], len(columns)], strict=True):
            while tick and arrival[start] - stand.wall_ns > SECOND:
                await stand.second()
            if (ahead := int(arrival[start]) - stand.wall_ns) > 0:
                await stand.second(ahead / SECOND)
            part = columns.slice(start, stop)
            stand.send(at(part, part.timestamp, stand.wall_ns))
        for _ in range(seconds_after):
            await stand.second()

    asyncio.run(run())
    return stand


def in_order(columns: Columns) -> Columns:
    return concatenate([columns.slice(place, place + 1) for place in np.argsort(columns.timestamp, kind="stable")])


@pytest.fixture
def hour(market_data: Path) -> Columns:
    """An hour of three shares, sent by one source whose clock is right."""
    found = real(market_data / US, None)
    inside = found.timestamp // (3600 * SECOND) == parse_time("2014-09-17T10:00:00Z") // (3600 * SECOND)
    found = found.only(inside & (np.arange(len(found)) > 0))
    return of(found, sent_at=arrival_of(found) - 2 * MS, source_seq=np.arange(1, len(found) + 1))


@pytest.mark.parametrize("name", SETS)
def test_real_trades_at_their_own_pace_raise_nothing(name: str, market_data: Path) -> None:
    found = real(market_data / name, SETS[name])
    stand = played(found, tick=False)
    assert len(found) > 1000
    assert stand.loss.rows()["feed"]["received"] == len(found)
    assert stand.told() == []


@pytest.mark.parametrize("name", SETS)
def test_real_trades_that_are_replayed_years_later_raise_nothing_and_make_nobody_seen(
    name: str, market_data: Path
) -> None:
    found = real(market_data / name, SETS[name])
    stand = Stand()
    for start in range(0, len(found), 1000):
        part = found.slice(start, min(len(found), start + 1000))
        stand.send(at(part, part.timestamp, stand.wall_ns))
        stand.seconds(1)
    assert stand.told() == []
    assert all(states["never_seen"] == sum(states.values()) for states in stand.freshness.counts().values())


def test_the_hour_that_is_doctored_below_raises_nothing(hour: Columns) -> None:
    stand = played(hour, seconds_after=0)
    assert stand.told() == []
    assert stand.freshness.counts()["source"]["fresh"] == 1


def changed(columns: Columns, place: int, *, price: int = 1, quantity: int = 1) -> Columns:
    prices, quantities = columns.price.copy(), columns.quantity.copy()
    prices[place] *= price
    quantities[place] *= quantity
    return replace(columns, price=prices, quantity=quantities)


def test_a_price_ten_times_too_high_is_one_alert(hour: Columns) -> None:
    place = len(hour) // 2
    symbol = hour.instruments[hour.instrument[place]].symbol
    stand = played(changed(hour, place, price=10))
    assert stand.told() == [f"fired fat-finger-price {symbol}", f"resolved fat-finger-price {symbol}"]
    (alert,) = stand.bulletin.alerts.listed()
    assert (alert["first_seq"], alert["last_seq"]) == (place + 1, place + 1)


def test_a_hundred_times_a_large_trade_is_one_alert(hour: Columns) -> None:
    """Large: of the largest hundredth of its symbol. A hundred times a typical trade of a share is a block trade."""
    sizes = hour.quantity / 10.0**hour.quantity_scale
    mine = np.flatnonzero(hour.instrument == hour.instrument[len(hour) // 2])
    large = mine[sizes[mine] >= np.quantile(sizes[mine], 0.99)]
    place = int(large[large > len(hour) // 2][0])
    symbol = hour.instruments[hour.instrument[place]].symbol
    stand = played(changed(hour, place, quantity=100))
    assert stand.told() == [f"fired fat-finger-quantity {symbol}", f"resolved fat-finger-quantity {symbol}"]


def test_a_hundred_times_a_typical_fill_of_a_desk_is_one_alert(hour: Columns) -> None:
    """A desk's own orders are of similar sizes: there any of them is noticed."""
    own = replace(hour, quantity=np.arange(len(hour)) % 10 + 1, quantity_scale=np.zeros(len(hour), np.uint8))
    place = len(hour) // 2
    own.quantity[place] = 100 * 5
    symbol = hour.instruments[hour.instrument[place]].symbol
    assert played(own).told() == [f"fired fat-finger-quantity {symbol}", f"resolved fat-finger-quantity {symbol}"]


def test_a_gap_of_a_minute_is_one_alert_that_names_all_who_are_in_it(hour: Columns) -> None:
    begin = hour.timestamp[0] + 2700 * SECOND
    inside = (hour.timestamp < begin) | (hour.timestamp > begin + 60 * SECOND)
    stand = played(of(hour.only(inside), source_seq=np.arange(1, np.count_nonzero(inside) + 1)))
    assert stand.told() == ["fired silent-venue V", "resolved silent-venue V"]
    (alert,) = stand.bulletin.alerts.listed()
    assert "(silent with it: source feed, strategy s)" in alert["message"]


def test_a_hole_in_the_numbers_is_one_alert(hour: Columns) -> None:
    stand = played(hour.only(np.arange(len(hour)) != len(hour) // 2), seconds_after=10)
    assert stand.told() == ["fired lost-trades feed"]
    assert stand.loss.rows()["feed"]["missing"] == 1


def test_a_clock_that_is_five_seconds_slow_is_one_alert(hour: Columns) -> None:
    assert hour.integers("sent_at") is not None
    stand = played(of(hour, sent_at=arrival_of(hour) - 5 * SECOND))
    assert stand.told() == ["fired clock-off feed"]
    (alert,) = stand.bulletin.alerts.listed()
    assert "5 s slow" in alert["message"]


def test_one_source_of_fifty_that_stops_is_one_alert(hour: Columns) -> None:
    names = [f"bot-{number:02}" for number in range(50)]
    first = np.flatnonzero(np.diff(hour.timestamp // SECOND, prepend=-1))
    rows = np.repeat(first, 50)
    who = np.tile(np.arange(50), len(first))
    lives = (who != 17) | (hour.timestamp[rows] < hour.timestamp[0] + 3000 * SECOND)
    rows, who = rows[lives], who[lives]
    taken = {name: getattr(hour, name)[rows] for name in ("instrument", "side", "price", "price_scale", "quantity")}
    taken |= {name: getattr(hour, name)[rows] for name in ("quantity_scale", "timestamp", "received_at")}
    source = Text.of([names[number] for number in who.tolist()])
    many = Columns(hour.instruments, optional={"source": source}, **taken)
    assert played(many).told() == ["fired silent-source bot-17"]


# --- sessions --------------------------------------------------------------------------------------------------------


def lively(stand: Stand, seconds: int, source: str = "feed", venue: str = "V") -> None:
    """A trade each half second."""

    async def run() -> None:
        for _ in range(2 * seconds):
            stand.send(single(source, venue, stand.wall_ns))
            await stand.second(0.5)

    asyncio.run(run())


def single(source: str, venue: str, wall_ns: int, **more: Any) -> Columns:
    body = {"symbol": "A", "quantity": "1", "price": "10", "venue": venue, "source": source, "timestamp": wall_ns}
    batch = Decoder(compiled=False, secret=bytes(16)).decode(json.dumps(body | more).encode(), "json", wall_ns)
    return batch.columns if batch.columns is not None else from_trades(batch.trades or [])


def test_at_a_close_streams_are_quiet_and_a_night_raises_nothing() -> None:
    close = MONDAY + 700 * SECOND
    opening = close + 3600 * SECOND
    sessions = Calendars({"V": [(MONDAY - SECOND, close), (opening, opening + 7200 * SECOND)]})
    stand = Stand(sessions=sessions)
    lively(stand, 697)
    assert stand.freshness.counts()["source"]["fresh"] == 1
    stand.seconds(30)
    assert stand.freshness.counts()["source"]["quiet"] == 1
    stand.seconds(3572)
    assert stand.told() == []
    lively(stand, 20)
    assert stand.told() == []


def test_a_night_of_long_pauses_without_a_calendar_raises_nothing() -> None:
    """Where nobody trades much by night, a pause by night is no silence, and the first of the day is none either."""
    stand = Stand(stall_seconds=1e9)

    async def run() -> None:
        for day in range(3):
            for hour, pause in ((h, 20 if 6 <= h < 20 else 300) for h in range(24)):
                for number in range(3600 // pause):
                    stand.send(single("feed", "V", stand.wall_ns))
                    await stand.second(pause + (number * 7 + hour + day) % 5 - 2)

    asyncio.run(run())
    assert stand.told() == []


# --- restart and reload ----------------------------------------------------------------------------------------------


def test_after_a_restart_what_fired_goes_on_and_is_told_no_second_time() -> None:
    stand = Stand()
    lively(stand, 600)
    stand.seconds(10)
    assert stand.told() == ["fired silent-venue V"]
    again = Stand(saved=stand)
    again.seconds(20)
    assert again.told() == stand.told()
    assert {alert["state"] for alert in again.bulletin.alerts.listed()} == {"firing"}
    lively(again, 5)
    assert again.told()[1:] == ["resolved silent-venue V"]
    number = again.bulletin.alerts.listed()[0]["id"]
    asyncio.run(again.bulletin.acknowledge(number, "ana"))
    assert Stand(saved=again).bulletin.alerts.get(number)["acknowledged_by"] == "ana"


def test_rules_are_read_again_and_a_wrong_file_leaves_those_that_are_there_and_says_why(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nname = "gone"\nkind = "silence"\nstreams = ["source"]\n', "utf-8")
    stand = Stand(rules=file)
    lively(stand, 600)
    stand.seconds(10)
    assert stand.told() == ["fired gone feed"]
    file.write_text('[[rule]]\nname = "gone"\nkind = "silence"\nstream = ["source"]\n', "utf-8")
    stand.bulletin.reload()
    (fault,) = stand.bulletin.rules.row()["errors"]
    assert (fault["line"], fault["rule"], fault["field"]) == (4, "gone", "stream")
    stand.seconds(2)
    assert [alert["state"] for alert in stand.bulletin.alerts.listed()] == ["firing"], "the rules before stay"
    file.write_text('[[rule]]\nname = "other"\nkind = "silence"\nstreams = ["venue"]\n', "utf-8")
    stand.bulletin.reload()
    stand.seconds(2)
    assert stand.bulletin.rules.row()["errors"] == []
    assert stand.told() == ["fired gone feed", "resolved gone feed", "fired other V"]
    with pytest.raises(InvalidInput, match="rules.toml: .*\n.*line 1"):
        file.write_text("nonsense", "utf-8")
        Stand(rules=file)


def test_a_disk_that_takes_nothing_keeps_no_alert_from_being_told() -> None:
    stand = Stand()
    stand.alerts_file.full = True
    stand.send(concatenate([single("a", "V", stand.wall_ns, source_seq=n) for n in (1, 3)]))
    stand.seconds(8)
    assert stand.told() == ["fired lost-trades a"]
    with pytest.raises(Exception, match="the disk does not take"):
        asyncio.run(stand.bulletin.mute("backlog", None, stand.wall_ns + SECOND))


def test_where_trades_are_not_watched_nothing_is_claimed_about_them() -> None:
    stand = Stand(trades=False)
    lively(stand, 30)
    stand.send(single("feed", "V", stand.wall_ns, source_seq=1000))
    stand.seconds(120)
    found = streams(stand.watch, [], [], Cut(), stand.now_ns)
    assert (found["watched"], found["streams"]) == (False, [])
    found = sources(stand.watch, [], {}, Cut())
    assert (found["watched"], found["sources"]) == (False, [])
    found = alerts(stand.watch, "all", [], [], Cut(), stand.wall_ns)
    assert (found["watched"], found["alerts"], stand.told()) == (False, [], [])
    assert stand.streams_file.content is None
