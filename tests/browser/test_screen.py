"""The screen that stays open all day: what a viewer has done to it stays as it is, and it is as quick as it must be.

The figures are printed; `quick` ones are of one viewer and a gateway that takes ten thousand trades a second.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.stack import Stack
from tests.browser.viewing import PATIENCE, line, visit
from tests.ports import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SECONDS = 60
SYMBOLS = 400  # of each of two families
RATE, BATCH = 10_000, 1_000  # trades per second, and in one request
ROW = 32  # pixels


class Load:
    """Trades at a rate, in batches, and when each batch was acknowledged: (last seq, seconds of the wall clock)."""

    def __init__(self, url: str, bodies: list[bytes], pause: float) -> None:
        self.acknowledged: list[tuple[int, float]] = []
        self._url, self._bodies, self._pause = f"{url}/v1/trades", bodies, pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        due = time.monotonic()
        with httpx.Client(trust_env=False, timeout=30) as client:
            for number in range(10**9):
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                due += self._pause
                body, kind = self._bodies[number % len(self._bodies)], {"content-type": "application/json"}
                answer = client.post(self._url, content=body, headers=kind)
                if answer.status_code == 202:
                    self.acknowledged.append((answer.json()["last_seq"], time.time()))


@contextmanager
def sending(stack: Stack, bodies: list[list[dict[str, Any]]], pause: float) -> Iterator[Load]:
    load = Load(stack.gateway_url, [json.dumps(body).encode() for body in bodies], pause)
    load._thread.start()
    try:
        yield load
    finally:
        load._stop.set()
        load._thread.join()


def trades(family: str, change: float) -> list[dict[str, Any]]:
    """A trade of each symbol; prices move, and their order does not."""
    return [
        {"symbol": f"{family}{number:03}", "side": "buy", "quantity": "1", "price": f"{number + 1 + change:.4f}"}
        for number in range(SYMBOLS)
    ]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path) as stack:
        yield stack


# Watches that no root of table, cards or chart leaves the page, and sums up what moves in it.
WATCH = """() => {
  const roots = (tree) => [...tree.querySelectorAll("*")].flatMap((node) => [
    ...(node.matches("table, .cards, .strip, canvas, [data-testid=stEChartsChart], input") ? [node] : []),
    ...(node.shadowRoot ? roots(node.shadowRoot) : []),
  ]);
  const watched = roots(document);
  const seen = { roots: watched.length, gone: 0, shift: 0, frames: 0, moved: [] };
  const lost = (node) => watched.some((root) => root === node || node.contains?.(root));
  const observer = new MutationObserver((changes) => {
    seen.frames += 1;
    for (const change of changes) for (const node of change.removedNodes) if (lost(node)) seen.gone += 1;
  });
  const trees = new Set([document.body, ...watched.map((root) => root.getRootNode())]);
  for (const tree of trees) observer.observe(tree, { childList: true, subtree: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      seen.shift += entry.value;
      seen.moved.push(...entry.sources.map(({ node, previousRect: was, currentRect: is }) =>
        `${node?.className || node?.nodeName} ${[was.x, was.y, was.width]} ${[is.x, is.y, is.width]}`));
    }
  }).observe({ type: "layout-shift" });
  window.watched = { seen, connected: () => watched.every((root) => root.isConnected) };
}"""


def test_a_minute_of_updates_leaves_scroll_sort_search_and_a_half_typed_price_alone(
    browser: Browser, stack: Stack
) -> None:
    bodies = [trades(family, change) for change in (0.1, 0.2, 0.3) for family in ("AX", "BX")]
    bodies[0] = bodies[0][::2]  # some are traded more than others: sorted by trades, rows change their places
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    with sending(stack, bodies, 0.25):
        page, ticket = visit(context, stack), visit(context, stack, "ticket")
        expect(line(page, "AX000")).to_be_attached(timeout=PATIENCE)
        ticket.get_by_label("Price", exact=True).press_sequentially("642")
        page.get_by_label("Find a symbol").press_sequentially("ax")
        expect(page.get_by_text(f"{SYMBOLS} of {2 * SYMBOLS} symbols")).to_be_visible(timeout=PATIENCE)
        page.locator("thead button[data-column=last]").click()
        expect(line(page, f"AX{SYMBOLS - 1}")).to_be_attached(timeout=PATIENCE)
        frame = page.locator(".frame").first
        frame.evaluate(f"frame => {{ frame.scrollTop = {300 * ROW}; }}")
        expect(line(page, f"AX{SYMBOLS - 1 - 300:03}")).to_be_attached(timeout=PATIENCE)
        page.wait_for_timeout(2000)
        before = looks(page)
        page.evaluate(WATCH)
        prices = set()
        for _ in range(SECONDS):
            page.wait_for_timeout(1000)
            assert looks(page) == before
            prices.add(line(page, f"AX{SYMBOLS - 1 - 300:03}").locator("[data-column=last]").inner_text())
        seen = page.evaluate("() => ({ ...watched.seen, connected: watched.connected() })")
    print(f"{seen['roots']} roots watched, {seen['frames']} changes seen, {len(prices)} prices")
    print(f"moved: {seen['moved'][:8]}")
    assert len(prices) > 1, "figures went on"
    assert seen["roots"] >= 5
    assert (seen["gone"], seen["connected"], seen["shift"]) == (0, True, 0)
    expect(ticket.get_by_label("Price", exact=True)).to_have_value("642")
    expect(ticket.get_by_label("Price", exact=True)).to_be_focused()
    context.close()


def looks(page: Page) -> Any:
    """Where the viewer has put things: scroll, sort, search, and the row on top."""
    return page.locator(".frame").first.evaluate(
        """frame => ({
          scroll: frame.scrollTop,
          sort: [...frame.querySelectorAll("th[aria-sort]")].map((th) => th.ariaSort).join(),
          find: frame.getRootNode().querySelector("input").value,
          top: document.elementFromPoint && [...frame.querySelectorAll("tr[data-symbol]")]
            .find((row) => row.getBoundingClientRect().bottom > frame.getBoundingClientRect().top + 40)?.dataset.symbol,
        })"""
    )


def test_at_ten_thousand_trades_a_second_figures_are_young_and_the_page_s_process_is_mostly_idle(
    browser: Browser, stack: Stack
) -> None:
    names = [f"S{number:02}" for number in range(50)]
    body = [{"symbol": names[at % 50], "side": "buy", "quantity": "1", "price": "10.5"} for at in range(BATCH)]
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    with sending(stack, [body], BATCH / RATE) as load:
        page = visit(context, stack)
        expect(line(page, "S00")).to_be_visible(timeout=PATIENCE)
        page.wait_for_timeout(5000)
        spent, began, first = cpu(stack.pid("ui")), time.monotonic(), len(load.acknowledged)
        ages = page.evaluate(AGES, 30_000)
        seconds = time.monotonic() - began
        share = (cpu(stack.pid("ui")) - spent) / seconds
        rate = (load.acknowledged[-1][0] - load.acknowledged[first][0]) / seconds
    acknowledged = dict(load.acknowledged)
    old = sorted(at / 1000 - newest(acknowledged, seq) for at, seq in ages if seq)
    p95 = statistics.quantiles(old, n=20)[18]
    print(f"{rate:,.0f} trades/s; age p50 {statistics.median(old):.2f} s, p95 {p95:.2f} s; page {share:.0%} of a core")
    context.close()
    assert p95 <= 1.5
    assert share <= 0.30


# [ms of the wall clock, the oldest as-of of all cards] each 50 ms
AGES = """(length) => new Promise((done) => {
  const host = [...document.querySelectorAll("*")].find((node) => node.shadowRoot?.querySelector(".cards"));
  const cards = [...host.shadowRoot.querySelectorAll("[data-card]")];
  const found = [], began = Date.now();
  const timer = setInterval(() => {
    found.push([Date.now(), Math.min(...cards.map((card) => Number(card.dataset.asOfSeq)))]);
    if (Date.now() - began > length) { clearInterval(timer); done(found); }
  }, 50);
})"""


def newest(acknowledged: dict[int, float], seq: int) -> float:
    """When the newest batch that is in the figures as of `seq` was acknowledged."""
    return max(at for last, at in acknowledged.items() if last <= seq)


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_warm_page_is_painted_and_a_symbol_s_chart_drawn_before_anybody_waits(browser: Browser, stack: Stack) -> None:
    with sending(stack, [trades("AX", change) for change in (0.1, 0.2)], 0.5):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        visit(context, stack)  # now it is warm
        context.close()
        paints, charts = [], []
        for _ in range(3):  # the best of three: the machine may be busy with something else
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            began = time.monotonic()
            page.goto(stack.page_url)
            expect(page.locator("[data-card=rate] .value")).not_to_have_text("–", timeout=PATIENCE)
            expect(line(page, "AX000")).to_be_attached(timeout=PATIENCE)
            paints.append(time.monotonic() - began)
            page.wait_for_timeout(1500)
            began = time.monotonic()
            line(page, "AX000").locator("[data-column=last]").click()
            expect(page.locator("[data-testid=stEChartsChart][aria-label='Candles of AX000'] canvas")).to_be_visible(
                timeout=PATIENCE
            )
            charts.append(time.monotonic() - began)
            context.close()
    print(f"first paint {min(paints):.2f} s of {paints}, a symbol's chart {min(charts):.2f} s of {charts}")
    assert min(paints) <= 3
    assert min(charts) <= 1.5


def test_a_demonstration_has_no_empty_card_and_its_rates_and_totals_live(browser: Browser, tmp_path: Path) -> None:
    gateway, page_port = free_port(), free_port()
    command = [sys.executable, "-P", "-m", "telemetry", "demo", "--port", str(gateway), "--ui-port", str(page_port)]
    with (tmp_path / "demo.log").open("wb") as log:
        demo = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until_answers(f"http://127.0.0.1:{page_port}/_stcore/health")
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://127.0.0.1:{page_port}")
        expect(page.locator("[data-card=trades] .value")).not_to_have_text("–", timeout=60_000)
        page.wait_for_timeout(10_000)
        seen: dict[str, list[str]] = {}
        for _ in range(150):
            page.wait_for_timeout(200)
            for name, value in page.locator("[data-card]").evaluate_all(VALUES):
                seen.setdefault(name, []).append(value)
        page.close()
    finally:
        demo.terminate()
        demo.wait(30)
    changes = {name: sum(one != other for one, other in pairwise(values)) for name, values in seen.items()}
    print(f"changes in 30 s: {changes}")
    assert all(value not in ("", "–") for values in seen.values() for value in values)
    assert {
        name: count for name, count in changes.items() if name in ("rate", "trades", "notional") and count < 10
    } == {}


VALUES = "cards => cards.map((card) => [card.dataset.card, card.querySelector('.value').textContent])"


def until_answers(url: str) -> None:
    """Return when a URL answers 200."""
    pause, end = threading.Event(), time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if httpx.get(url, trust_env=False, timeout=10).is_success:
                return
        except httpx.TransportError:
            pass
        pause.wait(0.1)
    raise AssertionError(f"{url} does not answer")
