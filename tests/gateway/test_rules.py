"""Rule files: what is read, and that every error is named with its line. Also holds docs/alerts.md to the code."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.aggregator import Aggregator
from gateway.alerting.rule_fields import FIELDS, REQUIRED, Field
from gateway.alerting.rule_kinds import (
    KINDS,
    PATTERNS,
    STATISTICS,
    TOTALS,
    Backlog,
    FatFinger,
    LatencyObjective,
    Ratio,
    Threshold,
)
from gateway.alerting.rules import read_rules
from gateway.reading.figures import empty_row
from gateway.reading.patterns import Question, prepare
from gateway.reading.zones import NO_ZONES
from gateway.state.patterns import compiled_parts
from telemetry.errors import InvalidInput
from tests.gateway.test_aggregator import EPOCH, NOW, offer, trade

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = (ROOT / "gateway" / "default_rules.toml").read_text("utf-8")
DOCS = ROOT / "docs" / "alerts.md"
SECOND = 1_000_000_000


def wrong(text: str) -> list[str]:
    """The lines of the error that a file gets, without the first."""
    with pytest.raises(InvalidInput) as caught:
        read_rules(text)
    head, *lines = str(caught.value).split("\n")
    assert head == ("1 thing in the alert rules is wrong:" if len(lines) == 1 else f"{len(lines)} things are wrong:")
    assert [error["line"] for error in caught.value.errors] == [int(line.split()[1].strip(",:")) for line in lines]
    return [line.strip() for line in lines]


def test_a_rule_is_read_with_its_defaults() -> None:
    (rule,) = read_rules('[[rule]]\nname = "b"\nkind = "backlog"\nlimit = 1_000')
    assert rule == Backlog(
        name="b", severity="warning", for_ns=30 * SECOND, clear_for_ns=10 * SECOND,
        advice="Start more workers, or send more slowly.", limit=1000, clear=1000,
    )  # fmt: skip


def test_durations_and_inline_tables_and_every_way_of_toml_are_read() -> None:
    threshold, latency = read_rules(
        "rule = [{name = 't', kind = 'threshold', statistic = 'vwap', limit = 2, op = '<', clear = 3, for = '1.5m'},\n"
        "  {name = 'l', kind = 'latency', limit = '500ms', clear_for = '1d'}]"
    )
    assert isinstance(threshold, Threshold)
    assert isinstance(latency, LatencyObjective)
    assert (threshold.limit, threshold.clear, threshold.op, threshold.for_ns) == (2.0, 3.0, "<", 90 * SECOND)
    assert (latency.limit_ns, latency.clear_ns, latency.clear_for_ns) == (SECOND // 2, SECOND // 2, 86_400 * SECOND)


def test_the_default_rules_and_the_examples_in_their_comments_are_right() -> None:
    rules = read_rules(DEFAULT)
    assert len({rule.name for rule in rules}) == len(rules) == 10
    assert {rule.kind for rule in rules} == set(KINDS) - {"threshold", "ratio"}
    with_examples = read_rules(re.sub(r"^# (?=\[\[rule|\w+ = )", "", DEFAULT, flags=re.MULTILINE))
    assert isinstance(with_examples[-2], Ratio)
    assert isinstance(with_examples[-1], Threshold)


def test_a_rule_judges_the_same_whatever_its_severity_and_advice_and_another_way_when_anything_else_changes() -> None:
    base = 'name = "b"\nkind = "backlog"\nlimit = 10\n'
    same, other, changed = (
        read_rules(f"[[rule]]\n{base}{more}")[0] for more in ("", 'severity = "info"\nadvice = "Wait."', "clear = 9")
    )
    assert same.identity() == other.identity() != changed.identity()


def test_every_error_of_a_file_is_named_with_its_line() -> None:
    text = """x = 1
[[rule]]
name = "a"
kind = "threshold"
statistc = "vwap"
limit = "3"
symbols = [
  "A",   # a comment with ] and "
  5,
]

[[rule]]  # another
advice = '''
kind = "backlog"
'''
name = "a"
kind = "ratoi"

