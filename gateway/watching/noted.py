"""What was committed and has not been watched yet: many small commits become one block, which costs a fraction."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from gateway.watching.states import Requests
from gateway.watching.streams import Ids
from telemetry.columns import Columns, concatenate

WATCHED = ("source", "strategy", "source_seq", "sent_at")  # of the optional columns
FEW = 1_000  # trades: commits of fewer are looked at as one, larger ones as they are


class _Commit(NamedTuple):
    first_seq: int
    columns: Columns
    requests: Sequence[tuple[int, int]]  # (monotonic ns of arrival, trades)


class Block:
    """Trades that follow one another in the journal, of one commit or of several."""

    def __init__(self, first_seq: int, commits: Sequence[Columns]) -> None:
        self.first_seq, self.commits = first_seq, commits
        self.trades = sum(map(len, commits))

    @property
    def last_seq(self) -> int:
        """The number of its last trade."""
        return self.first_seq + self.trades - 1

    @cached_property
    def columns(self) -> Columns:
        """All of them in one: copied, where there are several commits, so not made before somebody asks."""
        return concatenate([watched(columns) for columns in self.commits])

    def has(self, *names: str) -> bool:
        """Whether some of the trades have the first of these optional columns, and some the next."""
        return all(any(name in columns.optional for columns in self.commits) for name in names)

    def may_be_live(self, wall_ns: Ids, within_ns: int) -> bool:
        """False when none of the trades was made so close to one of these instants."""
        oldest, newest = int(wall_ns.min()) - within_ns, int(wall_ns.max()) + within_ns
        times = (columns.timestamp for columns in self.commits)
        return any(one.max() >= oldest and one.min() <= newest for one in times)


class Noted:
    """Commits in order; `trades` are those that wait."""

    def __init__(self) -> None:
        self.trades = 0
        self._commits: deque[_Commit] = deque()

    def add(self, first_seq: int, columns: Columns, requests: Sequence[tuple[int, int]]) -> None:
        """A commit is on disk."""
        self._commits.append(_Commit(first_seq, columns, requests))
        self.trades += len(columns)

    def take(self, most: int) -> tuple[Block, Requests] | None:
        """The oldest commits as one block, and the requests that brought them: one commit at least, and no more than
        `most` trades if there are several."""
        taken: list[_Commit] = []
        size = 0
        while self._commits and (not taken or size + len(self._commits[0].columns) <= most):
            taken.append(self._commits.popleft())
            size += len(taken[-1].columns)
        if not taken:
            return None
        self.trades -= size
        block = Block(taken[0].first_seq, [commit.columns for commit in taken])
        if len(taken) > 1 and size < FEW * len(taken):
            block = Block(taken[0].first_seq, [block.columns])
        return block, _requests(taken, block)


def _requests(taken: Sequence[_Commit], block: Block) -> Requests:
    arrived = [request for commit in taken for request in commit.requests if request[1]]
    now_ns, trades = np.array(arrived, np.int64).reshape(-1, 2).T
    starts = np.cumsum(trades) - trades
    if len(block.commits) == 1:
        return Requests(starts, block.commits[0].received_at[starts], now_ns)
    bounds = list(accumulate(map(len, block.commits), initial=0))
    places = np.searchsorted(starts, bounds).tolist()
    cuts = zip(block.commits, bounds, pairwise(places), strict=False)
    wall_ns = [columns.received_at[starts[first:last] - bound] for columns, bound, (first, last) in cuts]
    return Requests(starts, np.concatenate(wall_ns), now_ns)


def watched(columns: Columns) -> Columns:
    """The same trades without what is not looked at."""
    optional = {name: columns.optional[name] for name in WATCHED if name in columns.optional}
    rows = columns.instrument, columns.side, columns.price, columns.price_scale
    rest = columns.quantity, columns.quantity_scale, columns.timestamp, columns.received_at
    return Columns(columns.instruments, *rows, *rest, optional)
