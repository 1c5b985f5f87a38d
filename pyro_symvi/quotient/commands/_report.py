"""Figures of ``quotient evaluate``: draws of a model beside data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from .._context import Context
from .._dataset import CloudDataset
from ..metrics import (
    Interval,
    WellPopulations,
    automorphisms,
    bond_lengths,
    circular_wasserstein1,
    coverage,
    energy_test,
    graph_angles,
    graph_automorphisms,
    graph_bonds,
    graph_torsions,
    radius_of_gyration,
    rmsd_matrix,
    shape_features,
    torsions,
    wasserstein1,
    well_populations,
)
from ..metrics import bond_angles as bend_angles
from ..metrics._table import table

THRESHOLDS = (0.25, 0.5, 0.75)
GROUPS = 10
"""Parts that draws and data are cut into for an interval where there are too few kinds for one over kinds."""
DEGREES = 180 / math.pi

Figures = dict[str, float]


@dataclass(frozen=True)
class Report:
    """What ``evaluate`` prints.

    Attributes:
        figures: by name, an interval over kinds (three or more) or over parts of the draws, and the same figure between
            two halves of the data: what a perfect model would show at half the numbers.
        wells: by torsion, populations of the draws and of the data; for one kind of at most 12 points.
        joint: a sentence on the joint law, for one kind.
        note: what the intervals are of.
    """

    figures: Mapping[str, tuple[Interval, float]]
    wells: Mapping[str, tuple[WellPopulations, WellPopulations]]
    joint: str | None
    note: str

    def to_text(self) -> str:
        """Tables."""
        lines = [[name, str(value), f"{floor:.4g}"] for name, (value, floor) in self.figures.items()]
        parts = [table(["figure", "model [95 %]", "two halves of the data"], lines), self.note]
        for name, (model, data) in self.wells.items():
            rows = [
                [f"{math.degrees(c):.0f} deg", str(_share(model, k)), str(_share(data, k))]
                for k, c in enumerate(model.centres.tolist())
            ]
            parts.append(table([f"torsion {name}", "model [95 %]", "data [95 %]"], rows))
        return "\n\n".join([*parts, *([self.joint] if self.joint else [])])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers; None for what is undefined."""
        return {
            "figures": {
                name: {"model": [_plain(end) for end in value], "halves": _plain(floor)}
                for name, (value, floor) in self.figures.items()
            },
            "wells": {
                name: {"model": _shares(model), "data": _shares(data)} for name, (model, data) in self.wells.items()
            },
            "joint": self.joint,
            "note": self.note,
        }


def report(draws: CloudDataset, data: CloudDataset) -> Report:
    """Figures for each kind, then over kinds."""
    each = [_Kind(draws, data, k) for k in range(len(data.names))]
    figures = [kind.figures(slice(None), slice(None)) for kind in each]
    halves = [kind.halves() for kind in each]
    names = [name for name in figures[0] if any(not math.isnan(f[name]) for f in figures)]
    if len(each) >= 3:
        intervals = {name: _over_kinds([f[name] for f in figures]) for name in names}
        note = f"Means over {len(each)} kinds; intervals by bootstrap over kinds."
    else:
        parts = [kind.parts() for kind in each]
        mean = {name: _mean([f[name] for f in figures]) for name in names}
        intervals = {
            name: _jackknife(name, mean[name], [_mean([kind[g][name] for kind in parts]) for g in range(GROUPS)])
            for name in names
        }
        note = f"Intervals by jackknife over {GROUPS} parts of draws and data."
    note += (
        "\nCOV, AMR: recall (R) and precision (P) by RMSD after the best motion, in the units of the data.\n"
        "W1: Wasserstein distance of each bond, angle or torsion, then the mean over them."
    )
    table_of = {name: (intervals[name], _mean([h[name] for h in halves])) for name in names}
    single = each[0] if len(each) == 1 else None
    return Report(table_of, single.wells() if single else {}, single.joint() if single else None, note)


