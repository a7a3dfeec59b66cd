"""What REST said last, shared by everybody who looks: asked at most once a second, however many pages are open.

For what the stream has no topic of: lists that are long, filtered or rarely looked at. While the gateway does not
answer, the last answer stays and says why it is old.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from telemetry.errors import TelemetryError

EVERY_SECONDS = 1.0
KEPT = 64  # different questions; the one that was not asked for the longest time is forgotten
Get = Callable[[str, Mapping[str, Any]], dict[str, Any]]
_Key = tuple[str, tuple[tuple[str, str], ...]]


class Told(NamedTuple):
    """An answer, and why there is no newer one."""

    document: Mapping[str, Any]
    error: str = ""


class _Kept:
    def __init__(self) -> None:
        self.lock = threading.Lock()  # who asks for the same at the same time waits for the one answer
        self.told: Told | None = None
        self.asked_at = float("-inf")


class Reading:
    """`get(path, parameters)` asks; `clock` is in seconds."""

    def __init__(self, get: Get, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._get, self._clock = get, clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()

    def read(self, path: str, *, seconds: float = EVERY_SECONDS, **parameters: Any) -> Told:
        """What is there, at most so old. Raises TelemetryError while nothing was ever said."""
        kept = self._of((path, tuple(sorted((name, str(value)) for name, value in parameters.items()))))
        with kept.lock:
            if kept.told is None or self._clock() - kept.asked_at >= seconds:
                try:
                    kept.told = Told(self._get(path, parameters))
                except TelemetryError as error:
                    if kept.told is None:
                        raise
                    kept.told = kept.told._replace(error=error.detail)
                kept.asked_at = self._clock()
            return kept.told

    def forget(self, path: str) -> None:
        """Ask anew next time: something was changed there."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == path]:
                del self._kept[key]

    def _of(self, key: _Key) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return kept
