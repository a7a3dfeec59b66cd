"""The shape of the source: which way imports run, who may use what, how long things get, and that the docs keep up."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.environment import GatewaySettings
from telemetry.environ import NAMES, Row, Settings, Up, describe
from ui.environment import UiSettings
from worker.environment import WorkerSettings

ROOT = Path(__file__).resolve().parents[1]
APPS = ("gateway", "worker", "ui")
PACKAGES = ("telemetry", *APPS)
MODULE_LINES, FUNCTION_LINES = 300, 40

# Layers of telemetry, top to bottom; what is not named is in the middle, with messages, statistics and tasks.
DOORS = set("__main__ cli commands client formats replay simulator audit supervisor child backbone".split())  # noqa: SIM905
FOUNDATION = {"errors", "decimals", "times", "trade"}

# These decide; sockets, files and clocks are in the loops around them, and `now` is an argument.
PURE = {
    "telemetry.trade",
    "telemetry.decimals",
    "telemetry.columns",
    "telemetry.decode",
    "telemetry.statistics",
    "telemetry.wire",
    "telemetry.backbone.dispatcher",
    "gateway.aggregator",
    "gateway.alerts",
    "worker.analysis",
    "ui.charts",
}
INPUT_OUTPUT = {"asyncio", "fastapi", "httpx", "socket", "sqlite3", "subprocess", "threading", "time", "zmq"}

# Libraries that stay behind one door: where they may be imported, as beginnings of module names.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "zmq": ("telemetry.backbone.",),
    "sqlite3": ("gateway.snapshot",),
    "duckdb": ("gateway.history",),
    "fastapi": ("gateway.routes", "gateway.answering.", "gateway.entrypoint"),
    "starlette": ("gateway.routes", "gateway.answering.", "gateway.entrypoint"),
    "streamlit": ("ui.",),
    "streamlit_shadcn_ui": ("ui.",),
    "prometheus_client": ("gateway.metrics", "gateway.exporting."),
}
ATTRACT_EVERYTHING = {"utils", "util", "helpers", "common", "base", "constants", "types", "misc", "models", "schemas"}
NEVER = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
NEVER_CALLED = {"eval", "exec", "recv_pyobj", "send_pyobj", "read_pickle", "to_pickle", "allow_pickle"}

# Written so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:wor[k]|roo[t]|hom[e]|User[s])/\w")
REGISTRY = re.compile(
    r"pypi[.]org|python[h]osted|npm[j]s|deb[.]debian|index[-]url|find[-]links|(?<!\w)registry ?= ?[\"']?https?:"
)


class Module(NamedTuple):
    """One parsed file; `imports` has the full names of modules, of this project also those imported by `from`."""

    name: str
    path: Path
    tree: ast.Module
    imports: frozenset[str]

    def __repr__(self) -> str:
        return self.name


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(tree: ast.Module, known: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & known
            yield from inside or {str(node.module)}


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    known = frozenset(map(_name, paths))
    trees = {path: ast.parse(path.read_text("utf-8"), str(path)) for path in paths}
    return tuple(Module(_name(path), path, tree, frozenset(_imports(tree, known))) for path, tree in trees.items())


def product() -> tuple[Module, ...]:
    return modules(*PACKAGES)


def layer(module: str) -> int:
    """0 at the top."""
    top, *rest = module.split(".")
    if top in APPS:
        return 0
    noun = rest[0] if rest else ""
    return 1 if noun in DOORS else 3 if noun in FOUNDATION else 2


@cache
def reached(name: str) -> frozenset[str]:
    """The module and all of this project that it imports, directly or not."""
    by_name = {module.name: module for module in product()}
    seen: set[str] = set()
    todo = [name]
    while todo:
        current = todo.pop()
        if current in by_name and current not in seen:
            seen.add(current)
            todo.extend(by_name[current].imports)
    return frozenset(seen)


def test_imports_only_run_downward_and_apps_never_import_one_another() -> None:
    wrong = [
        f"{module.name} imports {name}"
        for module in product()
        for name in module.imports
        if name.split(".")[0] in PACKAGES
        and (
            layer(name) < layer(module.name)
            or (name.split(".")[0] in APPS and name.split(".")[0] != module.name.split(".")[0])
        )
    ]
    assert "\n".join(wrong) == ""


def test_pure_modules_reach_no_input_or_output_not_even_through_others() -> None:
    by_name = {module.name: module for module in product()}
    wrong = [
        f"{pure} reaches {library} through {name}"
        for pure in sorted(PURE & by_name.keys())
        for name in sorted(reached(pure))
        for library in sorted({imported.split(".")[0] for imported in by_name[name].imports} & INPUT_OUTPUT)
    ]
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_stays_behind_its_one_door(library: str) -> None:
    wrong = [
        module.name
        for module in product()
        if any(name.split(".")[0] == library for name in module.imports)
        and not f"{module.name}.".startswith(ONLY_IN[library])
    ]
    assert "\n".join(wrong) == ""


def test_modules_and_functions_stay_short() -> None:
    code = modules(*PACKAGES, "benchmarks")
    lines = {module.name: len(module.path.read_text("utf-8").splitlines()) for module in code}
    long = [f"{name}: {count} lines" for name, count in lines.items() if count > MODULE_LINES]
    for module in code:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                if count > FUNCTION_LINES:
                    long.append(f"{module.name}.{node.name}: {count} lines")
    assert "\n".join(long) == ""


def test_no_module_has_a_name_that_attracts_everything() -> None:
    everything = modules(*PACKAGES, "benchmarks", "tests")
    assert [module.name for module in everything if module.path.stem in ATTRACT_EVERYTHING] == []


def test_nothing_is_unpickled_or_evaluated() -> None:
    wrong = []
    for module in modules(*PACKAGES, "benchmarks"):
        wrong += [f"{module.name} imports {name}" for name in module.imports & NEVER]
        for node in ast.walk(module.tree):
            used = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
            if used in NEVER_CALLED:
                wrong.append(f"{module.name}:{getattr(node, 'lineno', 0)} uses {used}")
    assert "\n".join(wrong) == ""


@cache
def tracked_files() -> dict[str, bytes]:
    """The files that git tracks or would track, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git repository")
    paths = {name: ROOT / name for name in filter(None, listed.stdout.decode().split("\0"))}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def tracked_texts() -> dict[str, str]:
    """Those that are text."""
    return {name: content.decode("utf-8") for name, content in tracked_files().items() if b"\0" not in content}


