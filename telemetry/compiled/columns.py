"""Rows to columns for compiled code: from the slots of one trade to columns with room for all, then to what is kept.

See telemetry.compiled.slots for the order of the columns. A column that not all trades have is begun when the first
trade has it; trades before it get what stands for absence.
"""

from __future__ import annotations

import numpy as np

from telemetry.compiled import slots as at
from telemetry.compiled.compiler import BYTES, INDICES, INTEGER, INTEGERS, LONGS, TEXT, UNSIGNED, entry, part
from telemetry.compiled.digest_columns import collect_digests, sums_of_instruments
from telemetry.compiled.memory import WORD_BYTES, behind, pointer, put_word, word_at
from telemetry.frame import Array
from telemetry.times import ABSENT
from telemetry.trade import NO_FEE

_INTEGERS, _SMALL, _TEXTS = (np.array(columns) for columns in (at.INTEGER_COLUMNS, at.SMALL_COLUMNS, at.TEXT_COLUMNS))
_ABSENCE = at.DEFAULTS[_INTEGERS]
_ZERO, _HIGH_BITS = np.uint64(0), np.uint64(0x8080808080808080)
_FEE, _FEE_SCALE = at.INTEGER_COLUMNS.index(2 * at.FEE), at.SMALL_COLUMNS.index(2 * at.FEE + 1)


@part
def begin_columns(fields: int, row: int, capacity: int, columns: Array, octets: Array) -> None:
    """The columns of these fields (a bit for each) for the rows before this one."""
    for index in range(at.ALWAYS, len(_INTEGERS)):
        if fields >> (_INTEGERS[index] >> 1) & 1:
            for place in range(index * capacity, index * capacity + row):
                columns[place] = _ABSENCE[index]
    for index in range(len(_TEXTS)):
        if fields >> (_TEXTS[index] >> 1) & 1:
            first = (len(_SMALL) + index) * capacity
            for place in range(first, first + row):
                octets[place] = 0


@part
def store(slots: Array, row: int, capacity: int, columns: Array, octets: Array, places: Array, code: int) -> None:
    """One trade; the code of its instrument is `code`."""
    seen = slots[at.SEEN]
    places[len(_TEXTS) * capacity + row] = np.uint32(code)
    for index in range(at.ALWAYS):
        columns[index * capacity + row] = slots[_INTEGERS[index]]
    for index in range(at.ALWAYS, len(_INTEGERS)):
        if seen >> (_INTEGERS[index] >> 1) & 1:
            value = slots[_INTEGERS[index]]
            columns[index * capacity + row] = value
            has = slots[_INTEGERS[index] + 1] != NO_FEE if index == _FEE else value != ABSENT
            slots[at.HAVE + index - at.ALWAYS] += has
    for index in range(len(_SMALL)):
        octets[index * capacity + row] = np.uint8(slots[_SMALL[index]])
    for index in range(len(_TEXTS)):
        if seen >> (_TEXTS[index] >> 1) & 1:
            length = slots[_TEXTS[index] + 1]
            places[index * capacity + row] = np.uint32(slots[_TEXTS[index]])
            octets[(len(_SMALL) + index) * capacity + row] = np.uint8(length)
            slots[at.TOTALS + index] += length


@part
def _copy_integers(source: Array, target: Array, count: int, absent: int) -> None:
    """ABSENT becomes `absent`."""
    for row in range(count):
        value = source[row]
        target[row] = absent if value == ABSENT else value


@part
def _copy_octets(source: Array, start: int, target: Array, at_target: int, count: int) -> int:
    """Gives the end in the target."""
    for place in range(count):
        target[at_target + place] = source[start + place]
    return at_target + count


@part
def _collect_always(columns: Array, out: Array, capacity: int, count: int, bodies: Array, of_bodies: int) -> None:
    """Those that every trade has, and when its body was received, which is its time where it has none."""
    start = 0
    for body in range(of_bodies):
        end, received_at = bodies[2 * body], bodies[2 * body + 1]
        for index in range(at.ALWAYS):
            source, target = behind(columns, index * capacity + start), behind(out, index * count + start)
            _copy_integers(source, target, end - start, received_at)
        for row in range(at.ALWAYS * count + start, at.ALWAYS * count + end):
            out[row] = received_at
        start = end


@part
def _collect_integers(result: Array, out: Array, capacity: int, count: int, bodies: Array, of_bodies: int) -> None:
    columns = behind(result, at.RESULT + at.FOLLOWS)
    _collect_always(columns, out, capacity, count, bodies, of_bodies)
    end = at.ALWAYS * count
    for index in range(at.ALWAYS, len(_INTEGERS)):
        if result[at.HAVE + index - at.ALWAYS] > 0:
            end += count
            _copy_integers(behind(columns, index * capacity), behind(out, end), count, ABSENT)


@part
def _collect_small(result: Array, octets: Array, out: Array, capacity: int, count: int) -> int:
    end = 0
    for index in range(len(_SMALL)):
        if index != _FEE_SCALE or result[at.HAVE] > 0:
            end = _copy_octets(octets, index * capacity, out, end, count)
    if result[at.TOTALS] > 0:
        lengths = len(_SMALL) * capacity  # those of trade_id are the first
        for row in range(count):
            out[end + row] = octets[lengths + row] > 0
        end += count
    return end


