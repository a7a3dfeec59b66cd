"""The simulated market: a function of its seed, valid to the last digit, lively; its sender loses nothing silently."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from telemetry.client import Gateway
from telemetry.commands.simulate import STEP_NS, WAITING_STEPS, Feeder
from telemetry.errors import TryAgain
from telemetry.simulator import INSTRUMENTS, Market, steps
from telemetry.trade import parse_trade
from tests.telemetry.scripted_gateway import Request, accept, hang_up, problem, scripted_gateway

START = 1_790_000_000 * 10**9
SOON = {"Retry-After": "0.01"}


def trades_of(seed: int, seconds: float = 60, rate: float = 200.0) -> list[dict[str, Any]]:
    market = Market(seed, rate)
    ranges = itertools.islice(steps(START, 0.1), int(seconds * 10))
    return [trade for start, end in ranges for trade in market.between(start, end, "run")]


def test_the_same_seed_gives_the_same_market_and_another_seed_another_one() -> None:
    assert trades_of(7, 5) == trades_of(7, 5)
    assert trades_of(7, 5) != trades_of(8, 5)


def test_every_trade_obeys_the_rules_of_the_interface() -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    trades = trades_of(seed)
    for trade in trades:
        parse_trade(trade, START)
        for name in ("price", "quantity"):
            value = Decimal(trade[name])
            assert value > 0
            assert value.adjusted() < 18
            assert len(value.normalize().as_tuple().digits) <= 18
            assert -int(value.normalize().as_tuple().exponent) <= 18
        assert trade["side"] in ("buy", "sell")
        assert len(trade["trade_id"]) <= 64
        assert (trade["kind"] == "fill") == ("account" in trade) == ("order_id" in trade)
    assert len({trade["trade_id"] for trade in trades}) == len(trades)
    assert [trade["source_seq"] for trade in trades] == list(range(1, len(trades) + 1))
    multipliers = {(trade["venue"], trade["symbol"], trade.get("multiplier")) for trade in trades}
    assert len(multipliers) == len({(venue, symbol) for venue, symbol, _ in multipliers})


def test_times_rise_within_each_step() -> None:
    times = [trade["timestamp"] for trade in trades_of(3)]
    assert times == sorted(times)
    assert START <= times[0] < times[-1] < START + 60 * 10**9


def test_the_market_is_lively() -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    trades = trades_of(seed, 300)
    assert 100 < len(trades) / 300 < 320
    assert {trade["symbol"] for trade in trades} == {instrument.symbol for instrument in INSTRUMENTS}
    per_second = Counter(trade["timestamp"] // 10**9 for trade in trades)
    counts = [per_second[second] for second in range(START // 10**9, START // 10**9 + 300)]
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert variance > 1.5 * mean  # a Poisson process, without bursts, has variance = mean
    kinds = Counter(trade["kind"] for trade in trades)
    assert 0.03 < kinds["fill"] / len(trades) < 0.1


def test_futures_trade_on_their_tick_and_small_coins_have_small_prices_and_large_quantities() -> None:
    trades = trades_of(5)
    assert all(Decimal(trade["price"]) % Decimal("0.25") == 0 for trade in trades if trade["symbol"] == "ESZ6")
    pepe = [trade for trade in trades if trade["symbol"] == "PEPE-USDT"]
    assert all(Decimal(trade["price"]) < Decimal("1e-7") for trade in pepe)
    assert max(Decimal(trade["quantity"]) for trade in pepe) > 10**11


def feeder(door: Gateway, said: list[str]) -> Feeder:
    return Feeder(Market(1), door, "run", notice=said.append, start=START)


def test_trades_wait_while_the_gateway_is_away_and_go_in_order_with_the_same_key_and_bytes() -> None:
    with scripted_gateway(problem(503, SOON), hang_up) as gateway, Gateway(gateway.url) as door:
        feed = feeder(door, [])
        feed.make(START + 10 * STEP_NS)
        for _ in range(2):
            with pytest.raises(TryAgain):
                feed.send()
        feed.make(START + 20 * STEP_NS)
        feed.send()
    assert len({(request.key, request.body) for request in gateway.requests[:3]}) == 1
    assert [trade["source_seq"] for trade in gateway.kept] == list(range(1, feed.sent + 1))
    assert (feed.waiting, feed.refused, feed.paused_ns) == (0, 0, 0)
    assert all(trade["sent_at"] > 0 for trade in gateway.kept)


def test_the_market_stands_still_when_too_much_waits_and_says_how_long() -> None:
    with scripted_gateway() as gateway, Gateway(gateway.url) as door:
        feed = feeder(door, [])
        feed.make(START + 10 * WAITING_STEPS * STEP_NS)
        assert feed.waiting == WAITING_STEPS
        assert feed.paused_ns > 0
        feed.send()
    assert [trade["source_seq"] for trade in gateway.kept] == list(range(1, feed.sent + 1))


def test_what_the_gateway_refuses_is_said_and_the_next_step_is_sent() -> None:
    said: list[str] = []
    with scripted_gateway(problem(422, errors=[])) as gateway, Gateway(gateway.url) as door:
        feed = feeder(door, said)
        feed.make(START + 3 * STEP_NS)
        feed.send()
    assert feed.refused > 0
    assert feed.sent > 0
    assert len(said) == 1


def test_the_command_sends_until_it_is_asked_to_stop_and_exits_0() -> None:
    arrived = threading.Event()

    def count(request: Request) -> Any:
        if len(gateway.requests) >= 5:
            arrived.set()
        return accept(request)

    with scripted_gateway(*[count] * 100) as gateway:
        command = [sys.executable, "-m", "telemetry", "simulate", "--url", gateway.url, "--rate", "500", "--seed", "4"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert arrived.wait(30)
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate(timeout=10)
            finally:
                process.kill()
        assert (process.returncode, "refused 0 unsent steps 0" in errors) == (0, True)
        numbers = [trade["source_seq"] for request in gateway.requests for trade in json.loads(request.body)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_command_stops_when_its_supervisor_is_gone() -> None:
    reading, writing = os.pipe()
    with scripted_gateway() as gateway:
        command = [sys.executable, "-m", "telemetry", "simulate", "--url", gateway.url]
        environment = {**os.environ, "TELEMETRY_SUPERVISOR_FD": str(reading)}
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, pass_fds=[reading]) as process:
            os.close(reading)
            os.close(writing)
            try:
                assert process.wait(15) == 0
            finally:
                process.kill()
