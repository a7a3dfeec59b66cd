"""The time zones of venues: in which a day of trading begins and ends."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.aggregator import Aggregator
from gateway.state.merging import Ints

NO_ZONES: Mapping[str, str] = MappingProxyType({})


def zone_of(state: Aggregator, ids: Ints, zones: Mapping[str, str]) -> str | None:
    """The zone that the venues of all these instruments have, None when one has none or they have several."""
    found = {zones.get(state.instruments[number].venue) for number in ids.tolist()}
    return found.pop() if len(found) == 1 else None
