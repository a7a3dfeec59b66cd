"""Logs: one JSON object a line on standard error, from structlog and from the standard library (uvicorn) alike.

Everything goes through a standard handler, because that one survives a closed standard error: a service whose
supervisor was killed has nobody left to read its lines and must drain all the same. JSON escapes control characters, so
that no field can forge a line or move the cursor.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from telemetry.environ import Settings, unknown_settings

FIELD_CHARACTERS = 2_000  # a field longer than this is cut: the rest is in the journal or the request, not in the log
TRACE_CHARACTERS = 20_000
SECRET_NAMES = frozenset({"api_key", "authorization", "password", "secret", "token"})
HIDDEN = "**********"


def begin_logs(service: str, settings: Settings) -> None:
    """Set up the logs of a service; warn of misspelt settings, unless its supervisor has done that for all."""
    set_up_logs(service, settings.log_level)
    if settings.supervisor_fd is None:
        for sentence in unknown_settings():
            structlog.get_logger("settings").warning(sentence)


def set_up_logs(service: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (standard error) as JSON lines that name `service`."""

    def name_service(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"service": service, **event}

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        name_service,
        make_safe,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    render = structlog.processors.JSONRenderer(serializer=_one_line)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("httpx", "httpcore", "asyncio"):  # a line per request of our own clients tells nobody anything
        logging.getLogger(name).setLevel("WARNING")
    logging.raiseExceptions = False  # a closed standard error is not worth a traceback to it
    logging.captureWarnings(True)


def make_safe(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide what is secret by name, cut what is long."""
    return {name: _safe(name, value) for name, value in event.items()}


def _safe(name: str, value: Any) -> Any:
    if name.startswith("_"):  # structlog's own, for its formatter
        return value
    if name.lower() in SECRET_NAMES:
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): _safe(str(key), inner) for key, inner in value.items()}
    limit = TRACE_CHARACTERS if name == "exception" else FIELD_CHARACTERS
    if isinstance(value, str) and len(value) > limit:
        return f"{value[:limit]}… ({len(value)} characters)"
    return value


def _one_line(event: Any, **options: Any) -> str:
    # ASCII only, so that no control character beyond JSON's own (C1, U+2028, bidi marks) survives; DEL is ASCII.
    return json.dumps(event, **options).replace("\x7f", "\\u007f")
