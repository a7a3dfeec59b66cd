"""Reading a rule file: TOML text to checked rules, with every error named by its line.

    [[rule]]
    name = "burst"
    kind = "ratio"
    statistic = "trades_per_second"
    limit = 20
    for = "10s"

tomllib tells no lines of what it read, so they are found by cutting the text into its statements: a statement is the
shortest run of lines that is TOML by itself, and each adds one table or one key. Pure: takes the text.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.alerting.rule_fields import FIELDS, REQUIRED, Field
from gateway.alerting.rule_kinds import KINDS, PATTERN_SYMBOLS, PATTERNS, RATES, TOTALS, Rule
from telemetry.errors import InvalidInput
from telemetry.trade import KINDS as KINDS_OF_TRADES

RULES = 1000  # in one file; more is refused
ERRORS = 100  # listed; the rest is counted
WILD = frozenset("*?[")  # what makes a text a pattern
_AT_LINE = re.compile(r"at line (\d+)").search


@dataclass(frozen=True)
class Fault:
    """One error of a file; `rule` is the rule's name or "", `field` "" when it is about the whole rule."""

    line: int
    rule: str
    field: str
    detail: str

    def __str__(self) -> str:
        return ", ".join(filter(None, (f"line {self.line}", self.rule, self.field))) + f": {self.detail}"


def read_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a file, in its order. Raises InvalidInput with every error, the line first."""
    text = text.replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused([_not_toml(text, error)]) from None
    lines = _Lines(text)
    faults = [
        Fault(lines.of(key), "", key[:64], f"expected only tables [[rule]], received {_shown(key)}")
        for key in document
        if key != "rule"
    ]
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise _refused([*faults, Fault(lines.of("rule"), "", "rule", "expected tables that begin with [[rule]]")])
    if len(tables) > RULES:
        raise _refused([*faults, Fault(lines.of("rule"), "", "rule", f"expected at most {RULES} rules")])
    rules, first_line = [], dict[str, int]()
    for number, table in enumerate(tables):
        rule, wrong = _rule(table, number, lines)
        name = table.get("name")
        if isinstance(name, str):
            line = lines.of("rule", number, "name")
            if name in first_line:
                wrong.append(Fault(line, name, "name", f"expected a name of its own, line {first_line[name]} has it"))
            first_line.setdefault(name, line)
        faults += wrong
        rules += [rule] if rule is not None else []
    if faults:
        raise _refused(sorted(faults, key=lambda fault: fault.line))
    return tuple(rules)


def _rule(table: Mapping[str, Any], number: int, lines: _Lines) -> tuple[Rule | None, list[Fault]]:
    """A table's rule, or what is wrong with it."""
    name = table["name"] if isinstance(table.get("name"), str) else f"rule {number + 1}"

    def fault(key: str, detail: str) -> Fault:
        return Fault(lines.of("rule", number, key), name, key[:64], detail)

    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        received = f"received {_shown(kind)}{_nearest(kind, tuple(KINDS))}" if "kind" in table else "received none"
        return None, [fault("kind", f"expected one of {' '.join(KINDS)}, {received}")]
    fields = FIELDS[kind]
    faults = [
        fault(key, f"expected a field of a rule of kind {kind}, received {_shown(key)}{_nearest(key, tuple(fields))}")
        for key in table
        if key not in fields and key != "kind"
    ]
    values, wrong = _values(fields, table)
    faults += [fault(key, detail) for key, detail in (*wrong, *_clashes(values, table))]
    return (None, faults) if faults else (KINDS[kind](**{fields[key].to or key: values[key] for key in fields}), [])


