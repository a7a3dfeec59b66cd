"""What was committed and has not been watched yet: many small commits become one block, which costs a fraction."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gateway.watching.states import Requests
from telemetry.columns import Columns, concatenate

WATCHED = ("source", "strategy", "source_seq", "sent_at")  # of the optional columns


class _Commit(NamedTuple):
    first_seq: int
    columns: Columns
    requests: Sequence[tuple[int, int]]  # (monotonic ns of arrival, trades)


class Block(NamedTuple):
    """Trades that follow one another in the journal, and the requests that brought them."""

    first_seq: int
    columns: Columns
    requests: Requests

    @property
    def last_seq(self) -> int:
        """The number of its last trade."""
        return self.first_seq + len(self.columns) - 1


class Noted:
    """Commits in order; `trades` are those that wait."""

    def __init__(self) -> None:
        self.trades = 0
        self._commits: deque[_Commit] = deque()

    def add(self, first_seq: int, columns: Columns, requests: Sequence[tuple[int, int]]) -> None:
        """A commit is on disk."""
        self._commits.append(_Commit(first_seq, columns, requests))
        self.trades += len(columns)

    def take(self, most: int) -> Block | None:
        """The oldest commits as one block: one at least, and no more than `most` trades if there are several."""
        taken: list[_Commit] = []
        size = 0
        while self._commits and (not taken or size + len(self._commits[0].columns) <= most):
            taken.append(self._commits.popleft())
            size += len(taken[-1].columns)
        if not taken:
            return None
        self.trades -= size
        columns = concatenate([watched(commit.columns) for commit in taken])
        arrived = [request for commit in taken for request in commit.requests if request[1]]
        now_ns, trades = np.array(arrived, np.int64).reshape(-1, 2).T
        starts = np.cumsum(trades) - trades
        return Block(taken[0].first_seq, columns, Requests(starts, columns.received_at[starts], now_ns))


def watched(columns: Columns) -> Columns:
    """The same trades without what is not looked at."""
    optional = {name: columns.optional[name] for name in WATCHED if name in columns.optional}
    rows = columns.instrument, columns.side, columns.price, columns.price_scale
    rest = columns.quantity, columns.quantity_scale, columns.timestamp, columns.received_at
    return Columns(columns.instruments, *rows, *rest, optional)
