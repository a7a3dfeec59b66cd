"""Commands that run the product's services; apps are imported by name, because this package never depends on one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from telemetry.environ import Reaching, Settings, Storage, Up, describe, read_settings

SETTINGS = {"gateway": "GatewaySettings", "worker": "WorkerSettings", "ui": "UiSettings"}


def up(given: Mapping[str, Any], *, page: bool) -> int:
    """Everything, until a signal; the exit code."""
    from telemetry import supervisor

    return supervisor.up(read_settings(Up, **given), page=page)


def demo(given: Mapping[str, Any], *, page: bool) -> int:
    """Everything with a simulated market on a fresh directory; the exit code."""
    from telemetry import supervisor

    return supervisor.demo(read_settings(Up, **given), page=page)


def run(service: str) -> int:
    """One service in this process; the exit code."""
    code = import_module(f"{service}.entrypoint").main()
    return code if isinstance(code, int) else 0


def settings_help(service: str) -> str:
    """The settings that a service reads, as lines for its help."""
    lines = ["Settings (environment variables)\n"]
    for row in describe(settings_of(service)):
        if row.description.startswith("Internal"):
            continue
        default = f" [{row.default}]" if row.default else ""
        lines.append(f"  {row.name}{default}\n      {row.description}\n      expected {row.expected}\n")
    return "".join(lines) + "\n"


def settings_of(service: str) -> type[Settings]:
    """The settings class of an app."""
    found: type[Settings] = getattr(import_module(f"{service}.environment"), SETTINGS[service])
    return found


def audit(data: Path | None, *, url: str | None, as_json: bool) -> int:
    """Compare the statistics with a recompute of the journal; the exit code."""
    storage, reaching = read_settings(Storage, data=data), read_settings(Reaching, url=url)
    key = reaching.api_key.get_secret_value() if reaching.api_key else None
    code = import_module("telemetry.audit").run(storage.data, url=reaching.url, api_key=key, as_json=as_json)
    return int(code)