def test_pictures_of_the_docs_are_the_only_tracked_files_that_are_no_text() -> None:
    others = tracked_files().keys() - tracked_texts().keys()
    assert {name for name in others if not re.fullmatch(r"docs/images/\w+\.png", name)} == set()


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY], ids=["machine path", "registry"])
def test_no_tracked_file_names_a_path_of_a_machine_or_a_registry(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in tracked_texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert "\n".join(found) == ""


def test_no_test_sleeps_to_wait_for_something() -> None:
    """A sleep that is not synchronisation (a slow client, say) gives its reason on its line: `# sleeps: …`."""
    found, marked = [], 0
    for module in modules("tests"):
        lines = module.path.read_text("utf-8").splitlines()
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or getattr(node.func, "attr", getattr(node.func, "id", "")) != "sleep":
                continue
            if node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0:
                continue  # lets other tasks run, waits for nothing
            if "# sleeps: " in lines[node.lineno - 1]:
                marked += 1
            else:
                found.append(f"{module.name}:{node.lineno}")
    assert "\n".join(found) == ""
    assert marked <= 12


def test_no_test_replaces_code() -> None:
    wrong = []
    for module in modules("tests"):
        wrong += [module.name for name in module.imports if name.split(".")[0] == "mock" or name == "unittest.mock"]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and node.attr == "setattr":
                wrong.append(f"{module.name}:{node.lineno}")
    assert "\n".join(wrong) == ""


READERS: dict[str, type[Settings]] = {
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "page": UiSettings,
    "up": Up,
}


def settings_table() -> str:
    """The table of docs/settings.md."""
    rows: dict[str, tuple[Row, list[str]]] = {}
    for reader, settings_class in READERS.items():
        for row in describe(settings_class):
            rows.setdefault(row.name, (row, []))[1].append(reader)
    lines = ["| setting | default | what it does | expected | read by |", "|---|---|---|---|---|"]
    for name, (row, readers) in sorted(rows.items()):
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| `{name}` | {default} | {row.description} | {row.expected} | {', '.join(readers)} |")
    return "\n".join(lines)


def test_every_setting_is_in_the_docs_as_the_code_has_it() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert sorted(name for name in NAMES if f"`{name}`" not in text) == []
    assert settings_table() in text


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = (ROOT / ".ci" / "run").read_text("utf-8").rstrip().splitlines()[-1]
    readme = (ROOT / "README.md").read_text("utf-8")
    assert command in readme
    assert "pip install uv && uv run telemetry demo" in readme
