"""The trade ticket: what a person types, sent at once, counted once.

Theory of operation: a ticket gets its trade_id when it opens, and the same id is its Idempotency-Key. However often it
is sent (a double click, a retry after a timeout), the gateway counts it once. It gets a new id only when its trade is
known to be recorded and somebody types another one, or asks for a new ticket. After an unknown outcome it keeps its id:
sending it again tells whether the first one arrived.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import msgspec

from telemetry.client import Answer
from telemetry.errors import InvalidInput, TryAgain

SIDES = ("buy", "sell", "unknown")
OPTIONAL = ("account", "strategy", "venue", "currency")
FIELDS = ("symbol", "side", "quantity", "price", *OPTIONAL)
APPLIED_SECONDS = 1.0  # to wait for the figures; the trade is on disk before
SENT_KEPT = 6  # shown below the ticket


class Trade(NamedTuple):
    """The fields as typed; numbers are texts, so that no digit is lost on the way."""

    symbol: str
    side: str
    quantity: str
    price: str
    account: str = ""
    strategy: str = ""
    venue: str = ""
    currency: str = ""

    def fields(self) -> dict[str, str]:
        """As the gateway takes it: what is left empty is not given."""
        given = self._asdict()
        return {name: value for name, value in given.items() if value or name not in OPTIONAL}

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol} at {self.price}"


@dataclass(frozen=True)
class Recorded:
    """The trade is on disk; `again` when it already was and this was a resend. `applied_seconds`: from the click until
    the figures contained it, None when they did not yet."""

    seq: int | None
    trade: Trade
    again: bool = False
    applied_seconds: float | None = None


@dataclass(frozen=True)
class Refused:
    """The gateway's own words: about the whole, and by field."""

    detail: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unknown:
    """No answer, or one that says nothing about this trade: send it again."""

    detail: str


Outcome = Recorded | Refused | Unknown


class Door(Protocol):
    """What is needed of the gateway's client."""

    def post_trades(self, body: bytes, key: str, *, wait_seconds: float | None = None) -> Answer: ...


def new_id() -> str:
    """A trade id that no other ticket has."""
    return f"ticket-{secrets.token_hex(8)}"


@dataclass
class Ticket:
    """One viewer's ticket; `clock` is in seconds."""

    trade_id: str = field(default_factory=new_id)
    outcome: Outcome | None = None
    sent: list[Recorded] = field(default_factory=list)  # newest first
    typed: Trade | None = None  # what was sent last
    clock: Callable[[], float] = time.perf_counter

    def renew(self) -> None:
        """Open a new ticket."""
        self.trade_id, self.outcome = new_id(), None
        if self.typed is not None:
            self.typed = self.typed._replace(quantity="", price="")

    def send(self, trade: Trade, door: Door) -> None:
        """Send the trade; `outcome` says what became of it."""
        self.typed = trade
        if isinstance(self.outcome, Recorded):
            if self.outcome.trade == trade:  # a double click: it is on disk already
                self.outcome = replace(self.outcome, again=True)
                return
            self.renew()
        # Our own trade, typed by a person: a fill, not a print of the market.
        body = msgspec.json.encode(trade.fields() | {"kind": "fill", "trade_id": self.trade_id})
        began = self.clock()
        try:
            answer = door.post_trades(body, self.trade_id, wait_seconds=APPLIED_SECONDS)
        except InvalidInput as error:
            self.outcome = _refused(error)
        except TryAgain as error:
            self.outcome = Unknown(error.detail)
        else:
            again = answer.replayed or not answer.accepted
            took = self.clock() - began if answer.applied else None
            self.outcome = Recorded(answer.last_seq, trade, again, took)
            self.sent = [self.outcome, *self.sent][:SENT_KEPT]


def _refused(error: InvalidInput) -> Refused:
    """Words by field where the gateway names one that the ticket has; the rest stays with the whole."""
    fields: dict[str, str] = {}
    rest: list[str] = []
    for entry in error.errors:
        name, words = str(entry.get("field") or ""), str(entry.get("detail") or "")
        if name in FIELDS:
            fields.setdefault(name, words)
        else:
            rest.append(f"{name}: {words}" if name else words)
    detail = "; ".join(rest) if error.errors else error.detail
    return Refused(detail, fields)
