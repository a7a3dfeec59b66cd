"""As telemetry.decode_bundle, where nothing is compiled: of bodies that are written alike, the values of all at once.

Each body is looked at when it is complete, its values are read when nobody wants to add to them any more.
"""

from __future__ import annotations

import numpy as np

from telemetry.alike_values import Values, find_values
from telemetry.columns import Columns
from telemetry.decode_alike import AlikeReading
from telemetry.decode_bundle import MOST_TRADES
from telemetry.decode_compiled import MoreError
from telemetry.digests import Digests, Keys
from telemetry.frame import Array
from telemetry.literals import Doubt


class AlikeBundle:
    """What was found so far. One thread uses it, and everything but `add` leaves it empty."""

    def __init__(self, reading: AlikeReading, digests: Digests, text: Array, least_bytes: int) -> None:
        """Bodies will lie in `text` (u8); smaller ones are read more quickly alone."""
        self._least_bytes = least_bytes
        self._reading, self._digests, self._text = reading, digests, text
        self._found: list[Values] = []
        self._received_at: list[int] = []
        self.count = 0  # trades

    def add(self, start: int, size: int, received_at: int) -> int:
        """Find the values of the body there, which zeros follow: how many trades. Raises Doubt, also (MoreError) for
        lack of room or another layout than that of the others; then it holds what it held before."""
        if size < self._least_bytes:
            raise Doubt("a small body")
        values = find_values(self._text, size, "json", start)
        if self.count + values.count > MOST_TRADES or (self._found and not values.is_like(self._found[0])):
            raise MoreError
        self._found.append(values)
        self._received_at.append(received_at)
        self.count += values.count
        return values.count

    def take(self) -> tuple[Columns, Keys]:
        """The trades of all bodies in their order. Raises Doubt when a value is not certain."""
        found, received_at, self._found, self._received_at, self.count = self._found, self._received_at, [], [], 0
        rows = np.repeat(np.array(received_at, np.int64), [values.count for values in found])
        columns, given = self._reading.columns_of(Values.joined(found), rows)
        return columns, self._digests.keys_of_columns(columns, given)
