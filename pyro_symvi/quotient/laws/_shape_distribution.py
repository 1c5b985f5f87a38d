"""The law of a diffusion's samples as a Pyro distribution."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from ..._value import positive_int
from ...groups import PointCloudAction
from .._context import Context
from .._process import Denoiser, Diffusion
from ..samplers import ODESampler, Sampler
from ._density import flow_log_density
from ._flow import flow
from ._support import CentredClouds

SPACES = ("total", "quotient")
DIVERGENCES = ("exact", "hutchinson")


class ShapeDistribution(TorchDistribution):
    r"""What a diffusion's ODE makes of its prior: a law on centred clouds that no rotation changes.

    Draws solve dx = v dt from the prior at t = 0 to t = 1. The log density is that of the same flow by the
    instantaneous change of variables,

    .. math:: \log p(x_1) = \log p_0(x_0) - \int_0^1 \mathrm{div}\, v(x_t, t)\, dt,

    solved backwards from the value. It is invariant under rotations, as the prior is, if the denoiser is equivariant;
    a network that is so only by training is not exactly.

    **Against which measure.** ``space="total"``, the default, is the density with respect to Lebesgue measure on the
    (N - 1) d dimensional space of centred clouds (Euclidean volume; N d without translations in the group). This is
    the one for a Pyro model: the other terms of a joint density are densities of coordinates, and coordinates are
    what Monte Carlo moves and automatic guides differentiate. ``space="quotient"`` is the density of the shape with
    respect to the Riemannian volume of the quotient: log p + log volume of the orbit, up to a constant. Take it to
    compare shapes with one another (the most probable shape has no meaning otherwise), not as a factor next to
    likelihoods. In ratios of two such laws at the same shape the two agree, so that importance weights between a
    prior and a guide do not depend on the choice, as long as both make the same.

    **Gradients.** Under an ODE sampler a draw is a differentiable map of the prior's noise, hence ``rsample``
    (``has_rsample`` is True): gradients reach the network's parameters, the context's features and the noise. Other
    samplers draw without gradients, and ``has_rsample`` is False; the log density is the ODE's nevertheless: with an
    exact denoiser both have the same law, with a learned one they do not, and importance weights are off by that.
    ``log_prob`` is differentiable in the value, the parameters and the features as well, at the price of keeping the
    whole integration in memory; call it under ``torch.no_grad()``, or with a network that asks for no gradients,
    where none is wanted.

    **Accuracy.** Draws and densities carry the errors of their time steps, of order steps^-2 (Heun's method) and
    steps^-4 (Runge-Kutta) where the law is smooth at the scale of the steps; double both numbers to see them. Stiff
    directions (bonds much stiffer than bends) need more: along one of standard deviation s, draws of a normal law by
    Heun's method are too narrow by a share of 0.4 (s_0 / (steps s))^2, s_0 the prior's scale.
    With ``divergence="hutchinson"`` the log density is random and its exponential biased. On straight clouds, and
    where all points coincide, orbits have fewer dimensions and gradients are those along clouds of the same kind; both
    have probability zero, but the second is where Pyro's automatic guides start by default: give them
    ``init_loc_fn=init_to_sample``.

    Shapes: ``event_shape (N, d)``; ``batch_shape`` is that of the context, () without one. Cost of an exact
    ``log_prob``: N d backward passes for each call of the denoiser, or one by ``divergence="hutchinson"``. NUTS asks
    for it thousands of times: reparametrise by :class:`NoiseReparam`, which needs no ``log_prob``.

    Args:
        diffusion: action, path and prior; a point cloud action without weights (masks go into the context).
        denoiser: E[x_1 | x_t], a network or an exact one.
        points: N; may be left out where a context tells.
        context: what is known of each cloud, batch shape ``[*batch]``.
        sampler: how draws are made; ``ODESampler()`` where None.
        space: ``"total"`` or ``"quotient"``.
        steps: time steps of ``log_prob``, of four calls of the denoiser each.
        divergence: ``"exact"`` or ``"hutchinson"``.
        dtype, device: of draws; those of the network's parameters where None, torch's defaults without any.

    Raises:
        TypeError: for a diffusion, denoiser or sampler of another type.
        ValueError: for an action that is not of unweighted clouds, points that are missing or contradict the context,
            an unknown space or divergence.

    Source: Chen et al., Neural ordinary differential equations, arXiv 1806.07366, section 4; Song et al., Score-based
    generative modeling through stochastic differential equations, arXiv 2011.13456, appendix D.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        diffusion: Diffusion,
        denoiser: Denoiser,
        points: int | None = None,
        context: Context | None = None,
        *,
        sampler: Sampler | None = None,
        space: str = "total",
        steps: int = 30,
        divergence: str = "exact",
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        validate_args: bool | None = None,
    ) -> None:
        dimension = _check(diffusion, denoiser, space, divergence)
        if not isinstance(sampler, Sampler | None):
            raise TypeError(f"expected a Sampler, got {sampler!r}; try ODESampler()")
        known = None if context is None else context.shape
        if known is not None and points is not None and known[-1] != points:
            raise ValueError(f"expected as many points as the context has, {known[-1]}, got {points}")
        if known is None and points is None:
            raise ValueError("expected points or a context, because the size of the clouds is open; try points=5")
        count = positive_int(points if known is None else known[-1], "points", 2)
        like = next(denoiser.parameters(), None) if isinstance(denoiser, torch.nn.Module) else None
        self.diffusion, self.denoiser, self.context = diffusion, denoiser, context if known is not None else None
        self.sampler = ODESampler() if sampler is None else sampler
        self.space, self.steps, self.divergence = space, positive_int(steps, "steps"), divergence
        self.dtype = dtype or (torch.get_default_dtype() if like is None else like.dtype)
        self.device = torch.device(device or ("cpu" if like is None else like.device))
        batch = torch.Size() if known is None else known[:-1]
        super().__init__(batch, torch.Size([count, dimension]), validate_args=validate_args)

    @property
    def has_rsample(self) -> bool:
        """Whether draws are differentiable: under an ODE sampler without a corrector."""
        return isinstance(self.sampler, ODESampler) and self.sampler.corrector is None

    @property
    def support(self) -> CentredClouds:
        """Centred clouds, padding at zero."""
        return CentredClouds(self.event_shape[0], None if self.context is None else self.context.mask)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """The same law with the batch shape enlarged."""
        new = self._get_checked_instance(ShapeDistribution, _instance)
        for name in ("diffusion", "denoiser", "sampler", "space", "steps", "divergence", "dtype", "device"):
            setattr(new, name, getattr(self, name))
        new.context = self._context(torch.Size(batch_shape))
        super(ShapeDistribution, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    # -- draws ---------------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Draws ``[*sample_shape, *batch, N, d]``, from torch's global generator."""
        shape = self._extended_shape(sample_shape)
        return self.sampler.sample(
            self.diffusion, self.denoiser, shape, self._context(shape[:-2]), dtype=self.dtype, device=self.device
        )

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """The same, with gradients; under an ODE sampler."""
        self._check_differentiable()
        return self.from_noise(self.noise(sample_shape))

    def noise(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Standard normals ``[*sample_shape, *batch, N, d]``, the argument of :meth:`from_noise`."""
        return torch.randn(self._extended_shape(sample_shape), dtype=self.dtype, device=self.device)

    def from_noise(self, noise: Tensor) -> Tensor:
        """The draw that noise ``[*sample_shape, *batch, N, d]`` leads to; noise is centred first."""
        sampler = self._check_differentiable()
        context = self._context(noise.shape[:-2])
        start = self.diffusion.prior.apply(torch.sqrt, self.diffusion.centre(noise, context), context)
        return flow(self.diffusion, self.denoiser, start, context, sampler)

    def _check_differentiable(self) -> ODESampler:
        if not isinstance(self.sampler, ODESampler) or self.sampler.corrector is not None:
            raise NotImplementedError(
                f"expected an ODE sampler without a corrector, got {self.sampler!r}, because only its draws are a "
                "function of the prior's noise; try sample(), or sampler=ODESampler()"
            )
        return self.sampler

    # -- density -------------------------------------------------------------------------------------------------------
    def log_prob(self, value: Tensor) -> Tensor:
        """The log density ``[*batch]`` in ``space``, for values ``[*batch, N, d]``."""
        if self._validate_args:
            self._validate_sample(value)
        batch = torch.broadcast_shapes(value.shape[:-2], self.batch_shape)
        value = value.expand(*batch, *self.event_shape)
        return flow_log_density(
            self.diffusion,
            self.denoiser,
            value,
            self._context(batch),
            space=self.space,
            steps=self.steps,
            divergence=self.divergence,
            horizontal=self.sampler.horizontal,
        )

    # -- helpers -------------------------------------------------------------------------------------------------------
    def _context(self, batch: torch.Size) -> Context | None:
        """The context with this batch shape; the one that is there where it fits, since it remembers spectra."""
        if self.context is None or self.context.shape is None or self.context.shape[:-1] == batch:
            return self.context
        own = len(self.context.shape) - 1
        return self.context.map(lambda field: field.expand(*batch, *field.shape[own:]))

    def __repr__(self) -> str:
        return f"ShapeDistribution(batch_shape={list(self.batch_shape)}, event_shape={list(self.event_shape)})"


def _check(diffusion: object, denoiser: object, space: str, divergence: str) -> int:
    """The dimension of space, if all is well."""
    if not isinstance(diffusion, Diffusion):
        raise TypeError(f"expected a Diffusion, got {diffusion!r}; try Diffusion()")
    if not callable(denoiser):
        raise TypeError(f"expected a denoiser, a function of x, t and context, got {denoiser!r}")
    action = diffusion.action
    if not isinstance(action, PointCloudAction) or not action.centred or action.weights is not None:
        raise ValueError(
            f"expected an action of rigid motions on clouds without weights, got {action!r}, because densities are "
            "taken on centred clouds; try PointCloudAction(SpecialEuclidean(3)), with masks in the context"
        )
    for name, given, known in (("space", space, SPACES), ("divergence", divergence, DIVERGENCES)):
        if given not in known:
            raise ValueError(f"expected {name} to be one of {', '.join(known)}, got {given!r}")
    return action.motions.n
