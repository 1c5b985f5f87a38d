"""Tables and the picture of the study: paired differences of evidence lower bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bnn_parts import cells
from rescaling_parts.intervals import Numbers, Paired, chosen_rates, paired
from scipy import stats

Found = dict[tuple[str, str], dict[str, Any]]
FIXED = 0.003
PAIRS = (("l2", "none"), ("path", "none"), ("path", "l2"))


def by_name(found: list[dict[str, Any]]) -> Found:
    """Cells by init and method."""
    return {(one["option"]["init"], one["option"]["method"]): one for one in found}


def values(one: dict[str, Any], when: str) -> Numbers:
    """Likelihood term and KL per datum ``[seeds, rates, 2]``."""
    return np.array([[run[when] for run in runs] for runs in one["runs"]])


def elbo(one: dict[str, Any], when: str) -> Numbers:
    """ELBO per datum ``[seeds, rates]``."""
    both = values(one, when)
    result: Numbers = both[..., 0] - both[..., 1]
    return result


def picked(one: dict[str, Any], how: str) -> Numbers:
    """For each seed the index of a rate: the best on the other seeds, or the fixed one."""
    seeds = len(one["runs"])
    if how == "best":
        return chosen_rates(-elbo(one, "last"))
    return np.full(seeds, one["option"]["rates"].index(FIXED))


def at(table: Numbers, rates: Numbers) -> Numbers:
    """Entries of the rates picked, one a seed."""
    return table[np.arange(len(rates)), rates]


def report(found: Found) -> str:
    """All of it, as text."""
    lines = []
    inits = list(dict.fromkeys(init for init, _ in found))
    for init in inits:
        lines += [f"{init}", "", "  before training, per datum (nats)",
                  f"  {'start':6} {'ELBO':>9} {'likelihood':>11} {'KL':>8}"]  # fmt: skip
        for method in ("none", "l2", "path"):
            fit, kl = values(found[init, method], "first")[:, 0].mean(0)
            lines.append(f"  {method:6} {fit - kl:9.4f} {fit:11.4f} {kl:8.4f}")
        for how in ("best", "fixed"):
            title = "rate best on other seeds" if how == "best" else f"rate {FIXED}"
            lines += ["", f"  after training, {title}"]
            lines.append(f"  {'start':6} {'ELBO':>9} {'likelihood':>11} {'KL':>8} {'gain on orbit':>14}  rates")
            for method in ("none", "l2", "path"):
                one = found[init, method]
                rates = picked(one, how)
                fit, kl = at(values(one, "last"), rates).mean(0)
                gain = np.array([runs[r]["gain"] for runs, r in zip(one["runs"], rates, strict=True)])
                used = sorted({one["option"]["rates"][r] for r in rates})
                lines.append(
                    f"  {method:6} {fit - kl:9.4f} {fit:11.4f} {kl:8.4f} {gain.mean():14.4f}  "
                    + ", ".join(f"{rate:g}" for rate in used)
                )
            for one, other in PAIRS:
                difference = compare(found, init, one, other, how)
                lines.append(f"  {one} - {other}: " + words(difference))
                for part in ("likelihood", "KL"):
                    lines.append(f"    {part}: " + words(compare(found, init, one, other, how, part)))
                lines.append("    ELBO after moving both: " + words(compare(found, init, one, other, how, "moved")))
        lines.append("")
    runs = [run for one in found.values() for several in one["runs"] for run in several]
    worst = max(abs(run["moved"][0] - run["last"][0]) for run in runs)
    least = min(run["gain"] for run in runs)
    rise = max(abs(_elbo(run["moved"]) - _elbo(run["last"]) - run["gain"]) for run in runs)
    lines.append(
        f"moving to the best orbit point after training, all runs, per datum, in float32: least gain {least:.4f}; the "
        f"likelihood term changes by at most {worst:.1e}, the ELBO rises by the gain to within {rise:.1e}"
    )
    return "\n".join(lines)


def _elbo(parts: list[float]) -> float:
    return parts[0] - parts[1]


def compare(found: Found, init: str, one: str, other: str, how: str, what: str = "ELBO") -> Paired:
    """Paired difference over seeds of what a guide has per datum: ``"ELBO"``, ``"likelihood"``, ``"KL"``, ``"moved"``.

    The last is the ELBO after the move to the best point of the orbit.
    """
    sides = []
    for method in (one, other):
        cell = found[init, method]
        tables = {
            "ELBO": lambda cell: elbo(cell, "last"),
            "moved": lambda cell: elbo(cell, "moved"),
            "likelihood": lambda cell: values(cell, "last")[..., 0],
            "KL": lambda cell: values(cell, "last")[..., 1],
        }
        sides.append(at(tables[what](cell), picked(cell, how)))
    return paired(*sides)


def words(found: Paired) -> str:
    """Mean and two intervals."""
    (a, b), (c, d) = found.student, found.bootstrap
    return f"{found.mean:+.4f}, 95 % t [{a:+.4f}, {b:+.4f}], bootstrap [{c:+.4f}, {d:+.4f}], p {found.p:.2g}"


def picture(found: Found, path: Path) -> None:
    """Differences between starts at the best rates, and what moving along the orbit adds, with 95 % intervals."""
    inits = list(dict.fromkeys(init for init, _ in found))
    figure, (axes,) = cells.figure(1, 2, 9.0, 3.2)
    places = np.arange(len(inits), dtype=float)
    for shift, method, color in ((-0.12, "l2", "#d1652f"), (0.12, "path", "#1d3a66")):
        pairs = [compare(found, init, method, "none", "best") for init in inits]
        middle = np.array([pair.mean for pair in pairs])
        reach = np.abs(np.array([pair.student for pair in pairs]).T - middle)
        axes[0].errorbar(middle, places + shift, xerr=reach, fmt="o", color=color, label=f"{method} - none")
    for shift, method, color in ((-0.2, "none", "#4d4d4d"), (0.0, "l2", "#d1652f"), (0.2, "path", "#1d3a66")):
        gains = []
        for init in inits:
            one = found[init, method]
            rates = picked(one, "best")
            gains.append([runs[r]["gain"] for runs, r in zip(one["runs"], rates, strict=True)])
        table = np.array(gains)
        spread = stats.t.ppf(0.975, table.shape[1] - 1) * table.std(1, ddof=1) / table.shape[1] ** 0.5
        axes[1].errorbar(table.mean(1), places + shift, xerr=spread, fmt="o", color=color, label=f"begun at {method}")
    axes[0].axvline(0.0, color="black", linewidth=0.8)
    axes[0].set(xlabel="ELBO per datum (nats), above 0: better than none", title="where the guide begins")
    axes[1].set(xlabel="ELBO per datum (nats)", title="what the move along the orbit adds at the end", xlim=(0.0, None))
    for axis in axes:
        axis.set_yticks(places, inits)
        axis.set_ylim(len(inits) + 0.1, -0.5)  # room for the legend below the last
        axis.legend(frameon=False, fontsize=8, loc="lower center", ncols=3)
    cells.save(figure, path)
