r"""E x, E x x^T and expectations under the target: by quadrature where the whole sphere can be covered, else by draws.

On the circle and the sphere of R^3, `cubature`. In higher dimensions a density that depends on the angle to an axis
alone needs one integral over :math:`t = a\cdot x` with weight :math:`(1-t^2)^{(n-3)/2}`; any other gets weighted draws
of a mixture of von Mises-Fisher laws at the maxima found and the uniform law, with Monte-Carlo standard errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...density._importance import RELIABLE, pareto_k
from ...distributions import VonMisesFisher
from ...special import log_sphere_area
from .cubature import adaptive_rule
from .density import SphereDensity, random_directions, tangent
from .peaks import Peaks

_PANELS = 200
_DEPTH = 44
_UNIFORM_SHARE = 0.2
_SLACK = 3.0
_MOST_UNDEFINED = 0.005


@dataclass(frozen=True)
class SphereMoments:
    """Weighted points that represent a target, and what is known of their error.

    Attributes:
        x: ``[m, n]``.
        weights: ``[m]``, summing to one.
        log_p: Log density at them.
        log_area: Log of the area each stands for (quadrature), or of one over the proposal's density (draws).
        numerical: Whether they are a quadrature rule.
        error: Relative error of an integral of a bounded function (quadrature).
        spacing: Of the rule, in radians; nan for draws.
        k: Pareto k-hat of the weights (draws); nan for quadrature.
        how: In words.
    """

    x: torch.Tensor
    weights: torch.Tensor
    log_p: torch.Tensor
    log_area: torch.Tensor
    numerical: bool
    error: float
    spacing: float
    k: float
    how: str

    @property
    def reliable(self) -> bool:
        """Whether means mean something: a converged rule, or weights with k-hat below 0.7."""
        return self.error < 1e-7 if self.numerical else self.k < RELIABLE

    def mean_of(self, values: torch.Tensor, power: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """Expectation of ``values[m, ...]`` and its error: the rule's, or three standard errors; under p^power."""
        w = self.weights if power == 1.0 else (power * self.log_p + self.log_area).softmax(0)
        shape = (-1,) + (1,) * (values.ndim - 1)
        mean = (w.reshape(shape) * values).sum(0)
        if self.numerical:
            return mean, torch.full_like(mean, (2 * self.error + 1e-14) * float(values.abs().max()))
        variance = (w.reshape(shape).square() * (values - mean).square()).sum(0)
        return mean, _SLACK * variance.sqrt()

    @property
    def mean(self) -> torch.Tensor:
        """E x, ``[n]``."""
        return self.mean_of(self.x)[0]

    @property
    def second(self) -> torch.Tensor:
        """E x x^T, ``[n, n]``."""
        return self.mean_of(self.x[:, :, None] * self.x[:, None, :])[0]

    def region(self) -> str:
        """What was looked at, in words."""
        if not self.numerical:
            return f"{self.how} (Pareto k-hat {self.k:.2f})"
        return f"{self.how}, spacing at most {self.spacing:.2g} rad, error {self.error:.0e}"


def sphere_moments(
    density: SphereDensity,
    peaks: Peaks,
    *,
    zonal_axis: torch.Tensor | None = None,
    num_draws: int = 8192,
    generator: torch.Generator,
) -> SphereMoments:
    """Quadrature for n = 2, 3 and for zonal densities; weighted draws else.

    Args:
        density: The target.
        peaks: Its maxima.
        zonal_axis: An axis about which it is known to be zonal, ``[n]``.
        num_draws: Weighted draws.
        generator: Random state.
    """
    if zonal_axis is not None and density.dim >= 3:
        return _zonal(density, zonal_axis)
    if density.dim <= 3:
        rule = adaptive_rule(density, peaks)
        error = math.inf if rule.undefined > 1e-6 else rule.error
        how = f"adaptive quadrature of the whole {'circle' if density.dim == 2 else 'sphere'}, {len(rule.x)} nodes"
        return SphereMoments(
            rule.x, rule.weights(), rule.log_p, rule.log_area, True, error, rule.spacing, math.nan, how
        )
    return _draws(density, peaks, num_draws, generator)


def thinned(density: SphereDensity, moments: SphereMoments) -> SphereMoments:
    """A rule of some 5,000 nodes on the sphere of R^3 where it agrees to 1e-6 with the adaptive one; else that one.

    Gauss-Legendre in the cosine times equal angles: exact for polynomials of degree 95.
    """
    if density.dim != 3 or not moments.numerical or len(moments.x) <= 6000:
        return moments
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(48))
    angle = torch.arange(96, dtype=torch.float64) * (2 * math.pi / 96)
    sine = (1 - nodes.square()).sqrt()[:, None]
    x = torch.stack([sine * angle.cos(), sine * angle.sin(), nodes[:, None].expand(-1, 96)], -1).reshape(-1, 3)
    log_area = (weights * (2 * math.pi / 96)).log()[:, None].expand(-1, 96).reshape(-1)
    log_p = density(x).detach().nan_to_num(nan=-torch.inf)
    total, wanted = (log_p + log_area).logsumexp(0), (moments.log_p + moments.log_area).logsumexp(0)
    weights = (log_p + log_area).softmax(0)
    if float((total - wanted).abs()) > 1e-6 or float((weights @ x - moments.mean).norm()) > 1e-6:
        return moments
    return replace(moments, x=x, weights=weights, log_p=log_p, log_area=log_area)


