"""What compiled code is told of the columns of an Arrow body. Places are those of the body.

First HEAD integers: how many columns make the instrument, by their codes; how many more are read whole; how many there
are, in this order; how many entries all dictionaries have; how many dictionaries there are. Then SIZE integers for each
column:

SLOT    of the field, see telemetry.compiled.slots
KIND    one of those below
VALUES  the first value; of texts the first offset, of coded ones the first index
BLOB    the bytes of texts, and BLOB_END behind them
VALID   the bits that tell which rows have a value, -1 when all have one
WIDTH   the bytes of a value, an offset or an index; IS_SIGNED whether it has a sign
SCALE   of decimals; of times the nanoseconds of a tick
ENTRIES of coded texts: where their entries begin among all (start and length each), and COUNT of them

Then OF_DICTIONARY integers for each dictionary: where its offsets are and the bytes of one, where its bytes begin and
end, how many entries it has, and where they begin among all.
"""

from __future__ import annotations

HEAD, OF_DICTIONARY = 5, 6

SLOT, KIND, VALUES, BLOB, BLOB_END, VALID, WIDTH, IS_SIGNED, SCALE, ENTRIES, COUNT, SIZE = range(12)
TEXTS, CODED, DECIMALS, DOUBLES, INTEGERS, TICKS = range(6)
MEMO = 1024  # codes that are remembered, with their instruments


def room_for(entries: int) -> int:
    """Integers for start and length of each entry, one for what it means, and the memory of codes."""
    return 3 * entries + 2 * MEMO
