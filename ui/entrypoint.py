"""Bootstrap of the page: settings in, the server in this process, run until asked to stop; and the page's parts.

The page is a Streamlit script (app.py) that runs again for each viewer and each second; what all runs share is made
here, once per process, by `desk`.
"""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st
import structlog
import uvicorn
from streamlit.web.bootstrap import load_config_options

from telemetry.client import LOOPBACK, Gateway
from telemetry.environ import read_settings
from telemetry.errors import InvalidInput
from telemetry.logs import begin_logs
from telemetry.supervisor import wait_supervisor_gone
from ui import hearing
from ui.board import Ask
from ui.candles import CANDLES, Book, Candle
from ui.environment import UiSettings
from ui.feed import Feed
from ui.reading import Reading
from ui.references import References
from ui.sampler import Sampler

PAGE = Path(__file__).with_name("app.py")
PAGES = ("overview", "symbol", "ticket", "alerts", "pipeline")
REQUEST_SECONDS = 5.0  # a person waits for the ticket's answer
DRAIN_SECONDS = 1  # viewers' connections are told to go; nothing is lost by cutting them

logger = structlog.get_logger("ui")


@dataclass(frozen=True)
class Desk:
    """What the page works with; `stream_url` is the live stream as browsers reach it."""

    url: str
    stream_url: str
    timezone: str
    feed: Feed
    book: Book
    door: Gateway
    sampler: Sampler
    references: References
    reading: Reading

    def close(self) -> None:
        """End the threads."""
        for part in (self.references, self.sampler, self.feed):
            part.close()


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """The parts of the page, made when the first viewer comes: one stream for all of them."""
    settings = read_settings(UiSettings)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    door = Gateway(settings.url, key, request_seconds=REQUEST_SECONDS)
    feed = Feed(settings.url, key)
    sampler, references = Sampler(feed, settings.timezone), References(feed, door)
    for part in (feed, sampler, references):
        part.start()

    def history(ask: Ask) -> list[Candle]:
        chosen = {"venue": list(ask.venues), "kind": list(ask.kinds)}
        candles: list[Candle] = door.candles(ask.symbols[0], ask.interval, CANDLES, **chosen)["candles"]
        return candles

    return Desk(
        settings.url,
        settings.stream_url,
        settings.timezone,
        feed,
        Book(history),
        door,
        sampler,
        references,
        Reading(door.get),
    )


def server_options(settings: UiSettings) -> dict[str, Any]:
    """Streamlit's options; they win over its own files and variables. Nothing leaves this machine."""
    return {
        "server.address": settings.host,
        "server.port": settings.ui_port,
        "browser.serverAddress": settings.host,
        "browser.serverPort": settings.ui_port,
        "server.headless": True,
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.allowedHosts": list(dict.fromkeys([*LOOPBACK, settings.host])),
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        # With it, all objects of the process are looked through behind every run: three times a second for each viewer.
        "runner.postScriptGC": False,
        "server.enableStaticServing": False,
        "server.maxUploadSize": 1,
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "client.allowedOrigins": [settings.page_url],
        "logger.hideWelcomeMessage": True,
        "logger.level": settings.log_level,
        **THEME,
        "theme.fontFaces": _one_typeface(),
    }


def _one_typeface() -> list[dict[str, str]]:
    """shadcn's elements ask for Geist, which is nowhere here: give them the typeface that Streamlit brings along."""
    media = Path(st.__file__).parent / "static" / "static" / "media"
    found = sorted(media.glob("SourceSansVF-Upright*.woff2"))
    return [{"family": "Geist", "url": f"/static/media/{found[0].name}", "weight": "200 900"}] if found else []


THEME: Mapping[str, Any] = {
    "theme.paddingTop": "1rem",
    "theme.baseFontSize": 15,
    "theme.light.primaryColor": "#1d4ed8",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f3f5f8",
    "theme.light.textColor": "#0f172a",
    "theme.light.borderColor": "#e2e8f0",
    "theme.dark.primaryColor": "#2563eb",
    "theme.dark.backgroundColor": "#0a0a0a",
    "theme.dark.secondaryBackgroundColor": "#1a1a1c",
    "theme.dark.textColor": "#ededed",
    "theme.dark.borderColor": "#2e2e31",
}


def main() -> int:
    """The process; 0 when it was asked to stop."""
    settings = read_settings(UiSettings)
    begin_logs("ui", settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until the server is there, and again when it has drained: uvicorn hands the signal on to what was here.
        signal.signal(number, lambda *_: sys.exit(0))
    listening = _listen(settings)
    load_config_options(server_options(settings))
    _adopt_logs()  # before uvicorn's own settings of its loggers
    server = uvicorn.Server(
        uvicorn.Config(
            st.App(PAGE, lifespan=hearing.server.lifespan, on_script_error=_log_error),
            ws="websockets-sansio",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    _watch_supervisor(settings.supervisor_fd, server)
    # What the first viewer would wait for otherwise.
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    logger.info("listening", url=settings.page_url, gateway=settings.url)
    server.run(sockets=[listening])
    return 0


def _warm_up() -> None:
    """The stream and the history begin with the process, not with the first viewer."""
    desk()
    for name in ("ui.places", "ui.strip", *(f"ui.screens.{name}" for name in PAGES)):
        import_module(name)
    gc.collect()
    gc.freeze()  # what is here by now stays: looking through it again and again would stop every viewer's page


def _listen(settings: UiSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.ui_port))
    except OSError as error:
        listening.close()
        raise InvalidInput(
            f"TELEMETRY_UI_PORT: expected a free port, {settings.ui_port} is not: {error.strerror}",
            problem="unavailable",
        ) from None
    return listening


def _watch_supervisor(descriptor: int | None, server: uvicorn.Server) -> None:
    if descriptor is None:
        return

    def watch() -> None:
        wait_supervisor_gone(descriptor)
        server.should_exit = True

    threading.Thread(target=watch, name="supervisor", daemon=True).start()


def _adopt_logs() -> None:
    """Streamlit gives each of its loggers a handler of its own; their lines shall be JSON like all others."""
    for known in list(logging.root.manager.loggerDict.values()):
        handler = getattr(known, "streamlit_console_handler", None)
        if isinstance(known, logging.Logger) and isinstance(handler, logging.Handler):
            known.removeHandler(handler)
            known.propagate = True


def _log_error(error: Exception) -> bool:
    logger.error("page", exc_info=error)
    st.error("This page failed. The gateway is not touched by that; its figures are at /v1/stats. Reload to try again.")
    return True