def _zonal(density: SphereDensity, axis: torch.Tensor) -> SphereMoments:
    """A rule for functions of a.x and, by symmetry, for x itself: each latitude is two opposite points.

    Panels of the angle are halved until the integrals of p and p a.x stand still, so that jumps are met as well.
    """
    axis = axis / axis.norm()
    across = tangent(axis, random_directions(1, density.dim, torch.Generator().manual_seed(4)))[0]
    across = across / across.norm()
    edges = _graded(_PANELS)
    panels, parent, top = torch.stack([edges[:-1], edges[1:]], -1), None, -math.inf
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    error = total = 0.0
    for depth in range(_DEPTH):
        theta, log_area = _latitudes(panels, density.dim)
        x = theta.cos()[..., None] * axis + theta.sin()[..., None] * across
        log_p = density((x / x.norm(dim=-1, keepdim=True)).reshape(-1, density.dim)).detach().reshape(theta.shape)
        error = math.inf if bool((torch.isnan(log_p) | (log_p == torch.inf)).any()) else error
        log_p = log_p.nan_to_num(nan=-torch.inf)
        top = float(log_p.max()) if depth == 0 else top
        mass = (log_p - top + log_area).exp()
        values = torch.stack([mass.sum(-1), (mass * theta.cos()).sum(-1)], -1)
        change = torch.full((len(panels),), torch.inf, dtype=torch.float64)
        if parent is not None:
            change = (values.reshape(-1, 2, 2).sum(1) - parent).abs().amax(-1).repeat_interleave(2) / 2
        small = change <= 1e-13 * (total + float(values[:, 0].sum()))
        small |= torch.full_like(small, depth == _DEPTH - 1)
        kept.append((theta[small].reshape(-1), log_area[small].reshape(-1)))
        if parent is not None:
            error += float(change[small].nan_to_num(nan=math.inf).sum())
        total += float(values[small, 0].sum())
        if bool(small.all()):
            break
        middle = panels[~small].mean(-1)
        low, high = panels[~small].unbind(-1)
        parent = values[~small]
        panels = torch.stack([torch.stack([low, middle], -1), torch.stack([middle, high], -1)], 1).reshape(-1, 2)
    theta, log_area = (torch.cat([k[i] for k in kept]) for i in range(2))
    x = torch.cat([theta.cos()[:, None] * axis + s * theta.sin()[:, None] * across for s in (1.0, -1.0)])
    x = x / x.norm(dim=-1, keepdim=True)
    log_p, log_area = density(x).detach().nan_to_num(nan=-torch.inf), torch.cat([log_area, log_area]) - math.log(2)
    how = f"quadrature over the angle to the axis, {len(theta)} nodes"
    relative = error / total + 1e-14 if total > 0 else math.inf
    weights = (log_p + log_area).softmax(0)
    return SphereMoments(x, weights, log_p, log_area, True, relative, math.pi / 2 / _PANELS, math.nan, how)


def _graded(panels: int) -> torch.Tensor:
    """Edges on [0, pi], closer together towards both ends."""
    half = torch.linspace(0, 1, panels // 2 + 1, dtype=torch.float64) ** 2 * (math.pi / 2)
    return torch.cat([half, math.pi - half.flip(0)[1:]])


def _latitudes(panels: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Angles ``[c, 8]`` and log-areas of their latitudes."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(8))
    low, high = panels[:, :1], panels[:, 1:]
    theta = low + (high - low) * (1 + nodes) / 2
    return theta, ((high - low) / 2 * weights).log() + (dim - 2) * theta.sin().log() + log_sphere_area(dim - 1)


def _draws(density: SphereDensity, peaks: Peaks, count: int, generator: torch.Generator) -> SphereMoments:
    n = density.dim
    mass = peaks.height + (n - 1) * peaks.width.clamp_max(2.0).log()
    share = (1 - _UNIFORM_SHARE) * mass.softmax(0)
    kappa = 0.7 * peaks.width.clamp_max(10.0).pow(-2)
    kappa = torch.where(peaks.width >= 3, 0.0, kappa)
    numbers = (share * count).round().long()
    parts = [random_directions(count - int(numbers.sum()), n, generator)]
    laws = [VonMisesFisher(x, k) for x, k in zip(peaks.x, kappa, strict=True)]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))  # not those of GPUs
        parts += [law.sample((int(m),)) for law, m in zip(laws, numbers, strict=True) if int(m)]
    x = torch.cat(parts)
    x = x / x.norm(dim=-1, keepdim=True)
    log_q = [torch.full((len(x),), math.log(len(parts[0]) / count) - log_sphere_area(n), dtype=torch.float64)]
    log_q += [law.log_prob(x) + math.log(int(m) / count) for law, m in zip(laws, numbers, strict=True) if int(m)]
    log_p = density(x).detach()
    undefined = bool((log_p == torch.inf).any()) or float(torch.isnan(log_p).double().mean()) > _MOST_UNDEFINED
    log_p = torch.where(log_p < torch.inf, log_p, -torch.inf)
    undefined |= float(log_p.max()) < float(peaks.height.max()) - 2 * n - 3  # a maximum that no draw came near
    log_area = -torch.stack(log_q).logsumexp(0)
    k = math.inf if undefined else pareto_k(log_p + log_area)
    weights = (log_p + log_area).softmax(0)
    return SphereMoments(x, weights, log_p, log_area, False, math.nan, math.nan, k, f"{len(x)} weighted draws")
