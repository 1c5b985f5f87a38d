"""Run every benchmark, keep what each printed in `results/`, and make the tables of both `README.md` from that.

    python benchmarks/run_all.py                   all of them; an hour
    python benchmarks/run_all.py vmf svi_step      these; the rows of the others stay
    python benchmarks/run_all.py --table           the table alone, from what is kept

Where CI is set the small problems run, and nothing is written. A benchmark that fails keeps its old result; the exit
code is 1 then.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from headlines import PREFIX, processor, versions

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PAGE, FRONT_PAGE = HERE / "README.md", HERE.parent / "README.md"
FRONT = ("time_to_mean", "certificate_cost", "svi_step", "bnn_sampling")
"""Whose ratios the front page shows."""
SHARED = {"devices", "headlines", "run_all"}
"""Modules beside the benchmarks that are none."""
TABLE, FRONT_TABLE = "table", "benchmark-table"
"""Names of the comments around the tables: ``<!-- table -->`` and ``<!-- /table -->``."""


@dataclass(frozen=True)
class Result:
    """What a benchmark printed, with the day and the machine.

    Attributes:
        name: Of the script, without its ending.
        date: The day it ran.
        machine: Processor and cores.
        lines: What it printed.
    """

    name: str
    date: str
    machine: str
    lines: tuple[str, ...]

    @property
    def headlines(self) -> list[tuple[str, ...]]:
        """(what was measured, peer, ratio) of each headline."""
        said = [line.removeprefix(PREFIX) for line in self.lines if line.startswith(PREFIX)]
        return [tuple(part.strip() for part in line.split("|")) for line in said]

    def text(self) -> str:
        """The file that is kept."""
        head = [f"$ python benchmarks/{self.name}.py", f"date: {self.date}", f"machine: {self.machine}", ""]
        return "\n".join([*head, *self.lines]) + "\n"

    @classmethod
    def read(cls, path: Path) -> Result:
        """A kept file."""
        _, date, machine, _, *lines = path.read_text(encoding="utf-8").splitlines()
        return cls(path.stem, date.removeprefix("date: "), machine.removeprefix("machine: "), tuple(lines))


def scripts() -> list[str]:
    """Names of all benchmarks."""
    return [path.stem for path in sorted(HERE.glob("*.py")) if path.stem not in SHARED]


def question(name: str) -> str:
    """The question a benchmark asks: its docstring up to the first question mark."""
    said = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    asked, mark, _ = " ".join(said.split("\n\n")[0].split()).partition("?")
    if not mark:
        raise ValueError(f"expected a question in the first paragraph of benchmarks/{name}.py, got {asked!r}")
    return f"{asked}?"


def run(name: str) -> Result | None:
    """Run one benchmark, showing what it prints; None where it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"== {name}: {question(name)}", flush=True)
    command = [sys.executable, str(HERE / f"{name}.py")]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    if process.returncode != 0:
        print(f"== {name} FAILED", flush=True)
        return None
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Result(name, today, f"{processor()}; {versions('torch')}; load at the start {load:.1f}", tuple(lines))


def table(results: list[Result]) -> str:
    """The table of all that is kept, as Markdown."""
    kept = {result.name: result for result in results}
    rows = ["| benchmark | question | measured | peer | pyro_symvi is | machine | date |", "|" + "---|" * 7]
    for name in scripts():
        result = kept.get(name)
        told = result.headlines if result else []
        day = (result.machine.partition(";")[0], result.date) if result else ("-", "-")
        for number, (measured, peer, ratio) in enumerate(told or [("-", "-", "no timing" if result else "not run")]):
            head = (f"`{name}.py`", question(name)) if number == 0 else ("", "")
            rows.append("| " + " | ".join([*head, measured, peer, ratio, *(day if number == 0 else ("", ""))]) + " |")
    return "\n".join(rows)


def front_table(results: list[Result]) -> str:
    """The few rows of the front page."""
    kept = {result.name: result for result in results}
    rows = ["| measured | peer | pyro_symvi is |", "|---|---|---|"]
    for name in FRONT:
        rows += ["| " + " | ".join(told) + " |" for told in (kept[name].headlines if name in kept else [])]
    days = sorted({kept[name].date for name in FRONT if name in kept})
    machines = sorted({kept[name].machine.partition(";")[0] for name in FRONT if name in kept})
    return "\n".join([*rows, "", f"One thread of {' or '.join(machines)}; {' and '.join(days)}."])


def with_table(text: str, name: str, table: str) -> str:
    """A page with the table of that name made anew."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise ValueError(f"expected {begin} and {end} in the page, got a page without them")
    return f"{before}{begin}\n{table}\n{end}{after}"


def kept_results() -> list[Result]:
    """What is kept, in order of names."""
    return [Result.read(path) for path in sorted(RESULTS.glob("*.txt"))]


def main() -> int:
    """Run, keep, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *scripts()], help="these alone")
    parser.add_argument("--table", action="store_true", help="make the table from what is kept")
    options = parser.parse_args()
    failed = []
    for name in [] if options.table else options.names or scripts():
        result = run(name)
        if result is None:
            failed.append(name)
        elif not os.environ.get("CI"):
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{name}.txt").write_text(result.text(), encoding="utf-8")
    if not os.environ.get("CI"):
        kept = kept_results()
        for path, name, made in ((PAGE, TABLE, table(kept)), (FRONT_PAGE, FRONT_TABLE, front_table(kept))):
            path.write_text(with_table(path.read_text(encoding="utf-8"), name, made), encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
