"""The ticket: sent at once, counted once, the gateway's words at the field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from telemetry.client import Answer
from telemetry.errors import InvalidInput, TelemetryError, TryAgain
from ui.ticket import SENT_KEPT, Outcome, Recorded, Refused, Ticket, Trade, Unknown

TRADE = Trade("BTC-USDT", "buy", "0.015", "64250.10")
OTHER = TRADE._replace(quantity="0.02")


class Door:
    """A gateway that answers as it is told, in order."""

    def __init__(self, *answers: Answer | TelemetryError) -> None:
        self.answers = list(answers)
        self.received: list[tuple[dict[str, Any], str]] = []

    def post_trades(self, body: bytes, key: str, *, wait_seconds: float | None = None) -> Answer:
        self.received.append((json.loads(body), key))
        answer = self.answers.pop(0)
        if isinstance(answer, TelemetryError):
            raise answer
        return answer


def accepted(seq: int) -> Answer:
    return Answer(1, 0, False, seq)


def test_a_trade_is_sent_as_typed_under_the_ticket_s_own_id() -> None:
    door, ticket = Door(accepted(17)), Ticket()
    ticket.send(TRADE, door)
    sent = {"symbol": "BTC-USDT", "side": "buy", "quantity": "0.015", "price": "64250.10", "kind": "fill"}
    assert door.received == [(sent | {"trade_id": ticket.trade_id}, ticket.trade_id)]
    assert ticket.outcome == Recorded(17, TRADE)


def test_a_second_click_on_the_same_ticket_sends_nothing() -> None:
    door, ticket = Door(accepted(17)), Ticket()
    ticket.send(TRADE, door)
    ticket.send(TRADE, door)
    assert len(door.received) == 1
    assert ticket.outcome == Recorded(17, TRADE, again=True)


def test_after_a_recorded_trade_other_fields_are_a_new_ticket() -> None:
    door, ticket = Door(accepted(17), accepted(18)), Ticket()
    ticket.send(TRADE, door)
    ticket.send(OTHER, door)
    assert len({key for _, key in door.received}) == 2
    assert [sent.seq for sent in ticket.sent] == [18, 17]


def test_a_new_ticket_may_be_a_trade_like_the_one_before() -> None:
    door, ticket = Door(accepted(17), accepted(18)), Ticket()
    ticket.send(TRADE, door)
    ticket.renew()
    ticket.send(TRADE, door)
    assert ticket.outcome == Recorded(18, TRADE)


def test_after_an_unknown_outcome_the_same_ticket_is_sent_again() -> None:
    door, ticket = Door(TryAgain("does not answer"), Answer(1, 0, True, 17)), Ticket()
    outcomes: list[Outcome | None] = []
    for _ in range(2):
        ticket.send(TRADE, door)
        outcomes.append(ticket.outcome)
    assert door.received[0] == door.received[1]
    assert outcomes == [Unknown("does not answer"), Recorded(17, TRADE, again=True)]


def test_after_an_unknown_outcome_changed_fields_do_not_become_a_second_trade() -> None:
    used = InvalidInput("the key was used with another payload", problem="conflict")
    door, ticket = Door(TryAgain("does not answer"), used), Ticket()
    ticket.send(TRADE, door)
    ticket.send(OTHER, door)
    assert door.received[0][1] == door.received[1][1]
    assert ticket.outcome == Refused("the key was used with another payload")


def test_the_gateway_s_words_stand_at_their_field() -> None:
    errors = [
        {"index": 0, "field": "price", "detail": "expected a number", "received": "x"},
        {"index": 0, "field": "price", "detail": "and another thing"},
        {"index": 0, "field": "multiplier", "detail": "constant per instrument"},
    ]
    door, ticket = Door(InvalidInput("trade 0, price: expected a number", errors=errors)), Ticket()
    ticket.send(TRADE, door)
    assert ticket.outcome == Refused("multiplier: constant per instrument", {"price": "expected a number"})


def test_only_the_latest_trades_are_listed() -> None:
    door, ticket = Door(*map(accepted, range(1, 20))), Ticket()
    for number in range(1, 20):
        ticket.send(TRADE._replace(quantity=str(number)), door)
    assert [sent.seq for sent in ticket.sent] == list(range(19, 19 - SENT_KEPT, -1))


def test_what_is_left_empty_is_not_sent_and_what_is_given_is() -> None:
    door, ticket = Door(accepted(17)), Ticket()
    ticket.send(TRADE._replace(account="A-1", currency="USDT"), door)
    sent, _ = door.received[0]
    assert (sent["account"], sent["currency"]) == ("A-1", "USDT")
    assert sent.keys().isdisjoint({"strategy", "venue"})


@pytest.mark.parametrize(("applied", "seconds"), [(True, 0.25), (False, None)])
def test_it_says_how_long_the_trade_took_into_the_figures_when_it_is_there(applied: bool, seconds: float) -> None:
    times = iter((10.0, 10.25))
    door, ticket = Door(accepted(17)._replace(applied=applied)), Ticket(clock=lambda: next(times))
    ticket.send(TRADE, door)
    assert ticket.outcome == Recorded(17, TRADE, applied_seconds=seconds)


def test_a_new_ticket_keeps_what_is_usually_the_same() -> None:
    door, ticket = Door(accepted(17)), Ticket()
    ticket.send(TRADE._replace(account="A-1"), door)
    ticket.renew()
    assert ticket.typed == TRADE._replace(account="A-1", quantity="", price="")
