"""Who may talk to the gateway: exact names, and what a page of a named origin may do."""

from __future__ import annotations

import pytest

from gateway.environment import GatewaySettings
from gateway.guard import Guard
from telemetry.environ import read_settings
from telemetry.errors import InvalidInput

DESK = "https://desk.example"


def headers(origin: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"127.0.0.1:8000"), (b"origin", origin.encode())]


def test_a_page_of_a_named_origin_may_read_the_stream_and_nothing_else() -> None:
    guard = Guard("127.0.0.1", (8000, 8501), [DESK])
    guard.check(headers(DESK), stream=True)
    with pytest.raises(InvalidInput, match="expected a page of this gateway"):
        guard.check(headers(DESK))


@pytest.mark.parametrize("origin", ["https://desk.example.evil.example", "http://desk.example", f"{DESK}:8443", "null"])
def test_what_only_looks_like_a_named_origin_is_refused(origin: str) -> None:
    with pytest.raises(InvalidInput, match="expected a page of this gateway"):
        Guard("127.0.0.1", (8000, 8501), [DESK]).check(headers(origin), stream=True)


def test_without_a_name_only_this_machine_s_own_pages_may_read() -> None:
    guard = Guard("127.0.0.1", (8000, 8501))
    guard.check(headers("http://localhost:8501"), stream=True)
    with pytest.raises(InvalidInput, match="expected a page of this gateway"):
        guard.check(headers("http://localhost:8502"), stream=True)


def test_origins_are_settings_and_a_wrong_one_is_named() -> None:
    given = read_settings(GatewaySettings, {"TELEMETRY_ORIGINS": f"{DESK}, http://10.0.0.1:81"})
    assert given.origins == (DESK, "http://10.0.0.1:81")
    with pytest.raises(InvalidInput, match="TELEMETRY_ORIGINS: expected origins such as"):
        read_settings(GatewaySettings, {"TELEMETRY_ORIGINS": f"{DESK}/page"})
