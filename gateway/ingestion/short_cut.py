"""A connection whose requests take the lane where they can, and uvicorn's usual way where not."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.ingest import BODY_SECONDS
from gateway.ingestion.body import Body
from gateway.ingestion.heads import BLANK_LINE, MAX_HEAD, REQUEST, USUAL, Head
from gateway.ingestion.lane import Lane


class LaneProtocol(HttpToolsProtocol):
    """A connection of uvicorn's with a short cut."""

    def __init__(self, lane: Lane, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._lane = lane
        self._waits = False  # for an answer from the lane
        self._early = b""  # what arrived meanwhile
        self._in_message = self._ends = False
        self._unanswered = 0
        self._active_at = 0.0
        self._body: Body | None = None  # that large ones are read with
        self._head = USUAL  # that of a large one
        self._came = 0, 0  # when its head did

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._waits:
            self._early += data
            self.flow.pause_reading()
            return
        head, end = self._found(data)
        if head.is_small:
            if len(data) - end == head.length:
                self._waits = True
                self._lane.take(self, data[end:], head.seconds)
                return
        elif self._begins(head, memoryview(data)[end:], None):
            return
        super().data_received(data)

    def begins(self, arrived: memoryview) -> bool:
        """See gateway.ingestion.body."""
        if self._waits:
            return False
        head, end = self._found(arrived[:MAX_HEAD].tobytes())
        in_place = end if head.media == "json" else None
        return not head.is_small and self._begins(head, arrived[end:], in_place)

    def _found(self, data: bytes) -> tuple[Head, int]:
        """The head of the request that begins with this data, and where it ends; USUAL when it is not for the lane."""
        if data.startswith(REQUEST) and self._idle():
            end = data.find(BLANK_LINE, 0, MAX_HEAD) + len(BLANK_LINE)
            if end >= len(BLANK_LINE):
                return self._lane.heads.find(data[:end]), end
        return USUAL, 0

    def _begins(self, head: Head, first: memoryview, offset: int | None) -> bool:
        """Whether this is a large body for the lane; if so it is on its way."""
        if len(first) > head.length or not self._lane.admits(head):
            return False
        self._waits = True
        self._head, self._came = head, self._lane.now()
        if self._body is None:
            self._body = Body(self, BODY_SECONDS, self._lane.buffers["json"])
        self._body.begin(head.length, first, self._lane.buffers[head.media], offset)
        return True

    def body_complete(self) -> None:
        """See gateway.ingestion.body."""
        assert self._body is not None
        self._lane.take_large(self, self._body, self._head, self._came)

    def body_late(self, received: int) -> None:
        """See gateway.ingestion.body. What is still to come would be taken for a request."""
        self._ends = True
        self._lane.large_late(self, received, self._came[1])

    def body_lost(self, error: Exception | None) -> None:
        """See gateway.ingestion.body."""
        self._waits = False
        self._lane.large_lost()
        self.connection_lost(error)

    def _idle(self) -> bool:
        """Whether nothing of a request is in the parser, and no answer is under way."""
        unfinished = self._in_message or self._unanswered or self.flow.write_paused
        return not unfinished and not self.transport.is_closing()

    def on_message_begin(self) -> None:
        """A request begins that goes the usual way."""
        self._in_message = True
        self._unanswered += 1
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is answered."""
        self._unanswered -= 1
        super().on_response_complete()

    def default_head(self) -> bytes:
        """Lines that every answer has: the date."""
        return b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)

    def answer(self, response: bytes) -> None:
        """The answer to the request in the lane; then what arrived meanwhile."""
        self._waits = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.transport.write(response)
        if self._ends:
            self.transport.close()
            return
        self._active_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._expect_more(self.timeout_keep_alive)
        if self._early:
            early, self._early = self._early, b""
            self.flow.resume_reading()
            self.data_received(early)

    def fail(self) -> None:
        """Something that should not happen did: the client is not told that it was well."""
        self._waits = False
        self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """No request for so long: close; the lane does not set a timer for each request, so look when the last was."""
        self.timeout_keep_alive_task = None
        rest = self._active_at + self.timeout_keep_alive - self.loop.time()
        if self._waits or rest > 0:
            self._expect_more(max(rest, 0.1))
        else:
            super().timeout_keep_alive_handler()

    def _expect_more(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def shutdown(self) -> None:
        """The server stops: the answer that is under way is still given."""
        if self._waits:
            self._ends = True
        else:
            super().shutdown()
