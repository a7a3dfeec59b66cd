"""The gateway's settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from telemetry.environ import Listening, Page, Storage, setting


def _symbols(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origins(value: Any) -> Any:
    names = _symbols(value)
    for name in names:
        parts = urlsplit(name)
        if parts.scheme not in ("http", "https") or not parts.hostname or f"{parts.scheme}://{parts.netloc}" != name:
            raise ValueError("not an origin")
    return names


class GatewaySettings(Listening, Storage, Page):
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
    compiled: bool = setting(
        True,
        "Use the functions that numba compiles, where it is installed; false: msgspec and NumPy only, slower",
        "true or false",
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
