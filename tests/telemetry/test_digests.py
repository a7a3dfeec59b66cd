"""Keys and fingerprints: what makes a resend a duplicate, a conflict or a new trade."""

from __future__ import annotations

from hashlib import shake_256
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.columns import from_trades
from telemetry.digests import Digests, Keys, join_keys, no_keys
from telemetry.times import ABSENT
from telemetry.trade import Trade
from tests.telemetry.bodies import NOW, trades

SECRET = b"sixteen secrets."
DIGESTS = Digests(SECRET)
PLAIN = Trade("v", "A", "print", "", 1, 0, 1, 5, 0, 7, 1, NOW, NOW, trade_id="1")
KEY_FIELDS = ("venue", "symbol", "kind", "account", "order_id", "trade_id")
OTHERS: dict[str, Any] = {
    **dict.fromkeys(("currency", "ref_trade_id", "strategy", "liquidity", "fee_currency", "source", "tags"), "x"),
    **dict.fromkeys(("multiplier", "price", "quantity", "fee", "timestamp", "source_seq", "order_sent_at"), 77),
    **dict.fromkeys(("multiplier_scale", "side", "price_scale", "quantity_scale", "fee_scale"), 2),
}
LONG = "\N{GRINNING FACE}" * 64  # the longest text in bytes
long_texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=64)


def changed(fields: dict[str, Any]) -> Trade:
    return PLAIN._replace(**fields)


# --- the definition, word by word -------------------------------------------------------------------------------------


def words_of_text(text: str, words: int = 64) -> list[int]:
    data = text.encode()
    padded = data.ljust(4 * words, b"\0")
    return [len(data), *(int.from_bytes(padded[at : at + 4], "little") for at in range(0, 4 * words, 4))]


def halves(value: int) -> list[int]:
    return [value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF]


def defined(person: bytes, lanes: int, message: list[int]) -> list[int]:
    """The lanes of the hash as the module's docstring defines them."""
    stream = shake_256(person + SECRET).digest(8 * lanes * (len(message) + 1))
    k = [int.from_bytes(stream[at : at + 8], "little") for at in range(0, len(stream), 8)]
    sums = [k[lane] + sum(k[lanes * i + lane] * m for i, m in enumerate(message, 1)) for lane in range(lanes)]
    return [total % 2**64 >> 32 for total in sums]


def defined_key(trade: Trade) -> list[int]:
    return defined(b"trade key", 4, [word for name in KEY_FIELDS for word in words_of_text(getattr(trade, name))])


def defined_fingerprint(trade: Trade, timestamp_given: bool) -> int:
    t = trade if timestamp_given else trade._replace(timestamp=ABSENT)
    message = [*defined_key(t), t.side | t.price_scale << 8 | t.quantity_scale << 16 | (t.fee_scale ^ 255) << 24]
    message += [word for name in ("price", "quantity") for word in halves(getattr(t, name))]
    message += [*halves(t.timestamp ^ ABSENT), *halves(t.fee)]
    message += [word for name in ("source_seq", "order_sent_at") for word in halves(getattr(t, name) ^ ABSENT)]
    message += [*halves(t.multiplier), t.multiplier_scale]
    for text in (t.currency, t.ref_trade_id, t.strategy, t.liquidity, t.fee_currency, t.source):
        message += words_of_text(text)
    low, high = defined(b"trade payload", 2, message + words_of_text(t.tags, 128))
    return low | high << 32


@settings(deadline=None)
@given(trades(), st.booleans(), long_texts, long_texts)
def test_a_digest_and_a_fingerprint_are_what_the_definition_says(
    trade: Trade, timestamp_given: bool, account: str, strategy: str
) -> None:
    trade = trade._replace(account=account, strategy=strategy)
    expected = b"".join(lane.to_bytes(4, "little") for lane in defined_key(trade))
    assert DIGESTS.key_digest(trade) == expected
    assert DIGESTS.fingerprint(trade, timestamp_given) == defined_fingerprint(trade, timestamp_given)


def test_the_longest_texts_are_hashed_to_their_end() -> None:
    texts = dict.fromkeys((*KEY_FIELDS, "ref_trade_id", "strategy", "fee_currency", "source", "currency"), LONG)
    longest = changed(texts | {"symbol": "s" * 64, "kind": "print", "tags": "t" * 512})
    for name in ("venue", "account", "order_id", "trade_id", "source", "tags", "currency"):
        other = longest._replace(**{name: getattr(longest, name)[:-1] + "x"})
        for trade in (longest, other):
            assert DIGESTS.fingerprint(trade, True) == defined_fingerprint(trade, True)
            same_keys([trade, PLAIN], [True, False])
        assert DIGESTS.fingerprint(longest, True) != DIGESTS.fingerprint(other, True)


def test_digests_never_change_because_the_journal_keeps_them() -> None:
    assert DIGESTS.key_digest(PLAIN).hex() == "c2142b6de477d19e5cd7913c6d6ae1b1"
    assert DIGESTS.fingerprint(PLAIN, True) == 0x3C91626DA3AC010A
    assert Digests().key_digest(PLAIN) == Digests(bytes(16)).key_digest(PLAIN)


