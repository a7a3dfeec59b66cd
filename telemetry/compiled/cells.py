"""What compiled code is told of a column of an Arrow body: SIZE integers, in this order. Places are those of the body.

SLOT    of the field, see telemetry.compiled.slots
KIND    one of those below
VALUES  the first value; of texts the first offset, of coded ones the first index
BLOB    the bytes of texts, and BLOB_END behind them
VALID   the bits that tell which rows have a value, -1 when all have one
WIDTH   the bytes of a value, an offset or an index; IS_SIGNED whether it has a sign
SCALE   of decimals; of times the nanoseconds of a tick
ENTRIES of coded texts: where their entries begin among all (start and length each), and COUNT of them
"""

from __future__ import annotations

SLOT, KIND, VALUES, BLOB, BLOB_END, VALID, WIDTH, IS_SIGNED, SCALE, ENTRIES, COUNT, SIZE = range(12)
TEXTS, CODED, DECIMALS, DOUBLES, INTEGERS, TICKS = range(6)
