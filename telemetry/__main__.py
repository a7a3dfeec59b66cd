"""The command `telemetry`, also as `python -m telemetry`.

A service without options is started here without loading the command line's libraries: a gateway that was killed is
back sooner. Everything else is cli.py's.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The console entry point; ends the process: 0 success, 1 a check failed or something gave up, 2 wrong use."""
    from telemetry.commands import services
    from telemetry.errors import TelemetryError

    if len(sys.argv) == 2 and sys.argv[1] in services.SETTINGS:
        try:
            sys.exit(services.run(sys.argv[1]))
        except TelemetryError as error:
            print(f"telemetry: {error.detail}", file=sys.stderr)
            sys.exit(error.exit_code)
    from telemetry import cli

    cli.main()


if __name__ == "__main__":
    main()
