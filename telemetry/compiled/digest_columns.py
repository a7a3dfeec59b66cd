"""Key digests and fingerprints of the columns of many trades, for compiled code: the sums that telemetry.digests
defines, of a block of trades at a time. Each loop does one thing to all of them, which the processor then does to
several trades at once. telemetry.compiled.digests has the same sums for one trade.

A block has its sums in `work`: LANES columns of BLOCK words, those of the key, then those of the payload; behind them
eight bytes of the text of each trade.
"""

from __future__ import annotations

import numpy as np

from telemetry import digests
from telemetry.compiled import slots as at
from telemetry.compiled.compiler import part
from telemetry.compiled.digests import of_instrument
from telemetry.compiled.memory import WORD_BYTES, behind, word_at
from telemetry.frame import Array
from telemetry.times import ABSENT
from telemetry.trade import NO_FEE

BLOCK, WORK, LANES = at.BLOCK, at.WORK, at.SUMS
# The columns of integers and small ones, codes, sums of instruments; of the texts the offsets and the bytes.
Collected = tuple[Array, Array, Array, Array, Array, Array]

_WORDS = LANES * BLOCK  # where those of the texts are
_PAYLOAD = digests.KEY_LANES * BLOCK
_RANDOM = digests.KEY_LANES * digests.KEY_WORDS  # where the random words of the payload begin
_TEXT_NAMES = tuple(at.FIELDS[slot >> 1] for slot in at.TEXT_COLUMNS)
_KEY_TEXTS = np.array([4 * digests.KEY_AT[name] if name in digests.KEY_TEXTS else -1 for name in _TEXT_NAMES])
_PAYLOAD_TEXTS = np.array([2 * digests.PAYLOAD_AT.get(name, 0) for name in _TEXT_NAMES])
_NUMBER_NAMES = tuple(at.FIELDS[slot >> 1] for slot in at.INTEGER_COLUMNS)
_NUMBERS = np.array([2 * digests.NUMBERS_AT.get(name, 0) for name in _NUMBER_NAMES])  # 0: no part of it
_ABSENT = np.uint64(ABSENT & (1 << 64) - 1)
_ABSENCE = np.array([digests.ABSENCE.get(name, 0) & (1 << 64) - 1 for name in _NUMBER_NAMES], np.uint64)
_DIGEST, _SMALL = 2 * digests.DIGEST_AT, 2 * digests.SMALL_AT
_FEE_SCALE = at.SMALL_COLUMNS.index(2 * at.FEE + 1)
_ZERO, _HALF, _LOW, _TOP = np.uint64(0), np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFF_00000000)
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD_BYTES + 1)], np.uint64)  # of so many bytes


@part
def _begin(codes: Array, sums: Array, count: int, work: Array) -> None:
    """What the instrument of each trade adds, see telemetry.compiled.digests.of_instrument."""
    for row in range(count):
        known = np.int64(at.SUMS) * np.int64(codes[row])
        for lane in range(LANES):
            work[lane * BLOCK + row] = sums[known + lane]


@part
def _next_words(texts: Array, blob: int, offsets: Array, count: int, behind_start: int, words: Array) -> None:
    """The eight bytes of each text that are so far behind its start, zeros behind its end."""
    for row in range(count):
        start, end = np.int64(offsets[row]) + behind_start, np.int64(offsets[row + 1])
        if start < end:
            words[row] = word_at(texts, int(blob + start)) & _MASKS[min(WORD_BYTES, int(end - start))]
        else:
            words[row] = _ZERO


@part
def _lengths(offsets: Array, count: int, words: Array) -> int:
    """The length of each text; gives the greatest."""
    longest = 0
    for row in range(count):
        length = np.int64(offsets[row + 1]) - np.int64(offsets[row])
        words[row] = np.uint64(length)
        longest = max(longest, int(length))
    return longest


@part
def _add_key(values: Array, random: Array, place: int, count: int, work: Array) -> None:
    """Numbers of 64 bits to the sums of keys."""
    e, f, g, h = random[place], random[place + 1], random[place + 2], random[place + 3]
    p, q, r, s = random[place + 4], random[place + 5], random[place + 6], random[place + 7]
    for row in range(count):
        low, high = values[row] & _LOW, values[row] >> _HALF
        work[row] += e * low + p * high
        work[BLOCK + row] += f * low + q * high
        work[2 * BLOCK + row] += g * low + r * high
        work[3 * BLOCK + row] += h * low + s * high


@part
def _add_payload(values: Array, absence: np.uint64, random: Array, place: int, count: int, sums: Array) -> None:
    """Numbers of 64 bits to the sums of payloads; `absence` is what stands for none."""
    p, q, r, s = random[place], random[place + 1], random[place + 2], random[place + 3]
    for row in range(count):
        value = np.uint64(values[row]) ^ absence
        low, high = value & _LOW, value >> _HALF
        sums[row] += p * low + r * high
        sums[BLOCK + row] += q * low + s * high


@part
def _add_key_text(texts: Array, blob: int, offsets: Array, count: int, index: int, words: Array, work: Array) -> None:
    """A column of texts (at.TEXT_COLUMNS) to the sums of keys, if it is part of them: those of the block end at its
    `offsets` from `blob` on."""
    place = _KEY_TEXTS[index]
    if place < 0:
        return
    values = behind(work, _WORDS)
    longest = _lengths(offsets, count, values)
    e, f, g, h = words[place], words[place + 1], words[place + 2], words[place + 3]
    for row in range(count):
        work[row] += e * values[row]
        work[BLOCK + row] += f * values[row]
        work[2 * BLOCK + row] += g * values[row]
        work[3 * BLOCK + row] += h * values[row]
    for start in range(0, longest, WORD_BYTES):
        _next_words(texts, blob, offsets, count, start, values)
        _add_key(values, words, place + 4 + start, count, work)


