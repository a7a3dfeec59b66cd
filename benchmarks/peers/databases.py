"""PostgreSQL and DuckDB: a transaction for 1,000 trades each, the aggregates kept or asked for with it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from pwd import getpwnam
from typing import Any

from benchmarks.peers.lean import read
from benchmarks.peers.peer import Job, Peer, library, program
from benchmarks.processes import Failed, Process, until

_TABLES = """
create table trades(symbol text, side text, price float8, quantity float8, at int8);
create table figures(symbol text primary key, trades int8, quantity float8, notional float8);
create temporary table fresh(symbol text, side text, price float8, quantity float8, at int8);
"""
_UPSERT = """
insert into figures
select symbol, count(*), sum(quantity), sum(price * quantity) from fresh group by symbol
on conflict (symbol) do update set trades = figures.trades + excluded.trades,
  quantity = figures.quantity + excluded.quantity, notional = figures.notional + excluded.notional
"""
_ASK = (
    "select symbol, count(*), sum(quantity), sum(price * quantity), sum(price * quantity) / sum(quantity) from trades"
)


@contextmanager
def postgres(directory: Path) -> Iterator[Job]:
    """A cluster of its own, reached by a socket in its directory; as root it will not run, so as its own user."""
    home = directory / "postgres"
    home.mkdir()
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        os.chown(home, getpwnam(user).pw_uid, getpwnam(user).pw_gid)
    data = home / "data"
    subprocess.run(
        [str(program("initdb")), "-D", str(data), "-U", "bench", "-A", "trust", "--no-sync"],
        check=True,
        capture_output=True,
        user=user,
        cwd=home,
        timeout=120,
    )
    command = [str(program("postgres")), "-D", str(data), "-k", str(home), "-c", "listen_addresses="]
    with Process(command, directory / "postgres.log", user=user):
        connect = partial(library("psycopg").connect, host=str(home), user="bench", dbname="postgres", autocommit=True)
        until(lambda: _answers(connect), "PostgreSQL answers", 60)
        yield partial(_postgres_job, connect)


def _answers(connect: Any) -> bool:
    with suppress(Exception):
        connect().close()
        return True
    return False


def _postgres_job(connect: Any, bodies: Sequence[bytes]) -> float:
    with connect() as connection:
        connection.execute("drop table if exists trades, figures")
        connection.execute(_TABLES)
        began = time.monotonic()
        for body in bodies:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute("truncate fresh")
                with cursor.copy("copy fresh from stdin") as copy:
                    for trade in read(body):
                        copy.write_row((trade.symbol, trade.side, trade.price, trade.quantity, trade.timestamp))
                cursor.execute("insert into trades select * from fresh")
                cursor.execute(_UPSERT)
        took = time.monotonic() - began
        counted = connection.execute("select sum(trades) from figures").fetchone()[0]
    if counted != 1000 * len(bodies):
        raise Failed(f"PostgreSQL counted {counted} trades")
    return took


@contextmanager
def duckdb(directory: Path) -> Iterator[Job]:
    """In this process, in a file."""
    yield partial(_duckdb_job, directory)


def _duckdb_job(directory: Path, bodies: Sequence[bytes]) -> float:
    import pyarrow as pa

    path = directory / f"trades-{time.monotonic_ns()}.duckdb"
    with library("duckdb").connect(str(path)) as connection:
        connection.execute("create table trades(symbol text, side text, price double, quantity double, time bigint)")
        began = time.monotonic()
        for body in bodies:
            trades = read(body)
            columns = {name: [getattr(trade, name) for trade in trades] for name in trades[0].__struct_fields__}
            connection.register("fresh", pa.table(columns))
            connection.execute("insert into trades select * from fresh")
            rows = connection.execute(f"{_ASK} group by symbol").fetchall()
        took = time.monotonic() - began
    path.unlink()
    if sum(row[1] for row in rows) != 1000 * len(bodies):
        raise Failed("DuckDB did not count every trade")
    return took


PEERS = (
    Peer(
        name="PostgreSQL, COPY and upsert",
        running=postgres,
        required=10.0,
        aim=17.0,
        programs=("postgres", "initdb"),
        libraries=("psycopg",),
        note="durable; a transaction for each 1,000",
    ),
    Peer(
        name="DuckDB, insert and query",
        running=duckdb,
        trades=100_000,
        libraries=("duckdb",),
        note="in process, in a file; the aggregates asked for after each 1,000",
    ),
)
