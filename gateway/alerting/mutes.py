"""Mutes: of which rules and keys nothing is told for a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import Any

from telemetry.errors import InvalidInput
from telemetry.times import format_time

MUTES = 1000  # more are refused


class Mutes:
    """At most one per rule and key; key None is the whole rule."""

    def __init__(self, saved: Iterable[tuple[str, str | None, int]] = ()) -> None:
        self._ends = {(rule, key): int(until) for rule, key, until in saved}

    def add(self, rule: str, key: str | None, until_ns: int) -> None:
        """Begin or move one. Raises InvalidInput (not-now) when there are too many."""
        if len(self._ends) >= MUTES and (rule, key) not in self._ends:
            raise InvalidInput(f"mutes: expected at most {MUTES}, mute a whole rule instead", problem="not-now")
        self._ends[rule, key] = until_ns

    def remove(self, number: str) -> None:
        """End one by its id. Raises InvalidInput (not-found)."""
        of = next((of for of in self._ends if _id(*of) == number), None)
        if of is None:
            raise InvalidInput(f"id: expected the id of a mute, received {number[:80]!r}", problem="not-found")
        del self._ends[of]

    def until(self, rule: str, key: str) -> int | None:
        """When the mute of a rule's key ends, None without one."""
        ends = [end for of in (None, key) if (end := self._ends.get((rule, of))) is not None]
        return max(ends, default=None)

    def expire(self, now_ns: int) -> None:
        """Forget those that have ended."""
        self._ends = {of: until for of, until in self._ends.items() if until > now_ns}

    def keep(self, rules: Collection[str]) -> None:
        """Forget those of other rules."""
        self._ends = {of: until for of, until in self._ends.items() if of[0] in rules}

    def rows(self, now_ns: int) -> list[dict[str, Any]]:
        """As `GET /v1/alerts` shows them, by rule and key."""
        live = sorted((rule, key or "", until) for (rule, key), until in self._ends.items() if until > now_ns)
        return [mute_row(rule, key or None, until) for rule, key, until in live]

    def export(self) -> list[list[Any]]:
        """What the constructor takes."""
        return [[rule, key, until] for (rule, key), until in self._ends.items()]


def mute_row(rule: str, key: str | None, until_ns: int) -> dict[str, Any]:
    """One mute as JSON shows it."""
    return {"id": _id(rule, key), "rule": rule, "key": key, "until": format_time(until_ns)}


def _id(rule: str, key: str | None) -> str:
    """The same for the same rule and key."""
    name = rule if key is None else f"{rule}\0{key}"
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, person=b"mute").hexdigest()
