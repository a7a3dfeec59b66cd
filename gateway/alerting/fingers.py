"""Fat fingers: single trades to judgements by rule and symbol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gateway.alerting.judgement import Judgement
from gateway.alerting.looking import Look
from gateway.alerting.outliers import Beyond, Recent
from gateway.alerting.readings import Trades
from gateway.alerting.rings import Ints
from gateway.alerting.rule_kinds import FatFinger
from telemetry.trade import Instrument


class Fingers:
    """The recent trades of every instrument, and the rules over them. `judged` is the last seq that was judged."""

    def __init__(self) -> None:
        self.judged = 0
        self._recent = Recent()

    @property
    def look(self) -> Look:
        """The way of looking at trades."""
        return self._recent.look

    def use(self, look: Look) -> None:
        """Look at trades in this way, which gives the same."""
        self._recent.look = look

    def watch(self, rules: Sequence[FatFinger]) -> None:
        """Judge by these rules from now on; what is known of recent trades stays."""
        self._recent.watch(rules)

    def judge(self, batch: Trades) -> list[tuple[FatFinger, Judgement]]:
        """One judgement per rule and symbol of a batch: of its last trade that is beyond the limits. Those whose first
        such trade came first are first."""
        found: dict[tuple[int, str], Judgement] = {}
        first_seq = batch.first_seq
        for numbers, columns in batch.commits:
            for beyond in self._recent.feed(batch.instruments, numbers, columns):
                for judgement in self._judgements(beyond, batch.instruments, first_seq):
                    place = beyond.rule, judgement.key
                    found[place] = _joined(found.get(place, judgement), judgement)
            first_seq += len(columns)
        self.judged = max(self.judged, first_seq - 1)
        ordered = sorted(found.items(), key=lambda one: (one[1].first_seq, one[0][0]))
        return [(self._recent.limits.rules[rule], judgement) for (rule, _), judgement in ordered]

    def _judgements(self, beyond: Beyond, instruments: Sequence[Instrument], first_seq: int) -> Iterator[Judgement]:
        """Of each instrument with trades that have not been judged yet."""
        news = np.flatnonzero(beyond.rows + first_seq > self.judged)
        for first, last in _ends(beyond.codes[news]):
            place, begin = news[last], int(beyond.rows[news[first]]) + first_seq
            yield self._judgement(beyond, int(place), instruments, first_seq)._replace(first_seq=begin)

    def _judgement(self, beyond: Beyond, place: int, instruments: Sequence[Instrument], first_seq: int) -> Judgement:
        code, value, seq = int(beyond.codes[place]), float(beyond.values[place]), int(beyond.rows[place]) + first_seq
        limits, rule, instrument = self._recent.limits, beyond.rule, instruments[code]
        low, high, of = float(limits.low[rule, code]), float(limits.high[rule, code]), limits.rules[rule].of
        middle = float(self._recent.rings.middle[limits.rows[rule], code])
        bounds = f"from {low:.6g} to {high:.6g}" if of == "price" else f"of at most {high:.6g}"
        at = f" at {instrument.venue}" if instrument.venue else ""
        expected = f"a {of} {bounds} (the median of recent trades is {middle:.6g})"
        received = f"{value:.6g} in trade {seq} of {instrument.symbol}{at}"
        limit = low if value < low else high
        return Judgement(instrument.symbol, "symbol", True, value, limit, of, expected, received, seq, seq)


def _ends(codes: Ints) -> Iterator[tuple[int, int]]:
    """Where each instrument is first and last."""
    order = np.argsort(codes, kind="stable")
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    yield from zip(
        order[begins].tolist(), order[np.append(begins[1:], len(order))[: len(begins)] - 1].tolist(), strict=True
    )


def _joined(one: Judgement, other: Judgement) -> Judgement:
    """The later one, with the number of the first trade of both."""
    last = max(one, other, key=lambda each: (each.last_seq, each.first_seq))
    return last._replace(first_seq=min(one.first_seq or 0, other.first_seq or 0))
