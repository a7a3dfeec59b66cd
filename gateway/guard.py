"""What every request must pass before anything else looks at it: the right Host, and the right Origin if it has one.

A page on the web can make a browser talk to this machine's loopback address, under a name that it controls (DNS
rebinding) or from its own origin (WebSockets are not covered by CORS). So names are exact: loopback only, and origins
only of the gateway's own pages, and those that were named for the stream. Programs send no Origin.
"""

from __future__ import annotations

from collections.abc import Iterable

from telemetry.errors import InvalidInput

Headers = Iterable[tuple[bytes, bytes]]
_NAMES = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """`host` is the address listened on, `ports` those of the gateway and of the page. Pages of the other `origins` may
    do one thing: open the live stream, which only tells."""

    def __init__(self, host: str, ports: Iterable[int], origins: Iterable[str] = ()) -> None:
        self._hosts = {name.encode() for name in (*_NAMES, f"[{host}]" if ":" in host else host)}
        self._origins = {b"http://%b:%d" % (name, port) for name in self._hosts for port in ports}
        self._readers = self._origins | {origin.lower().encode() for origin in origins}

    def check(self, headers: Headers, *, stream: bool = False) -> None:
        """Raise InvalidInput (403) when Host or Origin is not one of ours; `stream`: the live stream is asked for."""
        host = origin = None
        for name, value in headers:
            if name == b"host":
                if host is not None:
                    raise InvalidInput("Host: expected one, received several", problem="forbidden")
                host = value
            elif name == b"origin":
                origin = value if origin is None else b"several"
        if host is None or _without_port(host.lower()) not in self._hosts:
            raise InvalidInput(f"Host: expected a loopback name, received {_shown(host)}", problem="forbidden")
        if origin is not None and origin.lower() not in (self._readers if stream else self._origins):
            raise InvalidInput(
                f"Origin: expected a page of this gateway, received {_shown(origin)}", problem="forbidden"
            )


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host


def _shown(value: bytes | None) -> str:
    return "none" if value is None else ascii(value[:80].decode("latin-1"))
