"""How a divergence bends in the location of a fitted law: its Hessian there, from draws."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch.quasirandom import SobolEngine

from ...density import LogDensity
from ...density._importance import WeightedDraws
from ...families import LocationScale, Parameters

_DRAWS = 2048
_FEW = 256
"""Where the density is a loop, or each draw is moved along every axis."""
_STEP = 0.3
_REPLICATES = 8


@dataclass(frozen=True)
class LocationCurvature:
    """The least curvature of a divergence in the location.

    Attributes:
        least: An estimate of the smallest eigenvalue, in units of the fitted scale; one where guide and target are the
            same normal law.
        error: Its standard error.
        largest: The largest eigenvalue.
        direction: Its direction in the flat space ``[d]``, each entry in units of the coordinate's fitted scale.
        others: The same for the other eigenvectors, in ascending order.
    """

    least: float
    error: float
    largest: float
    direction: torch.Tensor
    others: tuple[LocationCurvature, ...] = field(default=(), repr=False)

    @property
    def weak(self) -> tuple[LocationCurvature, ...]:
        """Every direction along which the divergence falls or is flat."""
        return tuple(found for found in (self, *self.others) if found.falls or found.flat)

    @property
    def falls(self) -> bool:
        """Whether the divergence falls along the direction, by more than four standard errors."""
        return self.least + 4 * self.error < -1e-6 * max(1.0, self.largest)

    @property
    def flat(self) -> bool:
        """Whether no curvature is seen at all, and the draws would have shown a little."""
        level = 1e-6 * min(1.0, self.largest) if self.largest > 0 else 1e-6
        return abs(self.least) + 4 * self.error <= level

    def moved(self, share: float = 0.1) -> tuple[int, ...]:
        """Coordinates that the direction moves by at least this share of the largest."""
        size = self.direction.abs()
        return tuple(torch.nonzero(size >= share * size.max()).flatten().tolist())


def location_curvature(
    density: LogDensity,
    family: LocationScale,
    parameters: Parameters,
    alpha: float,
    draws: WeightedDraws | None,
    generator: torch.Generator,
) -> LocationCurvature | None:
    r"""The least eigenvalue of the Hessian of :math:`D_\alpha` in the location, scale held; None if out of reach.

    Integrating by parts once, with :math:`w\propto p^\alpha q^{1-\alpha}`,

    .. math:: C^\top \partial_\nu^2 D\, C \propto E_w\big[(C^\top\nabla\log p)\,(\nabla\log q_0)^\top\big],

    which needs one gradient a draw and is right also where log p has kinks. For alpha <= 0 the draws are the guide's
    own (:math:`w = 1` at 0, reverse KL); above, the weighted draws of the target. There a
    smooth base needs no derivative of the target, which may then have jumps:
    :math:`\alpha^{-1}E_w[-\nabla^2\log q_0-(1-\alpha)\nabla\log q_0\nabla\log q_0^\top]`; other bases are moved by 0.3
    scales to both sides. A base of bounded support has its mean gradient of log p compared at both sides.

    The eigenvector is taken from one half of the draws, the curvature along it from the other, so that it is unbiased.

    Args:
        density: The target.
        family: The fitted family.
        parameters: Its parameters.
        alpha: The exponent on the target.
        draws: Weighted draws of the target, for alpha > 0.
        generator: Random state.
    """
    if alpha <= 0 and family.law.full_support:
        terms = _by_the_guide(density, family, parameters, alpha, generator)
    elif alpha <= 0:
        return _by_displacement(density, family, parameters, generator) if alpha == 0 else None
    elif draws is None or not draws.reliable:
        return None
    else:
        terms = _by_the_target(density, family, parameters, alpha, draws)
    if terms is None:
        return None
    left, right, offset, weights = terms
    return _least(family, parameters, left, right, offset, weights)


Terms = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""``left[n, d]``, ``right[n, d]``, ``offset[n, d, d]`` or ``[n, 0]``, weights ``[n]``: terms left right^T + offset."""


