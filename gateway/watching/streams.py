"""The streams: venues, sources, strategies and symbols that trades name, each with a small number.

At most so many of each kind are told apart. A name beyond them is not followed in that request (`missed`), and room is
made at its end: those of that kind that have not been heard of for longest go (`forgotten`), never configured ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from gateway.watching.markets import UNKNOWN, Markets
from gateway.watching.names import Keys, only_name
from gateway.watching.naming import Naming
from telemetry.columns import Columns
from telemetry.frame import Text
from telemetry.trade import Instrument

Ids = NDArray[np.int64]
KINDS = ("venue", "source", "strategy", "symbol")
MOST: Mapping[str, int] = {"venue": 1_000, "source": 1_000, "strategy": 1_000, "symbol": 10_000}
_NONE: Ids = np.empty(0, np.int64)
_NOBODY = -1
_SPARSE = 64  # marks per row up to which they are set rather than sorted
_CACHED = 100_000  # instruments, and names of sources and strategies, whose numbers are remembered


class Streams:
    """Numbers of streams. `market` (by number) says where a stream has been seen, `names` and `kinds` who it is."""

    def __init__(self, markets: Markets, most: Mapping[str, int]) -> None:
        self.ids: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
        self.names: list[str] = []
        self.kinds: list[str] = []
        self.market: Ids = _NONE
        self.expected: set[int] = set()
        self.missed: Counter[str] = Counter()  # by kind, in this request
        self.forgotten: Counter[str] = Counter()
        self.naming = Naming()
        self._markets, self._most = markets, dict(MOST) | dict(most)
        self._free: list[int] = []
        self._forget_names()

    def __len__(self) -> int:
        return len(self.names)

    def grow(self, size: int) -> None:
        """Make room for the streams below this number."""
        more = max(0, size - len(self.market))
        self.market = np.concatenate((self.market, np.full(more, UNKNOWN, np.int64)))

    def number(self, kind: str, name: str) -> int:
        """The number of this stream, a new one when it is not known; -1 when there is no room."""
        known = self.ids[kind]
        if (number := known.get(name)) is not None:
            return number
        if len(known) >= self._most[kind]:
            self.missed[kind] += 1
            return _NOBODY
        if self._free:
            number = self._free.pop()
            self.names[number], self.kinds[number] = name, kind
        else:
            number = len(self.names)
            self.names.append(name)
            self.kinds.append(kind)
            if number >= len(self.market):
                self.grow(2 * number + 64)
        known[name] = number
        return number

    def ordered(self, kind: str) -> Iterator[int]:
        """The streams of a kind by name."""
        return (number for _, number in sorted(self.ids[kind].items()))

    def venues(self, number: int) -> list[str]:
        """The venues whose sessions a stream keeps, none when it is always open."""
        return self._markets.venues(int(self.market[number]))

    def find(self, columns: Columns, request: Ids, count: int) -> tuple[Ids, Ids]:
        """(stream, request) of all streams that these trades belong to: each pair once, those of a stream together and
        in order. `request` has for each row which of `count` requests it came in, ascending, none of them empty."""
        if columns.instruments != self._table:
            self._read_table(columns.instruments)
        rows, instrument = (request, count), columns.instrument.astype(np.int64)
        found = [self._pairs(of, instrument, *rows) for of in (self._venues, self._symbols)]
        texts = ((kind, columns.text(kind)) for kind in ("source", "strategy"))
        found += [self._named(kind, text, columns, rows) for kind, text in texts if text is not None]
        numbers, requests = zip(*found, strict=True)
        return np.concatenate(numbers), np.concatenate(requests)

    def make_room(self, last_ns: Ids) -> Ids:
        """Forget who has not been heard of for longest, where there was no room; gives their numbers."""
        gone: list[int] = []
        for kind, count in self.missed.items():
            most, known = self._most[kind], self.ids[kind]
            those = np.array([number for number in known.values() if number not in self.expected], np.int64)
            count = min(len(those), max(most // 16, min(count, most // 2), 1))
            order = np.argsort(last_ns[those], kind="stable")[:count]
            gone += those[order].tolist()
            self.forgotten[kind] += count
        self.missed.clear()
        for number in gone:
            del self.ids[self.kinds[number]][self.names[number]]
        self._free += gone
        self._forget_names()
        freed = np.array(gone, np.int64)
        self.market[freed] = UNKNOWN
        return freed

    def _forget_names(self) -> None:
        self._table: tuple[Instrument, ...] = ()
        self._venues, self._symbols, self._venue_markets = _NONE, _NONE, _NONE
        self._instruments: dict[Instrument, tuple[int, int, int]] = {}
        self._keys: dict[str, dict[int, int]] = {"source": {}, "strategy": {}}

    def _read_table(self, instruments: tuple[Instrument, ...]) -> None:
        found = list(map(self._instruments.get, instruments, repeat(None)))
        rows = [one or self._read(instrument) for one, instrument in zip(found, instruments, strict=True)]
        self._symbols, self._venues, self._venue_markets = np.array(rows, np.int64).reshape(-1, 3).T
        self._table = instruments
        if not self._markets.trivial:
            self._see_all(self._symbols, self._venue_markets)
        else:
            there = np.concatenate((self._symbols, self._venues))
            self.market[there[there >= 0]] = np.maximum(self.market[there[there >= 0]], 0)

    def _read(self, instrument: Instrument) -> tuple[int, int, int]:
        venue, market = _NOBODY, self._markets.of(instrument.venue)
        if instrument.venue:
            venue = self.number("venue", instrument.venue)
            if venue >= 0:
                self.market[venue] = market
        symbol = self.number("symbol", instrument.symbol)
        if (symbol >= 0 and venue != _NOBODY) or not instrument.venue:
            if len(self._instruments) >= _CACHED:
                self._instruments.clear()
            self._instruments[instrument] = symbol, venue, market
        return symbol, venue, market

    def _named(self, kind: str, text: Text, columns: Columns, rows: tuple[Ids, int]) -> tuple[Ids, Ids]:
        if (name := only_name(text)) is not None:
            number = self.number(kind, name) if name else _NOBODY
            ids = np.array([number], np.int64)
            self._see(ids[ids >= 0], columns, None)
            return self._pairs(ids, _NONE, *rows)
        known = self._keys[kind]
        if len(known) >= _CACHED:
            known.clear()
        single, codes = self.naming.coded(text)
        found = list(map(known.get, single.tolist()))
        if None in found:
            found = self._add(kind, text, single, codes)
        ids = np.array(found, np.int64)
        self._see(ids[ids >= 0], columns, (ids, codes))
        return self._pairs(ids, codes, *rows)

    def _add(self, kind: str, text: Text, single: Keys, codes: Ids) -> list[int | None]:
        known = self._keys[kind]
        found: list[int | None] = []
        rows = np.zeros(len(single), np.int64)
        rows[codes] = np.arange(len(codes))
        for key, row in zip(single.tolist(), rows.tolist(), strict=True):
            if (number := known.get(key)) is None:
                name = text[row]
                number = self.number(kind, name) if name else _NOBODY
                if number >= 0 or not name:
                    known[key] = number
            found.append(number)
        return found

    def _see(self, ids: Ids, columns: Columns, grouped: tuple[Ids, Ids] | None) -> None:
        """These sources or strategies were seen on the venues of their trades; `grouped`: whose each row is."""
        if not np.count_nonzero(self.market[ids]):  # all on a venue that is always open: nothing can change that
            return
        markets = self._venue_markets
        if grouped is None or (markets == markets[0]).all():
            for market in set(markets.tolist()):
                self._see_all(ids, np.full(len(ids), market))
            return
        numbers, codes = grouped
        pairs = codes * len(markets) + columns.instrument
        single_pairs = np.unique(pairs)
        owners, instruments = numbers[single_pairs // len(markets)], single_pairs % len(markets)
        self._see_all(owners, markets[instruments])

    def _see_all(self, ids: Ids, markets: Ids) -> None:
        known = self.market[ids]
        for place in np.flatnonzero((known != markets) & (known != 0) & (ids >= 0)).tolist():
            number = int(ids[place])
            self.market[number] = self._markets.union(int(self.market[number]), int(markets[place]))

    def _pairs(self, owners: Ids, codes: Ids, request: Ids, count: int) -> tuple[Ids, Ids]:
        """(owner, request) where row i is of owners[codes[i]]; nobody's are left out. One owner has all rows."""
        single, place = _places(owners)
        if len(single) == 1:
            numbers, requests = np.repeat(single, count), np.arange(count)
        else:
            if len(single) * count <= _SPARSE * len(request):  # marking them is far cheaper than sorting
                there = np.zeros(len(single) * count, bool)
                self.naming.mark(place, codes, request, count, there)
                pairs = np.flatnonzero(there)
            else:
                pairs = np.unique(place[codes] * count + request)
            numbers, requests = single[pairs // count], pairs % count
        if single[0] == _NOBODY:
            requests, numbers = requests[numbers >= 0], numbers[numbers >= 0]
        return numbers, requests


def _places(owners: Ids) -> tuple[Ids, Ids]:
    """(each owner once, ascending; the place of each among them): numpy's own takes three times as long for a few."""
    order = np.argsort(owners, kind="stable")
    ordered = owners[order]
    first = np.empty(len(owners), bool)
    first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    place = np.empty(len(owners), np.int64)
    place[order] = np.cumsum(first) - 1
    return ordered[first], place


def pairs_of(plain: Iterable[Iterable[str]]) -> list[tuple[str, str]]:
    """Kind and name of each. Raises ValueError."""
    found = [(kind, name) for kind, name in plain]
    for kind, name in found:
        if kind not in KINDS or not isinstance(name, str):
            raise ValueError(f"expected a kind ({', '.join(KINDS)}) and a name, received {kind!r} {name!r}"[:200])
    return found


def live_rows(timestamp: Ids, request: Ids, wall_ns: Ids, within_ns: int) -> NDArray[np.bool_] | None:
    """Which trades were made so close to the arrival of their request; None when all were."""
    if timestamp.max() <= wall_ns.min() + within_ns and timestamp.min() >= wall_ns.max() - within_ns:
        return None
    live: NDArray[np.bool_] = np.abs(timestamp - wall_ns.take(request)) <= within_ns
    return None if live.all() else live
