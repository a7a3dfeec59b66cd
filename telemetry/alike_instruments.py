"""The instruments of trades that are written alike: equal texts are found by a hash of their words, all at once.

Every trade puts its row at the slot of its hash, the last one first, so the first of all stays. Whether it has the same
words as the trades that find it there is then compared; where two instruments met in one slot, a dictionary decides.
"""

from __future__ import annotations

import secrets

import numpy as np

from telemetry.alike_values import Values
from telemetry.decode_fast import instrument_of
from telemetry.frame import U32, Array
from telemetry.literals import NO_DECIMAL, Doubt, decimals
from telemetry.trade import KINDS, Instrument

_TEXTS = ("symbol", "venue", "currency")
_SLOT_BITS = 16
_WORDS = 40  # that an instrument has at most: three texts of 64 bytes, the kind, the multiplier
_MOST_KNOWN = 4096
_U64, _SLOT = np.dtype("<u8"), np.dtype(np.int32)


class Instruments:
    """Those that were found before. Thread safe."""

    def __init__(self, slot_bits: int = _SLOT_BITS) -> None:
        # Nobody can choose instruments that meet in one slot.
        self._factors = np.array([secrets.randbits(64) | 1 for _ in range(_WORDS)], _U64)
        self._known: dict[tuple[object, ...], dict[bytes, Instrument]] = {}  # by what is the same for all, and words
        self._count = 0
        self._slots, self._shift = 1 << slot_bits, np.uint64(64 - slot_bits)
        self._idle = [np.empty(self._slots, _SLOT)]  # taken out while they are in use

    def of(self, values: Values) -> tuple[tuple[Instrument, ...], Array]:
        """The instruments in order of appearance, and which one each trade has (u32[n]). Raises Doubt."""
        parts = {name: values.words(name) for name in _TEXTS if name in values}
        kind = "" if "kind" in values else _kind(values)
        if not kind:
            parts["kind"] = values.codes("kind", KINDS).astype(_U64)[None]
        if "multiplier" in values:
            parts["multiplier"] = _multipliers(values)
        rows = np.concatenate(list(parts.values()))
        first = self._first(rows)
        heads = np.flatnonzero(first == np.arange(len(first)))
        ranks = np.zeros(len(first), U32)
        ranks[heads] = np.arange(len(heads))
        same = kind, *((name, len(part)) for name, part in parts.items())
        return tuple(self._table(values, same, rows, heads)), ranks[first]

    def _first(self, rows: Array) -> Array:
        """For each trade the first one that has the same words (u64[words, n])."""
        varied = rows[(rows != rows[:, :1]).any(axis=1)]
        if not len(varied):
            return np.zeros(rows.shape[1], _SLOT)
        slot = (np.einsum("wn,w->n", varied, self._factors[: len(varied)]) >> self._shift).astype(np.intp)
        table = self._take()
        numbers = np.arange(len(slot), dtype=_SLOT)
        table[slot[::-1]] = numbers[::-1]
        first: Array = table[slot]
        self._idle.append(table)
        if not np.count_nonzero(varied[:, first] != varied):
            return first
        found: dict[tuple[int, ...], int] = {}
        keys = zip(*varied.tolist(), strict=True)
        return np.array([found.setdefault(key, row) for row, key in enumerate(keys)], _SLOT)

    def _take(self) -> Array:
        try:
            return self._idle.pop()
        except IndexError:
            return np.empty(self._slots, _SLOT)

    def _table(self, values: Values, same: tuple[object, ...], rows: Array, heads: Array) -> list[Instrument]:
        known = self._known.setdefault(same, {})
        keys = np.ascontiguousarray(rows[:, heads].T).view(f"V{rows.itemsize * len(rows)}").reshape(-1).tolist()
        table: list[Instrument] = []
        for key, row in zip(keys, heads.tolist(), strict=True):
            instrument = known.get(key)
            if instrument is None:
                instrument = known[key] = _read(values, str(same[0]), row)
                self._count += 1
            table.append(instrument)
        if self._count > _MOST_KNOWN:
            self._known, self._count = {}, 0
        return table


def _read(values: Values, kind: str, row: int) -> Instrument:
    """The instrument of one trade by the rules; `kind` is that of all, if that is known."""
    symbol, venue, currency = (values.one(name, row) if name in values else None for name in _TEXTS)
    multiplier = (1, 0)
    if "multiplier" in values:
        mantissas, scales = _multipliers(values)
        multiplier = int(mantissas[row]), int(scales[row])
    return instrument_of(symbol, kind or values.one("kind", row), venue, currency, multiplier)


def _multipliers(values: Values) -> Array:
    """Mantissas and scales as words u64[2, n]; 1 for null."""
    mantissas, scales = decimals(values.literals("multiplier"))
    absent = scales == NO_DECIMAL
    mantissas[absent], scales[absent] = 1, 0
    if np.count_nonzero(mantissas <= 0):
        raise Doubt("a multiplier")
    return np.stack((mantissas.view(_U64), scales.astype(_U64)))


def _kind(values: Values) -> str:
    """That of all trades, which do not say it: with an account or an order they are fills. Raises Doubt if only some
    have that."""
    owned = [values.are_empty(name) for name in ("account", "order_id") if name in values]
    if all(all_empty for all_empty, _ in owned):
        return "print"
    if not all(some_empty for _, some_empty in owned):
        return "fill"
    raise Doubt("fills and prints")
