"""What a lease carries of a journal record: a record again, without what no worker looks at.

That are the keys and answers of requests, and most optional columns (trade_id, account, tags): more than half of the
bytes, which would be copied five times on their way and checked once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from telemetry.backbone.record import About, read_header, record_pieces
from telemetry.fixed import fixed_pieces
from telemetry.wire import Buffer


def leased(raw: memoryview) -> Sequence[Buffer]:
    """The pieces of the record that goes to a worker; they point into `raw`, which is one that the journal gave."""
    record = read_header(raw)
    return record_pieces(
        About(record.first_seq, record.synced_seq, record.count, record.min_timestamp, record.max_timestamp),
        frame=fixed_pieces(record.frame),
    )
