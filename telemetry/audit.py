"""`telemetry audit`: do the figures equal a recompute of the journal?

The journal is read as it lies on disk, without its lock and without changing it, while a gateway may go on writing.
Compared are the figures of the gateway at the given address when it serves this very journal, otherwise those of the
saved snapshot: each as of the trade number that it states itself. Quarantined trades are left out, as it says of them.
Counts, sums, prices and times must be equal to the last digit, ratios to 1e-12 of themselves.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from telemetry.backbone import reading
from telemetry.backbone.segments import public_name
from telemetry.client import Gateway
from telemetry.columns import Columns
from telemetry.comparing import Difference, differences
from telemetry.errors import InvalidInput, TryAgain
from telemetry.recompute import Recompute
from telemetry.recompute_losses import RecomputeLosses
from telemetry.recompute_orders import RecomputeOrders
from telemetry.recompute_patterns import Held, RecomputePatterns
from telemetry.times import parse_time

PAGE_SYMBOLS = 10_000  # of one answer: a fraction of a second of the gateway's time
ATTEMPTS = 50  # to read all pages as of one trade while trades go on coming
CANDLE_SYMBOLS, CANDLES = 5, 10_000
SECOND_NS = 1_000_000_000
SOURCES = 10_000  # more than are kept
PATTERN_WINDOWS = ("1m", "1h", "1d", "all")
BASIC = "TELEMETRY_STATISTICS"  # what the answer names when only basic statistics are kept
SHOWN = 50  # differences in the table; --json has all
SAY_SECONDS = 5.0


@dataclass
class Report:
    """What was compared, and what differs."""

    source: str
    as_of_seq: int = 0
    trades: int = 0
    symbols: int = 0
    candles: int = 0
    orders: int = 0
    sources: int = 0
    patterns: int = 0
    quarantined: list[int] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


class Figures(Protocol):
    """Where the figures to check come from; answers as the HTTP routes of the same names."""

    name: str

    def stats(self, parameters: dict[str, Any]) -> dict[str, Any]: ...
    def candles(self, symbol: str, parameters: dict[str, Any]) -> dict[str, Any]: ...
    def latency(self, parameters: dict[str, Any]) -> dict[str, Any]: ...
    def sources(self, parameters: dict[str, Any]) -> dict[str, Any]: ...
    def patterns(self, symbol: str, parameters: dict[str, Any]) -> dict[str, Any]: ...
    def profile(self, symbol: str) -> dict[str, Any]: ...


class Live:
    """A running gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.name = gateway.url
        self._gateway = gateway

    def stats(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """`GET /v1/stats`."""
        return self._gateway.get("/v1/stats", {"window": "all"} | parameters)

    def candles(self, symbol: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """`GET /v1/candles/{symbol}`."""
        return self._gateway.get(f"/v1/candles/{quote(symbol, safe='')}", parameters)

    def latency(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """`GET /v1/latency`."""
        return self._gateway.get("/v1/latency", parameters)

    def sources(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """`GET /v1/sources`."""
        return self._gateway.get("/v1/sources", parameters)

    def patterns(self, symbol: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """`GET /v1/patterns/{symbol}`."""
        return self._gateway.get(f"/v1/patterns/{quote(symbol, safe='')}", parameters)

    def profile(self, symbol: str) -> dict[str, Any]:
        """`GET /v1/profile/{symbol}`."""
        return self._gateway.get(f"/v1/profile/{quote(symbol, safe='')}")


def run(data: Path, *, url: str, api_key: str | None, as_json: bool) -> int:
    """Compare, print what differs; 0 when nothing does, else 1. InvalidInput when there is nothing to compare."""
    journal_id = reading.id_of(data / "journal")
    with Gateway(url, api_key) as gateway:
        figures = _source(gateway, data, journal_id)
        report = audit(data / "journal", figures)
    if as_json:
        print(json.dumps(asdict(report) | {"equal": not report.differences}, default=str), flush=True)
    else:
        _show(report)
    return 1 if report.differences else 0


def _source(gateway: Gateway, data: Path, journal_id: bytes) -> Figures:
    """The gateway when it serves this journal, else the snapshot."""
    if gateway.answers("/healthz"):
        served = gateway.get("/v1/freshness").get("journal")
        if served == public_name(journal_id):
            return Live(gateway)
        _say(f"the gateway at {gateway.url} serves another journal than {data}; comparing the saved state")
    else:
        _say(f"no gateway answers at {gateway.url}; comparing the saved state")
    # By name, because this package never depends on an app: what is saved there is the gateway's to read.
    saved: Figures = import_module("gateway.state.saved").Saved(data, journal_id.hex())
    return saved


def audit(journal: Path, figures: Figures) -> Report:
    """Read the figures, then the journal up to where they stand, and compare."""
    pages = _pages(figures)
    first = pages[0]
    rows = {symbol: row for page in pages for symbol, row in page["symbols"].items()}
    wanted = {"interval": "1m", "limit": CANDLES}
    candles = {symbol: figures.candles(symbol, wanted) for symbol in _sample(rows)}
    latency, sources = figures.latency({"window": "all"}), figures.sources({"limit": SOURCES})
    patterns = _patterns(figures, candles)
    report = Report(figures.name, first["as_of_seq"], first["totals"]["trades"], len(rows))
    read = (first, *candles.values(), latency, *(answer for answer, _ in patterns))
    report.quarantined = sorted({seq for one in read for seq in one.get("quarantined", ())})
    until = {symbol: answer["as_of_seq"] for symbol, answer in candles.items()}
    recompute = Recompute(until=report.as_of_seq, candles=until, leave_out=report.quarantined)
    orders = RecomputeOrders(until=latency["as_of_seq"], leave_out=report.quarantined)
    rest = RecomputePatterns(
        until={answer["symbol"]: answer["as_of_seq"] for answer, _ in patterns}, leave_out=report.quarantined
    )
    losses = RecomputeLosses(until=sources["as_of_seq"])
    last = max(recompute.last_seq, orders.last_seq, rest.last_seq, losses.last_seq)
    reached = _read(journal, last, (recompute, orders, rest, losses))
    if reached < last:
        report.differences.append(Difference("journal", "last_seq", last, reached))
    report.differences += differences("totals", first["totals"], recompute.totals())
    report.differences += _rows(rows, recompute.rows())
    for symbol, answer in candles.items():
        report.candles += len(answer["candles"])
        report.differences += _candles(symbol, answer, recompute.candles(symbol))
    report.orders = len(latency["orders"])
    report.differences += _orders(latency["orders"], orders)
    report.sources, report.patterns = len(sources["sources"]), len(patterns)
    report.differences += _sources(sources, losses)
    for answer, held in patterns:
        where = f"{answer['symbol']} {answer.get('window', 'profile')}"
        report.differences += differences(where, answer, rest.expected(answer, held))
    return report


def _patterns(figures: Figures, symbols: Iterable[str]) -> list[tuple[dict[str, Any], Held]]:
    """Patterns and profiles of some symbols, each symbol's as of one trade; none where they are not kept."""
    found = []
    for symbol in symbols:
        for _ in range(ATTEMPTS):
            try:
                some = [figures.patterns(symbol, {"window": of, "at": "watermark"}) for of in PATTERN_WINDOWS]
            except InvalidInput as error:
                if BASIC in error.detail:
                    return []
                raise
            some.append(figures.profile(symbol))
            if len({answer["as_of_seq"] for answer in some}) == 1:
                fine = some[-1]["since"] is None
                found += [(answer, Held(fine, _has_second(figures, symbol, answer))) for answer in some]
                break
        else:
            raise TryAgain(f"{figures.name}: trades come faster than the patterns of {symbol} can be read; try again")
    return found


def _has_second(figures: Figures, symbol: str, answer: Mapping[str, Any]) -> bool:
    """Whether a microburst without a ratio is held by the second: asked afterwards, as what is folded stays folded."""
    if answer.get("microburst_at") is None or answer["burst_ratio"] is not None:
        return False
    second = parse_time(answer["microburst_at"]) // SECOND_NS * SECOND_NS
    wanted = {"interval": "1s", "limit": 1, "start": second, "end": second + SECOND_NS}
    with contextlib.suppress(InvalidInput):
        return bool(figures.candles(symbol, wanted)["candles"])
    return False


def _pages(figures: Figures) -> list[dict[str, Any]]:
    """All pages of the statistics, as of one trade. TryAgain when trades come too fast for that."""
    for _ in range(ATTEMPTS):
        wanted: dict[str, Any] = {"sort": "symbol", "limit": PAGE_SYMBOLS}
        pages = [figures.stats(wanted)]
        while pages[-1]["next"] and pages[-1]["as_of_seq"] == pages[0]["as_of_seq"]:
            pages.append(figures.stats(wanted | {"cursor": pages[-1]["next"]}))
        if pages[-1]["as_of_seq"] == pages[0]["as_of_seq"]:
            return pages
    raise TryAgain(f"{figures.name}: trades come faster than {len(pages)} pages of symbols can be read; try again")


def _sample(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The symbols whose candles are compared: those with the most trades."""
    return sorted(rows, key=lambda symbol: (-int(rows[symbol]["trades"]), symbol))[:CANDLE_SYMBOLS]


def _rows(shown: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[Difference]:
    for symbol in sorted(shown.keys() | expected.keys()):
        if symbol not in shown or symbol not in expected:
            yield Difference(symbol, "symbol", *("present" if symbol in rows else None for rows in (shown, expected)))
        else:
            yield from differences(symbol, shown[symbol], expected[symbol])


def _orders(shown: Sequence[Mapping[str, Any]], recompute: RecomputeOrders) -> Iterator[Difference]:
    named = {" ".join(("orders", row["venue"], row["strategy"], row["liquidity"])): row for row in shown}
    yield from _rows(named, {" ".join(("orders", *name)): row for name, row in recompute.rows().items()})


def _sources(answer: Mapping[str, Any], recompute: RecomputeLosses) -> Iterator[Difference]:
    if not answer["forgotten"]:  # else there were more than are kept, and which of them went is no figure
        named = {f"source {row['source']}": row for row in answer["sources"]}
        yield from _rows(named, {f"source {name}": row for name, row in recompute.rows().items()})


def _candles(symbol: str, answer: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[Difference]:
    shown = {candle["start"]: candle for candle in answer["candles"]}
    oldest = min(shown, default="")  # older ones are on another page, or held coarser than a minute by now
    within = {start: candle for start, candle in expected.items() if start >= oldest}
    for start in sorted(shown.keys() | within.keys()):
        where = f"{symbol} 1m {start}"
        if start in shown and start in within:
            yield from differences(where, shown[start], within[start])
        else:
            yield Difference(where, "candle", *("present" if start in rows else None for rows in (shown, within)))


# --- the journal -----------------------------------------------------------------------------------------------------


class _Taker(Protocol):
    """What recomputes; it takes the trades up to its own last one."""

    def add(self, columns: Columns, first_seq: int) -> None: ...


def _read(journal: Path, last: int, takers: Sequence[_Taker]) -> int:
    """Hand over the trades 1..last in batches; the number of the last one that is there."""
    say_at = time.monotonic() + SAY_SECONDS
    reached = 0
    for first, batch in reading.batches(journal, last):
        for taker in takers:
            taker.add(batch, first)
        reached = first + len(batch) - 1
        if time.monotonic() >= say_at:
            say_at = time.monotonic() + SAY_SECONDS
            _say(f"recomputed {min(reached, last)} of {last} trades")
    return reached


# --- what people see -------------------------------------------------------------------------------------------------


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(report: Report) -> None:
    if report.differences:
        console = Console(width=None if sys.stdout.isatty() else 200)
        table = Table("where", "figure", "shown", "recomputed", title="what the journal says otherwise")
        for difference in report.differences[:SHOWN]:
            table.add_row(*(escape(str(value)) for value in difference))
        if len(report.differences) > SHOWN:
            table.caption = f"and {len(report.differences) - SHOWN} more; --json has all"
        console.print(table)
    left_out = f", {len(report.quarantined)} quarantined trades left out" if report.quarantined else ""
    what = (
        f"{report.trades} trades of {report.symbols} symbols, {report.candles} candles, {report.patterns} patterns, "
        f"{report.orders} kinds of orders, {report.sources} sources"
    )
    verdict = f"{len(report.differences)} differences" if report.differences else "equal"
    print(f"{verdict}: {report.source} as of seq {report.as_of_seq}: {what}{left_out}", flush=True)
