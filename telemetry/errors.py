"""Three kinds of error, and the one place where each becomes an HTTP status and an exit code.

* :class:`InvalidInput`: your input is wrong. Sending the same thing again cannot help.
* :class:`TryAgain`: nothing is wrong with the input; the same request may succeed after ``retry_after`` seconds.
* :class:`Stop`: an invariant is broken or a device failed for good. The process must end and recover from disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# (HTTP status, title) by problem name. The name is the last part of the problem's `type` URI.
PROBLEMS: Mapping[str, tuple[int, str]] = {
    "not-parsable": (400, "The body cannot be parsed"),
    "bad-request": (400, "The request is not understood"),
    "forbidden": (403, "The request is not allowed"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "conflict": (409, "The key was used before with another payload"),
    "not-now": (409, "The state of things does not allow it"),
    "too-large": (413, "The body is too large"),
    "media-type": (415, "The media type is not supported"),
    "invalid": (422, "The input breaks a rule"),
    "too-many-requests": (429, "You are over your limit"),
    "internal": (500, "The server failed"),
    "unavailable": (503, "The service cannot do this now"),
}


class TelemetryError(Exception):
    """Base of the three kinds: `problem` names a row of PROBLEMS, `errors` lists details by index and field."""

    exit_code = 1

    def __init__(self, detail: str, *, problem: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problem = problem
        self.errors = list(errors)

    @property
    def status(self) -> int:
        """The HTTP status of this problem."""
        return PROBLEMS[self.problem][0]

    def body(self) -> dict[str, Any]:
        """The RFC 9457 problem document."""
        status, title = PROBLEMS[self.problem]
        document: dict[str, Any] = {
            "type": f"urn:trading-telemetry:problem:{self.problem}",
            "title": title,
            "status": status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        return document


class InvalidInput(TelemetryError):
    """What was sent is wrong; `detail` says what was expected and what was received."""

    exit_code = 2

    def __init__(self, detail: str, *, problem: str = "invalid", errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(detail, problem=problem, errors=errors)


class TryAgain(TelemetryError):
    """Nothing was kept, nothing is wrong with the input: the same may succeed after `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: float = 1.0, problem: str = "unavailable") -> None:
        super().__init__(detail, problem=problem)
        self.retry_after = retry_after


class Stop(TelemetryError):
    """A broken invariant or a failed device: acknowledge nothing more, end the process, recover from disk."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, problem="internal")
