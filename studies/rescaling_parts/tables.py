"""The numbers of the cells, and the report in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .intervals import Numbers, Paired, chosen_rates, epochs_to, holm, paired
from .learning import METHODS
from .tasks import MAIN, TASKS, WIDTHS, Task, chance

Found = Sequence[dict[str, Any]]
PAIRS = (("path", "none"), ("l2", "none"), ("path", "l2"))
ALIKE = 1.1
"""An interval of a ratio within 1 / ALIKE and ALIKE is called equal."""


@dataclass(frozen=True)
class Runs:
    """All runs of one task, init and method; arrays ``[seeds, rates]``.

    Attributes:
        option: what was asked for.
        curves: training losses ``[seeds, rates, blocks]``.
        block: epochs to a block.
        reach: epochs to the level of the task; the whole length where it is not reached.
        reached: whether it is.
        final: training loss, mean of the last tenth; at most that of chance, which also stands for nan.
        test_loss: at the end; nan where training diverged.
        accuracy: on test samples at the end.
    """

    task: Task
    option: dict[str, Any]
    curves: Numbers
    block: float
    reach: Numbers
    reached: Numbers
    final: Numbers
    test_loss: Numbers
    accuracy: Numbers
    objective: Numbers

    @property
    def rates(self) -> list[float]:
        return list(self.option["rates"])

    @property
    def small(self) -> int:
        """Index of the small step."""
        return self.rates.index(self.task.small)

    def at(self, values: Numbers, scores: Numbers) -> Numbers:
        """Values ``[seeds, rates, ...]`` of each seed at the rate with the lowest mean score on the other seeds."""
        return values[np.arange(len(values)), chosen_rates(scores)]


def runs(cell: dict[str, Any]) -> Runs:
    """A cell as arrays."""
    task, option = TASKS[cell["option"]["task"]], cell["option"]
    curves = np.array(cell["losses"], dtype=np.float64)
    block, length = cell["block_epochs"], float(option["epochs"])
    reach = np.array([[epochs_to(curve, task.level, block) for curve in seed] for seed in curves])
    final = curves[..., -max(1, curves.shape[-1] // 10) :].mean(-1)
    final = np.clip(np.where(np.isfinite(final), final, np.inf), 1e-12, chance(task))
    return Runs(
        task, option, curves, block, np.minimum(reach, length), np.isfinite(reach), final,
        np.array(cell["test_loss"]), np.array(cell["accuracy"]), np.array(cell["objective"]),
    )  # fmt: skip


def by_name(found: Found) -> dict[tuple[str, str, str], Runs]:
    """Cells by task, init and method."""
    return {(c["option"]["task"], c["option"]["init"], c["option"]["method"]): runs(c) for c in found}


def best_rate(one: Runs, other: Runs) -> Paired:
    """Log epochs to the level, each method at its own best rate."""
    return paired(np.log(one.at(one.reach, one.reach)), np.log(other.at(other.reach, other.reach)))


def arrivals(run: Runs) -> int:
    """Seeds that get to the level at their best rate."""
    return int(run.at(run.reached, run.reach).sum())


def small_step(one: Runs, other: Runs) -> Paired:
    """Log training loss at the end, both at the small step."""
    return paired(np.log(one.final[:, one.small]), np.log(other.final[:, other.small]))


def common_loss(one: Runs, other: Runs) -> Paired:
    """Log epochs at the small step to the larger of the two final losses of a seed, which both reach."""
    logs: list[list[float]] = [[], []]
    for a, b in zip(one.curves[:, one.small], other.curves[:, other.small], strict=True):
        level = max(a[-1], b[-1])
        for k, (curve, run) in enumerate(((a, one), (b, other))):
            logs[k].append(math.log(min(epochs_to(curve, level, run.block), len(curve) * run.block)))
    return paired(*logs)


MEASURES = {
    "epochs at best rate": best_rate,
    "loss at small step": small_step,
    "epochs at small step": common_loss,
}
PRIMARY = ("epochs at best rate", "loss at small step")


def report(found: Found) -> str:
    """The whole text, primary comparisons first."""
    all_runs = by_name(found)
    parts = [_primary(all_runs), _secondary(all_runs), _accuracy(all_runs), _orbits(all_runs, found)]
    parts += [_grid(all_runs, task, init) for task in TASKS.values() for init in task.inits]
    return "\n\n".join(part for part in parts if part)


def cases(all_runs: dict[tuple[str, str, str], Runs], tasks: Sequence[Task]) -> list[tuple[str, str]]:
    """Task and init of which there are all methods."""
    return [
        (task.name, init)
        for task in tasks
        for init in task.inits
        if all((task.name, init, method) in all_runs for method in METHODS)
    ]


def _primary(all_runs: dict[tuple[str, str, str], Runs]) -> str:
    rows = [
        (task, init, name, MEASURES[name](all_runs[task, init, "path"], all_runs[task, init, "none"]))
        for task, init in cases(all_runs, MAIN)
        for name in PRIMARY
    ]
    if not rows:
        return ""
    adjusted = holm([row[3].p for row in rows])
    lines = [
        f"PRIMARY: path against none, ratios (below 1: path is better), p adjusted for {len(rows)} comparisons (Holm)",
        f"{'task':8}{'init':9}{'measure':22}{_head()}  {'p':>7}  reading",
    ]
    for (task, init, name, found), p in zip(rows, adjusted, strict=True):
        words = _reading(found, p)
        if name == "epochs at best rate":
            counts = [arrivals(all_runs[task, init, method]) for method in ("path", "none")]
            if min(counts) < found.seeds:
                words = f"{counts[0]} and {counts[1]} of {found.seeds} get there" + f": {words}" * any(counts)
        lines.append(f"{task:8}{init:9}{name:22}{_numbers(found)}  {p:7.4f}  {words}")
    better = sum(p < 0.05 and row[3].mean < 0 for row, p in zip(rows, adjusted, strict=True))
    worse = sum(p < 0.05 and row[3].mean > 0 for row, p in zip(rows, adjusted, strict=True))
    lines.append(f"path better in {better}, worse in {worse}, no difference shown in {len(rows) - better - worse}")
    return "\n".join(lines)


def _secondary(all_runs: dict[tuple[str, str, str], Runs]) -> str:
    lines = [
        "SECONDARY: ratios of the first method to the second, not adjusted for their number",
        f"{'task':11}{'init':9}{'methods':14}{'measure':22}{_head()}",
    ]
    for tasks in (MAIN, WIDTHS):
        for task, init in cases(all_runs, tasks):
            for one, other in PAIRS:
                for name, measure in MEASURES.items():
                    if tasks is MAIN and (one, other) == PAIRS[0] and name in PRIMARY:
                        continue
                    found = measure(all_runs[task, init, one], all_runs[task, init, other])
                    lines.append(f"{task:11}{init:9}{one + ' / ' + other:14}{name:22}{_numbers(found)}")
    return "\n".join(lines)


def _accuracy(all_runs: dict[tuple[str, str, str], Runs]) -> str:
    lines = [
        "TEST ACCURACY in %: none, and differences to it with 95 % Student intervals; rates as in the ratios",
        f"{'task':11}{'init':9}{'rate':7}{'none':>7}  {'l2 - none':>24}  {'path - none':>24}",
    ]
    for task, init in cases(all_runs, (*MAIN, *WIDTHS)):
        three = [all_runs[task, init, method] for method in METHODS]
        for rate in ("best", "small"):
            values = [100 * (r.at(r.accuracy, r.reach) if rate == "best" else r.accuracy[:, r.small]) for r in three]
            words = [f"{values[0].mean():7.2f}"]
            for other in values[1:]:
                d = paired(other, values[0])
                words.append(f"{d.mean:+8.2f} [{d.student[0]:+.2f}, {d.student[1]:+.2f}]".rjust(24))
            lines.append(f"{task:11}{init:9}{rate:7}{'  '.join(words)}")
    return "\n".join(lines)


def _orbits(all_runs: dict[tuple[str, str, str], Runs], found: Found) -> str:
    lines = [
        "ORBITS: F / n of the path criterion at the start (mean over seeds; 0 where all path weights are equal)",
        f"{'task':11}{'init':9}{'parameters':>10}{'none':>9}{'l2':>9}{'path':>9}  "
        f"{'largest |z|: l2, path':>22}  {'change of outputs':>17}  {'residual':>8}  {'CPU s: l2, path':>16}",
    ]
    cells = {(c["option"]["task"], c["option"]["init"], c["option"]["method"]): c for c in found}
    for task, init in cases(all_runs, (*MAIN, *WIDTHS)):
        three = [cells[task, init, method] for method in METHODS]
        means = "".join(f"{np.mean(c['objective']):9.4f}" for c in three)
        largest = ", ".join(f"{max(c['largest']):.1f}" for c in three[1:])
        seconds = ", ".join(f"{np.median(c['seconds']):.3f}" for c in three[1:])
        change, residual = (max(max(c[name]) for c in three[1:]) for name in ("change", "residual"))
        lines.append(
            f"{task:11}{init:9}{three[0]['parameters']:10d}{means}  "
            f"{largest:>22}  {change:17.1e}  {residual:8.1e}  {seconds:>16}"
        )
    return "\n".join(lines)


def _grid(all_runs: dict[tuple[str, str, str], Runs], task: Task, init: str) -> str:
    three = [all_runs[task.name, init, m] for m in METHODS if (task.name, init, m) in all_runs]
    if not three:
        return ""
    lines = [
        f"GRID {task.name}, {init}: {task.title}; {three[0].option['epochs']} epochs, batch {task.batch}",
        f"mean epochs to a training loss of {task.level} (runs that reach it) | "
        "training loss at the end, geometric mean | test accuracy in %",
        f"{'rate':>6}  " + " | ".join("".join(f"{r.option['method']:>13}" for r in three) for _ in range(3)),
    ]
    for k, rate in enumerate(three[0].rates):
        reach = "".join(f"{r.reach[:, k].mean():8.1f} ({int(r.reached[:, k].sum()):2d})" for r in three)
        final = "".join(f"{np.exp(np.log(r.final[:, k]).mean()):13.5f}" for r in three)
        accuracy = "".join(f"{100 * r.accuracy[:, k].mean():13.2f}" for r in three)
        lines.append(f"{rate:6g}  {reach} | {final} | {accuracy}")
    return "\n".join(lines)


def _head() -> str:
    return f"{'ratio':>6}  {'95 % Student':>14}  {'95 % bootstrap':>14}"


def _numbers(found: Paired) -> str:
    ratio, student, bootstrap = found.ratio()
    return f"{ratio:6.3f}  [{student[0]:.3f}, {student[1]:.3f}]  [{bootstrap[0]:.3f}, {bootstrap[1]:.3f}]"


def _reading(found: Paired, p: float) -> str:
    if p < 0.05:
        return "path better" if found.mean < 0 else "path worse"
    low, high = found.ratio()[1]
    return f"equal within {ALIKE - 1:.0%}" if 1 / ALIKE < low and high < ALIKE else "no difference shown"
