"""A file of the outside world as trades: opening it, recognising its columns, reading it record by record."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from telemetry.errors import InvalidInput
from telemetry.formats import delimited, names
from telemetry.formats.detect import Reader, detect
from telemetry.formats.fields import Fields, Unreadable
from telemetry.formats.names import Names
from telemetry.formats.row import BadRow, Raw, Row

# Rows looked at before the first is handed out, to see which columns there are and what `type` means.
PEEK = 1000
# Kinds of rows (sets of columns) remembered in one JSON file; more only costs time.
KINDS = 256
_NO_HEADER = "where the first line is a trade, name its columns: --columns timestamp,price,quantity"


@dataclass(frozen=True)
class Options:
    """How to read: `symbol` where the file names none, `tz` (IANA) for times without a zone; None is UTC, announced.
    `columns` names those of delimited text without a header line, in order."""

    format: str = "auto"
    symbol: str | None = None
    tz: str | None = None
    columns: tuple[str, ...] | None = None


class TradeFile:
    """The trades of one file, in file order: enter it (may raise InvalidInput), then iterate once."""

    def __init__(self, path: Path, options: Options, notice: Callable[[str], None]) -> None:
        self.path = path
        self._options = options
        self._said: set[str] = set()
        self._notice = notice
        self._fields = Fields(options.tz, self._say)
        self._names: dict[tuple[str, ...], Names] = {}
        self._type_is_side = False
        self.format = ""

    def __enter__(self) -> Self:
        reader = detect(self.path, self._options.format)
        self.format = reader.name
        self._records = _guarded(self._read(reader))
        self._head = list(islice(self._records, PEEK))
        try:
            self._recognise([record.values for record in self._head if isinstance(record, Raw)])
        except BaseException:
            self._records.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._records.close()

    def _read(self, reader: Reader) -> Iterator[Raw | BadRow]:
        if self._options.columns is None:
            return reader.read(self.path)
        if reader.read is not delimited.read:
            raise InvalidInput(f"{self.path}: --columns: expected delimited text, received {reader.name}; leave it out")
        return delimited.read(self.path, self._options.columns)

    def __iter__(self) -> Iterator[Row | BadRow]:
        for record in chain(self._head, self._records):
            yield record if isinstance(record, BadRow) else self._trade(record)

    def _trade(self, record: Raw) -> Row | BadRow:
        try:
            trade = self._fields.trade(record.values, self._names_of(record.values))
            if "symbol" not in trade:
                if self._options.symbol is None:
                    raise Unreadable("symbol", "expected a symbol in the row, or --symbol", "")
                trade["symbol"] = self._options.symbol
        except Unreadable as error:
            return BadRow(record.number, error.reason, error.field, error.received)
        return Row(record.number, trade)

    def _recognise(self, rows: list[Mapping[str, Any]]) -> None:
        columns = list(dict.fromkeys(chain.from_iterable(rows)))
        resolved = names.resolve(columns)
        if not columns or resolved.column("side") is None:
            self._type_is_side = _looks_like_side(rows, columns)
            resolved = names.resolve(columns, type_is_side=self._type_is_side)
        if rows:
            self._require(resolved, columns)
        if resolved.ignored:
            self._say(f"ignored columns: {', '.join(map(_quote, resolved.ignored[:20]))}")

    def _require(self, resolved: Names, columns: list[str]) -> None:
        for field in ("price", "quantity"):
            if resolved.column(field) is None:
                found = ", ".join(map(_quote, columns[:20]))
                what = f"{self.path}: expected a column for {field}, received the columns {found}"
                raise InvalidInput(what if self._options.columns else f"{what}; {_NO_HEADER}")
        if resolved.column("symbol") is None and self._options.symbol is None:
            raise InvalidInput(f"{self.path}: no column names the symbol; say which with --symbol")
        if resolved.column("symbol") is not None and self._options.symbol is not None:
            self._say("the file names its symbols; --symbol is used only where a row has none")
        if resolved.column("timestamp") is None:
            self._say("no column holds the time; each trade is stamped when the gateway receives it")
        if resolved.column("side") is None:
            self._say("no column holds the side; it is unknown")

    def _names_of(self, values: Mapping[str, Any]) -> Names:
        columns = tuple(values)
        known = self._names.get(columns)
        if known is None:
            if len(self._names) >= KINDS:
                self._names.clear()
            known = self._names[columns] = names.resolve(columns, type_is_side=self._type_is_side)
        return known

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._notice(f"{self.path.name}: {text}")


def _guarded(records: Iterator[Raw | BadRow]) -> Generator[Raw | BadRow, None, None]:
    """The same records; a file that breaks off (cut, bad checksum, not text) ends with a BadRow that says so."""
    number = 0
    try:
        for record in records:
            number = record.number
            yield record
    except (OSError, EOFError, ValueError, zlib.error) as error:  # pyarrow's errors are ValueErrors
        yield BadRow(number + 1, f"the file cannot be read from here on: {error}", last=True)


def _looks_like_side(rows: list[Mapping[str, Any]], columns: list[str]) -> bool:
    column = next((column for column in columns if names.plain(column) == "type"), None)
    values = [row.get(column) for row in rows] if column is not None else []
    given = [str(value).strip().casefold() for value in values if not names.is_nothing(value)]
    return bool(given) and all(value in names.TYPE_SIDES for value in given)


def _quote(column: str) -> str:
    return repr(column[:64])
