"""Does a fit by importance weights hold up on draws it has not seen?"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from ...density import LogDensity
from ...divergences.weights import pareto_k
from ...families import LocationScale
from .chart import Outcome
from .result import FitStatus
from .standard_errors import location_step
from .weighted import RELIABLE

_DFS = (5.0, 2.0)
_STANDARD_ERRORS = 5.0
_MATTERS = 0.02


def confirmed(
    density: LogDensity, family: LocationScale, alpha: float, outcome: Outcome, count: int, generator: torch.Generator
) -> Outcome:
    r"""The outcome, its status ``HEAVY_WEIGHTS`` if it says ``CONVERGED`` and fresh draws say otherwise.

    A proposal that was adapted on its own draws has weights that look tame where it has missed mass: their tail index
    speaks of where draws fell. So ``count`` independent ones are drawn, half from a Student-t(5) and half from a
    Student-t(2) with the fit's centre and the weighted covariance, which reach further. Their weights must have a
    Pareto k-hat below 0.7, and the location's next step on them must be below five of its standard errors, or 0.02 sd.

    Args:
        density: The target.
        family: The family.
        alpha: Exponent on the target.
        outcome: What to confirm.
        count: Number of draws.
        generator: Random state.
    """
    if outcome.status is not FitStatus.CONVERGED or outcome.root is None:
        return outcome
    center, root = outcome.parameters["loc"], outcome.root
    laws = [LocationScale(family.dim, base="student_t", scale="full", df=df) for df in _DFS]
    place = {"loc": center, "scale": root}
    z = torch.cat([_draws(family.dim, df, count // 2, generator) for df in _DFS]) @ root.mT + center
    log_r = torch.stack([law.log_prob(z, place) for law in laws]).logsumexp(0) - math.log(len(laws))
    log_w = alpha * density(z).detach() + (1 - alpha) * family.log_prob(z, outcome.parameters) - log_r
    log_w = torch.where(torch.isnan(log_w), -torch.inf, log_w)
    if not bool(torch.isfinite(log_w).any()):
        return outcome
    tail = float(pareto_k(log_w))
    step, error = location_step(family, outcome.parameters, z, log_w.softmax(0), alpha)
    sd = root.square().sum(-1).sqrt()
    surprising = (step.abs() > _STANDARD_ERRORS * math.sqrt(2) * error) & (step.abs() > _MATTERS * sd)
    if tail <= RELIABLE and not bool(surprising.any()):
        return outcome
    worst = int((step.abs() / sd).argmax())
    told = (
        f"; on {len(z)} fresh draws k-hat is {tail:.2f} and '{density.coordinates[worst]}' would move by "
        f"{float(step[worst] / sd[worst]):.2g} sd, standard error {float(error[worst] / sd[worst]):.1g}"
    )
    return replace(outcome, status=FitStatus.HEAVY_WEIGHTS, details=outcome.details + told)


def _draws(dim: int, df: float, count: int, generator: torch.Generator) -> torch.Tensor:
    """Independent draws of the standard multivariate Student-t law with a whole number of degrees of freedom."""
    normal = torch.randn(count, dim, dtype=torch.float64, generator=generator)
    chi2 = torch.randn(count, int(df), dtype=torch.float64, generator=generator).square().sum(-1, keepdim=True)
    return normal * (df / chi2).sqrt()
