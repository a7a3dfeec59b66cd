"""/metrics: promtool and a real Prometheus read it, labels stay bounded, and counters never go back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.desk import until
from tests.gateway.conftest import Gateway, started
from tests.gateway.test_ingest import TIME, trade
from tests.ports import free_port

Samples = dict[str, float]
FAMILIES = (
    "trades_total", "quantity_total", "notional_total", "quantity_mean", "quantity_std", "quantity_max", "vwap",
    "price_last", "trades_per_second", "stage_latency_seconds", "durable_seq", "applied_seq", "backlog_trades",
    "workers", "redelivered_total", "partials_dropped_total", "refused_total", "quarantined_total", "stream_clients",
    "stream_skipped_total", "build_info",
)  # fmt: skip
SERIES_LIMIT = 1700  # 15 for each of 100 symbols, 9 of the others, the histogram of seven stages
# Of what was accepted: these survive everything. The others count what this process has seen.
OF_TRADES = ("telemetry_trades_total", "telemetry_quantity_total", "telemetry_notional_total")


def samples(page: str) -> Samples:
    """Value by series."""
    lines = [line for line in page.splitlines() if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def scrape(gateway: Gateway) -> Samples:
    return samples(gateway.http.get("/metrics").text)


def of(found: Samples, family: str, **labels: str) -> float:
    wanted = sorted(f'{name}="{value}"' for name, value in labels.items())
    for series, value in found.items():
        name, _, rest = series.partition("{")
        if name == f"telemetry_{family}" and sorted(filter(None, rest.rstrip("}").split(","))) == wanted:
            return value
    raise AssertionError(f"no {family} {labels}")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway and a worker that only these tests use."""
    with started(tmp_path_factory.mktemp("metrics"), snapshot_seconds=0.2) as gateway:
        yield gateway


