"""A viewer without a browser: speaks Streamlit's own protocol as its page in a browser does, at the same pace."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol


class Session:
    """Opens the page and asks for each of its fragments again whenever it is due; `updates` are what came of it.

    `begun` are the runs by the fragments that they drew, `whole` those of them that were told to their end: only then a
    browser takes away what is not there any more.
    """

    def __init__(self, page_url: str) -> None:
        self._page_url = page_url
        self.updates = 0
        self.begun: Counter[tuple[str, ...]] = Counter()
        self.whole: Counter[tuple[str, ...]] = Counter()
        self._due: dict[str, tuple[float, float]] = {}  # of fragments: when, and how often
        self._page = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join(10)

    @property
    def fragments(self) -> list[str]:
        """Those that are drawn again and again, in the order in which they stand on the page."""
        return list(self._due)

    def runs_of(self, fragment: str) -> tuple[int, int]:
        """How often a fragment was drawn, and how often that was told to its end."""
        begun, whole = (sum(n for ids, n in runs.items() if fragment in ids) for runs in (self.begun, self.whole))
        return begun, whole

    def _run(self) -> None:
        address = f"ws://{urlsplit(self._page_url).netloc}/_stcore/stream"
        with connect(
            address, origin=Origin(self._page_url), subprotocols=[Subprotocol("streamlit")], max_size=None, proxy=None
        ) as socket:
            self._ask(socket, "")
            while not self._closing.is_set():
                with suppress(TimeoutError):
                    self._take(socket.recv(0.05))
                now = time.monotonic()
                for fragment, (at, seconds) in list(self._due.items()):
                    if at <= now:
                        self._due[fragment] = now + seconds, seconds
                        self._ask(socket, fragment)

    def _take(self, message: str | bytes) -> None:
        told = ForwardMsg.FromString(message if isinstance(message, bytes) else message.encode())
        kind = told.WhichOneof("type")
        if kind == "delta":
            self.updates += 1
        elif kind == "new_session":
            self._page = told.new_session.page_script_hash
            self.begun[tuple(told.metadata.run.fragment_ids)] += 1
        elif kind == "script_finished" and told.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self.whole[tuple(told.metadata.run.fragment_ids)] += 1
        elif kind == "auto_rerun":
            seconds = told.auto_rerun.interval
            self._due[told.auto_rerun.fragment_id] = time.monotonic() + seconds, seconds

    def _ask(self, socket: ClientConnection, fragment: str) -> None:
        wanted = BackMsg()
        wanted.rerun_script.query_string = ""
        wanted.rerun_script.page_script_hash = self._page
        if fragment:
            wanted.rerun_script.fragment_id = fragment
            wanted.rerun_script.is_auto_rerun = True
        socket.send(wanted.SerializeToString())
