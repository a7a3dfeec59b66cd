"""What a lease carries of a journal record: a record again, without what no worker looks at.

That are the keys and answers of requests, and most optional columns (trade_id, account, tags): more than half of the
bytes, which would be copied five times on their way and checked once more. Trades of other leases neither: a lease ends
in the middle of a record where atoms are folded then.
"""

from __future__ import annotations

from collections.abc import Sequence

from telemetry.backbone.record import About, read_header, record_pieces
from telemetry.fixed import fixed_pieces, rows_pieces
from telemetry.wire import Buffer


def leased(raw: memoryview, first: int, last: int) -> Sequence[Buffer]:
    """The pieces of the record that goes to a worker, of its trades first..last those that it has; they point into
    `raw`, which is one that the journal gave. The timestamps that it says are those of the whole record, and so are
    its trades where it has times of orders."""
    record = read_header(raw)
    low, high = max(first, record.first_seq) - record.first_seq, min(last, record.last_seq) + 1 - record.first_seq
    if (high - low < record.count) and (pieces := rows_pieces(record.frame, low, high)):
        about = record.first_seq + low, record.synced_seq, high - low
    else:
        about, pieces = (record.first_seq, record.synced_seq, record.count), fixed_pieces(record.frame)
    return record_pieces(About(*about, record.min_timestamp, record.max_timestamp), frame=pieces)
