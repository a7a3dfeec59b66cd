"""A day at the desk, in the browser: tape, ticket, alerts and the trades behind them, and a gateway that goes away."""

from __future__ import annotations

import re
import time
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.stack import Stack
from tests.browser.viewing import HOSTILE, PATIENCE, fill, line, slip, visit

pytestmark = pytest.mark.timeout(240)

SHOWN_SECONDS = 2.0  # from the click to the eye
NOTICED_SECONDS = 3.0  # from the gateway's death to the banner
_numbers = count()
PAGES = ("", "symbol?symbol=BEFORE", "ticket", "alerts", "pipeline")
AWAY = re.compile("The gateway is away since")


class Alerted(NamedTuple):
    """A gateway with an open alert about the price of one trade, and its symbol, which is hostile."""

    stack: Stack
    symbol: str


@pytest.fixture
def alerted(stack: Stack) -> Alerted:
    """Each time of another symbol."""
    symbol = f"{HOSTILE}{next(_numbers)}"
    slip(stack, symbol)
    return Alerted(stack, symbol)


def test_a_trade_of_the_ticket_is_on_the_tape_within_two_seconds(context: BrowserContext, stack: Stack) -> None:
    stack.post(symbol="TAPE", side="buy", quantity="1", price="10", currency="USD")
    ticket, watching = visit(context, stack, "ticket"), visit(context, stack, "symbol?symbol=TAPE")
    for page in (ticket, watching):
        if page is ticket:
            fill(ticket, "TAPE", "1", "10")
        expect(page.locator(".tape")).to_have_attribute("data-source", "stream", timeout=PATIENCE)
        expect(page.locator(".tape tbody tr")).to_have_count(1, timeout=PATIENCE)
    expect(ticket.get_by_label("Currency")).to_have_value("USD", timeout=PATIENCE)
    best = float("inf")
    for number in range(2, 5):  # the best of three: the machine may be busy with something else
        button = fill(ticket, "TAPE", str(number), "10.5", side="Sell")
        began = time.monotonic()
        button.click()
        expect(watching.locator(".tape tbody tr")).to_have_count(number, timeout=PATIENCE)
        best = min(best, time.monotonic() - began)
    expect(watching.locator(".tape tbody tr").first).to_contain_text("▼ sell")
    expect(ticket.get_by_text(re.compile("On disk and in the figures [0-9.]+ m?s after it was sent"))).to_be_visible()
    assert best < SHOWN_SECONDS


def test_a_half_typed_price_survives_every_update(context: BrowserContext, stack: Stack) -> None:
    stack.post(symbol="HALF", side="buy", quantity="1", price="10")
    page = visit(context, stack, "ticket")
    fill(page, "HALF", "3", "64.")
    last = 0
    for number in range(4):
        last = stack.post(symbol="HALF", side="buy", quantity="1", price=f"1{number}")["last_seq"]
        expect(page.locator(f".tape tr[data-seq='{last}']")).to_be_visible(timeout=PATIENCE)
        expect(page.locator(".strip")).to_have_attribute("data-as-of-seq", str(last), timeout=PATIENCE)
    expect(page.get_by_label("Price", exact=True)).to_have_value("64.")
    expect(page.get_by_label("Quantity", exact=True)).to_have_value("3")


def test_a_tape_whose_stream_does_not_open_says_so_and_takes_the_page_s_update(browser: Browser, stack: Stack) -> None:
    stack.post(symbol="SLOW", side="buy", quantity="1", price="10")
    context = browser.new_context(reduced_motion="reduce")
    # As a proxy that takes the connection and hands nothing on.
    context.route_web_socket(re.compile(r"/v1/stream$"), lambda socket: None)
    page = visit(context, stack, "symbol?symbol=SLOW")
    expect(page.locator(".tape")).to_have_attribute("data-source", "page", timeout=PATIENCE)
    expect(page.locator(".tape p")).to_contain_text("From the one-second update")
    last = stack.post(symbol="SLOW", side="sell", quantity="2", price="11")["last_seq"]
    expect(page.locator(f".tape tr[data-seq='{last}']")).to_be_visible(timeout=PATIENCE)
    context.close()


