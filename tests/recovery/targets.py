"""Targets with known moments, and a short way to certify a location and scale at them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from scipy import special

from pyro_symvi.density import LogDensity
from pyro_symvi.families import LocationScale
from pyro_symvi.recovery import Certificate, Verdict, certify

Function = Callable[[torch.Tensor], torch.Tensor]


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def certify_at(
    function: Function, loc: Sequence[float] | torch.Tensor, scale: float | torch.Tensor = 1.0, **options: Any
) -> Certificate:
    """The certificate of a full-scale normal guide at ``loc``, ``scale`` times the identity (or a matrix)."""
    loc = torch.as_tensor(loc, dtype=torch.float64)
    dim = len(loc)
    root = scale if isinstance(scale, torch.Tensor) else scale * torch.eye(dim, dtype=torch.float64)
    density = LogDensity.from_callable(function, dim)
    return certify(LocationScale(dim), density, parameters={"loc": loc, "scale": root}, **options)


def errors(certificate: Certificate, mean: Any, sd: Any) -> torch.Tensor:
    """|fitted - true mean| in true posterior sds, ``[d]``."""
    values = certificate["mean"].values
    return ((values - torch.as_tensor(mean, dtype=values.dtype)) / torch.as_tensor(sd, dtype=values.dtype)).abs()


def assert_honest(certificate: Certificate, mean: Any, sd: Any) -> None:
    """Exact entries are exact, to 2e-6 sd; bounded ones within their bounds."""
    for error, entry in zip(errors(certificate, mean, sd).tolist(), certificate["mean"].entries, strict=True):
        if entry.verdict.is_exact:
            assert error <= 2e-6, (entry.label, entry.reason, error)
        if entry.verdict is Verdict.BOUNDED:
            assert error <= entry.bound, (entry.label, entry.reason, error)


def assert_nothing_exact(certificate: Certificate) -> None:
    assert not any(verdict.is_exact for verdict in certificate["mean"].verdicts), certificate["mean"].verdicts


def normal(z: torch.Tensor) -> torch.Tensor:
    return -0.5 * z.square().sum(-1)


def mixture(weights: Sequence[float], means: Sequence[Sequence[float]], sds: Sequence[float]) -> Function:
    """Mixture of isotropic normals."""
    centres = torch.tensor(means, dtype=torch.float64)
    scales = torch.tensor(sds, dtype=torch.float64)
    shares = torch.tensor(weights, dtype=torch.float64).log() - centres.shape[1] * scales.log()

    def log_p(z: torch.Tensor) -> torch.Tensor:
        squares = ((z[..., None, :] - centres) / scales[:, None]).square().sum(-1)
        return (shares - 0.5 * squares).logsumexp(-1)

    return log_p


def mixture_moments(
    weights: Sequence[float], means: Sequence[Sequence[float]], sds: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean ``[d]`` and standard deviations ``[d]``."""
    w, m, s = (torch.tensor(x, dtype=torch.float64) for x in (weights, means, sds))
    mean = w @ m
    return mean, (w @ (m.square() + s.square()[:, None]) - mean.square()).sqrt()


def skew_normal(shape: float) -> Function:
    """Density 2 phi(z) Phi(shape z) in every coordinate."""
    return lambda z: (-0.5 * z.square() + torch.special.log_ndtr(shape * z)).sum(-1)


def skew_normal_moments(shape: float) -> tuple[float, float]:
    delta = shape / math.sqrt(1 + shape**2)
    mean = delta * math.sqrt(2 / math.pi)
    return mean, math.sqrt(1 - mean**2)


def log_gamma(shape: float) -> Function:
    """The law of log X, X ~ Gamma(shape, 1), in every coordinate."""
    return lambda z: (shape * z - z.exp()).sum(-1)


def log_gamma_moments(shape: float) -> tuple[float, float]:
    return float(special.digamma(shape)), math.sqrt(float(special.polygamma(1, shape)))


def student_t(df: float, dim: int = 1) -> Function:
    """Multivariate t about zero."""
    return lambda z: -(df + dim) / 2 * torch.log1p(z.square().sum(-1) / df)


def truncated_normal(low: float) -> Function:
    return lambda z: torch.where(z[..., 0] > low, -0.5 * z[..., 0].square(), -torch.inf)


def truncated_normal_moments(low: float) -> tuple[float, float]:
    ratio = math.exp(-(low**2) / 2) / math.sqrt(2 * math.pi) / (1 - float(special.ndtr(low)))
    return ratio, math.sqrt(1 + low * ratio - ratio**2)
