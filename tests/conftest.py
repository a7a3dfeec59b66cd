"""What all tests share: the event loop, the market data, and which programs of the system may be missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Candidates in order; Debian calls the browser chromium, other systems do not.
PROGRAMS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
}


@pytest.fixture
def anyio_backend() -> str:
    """Tests marked `anyio` run on asyncio, the only loop that the product runs on."""
    return "asyncio"


def find_program(name: str) -> str:
    """The path of a program of the system. Missing: the test is skipped, with CI=true it fails."""
    for candidate in PROGRAMS.get(name, (name,)):
        if path := shutil.which(candidate):
            return path
    message = f"{name} is not installed (Debian: apt-get install {'prometheus' if name == 'promtool' else name})"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium."""
    return find_program("chromium")


@pytest.fixture(scope="session")
def prometheus() -> str:
    """The path of the system's Prometheus."""
    return find_program("prometheus")


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of the system's promtool."""
    return find_program("promtool")


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The directory of real market data beside the repository; the test is skipped where it is not there."""
    directory = ROOT.parent / "shared" / "data"
    if not directory.is_dir():
        pytest.skip(f"no market data beside the repository ({directory.relative_to(ROOT.parent)})")
    return directory
