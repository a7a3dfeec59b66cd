"""The page's settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from telemetry.environ import Page, Reaching, base_url, setting


class UiSettings(Reaching, Page):
    """What the page reads: where it listens, and how it reaches the gateway."""

    public_url: Annotated[str, AfterValidator(lambda url: url and base_url(url))] = setting(
        "",
        "The gateway's address as the viewers' browsers reach it, for the live tape; TELEMETRY_URL when not given",
        "an http:// or https:// address without credentials",
    )

    @property
    def stream_url(self) -> str:
        """The live stream, as a browser reaches it."""
        return f"ws{(self.public_url or self.url).removeprefix('http')}/v1/stream"
