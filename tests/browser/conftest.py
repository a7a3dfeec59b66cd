"""What the tests with a browser share: the installation, the system's Chromium, tabs whose complaints are failures."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, sync_playwright

from tests.browser.stack import Stack
from tests.browser.viewing import visit

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
LOOPBACK = re.compile(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|(data|blob):")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


# What the component library throws when a part of the page is taken away at the moment in which it opens its overlay;
# nothing is missing then, and nothing of ours can be done about it.
OVERLAY = "SSUI_V2_OVERLAY_DISCONNECTED"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Tabs of one viewer; the test fails if one complains, raises, opens a dialog, or asks anything off loopback."""
    complaints: list[str] = []

    def refuse_dialog(dialog: Dialog) -> None:
        complaints.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def listen(page: Page) -> None:
        page.on("console", lambda message: complaints.append(message.text) if _is_bad(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)) if OVERLAY not in str(error) else None)
        page.on("dialog", refuse_dialog)
        page.on("request", lambda sent: None if LOOPBACK.match(sent.url) else complaints.append(sent.url))
        page.on("websocket", lambda socket: None if LOOPBACK.match(socket.url) else complaints.append(socket.url))

    context = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
    context.on("page", listen)
    yield context
    context.close()
    assert complaints == []


def _is_bad(message: ConsoleMessage) -> bool:
    # Streamlit finds out where its server is by asking below the address of the page first, where it is not. Chromium
    # itself writes a line for each WebSocket that finds nobody; where they may go is watched above.
    expected = "/_stcore/" in message.location["url"] or message.text.startswith("WebSocket connection to 'ws://127.")
    return message.type == "error" and not expected


@pytest.fixture
def page(context: BrowserContext, stack: Stack) -> Page:
    """The overview."""
    return visit(context, stack)


@pytest.fixture
def ticket(context: BrowserContext, stack: Stack) -> Page:
    """The page that records a trade."""
    return visit(context, stack, "ticket")
