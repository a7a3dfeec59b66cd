"""How long until a trade is acknowledged and until it is visible, in an open loop.

Visible: from when the request was due until the answer to `POST …?wait=applied`, which leaves the gateway when the
statistics hold the trade; every tenth request asks for that. Times count from when a request was due, so they hold the
generator's own lateness, which is reported beside them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bodies import Requests, requests
from benchmarks.figure import Figure, Sample, alternate, column, ratios
from benchmarks.floors import sync_ms
from benchmarks.generator import Drive, Loaded
from benchmarks.plan import Plan
from benchmarks.product import Product
from telemetry.backbone.record import HEADER_BYTES
from telemetry.backbone.segments import SEGMENT_HEADER_BYTES

RATE = 1_000.0
WAITS = 10
CONNECTIONS = 64  # so many that no body waits for one that is free
PER_BODY = 1_000


def measure(plan: Plan) -> Iterator[Figure]:
    """Single trades at 1,000 a second against the disk; then bodies at half of what the gateway takes at most."""
    yield from _singles(plan)
    yield from _bulk(plan)


def _singles(plan: Plan) -> Iterator[Figure]:
    count = int(RATE) * plan.seconds
    with (
        requests(0, count * (plan.rounds + 1), waits=WAITS) as made,
        Product(plan.directory / "singles") as product,
    ):
        product.send(made, count=64)
        size = _first_record_bytes(product.data)
        disk = plan.directory / "sync"
        things: dict[str, Callable[[int], Sample]] = {
            "gateway": _open_loop(product, made, count, RATE, CONNECTIONS),
            "disk": lambda _: {"p50": statistics.median(sync_ms(disk, size, count=int(RATE), rate=RATE))},
        }
        samples = alternate(plan.rounds, things)
    yield Figure(
        name="acknowledgement p50 at 1,000 singles/s ÷ fdatasync p50",
        measured=ratios(samples["gateway"], samples["disk"], "p50"),
        required=6.0,
        aim=3.0,
        at_least=False,
        values={"fdatasync p50 ms": column(samples["disk"], "p50"), **_values(samples["gateway"])},
        note=f"records of {size} bytes, file of zeros",
    )
    yield _visible("visible p99 at 1,000 singles/s", samples["gateway"], 8.0, 5.0, "")


def _bulk(plan: Plan) -> Iterator[Figure]:
    probe = plan.size(1_000_000, 200_000) // PER_BODY
    with Product(plan.directory / "bulk") as product:
        with requests(0, 2 * probe, per_body=PER_BODY) as made:
            product.send(made, count=probe)
            most = product.send(made, first=probe, count=probe).rate
        rate, count = most / 2, int(most / 2 * plan.seconds)
        with requests(2 * probe * PER_BODY, count * plan.rounds, per_body=PER_BODY, waits=WAITS) as made:
            run = _open_loop(product, made, count, rate, CONNECTIONS)
            samples = alternate(plan.rounds, {"gateway": run}, warm_up=False)["gateway"]
    note = f"{rate * PER_BODY:,.0f} trades/s in bodies of 1,000, half of {most * PER_BODY:,.0f}"
    yield _visible("visible p99 at half of the bulk maximum", samples, 20.0, 12.0, note)


def _open_loop(product: Product, made: Requests, count: int, rate: float, connections: int) -> Callable[[int], Sample]:
    def run(number: int) -> Sample:
        plan = Drive(port=product.port, first=number * count, count=count, connections=connections, rate=rate)
        return _sample(product.drive(made, plan))

    return run


def _sample(loaded: Loaded) -> Sample:
    return {
        **loaded.answered_ms,
        **{f"visible {name}": value for name, value in loaded.applied_ms.items()},
        **{f"late {name}": value for name, value in loaded.late_ms.items()},
    }


def _visible(name: str, samples: list[Sample], required: float, aim: float, note: str) -> Figure:
    return Figure(
        name=name,
        measured=column(samples, "visible p99"),
        unit="ms",
        required=required,
        aim=aim,
        at_least=False,
        values=_values(samples),
        note=note,
    )


def _values(samples: list[Sample]) -> dict[str, tuple[float, ...]]:
    names = {"p50": "acknowledged p50 ms", "p99": "acknowledged p99 ms"}
    names |= {f"visible {part}": f"visible {part} ms" for part in ("p50", "p90", "p99", "p999")}
    names |= {f"late {part}": f"generator late {part} ms" for part in ("p50", "p99")}
    return {label: column(samples, key) for key, label in names.items()}


def _first_record_bytes(data: Path) -> int:
    """The size of the first record in the journal (see telemetry.backbone.record)."""
    segment = min(path for path in (data / "journal").iterdir() if path.stat().st_size > SEGMENT_HEADER_BYTES)
    with segment.open("rb") as stream:
        stream.seek(SEGMENT_HEADER_BYTES)
        header = stream.read(HEADER_BYTES)
    return HEADER_BYTES + int.from_bytes(header[12:16], "little")
