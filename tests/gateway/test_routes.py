"""The routes that are read, over HTTP: parameters, pages, methods, the documents; and nothing generated gives a 500."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.statistics import present
from tests.e2e.desk import Desk
from tests.gateway.conftest import Gateway, path_of, started
from tests.gateway.test_aggregator import trade as numbers
from tests.gateway.test_figures import state_of
from tests.gateway.test_ingest import TIME, trade

TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
READ = ("/v1/stats", "/v1/latency", "/v1/workers", "/v1/freshness", "/healthz", "/readyz", "/metrics", "/docs")
TEXTS = ("quantity", "notional", "price")


def test_a_row_has_exact_decimals_as_texts_times_with_nine_decimals_and_numbers(gateway: Gateway, symbol: str) -> None:
    gateway.post([trade(symbol, side=side, timestamp=TIME) for side in ("buy", "sell", "unknown")])
    row = gateway.row(symbol)
    assert row.keys() == {"as_of_seq", "durable_seq", "symbol", "window", "window_start", "window_end"} | ROW_KEYS
    for name, value in row.items():
        if name.endswith("_timestamp"):
            assert TIMES.fullmatch(value), name
        elif name in ("vwap", "imbalance", "quantity_mean", "quantity_std", "interarrival_mean"):
            assert isinstance(value, float), name
        elif name.endswith("_per_second"):
            assert value is None, name  # all at the same time
        elif any(word in name for word in TEXTS):
            assert DECIMAL.fullmatch(value), (name, value)
    assert (row["window"], row["window_start"], row["window_end"]) == ("all", None, None)
    assert (row["currency"], row["trades_per_second"], row["imbalance"]) == (None, None, 0.0)


ROW_KEYS = {
    "trades", "buy_trades", "sell_trades", "unknown_trades", "quantity", "buy_quantity", "sell_quantity",
    "unknown_quantity", "notional", "buy_notional", "sell_notional", "unknown_notional", "vwap", "imbalance",
    "quantity_mean", "quantity_std", "quantity_min", "quantity_max", "price_open", "price_high", "price_low",
    "price_last", "first_timestamp", "last_timestamp", "trades_per_second", "quantity_per_second",
    "interarrival_mean", "currency", "revision",
}  # fmt: skip


def test_extreme_values_stay_exact_to_the_last_digit(gateway: Gateway, symbol: str) -> None:
    gateway.post(
        trade(symbol, quantity="999999999999999999", price="-999999999999999999", multiplier="0.000000000000000001")
    )
    gateway.post(trade(symbol, quantity="0.000000000000000001", price="0", multiplier="1e-18"))
    row = gateway.row(symbol)
    assert row["quantity"] == "999999999999999999.000000000000000001"
    assert row["notional"] == "-999999999999999998.000000000000000001"
    assert (row["price_low"], row["price_last"], row["quantity_min"]) == (
        "-999999999999999999",
        "0",
        "0.000000000000000001",
    )


def test_venues_kinds_and_currencies_of_one_symbol_are_one_row_and_filters_take_them_apart(
    gateway: Gateway, symbol: str
) -> None:
    gateway.post(
        [
            trade(symbol, venue="a", kind="fill", currency="USD", quantity=1),
            trade(symbol, venue="b", kind="print", currency="USD", quantity=2),
            trade(symbol, venue="b", kind="fill", currency="EUR", quantity=4),
            trade(symbol, quantity=8),
        ]
    )

    def quantity(**filters: Any) -> str:
        found: str = gateway.row(symbol, **filters)["quantity"]
        totals = gateway.get("/v1/stats", symbol=symbol, **filters)["totals"]
        assert totals["quantity"] == found
        return found

    assert quantity() == "15"
    assert (quantity(venue="b"), quantity(kind="fill"), quantity(venue=""), quantity(venue="c")) == ("6", "5", "8", "0")
    assert (quantity(venue=["a", "b"]), quantity(venue="b", kind="print")) == ("7", "2")
    money = gateway.get("/v1/stats", symbol=symbol)["totals"]["notional"]
    assert money == {"": "802", "EUR": "401", "USD": "300.75"}
    row = gateway.row(symbol)
    assert (row["notional"], row["vwap"], row["price_last"], row["currency"]) == (None, None, None, None)
    assert gateway.row(symbol, venue="a")["notional"] == "100.25"


def test_pages_over_two_thousand_symbols_by_trades_and_by_name(gateway: Gateway, symbol: str) -> None:
    names = [f"{symbol}/{number:04}:é" for number in range(2100)]
    lines = [json.dumps(trade(name)) for name in names] + [json.dumps(trade(name)) for name in names[::7]]
    gateway.post("\n".join(lines).encode(), kind="application/x-ndjson")
    for sort in ("trades", "symbol"):
        found: list[str] = []
        cursor: dict[str, Any] = {}
        while True:
            answer = gateway.get("/v1/stats", sort=sort, **cursor)
            assert list(answer["symbols"]) == answer["order"]
            assert len(answer["order"]) == 1000 or answer["next"] is None
            found += answer["order"]
            if answer["next"] is None:
                break
            cursor = {"cursor": answer["next"]}
        mine = [name for name in found if name in set(names)]
        assert len(found) == len(set(found))
        assert mine == (
            sorted(names) if sort == "symbol" else sorted(names[::7]) + sorted(set(names) - set(names[::7]))
        )
    assert len(gateway.get("/v1/stats", limit=100_000)["order"]) == len(found), "a long list is written in a thread"
    gateway.get("/v1/stats", 422, sort="symbol", cursor="trades:1:A")


def test_windows_of_an_old_file_end_at_its_watermark_and_at_takes_any_instant(tmp_path_factory: Any) -> None:
    with started(tmp_path_factory.mktemp("old")) as gateway:
        empty = gateway.get("/v1/stats", window="1m")
        assert empty["totals"]["trades"] == 0
        gateway.post([trade("A", timestamp=f"2020-03-01T00:00:{second:02}.5Z") for second in (1, 30, 59)])
        at = gateway.get("/v1/stats/A", window="10s", at="watermark")
        assert (at["window_start"], at["window_end"]) == (
            "2020-03-01T00:00:50.000000000Z",
            "2020-03-01T00:01:00.000000000Z",
        )
        assert (at["trades"], at["trades_per_second"]) == (1, 0.1)
        assert gateway.get("/v1/stats/A", window="1m", at="2020-03-01T00:00:30Z")["trades"] == 2
        assert (
            gateway.get("/v1/stats/A", window="1d", at="2020-03-01T00:00:30Z")["window_end"][:19]
            == "2020-03-01T00:01:00"
        )
        none = gateway.get("/v1/stats/A", window="1m", at="2021-01-01T00:00:00Z")
        assert (none["trades"], none["quantity"], none["vwap"], none["revision"]) == (0, "0", None, 0)
        assert gateway.get("/v1/stats/A")["trades"] == 3, "all knows no window"
        future = gateway.post(trade("A", timestamp="2099-01-01T00:00:00Z"))
        assert gateway.get("/v1/stats/A", window="10s", at="watermark")["trades"] == 1, "2099 moves no window"
        assert future["applied"] is True
        first = gateway.get("/v1/candles/A", limit=1, interval="10s", end="2020-03-01T00:00:55Z")
        assert [candle["start"][:19] for candle in first["candles"]] == ["2020-03-01T00:00:50"]
        older = gateway.get("/v1/candles/A", interval="10s", cursor=first["next"])
        assert [candle["start"][17:19] for candle in older["candles"]] == ["00", "30"]
        assert older["next"] is None


def test_a_late_trade_raises_the_revision_of_its_candle_alone(gateway: Gateway, symbol: str) -> None:
    gateway.post([trade(symbol, timestamp=f"2026-11-20T10:0{minute}:00Z") for minute in (0, 1)])
    before = gateway.get(f"/v1/candles/{symbol}")["candles"]
    last = gateway.post(trade(symbol, timestamp="2026-11-20T10:00:30Z", price=7))["last_seq"]
    after = gateway.get(f"/v1/candles/{symbol}")["candles"]
    assert (after[0]["revision"], after[0]["close"], after[0]["trades"], after[0]["closed"]) == (last, "7", 2, True)
    assert after[1] == before[1]


def test_a_symbol_never_seen_is_404_and_one_without_trades_in_the_window_is_not(gateway: Gateway, symbol: str) -> None:
    for path in (f"/v1/stats/{symbol}", f"/v1/candles/{symbol}", "/v1/stats/", "/v1/stats/%ff", "/v1/stats/a%00b"):
        gateway.get(path, 404)
    gateway.post(trade(symbol, timestamp=TIME))
    assert gateway.row(symbol, window="10s")["trades"] == 0
    assert gateway.row(symbol, window="10s").keys() == gateway.row(symbol).keys()
    assert gateway.get("/v1/stats", symbol=f"{symbol}-never") | {"as_of_seq": 0, "durable_seq": 0} == {
        "as_of_seq": 0, "durable_seq": 0, "window": "all", "window_start": None, "window_end": None,
        "symbols": {}, "order": [], "next": None,
        "totals": {
            "trades": 0, "buy_trades": 0, "sell_trades": 0, "unknown_trades": 0,
            "quantity": "0", "buy_quantity": "0", "sell_quantity": "0", "unknown_quantity": "0", "notional": {},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/v1/stats", {"windwo": "1m"}),
        ("/v1/stats", {"window": "2m"}),
        ("/v1/stats", {"window": ["1m", "5m"]}),
        ("/v1/stats", {"kind": "quote"}),
        ("/v1/stats", {"sort": "price"}),
        ("/v1/stats", {"limit": "0"}),
        ("/v1/stats", {"limit": "100001"}),
        ("/v1/stats", {"limit": "1_0"}),
        ("/v1/stats", {"limit": "5 "}),
        ("/v1/stats", {"limit": "+5"}),
        ("/v1/stats", {"limit": "1e3"}),
        ("/v1/stats", {"limit": "NaN"}),
        ("/v1/stats", {"limit": "9" * 5000}),
        ("/v1/stats", {"cursor": "²:x"}),
        ("/v1/stats", {"cursor": "trades:" + "9" * 5000 + ":x"}),
        ("/v1/stats", {"at": "yesterday"}),
        ("/v1/stats", {"at": "²"}),
        ("/v1/stats/S", {"symbol": "A"}),
        ("/v1/stats/S", {"limit": "5"}),
        ("/v1/candles/S", {"interval": "7m"}),
        ("/v1/candles/S", {"start": "x"}),
        ("/v1/candles/S", {"end": "2026-11-20"}),
        ("/v1/candles/S", {"limit": "10001"}),
        ("/v1/candles/S", {"fill": "next"}),
        ("/v1/candles/S", {"cursor": "x"}),
        ("/v1/candles/S", {"window": "1m"}),
        ("/v1/latency", {"window": "1d"}),
        ("/v1/workers", {"x": "1"}),
        ("/v1/freshness", {"x": "1"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_parameters_that_are_unknown_or_wrong_are_422(gateway: Gateway, path: str, parameters: dict[str, Any]) -> None:
    gateway.post(trade("S"))
    document = gateway.get(path, 422, **parameters)
    assert "expected" in document["detail"]
    assert len(document["detail"]) < 300


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_a_body_and_other_methods_are_405(gateway: Gateway, path: str) -> None:
    shown, hidden = gateway.request("GET", path), gateway.request("HEAD", path)
    assert (hidden.status_code, hidden.content) == (200, b"")
    assert hidden.headers["content-type"] == shown.headers["content-type"]
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        refused = gateway.request(method, path)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_trades_are_only_posted_and_read_and_unknown_paths_are_404(gateway: Gateway) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        refused = gateway.request(method, "/v1/trades")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")
    for path in (
        "/",
        "/v1",
        "/v1/",
        "/v1/trades/",
        "/v1/stats2",
        "/favicon.ico",
        "/redoc",
        "/v1//stats",
        "/%2e%2e/etc",
    ):
        assert gateway.request("GET", path).status_code == 404
    assert gateway.request("POST", "/v1/trades/", content=b"{}").status_code == 404


def test_latency_has_every_stage_in_seconds(gateway: Gateway, symbol: str) -> None:
    now = gateway.post([trade(symbol)] * 2)
    assert now["applied"]
    gateway.post(trade(symbol, sent_at="2099-01-01T00:00:00Z"))
    answer = gateway.get("/v1/latency", window="all")
    assert list(answer["stages"]) == ["client", "journal", "dispatch", "analysis", "merge", "end_to_end", "publish"]
    for name, row in answer["stages"].items():
        assert row.keys() == {"count", "mean", "p50", "p90", "p99", "p999", "max", "negative", "reason"}
        if row["count"] and row["reason"] is None:
            assert 0 < row["p50"] <= row["p90"] <= row["p99"] <= row["p999"] <= row["max"], name
            assert name == "client" or row["max"] < 60
    client = answer["stages"]["client"]
    assert (client["negative"] >= 1, client["reason"], client["p50"]) == (True, "clock", None), "a clock ahead of ours"
    assert answer["stages"]["end_to_end"]["count"] > 0


def test_workers_and_freshness_say_how_things_stand(gateway: Gateway, symbol: str) -> None:
    gateway.post(trade(symbol))
    pool = gateway.get("/v1/workers")
    (worker,) = pool["workers"]
    assert worker["version_ok"] is True
    assert worker["pid"] == gateway.desk.workers[0].pid
    assert (pool["leased"], pool["backlog"], pool["intake"]) == (0, 0, 0)
    assert pool["journal"]["bytes"] > 0
    assert pool["journal"]["last_sync_seconds"] > 0
    assert pool["journal"]["trouble"] is None
    fresh = gateway.get("/v1/freshness")
    assert fresh["as_of_seq"] == fresh["durable_seq"] == gateway.durable()
    assert (fresh["backlog"], fresh["caught_up"]) == (0, True)
    assert gateway.get("/healthz") == {"status": "alive"}


def test_without_a_worker_it_is_not_ready_and_says_why_and_takes_trades(tmp_path_factory: Any) -> None:
    with Desk(tmp_path_factory.mktemp("alone")) as desk:
        desk.start_gateway()
        gateway = Gateway(desk)
        assert "no worker" in gateway.get("/readyz", 503)["detail"]
        assert gateway.get("/healthz") == {"status": "alive"}
        answer = gateway.post(trade("A"), query="wait=applied&timeout=0.2")
        assert (answer["durable"], answer["applied"]) == (True, False)
        gateway.get("/v1/stats/A", 404)
        assert gateway.get("/v1/freshness")["backlog"] == 1
        desk.start_workers(1)
        desk.until_applied(1)
        assert gateway.get("/v1/stats/A")["trades"] == 1
        gateway.http.close()


# --- the documents ---------------------------------------------------------------------------------------------------


def test_the_document_names_every_route_and_its_answers_have_the_shapes_that_it_says(
    gateway: Gateway, symbol: str
) -> None:
    gateway.post([trade(symbol, currency="USD", source=symbol, source_seq=1), trade(symbol)])
    document = gateway.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    assert paths.keys() == {
        "/v1/trades", "/v1/stats", "/v1/stats/{symbol}", "/v1/candles/{symbol}", "/v1/latency", "/v1/workers",
        "/v1/freshness", "/v1/sources", "/v1/alerts", "/v1/alerts/{id}/ack", "/v1/alerts/mutes",
        "/v1/alerts/mutes/{id}", "/v1/patterns/{symbol}", "/v1/profile/{symbol}", "/metrics", "/healthz", "/readyz",
    }  # fmt: skip
    assert {"202", "400", "403", "409", "413", "415", "422", "503"} <= paths["/v1/trades"]["post"]["responses"].keys()
    for path, methods in paths.items():
        for method, operation in methods.items():
            if method == "get" and path != "/metrics":
                schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
                answer = gateway.get(path.replace("{symbol}", path_of(symbol)))
                assert_has_shape(answer, schema, path)
                for status, response in operation["responses"].items():
                    assert status == "200" or "application/problem+json" in response["content"]


def assert_has_shape(value: Any, schema: dict[str, Any], where: str) -> None:
    """As much of JSON Schema as our document uses."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
    names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if value is None:
        assert "null" in names, where
        return
    assert any(isinstance(value, kinds[name]) for name in names if name != "null"), (where, value)  # type: ignore[arg-type]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        assert set(schema.get("required", ())) <= value.keys(), where
        for name, inner in value.items():
            of = properties.get(name, schema.get("additionalProperties"))
            assert of is not None, f"{where}: {name} is not in the document"
            assert_has_shape(inner, of, f"{where}.{name}")
    elif isinstance(value, list):
        for inner in value:
            assert_has_shape(inner, schema["items"], where)
    elif "pattern" in schema:
        assert re.fullmatch(schema["pattern"], value), (where, value)


