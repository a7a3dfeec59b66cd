"""The slots of one trade in compiled code: two integers for each field, at 2 * its number, in groups of one kind.

texts            start and length in the body, length 0 is absent (trade_id may have been an integer)
side kind action code (index into SIDES; 1 and more for KINDS, 0 not given; 0)
decimals         mantissa and scale
the rest         one integer, times.ABSENT is absent
"""

from __future__ import annotations

import numpy as np

from telemetry.digests import KEY_LANES, PAYLOAD_LANES
from telemetry.times import ABSENT
from telemetry.trade import NO_FEE

FIELDS = (
    *("symbol", "venue", "currency", "account", "strategy", "order_id", "ref_trade_id", "fee_currency", "source"),
    *("trade_id", "liquidity", "side", "kind", "action"),
    *("price", "quantity", "multiplier", "fee"),
    *("timestamp", "sent_at", "order_sent_at", "source_seq"),
)
SYMBOL, VENUE, CURRENCY, ACCOUNT, STRATEGY, ORDER_ID, REF_TRADE_ID, FEE_CURRENCY, SOURCE = range(9)
TRADE_ID, LIQUIDITY, SIDE, KIND, ACTION = range(9, 14)
PRICE, QUANTITY, MULTIPLIER, FEE = range(14, 18)
TIMESTAMP, SENT_AT, ORDER_SENT_AT, SOURCE_SEQ = range(18, 22)
COUNT = 2 * len(FIELDS) + 1
SEEN = COUNT - 1  # behind the fields: a bit for each that was sent, also as null; of many trades, all bits of all

# What stands in the slots of a field that was not sent.
DEFAULTS = np.zeros(COUNT, np.int64)
DEFAULTS[2 * MULTIPLIER] = 1
DEFAULTS[2 * FEE + 1] = NO_FEE
DEFAULTS[[2 * TIMESTAMP, 2 * SENT_AT, 2 * ORDER_SENT_AT, 2 * SOURCE_SEQ]] = ABSENT

FILL, PRINT = 1, 2  # codes of kinds
ENTRY = 9  # of an instrument: start and length of symbol, venue and currency; kind; multiplier and its scale

# The columns of many trades, in the order in which the scanner writes them: the slot of each. The first integers and
# small ones are those of every trade, the others are written from the first trade on that has them. Behind the small
# ones come the lengths of the texts, behind the places of the texts the codes of the instruments.
INTEGER_COLUMNS = tuple(2 * field for field in (PRICE, QUANTITY, TIMESTAMP, FEE, SOURCE_SEQ, SENT_AT, ORDER_SENT_AT))
ALWAYS = 3  # of the integers
SMALL_COLUMNS = (2 * SIDE, 2 * PRICE + 1, 2 * QUANTITY + 1, 2 * FEE + 1)
TEXT_COLUMNS = tuple(
    2 * field for field in (TRADE_ID, REF_TRADE_ID, ACCOUNT, STRATEGY, ORDER_ID, LIQUIDITY, FEE_CURRENCY, SOURCE)
)
# What is left behind the slots after a pass over many trades.
TOTALS = COUNT  # the bytes of each text column
HAVE = TOTALS + len(TEXT_COLUMNS)  # how many trades have each integer that not all have
KNOWN = HAVE + len(INTEGER_COLUMNS) - ALWAYS  # the number of instruments
RECORDS = KNOWN + 1  # the bytes of their records, see columns.collect
RESULT = RECORDS + 1
# Behind all: the field that came behind each one last time, and first in a trade; then the shape of the last trade that
# had another one than those before: how many fields, and of each its number, where it and its value began, and a bit
# for each field up to it; then what was in the slots from SEEN to RESULT before the last body.
SHAPE = len(FIELDS) + 1
OF_SHAPE = 4  # integers for each of its fields
MARK = SHAPE + 1 + OF_SHAPE * len(FIELDS)
# Then whether the last trade had all of that shape, and the plan for those behind it, see telemetry.compiled.alike: how
# many fields it has, 0 for none; a bit for each that is read as any value; whether a quote comes behind the last; then
# OF_PLAN integers for each field.
ALIKE = MARK + RESULT - SEEN
PLAN = ALIKE + 1
PLAN_HEAD, OF_PLAN = 3, 5
FOLLOWS = PLAN + PLAN_HEAD + OF_PLAN * len(FIELDS)

# The memory that one pass over many trades works in: what of each type it has for each trade, in this order.
INTEGERS = len(INTEGER_COLUMNS) + ENTRY  # i64, behind RESULT + FOLLOWS: columns; entries of instruments
INDICES = len(TEXT_COLUMNS) + 1 + 4  # u32: places of texts, codes of instruments; the table to find instruments
SMALL = len(SMALL_COLUMNS) + len(TEXT_COLUMNS)  # u8: columns; lengths of texts
DIGESTS, SUMS = 3, KEY_LANES + PAYLOAD_LANES  # u64: key digests in pairs, fingerprints; the sums of instruments
BLOCK = 256  # trades whose digests are made together
WORK = (SUMS + 1) * BLOCK  # u64, before the sums of instruments, see digest_columns
RECORD = 12  # bytes of an instrument's record before its texts
SLACK = 8  # bytes behind what collect leaves in bytes: texts are copied eight at a time
