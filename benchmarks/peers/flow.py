"""Bytewax: a dataflow with a stateful step by symbol, in a process of its own, its trades from a socket.

Written in two ways: as its own guide to a stream of orders does it (json.loads, an object that holds the sums), and
the leanest that we could write. `python -m benchmarks.peers.flow WAY TRADES` listens on 127.0.0.1 and says on which
port. The first who connects sends the arrays, a length before each; whoever connects later is told what is shown, at
once and whenever TRADES are.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter, itemgetter
from pathlib import Path
from struct import Struct
from typing import Any

from benchmarks.peers.lean import Five, read
from benchmarks.peers.peer import Job, Peer, library
from benchmarks.processes import Failed, module

State = tuple[int, float, float]
Figures = tuple[int, float, float, float]  # count, quantity, notional, VWAP
Shown = tuple[str, Figures]  # of a symbol
_SIZE = Struct("<I")
_RECEIVE = 1 << 20
PATIENCE_SECONDS = 60.0


def running(way: str) -> Callable[[Path], AbstractContextManager[Job]]:
    """Jobs of a way; each is a process: a dataflow runs once."""

    @contextmanager
    def jobs(directory: Path) -> Iterator[Job]:
        yield partial(_job, way, directory)

    return jobs


def _job(way: str, directory: Path, bodies: Sequence[bytes]) -> float:
    trades = 1000 * len(bodies)
    with module("benchmarks.peers.flow", way, trades, log=directory / "flow.log") as process:
        address = ("127.0.0.1", int(process.line()))
        with socket.create_connection(address, PATIENCE_SECONDS) as sender:
            process.line()  # the dataflow runs
            with socket.create_connection(address, PATIENCE_SECONDS) as reader, reader.makefile() as answers:
                json.loads(answers.readline())  # what is shown of nothing
                began = time.monotonic()
                for body in bodies:
                    sender.sendall(_SIZE.pack(len(body)) + body)
                shown = json.loads(answers.readline())
                took = time.monotonic() - began
    if sum(count for count, _, _, _ in shown.values()) != trades:
        raise Failed(f"Bytewax shows {shown}, expected {trades} trades")
    return took


@dataclass
class Sums:
    """Those of a symbol."""

    count: int = 0
    quantity: float = 0.0
    notional: float = 0.0

    def update(self, trade: Mapping[str, Any]) -> None:
        """One more trade."""
        self.count += 1
        self.quantity += trade["quantity"]
        self.notional += trade["quantity"] * trade["price"]

    def figures(self) -> Figures:
        """What is shown of them."""
        return self.count, self.quantity, self.notional, self.notional / self.quantity


def update(state: Sums | None, trade: Mapping[str, Any]) -> tuple[Sums, Figures]:
    """One more trade of a symbol: its sums, and what is shown of them."""
    sums = state or Sums()
    sums.update(trade)
    return sums, sums.figures()


def count(state: State | None, trade: Five) -> tuple[State, Figures]:
    """The same with tuples."""
    trades, quantity, notional = state or (0, 0.0, 0.0)
    trades += 1
    quantity += trade.quantity
    notional += trade.quantity * trade.price
    return (trades, quantity, notional), (trades, quantity, notional, notional / quantity)


class Arrays:
    """Those that come over a connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection, self._received, self._is_running = connection, bytearray(), False

    def next_batch(self) -> list[bytes]:
        """What is there by now. Raises StopIteration when there will be no more."""
        if not self._is_running:
            self._is_running = True
            print("running", flush=True)
        try:
            received = self._connection.recv(_RECEIVE)
        except BlockingIOError:
            return []
        if not received:
            raise StopIteration
        self._received += received
        return list(self._whole())

    def _whole(self) -> Iterator[bytes]:
        while len(self._received) >= _SIZE.size:
            end = _SIZE.size + int(_SIZE.unpack_from(self._received)[0])
            if len(self._received) < end:
                return
            yield bytes(self._received[_SIZE.size : end])
            del self._received[:end]


class Board:
    """What is shown: the newest figures of each symbol, for readers from outside."""

    def __init__(self, wanted: int) -> None:
        self._rows: dict[str, Figures] = {}
        self._trades, self._wanted = 0, wanted
        self._is_all = threading.Event()

    def write_batch(self, items: list[Shown]) -> None:
        """Show these."""
        self._rows.update(items)
        self._trades += len(items)
        if self._trades >= self._wanted:
            self._is_all.set()

    def serve(self, listening: socket.socket) -> None:
        """Tell every reader what is shown at once, and when all trades are."""
        while True:
            reader, _ = listening.accept()
            with reader:
                reader.sendall(self._line())
                if self._is_all.wait(PATIENCE_SECONDS):
                    reader.sendall(self._line())

    def _line(self) -> bytes:
        return json.dumps(dict(self._rows)).encode() + b"\n"


@dataclass(frozen=True)
class Way:
    """To write the dataflow: trades of an array, the symbol of one, and the stateful step."""

    decode: Callable[[bytes], Sequence[Any]]
    symbol: Callable[[Any], str]
    step: Callable[[Any, Any], tuple[Any, Figures]]


WAYS = {
    "guide": Way(json.loads, itemgetter("symbol"), update),
    "lean": Way(read, attrgetter("symbol"), count),
}


def flow(way: Way, arrays: Arrays, board: Board) -> Any:
    """The dataflow."""
    dataflow, operators, inputs, outputs = map(
        library, ("bytewax.dataflow", "bytewax.operators", "bytewax.inputs", "bytewax.outputs")
    )
    whole = dataflow.Dataflow("trades")
    source = operators.input("in", whole, _part(inputs.DynamicSource, inputs.StatelessSourcePartition, arrays))
    trades = operators.flat_map("decode", source, way.decode)
    keyed = operators.key_on("by symbol", trades, way.symbol)
    shown = operators.stateful_map("count", keyed, way.step)
    operators.output("out", shown, _part(outputs.DynamicSink, outputs.StatelessSinkPartition, board))
    return whole


def _part(whole: Any, part: Any, does: Arrays | Board) -> Any:
    """A source or sink of one part, which does what this does. Its classes need the library, this module does not."""
    methods = {name: getattr(does, name) for name in ("next_batch", "write_batch") if hasattr(does, name)}
    one = type("Part", (part,), {name: staticmethod(method) for name, method in methods.items()})
    return type("Whole", (whole,), {"build": lambda *_: one()})()


def main() -> None:
    way, board = WAYS[sys.argv[1]], Board(int(sys.argv[2]))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        connection, _ = listening.accept()
        threading.Thread(target=board.serve, args=(listening,), daemon=True).start()
        library("bytewax.testing").run_main(flow(way, Arrays(connection), board))


PEERS = (
    Peer(
        name="Bytewax stateful_map",
        running=running("guide"),
        required=8.0,
        aim=13.0,
        libraries=("bytewax",),
        note="over a socket, json.loads as in its guide; not durable",
    ),
    Peer(
        name="Bytewax stateful_map lean",
        running=running("lean"),
        libraries=("bytewax",),
        note="the same, five fields decoded by msgspec; not durable",
    ),
)

if __name__ == "__main__":
    main()