def test_the_page_of_the_docs_needs_nothing_from_elsewhere(gateway: Gateway) -> None:
    page = gateway.request("GET", "/docs").text
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(""", page)
    for path in gateway.get("/openapi.json")["paths"]:
        assert path in page
    for field in ("trade_id", "order_sent_at", "multiplier"):
        assert f"<code>{field}</code>" in page


def test_the_document_of_rows_is_that_of_the_statistics() -> None:
    state = state_of([numbers()])
    total = state.total(0)
    assert total is not None
    assert present([(state.instruments[0], total)]).keys() == ROW_KEYS


# --- generated -------------------------------------------------------------------------------------------------------

FIELDS = ("symbol", "side", "kind", "quantity", "price", "multiplier", "timestamp", "trade_id", "venue", "tags", "fee")
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(("A", "buy", "fill", "1.5", "1e3", 1_795_000_000_000_000_000, TIME, "5 ", 1e18))
)  # fmt: skip
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
objects = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), anything, max_size=8)
bodies = (
    st.binary(max_size=200)
    | anything.map(lambda value: json.dumps(value).encode())
    | st.lists(objects, max_size=3).map(lambda value: json.dumps(value).encode())
    | objects.map(lambda value: json.dumps({"symbol": "A", "quantity": 1, "price": 2} | value).encode())
)
GENERATED = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@GENERATED
@given(
    bodies,
    st.sampled_from(("application/json", "application/x-ndjson", "text/csv", "")),
    st.sampled_from(("", "wait=applied&timeout=0", "wait=x", "%ff=%00")),
)
def test_whatever_is_posted_is_taken_or_refused_with_a_reason(
    gateway: Gateway, body: bytes, kind: str, query: str
) -> None:
    before = gateway.durable()
    response = gateway.request("POST", f"/v1/trades?{query}", content=body, headers={"content-type": kind})
    assert response.status_code in (202, 400, 409, 413, 415, 422, 503)
    kept = response.json()["accepted"] if response.status_code == 202 else 0
    assert gateway.durable() == before + kept
    if response.status_code == 422:
        for error in response.json().get("errors", []):
            assert error.keys() == {"index", "field", "detail", "received"}


NAMES = ("window", "symbol", "venue", "kind", "at", "sort", "limit", "cursor", "interval", "start", "end", "fill", "x")
VALUES = (
    "1m",
    "all",
    "A",
    "fill",
    "watermark",
    "trades",
    "1",
    "0",
    "-1",
    "1s",
    TIME,
    "previous",
    "9" * 40,
    "trades:1:A",
)


@GENERATED
@given(
    st.sampled_from(
        ("/v1/stats", "/v1/stats/A", "/v1/candles/A", "/v1/latency", "/v1/workers", "/v1/trades", "/v1/stats/{}", "/{}")
    ),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=10)), max_size=4),
    st.text(max_size=10),
)
def test_whatever_is_asked_is_answered_or_refused_with_a_reason(
    gateway: Gateway, path: str, parameters: list[tuple[str, str]], text: str
) -> None:
    encodable = [pair for pair in parameters if _encodable(pair[1])]
    place = path.format(path_of(text) if _encodable(text) else "x")
    response = gateway.request("GET", place, params=encodable)
    assert response.status_code in (200, 404, 422)


def _encodable(text: str) -> bool:
    return not any(0xD800 <= ord(character) < 0xE000 for character in text)
