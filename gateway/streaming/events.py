"""Event topics of the live stream: every trade from a subscription's cursor on, read back from the journal; every event
of alerts, which have numbers of their own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from gateway.alerting.alert import PENDING
from gateway.alerting.bulletin import Bulletin
from gateway.app import Gateway
from gateway.live import Slot
from gateway.streaming.frames import encode, message
from telemetry.backbone.record import Record
from telemetry.columns import decode_frame

FRAME_TRADES = 500  # of an event frame
FRAME_EVENTS = 100
BEHIND_TRADES = 50_000  # a client that falls further behind is told a gap


def newest(gateway: Gateway, topic: str) -> int:
    """The number up to which a topic has been told: of trades that of the last applied one."""
    return gateway.watch.bulletin.events.last if topic == "alerts" else gateway.state.applied


def events(gateway: Gateway, slot: Slot) -> Iterator[bytes]:
    """Frames of all that comes at the slot's cursor or behind it."""
    return _alerts(gateway.watch.bulletin, slot) if slot.wanted.topic == "alerts" else _trades(gateway, slot)


def _alerts(bulletin: Bulletin, slot: Slot) -> Iterator[bytes]:
    wanted, kept = slot.wanted, bulletin.events
    if not slot.started:
        slot.started = True
        rows = [] if slot.resuming else [alert for alert in bulletin.alerts.listed() if alert["state"] != PENDING]
        now = [{"number": None, "event": "open", "at": alert["fired_at"], "alert": alert} for alert in rows]
        yield message("snapshot", wanted.id, wanted.topic, slot.next_seq - 1, encode(now))
    if slot.next_seq < kept.first <= kept.last + 1 and slot.next_seq <= kept.last:
        missed = {"first": slot.next_seq, "last": kept.first - 1}
        slot.next_seq = kept.first
        yield message("gap", wanted.id, wanted.topic, missed["last"], encode(missed))
    while told := list(islice(kept.since(slot.next_seq), FRAME_EVENTS)):
        slot.next_seq = told[-1].number + 1
        data = b"[%b]" % b",".join([event.text for event in told])
        yield message("update", wanted.id, wanted.topic, told[-1].number, data)


def _trades(gateway: Gateway, slot: Slot) -> Iterator[bytes]:
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
