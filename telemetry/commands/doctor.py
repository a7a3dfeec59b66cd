"""Checks of the installation: each looks at one thing, says what it found, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from telemetry.backbone.endpoints import default_results
from telemetry.client import Gateway
from telemetry.commands.services import SETTINGS, settings_of
from telemetry.environ import Reaching, Up, http_url, read_settings, unknown_settings
from telemetry.errors import TelemetryError
from telemetry.offset import best

LIBRARIES = (
    "fastapi",
    "uvicorn",
    "pyzmq",
    "numpy",
    "pandas",
    "pyarrow",
    "msgspec",
    "pydantic",
    "streamlit",
    "websockets",
)
PYTHON = (3, 11)
# A commit waits for one sync: at 20 ms only 50 commit groups a second are possible, and every answer is that late.
SYNC_MEDIAN_SECONDS = 0.020
SYNCS, SYNC_BYTES = 50, 4096
FREE_BYTES = 1 << 30
OPEN_FILES = 256
CLOCK_SECONDS, CLOCK_TOLERANCE_SECONDS = 0.25, 0.010
# Above it latencies that begin at the sender mislead; a machine that keeps its time is a hundred times closer.
EXCHANGES, OFFSET_SECONDS = 16, 0.1
WALL_YEARS = (2025, 2200)


@dataclass(frozen=True)
class Check:
    """One result."""

    name: str
    ok: bool
    detail: str


def run(data: Path | None, *, as_json: bool) -> int:
    """Print all results; the exit code is 1 when one failed."""
    try:
        up = read_settings(Up, data=data)
    except TelemetryError:
        up = Up()  # the check of the settings says what is wrong; the others look at the defaults
    checks = list(examine(up))
    ok = all(check.ok for check in checks)
    if as_json:
        print(json.dumps({"ok": ok, "checks": [asdict(check) for check in checks]}, indent=2))
        return 0 if ok else 1
    table = Table("check", "result", "found")
    for check in checks:
        table.add_row(check.name, "[green]ok[/]" if check.ok else "[bold red]fail[/]", escape(check.detail))
    Console().print(table)
    return 0 if ok else 1


def examine(up: Up) -> Iterator[Check]:
    """All checks; one that breaks is a failed one."""
    yield _checked("python", _python)
    for library in LIBRARIES:
        yield _checked(library, partial(_library, library))
    yield _checked("settings", _settings)
    yield _checked("gateway port", lambda: _port(up.host, up.port, "/healthz"))
    yield _checked("page port", lambda: _port(up.host, up.ui_port, "/_stcore/health"))
    yield _checked("data directory", lambda: _directory(up.data))
    yield _checked("disk sync", lambda: _disk_sync(up.data))
    yield _checked("sockets", lambda: _sockets(up.results or default_results(up.data)))
    yield _checked("wall clock", _wall_clock)
    yield _checked("monotonic clock", _monotonic_clock)
    yield _checked("gateway clock", lambda: _gateway_clock(up))
    yield _checked("open files", _open_files)


def _checked(name: str, check: Callable[[], tuple[bool, str]]) -> Check:
    try:
        ok, detail = check()
    except (OSError, TelemetryError, metadata.PackageNotFoundError) as error:
        ok, detail = False, str(error) or type(error).__name__
    return Check(name, ok, detail)


def _python() -> tuple[bool, str]:
    found = ".".join(map(str, sys.version_info[:3]))
    return sys.version_info >= PYTHON, f"{found} (expected {'.'.join(map(str, PYTHON))} or later)"


def _library(name: str) -> tuple[bool, str]:
    return True, metadata.version(name)


def _settings() -> tuple[bool, str]:
    for service in SETTINGS:
        read_settings(settings_of(service))
    wrong = unknown_settings()
    return not wrong, "; ".join(wrong) or "all readable"


def _port(host: str, port: int, path: str) -> tuple[bool, str]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return _in_use(host, port, path, error)
    return True, f"{host}:{port} is free"


def _in_use(host: str, port: int, path: str, error: OSError) -> tuple[bool, str]:
    """A port that this product's own service holds is as it should be."""
    with Gateway(http_url(host, port), request_seconds=2) as service:
        if service.answers(path):
            return True, f"{host}:{port} is served by a running telemetry"
    return False, f"{host}:{port}: {error.strerror}"


