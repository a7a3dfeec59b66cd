"""Ports for the servers of tests."""

from __future__ import annotations

import os
import random
import socket

# Below the range from which systems take the ports of outgoing connections: nobody gets one of these by chance
# between the moment when it was found free and the start of the server that is to have it. Above 10080, the highest of
# those to which browsers never connect (https://fetch.spec.whatwg.org/#port-blocking).
_FIRST, _SLICE = 10_100, 2_500
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_start = random.randrange(_SLICE)
_given = 0


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, another one each time."""
    global _given
    while _given < _SLICE:
        port = _FIRST + _WORKER * _SLICE + (_start + _given) % _SLICE
        _given += 1
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"expected a free port among {_SLICE}, found none")
