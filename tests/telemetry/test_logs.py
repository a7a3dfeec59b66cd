"""Log lines are JSON, one event a line, and no field can forge another or show a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from telemetry.logs import FIELD_CHARACTERS, HIDDEN, set_up_logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What a process with our logs writes to standard error."""
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    stream = io.StringIO()
    set_up_logs("gateway", "info", stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_and_service(stream: io.StringIO) -> None:
    structlog.get_logger("journal").info("segment opened", first_seq=17)
    (line,) = lines(stream)
    assert line["time"].endswith("Z")
    del line["time"]
    assert line == {
        "service": "gateway",
        "logger": "journal",
        "level": "info",
        "event": "segment opened",
        "first_seq": 17,
    }


def test_lines_of_other_libraries_look_the_same(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("slow %s", "client")
    (line,) = lines(stream)
    assert (line["logger"], line["event"], line["service"]) == ("uvicorn.error", "slow client", "gateway")


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    structlog.get_logger("journal").debug("detail")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\x1b[31mred", "\x00", "\x7f", "\x9b1m", "\u2028", "\u202e"])
def test_control_characters_cannot_forge_a_line_or_move_the_cursor(stream: io.StringIO, text: str) -> None:
    structlog.get_logger("intake").info("refused", symbol=text)
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert all(" " <= character <= "~" for character in written[:-1])
    assert lines(stream)[0]["symbol"] == text


def test_fields_that_are_secret_by_name_are_hidden_and_long_ones_cut(stream: io.StringIO) -> None:
    structlog.get_logger("client").info("sent", headers={"Authorization": "Bearer x"}, api_key="x", body="y" * 5000)
    (line,) = lines(stream)
    assert line["headers"] == {"Authorization": HIDDEN}
    assert line["api_key"] == HIDDEN
    assert line["body"] == "y" * FIELD_CHARACTERS + "… (5000 characters)"


def test_an_exception_stays_on_one_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("bad\nnews")
    except ValueError:
        structlog.get_logger("journal").exception("failed")
    (line,) = lines(stream)
    assert line["exception"].endswith("ValueError: bad\nnews")


def test_a_closed_standard_error_does_not_stop_the_service(stream: io.StringIO) -> None:
    stream.close()
    structlog.get_logger("journal").info("still draining")
