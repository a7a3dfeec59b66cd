"""Event topics of the live stream: every trade from a subscription's cursor on, read back from the journal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gateway.app import Gateway
from gateway.live import Slot
from gateway.streaming.frames import encode, message
from telemetry.backbone.record import Record
from telemetry.columns import decode_frame

FRAME_TRADES = 500  # of an event frame
BEHIND_TRADES = 50_000  # a client that falls further behind is told a gap


def events(gateway: Gateway, slot: Slot) -> Iterator[bytes]:
    """Frames of the trades from the slot's cursor to the applied one; loss is told by a gap, never silent.

    The cursor stands behind what was given out. b"" is a pause: much was read and nothing of it was wanted.
    """
    applied, wanted = gateway.state.applied, slot.wanted
    if not slot.started:
        slot.started = True
        yield message("snapshot", wanted.id, wanted.topic, slot.next_seq - 1, b"[]")
    if slot.next_seq >= applied - FRAME_TRADES:
        slot.resuming = False
    elif slot.next_seq < applied - BEHIND_TRADES and not slot.resuming:
        missed = {"first": slot.next_seq, "last": applied - BEHIND_TRADES}
        slot.next_seq = missed["last"] + 1
        yield message("gap", wanted.id, wanted.topic, missed["last"], encode(missed))
    for record in gateway.backbone.records(slot.next_seq, applied) if slot.next_seq <= applied else ():
        if record.count:
            yield from _frames(slot, record, min(applied, record.last_seq))


def _frames(slot: Slot, record: Record, last: int) -> Iterator[bytes]:
    columns = decode_frame(record.frame)
    symbols = set(slot.wanted.symbols)
    codes = [code for code, of in enumerate(columns.instruments) if of.symbol in symbols or "*" in symbols]
    wanted = np.isin(columns.instrument, codes)
    for first in range(slot.next_seq, last + 1, FRAME_TRADES):
        stop = min(last + 1, first + FRAME_TRADES)
        slot.next_seq = stop
        low, high = first - record.first_seq, stop - record.first_seq
        if wanted[low:high].any():
            rows = zip(range(first, stop), columns.slice(low, high).rows(), wanted[low:high].tolist(), strict=True)
            chosen = [{"seq": seq} | row for seq, row, is_in in rows if is_in]
            yield message("update", slot.wanted.id, slot.wanted.topic, stop - 1, encode(chosen))
    yield b""
