"""The benchmarks can be run: all are there, take their options, and their results find their way into the docs.

Nothing is measured here: a test that compares speeds would fail on a busy machine.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from benchmarks.bodies import bodies, decoded, requests
from benchmarks.catalogue import NAMES, Machine, Results
from benchmarks.figure import Figure, alternate, ratios
from benchmarks.load import Load
from benchmarks.page import PAGE, render
from benchmarks.peers import peers
from benchmarks.plan import ROUNDS, parse
from benchmarks.table import table
from telemetry.decode import decode_body

pytestmark = pytest.mark.timeout(30)
ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_can_be_imported_and_measures(name: str) -> None:
    assert callable(import_module(f"benchmarks.{name}").measure)


def test_every_module_of_the_benchmarks_can_be_imported_without_its_peers() -> None:
    for path in sorted((ROOT / "benchmarks").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.stem != "__main__":
            import_module(name)


def test_options_have_defaults_and_wrong_ones_end_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    options = parse([], NAMES)
    assert (options.names, options.quick, options.plan(Path()).rounds) == (NAMES, False, ROUNDS)
    options = parse(["growth", "--quick", "--json", "--trades", "5000", "--rounds", "1"], NAMES)
    plan = options.plan(Path())
    assert (options.names, options.as_json, plan.quick, plan.rounds, plan.size(1, 2)) == (
        ("growth",),
        True,
        True,
        1,
        5000,
    )
    for wrong in (["nonsense"], ["--rounds", "0"], ["--trades", "many"]):
        with pytest.raises(SystemExit) as ended:
            parse(wrong, NAMES)
        assert ended.value.code == 2
    assert "nonsense" in capsys.readouterr().err


def test_every_peer_that_the_figures_name_is_known_and_says_what_is_missing() -> None:
    known = {peer.name: peer for peer in peers()}
    bounded = {name for name, peer in known.items() if peer.required is not None}
    assert len(bounded) == 6
    assert all(peer.missing() == "" or peer.missing().startswith("not installed") for peer in known.values())


def test_ready_made_bodies_are_trades_that_the_product_and_the_floor_read_alike() -> None:
    first, second = bodies(0, 2, per_body=100)
    assert len(first) == len(second)
    batch = decode_body(first, "json", 0)
    assert batch.count == 100
    assert [trade.symbol for trade in batch.as_columns().trades()] == [trade.symbol for trade in decoded(first)]
    ids = [trade.trade_id for body in (first, second) for trade in decoded(body)]
    assert len(set(ids)) == 200


@pytest.mark.parametrize("rate", [None, 2_000.0])
def test_the_generator_sends_every_request_and_times_the_answers(rate: float | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, requests(0, 20, waits=5) as made:
        answering = threading.Thread(target=_answer, args=(listening, 20), daemon=True)
        answering.start()
        port = listening.getsockname()[1]
        descriptor = os.dup(made.descriptor)
        spec = {"descriptor": descriptor, "port": port, "first": 0, "count": 20, "connections": 1}
        with Load({**spec, "rate": rate, "seconds": 10}) as load:
            found = load.run()
        answering.join(10)
        os.close(descriptor)
    assert (found["requests"], found["refused"]) == (20, 0)
    assert found["answered_ms"]["p50"] > 0
    assert found["applied_ms"]["p99"] > 0


def _answer(listening: socket.socket, count: int) -> None:
    connection, _ = listening.accept()
    with connection:
        received = b""
        for _ in range(count):
            while b"\r\n\r\n{" not in received or not received.endswith(b"}"):
                received += connection.recv(4096)
            received = b""
            connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}")


def test_rounds_alternate_and_the_first_one_only_warms_up() -> None:
    order: list[str] = []

    def thing(name: str, rate: float) -> dict[str, float]:
        order.append(name)
        return {"rate": rate + len(order)}

    samples = alternate(2, {"a": lambda _: thing("a", 10), "b": lambda _: thing("b", 0)})
    assert order == ["a", "b"] * 3
    assert ratios(samples["a"], samples["b"]) == (13 / 4, 15 / 6)


def test_results_survive_json_and_are_rendered_into_the_page_and_a_table() -> None:
    machine = Machine(at="2026-11-22T10:00:00+00:00", processor="x", cores=2, kernel="6", python="3.11", load_before=0)
    figures = {
        "ingest_single": [
            Figure(name="fast", measured=(1.0, 3.0, 2.0), required=0.6, aim=2.0, values={"a, trades/s": (1.0, 2.0)}),
            Figure(name="slow", measured=(9.0,), unit="ms", required=8.0, aim=5.0, at_least=False),
            Figure(name="absent", required=1.0, skipped="not installed: x"),
        ],
        "hops": [Figure(name="all hops, 1 a body", measured=(5.0,), unit="ns per trade", values={"decode": (5.0,)})],
    }
    results = Results(machine=machine, quick=True, rounds=3, seconds={}, figures=figures)
    again = msgspec.json.decode(msgspec.json.encode(results), type=Results)
    assert again == results
    assert not again.kept
    page = render(PAGE.read_text("utf-8"), [again])
    assert "| fast | 2.00 | 1.00 – 3.00 | ≥ 0.6 | ≥ 2 | reached |" in page
    assert "| slow | 9.00 ms | 9.00 – 9.00 | ≤ 8 ms | ≤ 5 ms | **short** |" in page
    assert "| absent |  | not installed: x | ≥ 1 |  | not measured |" in page
    assert "| decode | 5.00 |" in page
    assert render(page, [again]) == page
    assert table(again.figures).row_count == 5 + 1
    assert json.loads(msgspec.json.encode(results))["quick"] is True
