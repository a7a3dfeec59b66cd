"""The file with the alert rules: where it is, when it was read, and what was wrong with it the last time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.alerting.rule_kinds import Rule
from gateway.alerting.rules import read_rules
from telemetry.errors import InvalidInput
from telemetry.times import format_time

DEFAULT = Path(__file__).parents[1] / "default_rules.toml"
MAX_BYTES = 1 << 20


class RuleFile:
    """`path` None is the default rules."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.errors: list[dict[str, Any]] = []
        self._loaded_at = 0

    def read(self, wall_ns: int) -> tuple[Rule, ...]:
        """The rules. Raises InvalidInput with every error and its line; `errors` has them until the next reading."""
        name = f"TELEMETRY_RULES {self.path}" if self.path else "default rules"
        try:
            rules = read_rules(_text(self.path or DEFAULT))
        except InvalidInput as error:
            self.errors = [dict(each) for each in error.errors]
            raise InvalidInput(f"{name}: {error.detail}", errors=self.errors) from None
        self.errors, self._loaded_at = [], wall_ns
        return rules

    def row(self) -> dict[str, Any]:
        """As `GET /v1/alerts` shows it."""
        return {
            "path": str(self.path) if self.path else None,
            "loaded_at": format_time(self._loaded_at),
            "errors": self.errors,
        }


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _refused(f"expected at most {MAX_BYTES} bytes, received more")
        return content.decode()
    except OSError as error:
        raise _refused(f"expected a file that can be read, received {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _refused(f"expected UTF-8, received another byte at {error.start}", line) from None


def _refused(detail: str, line: int = 1) -> InvalidInput:
    fault = {"line": line, "rule": "", "field": "", "detail": detail}
    return InvalidInput(f"line {line}: {detail}", errors=[fault])
