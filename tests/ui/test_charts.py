"""The price chart as data."""

from __future__ import annotations

import json
from typing import Any

from tests.ui.rows import candle
from ui.charts import DOWN, EMPTY, FEWEST, UP, price_chart, running_vwap

PRICES = ("open", "high", "low", "close")
ROWS = [
    candle("2026-11-22T23:59:00.000000000Z", 1, open="10", close="11", quantity="5"),
    candle("2026-11-23T00:00:00.000000000Z", 2, open="11", close="9.5", quantity="0.25"),
]


def test_candles_are_open_close_low_high_and_stand_at_the_right() -> None:
    option = price_chart(ROWS, interval="1m", zone="UTC")
    data = option["series"][0]["data"]
    assert len(data) == FEWEST
    assert set(data[:-2]) == {EMPTY}
    assert data[-2:] == [[10.0, 11.0, 9.0, 12.0], [11.0, 9.5, 9.0, 12.0]]


def test_a_candle_of_several_currencies_has_a_place_and_a_volume_and_no_price() -> None:
    nothing: Any = None
    mixed = candle("2026-11-23T00:01:00.000000000Z", 3, quantity="7", vwap=None) | dict.fromkeys(PRICES, nothing)
    option = price_chart([*ROWS, mixed], interval="1m", zone="UTC")
    assert option["series"][0]["data"][-2:] == [[11.0, 9.5, 9.0, 12.0], EMPTY]
    assert option["series"][0]["markLine"]["data"] == [{"yAxis": 9.5}]
    assert option["series"][1]["data"][-1] == 7.0
    alone = price_chart([mixed], interval="1m", zone="UTC")["series"][0]
    assert (set(alone["data"]), "markLine" in alone) == ({EMPTY}, False)


def test_times_are_shown_in_the_zone_of_the_reader() -> None:
    assert price_chart(ROWS, interval="1m", zone="Asia/Tokyo")["xAxis"][0]["data"][-2:] == ["08:59", "09:00"]
    assert price_chart(ROWS, interval="10s", zone="UTC")["xAxis"][0]["data"][-1] == "00:00:00"


def test_each_volume_has_the_colour_of_its_candle() -> None:
    up, down = price_chart(ROWS, interval="1m", zone="UTC")["series"][1:3]
    assert (up["itemStyle"]["color"], up["data"][-2:]) == (UP, [5.0, EMPTY])
    assert (down["itemStyle"]["color"], down["data"][-2:]) == (DOWN, [EMPTY, 0.25])


def test_the_vwap_line_is_that_of_all_candles_up_to_each() -> None:
    trades: list[tuple[str, float | None]] = [("1", 10.0), ("3", None), ("3", 14.0)]
    rows = [candle(ROWS[0]["start"], 1, quantity=quantity, vwap=vwap) for quantity, vwap in trades]
    assert running_vwap(rows) == [10.0, 10.0, 13.0]
    line = price_chart(rows, interval="1m", zone="UTC")["series"][3]
    assert line["data"][-3:] == [10.0, 10.0, 13.0]


def test_imbalance_is_shown_to_either_side_and_not_where_no_side_is_known() -> None:
    sides: tuple[dict[str, str], ...] = (
        {"buy_quantity": "3", "sell_quantity": "1"},
        {"buy_quantity": "0", "sell_quantity": "2"},
        {},
    )
    rows = [candle(ROWS[0]["start"], 1, **of) for of in sides]
    bought, sold = price_chart(rows, interval="1m", zone="UTC")["series"][4:]
    assert bought["data"][-3:] == [0.5, EMPTY, EMPTY]
    assert sold["data"][-3:] == [EMPTY, -1.0, EMPTY]


def test_one_price_only_still_gives_the_axis_a_height() -> None:
    flat = [candle("2026-11-22T23:59:00.000000000Z", 1, open="5", high="5", low="5", close="5")]
    axis = price_chart(flat, interval="1m", zone="UTC")["yAxis"][0]
    assert axis["min"] < 5 < axis["max"]
    zero = [candle("2026-11-22T23:59:00.000000000Z", 1, open="0", high="0", low="0", close="0")]
    axis = price_chart(zero, interval="1m", zone="UTC")["yAxis"][0]
    assert axis["min"] < 0 < axis["max"]


def test_the_newest_price_is_marked_with_all_its_digits_and_reads_as_elsewhere_on_the_page() -> None:
    def marked(rows: list[dict[str, Any]]) -> str:
        text: str = price_chart(rows, interval="1m", zone="UTC")["series"][0]["markLine"]["label"]["formatter"]
        return text

    assert marked(ROWS) == "9.50"
    assert marked([*ROWS[:-1], ROWS[-1] | {"close": "64250.1234567891"}]) == "64,250.1234567891"


def test_no_candles_are_a_chart_too_and_every_chart_is_json() -> None:
    for rows in ([], ROWS):
        json.dumps(price_chart(rows, interval="1m", zone="UTC"), allow_nan=False)
