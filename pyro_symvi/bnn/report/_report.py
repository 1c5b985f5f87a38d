"""What is known of a posterior and of its draws, on one page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..._figures import INK
from .._draws import Draws
from .._posterior import NetworkPosterior
from ..convergence import Convergence, check_convergence
from ..identities import Balancedness, Equipartition, OrbitLaw, balancedness, equipartition, orbit_law
from ..pictures import (
    draw_balancedness,
    draw_marginals,
    draw_orbit_law,
    draw_predictions,
    draw_reliability,
    draw_scores,
    draw_temperatures,
)
from ..predictions import ClassificationScores, NormalMixture, Scores, evaluate, predictive_mixture
from ..symmetry import NetworkSymmetry
from ._page import page


@dataclass(frozen=True)
class Report:
    """A page on draws of a posterior.

    Attributes:
        title: what it is about.
        figure: the matplotlib figure at its head.
        scores: of each method on the rows held out, by name; the first is that of the draws.
        temperatures: equipartition, an identity of every network.
        balancedness, orbits: identities of rescaling, None where no layer is of ReLU kind.
        convergence: of the chains.
        symmetry: what the network admits.
        sections: everything in words, by heading.
    """

    title: str
    figure: Any
    scores: Mapping[str, Scores]
    temperatures: Equipartition
    balancedness: Balancedness | None
    orbits: OrbitLaw | None
    convergence: Convergence
    symmetry: NetworkSymmetry
    sections: Mapping[str, str]

    def to_text(self) -> str:
        """The page without its figures."""
        return "\n\n".join([self.title, *(f"{name}\n{text}" for name, text in self.sections.items())])

    def to_dict(self) -> dict[str, Any]:
        """The main numbers, plain."""
        identities = {
            "equipartition": self.temperatures,
            "balancedness": self.balancedness,
            "law along orbits": self.orbits,
        }
        return {
            "title": self.title,
            "scores": {
                name: {label: [value, error] for label, value, error, _ in scores.lines()}
                for name, scores in self.scores.items()
            },
            "identities": {
                name: {"verdict": test.verdict, "p_value": test.p_value, "worst_z": test.worst}
                for name, test in identities.items()
                if test is not None
            },
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as one HTML file that needs no other, or the figure alone as .png, .svg or .pdf."""
        return page(self.title, self.figure, self.sections, path)


def report(
    posterior: NetworkPosterior,
    draws: Draws,
    x: Tensor,
    y: Tensor,
    *,
    baselines: Mapping[str, Draws],
    target_scale: float = 1.0,
    target_loc: float = 0.0,
    target: str = "",
    title: str = "",
    facts: str = "",
) -> Report:
    """Evaluate draws on rows held out, test what must hold whatever the truth, and draw it.

    Args:
        posterior: what was sampled.
        draws: of the chains.
        x, y: rows held out, ``[rows, ...]``, in the units of the posterior's data.
        baselines: draws of other methods by name, the deep ensemble first: differences are taken to the first.
        target_scale, target_loc: y times the scale plus the location is the target in its own units.
        target: what the target is called.
        title, facts: printed at the head: what was run on what.

    Raises:
        ValueError: no baseline, fewer than two rows held out.
    """
    if not baselines:
        raise ValueError(
            "expected a baseline, got none, because a posterior is worth its cost only against one; try "
            "baselines={'deep ensemble': DeepEnsemble().fit(posterior).sample(10)}"
        )
    if len(x) < 2:
        raise ValueError(f"expected at least 2 rows held out, got {len(x)}; try a larger share for the test")
    symmetry = NetworkSymmetry.of(posterior)
    methods = {draws.source: draws, **baselines}
    scores = {name: evaluate(posterior, made, x, y, target_scale=target_scale) for name, made in methods.items()}
    homogeneous = any(layer.activation.degree is not None for layer in symmetry.layers)
    balance = balancedness(posterior, draws, symmetry) if homogeneous else None
    law = orbit_law(posterior, draws, symmetry) if homogeneous and posterior.parameter_prior.is_normal else None
    temperatures = equipartition(posterior, draws)
    chains = check_convergence(posterior, draws, x, symmetry=symmetry)
    first = next(iter(baselines))
    figure = _figure(
        posterior, draws, x, y, scores, first, temperatures, balance, law, (target_loc, target_scale, target)
    )
    sections = {
        **({"Run": facts} if facts else {}),
        "Predictions of rows held out": "\n\n".join(str(one) for one in scores.values()) + _against(scores, first),
        "Identities that hold in every posterior": _identities(temperatures, balance, law),
        "Convergence": str(chains),
        "Symmetry of the network": str(symmetry),
    }
    return Report(
        title or f"Posterior of {posterior!r}", figure, scores, temperatures, balance, law, chains, symmetry, sections
    )


def _against(scores: Mapping[str, Scores], baseline: str) -> str:
    lines = [f"\n\nLPPD minus that of the {baseline}, same rows (two standard errors over rows; one split, one seed):"]
    for name, one in scores.items():
        if name != baseline:
            gain, error = one.lppd_difference(scores[baseline])
            lines.append(f"  {name:<28} {gain:+.4f} +- {2 * error:.4f}")
    return "\n".join(lines)


def _identities(temperatures: Equipartition, balance: Balancedness | None, law: OrbitLaw | None) -> str:
    parts = [str(temperatures)]
    if balance is None:
        parts.append("No hidden layer has an activation of ReLU kind, so there is no rescaling to test.")
    else:
        parts.append(str(balance))
        parts.append(
            str(law)
            if law is not None
            else "Law along orbits: generalised inverse Gaussian for normal priors alone, not tested here."
        )
    return "\n\n".join(parts)


def _figure(
    posterior: NetworkPosterior,
    draws: Draws,
    x: Tensor,
    y: Tensor,
    scores: Mapping[str, Scores],
    baseline: str,
    temperatures: Equipartition,
    balance: Balancedness | None,
    law: OrbitLaw | None,
    units: tuple[float, float, str],
) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = 2 + (balance is not None)
    figure = Figure(figsize=(11, 3.2 * rows), layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12))
    grid = figure.add_gridspec(rows, 2)
    mine = next(iter(scores.values()))
    first, second = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    if isinstance(mine, ClassificationScores):
        draw_reliability(first, mine)
    else:
        loc, scale, name = units
        mixture = predictive_mixture(posterior, draws, x)
        draw_predictions(first, _scaled(mixture, loc, scale), y.to(torch.float64) * scale + loc, unit=name)
    draw_scores(second, scores, baseline=baseline)
    if balance is not None:
        draw_balancedness(figure.add_subplot(grid[1, 0] if law is not None else grid[1, :]), balance)
    if law is not None:
        draw_orbit_law(figure.add_subplot(grid[1, 1]), law)
    draw_temperatures(figure.add_subplot(grid[-1, 0]), temperatures)
    draw_marginals(figure.add_subplot(grid[-1, 1]), posterior, draws)
    figure.suptitle(f"{draws.source}: {draws.chains} chains of {draws.draws} draws", fontsize=11, color=INK)
    return figure


def _scaled(mixture: NormalMixture, loc: float, scale: float) -> NormalMixture:
    """The law of loc + scale y."""
    return NormalMixture(mixture.loc * scale + loc, mixture.scale * scale)