def _existing(path: Path) -> Path:
    """The directory itself, or the nearest one above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def _directory(data: Path) -> tuple[bool, str]:
    place = _existing(data)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return False, f"{place} is not a directory that can be written"
    free = shutil.disk_usage(place).free
    made = "exists" if place == data else "will be made"
    return free >= FREE_BYTES, f"{data} {made}, {free / (1 << 30):.1f} GiB free (expected 1 GiB)"


def _disk_sync(data: Path) -> tuple[bool, str]:
    """As the journal does it: write into space that is already there, then fdatasync."""
    block, seconds = os.urandom(SYNC_BYTES), []
    with tempfile.NamedTemporaryFile(dir=_existing(data), prefix=".telemetry-doctor-") as file:
        file.write(bytes(SYNC_BYTES * SYNCS))
        file.flush()
        os.fsync(file.fileno())
        for number in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), block, number * SYNC_BYTES)
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    expected = f"expected a median below {SYNC_MEDIAN_SECONDS * 1e3:g} ms"
    return median < SYNC_MEDIAN_SECONDS, f"median {median * 1e3:.2f} ms, worst {max(seconds) * 1e3:.2f} ms ({expected})"


def _sockets(endpoint: str) -> tuple[bool, str]:
    parts = urlsplit(endpoint)
    if parts.scheme != "ipc":
        return True, endpoint
    path = Path(parts.path)
    place = _existing(path.parent)
    if not os.access(place, os.W_OK | os.X_OK):
        return False, f"{place} cannot be written"
    with tempfile.TemporaryDirectory(dir=place, prefix=".d") as directory, socket.socket(socket.AF_UNIX) as probe:
        probe.bind(os.path.join(directory, "s"))
    return True, f"{path} can be bound"


def _wall_clock() -> tuple[bool, str]:
    now = time.gmtime()
    return WALL_YEARS[0] <= now.tm_year < WALL_YEARS[1], time.strftime("%Y-%m-%dT%H:%M:%SZ", now)


def _monotonic_clock() -> tuple[bool, str]:
    """Both clocks over the same stretch: a difference means that the wall clock is being stepped."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(CLOCK_SECONDS)
    difference = (time.time() - wall) - (time.monotonic() - steady)
    resolution = time.get_clock_info("monotonic").resolution
    detail = f"{difference * 1e3:+.3f} ms against the wall clock, resolution {resolution * 1e9:g} ns"
    return abs(difference) < CLOCK_TOLERANCE_SECONDS and resolution < 1e-3, detail


def _gateway_clock(up: Up) -> tuple[bool, str]:
    """How far the gateway's clock is from ours, by what its answers say (telemetry.offset)."""
    reaching = read_settings(Reaching)
    url = reaching.url if "url" in reaching.model_fields_set else http_url(up.host, up.port)
    key = reaching.api_key.get_secret_value() if reaching.api_key else None
    with Gateway(url, key, request_seconds=2) as gateway:
        if not gateway.answers("/healthz"):
            return True, f"no gateway answers at {url}, nothing to compare with"
        found = best(gateway.exchange() for _ in range(EXCHANGES))
    if found is None:
        return False, "a clock was set during each of the exchanges; try again"
    detail = f"{url} {found.offset * 1e3:+.3f} ms ± {found.error * 1e3:.3f} ms against ours"
    expected = f"best of {EXCHANGES}, expected within {OFFSET_SECONDS * 1e3:g} ms"
    return abs(found.offset) - found.error <= OFFSET_SECONDS, f"{detail} ({expected})"


def _open_files() -> tuple[bool, str]:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit >= OPEN_FILES, f"limit {limit} (expected {OPEN_FILES})"
