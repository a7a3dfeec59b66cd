"""Settings: the environment variables `TELEMETRY_*`, read once into a frozen object; every bad one is reported at once.

A class per concern, so that each setting is written down once; `environment.py` of an app puts together those it reads.
Making an object directly (`Storage(data=path)`) never looks at the environment: only `read_settings` does.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources.utils import parse_env_vars

from telemetry.errors import InvalidInput

PREFIX = "TELEMETRY_"
RECEIVED_CHARACTERS = 80  # of a wrong value that a message repeats

S = TypeVar("S", bound="Settings")


def setting(default: Any, description: str, expected: str, **limits: Any) -> Any:
    """A field of a settings class; `expected` completes the sentence "expected …, received …"."""
    return Field(default, description=description, json_schema_extra={"expected": expected}, **limits)


def http_url(host: str, port: int) -> str:
    """The base URL of a server; an IPv6 address is put in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _loopback(host: str) -> str:
    if not _is_loopback(host):
        raise ValueError("not loopback")
    return host


def base_url(url: str) -> str:
    """The address of a server, without a slash at its end; raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("not a base URL")
    return url.rstrip("/")


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError("no such time zone") from error
    return name


def _endpoint(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    loopback_tcp = parts.scheme == "tcp" and _is_loopback(parts.hostname or "") and bool(parts.port)
    if endpoint and not loopback_tcp and not (parts.scheme == "ipc" and endpoint.startswith("ipc:///")):
        raise ValueError("not an endpoint")
    return endpoint


class Settings(BaseSettings):
    """What every service reads."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", validate_default=True
    )

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "The least important log lines to write (JSON lines on standard error)", "debug, info, warning or error"
    )
    supervisor_fd: int | None = setting(
        None, "Internal: the pipe that tells a service that its supervisor is gone", "a file descriptor", ge=0
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in; `read_settings` reads the environment."""
        return (init_settings,)


class Host(Settings):
    """The address that everything listens on."""

    host: Annotated[str, AfterValidator(_loopback)] = setting(
        "127.0.0.1",
        "The address to listen on; only loopback, as long as there is no authentication",
        "a loopback address such as 127.0.0.1 (there is no authentication yet, so nothing else may listen)",
    )


class Listening(Host):
    """Where the gateway listens."""

    port: int = setting(8000, "The gateway's port", "a port from 1 to 65535", ge=1, le=65535)

    @property
    def base_url(self) -> str:
        """Where this gateway is reached."""
        return http_url(self.host, self.port)


class Storage(Settings):
    """Where the data is and how gateway and workers find each other."""

    data: Annotated[Path, AfterValidator(Path.absolute)] = setting(
        Path("telemetry-data"), "The directory of journal and snapshot; made when it does not exist", "a path"
    )
    results: Annotated[str, AfterValidator(_endpoint)] = setting(
        "",
        "The endpoint at which the gateway takes the workers' results; derived from the data directory when not given",
        "ipc:///PATH or tcp://127.0.0.1:PORT (loopback only: the endpoint has no authentication)",
    )


class Analysis(Settings):
    """What is made of the trades, and how."""

    compiled: bool = setting(
        True,
        "Use the functions that numba compiles, where it is installed; false: msgspec and NumPy only, slower",
        "true or false",
    )
    statistics: Literal["all", "basic"] = setting(
        "all",
        "all, or basic: without latency of orders, gaps between trades, bursts and largest trades, and without "
        "watching trades (`watched` is false then), which costs less; gateway and workers must be given the same",
        "all or basic",
    )


class Reaching(Settings):
    """How clients, the page among them, reach the gateway, and how they show times."""

    url: Annotated[str, AfterValidator(base_url)] = setting(
        "http://127.0.0.1:8000",
        "The gateway's address, for clients",
        "an http:// or https:// address without credentials",
    )
    api_key: SecretStr | None = setting(None, "The key that clients send as `Authorization: Bearer`", "text")
    timezone: Annotated[str, AfterValidator(_time_zone)] = setting(
        "UTC", 'The time zone for display and for "today"; everything stored is UTC', "a name such as Europe/Berlin"
    )


class Page(Host):
    """Where the page listens."""

    ui_port: int = setting(8501, "The page's port", "a port from 1 to 65535", ge=1, le=65535)

    @property
    def page_url(self) -> str:
        """Where this page is reached."""
        return http_url(self.host, self.ui_port)


class Up(Listening, Storage, Page):
    """What `telemetry up` reads; its services inherit the rest of the environment."""

    workers: int = setting(1, "The number of workers that `telemetry up` starts", "a number from 0 to 64", ge=0, le=64)


# Every setting that any part reads, for the warning about unknown ones; the tests hold it to the classes.
NAMES = frozenset(
    {
        "TELEMETRY_API_KEY",
        "TELEMETRY_ATOMS",
        "TELEMETRY_BACKLOG_TRADES",
        "TELEMETRY_CALENDARS",
        "TELEMETRY_COMPILED",
        "TELEMETRY_DATA",
        "TELEMETRY_DEDUPE_TRADES",
        "TELEMETRY_DURABILITY",
        "TELEMETRY_EXPECTED_STREAMS",
        "TELEMETRY_HOST",
        "TELEMETRY_INTAKE_TRADES",
        "TELEMETRY_LEASE_SECONDS",
        "TELEMETRY_LOG_LEVEL",
        "TELEMETRY_METRIC_SYMBOLS",
        "TELEMETRY_ORIGINS",
        "TELEMETRY_PORT",
        "TELEMETRY_PUBLIC_URL",
        "TELEMETRY_RESULTS",
        "TELEMETRY_RULES",
        "TELEMETRY_SEGMENT_BYTES",
        "TELEMETRY_SNAPSHOT_SECONDS",
        "TELEMETRY_STATISTICS",
        "TELEMETRY_SUPERVISOR_FD",
        "TELEMETRY_TIMEZONE",
        "TELEMETRY_UI_PORT",
        "TELEMETRY_URL",
        "TELEMETRY_VENUE_ZONES",
        "TELEMETRY_WINDOW",
        "TELEMETRY_WORKERS",
    }
)


class _Environment(EnvSettingsSource):
    """pydantic-settings' own reader, on a mapping that is handed in."""

    def __init__(self, settings_class: type[Settings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(settings_class)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(self._environ, self.case_sensitive, self.env_ignore_empty, self.env_parse_none_str)


def read_settings(settings_class: type[S], environ: Mapping[str, str] | None = None, **given: Any) -> S:
    """Read the settings; `given` (options of a command line) win where they are not None.

    Raises InvalidInput with every setting that is wrong, its name, what was expected and what was received.
    """
    values = _Environment(settings_class, os.environ if environ is None else environ)()
    values.update({name: value for name, value in given.items() if value is not None})
    try:
        return settings_class(**values)
    except ValidationError as error:
        problems = [_problem(settings_class, str(entry["loc"][0]), entry["input"]) for entry in error.errors()]
    lines = "\n".join(
        f"  {problem['field']}: {problem['detail']}, received {problem['received']}" for problem in problems
    )
    count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
    raise InvalidInput(f"{count} wrong:\n{lines}", errors=problems)


def unknown_settings(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable TELEMETRY_* that no part reads, with the name that was probably meant."""
    names = sorted(name for name in (os.environ if environ is None else environ) if name.upper().startswith(PREFIX))
    sentences = []
    for name in names:
        if name.upper() not in NAMES:
            close = difflib.get_close_matches(name.upper(), NAMES, n=1, cutoff=0.8)
            sentences.append(f"{name} is not a setting" + (f"; {close[0]} is" if close else ""))
    return sentences


class Row(NamedTuple):
    """One line of the table of settings."""

    name: str
    default: str
    description: str
    expected: str


def describe(settings_class: type[Settings]) -> list[Row]:
    """The settings of a class by name, for `--help` and docs/settings.md."""
    rows = [
        Row(PREFIX + name.upper(), _default(field), field.description or "", _expected(field))
        for name, field in settings_class.model_fields.items()
    ]
    return sorted(rows)


def _problem(settings_class: type[Settings], name: str, received: Any) -> dict[str, str]:
    field = settings_class.model_fields.get(name)
    if field is None:
        return {"field": name, "detail": "expected no such option", "received": ""}
    secret = field.annotation == SecretStr | None or "@" in str(received)  # an address may hold a password
    shown = "what is not shown here" if secret else json.dumps(str(received)[:RECEIVED_CHARACTERS])
    return {"field": PREFIX + name.upper(), "detail": f"expected {_expected(field)}", "received": shown}


def _expected(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["expected"]) if isinstance(extra, dict) else "another value"


def _default(field: FieldInfo) -> str:
    if isinstance(field.default, tuple):
        return ",".join(field.default)
    if isinstance(field.default, dict):
        return ",".join(f"{name}={value}" for name, value in field.default.items())
    return "" if field.default is None else str(field.default)