class _Kind:
    """One molecule or chain: everything that figures are made of, measured once."""

    def __init__(self, draws: CloudDataset, data: CloudDataset, kind: int) -> None:
        context = None if data.context is None else data.context[kind]
        mask = None if context is None else context.mask
        self.x = draws.clouds[draws.kinds == kind].double()
        self.y = data.clouds[data.kinds == kind].double()
        if mask is not None:
            self.x, self.y = self.x[:, mask], self.y[:, mask]
        permutations = _permutations(data.names[kind], context, self.x.shape[1])
        self.cross, self.within = rmsd_matrix(self.x, self.y, permutations), rmsd_matrix(self.y, self.y, permutations)
        edges = None if context is None else context.edges
        if edges is not None and mask is not None:
            edges = edges[mask][:, mask]
        empty = torch.zeros(0, 2, dtype=torch.int64)
        self.rows = {
            "bonds": empty if edges is None else graph_bonds(edges),
            "angles": empty if edges is None else graph_angles(edges),
            "torsions": empty if edges is None else graph_torsions(edges),
        }
        measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "bonds": bond_lengths,
            "angles": bend_angles,
            "torsions": torsions,
        }
        self.internal = {
            name: tuple(measures[name](x, rows) for x in (self.x, self.y))
            for name, rows in self.rows.items()
            if len(rows)
        }
        self.size = radius_of_gyration(self.x), radius_of_gyration(self.y)

    def figures(self, s: Any, r: Any) -> Figures:
        """All figures from the draws s and the data r."""
        return self._figures(
            self.cross[s][:, r],
            {k: (x[s], y[r]) for k, (x, y) in self.internal.items()},
            (self.size[0][s], self.size[1][r]),
        )

    def halves(self) -> Figures:
        """The same between the data of even and odd number."""
        even, odd = slice(0, None, 2), slice(1, None, 2)
        if len(self.y) < 2:
            return dict.fromkeys(self.figures(slice(None), slice(None)), math.nan)
        internal = {k: (y[even], y[odd]) for k, (_, y) in self.internal.items()}
        return self._figures(self.within[even][:, odd], internal, (self.size[1][even], self.size[1][odd]))

    def parts(self) -> list[Figures]:
        """Figures without each of the parts."""
        s, r = torch.arange(len(self.x)) % GROUPS, torch.arange(len(self.y)) % GROUPS
        short = min(len(self.x), len(self.y)) < 2 * GROUPS
        if short:
            return [dict.fromkeys(self.figures(slice(None), slice(None)), math.nan)] * GROUPS
        return [self.figures(s != g, r != g) for g in range(GROUPS)]

    def wells(self) -> dict[str, tuple[WellPopulations, WellPopulations]]:
        """Populations of trans, gauche plus and gauche minus of each torsion."""
        if "torsions" not in self.internal or self.x.shape[1] > 12:
            return {}
        model, data = self.internal["torsions"]
        found = {}
        for k, row in enumerate(self.rows["torsions"].tolist()):
            if bool(model[:, k].isfinite().any()) and bool(data[:, k].isfinite().any()):
                name = "-".join(str(i + 1) for i in row)
                found[name] = (well_populations(model[:, k]), well_populations(data[:, k]))
        return found

    def joint(self) -> str | None:
        """The energy distance of the joint law of distances and volumes."""
        if min(len(self.x), len(self.y)) < 2 or self.x.shape[1] > 64:
            return None
        x, y = shape_features(self.x), shape_features(self.y)
        return f"Joint law of the shape: {energy_test(x, y)}."

    @staticmethod
    def _figures(rmsd: Tensor, internal: Mapping[str, tuple[Tensor, Tensor]], size: tuple[Tensor, Tensor]) -> Figures:
        covered = coverage([rmsd], THRESHOLDS)
        found: Figures = {}
        for k, delta in enumerate(THRESHOLDS):
            found[f"COV-R at {delta:g}"] = float(covered.recall[0, k])
            found[f"COV-P at {delta:g}"] = float(covered.precision[0, k])
        found["AMR-R"], found["AMR-P"] = float(covered.amr_recall), float(covered.amr_precision)
        found["W1 bonds"] = _w1(internal.get("bonds"), wasserstein1)
        found["W1 angles (deg)"] = DEGREES * _w1(internal.get("angles"), wasserstein1)
        found["W1 torsions (deg)"] = DEGREES * _w1(internal.get("torsions"), circular_wasserstein1)
        found["W1 radius of gyration"] = float(wasserstein1(*size))
        return found


def _w1(pair: tuple[Tensor, Tensor] | None, distance: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The mean over columns of the distance between their defined entries."""
    if pair is None:
        return math.nan
    values = []
    for x, y in zip(pair[0].unbind(-1), pair[1].unbind(-1), strict=True):
        x, y = x[x.isfinite()], y[y.isfinite()]
        if len(x) and len(y):
            values.append(float(distance(x, y)))
    return _mean(values)


def _permutations(name: str, context: Context | None, points: int) -> Tensor | None:
    """Renumberings that keep the molecule, or the graph; none without rdkit."""
    try:
        found = automorphisms(name)
        if found.shape[-1] == points:
            return found
    except (ValueError, ImportError):
        pass
    if context is None or context.shape is None:
        return None
    try:
        full = graph_automorphisms(context)
    except ImportError:
        return None
    return full if context.mask is None else None


def _mean(values: list[float]) -> float:
    kept = [v for v in values if not math.isnan(v)]
    return sum(kept) / len(kept) if kept else math.nan


def _over_kinds(values: list[float]) -> Interval:
    kept = np.array([v for v in values if not math.isnan(v)])
    mean = float(kept.mean())
    if len(kept) < 3 or np.ptp(kept) == 0:
        return Interval(mean, math.nan, math.nan)
    ends = scipy.stats.bootstrap(
        (kept,), np.mean, n_resamples=2000, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    return Interval(mean, float(ends.low), float(ends.high))


def _jackknife(name: str, estimate: float, without: list[float]) -> Interval:
    """The estimate with Student's interval of the delete-a-group jackknife, cut where the figure cannot go."""
    values = np.array(without)
    if np.isnan(values).any():
        return Interval(estimate, math.nan, math.nan)
    error = math.sqrt((GROUPS - 1) / GROUPS * float(((values - values.mean()) ** 2).sum()))
    half = float(scipy.stats.t.ppf(0.975, GROUPS - 1)) * error
    most = 1.0 if name.startswith("COV") else math.inf
    return Interval(estimate, max(0.0, estimate - half), min(most, estimate + half))


def _shares(wells: WellPopulations) -> list[list[float]]:
    return [list(_share(wells, k)) for k in range(len(wells.centres))]


def _share(wells: WellPopulations, k: int) -> Interval:
    return Interval(float(wells.shares[k]), float(wells.low[k]), float(wells.high[k]))


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
