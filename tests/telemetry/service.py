"""A small service for the tests of the supervisor: `service.py ROLE [ARGUMENT]`.

It says what happens to it on standard output, which the supervisor passes on; the test reads it there. What it says
after its supervisor was killed goes nowhere, so it drains first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Answer(BaseHTTPRequestHandler):
    """Ready at the second question."""

    asked = 0

    def do_GET(self) -> None:
        Answer.asked += 1
        self.send_response(200 if Answer.asked > 1 else 503)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        return


def say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


def serve(role: str) -> None:
    """Drain when asked or when the supervisor is gone."""

    async def run() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, end.set)
        if role == "watching":
            from telemetry.supervisor import watch_supervisor

            watch_supervisor(loop, int(os.environ["TELEMETRY_SUPERVISOR_FD"]), end.set)
        say(f"pid {os.getpid()}")
        await end.wait()
        say("drains")

    asyncio.run(run())
    say(f"ended {role}")


def serve_in_framework() -> None:
    """As the page does it: the loop is not ours, a thread waits for the end of the supervisor."""
    from telemetry.supervisor import wait_supervisor_gone

    def wait() -> None:
        wait_supervisor_gone(int(os.environ["TELEMETRY_SUPERVISOR_FD"]))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
    say(f"pid {os.getpid()}")
    signal.sigwait({signal.SIGTERM})


def main(role: str, argument: str = "") -> None:
    """Be the service."""
    if role == "http":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        HTTPServer(("127.0.0.1", int(argument)), Answer).serve_forever()
    elif role == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        say(f"pid {os.getpid()}")
        signal.sigwait({signal.SIGUSR1})
    elif role == "exit":
        say("expected something else")
        sys.exit(int(argument))
    elif role == "print":
        say('{"event": "structured"}')
        os.write(1, b"x" * 200_000 + b"\nplain \xff \x1b line without end")
    elif role == "framework":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        serve_in_framework()
    else:
        serve(role)


if __name__ == "__main__":
    main(*sys.argv[1:])
