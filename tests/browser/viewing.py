"""What the tests do with a page: go there, fill the ticket, find a line of the table."""

from __future__ import annotations

from typing import Literal

import httpx
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.stack import Stack

HOSTILE = "<img src=x onerror=alert(1)>"
PATIENCE = 20_000  # ms, for what is not measured


def visit(
    context: BrowserContext, stack: Stack, address: str = "", *, theme: Literal["light", "dark"] = "light"
) -> Page:
    """A page of its own in a tab of its own, when it is live."""
    page = context.new_page()
    page.emulate_media(color_scheme=theme)
    page.goto(f"{stack.page_url}/{address}")
    expect(page.locator("[data-chip=gateway]")).to_contain_text("ready", timeout=PATIENCE)
    return page


def fill(page: Page, symbol: str, quantity: str, price: str, side: str = "Buy") -> Locator:
    """Fill the ticket; the button that sends it."""
    page.get_by_label("Symbol", exact=True).fill(symbol)
    page.get_by_text(side, exact=True).click()
    page.get_by_label("Quantity", exact=True).fill(quantity)
    page.get_by_label("Price", exact=True).fill(price)
    return page.get_by_role("button", name="Record trade")


def line(page: Page, symbol: str) -> Locator:
    """The line of a symbol in the table."""
    return page.locator("tbody tr").filter(has=page.get_by_role("rowheader", name=symbol, exact=True))


def cell(page: Page, symbol: str, column: str) -> Locator:
    """One value of the table."""
    return line(page, symbol).locator(f"[data-column={column}]")


def slip(stack: Stack, symbol: str, **fields: str) -> None:
    """Usual trades of a symbol, and one at ten times the price."""
    trade = {"symbol": symbol, "quantity": "1"} | fields
    usual = [trade | {"price": f"{100 + number % 3}.5"} for number in range(400)]
    for trades in (usual, [trade | {"price": "1005"}]):
        url = f"{stack.gateway_url}/v1/trades?wait=applied"
        assert httpx.post(url, json=trades, trust_env=False, timeout=30).json()["applied"]
