"""What nothing of this kind can beat: a server that does nothing, bare decoding, the disk's own sync.

`python -m benchmarks.floors asgi|fastapi PORT` is the process of a server, set up as the gateway's.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.bodies import decoded
from benchmarks.processes import Process, free_port, listens, module, until

ANSWER = b'{"accepted":1,"duplicates":0,"first_seq":1,"last_seq":1,"durable":true,"applied":false}'
_SIZED = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


class Server:
    """A running floor server."""

    def __init__(self, process: Process, port: int) -> None:
        self.cpu, self.port = process.cpu, port


@contextmanager
def serving(name: str, directory: Path) -> Iterator[Server]:
    """The server `asgi` or `fastapi` as a process."""
    port = free_port()
    with module("benchmarks.floors", name, port, log=directory / f"{name}.log") as process:
        until(lambda: listens(port), f"the {name} server listens")
        yield Server(process, port)


def decode_rate(made: Sequence[bytes]) -> float:
    """Trades per core-second of `msgspec.json.decode` into a list of structs, and nothing else."""
    began = time.process_time()
    count = sum(len(decoded(body)) for body in made)
    return count / (time.process_time() - began)


def sync_ms(path: Path, size: int, *, count: int, rate: float) -> list[float]:
    """Milliseconds of each write of `size` bytes with fdatasync into a file of zeros, at most `rate` a second."""
    block = os.urandom(size)
    taken = []
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.pwrite(descriptor, bytes(size * count), 0)
        os.fsync(descriptor)
        for number in range(count):
            began = time.perf_counter()
            os.pwrite(descriptor, block, number * size)
            os.fdatasync(descriptor)
            took = time.perf_counter() - began
            taken.append(took * 1e3)
            time.sleep(max(0.0, 1 / rate - took))
    finally:
        os.close(descriptor)
        path.unlink()
    return taken


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Takes the body in, answers as the gateway does, and nothing else."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 202, "headers": _SIZED})
    await send({"type": "http.response.body", "body": ANSWER})


def fastapi() -> Any:
    """The same with a FastAPI route and a pydantic model."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Trade(BaseModel):
        trade_id: str
        symbol: str
        venue: str
        account: str
        side: str
        price: float
        quantity: float
        timestamp: int

    app = FastAPI()

    async def take(trade: Trade) -> dict[str, object]:
        return {"accepted": 1, "duplicates": 0, "first_seq": 1, "last_seq": 1, "durable": True, "applied": False}

    # The annotation is a name of this function: given as itself, FastAPI need not look for it.
    take.__annotations__["trade"] = Trade
    app.post("/v1/trades", status_code=202)(take)
    return app


def serve(app: Any, port: int) -> None:
    """An app on uvicorn as the gateway sets it up, until it is ended."""
    import uvicorn

    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=1024,
    )


if __name__ == "__main__":
    serve({"asgi": lambda: asgi, "fastapi": fastapi}[sys.argv[1]](), int(sys.argv[2]))
