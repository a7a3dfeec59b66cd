"""The gateway's settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from gateway.alerting.rule_kinds import STREAMS
from telemetry.environ import Analysis, Listening, Page, Storage, setting


def _symbols(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origins(value: Any) -> Any:
    names = _symbols(value)
    for name in names:
        parts = urlsplit(name)
        if parts.scheme not in ("http", "https") or not parts.hostname or f"{parts.scheme}://{parts.netloc}" != name:
            raise ValueError("not an origin")
    return names


def _pairs(between: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            one, _, other = value.partition(between)
            if not one or not other or (between == ":" and one not in STREAMS):
                raise ValueError("not a pair")
        return values

    return check


def _zones(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    zones = {venue.strip(): zone.strip() for venue, _, zone in pairs}
    for zone in zones.values():
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("no such time zone") from error
    return zones


class GatewaySettings(Listening, Storage, Analysis, Page):
    """What the gateway reads; every bound says what happens when it is reached."""

    durability: Literal["full", "fast"] = setting(
        "full",
        "full: a trade is on disk before it is acknowledged. fast: it is acknowledged before, and the answer says so",
        "full or fast",
    )
    metric_symbols: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_symbols)] = setting(
        (),
        "The symbols that are labels in the Prometheus metrics, comma separated; not given: the first 100 seen",
        "symbols separated by commas",
    )
    origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = setting(
        (),
        "Other origins whose pages may read the live stream, comma separated; this machine's page always may",
        "origins such as https://desk.example separated by commas",
    )
    rules: Path | None = setting(
        None,
        "The TOML file with the alert rules, read again on SIGHUP; not given: the default rules",
        "the path of a file",
    )
    calendars: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_symbols), AfterValidator(_pairs("="))] = setting(
        (),
        "The trading calendars of venues, as VENUE=CALENDAR (of exchange-calendars, such as XNYS=XNYS,GLOBEX=CMES); the"
        " others are open around the clock",
        "VENUE=CALENDAR separated by commas",
    )
    expected_streams: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_symbols), AfterValidator(_pairs(":"))] = (
        setting(
            (),
            "Streams that are listed as never_seen until they arrive, as KIND:NAME (such as source:mm-1,venue:XNYS)",
            "KIND:NAME separated by commas, KIND one of venue, source, strategy, symbol",
        )
    )

    @property
    def calendar_of_venue(self) -> dict[str, str]:
        """The names of calendars by venue."""
        return {venue: name for venue, _, name in (pair.partition("=") for pair in self.calendars)}

    venue_zones: Annotated[dict[str, str], NoDecode, BeforeValidator(_zones)] = setting(
        {},
        "The time zones of venues, for days of trading and profiles; UTC where none is given",
        "venues with their zones such as XNYS=America/New_York,XLON=Europe/London",
    )
    atoms: int = setting(
        500_000,
        "One-second buckets to hold; the oldest fold into minutes, then hours, when there are more",
        "a number from 1000",
        ge=1_000,
    )
    dedupe_trades: int = setting(
        10_000_000,
        "The latest trades whose keys are known, so that a resend counts once (about 50 bytes each)",
        "a number from 1000",
        ge=1_000,
    )
    segment_bytes: int = setting(
        64 << 20, "The size of one journal file", "bytes from 65536 to 4294967296", ge=64 << 10, le=4 << 30
    )
    backlog_trades: int = setting(
        5_000_000, "Trades journaled but not applied yet; more are refused with 503", "a number from 1", ge=1
    )
    intake_trades: int = setting(
        200_000, "Trades waiting for the journal; more are refused with 503", "a number from 1", ge=1
    )
    snapshot_seconds: float = setting(
        10.0, "The time between two snapshots; a restart replays what came after the last", "seconds from 0.01", ge=0.01
    )
    lease_seconds: float = setting(
        5.0, "The time that a worker has for a range before another gets it", "seconds from 0.01", ge=0.01
    )
    window: int = setting(3, "The ranges that a worker holds at a time", "a number from 1 to 16", ge=1, le=16)
