"""Who falls silent with whom, and whose silence it is."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.watching.company import LATELY_NS, MOST, SAMPLE, Company, Name
from telemetry.columns import Columns, concatenate, from_trades
from telemetry.decode import Decoder
from telemetry.errors import InvalidInput
from tests.gateway.watched import MONDAY, SECOND, Stand

V, W = ("venue", "V"), ("venue", "W")


def trade(venue: str, source: str, strategy: str = "", *, symbol: str = "A", at_ns: int = MONDAY) -> Columns:
    named = {"venue": venue, "source": source, "strategy": strategy}
    body = {"symbol": symbol, "quantity": "1", "price": "10", "timestamp": at_ns}
    body |= {name: value for name, value in named.items() if value}
    batch = Decoder(compiled=False, secret=bytes(16)).decode(json.dumps(body).encode(), "json", at_ns)
    return batch.columns if batch.columns is not None else from_trades(batch.trades or [])


def company(*trades: Columns) -> Company:
    found = Company()
    for each in trades:
        found.see(each, MONDAY)
    return found


def source(name: str) -> Name:
    return "source", name


def strategy(name: str) -> Name:
    return "strategy", name


def test_a_venue_that_stopped_explains_all_of_its_sources() -> None:
    those = [source(f"bot-{number}") for number in range(50)]
    found = company(*(trade("V", name) for _, name in those))
    assert found.parts([V, *those], []) == dict.fromkeys(those, V)


def test_a_source_that_stopped_explains_all_the_venues_that_only_it_sends_trades_of() -> None:
    found = company(trade("V", "feed"), trade("W", "feed"))
    assert found.parts([V, W, source("feed")], []) == {V: source("feed"), W: source("feed")}


def test_a_source_whose_venue_others_still_send_trades_of_is_silent_by_itself() -> None:
    found = company(trade("V", "a", "s"), trade("V", "b", "t"))
    assert found.parts([source("a")], []) == {}
    assert found.parts([source("a"), strategy("s")], []) == {strategy("s"): source("a")}


def test_a_strategy_that_another_source_still_sends_trades_of_is_silent_by_itself() -> None:
    found = company(trade("V", "a", "s"), trade("V", "b", "s"))
    assert found.parts([source("a"), strategy("s")], []) == {}


def test_of_two_causes_at_one_time_neither_hides_the_other() -> None:
    found = company(trade("V", "a"), trade("W", "b"), trade("W", "c"))
    assert found.parts([V, source("a"), source("b")], []) == {source("a"): V}


def test_what_somebody_was_told_of_stays_the_cause_when_its_equal_falls_silent_too() -> None:
    found = company(trade("V", "feed", "s"))
    assert found.parts([V, source("feed")], []) == {source("feed"): V}
    assert found.parts([V, source("feed")], [source("feed")]) == {V: source("feed")}


def test_who_was_not_seen_with_anybody_is_part_of_nothing() -> None:
    assert company(trade("V", "")).parts([V, source("feed")], []) == {}


def test_company_of_more_than_an_hour_ago_does_not_count() -> None:
    found = company(trade("W", "feed"))
    later = MONDAY + LATELY_NS + SECOND
    found.see(trade("V", "feed", at_ns=later), later)
    assert found.parts([V, source("feed")], []) == {source("feed"): V}


def test_trades_that_are_replayed_later_say_nothing() -> None:
    found = Company()
    found.see(trade("V", "feed"), MONDAY + 61 * SECOND)
    assert found.export() == []


def test_senders_in_one_large_block_take_turns_in_the_sample() -> None:
    block = concatenate([trade("V", f"bot-{number % 50}") for number in range(20 * SAMPLE)])
    found = Company()
    for _ in range(20):
        found.see(block, MONDAY)
    assert len(found.export()) == 50


def test_the_combinations_that_were_not_seen_for_longest_go() -> None:
    found = Company()
    parts = [
        [trade("V", "feed", symbol=f"S{number}") for number in range(first, first + 4)] for first in range(0, 8, 4)
    ]
    found.restore([["V", "feed", "", f"old-{number}", MONDAY] for number in range(MOST)])
    for part in parts:
        found.see(concatenate(part), MONDAY)
    names = [row[3] for row in found.export()]
    assert (len(names), names[0], names[-1]) == (MOST, "old-8", "S7")


def test_what_is_saved_is_taken_up_again_and_anything_else_refused() -> None:
    found, again = company(trade("V", "feed", "s")), Company()
    again.restore(json.loads(json.dumps(found.export())))
    assert again.parts([V, source("feed")], []) == {source("feed"): V}
    with pytest.raises(InvalidInput, match="company: expected names and instants"):
        again.restore([["V", 1]])


# --- through the alerts ----------------------------------------------------------------------------------------------


def lively(stand: Stand, seconds: int, *senders: tuple[str, str, str]) -> None:
    """A trade of each (venue, source, strategy) each half second."""

    async def run() -> None:
        for _ in range(2 * seconds):
            stand.send(concatenate([trade(*each, at_ns=stand.wall_ns) for each in senders]))
            await stand.second(0.5)

    asyncio.run(run())


def test_who_is_still_silent_when_the_cause_is_mended_has_its_own_alert() -> None:
    stand = Stand()
    lively(stand, 520, ("V", "a", "s"), ("V", "b", "t"))
    stand.seconds(8)
    assert stand.told() == ["fired silent-venue V"]
    lively(stand, 3, ("V", "a", "s"))
    assert stand.told()[1:] == ["resolved silent-venue V", "fired silent-source b"]
    (latched, open_) = sorted(stand.bulletin.alerts.listed(), key=lambda alert: alert["state"] == "firing")
    assert "silent with it: source a, source b, strategy s and 1 more" in latched["message"]
    assert "silent with it: strategy t" in open_["message"]


def test_a_cause_that_no_rule_is_about_hides_nobody() -> None:
    stand = Stand()
    stand.bulletin.alerts.reload([rule for name, rule in stand.bulletin.alerts.rules.items() if "venue" not in name], 0)
    lively(stand, 520, ("V", "a", ""), ("V", "b", ""))
    stand.seconds(8)
    assert stand.told() == ["fired silent-source a", "fired silent-source b"]
