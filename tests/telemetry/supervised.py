"""A supervisor over small services for the tests: `supervised.py JSON`, a list of {name, role, argument, …}."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from telemetry.child import Service
from telemetry.errors import TelemetryError
from telemetry.logs import set_up_logs
from telemetry.supervisor import Supervisor

PROGRAM = str(Path(__file__).with_name("service.py"))


async def run(text: str) -> int:
    services = []
    for entry in json.loads(text):
        role, argument = entry.pop("role"), entry.pop("argument", "")
        services.append(Service(command=(sys.executable, PROGRAM, role, argument), **entry))
    return await Supervisor(services, ["somewhere http://127.0.0.1", "ready"]).run()


def main(text: str) -> int:
    set_up_logs("supervisor")
    try:
        return asyncio.run(run(text))
    except TelemetryError as error:
        print(f"failed: {error}", file=sys.stderr, flush=True)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
