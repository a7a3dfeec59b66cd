"""Commands that read from the gateway: the table of statistics and the live stream."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import stamina
import stamina.instrumentation
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from telemetry.client import Gateway
from telemetry.environ import Reaching, read_settings
from telemetry.errors import InvalidInput, TryAgain

WATCH_SECONDS = 1.0
EVENTS = ("trades", "alerts")
SEVERITIES = ("critical", "warning", "info")
ALERTS = 10_000  # the most of one answer
# A stream that ended is opened again: waits of 0.1 s doubling to 5 s, given up after five minutes without one frame.
REOPEN_SECONDS = 300.0
COLUMNS = (
    ("symbol", "symbol"),
    ("trades", "trades"),
    ("quantity", "quantity"),
    ("VWAP", "vwap"),
    ("last", "price_last"),
    ("notional", "notional"),
    ("high", "price_high"),
    ("low", "price_low"),
    ("imbalance", "imbalance"),
    ("trades/s", "trades_per_second"),
)
# A terminal of fewer columns shows the first six figures: a number broken over two lines is misread.
WIDE, FIRST_FIGURES = 120, 6
PIPE_WIDTH = 1000  # nobody wraps a pipe; tables are as wide as what is in them


def connect(url: str | None) -> Gateway:
    """The gateway that options and environment name."""
    settings = read_settings(Reaching, url=url)
    return Gateway(settings.url, settings.api_key.get_secret_value() if settings.api_key else None)


def _until_interrupted(endless: bool) -> contextlib.AbstractContextManager[None]:
    """For what has no other end, Ctrl-C is the ordinary one."""
    return contextlib.suppress(KeyboardInterrupt) if endless else contextlib.nullcontext()


def stats(symbol: str | None, window: str, *, watch: bool, url: str | None, as_json: bool) -> None:
    """Print the statistics once, or each second until interrupted."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    columns = COLUMNS if console.width >= WIDE else COLUMNS[:FIRST_FIGURES]
    with connect(url) as gateway, _until_interrupted(watch):
        if as_json:
            for document in _repeated(gateway, symbol, window, watch=watch):
                print(json.dumps(document, indent=None if watch else 2), flush=True)
            return
        tables = (_shown(document, symbol, columns) for document in _repeated(gateway, symbol, window, watch=watch))
        if not watch or not console.is_terminal:
            for table in tables:
                console.print(table)
            return
        with Live(console=console, screen=True, auto_refresh=False) as live:
            for table in tables:
                live.update(table, refresh=True)


def _repeated(gateway: Gateway, symbol: str | None, window: str, *, watch: bool) -> Iterator[dict[str, Any]]:
    yield _answer(gateway, symbol, window)
    while watch:
        time.sleep(WATCH_SECONDS)
        try:
            yield _answer(gateway, symbol, window)
        except TryAgain as error:
            print(f"telemetry: {error.detail}; trying again", file=sys.stderr, flush=True)


def _answer(gateway: Gateway, symbol: str | None, window: str) -> dict[str, Any]:
    """The statistics, and of the whole desk: open alerts by severity, silent streams by kind. The three are read one
    after another; `as_of_seq` is that of the statistics."""
    document = gateway.stats(symbol, window)
    alerts = Counter(
        alert["severity"] for alert in gateway.get("/v1/alerts", {"state": "open", "limit": ALERTS})["alerts"]
    )
    streams = gateway.get("/v1/freshness", {"state": "silent", "limit": 1})["counts"]  # of all, whatever the limit
    return document | {
        "open_alerts": {severity: alerts[severity] for severity in SEVERITIES},
        "silent_streams": {kind: counts["silent"] for kind, counts in streams.items()},
    }


def _shown(document: Mapping[str, Any], symbol: str | None, columns: Sequence[tuple[str, str]]) -> Group:
    figures = {name: value for name, value in document.items() if name not in ("open_alerts", "silent_streams")}
    alerts, streams = (document[name] for name in ("open_alerts", "silent_streams"))
    line = f"open alerts: {_counts(alerts)}; silent streams: {_counts(streams)}"
    return Group(
        _table(figures, symbol, columns), Text(line, style="bold" if any((*alerts.values(), *streams.values())) else "")
    )


