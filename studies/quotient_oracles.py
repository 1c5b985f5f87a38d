"""With exact denoisers, which samplers draw from the law of the data? Nothing is trained that could be blamed.

Data are finitely many shapes in uniformly random orientation; E[x_1 | x_t] is then known in closed form, and so is what
a network learns from targets that are aligned to x_t (GeoDiff's). Compared, from the same prior draws:

- ODE by Euler's method, whose last step is x <- D: in the total space (equivariant), along horizontal paths (quotient),
  with the aligned target in place of the denoiser (aligned), and with the state aligned at each step as well (both);
- SDE in the total space (equivariant) and on the quotient with the curvature's derived sign, without it, and with the
  sign printed in equation 12 of arXiv 2604.21809 (v2).

The last part starts from a prior of bonded points, under which the exact velocity has a vertical part.

    make study-quotient_oracles      (or python studies/quotient_oracles.py; some 6 CPU minutes on one core)

Writes `studies/results/quotient_oracles.txt` and `.svg`. Where CI is set: a short run that is printed alone.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean  # noqa: E402
from pyro_symvi.quotient import Context, Denoiser, Diffusion, HarmonicPrior  # noqa: E402
from pyro_symvi.quotient.data import chain_from_internal  # noqa: E402
from pyro_symvi.quotient.metrics import (  # noqa: E402
    bond_angles,
    circular_wasserstein1,
    radius_of_gyration,
    torsions,
    wasserstein1,
)
from pyro_symvi.quotient.oracles import ShapeMixture  # noqa: E402
from pyro_symvi.quotient.samplers import AlignedSampler, ODESampler, SDESampler  # noqa: E402

RESULTS = ROOT / "studies" / "results"
SHORT = bool(os.environ.get("CI"))
WELLS = (0.6, 0.3, 0.1)
CENTRES = (math.pi, math.pi / 3, -math.pi / 3)
SIGNS = {"derived": 1.0, "none": 0.0, "printed": -1.0}
Invariant = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """A law of shapes, an invariant to compare by W1, and wells whose populations are counted."""

    name: str
    diffusion: Diffusion
    law: ShapeMixture
    draws: int
    invariant: Invariant
    distance: Callable[[Tensor, Tensor], Tensor]
    unit: str
    well: Callable[[Tensor], Tensor]
    shown: tuple[int, ...]

    @property
    def event(self) -> torch.Size:
        return self.law.shapes.shape[1:]

    def populations(self, x: Tensor) -> Tensor:
        """Shares of wells."""
        wells = int(self.well(self.law.shapes).max()) + 1
        return torch.bincount(self.well(x), minlength=wells).double() / len(x)

    def target(self) -> Tensor:
        """The exact shares."""
        wells = self.well(self.law.shapes)
        return torch.zeros(int(wells.max()) + 1, dtype=torch.float64).index_add(0, wells, self.law.probabilities)

    def reference(self) -> Tensor:
        """The invariant's exact law, as 50,000 values in proportion."""
        counts = (self.law.probabilities * 50_000).round().long()
        return self.invariant(self.law.shapes).repeat_interleave(counts)


def normal(values: Tensor, centre: float, spread: float, period: float = math.inf) -> Tensor:
    """Weights of a normal law on a grid, on the circle where there is a period."""
    gap = values - centre
    if math.isfinite(period):
        gap = torch.remainder(gap + period / 2, period) - period / 2
    return (-(gap**2) / (2 * spread**2)).softmax(0)


