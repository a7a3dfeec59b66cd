"""The states of streams, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.watching.markets import EVER
from gateway.watching.streams import Ids, pairs_of
from telemetry.errors import InvalidInput
from telemetry.times import format_time

STATES = ("fresh", "learning", "quiet", "silent", "never_seen")
FRESH, LEARNING, QUIET, SILENT, NEVER_SEEN = range(5)


class Requests(NamedTuple):
    """Requests whose trades stand one behind the other: the first row of each, and when it arrived by both clocks."""

    starts: Ids
    wall_ns: Ids
    now_ns: Ids


class Changed(NamedTuple):
    """A stream's change of state. Instants are of the wall clock in ns; `allowed_seconds` is how long a pause may be
    now and None where that is not known."""

    kind: str
    name: str
    was: str
    state: str
    since_ns: int
    allowed_seconds: float | None
    last_arrival_ns: int | None


class Stream(NamedTuple):
    """A stream as it is now. `since_ns` and `last_arrival_ns` are of the wall clock; `gaps` are those of this hour of
    the day that are known, `calendars` the venues whose sessions it keeps."""

    kind: str
    name: str
    state: str
    since_ns: int | None
    last_arrival_ns: int | None
    age_seconds: float | None
    allowed_seconds: float | None
    open: bool
    gaps: int
    calendars: list[str]

    def row(self) -> dict[str, Any]:
        """As `GET /v1/freshness` shows it."""
        return self.standing() | {
            "last_arrival": _time(self.last_arrival_ns),
            "age_seconds": self.age_seconds,
            "allowed_seconds": self.allowed_seconds,
            "gaps": self.gaps,
            "calendars": self.calendars,
        }

    def standing(self) -> dict[str, Any]:
        """What changes only with its state: as the stream topic shows it."""
        market = "open" if self.open else "closed"
        return {
            "kind": self.kind,
            "name": self.name,
            "state": self.state,
            "since": _time(self.since_ns),
            "market": market,
        }


def exported(
    plain: Mapping[str, Any], version: int, dtypes: Mapping[str, Any]
) -> tuple[list[tuple[str, str]], list[Any], dict[str, NDArray[Any]]]:
    """(streams, their venues, their figures by name) of what `Freshness.export` gave. Raises InvalidInput."""
    if plain.get("version") != version:
        raise InvalidInput(f"freshness: expected version {version}, received {plain.get('version')!r}")
    try:
        pairs, venues = pairs_of(plain["streams"]), list(plain["venues"])
        values = {name: np.array(plain[name], dtype) for name, dtype in dtypes.items()}
        if {len(pairs), len(venues), *map(len, values.values())} != {len(pairs)}:
            raise ValueError("lists of different lengths")
        if len(pairs) and values["state"].max() > NEVER_SEEN:
            raise ValueError("an unknown state")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"freshness: expected what was exported, received {error!r}") from None
    return pairs, venues, values


def _time(instant_ns: int | None) -> str | None:
    return None if instant_ns is None else format_time(instant_ns)


def instant(value: Any) -> int | None:
    """An instant of the wall clock that may not have been."""
    return None if value == -EVER else int(value)
