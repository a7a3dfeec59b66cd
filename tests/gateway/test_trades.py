"""Single trades over HTTP: the journal's own, ascending, by range and by what they have."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.reading.trades import SCANNED, Range, listed, range_of
from tests.gateway.conftest import Gateway
from tests.gateway.test_ingest import trade


def seqs(answer: dict[str, Any]) -> list[int]:
    return [row["seq"] for row in answer["trades"]]


def ask(gateway: Gateway, **parameters: Any) -> dict[str, Any]:
    answer = gateway.request("GET", "/v1/trades", params=parameters)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_a_range_gives_its_trades_as_they_were_sent(gateway: Gateway, symbol: str) -> None:
    body = [trade(symbol, quantity=str(number), price="10.5", account="A", source="s") for number in range(1, 6)]
    first = gateway.post(body, query="wait=applied")["first_seq"]
    answer = ask(gateway, from_seq=first + 1, to_seq=first + 3)
    assert seqs(answer) == [first + 1, first + 2, first + 3]
    assert [row["quantity"] for row in answer["trades"]] == ["2", "3", "4"]
    assert {row["account"] for row in answer["trades"]} == {"A"}
    assert answer["next"] is None
    assert answer["as_of_seq"] >= first + 4


def test_without_a_range_it_gives_the_newest(gateway: Gateway, symbol: str) -> None:
    last = gateway.post([trade(symbol)] * 5, query="wait=applied")["last_seq"]
    assert seqs(ask(gateway, limit=3)) == [last - 2, last - 1, last]


def test_pages_follow_one_another_without_a_hole(gateway: Gateway, symbol: str) -> None:
    first = gateway.post([trade(symbol)] * 7, query="wait=applied")["first_seq"]
    found: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        answer = ask(gateway, from_seq=first, to_seq=first + 6, limit=3, **cursor)
        found += seqs(answer)
        if answer["next"] is None:
            break
        cursor = {"cursor": answer["next"]}
    assert found == list(range(first, first + 7))


@pytest.mark.parametrize("name", ["symbol", "venue", "kind", "account", "strategy", "source"])
def test_only_trades_that_have_what_is_wanted(gateway: Gateway, symbol: str, name: str) -> None:
    values = {"symbol": symbol, "venue": "V", "kind": "fill", "account": "A", "strategy": "S", "source": "mm"}
    others = {"symbol": f"{symbol}-2", "venue": "W", "kind": "print", "account": "B", "strategy": "T", "source": "nn"}
    plain = trade(symbol, **{key: value for key, value in values.items() if key != "symbol"})
    body = [plain, plain | {name: others[name]}, plain]
    first = gateway.post(body, query="wait=applied")["first_seq"]
    assert seqs(ask(gateway, from_seq=first, to_seq=first + 2, **{name: values[name]})) == [first, first + 2]


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"from_seq": "x"},
        {"cursor": "-1"},
        {"cursor": "\u0663"},
        {"kind": "x"},
        {"a": "1"},
    ],
    ids=str,
)
def test_what_is_wrong_is_refused(gateway: Gateway, parameters: dict[str, str]) -> None:
    assert gateway.request("GET", "/v1/trades", params=parameters).status_code == 422


def test_the_trades_that_are_not_applied_yet_are_not_given() -> None:
    assert range_of(10, 5, 20, 100, None, {}) == Range(5, 10, 100, {})
    assert range_of(10, None, None, 3, None, {}) == Range(8, 10, 3, {})


def test_one_answer_looks_through_so_many_trades_at_most_and_says_where_to_go_on() -> None:
    asked: list[tuple[int, int]] = []

    def records(first: int, last: int) -> Any:
        asked.append((first, last))
        return iter(())

    assert listed(records, Range(1, 10 * SCANNED, 5, {"source": ("rare",)})) == ([], str(SCANNED + 1))
    assert asked == [(1, SCANNED)]
