"""What a snapshot holds beside the atoms: as it is in memory, as rows of the file, and back.

`fixed` is taken on the event loop and small; `copied` may take long and is taken in a thread, while nothing is merged.
Large values are written in pieces: the library holds Python's lock while it takes one in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from isal.isal_zlib import crc32

from gateway.aggregator import Aggregator
from telemetry.latencies import NO_CELLS, Cells, Name, concatenated
from telemetry.latencies import WIDTH as CELL_WIDTH
from telemetry.partial import Watermark, atom_from_texts, atom_to_texts
from telemetry.rows import WIDTH
from telemetry.trade import Instrument

PART = 4096  # instruments written as JSON at a time
PIECE = 1 << 19  # bytes of a row of the file
_NUMBER = "{}#{:06d}"  # the name of a piece
Head = dict[str, Any]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def fixed(state: Aggregator) -> Head:
    """A copy of what is small; what takes long is left to `copied` and `as_rows`."""
    wide = {
        number: {
            "total": atom_to_texts(state.wide.totals[number]),
            "atoms": [(level, start, atom_to_texts(atom)) for (level, start), atom in atoms.items()],
        }
        for number, atoms in state.wide.atoms.items()
    }
    if state.patterns is not None:
        state.patterns.take_in()
    return {
        "applied": state.applied,
        "watermark": json.dumps(state.watermark),
        "quarantined": json.dumps(state.quarantined),
        "instruments": list(state.instruments),
        "frontier": json.dumps(state.atoms.frontier),
        "negative": dict(state.negative),
        "wide": json.dumps(wide),
        "orders": json.dumps({"names": state.orders.names, "frontier": state.orders.frontier}),
        "older": state.orders.older(),
        "slots": state.orders.everything()[1:],
    }


def copied(state: Aggregator) -> Head:
    """The rest, of the same instant."""
    count = len(state.instruments)
    return {
        "price_scale": state.price_scale[:count].copy(),
        "quantity_scale": state.quantity_scale[:count].copy(),
        "totals": state.totals[:count].copy(),
        "patterns": None if state.patterns is None else state.patterns.copied(count),
    }


def as_rows(head: Head) -> Head:
    """By name what is written: texts, numbers and pieces of arrays. Lists become JSON, made of parts: one part holds
    Python's lock for a few milliseconds at most."""
    parts = [
        json.dumps(head["instruments"][first : first + PART])[1:-1]
        for first in range(0, len(head["instruments"]), PART)
    ]
    negative = {number: [str(value) for value in sums] for number, sums in head["negative"].items()}
    more: Head = {"instruments": f"[{','.join(parts)}]", "negative": json.dumps(negative)}
    more |= {"loss": json.dumps(head["loss"]), "slots": concatenated(head["slots"])}
    patterns = {} if head["patterns"] is None else head["patterns"]()
    arrays = patterns.pop("arrays", [])
    more |= {"patterns": json.dumps(patterns), "pattern_arrays": arrays}
    return {name: value for pair in (head | more).items() for name, value in _pieces(*pair)}


def _pieces(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, list | np.ndarray):
        yield name, value
        return
    number = 0
    for array in value if isinstance(value, list) else [value]:
        content = array.reshape(-1).view(np.uint8).data
        for start in range(0, len(content), PIECE):
            yield _NUMBER.format(name, number), content[start : start + PIECE]
            number += 1


def checksum(rows: Mapping[str, Any]) -> int:
    """Of all of them but itself."""
    crc = 0
    for name in sorted(rows.keys() - {"checksum"}):
        value = rows[name]
        crc = crc32(value if isinstance(value, bytes | memoryview) else str(value).encode(), crc32(name.encode(), crc))
    return crc


def restore(state: Aggregator, saved: Head, pages: list[bytes]) -> None:
    """Fill an empty state with what was in the file."""
    instruments = [Instrument(*fields) for fields in json.loads(saved["instruments"])]
    totals, price_scale, quantity_scale = (_ints(saved, name) for name in ("totals", "price_scale", "quantity_scale"))
    watermark = json.loads(saved["watermark"])
    state.restore_instruments(instruments, totals.reshape(-1, WIDTH), price_scale, quantity_scale)
    state.applied = int(saved["applied"])
    state.watermark = Watermark(*watermark) if watermark else None
    state.quarantined = json.loads(saved["quarantined"])
    state.atoms.load(np.frombuffer(b"".join(pages), np.int64).reshape(-1, WIDTH), json.loads(saved["frontier"]))
    if state.patterns is not None:
        state.patterns.load(json.loads(saved["patterns"]), _ints(saved, "pattern_arrays"))
    for number, sums in json.loads(saved["negative"]).items():
        state.negative[int(number)] = int(sums[0]), int(sums[1]), int(sums[2])
    for number, of in json.loads(saved["wide"]).items():
        atoms = {(level, start): atom_from_texts(texts) for level, start, texts in of["atoms"]}
        state.wide.adopt(int(number), atom_from_texts(of["total"]), atoms)
    orders = json.loads(saved["orders"])
    names = [Name(*name) for name in orders["names"]]
    older, slots = (_cells(_whole(saved, name)) for name in ("older", "slots"))
    state.orders.restore(names, orders["frontier"], older, slots)


def _whole(saved: Head, name: str) -> bytearray:
    """The pieces of a value, together."""
    pieces = sorted(piece for piece in saved if piece.startswith(f"{name}#"))
    return bytearray().join(saved[piece] for piece in pieces)


def _ints(saved: Head, name: str) -> Ints:
    return np.frombuffer(_whole(saved, name), np.int64)


def _cells(saved: bytearray) -> Cells:
    return np.frombuffer(saved, np.uint64).reshape(-1, CELL_WIDTH) if saved else NO_CELLS
