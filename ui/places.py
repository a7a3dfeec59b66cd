"""The pages and where they are: links carry their addresses, and every page is reached by its own."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import streamlit as st
from streamlit.navigation.page import Page

from ui.filters import carried

_GOING = "going"


class Place(NamedTuple):
    """Its title, and its name, which is its address too; its content is the function `page` of its module."""

    name: str
    title: str

    def page(self) -> Page:
        """The page as Streamlit has it."""
        # Here, because the modules import this one for their links. They are in no folder called `pages`: Streamlit
        # would take its files for pages of their own, as long as no viewer has been at the navigation below.
        content: Callable[[], None] = import_module(f"ui.screens.{self.name}").page
        default = self == PLACES["overview"]
        # No icon: Streamlit fetches the one of a tab from another host.
        return st.Page(content, title=self.title, url_path=self.name, default=default)


PLACES = {
    place.name: place
    for place in (
        Place("overview", "Overview"),
        Place("symbol", "Symbol"),
        Place("ticket", "Record a trade"),
        Place("alerts", "Alerts"),
        Place("pipeline", "Pipeline"),
    )
}


def navigation() -> Page:
    """The bar on top of every page; the page that is asked for. Goes first where `go` has said."""
    wanted = st.navigation([place.page() for place in PLACES.values()], position="top")
    if (going := st.session_state.pop(_GOING, None)) is not None:
        name, parameters = going
        st.switch_page(PLACES[name].page(), query_params=parameters)
    return wanted


def go(name: str, **parameters: Any) -> None:
    """Go to a page; the filters go along. Does not return.

    A page that is left from within a fragment, while others of its fragments are being drawn, would leave their output
    behind on the next page; so the whole script runs again first, and leaves.
    """
    st.session_state[_GOING] = name, carried() | parameters
    st.rerun(scope="app")
