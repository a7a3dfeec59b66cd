"""Puts measured results into docs/performance.md, so that no number there was ever typed.

    telemetry bench --json > results.json
    python -m benchmarks.page results.json

Several files are taken together; of a benchmark that is in more than one the last counts.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.catalogue import Results
from benchmarks.figure import Figure
from benchmarks.processes import ROOT
from benchmarks.table import bound, number

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- {name}: made by benchmarks/page.py -->", "<!-- end of {name} -->"
PROFILE = "hops"
VERDICTS = {"aim": "reached", "ok": "met", "SHORT": "**short**", "skipped": "not measured", "": ""}


def machine(results: Results) -> str:
    """Where and how the numbers came about."""
    of = results.machine
    mode = "quick mode" if results.quick else "full mode"
    return (
        f"Measured {of.at[:10]} on {of.processor}, {of.cores} cores, Linux {of.kernel}, Python {of.python}; {mode}, "
        f"{results.rounds} rounds, load average before {of.load_before:g}."
    )


def figures_table(figures: Mapping[str, Sequence[Figure]]) -> str:
    """All figures with a bound or a comparison."""
    lines = ["| figure | median | lowest – highest | required | aim | |", "|---|---|---|---|---|---|"]
    lines += [_line(figure) for name, group in figures.items() if name != PROFILE for figure in group]
    return "\n".join(lines)


def values_table(figures: Mapping[str, Sequence[Figure]]) -> str:
    """The absolute values behind the figures, for reading: medians."""
    lines = ["| of | value | median |", "|---|---|---|"]
    for name, group in figures.items():
        for figure in group if name != PROFILE else ():
            rows = figure.values.items()
            lines += [f"| {_cell(figure.name)} | {_cell(label)} | {_median(values)} |" for label, values in rows]
    return "\n".join(lines)


def profile_table(figures: Mapping[str, Sequence[Figure]]) -> str:
    """CPU ns per trade by hop, a column per shape of body."""
    shapes = list(figures.get(PROFILE, ()))
    if not shapes:
        return "Not measured yet."
    heads = [figure.name.removeprefix("all hops, ") for figure in shapes]
    lines = [f"| hop, CPU ns per trade | {' | '.join(heads)} |", "|---" * (len(shapes) + 1) + "|"]
    hops = shapes[0].values
    lines += [f"| {hop} | {' | '.join(_median(figure.values[hop]) for figure in shapes)} |" for hop in hops]
    lines.append(f"| all | {' | '.join(number(figure.median) for figure in shapes)} |")
    return "\n".join(lines)


def render(text: str, every: Sequence[Results]) -> str:
    """The page with the results in the places that are marked for them."""
    figures: dict[str, Sequence[Figure]] = {}
    for results in every:
        figures |= results.figures
    parts = {
        "machine": "\n".join(dict.fromkeys(map(machine, every))),
        "figures": figures_table(figures),
        "values": values_table(figures),
        "profile": profile_table(figures),
    }
    for name, part in parts.items():
        before, begin, rest = text.partition(BEGIN.format(name=name))
        _, end, after = rest.partition(END.format(name=name))
        if not begin or not end:
            raise ValueError(f"expected the marks of {name} in the page, received a page without them")
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def _line(figure: Figure) -> str:
    if figure.measured:
        median, spread = number(figure.median, figure.unit), f"{number(min(figure.measured))} – "
        spread += number(max(figure.measured))
    else:
        median, spread = "", _cell(figure.skipped)
    cells = [_cell(figure.name), median, spread, bound(figure, figure.required), bound(figure, figure.aim)]
    return f"| {' | '.join(cells)} | {VERDICTS[figure.verdict]} |"


def _median(values: Sequence[float]) -> str:
    return number(statistics.median(values)) if values else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main() -> None:
    every = [msgspec.json.decode(Path(name).read_bytes(), type=Results) for name in sys.argv[1:]]
    if not every:
        sys.exit("expected files that `telemetry bench --json` has written, received none")
    PAGE.write_text(render(PAGE.read_text("utf-8"), every), "utf-8")


if __name__ == "__main__":
    main()
