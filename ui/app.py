"""The page: a bar of pages, the strip with the state of everything, and the page that is asked for.

Streamlit runs this file for each viewer. What is live runs on its own (fragments), at the pace of the viewer.
Symbols, reasons and the gateway's words are text that others wrote: they go through `note`, shadcn's elements or
code blocks, never through anything that reads Markdown or HTML.
"""

from __future__ import annotations

import streamlit as st

from ui import hearing, places, strip

# What Streamlit has no option for: less empty space, and a strip that stays in sight.
_LAYOUT = """<style>
.stMainBlockContainer { padding: 3.2rem 2rem 2rem; max-width: none; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.75rem; }
.stAppHeader { height: 3rem; min-height: 3rem; }
[data-testid="stLayoutWrapper"]:has(> .st-key-strip-holder) {
  position: sticky; top: 3rem; z-index: 90;
}
@media (max-width: 640px) { .stMainBlockContainer { padding: 3.2rem 0.75rem 2rem; } }
</style>"""


def page() -> None:
    """Everything."""
    st.set_page_config(page_title=strip.TITLE, layout="wide", initial_sidebar_state="collapsed")
    st.html(_LAYOUT)
    wanted = places.navigation()
    strip.strip(wanted.title)
    wanted.run()
    hearing.server.wait()


if __name__ == "__main__":
    page()
