"""Who is seen with whom in trades: so that one cause of silence is one alert.

When a feed stops, its venue, its source and its strategies fall silent, all of the same cause. A silent stream is
*part of* the silence of another kind when every stream of that kind that it was seen with in the last hour before it
stopped is silent too. Kinds with fewer silent streams explain those with more: one venue that stopped explains its
fifty sources, one source its three venues. Among equals a kind that somebody was told of already, then the order
venue, source, strategy, symbol. So whatever is part of another leads to one that is part of none.

Who was seen with whom is learnt from a sample of the live trades, SAMPLE of each block that is watched. Who has not
been sampled with anybody is part of nothing: it has its own alert. Bounds: MOST combinations, those not seen for
longest go. Pure: instants are arguments.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gateway.watching.streams import KINDS
from telemetry.columns import Columns
from telemetry.errors import InvalidInput

SAMPLE = 32
MOST = 10_000
_LIVE_NS = 60_000_000_000
LATELY_NS = 3_600_000_000_000
Name = tuple[str, str]  # kind and name of a stream
_Names = tuple[str, ...]  # as KINDS; "" where a trade has none


class Company:
    """Combinations of venue, source, strategy and symbol, and when they were last sampled (UTC ns)."""

    def __init__(self) -> None:
        self._seen: dict[_Names, int] = {}
        self._offset = 0
        self._asked: tuple[frozenset[Name], frozenset[str]] = frozenset(), frozenset()
        self._answer: Mapping[Name, Name] = {}

    def see(self, columns: Columns, wall_ns: int) -> None:
        """Trades that arrived about then."""
        step = -(-len(columns) // SAMPLE)
        self._offset += 1  # other rows each time: senders take turns
        rows = range(self._offset % step, len(columns), step)
        texts = [columns.text(kind) for kind in ("source", "strategy")]
        for row in rows:
            if abs(int(columns.timestamp[row]) - wall_ns) > _LIVE_NS:
                continue
            instrument = columns.instruments[columns.instrument[row]]
            named = ("" if text is None else text[row] for text in texts)
            names = (instrument.venue, *named, instrument.symbol)
            self._seen.pop(names, None)
            self._seen[names] = wall_ns
        while len(self._seen) > MOST:
            del self._seen[next(iter(self._seen))]

    def pass_by(self) -> None:
        """Trades that are not live: nobody is seen, but a sample is taken."""
        self._offset += 1

    def parts(self, silent: Collection[Name], told: Collection[Name]) -> Mapping[Name, Name]:
        """Of these silent streams those that are part of the silence of another, and of whose. `told`: the silences
        that somebody was told of. Worked out anew only when who is silent, or told, has changed."""
        asked = frozenset(silent), frozenset(kind for kind, _ in set(told) & set(silent))
        if asked != self._asked:
            self._asked, self._answer = asked, self._parts(*asked)
        return self._answer

    def _parts(self, silent: frozenset[Name], told: frozenset[str]) -> dict[Name, Name]:
        counts = Counter(kind for kind, _ in silent)
        if len(counts) < 2:
            return {}
        ranked = sorted(counts, key=lambda kind: (counts[kind], kind not in told, KINDS.index(kind)))
        partners = self._partners(silent)
        parts: dict[Name, Name] = {}
        for kind in ranked[1:]:
            for one in sorted(each for each in silent if each[0] == kind):
                for other in ranked[: ranked.index(kind)]:
                    those = {(other, name) for name in partners[one][other]}
                    if those and those <= silent:
                        cause = min(those)
                        parts[one] = parts.get(cause, cause)
                        break
        return parts

    def _partners(self, silent: frozenset[Name]) -> Mapping[Name, Mapping[str, set[str]]]:
        """By stream and kind the names of that kind that the stream was seen with lately."""
        found: dict[Name, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
        newest: dict[Name, int] = {}
        for names, seen_ns in self._seen.items():
            for one in zip(KINDS, names, strict=True):
                if one in silent:
                    newest[one] = max(newest.get(one, 0), seen_ns)
                    for kind, name in zip(KINDS, names, strict=True):
                        found[one][kind][name] = max(found[one][kind].get(name, 0), seen_ns)
        lately: dict[Name, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for one, kinds in found.items():
            for kind, seen in kinds.items():
                lately[one][kind] = {name for name, ns in seen.items() if name and ns >= newest[one] - LATELY_NS}
        return lately

    def export(self) -> list[Any]:
        """What is saved, as plain data, the one not seen for longest first."""
        return [[*names, seen_ns] for names, seen_ns in self._seen.items()]

    def restore(self, plain: Iterable[Any]) -> None:
        """Take up what `export` gave. Raises InvalidInput for something else."""
        try:
            self._seen = {(str(v), str(s), str(t), str(i)): int(seen_ns) for v, s, t, i, seen_ns in plain}
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"company: expected names and instants, received {error!r}") from None
