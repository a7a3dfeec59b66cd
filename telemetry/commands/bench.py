"""Running the benchmarks, which are no part of the installed package: they come with the source."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from telemetry.errors import InvalidInput

CATALOGUE = "benchmarks.catalogue"


def run(name: str | None, *, quick: bool, rounds: int | None, as_json: bool) -> int:
    """Run one benchmark or all; the exit code is 1 when a figure falls short. InvalidInput without the source."""
    if find_spec("benchmarks") is None or find_spec(CATALOGUE) is None:
        raise InvalidInput("telemetry bench: expected a source checkout of this project, received an installed package")
    catalogue = import_module(CATALOGUE)
    if name is not None and name not in catalogue.NAMES:
        raise InvalidInput(f"NAME: expected one of {', '.join(catalogue.NAMES)}, received {name[:40]!r}")
    arguments = [name] if name else []
    arguments += ["--quick"] * quick + ["--json"] * as_json
    arguments += ["--rounds", str(rounds)] if rounds is not None else []
    return int(catalogue.main(arguments))
