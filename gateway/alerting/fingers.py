"""Fat fingers: batches of single trades to judgements by rule and symbol."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from gateway.alerting.judgement import Judgement, matches
from gateway.alerting.limits import Limits
from gateway.alerting.looking import Look
from gateway.alerting.outliers import Recent
from gateway.alerting.readings import Trades
from gateway.alerting.rule_kinds import FatFinger
from telemetry.trade import Instrument

_LOOKED_AT = 1000  # trades of one batch that a rule says more about than that they are beyond its limits


class Fingers:
    """The recent trades of every instrument, and the rules over them. `judged` is the last seq that was judged."""

    def __init__(self) -> None:
        self.judged = 0
        self._instruments: Sequence[Instrument] = ()
        self._recent = Recent()

    @property
    def look(self) -> Look:
        """The way of looking at batches."""
        return self._recent.look

    def use(self, look: Look) -> None:
        """Look at batches in this way, which gives the same."""
        self._recent.look = look

    def watch(self, rules: Sequence[FatFinger]) -> None:
        """Judge by these rules from now on; what is known of recent trades stays."""
        self._recent.watch([Limits(rule, partial(self._wants, rule)) for rule in rules])

    def judge(self, batch: Trades) -> list[tuple[FatFinger, Judgement]]:
        """One judgement per rule and symbol of a batch: of its last trade that is beyond the limits."""
        self._instruments = batch.instruments
        found: dict[tuple[str, str], tuple[FatFinger, Judgement]] = {}
        for limits, places in self._recent.feed(batch.instrument, batch.price, batch.quantity):
            news = places[batch.seq[places] > self.judged]
            for place in np.sort(news)[-_LOOKED_AT:].tolist():
                judgement = self._judgement(limits, batch, place)
                _, before = found.get((limits.rule.name, judgement.key), (limits.rule, judgement))
                found[limits.rule.name, judgement.key] = limits.rule, judgement._replace(first_seq=before.first_seq)
        if len(batch.seq):
            self.judged = max(self.judged, int(batch.seq[-1]))
        return list(found.values())

    def _judgement(self, limits: Limits, batch: Trades, place: int) -> Judgement:
        code, seq = int(batch.instrument[place]), int(batch.seq[place])
        instrument, of = batch.instruments[code], limits.rule.of
        value = float((batch.price if of == "price" else batch.quantity)[place])
        low, high = float(limits.low[code]), float(limits.high[code])
        middle = float(self._recent.rings.middle[limits.row, code])
        bounds = f"from {low:.6g} to {high:.6g}" if of == "price" else f"of at most {high:.6g}"
        at = f" at {instrument.venue}" if instrument.venue else ""
        expected = f"a {of} {bounds} (the median of recent trades is {middle:.6g})"
        received = f"{value:.6g} in trade {seq} of {instrument.symbol}{at}"
        limit = low if value < low else high
        return Judgement(instrument.symbol, "symbol", True, value, limit, of, expected, received, seq, seq)

    def _wants(self, rule: FatFinger, code: int) -> bool:
        instrument = self._instruments[code]
        return (
            matches(instrument.symbol, rule.symbols)
            and (not rule.venues or instrument.venue in rule.venues)
            and (not rule.kinds or instrument.kind in rule.kinds)
        )