def test_another_secret_gives_other_digests() -> None:
    assert Digests(b"another secret..").key_digest(PLAIN) != DIGESTS.key_digest(PLAIN)
    assert Digests(b"another secret..").fingerprint(PLAIN, True) != DIGESTS.fingerprint(PLAIN, True)
    with pytest.raises(ValueError, match="expected a secret of 16 bytes, received 3"):
        Digests(b"abc")


# --- what counts ------------------------------------------------------------------------------------------------------


def test_the_key_is_made_of_six_fields_and_no_others() -> None:
    for field in KEY_FIELDS:
        assert DIGESTS.key_digest(changed({field: "other"})) != DIGESTS.key_digest(PLAIN)
    for field, value in OTHERS.items():
        assert DIGESTS.key_digest(changed({field: value})) == DIGESTS.key_digest(PLAIN)


def test_every_payload_field_changes_the_fingerprint_and_the_clocks_do_not() -> None:
    assert {*KEY_FIELDS, *OTHERS, "sent_at", "received_at"} == {*Trade._fields}
    others = [changed({field: "other"}) for field in KEY_FIELDS]
    others += [changed({field: value}) for field, value in OTHERS.items()]
    prints = {DIGESTS.fingerprint(trade, True) for trade in (PLAIN, *others)}
    assert len(prints) == 1 + len(others)
    for field in ("sent_at", "received_at"):
        assert DIGESTS.fingerprint(changed({field: 5}), True) == DIGESTS.fingerprint(PLAIN, True)


def test_a_timestamp_that_was_not_sent_does_not_count() -> None:
    resent = PLAIN._replace(timestamp=NOW + 1, received_at=NOW + 1)
    assert DIGESTS.fingerprint(PLAIN, False) == DIGESTS.fingerprint(resent, False)
    assert DIGESTS.fingerprint(PLAIN, True) != DIGESTS.fingerprint(PLAIN, False)


def test_texts_that_only_meet_at_another_place_are_another_key() -> None:
    one, other = PLAIN._replace(account="ab", order_id="c"), PLAIN._replace(account="a", order_id="bc")
    assert DIGESTS.key_digest(one) != DIGESTS.key_digest(other)
    assert DIGESTS.fingerprint(PLAIN._replace(strategy="ab"), True) != DIGESTS.fingerprint(
        PLAIN._replace(strategy="a", source="b"), True
    )


def test_a_fee_of_zero_is_another_payload_than_no_fee() -> None:
    assert DIGESTS.fingerprint(PLAIN._replace(fee=0, fee_scale=0), True) != DIGESTS.fingerprint(PLAIN, True)


# --- many at once -----------------------------------------------------------------------------------------------------


def same_keys(rows: list[Trade], given_stamps: list[bool]) -> Keys:
    """The keys of the rows, after they were seen to be the same as those of columns."""
    one = DIGESTS.keys_of_trades(rows, given_stamps)
    other = DIGESTS.keys_of_columns(from_trades(rows), np.array(given_stamps))
    assert one.given.tolist() == other.given.tolist() == [row.trade_id != "" for row in rows]
    assert one.digests.tolist() == other.digests.tolist()
    assert one.fingerprints.tolist() == other.fingerprints.tolist()
    return one


@settings(deadline=None)
@given(st.lists(trades(), min_size=1, max_size=20), long_texts)
def test_rows_and_columns_give_the_same_keys(rows: list[Trade], text: str) -> None:
    rows[0] = rows[0]._replace(source=text)
    given_stamps = [row.price % 2 == 0 for row in rows]
    keys = same_keys(rows, given_stamps)
    for index, row in enumerate(rows):
        if row.trade_id:
            assert keys.digests[index].tobytes() == DIGESTS.key_digest(row)
            assert int(keys.fingerprints[index]) == DIGESTS.fingerprint(row, given_stamps[index])
        else:
            assert keys.digests[index].tolist() == [0, 0]


def test_ten_thousand_keys_are_the_same_one_by_one_and_no_two_are_equal() -> None:
    rows = [PLAIN._replace(trade_id=str(number)) for number in range(10_000)]
    keys = same_keys(rows, [True] * 10_000)
    assert len(set(map(tuple, keys.digests.tolist()))) == 10_000
    assert len(set(keys.fingerprints.tolist())) == 10_000


def test_short_keys_that_differ_little_spread_over_all_bits() -> None:
    rows = [PLAIN._replace(trade_id=f"t-{number:012d}") for number in range(4096)]
    bits = np.unpackbits(DIGESTS.keys_of_trades(rows, [True] * 4096).digests.view(np.uint8), axis=1)
    share = bits.mean(axis=0)
    assert (share > 0.3).all()
    assert (share < 0.7).all()


def test_keys_of_parts_are_joined_in_order() -> None:
    joined = join_keys([no_keys(2), DIGESTS.keys_of_trades([PLAIN], [True])])
    assert joined.given.tolist() == [False, False, True]
    assert joined.digests[2].tobytes() == DIGESTS.key_digest(PLAIN)