def test_from_the_red_tile_to_the_trades_behind_it_are_two_clicks(context: BrowserContext, alerted: Alerted) -> None:
    page = visit(context, alerted.stack)
    tile = page.locator("[data-chip=alerts]")
    expect(tile).to_have_attribute("data-tone", "bad", timeout=PATIENCE)
    assert page.title().startswith("(")
    tile.click()
    page.get_by_role("button", name=f"Trades behind fat-finger-price {alerted.symbol}").click(timeout=PATIENCE)
    expect(page.locator(".tape tbody tr").first).to_contain_text("1,005", timeout=PATIENCE)
    expect(page.locator(".tape tbody tr").first).to_contain_text(alerted.symbol)
    page.reload()  # its address leads there too
    expect(page.locator(".tape tbody tr").first).to_contain_text("1,005", timeout=PATIENCE)
    assert page.locator("img[src=x]").count() == 0


def test_an_alert_is_acknowledged_by_name_muted_and_unmuted(context: BrowserContext, alerted: Alerted) -> None:
    page = visit(context, alerted.stack, "alerts")
    alert = page.locator(".alerts article").filter(has_text=alerted.symbol)
    expect(alert).to_be_visible(timeout=PATIENCE)
    page.get_by_label("Your name").fill("ana")
    page.get_by_label("Your name").press("Tab")
    alert.get_by_label(re.compile("^Mute")).select_option(label="1 h")
    expect(alert).to_contain_text("muted until", timeout=PATIENCE)
    alert.get_by_role("button", name="Acknowledge").click()
    expect(alert).to_contain_text("by ana", timeout=PATIENCE)
    page.get_by_role("tab", name="Rules and mutes").click()
    page.get_by_role("button", name="Unmute").first.click(timeout=PATIENCE)
    expect(page.get_by_text("Nothing is muted.")).to_be_visible(timeout=PATIENCE)


def test_a_new_alert_is_read_out_and_one_that_was_there_is_not(context: BrowserContext, alerted: Alerted) -> None:
    page = visit(context, alerted.stack, "alerts")
    expect(page.locator(".alerts article").first).to_be_visible(timeout=PATIENCE)
    announced = page.locator(".alerts [aria-live=polite]")
    expect(announced).to_have_text("")
    slip(alerted.stack, "LOUD")
    expect(announced).to_contain_text("LOUD", timeout=PATIENCE)


def test_when_the_gateway_dies_a_page_soon_says_so(context: BrowserContext, stack: Stack) -> None:
    page = visit(context, stack, PAGES[0])
    seconds = []
    for _ in range(2):  # the better of two: the machine may be busy with something else
        stack.kill("gateway")
        began = time.monotonic()
        expect(page.get_by_text(AWAY)).to_be_visible(timeout=PATIENCE)
        seconds.append(time.monotonic() - began)
        stack.start("gateway")
        stack.until_answers(f"{stack.gateway_url}/readyz")
        expect(page.get_by_text(AWAY)).to_be_hidden(timeout=PATIENCE)
    assert min(seconds) < NOTICED_SECONDS


def test_when_the_gateway_is_back_all_pages_that_are_open_are_live_again_without_a_reload(
    context: BrowserContext, stack: Stack
) -> None:
    stack.post(symbol="BEFORE", side="buy", quantity="1", price="10")
    pages = [visit(context, stack, address) for address in PAGES]
    for page in pages:
        page.evaluate("window.kept = true")
    stack.kill("gateway")
    for page in pages:
        expect(page.get_by_text(AWAY)).to_be_visible(timeout=PATIENCE)
    stack.start("gateway")
    stack.until_answers(f"{stack.gateway_url}/readyz")
    last = stack.post(symbol="AFTER", side="buy", quantity="1", price="10")["last_seq"]
    for page in pages:
        expect(page.get_by_text(AWAY)).to_be_hidden(timeout=PATIENCE)
        expect(page.locator("[data-chip=gateway]")).to_contain_text("ready", timeout=PATIENCE)
        expect(page.locator(".strip")).to_have_attribute("data-as-of-seq", str(last), timeout=PATIENCE)
        assert page.evaluate("window.kept") is True


def test_an_empty_page_sends_a_sample_and_a_double_click_counts_once(
    context: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Stack(Path(tmp_path_factory.mktemp("empty"))) as empty:
        page = visit(context, empty)
        page.get_by_role("button", name="Send a sample trade").dblclick(timeout=PATIENCE)
        expect(line(page, "SAMPLE")).to_be_visible(timeout=PATIENCE)
        assert empty.trades("SAMPLE") == 1
