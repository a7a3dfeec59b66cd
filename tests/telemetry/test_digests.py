"""Keys and fingerprints: what makes a resend a duplicate, a conflict or a new trade."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.columns import from_trades
from telemetry.digests import fingerprint, join_keys, key_digest, keys_of_columns, keys_of_trades, no_keys
from telemetry.trade import Trade
from tests.telemetry.bodies import NOW, trades

PLAIN = Trade("v", "A", "print", "", 1, 0, 1, 5, 0, 7, 1, NOW, NOW, trade_id="1")
KEY_FIELDS = ("venue", "symbol", "kind", "account", "order_id", "trade_id")
OTHERS: dict[str, Any] = {
    **dict.fromkeys(("currency", "ref_trade_id", "strategy", "liquidity", "fee_currency", "source", "tags"), "x"),
    **dict.fromkeys(("multiplier", "price", "quantity", "fee", "timestamp", "source_seq", "order_sent_at"), 77),
    **dict.fromkeys(("multiplier_scale", "side", "price_scale", "quantity_scale", "fee_scale"), 2),
}


def changed(fields: dict[str, Any]) -> Trade:
    return PLAIN._replace(**fields)


def test_the_key_is_made_of_six_fields_and_no_others() -> None:
    for field in KEY_FIELDS:
        assert key_digest(changed({field: "other"})) != key_digest(PLAIN)
    for field, value in OTHERS.items():
        assert key_digest(changed({field: value})) == key_digest(PLAIN)


def test_every_payload_field_changes_the_fingerprint_and_the_clocks_do_not() -> None:
    assert {*KEY_FIELDS, *OTHERS, "sent_at", "received_at"} == {*Trade._fields}
    others = [changed({field: "other"}) for field in KEY_FIELDS]
    others += [changed({field: value}) for field, value in OTHERS.items()]
    prints = {fingerprint(trade, True) for trade in (PLAIN, *others)}
    assert len(prints) == 1 + len(others)
    for field in ("sent_at", "received_at"):
        assert fingerprint(changed({field: 5}), True) == fingerprint(PLAIN, True)


def test_a_timestamp_that_was_not_sent_does_not_count() -> None:
    resent = PLAIN._replace(timestamp=NOW + 1, received_at=NOW + 1)
    assert fingerprint(PLAIN, False) == fingerprint(resent, False)
    assert fingerprint(PLAIN, True) != fingerprint(PLAIN, False)


def test_texts_that_only_meet_at_another_place_are_another_key() -> None:
    one, other = PLAIN._replace(account="ab", order_id="c"), PLAIN._replace(account="a", order_id="bc")
    assert key_digest(one) != key_digest(other)
    assert fingerprint(PLAIN._replace(strategy="ab"), True) != fingerprint(
        PLAIN._replace(strategy="a", source="b"), True
    )


def test_digests_never_change_because_the_journal_keeps_them() -> None:
    assert key_digest(PLAIN).hex() == "4ba398f1e63c242d58043ad8af4b39dc"
    assert fingerprint(PLAIN, True) == 0xDF2AC9EB510462E1


@given(st.lists(trades(), min_size=1, max_size=20))
def test_rows_and_columns_give_the_same_keys(rows: list[Trade]) -> None:
    given_stamps = [row.price % 2 == 0 for row in rows]
    one = keys_of_trades(rows, given_stamps)
    other = keys_of_columns(from_trades(rows), np.array(given_stamps))
    assert one.given.tolist() == other.given.tolist() == [row.trade_id != "" for row in rows]
    assert one.digests.tolist() == other.digests.tolist()
    assert one.fingerprints.tolist() == other.fingerprints.tolist()
    for index, row in enumerate(rows):
        if row.trade_id:
            assert one.digests[index].tobytes() == key_digest(row)
            assert int(one.fingerprints[index]) == fingerprint(row, given_stamps[index])
        else:
            assert one.digests[index].tolist() == [0, 0]


def test_two_thousand_keys_are_the_same_one_by_one() -> None:
    rows = [PLAIN._replace(trade_id=str(number)) for number in range(2000)]  # some digests end with a zero byte
    keys = keys_of_columns(from_trades(rows), np.ones(2000, bool))
    assert keys.digests.tobytes() == b"".join(map(key_digest, rows))
    assert keys.fingerprints.tolist() == [fingerprint(row, True) for row in rows]
    assert len(set(keys.fingerprints.tolist())) == 2000


def test_keys_of_parts_are_joined_in_order() -> None:
    joined = join_keys([no_keys(2), keys_of_trades([PLAIN], [True])])
    assert joined.given.tolist() == [False, False, True]
    assert joined.digests[2].tobytes() == key_digest(PLAIN)
