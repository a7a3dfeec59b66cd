"""The running windows that are read now: opened by the first reading, closed when they are not read any more.

Readings that can wait bring a window up to date in steps (`steps`), so that nothing else waits for it; readings that
cannot do it at once (`at_once`). All who ask for the same window share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.reading.running import EVER, Range, Running
from gateway.reading.windows import uncut
from gateway.state.atoms import LEVELS
from gateway.state.merging import Ints
from telemetry.rows import Rows

if TYPE_CHECKING:
    from gateway.aggregator import Aggregator

PENDING = 4096  # merged rows that wait to be taken into a window, at most: 2 ms of work
OPEN = 24  # windows at a time: the named ones, and periods; the one that was read longest ago goes
UNREAD = 64  # times that these are taken in without a reading; then the window is closed


class OpenWindows:
    """Windows by name (see windows.py), `all` among them."""

    def __init__(self, state: Aggregator) -> None:
        self._state = state
        self._open: dict[str, Running] = {}

    # --- what the aggregator tells -----------------------------------------------------------------------------------

    def merged(self, rows: Rows) -> None:
        """These rows were merged; they are not written to any more."""
        for name, running in list(self._open.items()):
            running.merged(rows)
            if running.waiting > PENDING:
                running.unread += 1
                if running.unread > UNREAD:
                    del self._open[name]
                else:
                    running.take_in()

    def forget(self, ids: Ints) -> None:
        """The scales of these instruments are about to change, or they cease to be rows."""
        for running in self._open.values():
            running.forget(ids)

    def folded(self) -> None:
        """Atoms were folded: windows whose borders would cut one now are closed."""
        for name, running in list(self._open.items()):
            if any(self._cut(second) for second in (*running.span, *running.target, *running.goal)):
                del self._open[name]

    def _cut(self, second: int) -> bool:
        atoms = self._state.atoms
        return any(
            second < frontier and second % LEVELS[level] and second not in EVER
            for level, frontier in enumerate(atoms.frontier, 1)
        )

    # --- reading -----------------------------------------------------------------------------------------------------

    def at_once(self, name: str, span: Range) -> Running:
        """The window over `span`, as of now."""
        while self._step(name, span):
            pass
        return self._read(name)

    def steps(self, name: str, span: Range) -> Iterator[None]:
        """Bring a window to `span`, or to where others have brought it since; what follows the last step at once may
        read it with `current`."""
        before = self._open.get(name)
        began = (before, before.goal if before is not None else None)
        while self._step(name, span):
            yield
            running = self._open.get(name)
            if running is not None and not running.moving and (running, running.goal) != began:
                return

    def current(self, name: str) -> Running | None:
        """The window as of now, wherever it stands; None when it is not open or has not come to where it shall be."""
        running = self._open.get(name)
        return None if running is None or running.moving else self._read(name)

    def close(self, name: str) -> None:
        """Nobody will read this window again."""
        self._open.pop(name, None)

    def _read(self, name: str) -> Running:
        running = self._open[name] = self._open.pop(name)
        running.take_in()
        running.clock += 1
        running.unread = 0
        return running

    def _step(self, name: str, span: Range) -> bool:
        """One piece of work; whether there is more."""
        running = self._open.get(name)
        if running is None:
            for oldest in list(self._open)[: max(0, len(self._open) + 1 - OPEN)]:
                del self._open[oldest]
            running = self._open[name] = Running(self._state)
        running.step()
        if running.moving:
            return True
        goal = self._uncut(span)
        if running.span == goal:
            return False
        running.aim(goal)
        return True

    def _uncut(self, span: Range) -> Range:
        """The span of a reading, which may have been made out before the last fold: it cuts no atom held now."""
        return span if span == EVER else Range(*uncut(*span, self._state.atoms))