def _values(fields: Mapping[str, Field], table: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The value of each field, and (field, what was expected) of those that are wrong."""
    values: dict[str, Any] = {}
    wrong = []
    for key, field in fields.items():
        if key in table:
            try:
                values[key] = field.read(table[key])
            except ValueError as error:
                close = _nearest(table[key], field.expected.split())
                wrong.append((key, f"{error}, received {_shown(table[key])}{close}"))
        elif field.default is REQUIRED:
            wrong.append((key, f"expected {field.expected}, received none"))
        elif isinstance(field.default, str) and field.default.startswith("="):
            values[key] = values.get(field.default[1:])  # it stands before this one in the table of fields
        else:
            values[key] = field.read(field.default)
    return values, wrong


def _clashes(values: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What cannot be together, of the values that are right by themselves: (field, what was expected)."""
    get = values.get
    clear, limit, op, statistic = get("clear"), get("limit"), get("op", ">"), get("statistic")
    above = op.startswith(">")
    if clear is not None and limit is not None and clear != limit and (clear > limit) == above:
        side = "at most" if above else "at least"
        received = f"{_shown(table['clear'])} with limit = {_shown(table['limit'])}"
        yield "clear", f"expected {side} the limit, or it would clear before it fires; received {received}"
    if get("totals") and statistic is not None and statistic not in TOTALS:
        names = " ".join(sorted(TOTALS))
        yield "totals", f"expected a statistic that totals have ({names}), received {_shown(statistic)}"
    symbols = get("symbols") or ()
    if statistic in PATTERNS and not (0 < len(symbols) <= PATTERN_SYMBOLS and not WILD & set("".join(symbols))):
        expected = f"expected 1 to {PATTERN_SYMBOLS} names without * ? [ for a figure of patterns"
        yield "symbols", f"{expected}, received {_shown(table.get('symbols', []))}"
    if get("totals") and get("symbols"):
        yield "symbols", "expected none together with totals = true, which are sums over all symbols"
    if get("totals") and statistic in RATES and get("window") == "all":
        yield "window", 'expected a window of some length for the rate of all symbols, received "all"'
    if get("of") == "price" and "tail" in table:
        yield "tail", 'expected only with of = "quantity"'
    if wrong := sorted(set(get("kinds", ())) - set(KINDS_OF_TRADES)):
        yield "kinds", f"expected {' or '.join(KINDS_OF_TRADES)}, received {_shown(wrong[0])}"


def _nearest(received: Any, known: tuple[str, ...] | list[str]) -> str:
    close = difflib.get_close_matches(received, known, n=1, cutoff=0.6) if isinstance(received, str) else []
    return f"; did you mean {close[0]}?" if close else ""


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"


def _not_toml(text: str, error: tomllib.TOMLDecodeError) -> Fault:
    match = _AT_LINE(str(error))
    line = int(match[1]) if match else text.count("\n") + 1
    return Fault(line, "", "", f"expected TOML, received {_shown(_line(text, line))}: {error}")


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1].strip() if number <= len(lines) else ""


def _refused(faults: list[Fault]) -> InvalidInput:
    shown = [f"  {fault}" for fault in faults[:ERRORS]]
    if len(faults) > ERRORS:
        shown.append(f"  and {len(faults) - ERRORS} more")
    head = "1 thing in the alert rules is wrong" if len(faults) == 1 else f"{len(faults)} things are wrong"
    errors = [fault.__dict__ for fault in faults[:ERRORS]]
    return InvalidInput("\n".join((f"{head}:", *shown)), errors=errors)


class _Lines:
    """Where tables and keys of a text that is TOML begin, as line numbers from 1."""

    def __init__(self, text: str) -> None:
        self._found: dict[tuple[Any, ...], int] = {}
        place: tuple[Any, ...] = ()
        tables = 0
        for line, statement, value in _statements(text):
            keys = _path(value)
            if statement.startswith("["):
                # [[rule]] opens the next; [rule.x] is a key of the last one.
                opens = statement.startswith("[[") and keys == ["rule"]
                place = ("rule", tables) if opens else self._below(keys, tables)
                tables += opens
                self._found.setdefault(place, line)
            else:
                self._found.setdefault((*place, *keys[:1]), line)

    @staticmethod
    def _below(keys: list[str], tables: int) -> tuple[Any, ...]:
        return ("rule", tables - 1, *keys[1:2]) if keys[0] == "rule" and tables else tuple(keys[:1])

    def of(self, *place: Any) -> int:
        """The line of a table or key; what has no line of its own has that of what it is in."""
        while place and place not in self._found:
            place = place[:-1]
        return self._found.get(place, 1)


def _path(value: Any) -> list[str]:
    keys = []
    while isinstance(value, dict) and len(value) == 1:
        (key,) = value
        keys.append(key)
        value = value[key]
    return keys


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(line, text, what it says by itself) of each statement of a text that is TOML."""
    lines = text.split("\n")
    start = 0
    for end in range(len(lines)):
        statement = "\n".join(lines[start : end + 1])
        try:
            value = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # a text or list goes on in the next line
        if value:
            yield start + 1, statement.strip(), value
        start = end + 1
