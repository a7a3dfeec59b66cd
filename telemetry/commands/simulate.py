"""Sending a simulated market's trades as they happen; the loop around the pure `telemetry.simulator`."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from telemetry.commands.reading import connect
from telemetry.environ import Settings, read_settings
from telemetry.errors import InvalidInput, TryAgain
from telemetry.replay import Door
from telemetry.simulator import Market
from telemetry.supervisor import wait_supervisor_gone

STEP_NS = 100_000_000
# A minute of trades waits while the gateway is away. When it is full the market stands still: nothing made is dropped.
WAITING_STEPS = 600
RETRY_SECONDS = 0.5
LAST_SECONDS = 2.0  # at the end, for what still waits


class Feeder:
    """Makes the trades of each step that has passed and sends them in order, each body under its own key."""

    def __init__(self, market: Market, door: Door, run: str, *, notice: Callable[[str], None], start: int) -> None:
        self.sent = 0
        self.refused = 0
        self.paused_ns = 0
        self._market = market
        self._door = door
        self._run = run
        self._notice = notice
        self._at = start
        self._waiting: deque[list[dict[str, Any]]] = deque()
        self._body: bytes | None = None
        self._number = 0

    @property
    def waiting(self) -> int:
        """Steps that are made and not acknowledged."""
        return len(self._waiting)

    def make(self, now: int) -> None:
        """Make what has happened until `now` (UTC ns)."""
        while self._at + STEP_NS <= now:
            if len(self._waiting) >= WAITING_STEPS:
                missed = (now - self._at) // STEP_NS * STEP_NS
                self.paused_ns += missed
                self._at += missed
                return
            trades = self._market.between(self._at, self._at + STEP_NS, self._run)
            self._at += STEP_NS
            if trades:
                self._waiting.append(trades)

    def send(self, now: Callable[[], int] = time.time_ns) -> None:
        """Send all that waits; raises TryAgain with the rest still waiting and the body at hand kept as it is."""
        while self._waiting:
            trades = self._waiting[0]
            if self._body is None:
                sent_at = now()
                self._body = msgspec.json.encode([{**trade, "sent_at": sent_at} for trade in trades])
            try:
                self._door.post_trades(self._body, f"{self._run}-{self._number}")
                self.sent += len(trades)
            except InvalidInput as error:
                self.refused += len(trades)
                self._notice(f"refused {len(trades)} trades: {error.detail} {error.errors[:1] or ''}")
            self._waiting.popleft()
            self._body = None
            self._number += 1


def run(rate: float, seed: int | None, *, seconds: float | None, url: str | None) -> int:
    """Feed the gateway until a signal, the supervisor's end or `seconds` have passed; the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _watch_supervisor(stop)
    seed = secrets.randbits(32) if seed is None else seed
    name = f"sim-{secrets.token_hex(4)}"  # trade ids of two runs never meet, also with one seed
    _say(f"simulating {rate:g} trades/s, seed {seed}")
    with connect(url) as door:
        feeder = Feeder(Market(seed, rate), door, name, notice=_say, start=time.time_ns())
        _feed(feeder, stop, None if seconds is None else time.monotonic() + seconds)
        ended = time.monotonic() + LAST_SECONDS
        while _sent(feeder) > 0 and time.monotonic() < ended:
            time.sleep(0.1)
    _say(
        f"sent {feeder.sent} refused {feeder.refused} unsent steps {feeder.waiting} paused {feeder.paused_ns / 1e9:g} s"
    )
    return 1 if feeder.refused or feeder.waiting else 0


def _feed(feeder: Feeder, stop: threading.Event, until: float | None) -> None:
    wait = 0.0
    while not stop.wait(wait) and (until is None or time.monotonic() < until):
        feeder.make(time.time_ns())
        wait = _sent(feeder) or STEP_NS / 1e9


def _sent(feeder: Feeder) -> float:
    """Send; the seconds to wait before trying again, 0 when all is sent."""
    try:
        feeder.send()
    except TryAgain as error:
        _say(f"{error.detail}; {feeder.waiting} steps wait")
        return error.retry_after or RETRY_SECONDS
    return 0.0


def _watch_supervisor(stop: threading.Event) -> None:
    descriptor = read_settings(Settings).supervisor_fd
    if descriptor is None:
        return

    def watch() -> None:
        wait_supervisor_gone(descriptor)
        stop.set()

    threading.Thread(target=watch, daemon=True).start()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