[[rule]]
limit = 5
clear = 7
name = "B B"
kind = "backlog"
"severity" = "urgent"
[[rule]]
name = "l"
kind = "latency"
window = "2m"
stage = "merged"
for = "5 s"
"""
    found = wrong(text)
    kinds = " ".join(KINDS)
    duration = 'up to "1d", such as "500ms", "30s", "5m"'
    name = "a name of small letters, digits and . _ - of at most 64 characters"
    stages = "one of client journal dispatch analysis merge end_to_end publish"
    expected = """\
line 1, x: expected only tables [[rule]], received "x"
line 5, a, statistc: expected a field of a rule of kind threshold, received "statistc"; did you mean statistic?
line 6, a, limit: expected a number, received "3"
line 7, a, symbols: expected a list of texts, received ["A", 5]
line 16, a, name: expected a name of its own, line 3 has it
line 17, a, kind: expected one of KINDS, received "ratoi"; did you mean ratio?
line 21, B B, clear: expected at most the limit, or it would clear before it fires; received 7 with limit = 5
line 22, B B, name: expected NAME, received "B B"
line 24, B B, severity: expected one of info warning critical, received "urgent"
line 25, l, limit: expected a duration above 0s DURATION, received none
line 28, l, window: expected one of 10s 1m 5m 1h all, received "2m"
line 29, l, stage: expected STAGES, received "merged"; did you mean merge?
line 30, l, for: expected a duration DURATION, received "5 s\""""
    for word, text in {"KINDS": kinds, "NAME": name, "DURATION": duration, "STAGES": stages}.items():
        expected = expected.replace(word, text)
    missing = found.pop(1)
    assert missing.startswith("line 2, a, statistic: expected one of trades buy_trades")
    assert missing.endswith("received none")
    assert found == expected.split("\n")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('kind="threshold"\nstatistic="vwap"\nlimit=1\ntotals=true', "line 5, r, totals: expected a statistic that"),
        ('kind="threshold"\nstatistic="trades"\nlimit=1\ntotals=true\nsymbols=["A"]', "line 6, r, symbols: expected"),
        ('kind="threshold"\nstatistic="trades"\nlimit=1\nop="<"\nclear=0', "line 6, r, clear: expected at least"),
        ('kind="threshold"\nstatistic="trades"\nlimit=1\nkinds=["fills"]', "line 5, r, kinds: expected fill or print"),
        ('kind="threshold"\nstatistic="trades"\nlimit=nan', "line 4, r, limit: expected a number"),
        ('kind="threshold"\nstatistic="trades"\nlimit=true', "line 4, r, limit: expected a number"),
        ('kind="threshold"\nstatistic="microburst"\nlimit=1', "line 1, r, symbols: expected 1 to 20 names"),
        ('kind="threshold"\nstatistic="microburst"\nlimit=1\nsymbols=["A*"]', "line 5, r, symbols: expected 1 to 20"),
        ('kind="ratio"\nstatistic="microburst"\nlimit=1', "line 3, r, statistic: expected one of trades"),
        ('kind="ratio"\nstatistic="trades"\nlimit=2\nwindow="1h"', "line 5, r, window: expected one of 10s 1m 5m"),
        ('kind="fat_finger"\nof="price"\ntail=9', 'line 4, r, tail: expected only with of = "quantity"'),
        ('kind="fat_finger"\nof="price"\nfor="5s"', "line 4, r, for: expected a field of a rule of kind fat_finger"),
        ('kind="fat_finger"\nof="price"\ntrades=513', "line 4, r, trades: expected a whole number from 32 to 512"),
        ('kind="backlog"\nlimit=1.5', "line 3, r, limit: expected a whole number from 1"),
        ('kind="silence"\nstreams=[]', "line 3, r, streams: expected a list of some of venue source"),
        ('kind="latency"\nlimit="1s"\nclear="2s"', "line 4, r, clear: expected at most the limit"),
        ('kind="clock"\noffset="0s"', 'line 3, r, offset: expected a duration above 0s up to "1d"'),
    ],
)  # fmt: skip
def test_what_a_rule_cannot_be_is_refused(fields: str, expected: str) -> None:
    (found,) = wrong(f'[[rule]]\n{fields}\nname = "r"')
    assert found.startswith(expected)


