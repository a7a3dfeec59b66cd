"""Every page in the browser: whole, for everybody to use, at both themes; and nothing that others wrote is markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.stack import Stack
from tests.browser.viewing import HOSTILE, PATIENCE, slip, visit

pytestmark = pytest.mark.timeout(240)

PAGES = ("overview", "symbol", "ticket", "alerts", "pipeline")
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ARTIFACTS = Path(__file__).resolve().parents[2] / "test-artifacts"
SERIOUS = ("serious", "critical")
# What belongs to Streamlit and the component library: their own elements around ours, which we cannot change.
NOT_OURS: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def lively(stack: Stack) -> Stack:
    """A gateway that knows several symbols, one of them hostile, with an alert about it."""
    slip(stack, HOSTILE, venue=HOSTILE, account=HOSTILE, currency="USD")
    for number in range(40):
        for symbol in ("BTC-USDT", "AAPL", HOSTILE):
            stack.post(
                symbol=symbol,
                side=("buy", "sell", "unknown")[number % 3],
                quantity=str(1 + number % 7),
                price=f"{100 + number % 5}.25",
                venue=HOSTILE if symbol == HOSTILE else "XNAS",
                account=HOSTILE if symbol == HOSTILE else "A-1",
                strategy="mm",
                source="desk",
                currency="USD",
            )
    return stack


def ready(page: Page, name: str) -> None:
    """Return when what the page is about is there."""
    marks = {
        "overview": "table tbody tr[data-symbol]",
        "symbol": "[data-testid=stEChartsChart]",
        "ticket": "form.ticket",
        "alerts": ".alerts article",
        "pipeline": ".hops section",
    }
    expect(page.locator(marks[name]).first).to_be_visible(timeout=PATIENCE)


def address(name: str, symbol: str = "BTC-USDT") -> str:
    return f"symbol?symbol={symbol}" if name == "symbol" else "" if name == "overview" else name


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_everybody_can_use_it(
    context: BrowserContext, lively: Stack, name: str, theme: Literal["light", "dark"]
) -> None:
    page = visit(context, lively, address(name), theme=theme)
    ready(page, name)
    page.wait_for_timeout(1500)  # two updates: what only comes with them is there too
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}-{theme}.png", full_page=True)
    found = Axe().run(page).response["violations"]
    wrong = [
        f"{violation['id']} ({violation['impact']}): {node['html'][:160]}"
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
        if not any(mark in node["html"] for mark in NOT_OURS)
    ]
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize("name", PAGES)
def test_the_time_stands_there_once_in_utc_and_nothing_but_alerts_is_read_out(
    context: BrowserContext, lively: Stack, name: str
) -> None:
    page = visit(context, lively, address(name))
    ready(page, name)
    expect(page.locator("[data-chip=utc]")).to_be_hidden()
    live = page.locator("[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]")
    read_out = [element.evaluate("node => node.dataset.chip ?? node.className") for element in live.all()]
    assert set(read_out) <= {"alerts", "announce"}


@pytest.mark.parametrize("name", ["overview", "alerts"])
def test_a_page_fits_a_phone(browser: Browser, lively: Stack, name: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = visit(context, lively, address(name))
    ready(page, name)
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}-phone.png")
    widest = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    context.close()
    assert widest <= 390


@pytest.mark.parametrize("name", PAGES)
def test_what_others_wrote_is_text_on_every_page(context: BrowserContext, lively: Stack, name: str) -> None:
    page = visit(context, lively, address(name, "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"))
    if name == "ticket":
        page.get_by_label("Symbol", exact=True).fill(HOSTILE)
        page.get_by_label("Symbol", exact=True).press("Tab")
        expect(page.locator(".tape tbody")).to_contain_text(HOSTILE, timeout=PATIENCE)
    ready(page, name)
    if name != "pipeline":  # which names no symbol
        expect(page.get_by_text(HOSTILE).first).to_be_attached(timeout=PATIENCE)
    page.wait_for_timeout(1500)  # and it stays text when it is drawn again
    assert page.locator("img[src=x]").count() == 0


def test_the_way_of_a_trade_shows_figures_at_each_hop(context: BrowserContext, lively: Stack) -> None:
    page = visit(context, lively, "pipeline")
    applied = int(lively.metric("telemetry_applied_seq"))
    hops = page.locator(".hops[data-flow=true] section")
    expect(hops).to_have_count(5, timeout=PATIENCE)
    expect(page.locator("[data-name=Applied] b")).to_have_text(f"{applied:,}", timeout=PATIENCE)
    # The trades of the last ten seconds, which may be over; but a figure.
    expect(page.locator("[data-name=Accepted]")).to_contain_text(re.compile(r"trades per second\s*[\d.]+"))
    expect(page.locator("[data-name=Durable]")).to_contain_text(re.compile(r"journal\s*[\d.]+ kB"))
    expect(page.locator("section[data-name^=Worker]")).to_have_count(1)
    expect(page.get_by_role("region", name="Stages")).to_contain_text("End to end")
