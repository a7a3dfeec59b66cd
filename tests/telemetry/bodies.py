"""Hypothesis strategies for the trades and bodies that the tests of decoding and columns share."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from telemetry.times import ABSENT
from telemetry.trade import LIQUIDITIES, NO_FEE, Trade

NOW = 1_795_352_400_000_000_000

short = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=6)
symbols = st.sampled_from(("BTC-USDT", "ETH/USDT:USDT", "ES.c.0", "トヨタ", "a"))
mantissas = st.integers(-(10**18) + 1, 10**18 - 1)
instants = st.integers(ABSENT + 1, 2**63 - 1)
maybe_instants = st.just(ABSENT) | instants
fees = st.just((0, NO_FEE)) | st.tuples(mantissas, st.integers(0, 18))


@st.composite
def trades(draw: st.DrawFn) -> Trade:
    """Any accepted trade."""
    fee, fee_scale = draw(fees)
    return Trade(
        venue=draw(st.sampled_from(("", "binance"))),
        symbol=draw(symbols),
        kind=draw(st.sampled_from(("fill", "print"))),
        currency=draw(st.sampled_from(("", "USDT", "€"))),
        multiplier=draw(st.sampled_from((1, 50))),
        multiplier_scale=draw(st.sampled_from((0, 3))),
        side=draw(st.integers(0, 2)),
        price=draw(mantissas),
        price_scale=draw(st.integers(0, 18)),
        quantity=draw(st.integers(1, 10**18 - 1)),
        quantity_scale=draw(st.integers(0, 18)),
        timestamp=draw(instants),
        received_at=draw(instants),
        trade_id=draw(short),
        ref_trade_id=draw(st.just("") | short),
        account=draw(st.just("") | short),
        strategy=draw(st.just("") | short),
        order_id=draw(st.just("") | short),
        liquidity=draw(st.sampled_from(("", *LIQUIDITIES))),
        fee=fee,
        fee_scale=fee_scale,
        fee_currency=draw(st.just("") | short),
        source=draw(st.just("") | short),
        source_seq=draw(maybe_instants),
        sent_at=draw(maybe_instants),
        order_sent_at=draw(maybe_instants),
        tags=draw(st.sampled_from(("", '{"a":"b"}'))),
    )


def literal(text: str) -> str:
    """Stands for a JSON number with exactly this text, see `dumps`."""
    return f"@@{text}@@"


def dumps(value: object, **options: Any) -> bytes:
    """JSON in which each `literal` stands as a number."""
    return re.sub(r'"@@(.*?)@@"', r"\1", json.dumps(value, **options)).encode()


good_decimals = st.one_of(
    st.decimals(0, 1000, places=4).map(str),
    st.decimals(0, 10**9, places=8).map(lambda value: f"{value:f}"),
    st.integers(0, 10**18 - 1).map(str),
    st.sampled_from(("1e-5", "2.50E+2", "1e17", "10e-19", "0.010", "100.000", "7", "0.10000000000000000000")),
)
odd_decimals = st.sampled_from(
    ("0", "-0", "0.00", "-5.50", "1e18", "0.1e-18", "12345678901234567890", "00.5", "1.", ".5")
)
moments = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
zones = st.sampled_from(("Z", "Z", "+00:00", "-05:30", "+14:00", "z"))
stamps = st.one_of(
    st.tuples(moments, zones).map(lambda pair: pair[0].isoformat() + pair[1]),
    st.integers(10**17, 2**63 - 1).map(str).map(literal),
    st.sampled_from(("2026-11-22T13:00:00.123456789Z", "2026-11-22 13:00:00.1Z", "1677-09-22T00:00:00Z")),
)
odd_stamps = st.sampled_from(
    (
        "2026-02-30T00:00:00Z",
        "2026-11-22T13:00:00",
        "2016-12-31T23:59:60Z",
        literal("1795352400"),
        literal("1.8e18"),
        "",
    )
)
bad_values: st.SearchStrategy[Any] = st.one_of(
    odd_decimals,
    odd_decimals.map(literal),
    odd_stamps,
    st.sampled_from(("", "5 ", "+5", "1_0", "NaN", "x", " ", "a\x00b", "y" * 65, None, True, [], {}, {"a": 1}, '":')),
    st.sampled_from(("NaN", "1e999", "-0", "1.0", "9223372036854775808")).map(literal),
)
numbers = good_decimals | good_decimals.map(literal)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "symbol": symbols,
    "side": st.sampled_from(("buy", "sell", "unknown", None)),
    "kind": st.sampled_from(("fill", "print", None)),
    "quantity": numbers,
    "price": numbers | st.sampled_from(("-37.63", literal("-1.50"), "0")),
    "multiplier": st.sampled_from(("1", "0.10", literal("50"))),
    "timestamp": stamps,
    "trade_id": short | st.integers(-5, 10**20) | st.none(),
    "action": st.sampled_from(("new", None)),
    "ref_trade_id": short | st.none(),
    "venue": st.sampled_from(("binance", "", None)),
    "account": short,
    "strategy": short | st.none(),
    "order_id": short,
    "currency": st.sampled_from(("USDT", "€", None)),
    "liquidity": st.sampled_from(("maker", "taker", "auction", "", None)),
    "fee": numbers | st.none(),
    "fee_currency": short,
    "source": short,
    "source_seq": st.integers(-5, 2**63 - 1) | st.none(),
    "sent_at": stamps | st.none(),
    "order_sent_at": stamps,
    "tags": st.dictionaries(short, short, max_size=3) | st.none(),
}
NAMES = tuple(VALUES)


@st.composite
def field_maps(draw: st.DrawFn, names: tuple[str, ...] | None = None, bad: float = 0.0) -> dict[str, Any]:
    """The fields of one trade as a client sends them; few break a rule, more with `bad`."""
    if names is None:
        names = ("symbol", "quantity", "price", *draw(st.lists(st.sampled_from(NAMES[1:]), unique=True, max_size=8)))
    fields = {name: draw(VALUES[name]) for name in names}
    if bad and draw(st.floats(0, 1)) < bad:
        fields[draw(st.sampled_from((*NAMES, "unknown", "Symbol")))] = draw(bad_values)
    return fields


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    """A body and its media."""
    names: tuple[str, ...] | None = None
    if draw(st.booleans()):  # all with the same fields
        names = ("symbol", "quantity", "price", *draw(st.lists(st.sampled_from(NAMES[1:]), unique=True, max_size=8)))
    bad = draw(st.sampled_from((0.0, 0.0, 0.2)))
    rows = draw(st.lists(field_maps(names=names, bad=bad), min_size=1, max_size=6))
    ascii_only, separators = draw(st.booleans()), draw(st.sampled_from(((",", ":"), (", ", ": "), (" ,\n", " : "))))
    if draw(st.booleans()):
        lines = [dumps(row, ensure_ascii=ascii_only) for row in rows]
        return draw(st.sampled_from((b"\n", b"\r\n", b"\n\n \n"))).join(lines), "lines"
    return dumps(rows, ensure_ascii=ascii_only, separators=separators), "json"


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+.\w]+|.', re.DOTALL)
_HOSTILE = (
    *(
        b'"price"',
        b'"\\u0070rice"',
        b'"symbol"',
        b'"quantity":1,',
        b'"x":1,',
        b'"":"",',
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"null",
        b"true",
    ),
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b" ",
        b"\n",
        b"\r",
        b"}\n{",
        b"},{",
        b"01",
        b"+5",
        b"-",
        b'"\\ud800"',
        b'"\\u0000"',
        b'"\x7f"',
    ),
    *(
        b'"a\\"b"',
        b'"\xc2\x85"',
        b'"\xff"',
        b"\xef\xbb\xbf",
        b'"\\u0035"',
        b'"a\\/b"',
        b'"\\":"',
        b"1.0",
        b"-0",
        b"1e2",
        b'"5 "',
        b"/**/",
    ),
)


@st.composite
def mutated_bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    """A body of which one to three tokens were replaced, doubled or removed."""
    body, media = draw(bodies())
    tokens = _TOKEN.findall(body)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(tokens) - 1))
        other = draw(st.integers(0, len(tokens) - 1))
        new = draw(st.sampled_from(("copy", "hostile", "insert", "remove")))
        if new == "copy":
            tokens[at] = tokens[other]
        elif new == "remove":
            tokens[at] = b""
        else:
            tokens[at] = draw(st.sampled_from(_HOSTILE)) + (tokens[at] if new == "insert" else b"")
    return b"".join(tokens), media