@pytest.mark.parametrize("text", ["[[rule]]\nname = ", "[[rule]]\nname = 'a'\nname = 'b'", "a = 1\n[rule\n"])
def test_what_is_no_toml_is_refused_with_its_line(text: str) -> None:
    (found,) = wrong(text)
    assert re.match(r"line [23]: expected TOML, received ", found)


def test_what_is_no_list_of_rules_is_refused() -> None:
    assert wrong("\n[rule]\nname = 'a'") == ["line 2, rule: expected tables that begin with [[rule]]"]
    assert wrong("rule = [1]") == ["line 1, rule: expected tables that begin with [[rule]]"]
    assert read_rules("# nothing\r\n") == ()


def test_a_file_with_the_ends_of_lines_of_windows_is_read() -> None:
    assert len(read_rules(DEFAULT.replace("\n", "\r\n"))) == 10
    assert wrong("# c\r\n[[rule]]\r\nname = 'a'\r\nkind = 'x'\r\n")[0].startswith("line 4, a, kind: ")


@given(
    st.integers(0, 30),
    st.sampled_from(["\n", "# c\n", '[[rule]]\nname = "n"\nkind = "quarantine"\n']),
    st.text('a]["=#é \u2028\n'),
)
def test_the_line_of_an_error_is_where_it_stands_whatever_stands_before(times: int, before: str, junk: str) -> None:
    text = f"{before * times}[[rule]]\nadvice = '''{junk}\n[[rule]]\nx = 1\n'''\nbad = 1\nkind = 'quarantine'\n"
    with pytest.raises(InvalidInput) as caught:
        read_rules(text)
    assert text.split("\n")[next(e["line"] for e in caught.value.errors if e["field"] == "bad") - 1] == "bad = 1"


def test_every_figure_of_a_rule_is_one_of_a_row_of_statistics() -> None:
    assert set(STATISTICS) - set(empty_row()) == set()
    assert set(STATISTICS) >= TOTALS


def test_every_pattern_of_a_rule_is_a_figure_of_patterns() -> None:
    state = Aggregator(epoch=EPOCH, parts=compiled_parts())
    offer(state, [trade()], 1, 1)
    shown = prepare(state, Question("A", "1m"), NO_ZONES, NOW).figures()
    assert set(PATTERNS) <= set(shown)


def test_a_fat_finger_rule_needs_to_say_of_what() -> None:
    (rule,) = read_rules('[[rule]]\nname="f"\nkind="fat_finger"\nof="quantity"')
    assert isinstance(rule, FatFinger)
    assert (rule.deviations, rule.tail, rule.trades, rule.for_ns) == (20.0, 40.0, 64, 0)
    assert wrong('[[rule]]\nname="f"\nkind="fat_finger"')[0].startswith("line 1, f, of: expected one of price quantity")


def default(field: Field) -> str:
    if field.default is REQUIRED:
        return "required"
    if isinstance(field.default, str) and field.default.startswith("="):
        return f"that of `{field.default[1:]}`"
    return f"`{json.dumps(field.default)}`"


def table(fields: dict[str, Field]) -> str:
    rows = [f"| `{key}` | {field.expected} | {default(field)} | {field.meaning} |" for key, field in fields.items()]
    return "\n".join(["| field | expected | default | meaning |", "|---|---|---|---|", *rows])


def tables() -> dict[str, str]:
    """The tables of docs/alerts.md by kind; "" has the fields that are the same in all kinds."""
    common = {"name": FIELDS["backlog"]["name"], "severity": FIELDS["backlog"]["severity"]}
    of_kinds = {kind: {key: fields[key] for key in fields if key not in common} for kind, fields in FIELDS.items()}
    return {"": table(common)} | {kind: table(fields) for kind, fields in of_kinds.items()}


def test_every_field_of_every_kind_of_rule_is_in_the_docs_as_the_code_has_it() -> None:
    page = DOCS.read_text("utf-8")
    assert [kind for kind, text in tables().items() if text not in page] == []


def test_the_default_rules_are_in_the_docs_and_the_examples_there_are_right() -> None:
    page = DOCS.read_text("utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert [len(read_rules(block)) for block in blocks] == [1, 1]
    assert [
        name for name in (rule["name"] for rule in tomllib.loads(DEFAULT)["rule"]) if f"| `{name}` |" not in page
    ] == []
