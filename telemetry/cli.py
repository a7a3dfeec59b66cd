"""The program `telemetry`: its commands, their options and help. What a command does stands in `telemetry.commands`.

Nothing heavy is imported here, so that `telemetry --help` answers at once; each command imports what it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from telemetry.errors import TelemetryError

app = typer.Typer(
    name="telemetry",
    help="A trading desk's own telemetry: every trade journaled before it is acknowledged, counted exactly once.",
    epilog="Begin with: telemetry demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class FileFormat(StrEnum):
    """The formats that `replay` reads."""

    AUTO = "auto"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
    FEATHER = "feather"


class Window(StrEnum):
    """The windows of the statistics."""

    S10 = "10s"
    M1 = "1m"
    M5 = "5m"
    H1 = "1h"
    D1 = "1d"
    ALL = "all"


class Topic(StrEnum):
    """The topics of the live stream."""

    TRADES = "trades"
    ALERTS = "alerts"
    STATS = "stats"
    CANDLES = "candles"
    LATENCY = "latency"
    FRESHNESS = "freshness"
    HEALTH = "health"


Url = Annotated[str | None, typer.Option("--url", help="The gateway; else TELEMETRY_URL or http://127.0.0.1:8000.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Host = Annotated[str | None, typer.Option(help="The address to listen on; else TELEMETRY_HOST or 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(help="The gateway's port; else TELEMETRY_PORT or 8000.")]
UiPort = Annotated[int | None, typer.Option(help="The page's port; else TELEMETRY_UI_PORT or 8501.")]
Page = Annotated[bool, typer.Option("--ui/--no-ui", help="Whether to serve the page.")]
Workers = Annotated[int | None, typer.Option(help="Worker processes; else TELEMETRY_WORKERS or 1.")]
Data = Annotated[Path | None, typer.Option(help="The data directory; else TELEMETRY_DATA or ./telemetry-data.")]


class _ServiceCommand(TyperCommand):
    """A command whose help lists the settings that its service reads."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from telemetry.commands.services import settings_help

        super().format_help(ctx, formatter)
        typer.echo(settings_help(str(self.name)), nl=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"telemetry {version('trading-telemetry')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: telemetry up --workers 2 --data ./telemetry-data")
def up(
    workers: Workers = None,
    data: Data = None,
    host: Host = None,
    port: Port = None,
    page: Page = True,
    ui_port: UiPort = None,
) -> None:
    """Run gateway, workers and page until interrupted; the last line printed at the start begins with "ready"."""
    from telemetry.commands import services

    given = {"workers": workers, "data": data, "host": host, "port": port, "ui_port": ui_port}
    raise typer.Exit(services.up(given, page=page))


@app.command(epilog="Example: telemetry demo --workers 2")
def demo(
    workers: Workers = None, host: Host = None, port: Port = None, page: Page = True, ui_port: UiPort = None
) -> None:
    """Run everything on a fresh temporary directory with a lively simulated market, until interrupted."""
    from telemetry.commands import services

    given = {"workers": workers, "host": host, "port": port, "ui_port": ui_port}
    raise typer.Exit(services.demo(given, page=page))


@app.command(cls=_ServiceCommand, epilog="Example: TELEMETRY_PORT=8100 telemetry gateway")
def gateway() -> None:
    """Run the gateway alone, configured by the environment."""
    from telemetry.commands import services

    raise typer.Exit(services.run("gateway"))


@app.command(cls=_ServiceCommand, epilog="Example: TELEMETRY_DATA=/var/lib/telemetry telemetry worker")
def worker() -> None:
    """Run one worker alone, configured by the environment."""
    from telemetry.commands import services

    raise typer.Exit(services.run("worker"))


@app.command(cls=_ServiceCommand, epilog="Example: TELEMETRY_UI_PORT=8600 telemetry ui")
def ui() -> None:
    """Run the page alone, configured by the environment."""
    from telemetry.commands import services

    raise typer.Exit(services.run("ui"))


