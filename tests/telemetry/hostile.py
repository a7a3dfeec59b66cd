"""Bodies that must be refused: (body, problem, field). The field is None where there is no trade to name."""

from __future__ import annotations

import json

GOOD = b'{"symbol":"A","quantity":"1","price":"2"}'


def _with(field: str, raw: bytes) -> bytes:
    fields = {"symbol": b'"A"', "quantity": b'"1"', "price": b'"2"'} | {field: raw}
    return b"{" + b",".join(b'"' + name.encode() + b'":' + value for name, value in fields.items()) + b"}"


# What is valid JSON (or Python's reading of it) but breaks the rule of a field.
VALUES: list[tuple[str, bytes]] = [
    *(
        ("price", raw)
        for raw in (b"NaN", b"Infinity", b"-Infinity", b'"NaN"', b'"Infinity"', b'"-inf"', b"1e999", b"-1e999")
    ),
    *(
        ("price", raw)
        for raw in (b'"1e999"', b"true", b"false", b"null", b"[]", b"{}", b"[1]", b'""', b'" "', b'"5 "', b'" 5"')
    ),
    *(
        ("price", raw)
        for raw in (b'"+5"', b'"1_0"', b'"1,5"', b'"0x1F"', b'".5"', b'"5."', b'"05"', b'"--5"', b'"1e"', b'"1e+"')
    ),
    *(
        ("price", raw)
        for raw in ('"٣"'.encode(), '"１２"'.encode(), '"½"'.encode(), b'"5\\n"', b'"5\\u0000"', b'"\\u0000"')
    ),
    *(
        ("price", raw)
        for raw in (b"1000000000000000000", b"1e18", b"-1e18", b"1e-19", b"0." + b"0" * 18 + b"1", b"9" * 19)
    ),
    *(
        ("price", raw)
        for raw in (b"1." + b"1" * 18, b"9" * 5000, b'"' + b"9" * 5000 + b'"', b"1e" + b"9" * 400, b"1e-" + b"9" * 400)
    ),
    *(
        ("quantity", raw)
        for raw in (b"0", b"-0", b"0.0", b'"0"', b'"-0.000"', b"-1", b'"-1e-18"', b"true", b"NaN", b"null", b"0e5")
    ),
    *(("multiplier", raw) for raw in (b"0", b"-1", b'"x"', b"true", b"NaN", b"1e18")),
    *(("fee", raw) for raw in (b'""', b"true", b"NaN", b'"1%"')),
    *(
        ("symbol", raw)
        for raw in (
            b'""',
            b"null",
            b"5",
            b"true",
            b'" A"',
            b'"A "',
            b'"A\\u00a0"',
            b'"A\\n"',
            b'"\\u0000"',
            b'"\\ud800"',
        )
    ),
    *(
        ("symbol", raw)
        for raw in (b'"\\udfff\\ud800"', b'"A\\u001b[31m"', b'"A\x7f"', '"A\u0085"'.encode(), b'"' + b"s" * 65 + b'"')
    ),
    *(("symbol", raw) for raw in (b'"' + "é".encode() * 33 + b'"', b"[]", b"{}", b'{"a":1}')),
    *(("side", raw) for raw in (b'"BUY"', b'"b"', b'""', b"1", b"true", b"[]")),
    *(("kind", raw) for raw in (b'"FILL"', b'"quote"', b'""', b"0")),
    *(("action", raw) for raw in (b'"correct"', b'"cancel"', b'"NEW"', b'""', b"1")),
    *(("liquidity", raw) for raw in (b'"Maker"', b'"none"', b"1")),
    *(
        ("timestamp", raw)
        for raw in (b"0", b"1", b"-1", b"1795352400", b"1795352400123", b"1795352400123456", b"9223372036854775808")
    ),
    *(
        ("timestamp", raw)
        for raw in (b"1.5", b"1795352400000000000.0", b"1.795e18", b"NaN", b"true", b"{}", b'""', b'"now"')
    ),
    *(
        ("timestamp", raw)
        for raw in (b'"2026-11-22"', b'"2026-11-22T13:00:00"', b'"2026-11-22T13:00:60Z"', b'"2026-02-30T13:00:00Z"')
    ),
    *(("timestamp", raw) for raw in (b'"2026-11-22T25:00:00Z"', b'"1600-01-01T00:00:00Z"', b'"2263-01-01T00:00:00Z"')),
    *(("timestamp", raw) for raw in (b'"2026-11-22T13:00:00.1234567891Z"', b'"1795352400000000000"', b"9" * 5000)),
    *(("sent_at", raw) for raw in (b"5", b'"x"', b"true")),
    *(("order_sent_at", raw) for raw in (b"5", b'"2026-11-22T13:00:00"')),
    *(
        ("trade_id", raw)
        for raw in (b"1.0", b"1e3", b"true", b"[]", b"9" * 65, b'"' + b"t" * 65 + b'"', b'"a\\tb"', b'"\\ud834"')
    ),
    *((name, b'"' + b"x" * 65 + b'"') for name in ("venue", "account", "strategy", "order_id", "currency", "source")),
    *(
        (name, b"7")
        for name in ("venue", "account", "strategy", "order_id", "currency", "fee_currency", "ref_trade_id", "source")
    ),
    *(
        (name, b'"\\u0007"')
        for name in ("venue", "account", "strategy", "order_id", "currency", "fee_currency", "source")
    ),
    *(
        ("source_seq", raw)
        for raw in (b'"5"', b"1.0", b"9223372036854775808", b"-9223372036854775808", b"9" * 5000, b"true")
    ),
    *(
        ("tags", raw)
        for raw in (b'{"a":1}', b'{"a":null}', b'{"a":{"b":"c"}}', b"[]", b'"a"', b'{"a":"\\n"}', b'{"\\u0000":"a"}')
    ),
    *(("tags", raw) for raw in (b'{"k":"' + b"v" * 505 + b'"}', b'{"a":["b"]}', b'{"a":true}')),
    *(
        (name, b'"x"')
        for name in ("unknown", "Symbol", "symbol ", "", "__class__", "seq", "received_at", "\\u0000", "notional")
    ),
]
FIELDS: list[tuple[bytes, str, str | None]] = [
    *((_with(field, raw), "invalid", json.loads(f'"{field}"')) for field, raw in VALUES),
    (b"{}", "invalid", "symbol"),
    (b'{"symbol":"A","price":"2"}', "invalid", "quantity"),
    (b'{"symbol":"A","quantity":"1"}', "invalid", "price"),
    (b'{"symbol":"A","symbol":"B","quantity":"1","price":"2"}', "invalid", "symbol"),
    (b'{"symbol":"A","symbol":"A","quantity":"1","price":"2"}', "invalid", "symbol"),
    (b'{"symbol" : "A","symbol" :"A","quantity":"1","price":"2"}', "invalid", "symbol"),
    (b'{"symbol":"A","\\u0073ymbol":"B","quantity":"1","price":"2"}', "invalid", "symbol"),
    (b'{"symbol":"A","quantity":"1","price":"2","price":"2"}', "invalid", "price"),
    (b'{"symbol":"A","quantity":"1","price":"2","side":"buy","side":null}', "invalid", "side"),
    (b'{"symbol":"A","quantity":"1","price":"2","tags":{"a":"b","a":"c"}}', "invalid", "tags.a"),
    (b"5", "invalid", ""),
    (b'"text"', "invalid", ""),
    (b"null", "invalid", ""),
    (b"true", "invalid", ""),
    (b"NaN", "invalid", ""),
    (b'["symbol"]', "invalid", ""),
]
# What is no JSON, whatever stands around it.
SYNTAX: list[bytes] = [
    *(
        b"{",
        b"}",
        b'{"',
        b'{"symbol"',
        b'{"symbol":',
        b'{"symbol":"A',
        b'{"symbol":"A"',
        b'{"symbol":"A",',
        b'{"symbol":"A",}',
        b"{,}",
    ),
    *(
        GOOD + b"x",
        GOOD + b"}",
        b"{{}}",
        b"{'symbol':'A'}",
        b"{symbol:1}",
        b'{"symbol":"A" "price":1}',
        b'{"symbol":"A"::1}',
    ),
    *(
        _with("price", raw)
        for raw in (
            b"01",
            b"1.",
            b".5",
            b"+5",
            b"-",
            b"0x1F",
            b"1e",
            b"1_0",
            b"nan",
            b"inf",
            b"None",
            b"True",
            b"undefined",
        )
    ),
    *(
        _with("symbol", raw)
        for raw in (
            b'"A\n"',
            b'"A\x00"',
            b'"\\x41"',
            b'"\\u12"',
            b'"\xff"',
            b'"\xc0\x80"',
            b'"\xed\xa0\x80"',
            b'"\xf5\x80\x80\x80"',
        )
    ),
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        b"// note\n" + GOOD,
        b"/**/" + GOOD,
        b"<xml/>",
        b"PK\x03\x04",
    ),
    *(_with("tags", b'{"a":' * depth + b"1" + b"}" * depth) for depth in (8, 50, 200_000)),
    *(_with("price", b"[" * depth + b"]" * depth) for depth in (8, 50, 200_000)),
    *(_with("unknown", b"[" * 200_000), b"[" * 200_000, b'{"a":' * 200_000),
]
