"""The program: help of every command, exit codes, JSON on standard output and nothing else there."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from telemetry.cli import app, main
from telemetry.commands.doctor import examine
from telemetry.commands.reading import cell
from telemetry.commands.replaying import guarded, parse_speed, printable
from telemetry.environ import Up
from telemetry.errors import InvalidInput
from tests.telemetry.scripted_gateway import problem, scripted_gateway

COMMANDS = ("up", "demo", "gateway", "worker", "ui", "replay", "stats", "tail", "audit", "doctor", "bench", "simulate")


def run(*arguments: object) -> int:
    """The exit code of a call in this process."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert f"telemetry {command}" in capsys.readouterr().out.split("Example:")[1]


def test_these_are_all_the_commands() -> None:
    assert [command.callback.__name__ for command in app.registered_commands if command.callback] == list(COMMANDS)


def test_the_help_of_a_service_lists_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("gateway", "--help") == 0
    out = capsys.readouterr().out
    assert "TELEMETRY_PORT [8000]" in out
    assert "TELEMETRY_DURABILITY [full]" in out
    assert "SUPERVISOR_FD" not in out


def test_help_imports_nothing_heavy() -> None:
    heavy = ("streamlit", "pandas", "numpy", "pyarrow", "fastapi", "zmq", "httpx", "pydantic", "websockets", "sqlite3")
    program = (
        "import sys; from telemetry.cli import main\n"
        "try: main(['--help'])\n"
        f"except SystemExit: sys.exit([name for name in {heavy} if name in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_client_command_imports_the_page_or_pandas() -> None:
    program = (
        "import sys, telemetry.commands.doctor, telemetry.commands.reading, telemetry.commands.replaying\n"
        "import telemetry.commands.simulate\n"
        "sys.exit([name for name in ('pandas', 'streamlit', 'pyarrow', 'zmq', 'fastapi') if name in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("replay",),
        ("replay", "x", "--format", "xlsx"),
        ("replay", "/nowhere.csv"),
        ("replay", "x", "--speed", "fast"),
        ("replay", "x", "--url", "localhost:8000"),
        ("stats", "--window", "2m"),
        ("tail", "--topic", "gossip"),
        ("up", "--port", "99999"),
        ("bench", "nonsense"),
    ],
)
def test_wrong_use_exits_2_and_says_so_on_standard_error(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err != ""


def test_a_gateway_that_does_not_answer_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("stats", "--url", "http://127.0.0.1:1") == 1
    assert "does not answer" in capsys.readouterr().err


def trades_csv(directory: Path, *rows: str) -> Path:
    path = directory / "trades.csv"
    path.write_text("symbol,price,qty,side\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_a_replay_ends_with_its_summary_and_exit_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trades_csv(tmp_path, "A,1,1,buy", "A,2,1,sell")
    with scripted_gateway() as gateway:
        assert run("replay", path, "--url", gateway.url) == 0
        assert capsys.readouterr().out == "read 2 accepted 2 duplicates 0 refused 0\n"
        assert run("replay", path, "--url", gateway.url, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"read": 2, "accepted": 2, "duplicates": 0, "refused": 0, "replayed": 2}


def test_refused_rows_exit_1_the_first_20_shown_and_all_in_a_file_that_no_spreadsheet_executes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trades_csv(tmp_path, *['=cmd|"/C calc"!A0,1,1,=HYPERLINK(1)'] * 25, "A,2,1,sell")
    report = tmp_path / "refused.csv"
    with scripted_gateway() as gateway:
        assert run("replay", path, "--url", gateway.url, "--refused", report) == 1
    captured = capsys.readouterr()
    assert captured.out == "read 26 accepted 1 duplicates 0 refused 25\n"
    shown = [line for line in captured.err.splitlines() if line.startswith("refused ")]
    assert len(shown) == 20
    assert f"{path} row 1: side: expected buy, sell or unknown, received '=HYPERLINK(1)'" in shown[0]
    assert "and 5 more refused rows" in captured.err
    with report.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["row"]) for row in rows] == list(range(1, 26))
    assert {row["received"] for row in rows} == {"'=HYPERLINK(1)"}


