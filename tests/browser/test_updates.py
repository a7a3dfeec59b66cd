"""What a viewer is told, in Streamlit's own protocol: each update of a page to its end, however many come at a time."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.browser.session import Session
from tests.browser.stack import Stack
from tests.ui.scripted_stream import until

pytestmark = pytest.mark.timeout(180)

VIEWERS, UPDATES = 3, 6
MOST = 0.7  # of the updates of a page: the machine may be so busy that one is overtaken by the next


def test_updates_of_a_page_are_told_to_their_end_and_what_is_gone_goes(stack: Stack) -> None:
    stack.post(symbol="TOLD", side="buy", quantity="1", price="10")
    with ExitStack() as sessions:
        viewers = [sessions.enter_context(Session(stack.page_url)) for _ in range(VIEWERS)]
        until(lambda: all(sum(viewer.begun.values()) > 2 * UPDATES for viewer in viewers), 60)
        for viewer in viewers:
            for number, fragment in enumerate(viewer.fragments):
                begun, whole = viewer.runs_of(fragment)
                print(f"part {number} of the page: {begun} runs, {whole} of them whole")
                # The first is the strip, whose elements never go; the rest of the page is asked for in its moment.
                assert number == 0 or whole >= MOST * begun
