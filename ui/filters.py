"""What a viewer chose to see: by venue, account, strategy and kind, kept in the address, so that it can be sent on.

The gateway keeps statistics by venue and kind: those filter every figure. Account and strategy are of single trades:
they choose among the trades that are listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import streamlit as st

KINDS = ("fill", "print")
NAMES = ("venue", "account", "strategy", "kind")
OF_TRADES = ("account", "strategy")  # which no statistics are kept by
_KEY = "filters"


class Filters(NamedTuple):
    """Empty is no filter."""

    venue: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    strategy: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """As people read it, empty without a filter."""
        given = [f"{name} {', '.join(values)}" for name, values in self._asdict().items() if values]
        return " · ".join(given)


def filters() -> Filters:
    """The viewer's filters: those of the address, else those of this session, which then stand in the address."""
    found = read({name: st.query_params.get_all(name) for name in NAMES})
    if not any(found):
        found = st.session_state.get(_KEY, Filters())
    _keep(found)
    return found


def read(given: Mapping[str, Sequence[str]]) -> Filters:
    """Filters of the parameters of an address; what is no kind is left out."""
    values = {name: tuple(dict.fromkeys(filter(None, given.get(name, ())))) for name in NAMES}
    values["kind"] = tuple(kind for kind in values["kind"] if kind in KINDS)
    return Filters(**values)


def carried() -> dict[str, list[str]]:
    """The parameters that go along to another page."""
    kept: Filters = st.session_state.get(_KEY, Filters())
    return {name: list(values) for name, values in kept._asdict().items() if values}


def choose(names: Sequence[str] = NAMES, *, known: Mapping[str, Sequence[str]] | None = None) -> Filters:
    """Widgets for these filters, beside one another; `known` are values to choose from, others can be typed."""
    chosen = filters()
    for name in names:
        _choose(name, getattr(chosen, name), (known or {}).get(name, ()))
    return chosen


def _choose(name: str, chosen: tuple[str, ...], known: Sequence[str]) -> None:
    key = f"filter {name}"
    options = list(dict.fromkeys([*(KINDS if name == "kind" else known), *chosen]))
    st.session_state[key] = list(chosen)
    of_trades = name in OF_TRADES
    st.multiselect(
        f"{name.capitalize()} of the trades listed" if of_trades else name.capitalize(),
        options,
        key=key,
        placeholder=f"Tape: every {name}" if of_trades else f"Every {name}",
        accept_new_options=name != "kind",
        label_visibility="collapsed",
        on_change=_changed,
        args=(name, key),
        width=172,  # two of them beside one another on a telephone
    )


def _changed(name: str, key: str) -> None:
    kept: Filters = st.session_state.get(_KEY, Filters())
    _keep(kept._replace(**{name: tuple(st.session_state[key])}))


def _keep(found: Filters) -> None:
    st.session_state[_KEY] = found
    for name, values in found._asdict().items():
        if values and st.query_params.get_all(name) != list(values):
            st.query_params[name] = list(values)
        elif not values and name in st.query_params:
            del st.query_params[name]
