"""A lively market that does not exist: for demonstrations, never for tests of exactness.

Each symbol's price walks at random through regimes (calm, trend, storm), and its trades excite further trades (a Hawkes
process with an exponential kernel), so that they come in bursts as real ones do. Which side is the aggressor swings
slowly. A small share are the desk's own fills, with account, strategy, order and fee.

The market is a function of its seed and of the instants it is asked about; nothing here looks at a clock or a socket.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SOURCE = "simulator"
# Of the mean rate, this share is trades that earlier trades excited; 0.6 gives visible bursts that always die out.
EXCITED = 0.6
EXCITATION_SECONDS = 1.5
OWN_SHARE = 0.06


class Instrument(NamedTuple):
    """What is traded: decimals of price and quantity, a typical size, yearly volatility, share of all trades."""

    symbol: str
    venues: tuple[str, ...]
    currency: str
    price: float
    price_decimals: int
    quantity: float
    quantity_decimals: int
    volatility: float
    share: float
    multiplier: str | None = None
    fee_rate: float = 0.0
    tick: float = 0.0  # 0: one unit of the last decimal


CRYPTO = ("BINANCE", "KRAKEN", "COINBASE")
INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument("BTC-USDT", CRYPTO, "USDT", 64_250.0, 2, 0.02, 8, 0.55, 22, fee_rate=0.0004),
    Instrument("ETH-USDT", CRYPTO, "USDT", 3_120.0, 2, 0.4, 6, 0.7, 16, fee_rate=0.0004),
    Instrument("SOL-USDT", CRYPTO[:2], "USDT", 148.0, 3, 6.0, 3, 0.9, 9, fee_rate=0.0004),
    Instrument("XRP-USDT", CRYPTO[:2], "USDT", 0.5231, 5, 900.0, 1, 0.8, 7, fee_rate=0.0004),
    Instrument("PEPE-USDT", CRYPTO[:1], "USDT", 8.5e-9, 12, 1e11, 0, 1.4, 5, fee_rate=0.0004),
    Instrument("AAPL", ("XNAS", "ARCX", "BATS"), "USD", 226.4, 2, 80.0, 0, 0.28, 10),
    Instrument("NVDA", ("XNAS", "ARCX", "BATS"), "USD", 128.7, 2, 150.0, 0, 0.5, 11),
    Instrument("BRK.B", ("XNYS",), "USD", 452.1, 2, 12.0, 0, 0.18, 2),
    Instrument("NESN", ("XSWX",), "CHF", 88.46, 2, 120.0, 0, 0.16, 2),
    Instrument("EUR/USD", ("EBS", "LMAX"), "USD", 1.0842, 5, 500_000.0, 0, 0.08, 7),
    Instrument("USD/JPY", ("EBS", "LMAX"), "JPY", 149.63, 3, 500_000.0, 0, 0.1, 4),
    Instrument("ESZ6", ("XCME",), "USD", 5_812.25, 2, 3.0, 0, 0.17, 5, multiplier="50", tick=0.25),
)
ACCOUNTS = ("desk-1", "desk-2")
STRATEGIES = ("mm-1", "arb-2", "twap-3")
# (name, drift per minute in standard deviations, factor on volatility and rate)
REGIMES = (("calm", 0.0, 0.6), ("trend up", 1.5, 1.0), ("trend down", -1.5, 1.0), ("storm", 0.0, 2.6))
REGIME_SECONDS = 40.0
YEAR_SECONDS = 365.25 * 86_400
# Real volatility looks frozen on a chart of one minute; this much more makes a demonstration move.
LIVELY = 6.0


@dataclass
class _State:
    """Where one instrument stands."""

    instrument: Instrument
    price: float
    base_rate: float
    excitement: float = 0.0
    regime: tuple[str, float, float] = REGIMES[0]
    regime_left: float = 0.0
    buyers: float = 0.0
    order: int = 0


@dataclass
class Market:
    """Trades of a dozen instruments at `rate` trades a second on average, from `seed` alone."""

    seed: int
    rate: float = 200.0
    instruments: Sequence[Instrument] = INSTRUMENTS
    _states: list[_State] = field(init=False)
    _sequence: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a market, not a secret
        shares = sum(instrument.share for instrument in self.instruments)
        self._states = [
            _State(instrument, instrument.price, self.rate * (1 - EXCITED) * instrument.share / shares)
            for instrument in self.instruments
        ]

    def between(self, start: int, end: int, run: str) -> list[dict[str, Any]]:
        """The trades of one short step, in order of time (UTC ns); `run` makes trade ids unique among runs."""
        seconds = (end - start) / 1e9
        moments: list[tuple[int, _State]] = []
        for state in self._states:
            self._drift(state, seconds)
            count = self._arrivals(state, seconds)
            moments.extend((start + int(self._random.random() * (end - start)), state) for _ in range(count))
        moments.sort(key=lambda moment: moment[0])
        return [self._trade(state, at, run) for at, state in moments]

    def _drift(self, state: _State, seconds: float) -> None:
        """Move regime, imbalance and price forward."""
        draw = self._random
        state.regime_left -= seconds
        if state.regime_left <= 0:
            state.regime = draw.choices(REGIMES, (5, 2, 2, 1))[0]
            state.regime_left = draw.expovariate(1 / REGIME_SECONDS)
        pull = 1 - math.exp(-seconds / 20)
        state.buyers += -state.buyers * pull + draw.gauss(0, 0.9) * math.sqrt(pull)
        _, trend, factor = state.regime
        minute = state.instrument.volatility * LIVELY * math.sqrt(60 / YEAR_SECONDS)
        steps = seconds / 60
        home = (
            math.log(state.instrument.price / state.price) * 0.02 * steps
        )  # a weak pull: days of demonstration stay sane
        state.price *= math.exp(minute * (trend * steps + factor * draw.gauss(0, 1) * math.sqrt(steps)) + home)

    def _arrivals(self, state: _State, seconds: float) -> int:
        """How many trades happen in this step; each excites more later."""
        mean = state.base_rate * state.regime[2] / _MEAN_FACTOR + state.excitement
        count = _poisson(self._random, mean * seconds)
        fade = math.exp(-seconds / EXCITATION_SECONDS)
        state.excitement = state.excitement * fade + count * EXCITED / seconds * (1 - fade)
        return count

    def _trade(self, state: _State, at: int, run: str) -> dict[str, Any]:
        draw, instrument = self._random, state.instrument
        self._sequence += 1
        buy = draw.random() < 1 / (1 + math.exp(-1.5 * state.buyers))
        tick = instrument.tick or 10.0**-instrument.price_decimals
        spread = 0.5 * (1 + draw.expovariate(1.5))
        price = tick * max(1, round(state.price / tick + (spread if buy else -spread)))
        smallest = 10.0**-instrument.quantity_decimals
        quantity = max(smallest, instrument.quantity * math.exp(draw.gauss(-0.6, 1.1)))
        trade: dict[str, Any] = {
            "symbol": instrument.symbol,
            "side": "buy" if buy else "sell",
            "kind": "print",
            "price": f"{price:.{instrument.price_decimals}f}",
            "quantity": f"{quantity:.{instrument.quantity_decimals}f}",
            "timestamp": at,
            "trade_id": f"{run}-{self._sequence}",
            "venue": draw.choice(instrument.venues),
            "currency": instrument.currency,
            "source": SOURCE,
            "source_seq": self._sequence,
        }
        if instrument.multiplier is not None:
            trade["multiplier"] = instrument.multiplier
        if draw.random() < OWN_SHARE:
            trade.update(self._own(state, float(trade["price"]) * float(trade["quantity"]), at, run))
        return trade

    def _own(self, state: _State, notional: float, at: int, run: str) -> dict[str, Any]:
        """What makes a trade one of the desk's own fills."""
        draw = self._random
        state.order += draw.random() < 0.6  # some orders fill in parts
        maker = draw.random() < 0.55
        rate = state.instrument.fee_rate * (-0.25 if maker else 1.0)
        fee = notional * rate if state.instrument.fee_rate else 1.0
        return {
            "kind": "fill",
            "account": draw.choice(ACCOUNTS),
            "strategy": draw.choice(STRATEGIES),
            "order_id": f"{run}-{state.instrument.symbol}-{state.order}",
            "liquidity": "maker" if maker else "taker",
            "fee": f"{fee:.6f}",
            "fee_currency": state.instrument.currency,
            "order_sent_at": at - int(draw.expovariate(1 / 0.004) * 1e9),
        }


_MEAN_FACTOR = sum(weight * regime[2] for weight, regime in zip((5, 2, 2, 1), REGIMES, strict=True)) / 10


def _poisson(draw: random.Random, mean: float) -> int:
    """Knuth's method, in pieces of at most 30 so that exp(-mean) stays far from zero."""
    count = 0
    while mean > 0:
        piece = min(mean, 30.0)
        limit, product = math.exp(-piece), draw.random()
        while product > limit:
            count += 1
            product *= draw.random()
        mean -= piece
    return count


def steps(start: int, seconds: float) -> Iterator[tuple[int, int]]:
    """Consecutive steps of `seconds` from `start` (UTC ns), without end."""
    length = int(seconds * 1e9)
    while True:
        yield start, start + length
        start += length
