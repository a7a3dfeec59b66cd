"""Processes are killed and stopped at random while a client replays a file: every trade counts once, all figures exact.

A run is a function of its seed as far as processes allow; TELEMETRY_TEST_SEED=… runs it again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Context, Decimal, Inexact, localcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.desk import PATIENCE_SECONDS, TELEMETRY, Desk, Process, until

REDISPATCH_SECONDS = 1.0
HELD_SECONDS = 1.0
WORKERS = 2
SYMBOLS = ("BTC-USDT", "ETH-USDT", "EURUSD", "CL")


def seeded() -> random.Random:
    seed = int(os.environ.get("TELEMETRY_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"TELEMETRY_TEST_SEED={seed}")
    return random.Random(seed)


def some_trades(rng: random.Random, count: int, seconds: float) -> list[dict[str, Any]]:
    """So many trades within so many seconds."""
    spacing_ns = int(seconds * 1e9) // count
    return [
        {
            "symbol": rng.choice(SYMBOLS),
            "side": rng.choice(("buy", "sell", "unknown")),
            "quantity": str(Decimal(rng.randrange(1, 10**9)).scaleb(-rng.randrange(10))),
            "price": str(Decimal(rng.randrange(-(10**6), 10**8)).scaleb(-rng.randrange(6))),
            "timestamp": 1_700_000_000_000_000_000 + number * spacing_ns,
        }
        for number in range(count)
    ]


def reference(trades: list[dict[str, Any]]) -> dict[str, tuple[int, Decimal, Decimal]]:
    """Trades, quantity and notional per symbol, exactly."""
    sums: dict[str, tuple[int, Decimal, Decimal]] = {}
    with localcontext(Context(prec=100, traps=[Inexact])):
        for one in trades:
            quantity, price = Decimal(one["quantity"]), Decimal(one["price"])
            count, total, money = sums.get(one["symbol"], (0, Decimal(0), Decimal(0)))
            sums[one["symbol"]] = count + 1, total + quantity, money + quantity * price
    return sums


class Chaos:
    """Hits the children of a supervisor; `recoveries` are the seconds from the death of a worker that held leases
    until all was applied that was durable when it died."""

    def __init__(self, desk: Desk, supervisor: Process, rng: random.Random) -> None:
        self.recoveries: list[float] = []
        self.hits: dict[str, int] = {}
        self._desk, self._supervisor, self._rng = desk, supervisor, rng

    def children(self, service: str) -> list[int]:
        """The pids of a service."""
        pid = self._supervisor.pid
        found = []
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
            with suppress(OSError):
                if service.encode() in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                    found.append(int(child))
        return sorted(found)

    def hit(self) -> None:
        """One blow; most find everything at work, some fall while a service starts."""
        if self._rng.random() < 0.75:
            until(lambda: len(self._usable()) == len(self.children("worker")) == WORKERS, "all are at work")
        time.sleep(self._rng.uniform(0.0, 0.5))  # sleeps: blows fall at any time
        weights = {
            self.kill_worker: 4,
            self.kill_worker_with_leases: 6,
            self.kill_gateway: 3,
            self.stop_worker: 2,
            self.kill_worker_and_gateway: 1,
        }
        (blow,) = self._rng.choices(list(weights), list(weights.values()))
        self.hits[blow.__name__] = self.hits.get(blow.__name__, 0) + 1
        blow()

    @property
    def kills(self) -> int:
        """SIGKILLs so far."""
        names = {"kill_worker": 1, "kill_worker_with_leases": 1, "kill_gateway": 1, "kill_worker_and_gateway": 2}
        return sum(self.hits.get(name, 0) * count for name, count in names.items())

    def kill_worker(self) -> None:
        """SIGKILL."""
        _kill(self._rng.choice(until(lambda: self.children("worker"), "there is a worker")), signal.SIGKILL)

    def kill_worker_with_leases(self) -> None:
        """SIGKILL of a worker that holds work, and how long until another has done it, where there is another."""
        usable = self._usable()
        if len(usable) < WORKERS:
            return self.kill_worker()
        victim = self._rng.choice(sorted(usable))
        _kill(victim, signal.SIGSTOP)  # so that it does not return what it gets
        deadline = time.monotonic() + HELD_SECONDS
        while not (held := self._usable().get(victim, 0)) and time.monotonic() < deadline:
            pass
        durable = self._desk.freshness().get("durable_seq", 0)
        _kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        if held:
            until(lambda: self._desk.applied() >= durable, "what was durable is applied")
            self.recoveries.append(time.monotonic() - killed)
        return None

    def kill_gateway(self) -> None:
        """SIGKILL, and wait until another one answers."""
        (gateway,) = until(lambda: self.children("gateway"), "there is a gateway")
        _kill(gateway, signal.SIGKILL)
        until(lambda: self.children("gateway") not in ([], [gateway]), "another gateway is started")
        if self._rng.random() < 0.7:  # else the next blow may meet it while it starts
            until(self._desk.freshness, "another gateway answers")

    def stop_worker(self) -> None:
        """SIGSTOP for longer than the heartbeats allow, or just short of it."""
        victim = self._rng.choice(until(lambda: self.children("worker"), "there is a worker"))
        _kill(victim, signal.SIGSTOP)
        time.sleep(self._rng.uniform(0.5, 2.5))  # sleeps: this is how long it hangs
        _kill(victim, signal.SIGCONT)

    def kill_worker_and_gateway(self) -> None:
        """Both at once."""
        for service in ("worker", "gateway"):
            for pid in self.children(service)[:1]:
                _kill(pid, signal.SIGKILL)
        until(self._desk.freshness, "another gateway answers")

    def _usable(self) -> dict[int, int]:
        """Leases held, by the pid of each worker that the gateway knows; none when there is no gateway."""
        with suppress(httpx.TransportError):
            workers = self._desk.get("/v1/workers").body["workers"]
            return {worker["pid"]: worker["outstanding"] for worker in workers if worker["version_ok"]}
        return {}


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def wreak(directory: Path, *, trades: int, seconds: float, hits: int) -> Chaos:
    """Replay so many trades while so many blows fall; afterwards all must be as if nothing had happened."""
    rng = seeded()
    sent = some_trades(rng, trades, seconds)
    file = directory / "trades.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in sent), "utf-8")
    with Desk(directory) as desk:
        supervisor = desk.start(*TELEMETRY, "up", "--no-ui", "--workers", str(WORKERS), name="up", snapshot_seconds=1)
        ready: Callable[[], bool] = lambda: bool(desk.freshness()) and desk.get("/readyz").status == 200  # noqa: E731
        until(ready, "everything is ready")
        replay = desk.start(*TELEMETRY, "replay", str(file), "--speed", "1", "--json", name="replay")
        chaos = Chaos(desk, supervisor, rng)
        until(lambda: desk.applied() > 0, "the replay has begun")
        while sum(chaos.hits.values()) < hits and replay.code is None:
            chaos.hit()
        print(chaos.hits)
        assert replay.wait(PATIENCE_SECONDS + seconds) == 0
        summary = json.loads(replay.log.read_text("utf-8").splitlines()[-1])
        assert (summary["accepted"], summary["duplicates"], summary["refused"]) == (trades, 0, 0)
        desk.until_applied(trades)
        rows = desk.stats()["symbols"]
        shown = {
            name: (row["trades"], Decimal(row["quantity"]), Decimal(row["notional"])) for name, row in rows.items()
        }
        assert shown == reference(sent)
        assert desk.audit().trades == trades
        assert supervisor.drain() == 0
    return chaos


def test_kills_during_a_replay_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    chaos = wreak(tmp_path, trades=18_000, seconds=18.0, hits=12)
    assert sum(chaos.hits.values()) >= 6  # 12, unless the machine is busy
    print([round(seconds, 3) for seconds in chaos.recoveries])


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_kills_during_a_replay_of_a_hundred_thousand_trades(tmp_path: Path) -> None:
    chaos = wreak(tmp_path, trades=100_000, seconds=330.0, hits=130)
    print(f"{chaos.kills} SIGKILLs: {chaos.hits}")
    assert chaos.kills >= 100
    ordered = sorted(chaos.recoveries)
    print(f"{len(ordered)} worker kills: median {statistics.median(ordered):.3f} s, worst {ordered[-1]:.3f} s")
    assert ordered[int(len(ordered) * 0.99) - 1] <= REDISPATCH_SECONDS