def test_a_replay_that_gives_up_still_shows_its_summary_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trades_csv(tmp_path, "A,1,1,buy")
    assert run("replay", path, "--url", "http://127.0.0.1:1", "--deadline", "0.1") == 1
    captured = capsys.readouterr()
    assert captured.out == "read 1 accepted 0 duplicates 0 refused 0\n"
    assert "does not answer" in captured.err


def test_a_replay_without_a_symbol_asks_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("price,qty\n1,1\n")
    assert run("replay", path) == 2
    assert "--symbol" in capsys.readouterr().err


def test_a_wrong_api_key_exits_2_with_what_the_gateway_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted_gateway(problem(401)) as gateway:
        assert run("replay", trades_csv(tmp_path, "A,1,1,buy"), "--url", gateway.url) == 2
    assert "scripted" in capsys.readouterr().err


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_execute_is_quoted(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"
    assert guarded("x" + cell) == "x" + cell


def test_text_of_a_file_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\nc") == "a?[2Jb?c"


def test_the_speed_is_max_or_a_positive_number() -> None:
    assert (parse_speed("max"), parse_speed("10"), parse_speed("0.5")) == (None, 10.0, 0.5)
    for wrong in ("0", "-1", "nan", "inf", "", "ten"):
        with pytest.raises(InvalidInput, match="--speed"):
            parse_speed(wrong)


def test_figures_keep_exact_decimals_and_escape_markup() -> None:
    cells = [cell(value) for value in (None, 1234, "0.10000000000000001", 0.1 + 0.2, {"": "5", "USD": "7"}, "[red]")]
    assert cells == ["–", "1,234", "0.10000000000000001", "0.3", "5\n7 USD", "\\[red]"]


@pytest.fixture(scope="module")
def doctor_json(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    data = tmp_path_factory.mktemp("doctor") / "data"
    command = [sys.executable, "-m", "telemetry", "doctor", "--json", "--data", str(data)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TELEMETRY_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    assert not data.exists()
    return report


def test_the_doctor_reports_each_check_as_json_and_leaves_nothing_behind(doctor_json: dict[str, Any]) -> None:
    checks = {check["name"]: check for check in doctor_json["checks"]}
    assert {"python", "pyzmq", "settings", "gateway port", "disk sync", "sockets", "wall clock"} <= set(checks)
    assert checks["python"]["ok"]
    assert checks["sockets"]["ok"]


@pytest.mark.parametrize(("ahead_seconds", "ok"), [(0, True), (5, False), (-5, False)])
def test_the_doctor_finds_a_gateway_whose_clock_is_far_from_ours(ahead_seconds: int, ok: bool) -> None:
    with scripted_gateway() as gateway:
        gateway.pages["/healthz"], gateway.ahead_ns = {"status": "alive"}, ahead_seconds * 10**9
        port = int(gateway.url.rpartition(":")[2])
        (check,) = (check for check in examine(Up(port=port)) if check.name == "gateway clock")
    assert check.ok is ok
    offset, error = map(float, re.findall(r"([+-]?\d+\.\d{3}) ms", check.detail)[:2])
    assert abs(offset - ahead_seconds * 1000) <= error + 0.001


def test_the_doctor_finds_a_taken_port_and_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    with scripted_gateway() as gateway:
        port = int(gateway.url.rpartition(":")[2])
        checks = {check.name: check for check in examine(Up(data=taken, port=port))}
    assert not checks["gateway port"].ok
    assert not checks["data directory"].ok
    assert checks["wall clock"].ok


def test_help_loads_no_library_that_only_a_service_needs() -> None:
    """So it answers at once: each of these takes longer to import than all that help needs."""
    command = [sys.executable, "-X", "importtime", "-m", "telemetry", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert {"telemetry", "typer"} <= loaded
    assert loaded & {"numpy", "pandas", "pyarrow", "fastapi", "uvicorn", "zmq", "streamlit", "httpx", "numba"} == set()
