"""The gateway's connections to its workers: one PushLink for each, opened when a worker says hello."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from time import monotonic

import zmq

from telemetry.backbone import sockets
from telemetry.backbone.desk import Desk
from telemetry.backbone.endpoints import same_place
from telemetry.backbone.links import PushLink
from telemetry.errors import InvalidInput
from telemetry.wire import Buffer, Heartbeat, LeaseHead, PartialHead

CONNECT_SECONDS = 2.0  # a connection that is not up by then is tried again at the next hello
MOST = 256  # workers; whoever says hello beyond is refused

Open = Callable[[Heartbeat], PushLink]


class Connections:
    """By worker id. `refused` counts hellos that lead nowhere: an address of elsewhere, an id in use, too many.
    `leases` counts those that were sent, by the way they went."""

    def __init__(self, context: zmq.Context[sockets.Socket], results: str, desk: Desk, *, window: int) -> None:
        self.refused = 0
        self.leases: Counter[str] = Counter()
        self._context, self._results, self._desk, self._window = context, results, desk, window
        self._links: dict[str, PushLink] = {}

    def hello(self, hello: Heartbeat) -> None:
        """A worker is there: connect to it if it is new, or know that it lives."""
        link = self._links.get(hello.worker)
        if link is None:
            self._open(hello)
        elif link.hello.endpoint == hello.endpoint:
            if link.up:
                self._desk.beat(hello.worker)
            elif monotonic() - link.opened_at > CONNECT_SECONDS:
                self.close(hello.worker)
                self._open(hello)
        elif link.hello.pid != hello.pid and link.up:
            self.refused += 1  # a second process of this name waits until the first one is lost
        elif link.hello.pid != hello.pid or hello.generation > link.hello.generation:
            self._down(link, "replaced")
            self._open(hello)

    def lease(self, worker: str, head: LeaseHead, pieces: Sequence[Buffer], length: int) -> bool:
        """Send a lease whose records are `pieces`, `length` bytes in all. False when it takes nothing now."""
        link = self._links.get(worker)
        way = None if link is None else link.lease(head, pieces, length)
        if way is not None:
            self.leases[way] += 1
        return way is not None

    def partial(self, head: PartialHead, body: memoryview) -> memoryview:
        """The body of a partial that came in a message with `body`. InvalidInput when it is not there any more: its
        place was in the room of a generation that is over, so its lease is somebody else's by now."""
        link = self._links.get(head.worker)
        if head.epoch != self._desk.epoch:  # it is dropped for that, whatever its body is
            return body
        if link is not None:
            return link.partial(head, body)
        if head.place is not None:
            raise InvalidInput(f"expected a partial of a worker that is connected, received one of {head.worker!r}")
        return body

    def close(self, worker: str) -> None:
        """Drop the connection to `worker`; it will notice and say hello as a new generation if it can."""
        link = self._links.pop(worker, None)
        if link is not None:
            link.close()

    def close_all(self) -> None:
        """Drop every connection."""
        for worker in list(self._links):
            self.close(worker)

    def _open(self, hello: Heartbeat) -> None:
        if len(self._links) >= MOST or not same_place(hello.endpoint, self._results):
            self.refused += 1
            return
        try:
            link = PushLink(self._context, hello, window=self._window, on_up=self._up, on_down=self._down)
        except zmq.ZMQError:  # no address after all, or out of file descriptors: the next hello tries again
            self.refused += 1
            return
        self._links[hello.worker] = link

    def _up(self, link: PushLink) -> None:
        hello = link.hello
        self._desk.joined(hello.worker, hello.version, generation=hello.generation, pid=hello.pid)

    def _down(self, link: PushLink, reason: str = "connection") -> None:
        if self._links.get(link.hello.worker) is link:
            self.close(link.hello.worker)
            self._desk.lost(link.hello.worker, reason)
