"""What is told of alerts. Everything is on disk before anybody hears of it, so that nothing is told twice.

    rules judged, alert acknowledged, rules reloaded ──▶ events ──▶ written ──▶ kept for subscribers ──▶ told

One write at a time; what changes while one is under way goes with the next. When the disk takes nothing, alerts are
told all the same (that is when they are needed most) and the write is tried again each second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from gateway.alerting.alert import Event
from gateway.alerting.events import Events, Told, told
from gateway.alerting.rule_file import RuleFile
from gateway.alerts import ANY, Alerts
from gateway.watching.kept import Kept
from telemetry.errors import InvalidInput, TryAgain

VERSION = 1
AGAIN_NS = 10_000_000_000  # what changes without an event (how long a condition has held) is written so often
logger = structlog.get_logger("alerts")


class Bulletin:
    """The alerts, their file and their events. `wall_ns` is UTC."""

    def __init__(self, rules: RuleFile, kept: Kept, *, wall_ns: Callable[[], int]) -> None:
        self.rules, self.events = rules, Events()
        self.alerts = Alerts(rules.read(wall_ns()))
        self._kept, self._wall_ns = kept, wall_ns
        self._waiting: list[Event] = []
        self._dirty = False
        self._written, self._written_ns = b"", 0
        self._writing = asyncio.Lock()

    def restore(self, newest: int = ANY) -> None:
        """Take up what was saved; `newest` is the last trade there is."""
        content, reason = self._kept.read()
        events: list[Event] = []
        try:
            if content is not None:
                saved = msgspec.json.decode(content)
                if saved["version"] != VERSION:
                    raise ValueError(f"version {saved['version']}")
                events = self.alerts.restore(saved["alerts"], self._wall_ns(), newest)
                self.events.restore(saved["events"], saved["alerts"]["number"])
                self._written = content
        except (msgspec.MsgspecError, InvalidInput, KeyError, TypeError, ValueError) as error:
            reason = f"it cannot be used: {error}"
        logger.info("alerts", restored=not reason, reason=reason, rules=len(self.alerts.rules))
        self.add(events)

    def add(self, events: Sequence[Event]) -> None:
        """These are to be told with the next `write`."""
        self._waiting += events
        self._dirty |= bool(events)

    async def write(self, *, everything: bool = False) -> bool:
        """Write what has changed, then tell it; whether all that had changed when this was called is on disk.
        `everything`: also how long conditions have held, which is otherwise written each AGAIN_NS."""
        if not (self._dirty or everything or abs(self._wall_ns() - self._written_ns) >= AGAIN_NS):
            return True
        async with self._writing:
            self._dirty, events, self._waiting = False, self._waiting, []
            news = [told(event) for event in events]
            content = self._content(news)
            done = content == self._written or await self._save(content)
            self._written_ns = self._wall_ns()
            self._dirty |= not done
            self._tell(events, news)
            return done

    async def acknowledge(self, number: str, by: str) -> dict[str, Any]:
        """As Alerts.acknowledge; on disk when this returns. Raises TryAgain when it cannot be."""
        self.add(self.alerts.acknowledge(number, by, self._wall_ns()))
        await self._on_disk()
        return self.alerts.get(number)

    async def mute(self, rule: str, key: str | None, until_ns: int) -> dict[str, Any]:
        """As Alerts.mute; on disk when this returns."""
        row = self.alerts.mute(rule, key, until_ns)
        await self._on_disk()
        return row

    async def unmute(self, number: str) -> None:
        """End a mute; on disk when this returns."""
        self.alerts.mutes.remove(number)
        await self._on_disk()

    def reload(self) -> None:
        """Read the rules again. When the file is wrong the rules before stay, and every error is logged and shown."""
        now_ns = self._wall_ns()
        try:
            rules = self.rules.read(now_ns)
        except InvalidInput as error:
            for fault in error.errors:
                logger.error("rules", **fault)
            logger.error("rules", kept=len(self.alerts.rules), detail=error.detail)
            return
        self.add(self.alerts.reload(rules, now_ns))
        self._dirty = True
        logger.info("rules", loaded=len(rules), path=str(self.rules.path) if self.rules.path else None)

    async def _on_disk(self) -> None:
        self._dirty = True
        if not await self.write():
            raise TryAgain(
                "the disk does not take the alerts now; they are as you asked, and may not be after a restart"
            )

    async def _save(self, content: bytes) -> bool:
        try:
            await asyncio.to_thread(self._kept.write, content)
        except OSError as error:
            logger.error("alerts", error=repr(error))
            return False
        self._written = content
        return True

    def _content(self, news: Sequence[Told]) -> bytes:
        events = self.events.export() + [[event.number, event.text.decode()] for event in news]
        return msgspec.json.encode({"version": VERSION, "alerts": self.alerts.export(), "events": events})

    def _tell(self, events: Sequence[Event], news: Sequence[Told]) -> None:
        for event in events:
            alert = event.alert
            what = {name: alert[name] for name in ("id", "rule", "severity", "key", "message")}
            logger.warning("alert", what=event.kind, number=event.number, **what)
        self.events.add(news)
