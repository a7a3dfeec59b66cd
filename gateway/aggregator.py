"""Merges partials into the live state, exactly once and in the order of the journal.

Accept rule (design: the effect of every trade is exactly once): a partial is merged iff its epoch is current, its
statistics version matches, its row count is last - first + 1 and no trade of its range is applied or already waiting.
Partials are merged in sequence order; one that comes early waits (there are at most window x workers of them). So
`applied` is one number, and the state at `applied = n` is a function of the trades 1..n alone: not of how the ranges
were cut, who analysed them, or in which order results came back.

Atoms are folded only when `applied` reaches a multiple of `stride` (the dispatcher cuts leases there), for the same
reason. Pure: no I/O and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.reading.open_windows import OpenWindows
from gateway.state.atoms import AtomTable
from gateway.state.directory import Directory
from gateway.state.merging import Ints
from gateway.state.orders import Orders
from gateway.state.patterns import Parts, Patterns
from gateway.state.touched import Touched
from gateway.state.wide import WideAtoms
from telemetry import rows as layout
from telemetry.backbone import Verdict
from telemetry.partial import Partial, Watermark
from telemetry.rows import INSTRUMENT, LEVEL, START, WIDTH, Rows
from telemetry.statistics import BASIC, VERSION, Atom
from telemetry.trade import Instrument
from telemetry.wire import PartialHead

_least = np.minimum.reduce


def stride_of(cap: int) -> int:
    """Atoms are folded at multiples of this sequence number: often enough to bound the overshoot to a quarter of the
    cap, seldom enough not to cut leases short: in bulk what a lease costs besides its trades is much."""
    return 1 << max(4, min(16, (cap // 8).bit_length()))


@dataclass(frozen=True)
class Waiting:
    """A partial that came before its turn; `partial` is None for a quarantined trade."""

    last: int
    partial: Partial | None


class Aggregator:
    """The live state: instruments, totals and atoms as of `applied`; `patterns` too unless it is to be basic."""

    def __init__(self, *, epoch: int, atoms: int = 500_000, basic: bool = False, parts: Parts | None = None) -> None:
        self.epoch = epoch
        self.version = BASIC if basic else VERSION
        self.patterns = None if basic else Patterns(atoms, parts or Parts())
        self.stride = stride_of(atoms)
        self.applied = 0
        self.watermark: Watermark | None = None
        self.quarantined: list[int] = []
        self.instruments: list[Instrument] = []
        self.directory = Directory(self.instruments)
        self.ids: dict[Instrument, int] = {}
        self.by_symbol: dict[str, list[int]] = {}
        self.price_scale: Ints = np.zeros(0, np.int64)
        self.quantity_scale: Ints = np.zeros(0, np.int64)
        self.totals: Rows = np.zeros((0, WIDTH), np.int64)
        self.atoms = AtomTable(atoms)
        self.wide = WideAtoms(self.atoms)
        # |price| * quantity of the trades at negative prices, by side, at the instrument's scales.
        self.negative: dict[int, tuple[int, int, int]] = {}
        self.orders, self.touched = Orders(), Touched()
        self._waiting: dict[int, Waiting] = {}
        self.is_whole = True  # false while one is merged, and for good when that failed in the middle
        self.windows = OpenWindows(self)

    # --- the accept rule -------------------------------------------------------------------------------------------

    def verdict(self, head: PartialHead) -> Verdict:
        """Whether a partial may be merged now (MERGED), later (WAITING) or never (a reason)."""
        if head.epoch != self.epoch:
            return Verdict.EPOCH
        if head.version != self.version:
            return Verdict.VERSION
        if head.last <= self.applied:
            return Verdict.APPLIED
        if head.first <= self.applied:
            return Verdict.OVERLAP
        if head.trades != head.last - head.first + 1:
            return Verdict.COUNT
        for first, waiting in self._waiting.items():
            if first <= head.last and head.first <= waiting.last:
                same = (first, waiting.last) == (head.first, head.last)
                return Verdict.DUPLICATE if same else Verdict.OVERLAP
        return Verdict.MERGED if head.first == self.applied + 1 else Verdict.WAITING

    def merge(self, head: PartialHead, partial: Partial) -> tuple[Verdict, set[int]]:
        """Apply the accept rule; returns the verdict and the ids of the instruments that changed."""
        verdict = self.verdict(head)
        if verdict not in (Verdict.MERGED, Verdict.WAITING):
            return verdict, set()
        self._waiting[head.first] = Waiting(head.last, partial)
        return verdict, self._advance()

    def quarantine(self, seq: int) -> set[int]:
        """Count a poisonous trade as applied, in its turn, without merging it."""
        if seq > self.applied and seq not in self._waiting:
            self._waiting[seq] = Waiting(seq, None)
        return self._advance()

    def _advance(self) -> set[int]:
        self.is_whole, changed = False, set[int]()
        while (waiting := self._waiting.pop(self.applied + 1, None)) is not None:
            if waiting.partial is None:
                self.quarantined.append(waiting.last)
            else:
                changed |= self._apply(waiting.partial, waiting.last)
            self.applied = waiting.last
            self.atoms.fold_some()
            if self.applied % self.stride == 0 and self.watermark is not None:
                self._fold(self.watermark.timestamp // 1_000_000_000)
        self.is_whole = True
        return changed

    # --- merging ---------------------------------------------------------------------------------------------------

    def _apply(self, partial: Partial, last: int) -> set[int]:
        changed = [self.ids[one] if one in self.ids else self._id(one) for one in partial.instruments]
        if not changed:
            return set()
        ids = np.array(changed, np.int64)
        price_scale, quantity_scale = np.array(partial.price_scale), np.array(partial.quantity_scale)
        price_digits, quantity_digits = self.price_scale[ids] - price_scale, self.quantity_scale[ids] - quantity_scale
        if _least(price_digits) < 0 or _least(quantity_digits) < 0:
            self._raise_scales(ids, price_scale, quantity_scale)
            price_digits, quantity_digits = (
                self.price_scale[ids] - price_scale,
                self.quantity_scale[ids] - quantity_scale,
            )
        self._merge_negative(ids, partial)
        narrow = self.wide.atoms.keys().isdisjoint(changed)
        if narrow and self.atoms.merging.adopt(partial.rows, ids, price_digits, quantity_digits):
            self._put(partial.rows)
        else:
            self._merge_rows(ids, partial, price_digits, quantity_digits)
        for (local, second), atom in partial.wide.items():
            self._widen(int(ids[local]))
            self.wide.merge(int(ids[local]), 0, second, atom)
        if self.patterns is not None and partial.patterns is not None:
            self.patterns.merge(ids, self.applied + 1, partial.patterns)
        newer = partial.watermark
        if newer is not None and (self.watermark is None or newer.timestamp > self.watermark.timestamp):
            self.watermark = newer
        self._merge_orders(partial)
        self.touched.note(last, partial.rows, ((changed[local], second) for local, second in partial.wide))
        return set(changed)

    def _merge_orders(self, partial: Partial) -> None:
        self.orders.merge(partial.orders)
        if self.watermark is not None:
            self.orders.follow(self.watermark.timestamp)

    def _id(self, instrument: Instrument) -> int:
        known = self.ids.get(instrument)
        if known is not None:
            return known
        number = self.ids[instrument] = len(self.instruments)
        self.instruments.append(instrument)
        self.by_symbol.setdefault(instrument.symbol, []).append(number)
        if number >= len(self.totals):
            room = max(16, number)
            self.totals = np.concatenate((self.totals, np.zeros((room, WIDTH), np.int64)))
            self.price_scale = np.concatenate((self.price_scale, np.zeros(room, np.int64)))
            self.quantity_scale = np.concatenate((self.quantity_scale, np.zeros(room, np.int64)))
        return number

    def restore_instruments(self, instruments: list[Instrument], totals: Rows, *scales: Ints) -> None:
        """Take over what a snapshot held, in an empty state."""
        for instrument in instruments:
            self._id(instrument)
        count = len(instruments)
        self.totals[:count] = totals
        self.price_scale[:count], self.quantity_scale[:count] = scales

    def _raise_scales(self, ids: Ints, price_scale: Ints, quantity_scale: Ints) -> None:
        """Bring the state of these instruments to at least the scales of what is about to be merged."""
        price_digits = np.maximum(price_scale - self.price_scale[ids], 0)
        quantity_digits = np.maximum(quantity_scale - self.quantity_scale[ids], 0)
        grown = np.flatnonzero(price_digits + quantity_digits)
        if len(grown) == 0:
            return
        self._rescale(ids[grown], price_digits[grown], quantity_digits[grown])
        self.price_scale[ids] += price_digits
        self.quantity_scale[ids] += quantity_digits
        for number in grown.tolist():
            if (instrument := int(ids[number])) in self.negative:
                factor = 10 ** int(price_digits[number] + quantity_digits[number])
                self.negative[instrument] = times(self.negative[instrument], factor)

    def _rescale(self, ids: Ints, price_digits: Ints, quantity_digits: Ints) -> None:
        held = (self.totals[ids, layout.REVISION] > 0) & ~np.isin(ids, list(self.wide.atoms))
        ids, price_digits, quantity_digits = ids[held], price_digits[held], quantity_digits[held]
        # The totals hold the extremes of all atoms: when they fit, every atom fits.
        fit = ~layout.unfit(self.totals[ids], price_digits, quantity_digits)
        for instrument in ids[~fit].tolist():
            self._widen(instrument)
        ids, price_digits, quantity_digits = ids[fit], price_digits[fit], quantity_digits[fit]
        if len(ids) == 0:
            return
        self.windows.forget(ids)
        totals = self.totals[ids]
        layout.rescale(totals, price_digits, quantity_digits)
        self.totals[ids] = totals
        at = self.atoms.of_instruments(ids)
        rows = self.atoms.rows[at]
        order = np.argsort(ids)
        owner = order[np.searchsorted(ids[order], rows[:, INSTRUMENT])]
        layout.rescale(rows, price_digits[owner], quantity_digits[owner])
        self.atoms.replace(at, rows)

    def _merge_rows(self, ids: Ints, partial: Partial, price_digits: Ints, quantity_digits: Ints) -> None:
        """Merge a partial's rows, raised by so many digits per instrument to the scales of the state."""
        rows = partial.rows
        local = rows[:, INSTRUMENT].copy()
        rows[:, INSTRUMENT] = ids[local]
        price_digits, quantity_digits = price_digits[local], quantity_digits[local]
        for instrument in np.unique(rows[layout.unfit(rows, price_digits, quantity_digits), INSTRUMENT]).tolist():
            self._widen(instrument)
        if self.wide.atoms:
            wide = np.isin(rows[:, INSTRUMENT], list(self.wide.atoms))
            for number, row in zip(local[wide].tolist(), rows[wide].tolist(), strict=True):
                atom = layout.to_atom(row, partial.price_scale[number], partial.quantity_scale[number])
                self.wide.merge(row[INSTRUMENT], row[LEVEL], row[START], atom)
            rows, price_digits, quantity_digits = rows[~wide], price_digits[~wide], quantity_digits[~wide]
        if len(rows):
            layout.rescale(rows, price_digits, quantity_digits)
            self._put(rows)

    def _put(self, rows: Rows) -> None:
        """Merge rows at the scales of the state."""
        self.atoms.merge(rows)
        self.atoms.merging.absorb_totals(self.totals, rows)
        self.windows.merged(rows)

    # --- what does not fit a row -----------------------------------------------------------------------------------

    def _widen(self, instrument: int) -> None:
        """Move an instrument from rows to Python integers, for good."""
        if instrument in self.wide:
            return
        self.windows.forget(np.array([instrument]))
        total = self.total(instrument)
        scales = int(self.price_scale[instrument]), int(self.quantity_scale[instrument])
        rows = self.atoms.remove(self.atoms.of_instruments(np.array([instrument]))).tolist()
        atoms = {(row[LEVEL], row[START]): layout.to_atom(row, *scales) for row in rows}
        self.wide.adopt(instrument, total, atoms)
        self.totals[instrument] = 0

    def _merge_negative(self, ids: Ints, partial: Partial) -> None:
        for local, sums in partial.negative.items():
            instrument = int(ids[local])
            digits = int(self.price_scale[instrument] + self.quantity_scale[instrument])
            scaled = times(sums, 10 ** (digits - partial.price_scale[local] - partial.quantity_scale[local]))
            known = self.negative.get(instrument, (0, 0, 0))
            self.negative[instrument] = known[0] + scaled[0], known[1] + scaled[1], known[2] + scaled[2]

    def _fold(self, newest: int) -> None:
        self.orders.bound(newest * 1_000_000_000)
        before = list(self.atoms.frontier)
        self.atoms.fold(newest)
        if self.atoms.frontier != before:
            self.wide.fold()
            self.windows.folded()
        if self.patterns is not None:
            self.patterns.fold()

    # --- reading ---------------------------------------------------------------------------------------------------

    def total(self, instrument: int) -> Atom | None:
        """Everything merged of an instrument; None when nothing is."""
        if instrument in self.wide:
            return self.wide.totals.get(instrument)
        row: list[int] = self.totals[instrument].tolist()
        if row[layout.REVISION] == 0:
            return None
        return layout.to_atom(row, int(self.price_scale[instrument]), int(self.quantity_scale[instrument]))

    def trades_of(self) -> Ints:
        """The number of trades of each instrument, by id."""
        counts: Ints = self.totals[: len(self.instruments), layout.TRADES : layout.TRADES + 3].sum(axis=1)
        for instrument, atom in self.wide.totals.items():
            counts[instrument] = sum(atom.trades)
        return counts


def times(sums: tuple[int, int, int], factor: int) -> tuple[int, int, int]:
    """Each of three sums times a factor."""
    return sums[0] * factor, sums[1] * factor, sums[2] * factor
