"""The heads of requests that the lane takes: parsed and guarded once, then known by their bytes.

Large bodies all have different lengths, so a head is also known by its bytes without the digits of the length.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import httptools

from gateway.guard import Guard
from gateway.ingest import ARROW_BYTES, MEDIA, PATH, THREAD_BYTES, waiting
from telemetry.decode import AnyMedia
from telemetry.errors import InvalidInput

MAX_BODY: dict[AnyMedia, int] = {"json": THREAD_BYTES, "arrow": ARROW_BYTES}  # larger ones are decoded in a thread
SMALL_BODY = 4096  # up to here bodies of JSON are decoded together
MAX_HEAD = 2048
HEADS = 1024  # different heads that are remembered; when there are more, all are forgotten
BLANK_LINE = b"\r\n\r\n"
REQUEST = b"POST %b" % PATH.encode()  # how the request line begins
_LENGTH = re.compile(rb"\r\ncontent-length: ?([1-9][0-9]{0,8})\r\n", re.IGNORECASE)
_PLAIN = frozenset(
    (b"host", b"origin", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection")
)


class Head(NamedTuple):
    """What a head asks for: `length` bytes of body; `seconds` to wait until applied, None not to wait for that."""

    length: int
    seconds: float | None = None
    media: AnyMedia = "json"

    @property
    def is_small(self) -> bool:
        """Whether the body is decoded together with others."""
        return self.length <= SMALL_BODY and self.media == "json"


USUAL = Head(-1)  # this request goes the usual way


class Heads:
    """The heads that came lately."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._known: dict[bytes, Head] = {}  # by their bytes
        self._alike: dict[bytes, Head] = {}  # by their bytes without the length

    def find(self, head: bytes) -> Head:
        """What these bytes, up to and with the blank line, ask for; USUAL when the lane does not take it."""
        known = self._known.get(head)
        if known is None:
            known = self._learn(head)
            if known.length <= SMALL_BODY:
                _keep(self._known, head, known)
        return known

    def _learn(self, head: bytes) -> Head:
        length = _LENGTH.search(head)
        if length is None:
            known = _parse(head, self._guard)
        else:
            without = head[: length.start(1)] + head[length.end(1) :]
            alike = self._alike.get(without)
            if alike is None:
                alike = _parse(head, self._guard)
                _keep(self._alike, without, alike)
            known = USUAL if alike is USUAL else alike._replace(length=int(length[1]))
        return known if known.length <= MAX_BODY[known.media] else USUAL


def _keep(heads: dict[bytes, Head], head: bytes, known: Head) -> None:
    if len(heads) >= HEADS:
        heads.clear()
    heads[head] = known


class _Found:
    """What the parser finds."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.complete = True


def _parse(head: bytes, guard: Guard) -> Head:
    """Anything unusual at all is not for the lane: there it is answered as it is to be, also with a refusal."""
    found = _Found()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(head)
        guard.check(found.headers)
        path, _, query = found.url.partition(b"?")
        wait, seconds = waiting(query)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade, InvalidInput):
        return USUAL
    names = [name for name, _ in found.headers]
    headers = dict(found.headers)
    length = headers.pop(b"content-length", b"")
    media = MEDIA.get(headers.pop(b"content-type", b"").decode("latin-1"))
    if media not in MAX_BODY:
        return USUAL
    taken = (
        found.complete
        and path == PATH.encode()
        and b"#" not in query
        and parser.get_method() == b"POST"
        and parser.get_http_version() == "1.1"
        and parser.should_keep_alive()
        and len(set(names)) == len(names)
        and headers.keys() <= _PLAIN
        and length.isdigit()
        and int(length) > 0
    )
    return Head(int(length), seconds if wait else None, media) if taken else USUAL