def test_promtool_finds_nothing_wrong(gateway: Gateway, symbol: str, promtool: str) -> None:
    gateway.post([trade(symbol, side=side, price=price) for side in ("buy", "sell") for price in (1, -2)])
    gateway.post(trade('quote"back\\slash'))
    gateway.post(b"{", 400)
    response = gateway.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    done = subprocess.run([promtool, "check", "metrics"], input=response.content, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for family in FAMILIES:
        assert f"# TYPE telemetry_{family} " in response.text, family
    assert "_created" not in response.text


def test_each_family_says_what_was_traded(own: Gateway) -> None:
    gateway = own
    gateway.post(
        [
            trade("A", side="buy", quantity="1.5", price="-10", multiplier=2, timestamp=TIME),
            trade("A", side="buy", quantity="0.5", price="30", multiplier=2, timestamp=TIME),
            trade("A", quantity="1", price="20", multiplier=2, timestamp=TIME),
        ]
    )
    found = scrape(gateway)
    assert of(found, "trades_total", symbol="A", side="buy") == 2
    assert of(found, "trades_total", symbol="A", side="sell") == 0
    assert of(found, "quantity_total", symbol="A", side="buy") == 2
    assert of(found, "notional_total", symbol="A", side="buy") == 1.5 * 10 * 2 + 0.5 * 30 * 2, "gross: |price|"
    assert of(found, "notional_total", symbol="A", side="unknown") == 40
    row = gateway.row("A")
    for family in ("quantity_mean", "quantity_std", "vwap"):
        assert of(found, family, symbol="A") == row[family]
    assert of(found, "quantity_max", symbol="A") == 1.5
    assert of(found, "price_last", symbol="A") == 20
    assert of(found, "trades_per_second", symbol="A") == 3 / 60
    durable = gateway.durable()
    assert (of(found, "durable_seq"), of(found, "applied_seq"), of(found, "backlog_trades")) == (durable, durable, 0)
    assert (of(found, "workers"), of(found, "quarantined_total")) == (1, 0)
    assert of(found, "stage_latency_seconds_count", stage="end_to_end") >= 3
    assert 0 < of(found, "stage_latency_seconds_sum", stage="end_to_end") < 30, "in seconds"


def test_two_currencies_add_up_in_the_counters_and_have_no_price(own: Gateway) -> None:
    gateway = own
    gateway.post([trade("two", currency="USD"), trade("two", currency="EUR")])
    found = scrape(gateway)
    assert of(found, "trades_total", symbol="two", side="unknown") == 2
    assert of(found, "quantity_max", symbol="two") == 1.5
    for family in ("vwap", "price_last"):
        assert f'telemetry_{family}{{symbol="two"}}' not in found


def test_counters_do_not_go_back_while_workers_and_the_gateway_are_killed(own: Gateway) -> None:
    desk, gateway = own.desk, own
    highest: Samples = {}
    before = gateway.durable()

    def look() -> Samples:
        found = scrape(gateway)
        for series, value in found.items():
            if series.startswith(OF_TRADES):
                assert value >= highest.get(series, 0), series
                highest[series] = value
        return found

    for number in range(16):
        gateway.post([trade(f"S{number % 3}", side="buy", price=-number, quantity=f"0.{number + 1}")] * 20, query="")
        look()
        if number == 5:
            desk.workers[-1].kill()
            look()
            desk.start_worker()
    desk.until_applied()
    desk.workers[-1].kill()
    gateway.post([trade("S0")] * 5, query="")
    assert desk.gateway is not None
    desk.gateway.kill()
    desk.start_gateway()
    behind = look()
    assert not any(series.startswith(OF_TRADES) for series in behind), "counters that begin at 0 would go back"
    assert 5 <= of(behind, "backlog_trades") == of(behind, "durable_seq") - of(behind, "applied_seq")
    desk.start_worker()
    desk.until_applied(before + 16 * 20 + 5)
    look()
    found = sum(value for series, value in highest.items() if series.startswith("telemetry_trades_total"))
    assert found == before + 16 * 20 + 5


def test_the_first_hundred_symbols_are_labels_and_the_rest_are_other_also_after_a_restart(
    own: Gateway,
) -> None:
    desk, gateway = own.desk, own
    names = [f"S{number:05}" for number in range(20_000)]
    room = 100 - len({series for series in scrape(gateway) if series.startswith("telemetry_quantity_mean")})
    lines = [json.dumps(trade(name, side="sell", price=-1)) for name in names]
    gateway.post("\n".join(lines).encode(), kind="application/x-ndjson")
    gateway.post([trade("__other__", side="sell"), *(trade(names[-1], side="sell") for _ in range(500))])
    before = scrape(gateway)
    labels = {series for series in before if series.startswith("telemetry_trades_total")}
    assert len(labels) == 3 * 101
    assert of(before, "trades_total", symbol=names[room - 1], side="sell") == 1
    assert f'telemetry_quantity_mean{{symbol="{names[room]}"}}' not in before
    others = 20_000 - room
    assert of(before, "trades_total", symbol="__other__", side="sell") == others + 501
    assert of(before, "quantity_total", symbol="__other__", side="sell") == 1.5 * (others + 501)
    assert of(before, "notional_total", symbol="__other__", side="sell") == 1.5 * (others + 501 * 100.25)
    assert len([series for series in before if series.startswith("telemetry_")]) <= SERIES_LIMIT
    assert desk.gateway is not None
    assert desk.gateway.drain() == 0
    desk.start_gateway()
    until(lambda: gateway.get("/v1/freshness")["caught_up"], "everything is applied again")
    after = scrape(gateway)
    assert {series for series in after if series.startswith(OF_TRADES)} == {
        series for series in before if series.startswith(OF_TRADES)
    }
    assert all(after[series] == before[series] for series in after if series.startswith(OF_TRADES))


def test_the_symbols_that_were_asked_for_are_the_labels(tmp_path: Path) -> None:
    with started(tmp_path, metric_symbols="B/C, never") as gateway:
        gateway.post([trade("A"), trade("B/C"), trade("D")])
        found = scrape(gateway)
        assert of(found, "trades_total", symbol="B/C", side="unknown") == 1
        assert of(found, "trades_total", symbol="__other__", side="unknown") == 2
        assert not any('"A"' in series or '"never"' in series for series in found)


def test_the_patterns_of_the_symbols_that_were_asked_for_are_those_of_the_route(tmp_path: Path) -> None:
    start = time.time_ns() // 10**9 * 10**9 - 2 * 10**9 + 7_000_000
    sent = [trade("B/C", timestamp=start + 100_000 * (number % 5) + 10**9 * (number // 100)) for number in range(200)]
    with started(tmp_path, metric_symbols="B/C, never") as gateway:
        gateway.post(sent)
        found, shown = scrape(gateway), gateway.get("/v1/patterns/B/C", window="1m")
        assert of(found, "microburst_trades", symbol="B/C") == shown["microburst"] == 100
        assert of(found, "burst_ratio", symbol="B/C") == shown["burst_ratio"] == 1000
        middle = of(found, "interarrival_seconds", symbol="B/C", quantile="0.5")
        assert middle == shown["interarrival_p50"] > 0
        assert not any("realised_volatility{" in series for series in found), "undefined within one minute"


@pytest.mark.long
def test_a_page_of_a_hundred_symbols_and_a_hundred_thousand_atoms_takes_less_than_a_tenth_of_a_second(
    own: Gateway,
) -> None:
    gateway = own
    for batch in range(4):
        lines = [
            json.dumps(trade(f"S{number % 100}", timestamp=(1_790_000_000 + batch * 250 + number // 100) * 10**9))
            for number in range(25_000)
        ]
        gateway.post("\n".join(lines).encode(), kind="application/x-ndjson")
    assert of(scrape(gateway), "atoms") >= 100_000
    seconds = []
    for _ in range(11):
        began = time.perf_counter()
        scrape(gateway)
        seconds.append(time.perf_counter() - began)
    print(f"median {sorted(seconds)[5]:.3f} s, max {max(seconds):.3f} s")
    assert sorted(seconds)[5] < 0.1


def test_a_real_prometheus_scrapes_it_and_answers_a_query(
    gateway: Gateway, symbol: str, prometheus: str, tmp_path: Path
) -> None:
    gateway.post([trade(symbol, side="buy", quantity=2)] * 3)
    labels = [series for series in scrape(gateway) if series.startswith("telemetry_trades_total")]
    assert labels
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "t", "static_configs": [{"targets": [f"127.0.0.1:{gateway.port}"]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                prometheus,
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            up = until(lambda: query(client, 'up{job="t"} == 1'), "Prometheus has scraped it")
            assert len(up) == 1
            total = sum(value for series, value in scrape(gateway).items() if series in labels)
            found = until(lambda: query(client, "sum(telemetry_trades_total)"), "Prometheus has the trades")
            assert float(found[0]["value"][1]) == total
            (bucket,) = query(
                client, 'histogram_quantile(0.99, telemetry_stage_latency_seconds_bucket{stage="journal"})'
            )
            assert 0 < float(bucket["value"][1]) <= 10
            metadata = client.get("/api/v1/metadata").json()["data"]
            assert metadata["telemetry_trades_total"][0]["type"] == "counter"
    finally:
        process.terminate()
        process.wait(20)


def query(client: httpx.Client, expression: str) -> list[dict[str, Any]]:
    try:
        answer = client.get("/api/v1/query", params={"query": expression})
    except httpx.TransportError:
        return []
    result: list[dict[str, Any]] = answer.json()["data"]["result"] if answer.status_code == 200 else []
    return result