def size(n: int) -> int:
    return max(60, n // 40) if SHORT else n


def planar() -> Case:
    """Chains of three atoms in the plane: 60 bend angles, .7 N(1.3, .25) and .3 N(2.4, .3) on a grid."""
    angles = torch.linspace(0.5, 3.0, 60, dtype=torch.float64)
    weights = 0.7 * normal(angles, 1.3, 0.25) + 0.3 * normal(angles, 2.4, 0.3)
    bonds = torch.ones(60, 2, dtype=torch.float64)
    law = ShapeMixture(chain_from_internal(bonds, angles[:, None], bonds[:, :0], dimension=2), weights)

    def bend(x: Tensor) -> Tensor:
        return bond_angles(x, [(0, 1, 2)])[:, 0]

    def well(x: Tensor) -> Tensor:
        return (bend(x) >= 1.6).long()

    action = PointCloudAction(SpecialEuclidean(2))
    name = "plane, 3 atoms, 60 bend angles (share of angles < 1.6)"
    return Case(name, Diffusion(action), law, size(4000), bend, wasserstein1, "rad", well, (0,))


def nearest_well(torsion: Tensor) -> Tensor:
    """0 trans, 1 gauche plus, 2 gauche minus; any shape."""
    gap = torch.remainder(torsion[..., None] - torch.tensor(CENTRES, dtype=torch.float64) + math.pi, 2 * math.pi)
    return (gap - math.pi).abs().argmin(-1)


def four_atoms() -> Case:
    """Chains of four atoms in space: 24 torsions, wells trans, g+, g- of weights .6, .3, .1."""
    grid = -math.pi + 2 * math.pi * torch.arange(24, dtype=torch.float64) / 24
    weights = sum(w * normal(grid, c, 0.25, 2 * math.pi) for w, c in zip(WELLS, CENTRES, strict=True))
    bonds, angles = torch.ones(24, 3, dtype=torch.float64), torch.full((24, 2), 1.95, dtype=torch.float64)
    law = ShapeMixture(chain_from_internal(bonds, angles, grid[:, None]), torch.as_tensor(weights))

    def torsion(x: Tensor) -> Tensor:
        return torsions(x, [(0, 1, 2, 3)])[:, 0]

    def well(x: Tensor) -> Tensor:
        return nearest_well(torsion(x))

    name = "space, 4 atoms, 24 torsions (shares of trans, g+, g-)"
    return Case(name, Diffusion(), law, size(1500), torsion, circular_wasserstein1, "rad", well, (0, 1, 2))


def six_atoms() -> Case:
    """Chains of six atoms in space: the 27 rotamers of three torsions, weights the products of the wells'."""
    codes = torch.cartesian_prod(*[torch.arange(3)] * 3)
    weights = torch.tensor(WELLS, dtype=torch.float64)[codes].prod(-1)
    centres = torch.tensor(CENTRES, dtype=torch.float64)[codes]
    bonds, angles = torch.ones(27, 5, dtype=torch.float64), torch.full((27, 4), 1.95, dtype=torch.float64)
    law = ShapeMixture(chain_from_internal(bonds, angles, centres), weights)

    def well(x: Tensor) -> Tensor:
        codes = nearest_well(torsions(x, [(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)]))
        return (codes == 0).sum(-1)

    name = "space, 6 atoms, 27 rotamers (shares of 0, 1, 2, 3 torsions in trans)"
    return Case(name, Diffusion(), law, size(1000), radius_of_gyration, wasserstein1, "bonds", well, (0, 1, 2, 3))


# -- measuring ---------------------------------------------------------------------------------------------------------
def row(case: Case, label: str, x: Tensor, reference: Tensor) -> str:
    """W1 with a bootstrap error, shares with multinomial errors, and the p-value of Pearson's test of the shares."""
    values = case.invariant(x)
    distance = float(case.distance(values, reference))
    generator = torch.Generator().manual_seed(0)
    again = [
        float(case.distance(values[torch.randint(len(values), (len(values),), generator=generator)], reference))
        for _ in range(5 if SHORT else 30)
    ]
    shares, target = case.populations(x), case.target()
    text = "  ".join(f"{shares[k]:.4f} ({math.sqrt(shares[k] * (1 - shares[k]) / len(x)):.4f})" for k in case.shown)
    p = float(scipy.stats.chisquare((shares * len(x)).numpy(), (target * len(x)).numpy()).pvalue)
    return f"{label:<32}{distance:.4f} ({np.std(again):.4f})   {text}   {p:.2g}"


def ode_rows(case: Case, reference: Tensor, kept: dict[str, Tensor]) -> list[str]:
    """The ODE at 10, 25 and 100 steps."""
    exact, aligned = case.law.denoiser(case.diffusion), case.law.aligned_denoiser(case.diffusion)
    lines = []
    for steps in (10, 25) if SHORT else (10, 25, 100):
        total = ODESampler(steps, "euler", horizontal=False)
        runs: dict[str, tuple[Any, Denoiser]] = {
            "equivariant": (total, exact),
            "quotient": (ODESampler(steps, "euler"), exact),
            "aligned": (total, aligned),
            "aligned, state as well": (AlignedSampler(steps), aligned),
        }
        if steps == 100:
            del runs["aligned, state as well"]
        paths = {name: draw(case, sampler, denoiser) for name, (sampler, denoiser) in runs.items()}
        for name, path in paths.items():
            lines.append(row(case, f"ODE {steps:>3}  {name}", path[-1], reference))
            kept[name] = path[-1]
        gap = (paths["quotient"] - paths["equivariant"]).abs().max()
        lines.append(f"         quotient and equivariant differ by {gap:.1e} at most, over all states of all paths")
    return lines


def draw(case: Case, sampler: Any, denoiser: Denoiser, **options: Any) -> Tensor:
    """States at all times ``[steps + 1, n, N, d]``, from the same start for every sampler."""
    generator = torch.Generator().manual_seed(1)
    path: Tensor = sampler.sample(
        case.diffusion,
        denoiser,
        (case.draws, *case.event),
        dtype=torch.float64,
        generator=generator,
        trajectory=True,
        **options,
    )
    return path


def sde_rows(case: Case, reference: Tensor, kept: dict[str, Tensor]) -> list[str]:
    """The SDE at 100 steps, with each sign of the curvature."""
    steps, denoiser = 25 if SHORT else 100, case.law.denoiser(case.diffusion)
    lines = []
    for name, sign in {"equivariant": None, **SIGNS}.items():
        sampler = SDESampler(steps, horizontal=sign is not None)
        x = sampler._sample(
            case.diffusion,
            denoiser,
            (case.draws, *case.event),
            None,
            None,
            torch.float64,
            None,
            torch.Generator().manual_seed(2),
            False,
            False,
            1.0 if sign is None else sign,
        )
        label = name if sign is None else f"quotient, {name}"
        lines.append(row(case, f"SDE {steps:>3}  {label}", x, reference))
        kept[f"SDE {name}"] = x
    return lines


def table(case: Case) -> tuple[list[str], dict[str, Tensor]]:
    """All rows of one law."""
    reference, kept = case.reference(), {}
    head = f"{'':<32}{'W1 (se), ' + case.unit:<18}{'shares (se)':<{18 * len(case.shown)}} p of all shares"
    exact = "  ".join(f"{case.target()[k]:.4f}{'':9}" for k in case.shown)
    generator = torch.Generator().manual_seed(3)
    floor = [
        float(case.distance(case.invariant(case.law.sample(case.draws, generator=generator)), reference))
        for _ in range(20)
    ]
    lines = [
        f"{case.name}; n = {case.draws}",
        head.rstrip(),
        f"{'exact draws, 20 samples':<32}{np.mean(floor):.4f} ({np.std(floor):.4f})   {exact}".rstrip(),
        *ode_rows(case, reference, kept),
        *sde_rows(case, reference, kept),
    ]
    return lines, kept


# -- a prior of bonded points ------------------------------------------------------------------------------------------
def bonded(case: Case, title: str) -> list[str]:
    """Where the prior joins neighbours by springs the exact velocity turns the cloud; is anything else different?"""
    atoms = case.event[0]
    places = torch.arange(atoms)
    edges = ((places[:, None] - places).abs() == 1).long()
    diffusion = Diffusion(case.diffusion.action, prior=HarmonicPrior(1.0))
    few = Case(**{**vars(case), "diffusion": diffusion, "draws": case.draws // 4})
    reference, denoiser, context = few.reference(), few.law.denoiser(diffusion), Context(edges=edges)
    lines = [f"{title}; n = {few.draws}"]
    for steps in (10, 25) if SHORT else (10, 25, 100, 400):
        paths = {
            name: draw(few, ODESampler(steps, "euler", horizontal=flag), denoiser, context=context)
            for name, flag in (("equivariant", False), ("quotient", True))
        }
        ends = {name: path[-1] for name, path in paths.items()}
        apart = (ends["quotient"] - ends["equivariant"]).square().sum((-2, -1)).mean().sqrt()
        orbits = diffusion.action.distance(ends["quotient"], ends["equivariant"])
        invariants = [few.invariant(x) for x in ends.values()]
        between = few.distance(*invariants)
        for name, x in ends.items():
            lines.append(row(few, f"ODE {steps:>3}  {name}", x, reference))
        energy = {name: (path.diff(dim=0)[:-1].square().sum((-2, -1)).sum(0) * steps) for name, path in paths.items()}
        saved = 1 - energy["quotient"].mean() / energy["equivariant"].mean()
        lines.append(
            f"         ends apart {apart:.3f} rms, their orbits {orbits.square().mean().sqrt():.4f} rms (median "
            f"{orbits.median():.5f}); W1 between the two {between:.4f}; path energy saved {100 * saved:.1f} %"
        )
    return lines


# -- the picture -------------------------------------------------------------------------------------------------------
PANELS = {
    "equivariant": "ODE, equivariant",
    "quotient": "ODE, quotient",
    "aligned": "ODE, aligned targets",
    "SDE derived": "SDE, derived sign",
    "SDE none": "SDE, no curvature",
    "SDE printed": "SDE, printed sign",
}


def picture(cases: list[tuple[Case, dict[str, Tensor]]]) -> Any:
    """Histograms of the invariant for each sampler, the law as a line."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": "quotient oracles", "svg.fonttype": "none", "font.size": 9})
    page = Figure(figsize=(12.5, 4.6), layout="constrained")
    grid = page.subplots(len(cases), len(PANELS), sharey="row", sharex="row", squeeze=False)
    for row_of_axes, (case, kept) in enumerate(cases):
        planar_case = case.event[0] == 3

        def shown(x: Tensor, case: Case = case, planar_case: bool = planar_case) -> Any:
            values = case.invariant(x)
            return (values if planar_case else torch.remainder(values + 0.01, 2 * math.pi)).numpy()

        points = np.unique(np.round(shown(case.law.shapes), 6))
        gap = float(np.median(np.diff(points)))
        step = 2 * gap if planar_case else gap
        bins = np.arange(points[0] - gap / 2, points[-1] + step, step)
        law, _ = np.histogram(shown(case.law.shapes), bins, weights=case.law.probabilities)
        for axes, (name, title) in zip(grid[row_of_axes], PANELS.items(), strict=True):
            right = name in ("equivariant", "quotient", "SDE derived")
            x = shown(kept[name])
            axes.hist(x, bins, weights=np.full(len(x), 1 / len(x)), color="#0072b2" if right else "#d55e00", alpha=0.75)
            axes.stairs(law, bins, color="black", linewidth=1.0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_yticks([])
            if row_of_axes == 0:
                axes.set_title(title, fontsize=9.5)
        grid[row_of_axes][0].set_ylabel("3 atoms, plane" if planar_case else "4 atoms, space")
    page.supxlabel("bend angle (top) and torsion (bottom, 0 to 360 deg), radians; line: law of the data", fontsize=9.5)
    return page


def main() -> None:
    torch.set_num_threads(1)
    start = time.process_time()
    lines = [
        "make study-quotient_oracles",
        "",
        "W1: of the invariant against its exact law. se: bootstrap for W1, multinomial for shares. p: Pearson's test",
        "of all shares against the exact ones. Exact denoisers throughout; linear path, standard normal prior.",
        "Rows of a law share their starts, the ODE's among them and the SDE's among them: so they share chance.",
    ]
    cases = []
    for make in (planar, four_atoms, six_atoms):
        case = make()
        text, kept = table(case)
        lines += ["", *text]
        cases.append((case, kept))
        print("\n".join(text), flush=True)
    parts = ["plane, 3 atoms, bonded prior", "space, 4 atoms, bonded prior"]
    for (case, _), title in zip(cases[:2], parts, strict=True):
        text = bonded(case, title)
        lines += ["", *text]
        print("\n".join(text), flush=True)
    lines += ["", f"{time.process_time() - start:.0f} CPU seconds, one thread"]
    page = picture(cases[:2])
    if SHORT:
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "quotient_oracles.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    page.savefig(RESULTS / "quotient_oracles.svg", metadata={"Date": None})
    print(f"wrote {RESULTS / 'quotient_oracles.txt'} and .svg")


if __name__ == "__main__":
    main()