@part
def _add_payload_text(
    texts: Array, blob: int, offsets: Array, count: int, index: int, words: Array, work: Array
) -> None:
    """As _add_key_text, for those that are part of the payload."""
    place = _PAYLOAD_TEXTS[index]
    if place == 0:
        return
    values, sums, random = behind(work, _WORDS), behind(work, _PAYLOAD), behind(words, _RANDOM)
    longest = _lengths(offsets, count, values)
    p, q = random[place], random[place + 1]
    for row in range(count):
        sums[row] += p * values[row]
        sums[BLOCK + row] += q * values[row]
    for start in range(0, longest, WORD_BYTES):
        _next_words(texts, blob, offsets, count, start, values)
        _add_payload(values, _ZERO, random, place + 2 + start // 2, count, sums)


@part
def _finish_keys(given: Array, count: int, words: Array, work: Array, out: Array) -> None:
    """The digests, in pairs; 0 where there is no trade_id. What they add to the payload."""
    first, second = work, behind(work, 2 * BLOCK)
    for row in range(count):
        one = work[row] >> _HALF | work[BLOCK + row] & _TOP
        other = work[2 * BLOCK + row] >> _HALF | work[3 * BLOCK + row] & _TOP
        first[row], second[row] = one, other
    for row in range(count):
        has = _ZERO - np.uint64(given[row])
        out[2 * row], out[2 * row + 1] = first[row] & has, second[row] & has
    random, sums = behind(words, _RANDOM), behind(work, _PAYLOAD)
    _add_payload(first, _ZERO, random, _DIGEST, count, sums)
    _add_payload(second, _ZERO, random, _DIGEST + 4, count, sums)


@part
def _add_numbers(
    columns: Array, octets: Array, capacity: int, have: Array, count: int, words: Array, work: Array
) -> None:
    """The numbers of the block to the sums of payloads. `have`: how many trades have each that not all have."""
    random, sums = behind(words, _RANDOM), behind(work, _PAYLOAD)
    for index in range(len(_NUMBERS)):
        place = _NUMBERS[index]
        if place > 0 and (index < at.ALWAYS or have[index - at.ALWAYS] > 0):
            _add_payload(behind(columns, index * capacity), _ABSENCE[index], random, place, count, sums)
    p, q, values = random[_SMALL], random[_SMALL + 1], behind(work, _WORDS)
    side, prices, quantities = octets, behind(octets, capacity), behind(octets, 2 * capacity)
    for row in range(count):
        small = np.int64(side[row]) | np.int64(prices[row]) << 8 | np.int64(quantities[row]) << 16
        values[row] = np.uint64(small)
    if have[0] > 0:
        fees = behind(octets, _FEE_SCALE * capacity)
        for row in range(count):
            values[row] |= np.uint64((np.int64(fees[row]) ^ NO_FEE) << 24)
    for row in range(count):
        sums[row] += p * values[row]
        sums[BLOCK + row] += q * values[row]


@part
def _finish_payloads(given: Array, count: int, work: Array, out: Array) -> None:
    """The fingerprints; 0 where there is no trade_id."""
    sums = behind(work, _PAYLOAD)
    for row in range(count):
        out[row] = (sums[row] >> _HALF | sums[BLOCK + row] & _TOP) & (_ZERO - np.uint64(given[row]))


@part
def sums_of_instruments(text: Array, entries: Array, known: int, words: Array, sums: Array) -> None:
    """What each instrument adds; their texts are in `text`."""
    for code in range(known):
        entry = behind(entries, code * at.ENTRY)
        of_instrument(text, entry, entry[6], entry[7], entry[8], words, behind(sums, at.SUMS * code))


@part
def _add_texts(
    result: Array,
    collected: Collected,
    blob: int,
    first: int,
    count: int,
    size: int,
    words: Array,
    work: Array,
    of_key: int,
) -> None:
    """All columns of texts of the block that begins at `first`: those of the key, or those of the payload."""
    offsets, texts = collected[4], collected[5]
    for index in range(len(_KEY_TEXTS)):
        total = result[at.TOTALS + index]
        if total > 0:
            block = behind(offsets, first)
            if of_key:
                _add_key_text(texts, blob, block, size, index, words, work)
            else:
                _add_payload_text(texts, blob, block, size, index, words, work)
            blob += total
            offsets = behind(offsets, count + 1)


@part
def collect_digests(
    result: Array, collected: Collected, blob: int, capacity: int, count: int, words: Array, work: Array, out: Array
) -> None:
    """Key digests in pairs, then fingerprints, of all `count` trades. The texts begin at `blob`; before them is which
    trades have a trade_id. `result` is what a pass over the trades left, see telemetry.compiled.slots."""
    columns, octets, codes, sums, _, small = collected
    given, have = behind(small, blob - count), behind(result, at.HAVE)
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        has = behind(given, first)
        _begin(behind(codes, first), sums, size, work)
        _add_texts(result, collected, blob, first, count, size, words, work, 1)
        _finish_keys(has, size, words, work, behind(out, 2 * first))
        _add_numbers(behind(columns, first), behind(octets, first), capacity, have, size, words, work)
        _add_texts(result, collected, blob, first, count, size, words, work, 0)
        _finish_payloads(has, size, work, behind(out, 2 * count + first))
