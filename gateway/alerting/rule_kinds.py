"""What an alert rule is: a frozen object of the class of its kind. See rule_fields for how a file writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b

SECOND_NS = 1_000_000_000
# Every figure of a row of statistics that is a number, with its unit. SUMS grow with the length of a window.
STATISTICS = {
    "trades": "trades", "buy_trades": "trades", "sell_trades": "trades", "unknown_trades": "trades",
    "quantity": "quantity", "buy_quantity": "quantity", "sell_quantity": "quantity", "unknown_quantity": "quantity",
    "notional": "money", "buy_notional": "money", "sell_notional": "money", "unknown_notional": "money",
    "vwap": "price", "price_open": "price", "price_high": "price", "price_low": "price", "price_last": "price",
    "quantity_mean": "quantity", "quantity_std": "quantity", "quantity_min": "quantity", "quantity_max": "quantity",
    "imbalance": "share", "trades_per_second": "trades/s", "quantity_per_second": "quantity/s",
    "interarrival_mean": "s",
}  # fmt: skip
# Those of `GET /v1/patterns/{symbol}`, for symbols that are named: they cost more than a row.
PATTERNS = {
    "interarrival_p50": "s", "interarrival_p90": "s", "interarrival_p99": "s",
    "microburst": "trades", "burst_ratio": "times", "realised_volatility": "share",
}  # fmt: skip
PATTERN_SYMBOLS = 20  # of a rule
RATES = {"trades_per_second": "trades", "quantity_per_second": "quantity"}  # and of what they are rates
SUMS = frozenset(name for name in STATISTICS if name.rpartition("_")[2] in ("trades", "quantity", "notional"))
# `GET /v1/stats` has these in its totals (money of several currencies has no total); the rate follows from the count.
TOTALS = frozenset(name for name in SUMS if not name.endswith("notional")) | RATES.keys()
BASELINE = "1h"
QUANTILES = ("p50", "p90", "p99", "p999", "max", "mean")
STREAMS = ("venue", "source", "strategy", "symbol")
OPERATIONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": lambda value, limit: value > limit,
    ">=": lambda value, limit: value >= limit,
    "<": lambda value, limit: value < limit,
    "<=": lambda value, limit: value <= limit,
}
SEVERITIES = ("info", "warning", "critical")
RING = 512  # trades of an instrument that a fat finger is compared with


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What all kinds have. `for_ns`: the condition must hold that long; `clear_for_ns`: must not hold that long."""

    name: str
    severity: str
    for_ns: int = 0
    clear_for_ns: int
    advice: str

    @property
    def kind(self) -> str:
        """The kind as a rule file names it."""
        return next(kind for kind, made in KINDS.items() if made is type(self))

    def identity(self) -> str:
        """A short text, the same for two rules that judge the same: of all of a rule but its severity and advice."""
        matter = [(each.name, getattr(self, each.name)) for each in fields(self)]
        text = repr((self.kind, *(pair for pair in matter if pair[0] not in ("severity", "advice"))))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Scoped(Rule):
    """A rule over symbols. `symbols` are patterns, `venues` and `kinds` (of trades) exact; empty is no filter."""

    symbols: tuple[str, ...]
    venues: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Threshold(Scoped):
    """A figure of a window against a limit, per symbol or (`totals`) of all together."""

    statistic: str
    window: str
    op: str
    limit: float
    clear: float
    totals: bool


@dataclass(frozen=True, kw_only=True)
class Ratio(Scoped):
    """A figure of a window divided by the same of the hour before it, against a limit."""

    statistic: str
    window: str
    op: str
    limit: float
    clear: float
    samples: int
    learn_ns: int


@dataclass(frozen=True, kw_only=True)
class FatFinger(Scoped):
    """A single trade far from its instrument's recent ones (see gateway.alerting.outliers)."""

    of: str
    deviations: float
    tail: float
    trades: int


@dataclass(frozen=True, kw_only=True)
class Silence(Rule):
    """A stream is silent."""

    streams: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Gap(Rule):
    """Trades that a source numbered and that never came."""

    sources: tuple[str, ...]
    missing: int


@dataclass(frozen=True, kw_only=True)
class LatencyObjective(Rule):
    """A quantile of a stage's times in a window above a limit."""

    stage: str
    window: str
    quantile: str
    limit_ns: int
    clear_ns: int
    samples: int


@dataclass(frozen=True, kw_only=True)
class Backlog(Rule):
    """Trades that are on disk and not in the figures."""

    limit: int
    clear: int


@dataclass(frozen=True, kw_only=True)
class Quarantine(Rule):
    """A trade was set aside because it kills workers."""


@dataclass(frozen=True, kw_only=True)
class Clock(Rule):
    """A source's clock is off: by its offset, or by the share of differences that are negative."""

    sources: tuple[str, ...]
    offset_ns: int
    negative: float
    samples: int


KINDS: Mapping[str, type[Rule]] = {
    "threshold": Threshold, "ratio": Ratio, "fat_finger": FatFinger, "silence": Silence, "gap": Gap,
    "latency": LatencyObjective, "backlog": Backlog, "quarantine": Quarantine, "clock": Clock,
}  # fmt: skip
