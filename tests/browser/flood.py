"""Load of its own process: batches of trades over some connections, each sent when the one before is answered.

`python -m tests.browser.flood HOST PORT SECONDS CONNECTIONS` prints how many trades a second were taken.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.client import HTTPConnection

BATCH, SYMBOLS = 1_000, 50


def body() -> bytes:
    """A batch."""
    trade = {"side": "buy", "quantity": "1", "price": "10.5"}
    return json.dumps([{"symbol": f"S{number % SYMBOLS:02}"} | trade for number in range(BATCH)]).encode()


def send(host: str, port: int, end: float, content: bytes, taken: list[int]) -> None:
    """Send it again and again until `end` (monotonic seconds), and count what is taken."""
    connection, headers = HTTPConnection(host, port, timeout=30), {"content-type": "application/json"}
    while time.monotonic() < end:
        connection.request("POST", "/v1/trades", content, headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        if answer.status == 202:
            taken.append(document["accepted"])
    connection.close()


def main() -> None:
    host, port, seconds, connections = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    began, taken, content = time.monotonic(), list[int](), body()
    end = began + seconds
    threads = [threading.Thread(target=send, args=(host, port, end, content, taken)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(taken) / (time.monotonic() - began))


if __name__ == "__main__":
    main()
