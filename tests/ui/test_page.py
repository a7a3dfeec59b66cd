"""The page as Streamlit runs it, without a browser: every state is whole, and what others wrote stays text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.ui.rows import row
from tests.ui.scripted_stream import ScriptedStream, until
from ui import facts
from ui.entrypoint import desk
from ui.filters import Filters

HOSTILE = "![x](http://example.invalid/x.png) <img src=x onerror=alert(1)>"


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedStream]:
    """A gateway's stream, and a page that is new to it."""
    with ScriptedStream() as stream:
        monkeypatch.setenv("TELEMETRY_URL", stream.url)
        st.cache_resource.clear()
        yield stream
        desk().close()
    st.cache_resource.clear()


def run(page: AppTest) -> AppTest:
    page.run(timeout=60)
    assert not page.exception
    return page


def overview() -> None:
    from ui.screens.overview import page

    page()


def ticket() -> None:
    from ui.screens.ticket import page

    page()


def symbol() -> None:
    from ui.screens.symbol import page

    page()


def live_page(content: Callable[[], None] = overview) -> AppTest:
    page = run(AppTest.from_function(content))
    until(lambda: desk().feed.view().status.phase == "live")
    return run(page)


def shown(page: AppTest) -> str:
    """What the components were given."""
    return json.dumps(
        [json.loads(found.proto.json or "{}") for found in page.get("bidi_component")], ensure_ascii=False
    )


def test_without_trades_the_page_says_how_to_send_the_first_one(stream: ScriptedStream) -> None:
    page = live_page()
    assert "No trades yet" in shown(page)
    assert f"curl {stream.url}/v1/trades" in page.code[0].value


def test_figures_and_table_are_there_and_say_as_of_which_trade(stream: ScriptedStream) -> None:
    stream.symbols, stream.seq = {"BTC-USDT": row()}, 1234
    words = shown(live_page())
    assert '"seq": 1234' in words
    assert "64,250.10" in words


def test_words_of_others_never_reach_an_element_that_reads_markdown_or_html(stream: ScriptedStream) -> None:
    stream.symbols = {HOSTILE: row(currency=HOSTILE)}
    page = live_page()
    assert "onerror" in shown(page)
    elements: list[Any] = [*page.markdown, *page.caption, *page.title, *page.header, *page.subheader, *page.error]
    assert [element.value for element in elements if "onerror" in str(element.value)] == []


def test_when_the_gateway_is_away_the_page_says_since_when_and_keeps_the_figures(stream: ScriptedStream) -> None:
    stream.symbols = {"BTC-USDT": row()}
    page = live_page()
    stream.__exit__()
    until(lambda: desk().feed.view().status.phase == "away")
    words = shown(run(page))
    assert "The gateway is away since " in words
    assert "64,250.10" in words


def test_the_ticket_completes_known_symbols_and_says_that_it_sends_no_order(stream: ScriptedStream) -> None:
    stream.symbols = {"BTC-USDT": row(), HOSTILE: row()}
    words = shown(live_page(ticket))
    assert f'"symbols": ["{HOSTILE}", "BTC-USDT"]' in words
    assert "It sends no order to a venue" in words


def test_the_page_of_a_symbol_shows_its_candles_and_every_figure_with_its_own_digits(stream: ScriptedStream) -> None:
    exact = "123456789012345678901234567890.000000000000000001"
    stream.symbols = {"BTC-USDT": row(notional=exact)}
    page = live_page(symbol)
    asked = facts.asks("BTC-USDT", Filters())
    until(lambda: all(desk().feed.want(*asked).part(ask).started for ask in asked))
    words = shown(run(page))
    assert exact in words
    assert "64,250.10" in words
    assert page.query_params["symbol"] == "BTC-USDT"


def test_without_trades_the_page_of_a_symbol_says_how_to_send_one(stream: ScriptedStream) -> None:
    assert "No trades yet" in shown(live_page(symbol))
