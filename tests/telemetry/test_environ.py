"""Settings are read once, and everything that is wrong with them is said at once."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.environment import GatewaySettings
from telemetry.environ import (
    NAMES,
    PREFIX,
    Listening,
    Reaching,
    Settings,
    Up,
    describe,
    read_settings,
    unknown_settings,
)
from telemetry.errors import InvalidInput
from ui.environment import UiSettings
from worker.environment import WorkerSettings

CLASSES: tuple[type[Settings], ...] = (GatewaySettings, WorkerSettings, UiSettings, Up)


@pytest.mark.parametrize("settings_class", CLASSES)
def test_an_empty_environment_gives_settings_that_run_out_of_the_box(settings_class: type[Settings]) -> None:
    assert read_settings(settings_class, {}) == settings_class()


def test_every_bad_setting_is_reported_at_once_with_what_was_expected_and_received() -> None:
    environ = {
        "TELEMETRY_HOST": "0.0.0.0",
        "TELEMETRY_PORT": "eighty",
        "TELEMETRY_WINDOW": "0",
        "TELEMETRY_ATOMS": "5000",
    }
    with pytest.raises(InvalidInput) as caught:
        read_settings(GatewaySettings, environ)
    assert {error["field"] for error in caught.value.errors} == {"TELEMETRY_HOST", "TELEMETRY_PORT", "TELEMETRY_WINDOW"}
    assert 'TELEMETRY_PORT: expected a port from 1 to 65535, received "eighty"' in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.0.0.1 ", "localhost.evil.example"]
)
def test_an_address_that_is_not_loopback_is_refused_because_there_is_no_authentication(host: str) -> None:
    with pytest.raises(InvalidInput, match="TELEMETRY_HOST: expected a loopback .* no authentication"):
        read_settings(Listening, {"TELEMETRY_HOST": host})


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.2", "http://127.0.0.2:8000"), ("::1", "http://[::1]:8000"), ("localhost", "http://localhost:8000")],
)
def test_loopback_addresses_are_taken(host: str, url: str) -> None:
    assert read_settings(Listening, {"TELEMETRY_HOST": host}).base_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEMETRY_URL", "ftp://127.0.0.1"),
        ("TELEMETRY_URL", "127.0.0.1:8000"),
        ("TELEMETRY_TIMEZONE", "Mars/Olympus"),
        ("TELEMETRY_TIMEZONE", "../../etc/passwd"),
        ("TELEMETRY_LOG_LEVEL", "loud"),
        ("TELEMETRY_UI_PORT", "65536"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"^1 setting is wrong:\n  {name}: expected "):
        read_settings(UiSettings, {name: value})


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:7000", "tcp://127.0.0.1", "ipc://relative", "inproc://x", "7000"])
def test_results_are_taken_on_loopback_or_a_unix_socket_only(endpoint: str) -> None:
    with pytest.raises(InvalidInput, match="TELEMETRY_RESULTS: expected ipc:///PATH or tcp://127.0.0.1:PORT"):
        read_settings(WorkerSettings, {"TELEMETRY_RESULTS": endpoint})


def test_secrets_are_shown_nowhere() -> None:
    settings = read_settings(Reaching, {"TELEMETRY_API_KEY": "hunter2"})
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings) + str(settings)
    with pytest.raises(InvalidInput) as caught:
        read_settings(Reaching, {"TELEMETRY_URL": "http://me:hunter2@127.0.0.1"})
    assert "hunter2" not in f"{caught.value!r} {caught.value.errors}"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Listening().port = 1


def test_an_option_that_is_given_wins_over_the_environment_and_none_does_not() -> None:
    settings = read_settings(Up, {"TELEMETRY_PORT": "9000", "TELEMETRY_WORKERS": "3"}, port=9001, workers=None)
    assert (settings.port, settings.workers) == (9001, 3)


def test_an_empty_variable_means_the_default() -> None:
    assert read_settings(Listening, {"TELEMETRY_PORT": ""}).port == 8000


def test_symbols_are_separated_by_commas() -> None:
    settings = read_settings(GatewaySettings, {"TELEMETRY_METRIC_SYMBOLS": "BTC/USDT:USDT, BRK.B,,"})
    assert settings.metric_symbols == ("BTC/USDT:USDT", "BRK.B")


def test_an_unknown_variable_is_named_with_the_one_that_was_probably_meant() -> None:
    environ = {"TELEMETRY_PROT": "1", "TELEMETRY_PORT": "1", "TELEMETRY_XYZZY_FOO": "1", "PATH": "/bin"}
    assert unknown_settings(environ) == [
        "TELEMETRY_PROT is not a setting; TELEMETRY_PORT is",
        "TELEMETRY_XYZZY_FOO is not a setting",
    ]


def test_the_known_names_are_those_of_the_classes_and_each_has_a_description() -> None:
    rows = [row for settings_class in CLASSES for row in describe(settings_class)]
    assert {row.name for row in rows} == NAMES
    assert all(row.name.startswith(PREFIX) and row.description and row.expected for row in rows)
