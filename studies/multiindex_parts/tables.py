"""Tables of the study: bounds, errors and overlaps by start, paired differences, curvature along the ratios."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from multiindex_parts.starts import STARTS
from rescaling_parts.intervals import Numbers, Paired, holm, paired
from scipy import stats

Found = dict[tuple[str, int, float], dict[str, Any]]
"""Cells by activation, dimension and ratio."""
PRIMARY = (
    ("b4", 6.0, "broken", "tied", "below both thresholds: more ELBO without a better prediction?"),
    ("b4", 16.0, "informed", "spectral", "between the thresholds: is there an optimum that is not found?"),
    ("b4", 63.0, "spectral", "tied", "three times the algorithmic threshold"),
    ("abs", 12.0, "spectral", "tied", "above both thresholds"),
    ("relu", 16.0, "spectral", "tied", "above the threshold of specialisation"),
)
PAIRS = (
    ("tied", "centred"),
    ("random", "tied"),
    ("spectral", "tied"),
    ("spectral", "random"),
    ("informed", "spectral"),
)
LEARNT = 0.8
"""A guide with q_d above this has found the teacher."""


def by_name(cells: list[dict[str, Any]]) -> Found:
    return {tuple(one["option"][key] for key in ("activation", "dim", "ratio")): one for one in cells}  # type: ignore[misc]


def column(cell: dict[str, Any], start: str, what: str) -> Numbers:
    """One number a seed; ``"mixture"`` is the ELBO with the gain of the copies."""
    rows = cell["runs"][start]
    if what == "mixture":
        return np.array([row["elbo"] + row["gain"] for row in rows])
    return np.array([row[what] for row in rows])


def report(found: Found, known: dict[str, dict[str, float | None]]) -> str:
    lines = ["1. Guides", ""]
    lines += primary(found)
    for activation, dim in dict.fromkeys((name, dim) for name, dim, _ in found):
        lines += ["", f"{activation}, d = {dim}; thresholds in n/d (asymptotic): {threshold_words(known[activation])}"]
        for (name, size, ratio), cell in found.items():
            if (name, size) == (activation, dim):
                lines += block(cell, ratio)
    runs = [row for cell in found.values() for rows in cell["runs"].values() for row in rows]
    rises = np.array([row["rise"] for row in runs])
    most = f"median {np.median(rises):.1e}, 95 % below {np.quantile(rises, 0.95):.1e}, most {rises.max():.1e}"
    lines += ["", f"the last tenth of the steps adds to the ELBO per datum: {most}"]
    return "\n".join(lines)


def threshold_words(known: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {'not known' if value is None else f'{value:.3g}'}" for name, value in known.items())


def primary(found: Found) -> list[str]:
    """The comparisons that were named before the run, with p values adjusted for their number (Holm 1979)."""
    chosen: list[tuple[str, str, Paired]] = []
    for activation, ratio, one, other, why in PRIMARY:
        cell = next((c for (name, _, r), c in found.items() if (name, r) == (activation, ratio)), None)
        if cell is None:
            continue
        for what, title in (("mixture", "ELBO per datum"), ("error", "error")):
            words = f"{activation} at {ratio:g}, {one} - {other}: {title}"
            chosen.append((words, why, paired(column(cell, one, what), column(cell, other, what))))
    adjusted = holm([pair.p for _, _, pair in chosen])
    lines = ["primary comparisons, named beforehand: orbit mixtures, paired over seeds; p by Holm"]
    for index, (words, why, pair) in enumerate(chosen):
        lines += [f"  {why}"] if index % 2 == 0 else []
        lines.append(f"    {words} {difference(pair)}, p {adjusted[index]:.2g}")
    return lines


def difference(pair: Paired) -> str:
    (a, b), (c, d) = pair.student, pair.bootstrap
    return f"{pair.mean:+.4f}, 95 % t [{a:+.4f}, {b:+.4f}], bootstrap [{c:+.4f}, {d:+.4f}]"


def block(cell: dict[str, Any], ratio: float) -> list[str]:
    """One ratio: a row for each start, then differences."""
    lines = ["", f"  n/d = {ratio:g} ({cell['data']} data)",
             "    start     ELBO/n of one copy   of the mixture        predictive error      q_d            found  "
             "gain/log|G|  length"]  # fmt: skip
    for start in (s for s in STARTS if s in cell["runs"]):
        q = column(cell, start, "q")
        lines.append(
            f"    {start:9} {spread(column(cell, start, 'elbo')):20} {spread(column(cell, start, 'mixture')):20} "
            f"{spread(column(cell, start, 'error')):20} {spread(q, 2):15} {int((q > LEARNT).sum()):2d}/{len(q)}  "
            f"{column(cell, start, 'gain_part').mean():11.2f} {column(cell, start, 'length').mean():7.2f}"
        )
    for one, other in (pair for pair in PAIRS if set(pair) <= cell["runs"].keys()):
        for what, title in (("mixture", "ELBO"), ("error", "error")):
            pair = paired(column(cell, one, what), column(cell, other, what))
            lines.append(f"    {one} - {other}, {title}: {difference(pair)}")
    return lines


def spread(values: Numbers, digits: int = 4) -> str:
    """Mean and half of its 95 % Student interval."""
    return f"{values.mean():.{digits}f} +- {half(values):.{digits}f}"


def half(values: Numbers) -> float:
    return float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


Curves = dict[tuple[str, int, str], dict[str, Numbers]]
"""By activation, dimension and tied point: columns ``[seeds, ratios]``."""


def curves(cells: list[dict[str, Any]]) -> Curves:
    groups: dict[tuple[str, int, str], list[list[dict[str, float]]]] = {}
    for one in cells:
        for kind, rows in one["rows"].items():
            groups.setdefault((one["option"]["activation"], one["option"]["dim"], kind), []).append(rows)
    return {
        name: {key: np.array([[row[key] for row in rows] for rows in seeds], dtype=float) for key in seeds[0][0]}
        for name, seeds in groups.items()
    }


def flips(columns: dict[str, Numbers]) -> Numbers:
    """The n/d from which the lowest eigenvalue stays negative, linear in log n/d between two, one a seed; or nan."""
    result = []
    for ratios, values in zip(columns["ratio"], columns["lowest"], strict=True):
        above = np.flatnonzero(values > 0)
        k = int(above[-1]) if len(above) else -1
        if k < 0 or k + 1 == len(values):
            result.append(math.nan)
            continue
        part = values[k] / (values[k] - values[k + 1])
        result.append(math.exp(math.log(ratios[k]) + part * math.log(ratios[k + 1] / ratios[k])))
    return np.array(result)


def curvature_report(found: Curves, checks: list[dict[str, Any]], known: dict[str, dict[str, float | None]]) -> str:
    lines = [
        "",
        "2. Curvature at the fitted tied point: lowest eigenvalue of the Hessian of the loss in the standard",
        "representation, prior curvature = 1. centred: m = 0 (signed permutations), free: m fitted; overlap: squared",
        "length of the eigenvector's part in the teacher's span (of the differences of units, where not even)",
    ]
    for (activation, dim, kind), columns in found.items():
        where = flips(columns)
        seen = where[np.isfinite(where)]
        turn = f"{spread(seen, 3)} ({len(seen)} of {len(where)} seeds)" if len(seen) > 1 else "not in this range"
        algorithmic = known[activation]["algorithmic"]
        if len(seen) > 1 and algorithmic is not None:
            turn += f", {seen.mean() / algorithmic:.3f} of the algorithmic threshold"
        lines += ["", f"  {activation}, d = {dim}, {kind}: changes sign at n/d = {turn}; thresholds "
                  f"{threshold_words(known[activation])}",
                  "        n/d  lowest              predicted edge / outlier   overlap         chance  of scales  "
                  "|m|   d s^2"]  # fmt: skip
        for k, ratio in enumerate(columns["ratio"][0]):
            told = ""
            if "edge" in columns:
                out = columns["outlier"][:, k]
                some = np.isfinite(out)
                told = f"{columns['edge'][:, k].mean():8.2f} / "
                told += f"{out[some].mean():.2f} in {some.sum()} of {len(out)}" if some.any() else "none"
            lines.append(
                f"    {ratio:7.3f}  {spread(columns['lowest'][:, k], 2):18}  {told:26} "
                f"{spread(columns['overlap'][:, k], 3):15} {columns['chance'][0, k]:6.3f} "
                f"{columns['scales'][:, k].min():9.2f} {columns['length'][:, k].mean():6.2f} "
                f"{columns['variance'][:, k].mean():6.2f}"
            )
        lines.append(f"    largest slope of the bound per datum at these points: {columns['slope'].max():.1e}")
    lines += [
        "",
        "  against irrep_instability (Lanczos on Hessian-vector products), lowest eigenvalue of means and scales:",
    ]
    for one in checks:
        lines.append(f"    {one['option']['activation']}: {one['matrix']:.10f} and {one['lanczos']:.10f}; gradient in "
                     f"the standard part {one['gradient']:.1e}")  # fmt: skip
    return "\n".join(lines)