def _counts(of: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in of.items() if count) or "none"


def _table(document: Mapping[str, Any], symbol: str | None, columns: Sequence[tuple[str, str]]) -> Table:
    title = f"window {document.get('window')}, as of seq {document.get('as_of_seq')}"
    if symbol is not None:
        table = Table("figure", "value", title=f"{escape(symbol)}, {title}")
        for name, value in document.items():
            table.add_row(escape(name), cell(value))
        return table
    table = Table(title=title)
    for heading, name in columns:
        table.add_column(heading, justify="left" if name == "symbol" else "right", no_wrap=name == "symbol")
    symbols = document.get("symbols") or {}
    for name in document.get("order") or sorted(symbols):
        row = {"symbol": name, **symbols[name]}
        table.add_row(*(cell(row.get(column)) for _, column in columns))
    table.add_section()
    totals = {"symbol": "all", **(document.get("totals") or {})}
    table.add_row(*(cell(totals.get(column)) for _, column in columns))
    if document.get("next"):
        table.caption = "more symbols than are shown"
    return table


def cell(value: Any) -> str:
    """A figure for people; exact decimals stay as they are."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return "\n".join(f"{amount} {currency}".strip() for currency, amount in sorted(value.items())) or "0"
    return escape(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))


def tail(topic: str, wanted: Mapping[str, Any], *, count: int | None, url: str | None) -> None:
    """Print what arrives, one JSON document per line, until `count` lines or an interruption."""
    stamina.instrumentation.set_on_retry_hooks(())
    subscription = {"id": "tail", "topic": topic, **{name: value for name, value in wanted.items() if value}}
    with connect(url) as gateway, _until_interrupted(True):
        follower = Follower(gateway, subscription)
        for number, document in enumerate(follower.documents(), 1):
            print(json.dumps(document, ensure_ascii=False), flush=True)
            if number == count:
                return


class Follower:
    """One subscription that survives the gateway's restarts: an event topic resumes after the last seq seen."""

    def __init__(self, gateway: Gateway, subscription: dict[str, Any]) -> None:
        self._gateway = gateway
        self._subscription = subscription
        self._events = subscription["topic"] in EVENTS

    def documents(self) -> Iterator[dict[str, Any]]:
        """The trades or alerts one by one; of other topics whole frames. Gaps go to standard error."""
        while True:
            frames = self._open()
            try:
                for frame in frames:
                    yield from self._of(frame)
            except TryAgain as error:
                self._again(error)
            finally:
                frames.close()

    def _open(self) -> Generator[dict[str, Any], None, None]:
        """The stream, once its first frame is there."""
        for attempt in stamina.retry_context(on=self._again, attempts=None, timeout=REOPEN_SECONDS):
            with attempt:
                frames = self._gateway.stream(self._subscription)
                first = next(frames)
                return _after(first, frames)
        raise AssertionError("stamina raises the last error instead of ending its loop")

    def _of(self, frame: dict[str, Any]) -> Iterator[dict[str, Any]]:
        kind = frame.get("type")
        if kind == "error":
            raise InvalidInput(f"the stream answered: {frame.get('detail') or frame.get('data')}")
        if kind not in ("snapshot", "update", "gap"):
            return
        if self._events and isinstance(seq := frame.get("seq"), int):
            self._subscription["from_seq"] = seq + 1
        if kind == "gap":
            print(json.dumps(frame), file=sys.stderr, flush=True)
            return
        data = frame.get("data")
        if self._events and isinstance(data, list):
            yield from data
        elif data:
            yield frame

    def _again(self, error: Exception) -> bool:
        if not isinstance(error, TryAgain):
            return False
        print(f"telemetry: {error.detail}; trying again", file=sys.stderr, flush=True)
        return True


def _after(first: dict[str, Any], rest: Generator[dict[str, Any], None, None]) -> Generator[dict[str, Any], None, None]:
    yield first
    yield from rest
