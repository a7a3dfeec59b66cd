"""The reading of a body of many trades that are written alike: array operations on its bytes, no object for a trade.

What stands between the values is the same in all trades, and the first trade is looked at closely (see alike_layout):
so the body is JSON that has no name twice. It accepts only what the reference accepts, with the same result. Escapes,
characters beyond ASCII, null where a text may be, tags, trades that are written otherwise than the first: Doubt.
"""

from __future__ import annotations

import numpy as np

from telemetry.alike_instruments import Instruments
from telemetry.alike_values import Values, find_values
from telemetry.columns import Columns, present
from telemetry.decode_reference import Media
from telemetry.frame import I64, OPTIONAL, U8, Array, Text
from telemetry.json_rows import TEXTS, TIMES
from telemetry.literals import decimals, numbers
from telemetry.times import ABSENT
from telemetry.trade import LIQUIDITIES, SIDES

PADDING = 64  # zeros that follow a body, for what is looked at behind the last value
_TEXTS = ("trade_id", *TEXTS)
_CHOICES = {"liquidity": ("", *LIQUIDITIES), "action": ("new",)}


class AlikeReading:
    """Reads such bodies, and remembers their instruments. Thread safe."""

    def __init__(self) -> None:
        self._instruments = Instruments()

    def columns(self, text: Array, size: int, media: Media, received_at: int) -> tuple[Columns, Array]:
        """The columns of the first `size` bytes of a text, which PADDING zeros follow, and which trades have a
        timestamp (bool[n]). Raises Doubt."""
        values = find_values(text, size, media)
        return self.columns_of(values, np.full(values.count, received_at, I64))

    def columns_of(self, values: Values, received_at: Array) -> tuple[Columns, Array]:
        """The same of values that were found, with a time for each trade (ns UTC, i64[n]). Raises Doubt."""
        count = values.count
        prices, scales = values.prices()
        for name, choices in _CHOICES.items():
            if name in values:
                values.codes(name, choices)
        optional: dict[str, Array | Text] = {name: values.column(name) for name in _TEXTS if name in values}
        optional |= {name: values.times(name) for name in TIMES[1:] if name in values}
        if "fee" in values:
            optional["fee"], optional["fee_scale"] = decimals(values.literals("fee"))
        if "source_seq" in values:
            optional["source_seq"] = numbers(values.literals("source_seq"))
        instruments, codes = self._instruments.of(values)
        timestamps = values.times("timestamp") if "timestamp" in values else np.full(count, ABSENT, I64)
        given = timestamps != ABSENT
        return (
            Columns(
                instruments,
                codes,
                values.codes("side", SIDES) if "side" in values else np.zeros(count, U8),
                prices[:count],
                scales[:count],
                prices[count:],
                scales[count:],
                np.where(given, timestamps, received_at),
                received_at,
                present({name: optional[name] for name in OPTIONAL if name in optional}),
            ),
            given,
        )
