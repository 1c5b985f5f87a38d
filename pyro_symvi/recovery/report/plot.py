"""A certificate as a picture: target against guide, and the residuals of the symmetry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ..._figures import METHODS, REFERENCE
from ...density._importance import weighted_draws
from ...density._proposal import Scale, whiten
from ...families import LocationScale
from ...families.marginals import marginal_cdf
from ...groups import PointReflection
from ..evidence.residuals import ResidualTest
from ..subject import Subject
from ..verdicts import Evidence
from .certificate import Certificate
from .entry import Entry
from .page import COLOURS

_SHOWN = 300
_INK = {"target": REFERENCE, "guide": METHODS[0], "good": COLOURS["PROVED"][0], "bad": COLOURS["REFUTED"][0]}


def plot_certificate(
    certificate: Certificate, *, num_draws: int = 8192, generator: torch.Generator | None = None
) -> Any:
    """Draw up to two certified and two uncertified means, and residuals of the symmetries tested.

    Left: the target's marginal (importance-weighted draws, histogram), the guide's (line), its location and, where
    verified, the centre of symmetry. Right: |log p(gz) - log p(z)| against the distance from the centre, for the
    symmetry that holds and for the one that fails.

    Args:
        certificate: With a mean report.
        num_draws: Weighted draws for the histograms.
        generator: Random state; a fixed one by default.

    Returns:
        A matplotlib figure (not shown; ``figure.savefig(path)`` writes it).

    Raises:
        ValueError: The certificate has no means.
    """
    from matplotlib.figure import Figure

    if "mean" not in certificate.statistics:
        raise ValueError(
            f"expected a certificate with means, got {list(certificate.statistics)}, because marginals of coordinates "
            'are drawn; try certify(fit, statistics=("mean",))'
        )
    subject = _subject(certificate)
    generator = torch.Generator().manual_seed(3) if generator is None else generator
    draws = weighted_draws(subject.density, Scale(subject.loc, subject.root), num_draws=num_draws, generator=generator)
    weights = draws.log_weights.softmax(0).numpy()
    chosen = _chosen(certificate)
    tests = _tests(certificate)
    columns = len(chosen) + 1
    figure = Figure(figsize=(3.6 * columns, 3.4), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis, index in zip(axes, chosen, strict=False):
        _draw_marginal(axis, certificate, index, draws.z[:, index].numpy(), weights)
    scale = Scale(subject.loc, draws.root)
    chance = torch.from_numpy(weights)
    picked = draws.z[torch.multinomial(chance, _SHOWN, replacement=True, generator=generator)]
    _draw_residuals(axes[-1], tests, certificate, scale, picked, generator)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    return figure


def _subject(certificate: Certificate) -> Subject:
    if certificate.subject is None:
        raise ValueError(
            "expected a certificate with its target, got one read from a file, because densities are drawn; try "
            "certify again"
        )
    return certificate.subject


def _chosen(certificate: Certificate) -> list[int]:
    """Up to two coordinates whose mean is exact and two whose is not (the widest bounds first)."""
    entries = certificate["mean"].entries
    exact = [i for i, e in enumerate(entries) if e.verdict.is_exact][:2]
    rest = [i for i, e in enumerate(entries) if not e.verdict.is_exact]

    def width(i: int) -> float:
        return math.inf if math.isnan(entries[i].bound) else entries[i].bound

    return exact + sorted(rest, key=width, reverse=True)[: 2 if exact else 3]


def _tests(certificate: Certificate) -> list[ResidualTest]:
    """A symmetry that holds and one that fails, those of most coordinates."""
    out = []
    for evidence in (Evidence.VERIFIED, Evidence.REFUTED):
        found = [t for t in certificate.tests if t.evidence is evidence]
        out += sorted(found, key=lambda t: len(t.action.coordinates or ()), reverse=True)[:1]
    return out


def _draw_marginal(axis: Any, certificate: Certificate, index: int, z: Any, weights: Any) -> None:
    entry: Entry = certificate["mean"].entries[index]
    subject = _subject(certificate)
    loc = float(subject.loc[index])
    mean = float(np.sum(weights * z))
    sd = float(np.sqrt(np.sum(weights * (z - mean) ** 2)))
    low, high = min(loc, mean) - 4 * sd, max(loc, mean) + 4 * sd
    axis.hist(
        z,
        bins=np.linspace(low, high, 49),
        weights=weights,
        density=True,
        color=_INK["target"],
        label="target (weighted draws)",
    )
    x = np.linspace(low, high, 401)
    axis.plot(x, _marginal_density(certificate, index, x), color=_INK["guide"], lw=1.5, label="guide")
    ink = COLOURS[entry.verdict.name][0]
    axis.axvline(loc, color=ink, lw=1.5, label="guide's location (the verdict's colour)")
    axis.axvline(mean, color="black", lw=1, ls=":", label="weighted mean of the target")
    bound = "" if math.isnan(entry.bound) else f" {entry.bound:.2g} sd"
    axis.set_title(
        f"{subject.density.coordinates[index]}: {entry.verdict.name}{bound}",
        fontsize=10,
        color=ink,
    )
    axis.set_yticks([])
    axis.tick_params(labelsize=8)


def _marginal_density(certificate: Certificate, index: int, x: Any) -> Any:
    """The guide's marginal density: differences of its distribution function."""
    subject = _subject(certificate)
    row = subject.root[index].numpy()
    law = (subject.family or LocationScale(subject.density.dim)).law
    return np.gradient(marginal_cdf(law, row, x - float(subject.loc[index])), x)


def _draw_residuals(
    axis: Any,
    tests: list[ResidualTest],
    certificate: Certificate,
    scale: Scale,
    draws: torch.Tensor,
    generator: torch.Generator,
) -> None:
    """Residuals at posterior draws; a reflection that fails is drawn about the fitted value."""
    density = _subject(certificate).density
    for test in tests:
        holds = test.evidence is Evidence.VERIFIED
        action = test.action
        if not holds and isinstance(action, PointReflection):
            action = PointReflection(coordinates=action.coordinates).bind(density.dim, center=_subject(certificate).loc)
        g = action.group.sample(len(draws), dtype=torch.float64, generator=generator)
        if action.group.order == 2:
            g = -torch.ones_like(g)
        residuals = (density(action.act(g, draws)) - density(draws)).detach().abs()
        distances = whiten(scale, draws - scale.center).norm(dim=-1)
        if holds:
            residuals, distances = torch.cat([residuals, test.residuals.abs()]), torch.cat([distances, test.distances])
        moved = action.coordinates or ()
        what = density.coordinates[moved[0]] if len(moved) == 1 else f"{len(moved)} coordinates"
        label = f"{type(action).__name__} of {what}: {'holds' if holds else 'fails'}"
        colour = _INK["good" if holds else "bad"]
        axis.loglog(
            distances.clamp_min(1e-4),
            residuals.clamp_min(1e-16),
            "." if holds else "x",
            ms=2.5,
            color=colour,
            alpha=0.6,
            label=label,
        )
    axis.minorticks_off()
    axis.set_xlabel("distance from the centre (scales)", fontsize=8)
    axis.set_ylabel("|log p(gz) - log p(z)|  (nats)", fontsize=8)
    axis.set_title("residuals of the symmetry", fontsize=10)
    axis.tick_params(labelsize=8)
    if tests:
        left, right = axis.get_xlim()
        axis.set_xlim(min(left, 0.1), max(right, 100))
        low, high = axis.get_ylim()
        axis.set_ylim(low, high * (high / low) ** 0.15)
        axis.legend(fontsize=7, loc="upper left", frameon=False)
