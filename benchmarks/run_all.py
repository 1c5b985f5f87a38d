"""Run every benchmark, keep what each printed in `results/`, and make the table of `README.md` from that.

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
RESULTS, PAGE = HERE / "results", HERE / "README.md"
SHARED = {"devices", "headlines", "run_all"}
"""Modules beside the benchmarks that are none."""
BEGIN, END = "<!-- table -->", "<!-- /table -->"


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


def page(text: str, results: list[Result]) -> str:
    """The page with its table made anew."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"expected {BEGIN} and {END} in benchmarks/README.md, got a page without them")
    return f"{before}{BEGIN}\n{table(results)}\n{END}{after}"


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
        kept = [Result.read(path) for path in sorted(RESULTS.glob("*.txt"))]
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), kept), encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