def base_draws(family: LocationScale, count: int, generator: torch.Generator) -> torch.Tensor:
    """Draws of the base ``[8, count / 8, d]``: eight independent scrambled Sobol sets, each closed under negation."""
    needed = family.law.uniforms_needed(family.dim)
    sets = []
    for _ in range(_REPLICATES):
        seed = int(torch.randint(2**31, (1,), generator=generator))
        uniforms = SobolEngine(needed, scramble=True, seed=seed).draw(count // (2 * _REPLICATES), dtype=torch.float64)
        half = torch.from_numpy(family.law.noise(uniforms.clamp(1e-12, 1 - 1e-12).numpy())).double()
        sets.append(torch.cat([half, -half]))
    return torch.stack(sets)


def _score(family: LocationScale, parameters: Parameters, noise: torch.Tensor) -> torch.Tensor:
    leaf = noise.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(family.log_base(leaf, parameters).sum(), leaf)
    return gradient


def _pull(family: LocationScale, parameters: Parameters, gradients: torch.Tensor) -> torch.Tensor:
    """``C^T g`` for rows g."""
    return gradients @ family.matrix(parameters["scale"])


def _by_the_guide(
    density: LogDensity, family: LocationScale, parameters: Parameters, alpha: float, generator: torch.Generator
) -> Terms | None:
    noise = base_draws(family, _DRAWS if density.vectorized else _FEW, generator).flatten(0, 1)
    z = parameters["loc"] + family.apply(parameters["scale"], noise)
    values, gradients = density.value_and_grad(z)
    left, right = _pull(family, parameters, gradients), _score(family, parameters, noise)
    good = torch.isfinite(values) & torch.isfinite(left).all(-1) & torch.isfinite(right).all(-1)
    if float(good.double().mean()) < 0.99:
        return None
    log_w = alpha * (values - family.log_base(noise, parameters)) if alpha else torch.zeros_like(values)
    weights = torch.where(good, log_w, -torch.inf).softmax(0)
    if float(weights.square().sum()) > 0.01:
        return None
    return left.nan_to_num(), right.nan_to_num(), torch.zeros(len(noise), 0), weights


def _by_the_target(
    density: LogDensity, family: LocationScale, parameters: Parameters, alpha: float, draws: WeightedDraws
) -> Terms | None:
    z = draws.z
    log_q = family.log_prob(z, parameters)
    log_w = alpha * draws.log_p + (1 - alpha) * log_q - draws.log_proposal(z)
    weights = log_w.nan_to_num(nan=-torch.inf).softmax(0)
    if not bool(torch.isfinite(weights).all()) or float(weights.square().sum()) > 0.01:
        return None
    u = family.standardize(z, parameters)
    law = family.law.name
    if law == "normal":
        eye = torch.eye(family.dim, dtype=torch.float64).expand(len(u), -1, -1)
        return (alpha - 1) / alpha * u, u, eye / alpha, weights
    if law in ("student_t", "cauchy", "logistic"):
        score = _score(family, parameters, u)
        bent = torch.func.vmap(torch.func.hessian(lambda x: family.log_base(x[None], parameters)[0]))(u)
        return (alpha - 1) / alpha * score, score, -bent / alpha, weights
    if family.dim > 64:
        return None
    columns = []
    for k in range(family.dim):  # the score at displaced laws, whose difference holds the kink's share
        moved = torch.zeros(family.dim, dtype=torch.float64)
        moved[k] = _STEP
        ahead, behind = _score(family, parameters, u - moved), _score(family, parameters, u + moved)
        ratio = [
            ((1 - alpha) * (family.log_base(v, parameters) - family.log_base(u, parameters))).exp()[:, None]
            for v in (u - moved, u + moved)
        ]
        columns.append((ratio[0] * ahead - ratio[1] * behind) / (2 * _STEP))
    offset = torch.stack(columns, -1) / alpha
    none = torch.zeros_like(u)
    return none, none, offset, weights


def _by_displacement(
    density: LogDensity, family: LocationScale, parameters: Parameters, generator: torch.Generator
) -> LocationCurvature | None:
    """Reverse KL under a base of bounded support: differences of the mean gradient of log p."""
    if family.dim > 64:
        return None
    noise = base_draws(family, _FEW, generator).flatten(0, 1)
    z = parameters["loc"] + family.apply(parameters["scale"], noise)
    columns = family.apply(parameters["scale"], _STEP * torch.eye(family.dim, dtype=torch.float64))
    ahead = _pull(family, parameters, density.value_and_grad(z[:, None] + columns)[1])
    behind = _pull(family, parameters, density.value_and_grad(z[:, None] - columns)[1])
    offset = -(ahead - behind) / (2 * _STEP)
    if not bool(torch.isfinite(offset).all()):
        return None
    none = torch.zeros_like(z)
    weights = torch.full((len(z),), 1 / len(z), dtype=torch.float64)
    return _least(family, parameters, none, none, offset, weights)


def _least(
    family: LocationScale,
    parameters: Parameters,
    left: torch.Tensor,
    right: torch.Tensor,
    offset: torch.Tensor,
    weights: torch.Tensor,
) -> LocationCurvature:
    """From eight sets of draws: the directions from four, curvatures along them, and errors, from the others."""
    size = len(weights) // _REPLICATES
    sets = [slice(k * size, (k + 1) * size) for k in range(_REPLICATES)]
    fold = sets[_REPLICATES // 2].start

    def mean(part: slice) -> torch.Tensor:
        w = weights[part] / weights[part].sum().clamp_min(1e-300)
        found = (w[:, None] * left[part]).mT @ right[part]
        if offset.ndim == 3:
            found = found + torch.einsum("n,nab->ab", w, offset[part])
        return (found + found.mT) / 2

    values, vectors = torch.linalg.eigh(mean(slice(fold)))
    along = torch.stack([((mean(part) @ vectors) * vectors).sum(0) for part in sets[_REPLICATES // 2 :]])
    least, error = along.mean(0).tolist(), (along.std(0) / len(along) ** 0.5).tolist()
    unit = family.matrix(parameters["scale"])
    directions = (unit @ vectors).mT / unit.square().sum(-1).sqrt()
    first, *others = [
        LocationCurvature(value, spread, float(values[-1]), direction)
        for value, spread, direction in zip(least, error, directions, strict=True)
    ]
    return replace(first, others=tuple(others))
