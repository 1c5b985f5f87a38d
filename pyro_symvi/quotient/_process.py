"""The diffusion of one quotient space: an action, a path and a prior, and all that follows from a denoiser."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._value import Value
from ..groups import (
    Action,
    Conjugation,
    HermitianConjugation,
    PointCloudAction,
    SpecialEuclidean,
    TranslationAction,
)
from ._context import Context
from ._interpolants import Interpolant, Linear
from ._priors import GaussianPrior, HarmonicPrior, Prior

Denoiser = Callable[[Tensor, Tensor, Context | None], Tensor]
"""D(x, t, context), an estimate of E[x_1 | x_t = x]: points ``[*batch, *event_shape]``, times ``[*batch]``."""


@dataclass(frozen=True, eq=False, repr=False)
class Diffusion(Value):
    """Noise to data on M / G for an action of G on M by isometries; rigid motions of clouds in space by default.

    x_t = alpha x_0 + beta x_1 + gamma eps with x_0 ~ N(0, Sigma). Given x_1, x_t is normal about beta x_1 with
    covariance C = alpha^2 Sigma + gamma^2, so that velocity and score follow from a denoiser D = E[x_1 | x_t]:

        v = beta' D + (C'/2) C^-1 (x - beta D),     s = grad log p_t = -C^-1 (x - beta D).

    Under a group with translations (``SpecialEuclidean``) everything lives on centred clouds. Points of weight 0
    and those a context masks stay at zero. Weights of the action are masses: noise is normal in the metric
    sum_n w_n |v_n|^2.

    Args:
        action: whose orbits do not matter. Linear or by rigid motions; see ``Action``.
        interpolant: the path.
        prior: of x_0.

    Raises:
        ValueError: for an action that changes lengths or moves the origin (other than by rigid motions of clouds, or
            translations), a harmonic prior with other than centred clouds of equal masses.

    Source: Xu et al., arXiv 2604.21809, section 3, for which the curvature term is taken with the sign of its
    theorem 4, not with that of its equation 12.
    """

    action: Action = field(default_factory=lambda: PointCloudAction(SpecialEuclidean(3)))
    interpolant: Interpolant = field(default_factory=Linear)
    prior: Prior = field(default_factory=GaussianPrior)

    def __post_init__(self) -> None:
        for name, kind in (("action", Action), ("interpolant", Interpolant), ("prior", Prior)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"expected {name} to be an {kind.__name__}, got {getattr(self, name)!r}")
        self._check_isometries()
        if isinstance(self.prior, HarmonicPrior) and (
            not isinstance(self.action, PointCloudAction) or not self.action.centred or self.action.weights is not None
        ):
            raise ValueError(
                f"expected PointCloudAction(SpecialEuclidean(d)) without weights, got {self.action!r}, because the "
                "harmonic prior is a law of centred clouds of equal masses; try GaussianPrior()"
            )

    def _check_isometries(self) -> None:
        """Refuse actions under which the prior is not invariant: those that change the length of a point."""
        action = self.action
        if isinstance(action, PointCloudAction | TranslationAction) or min(action.event_shape, default=1) < 1:
            return
        kept = action.group.is_compact
        if kept:
            generator = torch.Generator().manual_seed(0)
            x = self.centre(torch.randn(8, *action.event_shape, dtype=torch.float64, generator=generator))
            moved = action.act(action.group.sample((8,), generator=generator, dtype=torch.float64), x)
            kept = torch.allclose(moved.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1), rtol=1e-6)
        if not kept:
            raise ValueError(
                f"expected an action by isometries that leave the origin in place, got {action!r}, because noise about "
                "the origin would not be invariant; try coordinates in which it is one"
            )

    # -- the space -------------------------------------------------------------------------------------------------
    def action_for(self, context: Context | None) -> Action:
        """The action with masked points as points of weight 0."""
        if context is None or context.mask is None:
            return self.action
        if not isinstance(self.action, PointCloudAction):
            raise ValueError(f"expected an action on clouds, got {self.action!r}, because the context has a mask")
        # the entry keeps the action alive, so that its id stays its own
        return context.remember(("action", id(self.action)), lambda: (self.action, self._masked(context)))[1]

    def _masked(self, context: Context) -> Action:
        mask, weights = context.mask, _weights(self.action)
        if mask is None or (weights is None and bool(mask.all())):
            return self.action
        masses = mask.double() if weights is None else mask.double() * weights.to(mask.device)
        return dataclasses.replace(self.action, weights=masses)  # type: ignore[type-var]

    def centre(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The point x without its centre where translations belong to the group, padding at zero; matrices under
        conjugation become symmetric or Hermitian. An orthogonal projection on the space that is diffused on."""
        if not isinstance(x, Tensor) or not (x.is_floating_point() or x.is_complex()):
            raise TypeError(
                f"expected points as a tensor of a floating dtype, got {getattr(x, 'dtype', type(x).__name__)}"
            )
        action = self.action_for(context)
        if isinstance(action, PointCloudAction):
            _check_count(action, x, context)
        if isinstance(action, Conjugation):
            return (x + x.mT) / 2
        if isinstance(action, HermitianConjugation):
            return (x + x.transpose(-3, -2) * x.new_tensor([1.0, -1.0])) / 2
        if not isinstance(action, PointCloudAction):
            return x
        if action.centred:
            x = action.centre(x)[0]
        weights = _weights(action)
        return x if weights is None else torch.where(weights.to(x)[..., None] > 0, x, 0.0)

    def project(self, x: Tensor, v: Tensor, context: Context | None = None) -> Tensor:
        """Horizontal part of v at x."""
        return self.action_for(context).project(x, v)

    def mean_curvature(self, x: Tensor, context: Context | None = None) -> Tensor:
        """H = -grad log vol of the orbit through x: it points to smaller orbits."""
        return self.action_for(context).mean_curvature(x)

    def log_orbit_volume(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The log volume of the orbit through x up to a constant, ``[*batch]``."""
        return self.action_for(context).log_orbit_volume(x)

    # -- noise -----------------------------------------------------------------------------------------------------
    def noise(
        self, like: Tensor, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """A standard normal draw of the space in the action's metric, centred; shape of ``like``."""
        action = self.action_for(context)
        if isinstance(action, PointCloudAction):
            _check_count(action, like, context)
        z = torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=generator)
        weights = _weights(action)
        if weights is not None:
            weights = weights.to(z)[..., None]
            z = torch.where(weights > 0, z / torch.where(weights > 0, weights, 1.0).sqrt(), 0.0)
        return self.centre(z, context)

    def sample_prior(
        self, like: Tensor, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """x_0, in the shape, dtype and device of ``like``."""
        return self.prior.apply(torch.sqrt, self.noise(like, context, generator=generator), context)

    def interpolate(
        self, x1: Tensor, t: Tensor, context: Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """A draw of x_t given x_1: points ``[*batch, *event_shape]``, times ``[*batch]``."""
        time = self.column(t, x1)
        noise = self.noise(x1, context, generator=generator)
        spread = self.prior.apply(lambda s: self.interpolant.variance(time, s).sqrt(), noise, context)
        return self.interpolant.beta(time) * self.centre(x1, context) + spread

    # -- what follows from a denoiser ------------------------------------------------------------------------------
    def denoise(self, denoiser: Denoiser, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """D(x, t), centred: ``denoiser`` is called with times ``[*batch]``."""
        batch = x.shape[: x.ndim - len(self.action.event_shape)]
        denoised = denoiser(x, t.to(x).expand(batch), context)
        if not isinstance(denoised, Tensor) or denoised.shape != x.shape:
            got = list(denoised.shape) if isinstance(denoised, Tensor) else type(denoised).__name__
            raise ValueError(f"expected a denoiser that returns the shape of its points, {list(x.shape)}, got {got}")
        return self.centre(denoised, context)

    def velocity(self, x: Tensor, t: Tensor, denoised: Tensor, context: Context | None = None) -> Tensor:
        """The drift of the probability flow, v = beta' D + (C'/2) C^-1 (x - beta D); t < 1."""
        time, path = self.column(t, x), self.interpolant
        return path.beta_rate(time) * denoised + self.prior.apply(
            lambda s: path.half_variance_rate(time, s) / path.variance(time, s),
            x - path.beta(time) * denoised,
            context,
        )

    def score(self, x: Tensor, t: Tensor, denoised: Tensor, context: Context | None = None) -> Tensor:
        """The score s = -C^-1 (x - beta D) = grad log p_t(x) in the action's metric; t < 1."""
        time, path = self.column(t, x), self.interpolant
        return self.prior.apply(lambda s: -1 / path.variance(time, s), x - path.beta(time) * denoised, context)

    def velocity_error(
        self, t: Tensor, difference: Tensor, context: Context | None = None, *, clip: float = 10.0
    ) -> Tensor:
        """What a denoiser that is off by ``difference`` does to the velocity: (beta' - beta (C'/2) C^-1) difference.

        The factor grows as 1 / (1 - t) near data; ``clip`` is the largest that is used, so that a loss is finite,
        also for times that round to 1 in the dtype of the points.
        """
        time, path = self.column(t, difference), self.interpolant

        def factor(s: Tensor) -> Tensor:
            rate, variance = path.half_variance_rate(time, s), path.variance(time, s)
            ratio = torch.where(variance > 0, rate / variance, -math.inf)
            return (path.beta_rate(time) - path.beta(time) * ratio).clamp(max=clip)

        return self.prior.apply(factor, difference, context)

    # -- helpers ---------------------------------------------------------------------------------------------------
    def column(self, t: Tensor, x: Tensor) -> Tensor:
        """Times ``[*batch]`` (or one time for all) in the shape that broadcasts against points x."""
        t = torch.as_tensor(t).to(x)
        return t.reshape(*t.shape, *(1,) * len(self.action.event_shape)) if t.ndim else t


def _weights(action: Action) -> Tensor | None:
    """Masses of the points of a cloud, None where all are equal or the space is not of clouds."""
    weights = action.weights if isinstance(action, PointCloudAction) else None
    return None if weights is None else torch.as_tensor(weights)


def _check_count(action: PointCloudAction, x: Tensor, context: Context | None) -> None:
    """Refuse clouds of another number of points than the context or the weights have."""
    known = None if context is None else context.shape
    count = action.event_shape[0] if known is None else known[-1]
    if x.ndim < 2 or x.shape[-2] < 1 or count not in (-1, x.shape[-2]):
        wanted = "at least one point" if count == -1 else f"{count} points, as the context or the weights have"
        raise ValueError(f"expected clouds [*batch, N, {action.motions.n}] of {wanted}, got {list(x.shape)}")


def metric(action: Action, a: Tensor, b: Tensor) -> Tensor:
    """The inner product of tangent vectors in the action's metric, sum_n w_n a_n . b_n for clouds, ``[*batch]``."""
    product, weights = a * b, _weights(action)
    if weights is not None:
        product = product * weights.to(product)[..., None]
    return product.sum(tuple(range(-len(action.event_shape), 0)))