@app.command(epilog="Example: telemetry replay trades.csv.gz XRP_ETH.parquet --symbol XRP/ETH")
def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, JSON, JSON lines, Parquet or Feather.")],
    format: Annotated[FileFormat, typer.Option(help="The files' format; auto looks into each file.")] = FileFormat.AUTO,  # noqa: A002
    symbol: Annotated[str | None, typer.Option(help="The symbol of rows that name none.")] = None,
    tz: Annotated[str | None, typer.Option(help="IANA time zone of times without one; else UTC.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns of CSV without a header line, such as timestamp,price,quantity.")
    ] = None,
    speed: Annotated[str, typer.Option(help="max, or a multiple of real time such as 10.")] = "max",
    refused: Annotated[Path | None, typer.Option(help="Write every refused row to this CSV file.")] = None,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds to retry one batch before giving up.")] = 300.0,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send the trades of files, in file order; retried where possible, each refused row reported with its reason."""
    from telemetry.commands import replaying
    from telemetry.formats import Options

    names = None if columns is None else tuple(columns.split(","))
    options = Options(format=format.value, symbol=symbol, tz=tz, columns=names)
    run = replaying.Run(files, options, speed=speed, refused=refused, deadline_seconds=deadline, url=url)
    raise typer.Exit(run(as_json=as_json))


@app.command(epilog="Example: telemetry stats BTC-USDT --window 1m")
def stats(
    symbol: Annotated[str | None, typer.Argument(help="One symbol in full; else a table of all.")] = None,
    window: Annotated[Window, typer.Option(help="How far back the figures look.")] = Window.ALL,
    watch: Annotated[bool, typer.Option("--watch", help="Show again each second until interrupted.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the statistics, as of the sequence number that stands above them."""
    from telemetry.commands import reading

    reading.stats(symbol, window.value, watch=watch, url=url, as_json=as_json)


@app.command(epilog="Example: telemetry tail --symbol BTC-USDT | jq .price")
def tail(
    topic: Annotated[Topic, typer.Option(help="What to follow.")] = Topic.TRADES,
    symbol: Annotated[list[str] | None, typer.Option(help="Only this symbol; may be given more than once.")] = None,
    window: Annotated[Window | None, typer.Option(help="The window, for the topic stats.")] = None,
    interval: Annotated[str | None, typer.Option(help="The interval, for the topic candles.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after this many lines.")] = None,
    url: Url = None,
) -> None:
    """Print the live stream as JSON, line by line; what is missed is said on standard error."""
    from telemetry.commands import reading

    wanted = {"window": window.value if window else None, "interval": interval, "symbols": symbol or ["*"]}
    reading.tail(topic.value, wanted, count=count, url=url)


@app.command(epilog="Example: telemetry audit --data ./telemetry-data")
def audit(data: Data = None, url: Url = None, as_json: AsJson = False) -> None:
    """Recompute every statistic from the journal with decimals and compare; exit 1 with the differences, if any."""
    from telemetry.commands import services

    raise typer.Exit(services.audit(data, url=url, as_json=as_json))


@app.command(epilog="Example: telemetry doctor --data ./telemetry-data")
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Check the installation: versions, settings, ports, disk sync speed, clock, sockets; exit 1 if a check fails."""
    from telemetry.commands import doctor as checks

    raise typer.Exit(checks.run(data, as_json=as_json))


@app.command(epilog="Example: telemetry bench ingest_single --quick")
def bench(
    name: Annotated[str | None, typer.Argument(help="One benchmark; else all, one after another.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, three rounds: a look, not a result.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, max=100, help="Pairs of runs; else 5, quick 3.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare speeds with floors and peers on this machine (source checkout only); exit 1 if a figure falls short."""
    from telemetry.commands import bench as benchmarks

    raise typer.Exit(benchmarks.run(name, quick=quick, rounds=rounds, as_json=as_json))


@app.command(hidden=True, epilog="Example: telemetry simulate --rate 50 --seconds 10")
def simulate(
    rate: Annotated[float, typer.Option(min=0.1, max=20_000, help="Trades a second on average.")] = 200.0,
    seed: Annotated[int | None, typer.Option(help="The market's seed; else another one each time.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="How long; else until interrupted.")] = None,
    url: Url = None,
) -> None:
    """Send the trades of a simulated market."""
    from telemetry.commands import simulate as simulated

    raise typer.Exit(simulated.run(rate, seed, seconds=seconds, url=url))


def main(arguments: Sequence[str] | None = None) -> None:
    """The console entry point; ends the process: 0 success, 1 a check failed or something gave up, 2 wrong use."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="telemetry")
    except TelemetryError as error:
        typer.echo(f"telemetry: {error.detail}", err=True)
        sys.exit(error.exit_code)