@part
def _copy_text(text: Array, start: int, out: Array, end: int, length: int) -> tuple[int, np.uint64]:
    """The end in `out`, and all words of the text. Bytes behind it are copied, too: the next text overwrites them."""
    place, stop, seen = end, end + length, _ZERO
    while place < stop:
        word = word_at(text, start)
        put_word(out, place, word)
        seen |= word
        start += WORD_BYTES
        place += WORD_BYTES
    return stop, seen


@part
def _gather(
    text: Array, starts: Array, lengths: Array, count: int, offsets: Array, out: Array, end: int
) -> tuple[int, np.uint64]:
    """One text column: the bytes at `starts` behind `end` in `out`, and where each of them ends from there on. Gives
    the end, and all words of the texts."""
    first, seen = end, _ZERO
    for row in range(count):
        offsets[row] = np.uint32(end - first)
        end, words = _copy_text(text, int(starts[row]), out, end, int(lengths[row]))
        seen |= words
    offsets[count] = np.uint32(end - first)
    return end, seen


@part
def _record(text: Array, entry: Array, out: Array, end: int) -> tuple[int, np.uint64]:
    """An instrument: i64 multiplier; u8 kind, multiplier_scale, length of venue, of symbol; venue, symbol, currency.

    Gives the end, and all words of the texts.
    """
    for octet in range(8):
        out[end + octet] = np.uint8(entry[7] >> 8 * octet & 0xFF)
    out[end + 8], out[end + 9], out[end + 10], out[end + 11] = entry[6], entry[8], entry[3], entry[1]
    end, venue = _copy_text(text, entry[2], out, end + at.RECORD, entry[3])
    end, symbol = _copy_text(text, entry[0], out, end, entry[1])
    end, currency = _copy_text(text, entry[4], out, end, entry[5])
    return end, venue | symbol | currency


@part
def _copy_codes(source: Array, target: Array, count: int) -> None:
    for row in range(count):
        target[row] = source[row]


@part
def _collect_records(text: Array, result: Array, entries: Array, ends: Array, out: Array, end: int) -> np.uint64:
    """Gives all words of the texts."""
    first, seen = end, _ZERO
    for code in range(result[at.KNOWN]):
        end, words = _record(text, behind(entries, code * at.ENTRY), out, end)
        ends[code] = np.uint32(end - first)
        seen |= words
    return seen


@part
def _collect_texts(
    text: Array,
    result: Array,
    places: Array,
    octets: Array,
    capacity: int,
    count: int,
    offsets: Array,
    out: Array,
    end: int,
) -> tuple[int, int, np.uint64]:
    """All text columns. Gives how many offsets there are, the end of the texts, and all words of them."""
    used, seen = 0, _ZERO
    for index in range(len(_TEXTS)):
        if result[at.TOTALS + index] > 0:
            lengths = behind(octets, (len(_SMALL) + index) * capacity)
            starts, ends = behind(places, index * capacity), behind(offsets, used)
            end, words = _gather(text, starts, lengths, count, ends, out, end)
            seen |= words
            used += count + 1
    return used, end, seen


@entry(TEXT, UNSIGNED, INTEGER, INTEGER, LONGS, INTEGERS, INDICES, UNSIGNED, BYTES, INTEGERS, INDICES, UNSIGNED, BYTES)
def collect(
    body: Array,
    random: Array,
    capacity: int,
    count: int,
    bodies: Array,
    integers: Array,
    indices: Array,
    digests: Array,
    small: Array,
    to_integers: Array,
    to_indices: Array,
    to_digests: Array,
    to_small: Array,
) -> int:
    """The first `count` rows of the columns that some trade has, one behind the other. 1 when a text may have letters
    that are not ASCII, else 0. `bodies`: of each the row behind its last one, and when it was received.

    i64  price, quantity, timestamp, received_at; of fee, source_seq, sent_at, order_sent_at those that some trade has
    u32  codes of the instruments; count + 1 offsets of each text; where the record of each instrument ends
    u64  when some trade has a trade_id: key digests in pairs; fingerprints
    u8   side, scales of price and quantity; when some trade has a fee, its scale; when some has a trade_id, whether it
         has one (0 or 1); the texts; the records of the instruments; at.SLACK bytes of no meaning
    """
    text, result, places, octets = pointer(body), pointer(integers), pointer(indices), pointer(small)
    out, offsets, columns = pointer(to_small), pointer(to_indices), behind(result, at.RESULT + at.FOLLOWS)
    _collect_integers(result, pointer(to_integers), capacity, count, pointer(bodies), len(bodies) // 2)
    codes, entries = behind(places, len(_TEXTS) * capacity), behind(columns, len(_INTEGERS) * capacity)
    _copy_codes(codes, offsets, count)
    texts = _collect_small(result, octets, out, capacity, count)
    used, end, seen = _collect_texts(text, result, places, octets, capacity, count, behind(offsets, count), out, texts)
    if result[at.TOTALS] > 0:
        sums, words = behind(pointer(digests), at.WORK), pointer(random)
        sums_of_instruments(text, entries, result[at.KNOWN], words, sums)
        collected = (columns, octets, codes, sums, behind(offsets, count), out)
        collect_digests(result, collected, texts, capacity, count, words, pointer(digests), pointer(to_digests))
    seen |= _collect_records(text, result, entries, behind(offsets, count + used), out, end)
    return 1 if seen & _HIGH_BITS else 0
