"""Ten who look at once, two of them with a browser: their figures stay young, and the gateway hardly notices.

Gateway and worker have one core, the page and the load the other. The figures are printed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import FLAGS
from tests.browser.session import Session
from tests.browser.stack import Stack
from tests.browser.test_screen import AGES, BATCH, RATE, Load, cpu, newest, sending
from tests.browser.viewing import PATIENCE, line, visit
from tests.ui.scripted_stream import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SESSIONS = 8
INGEST_SECONDS = 4.0
CONNECTIONS = 8
NICE = 10
AGE_SECONDS = 3.0
INGEST_RATIO = 0.9


def test_ten_viewers_see_young_figures_and_cost_the_gateway_at_most_a_tenth(
    browser: Browser, chromium: str, tmp_path: Path
) -> None:
    names = [f"S{number:02}" for number in range(50)]
    body = [{"symbol": names[at % 50], "side": "buy", "quantity": "1", "price": "10.5"} for at in range(BATCH)]
    with ExitStack() as all_of, Stack(tmp_path) as stack:
        core = _share_cores(all_of, stack)
        ingest(stack)  # the first seconds of a gateway are none of its usual ones
        alone = [ingest(stack), ingest(stack)]
        viewing = all_of.enter_context(_viewing(browser, chromium, core, tmp_path))
        contexts = [viewing.new_context(viewport={"width": 1280, "height": 900}) for _ in range(2)]
        with ExitStack() as sessions:
            with sending(stack, [body], BATCH / RATE) as load:
                pages = [visit(context, stack) for context in contexts]
                viewers = [sessions.enter_context(Session(stack.page_url)) for _ in range(SESSIONS)]
                for page in pages:
                    expect(line(page, "S00")).to_be_visible(timeout=PATIENCE)
                until(lambda: min(viewer.updates for viewer in viewers) > 0, PATIENCE / 1000)
                old = sorted(age for page in pages for age in ages(page, load))
            watched = [ingest(stack) for _ in range(4)]
        for context in contexts:
            context.close()
        alone += [ingest(stack), ingest(stack)]
    # As many before as behind: what changes with time, of the machine or with the trades there are, is no viewer's.
    p95, ratio = statistics.quantiles(old, n=20)[18], median_rate(watched) / median_rate(alone)
    print(f"updates of the sessions: {[viewer.updates for viewer in viewers]}")
    print(f"age p50 {statistics.median(old):.2f} s, p95 {p95:.2f} s")
    print(f"alone {'; '.join(map(str, alone))}")
    print(f"with ten viewers {'; '.join(map(str, watched))}: {ratio:.2f} x")
    assert p95 <= AGE_SECONDS
    assert ratio >= INGEST_RATIO


def ages(page: Page, load: Load) -> list[float]:
    """How old the figures on a page were, in seconds, again and again."""
    found = page.evaluate(AGES, 10_000)
    acknowledged = dict(load.acknowledged)
    return [at / 1000 - newest(acknowledged, seq) for at, seq in found if seq and seq >= min(acknowledged)]


class Ingest(NamedTuple):
    """Trades a second that were taken, and the seconds of a core that the gateway used for a million of them."""

    rate: float
    cost: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f} trades/s ({self.cost:.2f} s of a core for a million)"


def median_rate(measured: list[Ingest]) -> float:
    """Trades a second, half of the measurements below."""
    return statistics.median(each.rate for each in measured)


def ingest(stack: Stack) -> Ingest:
    """What the gateway takes when some connections send as fast as it answers."""
    address, used = urlsplit(stack.gateway_url), cpu(stack.pid("gateway"))
    command = [sys.executable, "-m", "tests.browser.flood", str(address.hostname), str(address.port)]
    ended = subprocess.run(
        [*command, str(INGEST_SECONDS), str(CONNECTIONS)], capture_output=True, text=True, check=True, timeout=60
    )
    rate = float(ended.stdout)
    return Ingest(rate, (cpu(stack.pid("gateway")) - used) / (rate * INGEST_SECONDS) * 1e6)


@contextmanager
def _viewing(browser: Browser, chromium: str, core: int, directory: Path) -> Iterator[Browser]:
    """A browser on the load's core that takes what page and load leave of it.

    Viewers have machines of their own: what drawing costs them shall not be what the load can send.
    """
    launcher = directory / "chromium"
    lines = f"#!{sys.executable}", "import os, sys", f"os.sched_setaffinity(0, {{{core}}})", f"os.nice({NICE})"
    launcher.write_text("\n".join((*lines, f"os.execv({chromium!r}, [{chromium!r}, *sys.argv[1:]])")))
    launcher.chmod(0o755)
    viewing = browser.browser_type.launch(executable_path=launcher, args=FLAGS)
    try:
        yield viewing
    finally:
        viewing.close()


def _share_cores(undo: ExitStack, stack: Stack) -> int:
    """The core that is not the gateway's."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("expected two cores")
    undo.callback(os.sched_setaffinity, 0, cores)
    os.sched_setaffinity(0, {cores[0]})
    for service, core in (("gateway", cores[1]), ("worker", cores[1]), ("ui", cores[0])):
        for thread in Path(f"/proc/{stack.pid(service)}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
    return cores[0]
