"""Ten who look at once, two of them with a browser: their figures stay young, and the gateway hardly notices.

Gateway and worker have one core, the page and the load the other. The figures are printed.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.session import Session
from tests.browser.stack import Stack
from tests.browser.test_screen import AGES, BATCH, RATE, Load, newest, sending
from tests.browser.viewing import PATIENCE, line, visit

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SESSIONS = 8
INGEST_SECONDS = 6.0
AGE_SECONDS = 3.0
INGEST_RATIO = 0.9


def test_ten_viewers_see_young_figures_and_cost_the_gateway_at_most_a_tenth(browser: Browser, tmp_path: Path) -> None:
    names = [f"S{number:02}" for number in range(50)]
    body = [{"symbol": names[at % 50], "side": "buy", "quantity": "1", "price": "10.5"} for at in range(BATCH)]
    with ExitStack() as all_of, Stack(tmp_path) as stack:
        _share_cores(all_of, stack)
        alone = [ingest(stack, body)]
        contexts = [browser.new_context(viewport={"width": 1280, "height": 900}) for _ in range(2)]
        with sending(stack, [body], BATCH / RATE) as load, ExitStack() as sessions:
            pages = [visit(context, stack) for context in contexts]
            viewers = [sessions.enter_context(Session(stack.page_url)) for _ in range(SESSIONS)]
            for page in pages:
                expect(line(page, "S00")).to_be_visible(timeout=PATIENCE)
            end = time.monotonic() + PATIENCE / 1000
            while min(viewer.updates for viewer in viewers) == 0 and time.monotonic() < end:
                pages[0].wait_for_timeout(200)
            print("updates of the sessions before", [viewer.updates for viewer in viewers])
            old = sorted(age for page in pages for age in ages(page, load))
            print("and behind", [viewer.updates for viewer in viewers])
            assert min(viewer.updates for viewer in viewers) > 0, "every session draws"
            load._stop.set()
            load._thread.join()
            watched = ingest(stack, body)
        for context in contexts:
            context.close()
        alone.append(ingest(stack, body))
    p95, ratio = statistics.quantiles(old, n=20)[18], watched / statistics.mean(alone)
    print(f"age p50 {statistics.median(old):.2f} s, p95 {p95:.2f} s")
    print(f"ingest {alone[0]:,.0f} and {alone[1]:,.0f} trades/s alone, {watched:,.0f} with ten viewers: {ratio:.2f} x")
    assert p95 <= AGE_SECONDS
    assert ratio >= INGEST_RATIO


def ages(page: Page, load: Load) -> list[float]:
    """How old the figures on a page were, in seconds, again and again."""
    found = page.evaluate(AGES, 10_000)
    acknowledged = dict(load.acknowledged)
    return [at / 1000 - newest(acknowledged, seq) for at, seq in found if seq and seq >= min(acknowledged)]


def ingest(stack: Stack, body: list[dict[str, str]]) -> float:
    """Trades per second that the gateway takes when each batch is sent as soon as the one before is answered."""
    content, kind = json.dumps(body).encode(), {"content-type": "application/json"}
    began, count = time.monotonic(), 0
    with httpx.Client(trust_env=False, timeout=30) as client:
        while (seconds := time.monotonic() - began) < INGEST_SECONDS:
            answer = client.post(f"{stack.gateway_url}/v1/trades", content=content, headers=kind)
            count += answer.json()["accepted"] if answer.status_code == 202 else 0
    return count / seconds


def _share_cores(undo: ExitStack, stack: Stack) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("expected two cores")
    undo.callback(os.sched_setaffinity, 0, cores)
    os.sched_setaffinity(0, {cores[0]})
    for service, core in (("gateway", cores[1]), ("worker", cores[1]), ("ui", cores[0])):
        for thread in Path(f"/proc/{stack.pid(service)}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
