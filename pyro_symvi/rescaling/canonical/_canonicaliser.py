"""The canonical form of a network's parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._value import Value
from ...groups import NonCompactGroupError, UnsupportedError
from ...groups._errors import sentence
from .._group import RescalingGroup
from ..criteria import Criterion, read_criterion
from ..solvers import SOLVERS
from ._gauge import Gauge, gauge_of
from ._implicit import CanonicalScale
from ._orbit_law import OrbitLaw
from ._order import UnitOrder
from ._relabelling import Relabelling, UnitClass
from ._verification import Unsorted, permutable_units
from ._volume import log_faddeev_popov

_STEPS = 2.0**30
"""Weights that differ by less than the largest over this count as equal when canonical points are sorted."""

_LARGEST_DENSE = 3000
"""Units beyond which Hessians are not written down here; the solver's own optimum stands."""

_ROUNDING = 1e-8
"""A Newton step of this size leaves an error of its square."""

_LARGEST_ERROR = 1e-6
"""In log scales; canonical points further off are refused."""


@dataclass(frozen=True, eq=False, repr=False)
class Canonicaliser(Value):
    """One representative of each orbit of rescaling (and of permuting units).

    Along an orbit theta e^{-B z / 2} the criterion is convex with one minimiser z(theta): that point depends on the
    orbit alone, and theta -> (canonical point, z) is one to one. Permuting units is the other symmetry: after
    rescaling, units are sorted (:class:`UnitOrder`), those that a sum ties or a depthwise convolution joins together.
    Which may be permuted is read off the shapes of the parameters and tried on numbers; ``unsorted`` names those that
    failed. Units at scale one (of tanh, or ahead of batch normalisation) and whole groups of grouped convolutions stay
    where they are; units that zeros cut off keep the scale they have, so that points of one orbit differ there. Both
    together are the wreath order, rescale first, then sort: canon(g theta) = canon(theta) for g in R_+^H x| prod S_n.

    A vector with permuted units gives the same canonical point to the last bit, one with rescaled units up to the
    rounding of the optimum. Weights are compared exactly before rescaling, and in steps of 2^-30 of the largest one
    after it, so that rounding decides on no tie: units that agree to nine digits count as copies. The canonical point
    jumps where two units change places, and is smooth in between.

    Attributes:
        group: the rescalings, :meth:`RescalingGroup.from_module`.
        criterion: ``"path"``, ``"l2"`` or ``"range"``, or a :class:`Criterion`. The first two can be differentiated.
        sort: whether units are sorted.
        solver: name of the solver of the convex problem.
        tol: of its optimality condition; Newton steps follow until only rounding is left.

    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    >>> group = RescalingGroup.from_module(net, (3,))
    >>> canon = Canonicaliser(group, "l2")
    >>> point, log_scale = canon(torch.randn(5, group.dim))
    >>> point.shape, log_scale.shape
    (torch.Size([5, 21]), torch.Size([5, 4]))

    Raises:
        TypeError: for anything but a ``RescalingGroup``.
        ValueError: for an unknown solver.
    """

    group: RescalingGroup
    criterion: str | Criterion = "path"
    _: KW_ONLY
    sort: bool = True
    solver: str = "newton"
    tol: float = 1e-9

    def __post_init__(self) -> None:
        if not isinstance(self.group, RescalingGroup):
            raise TypeError(
                f"expected a RescalingGroup, got {type(self.group).__name__}; "
                "try RescalingGroup.from_module(model, input_shape)"
            )
        object.__setattr__(self, "criterion", read_criterion(self.criterion))
        if self.solver not in SOLVERS:
            raise ValueError(f"expected a solver among {sorted(SOLVERS)}, got {self.solver!r}")

    def __repr__(self) -> str:
        group = f"{self.group.num_units} units, {self.group.dim} parameters"
        return f"Canonicaliser({group}, criterion={self.criterion!r}, sort={self.sort})"

    @cached_property
    def gauge(self) -> Gauge | None:
        """The condition that canonical points meet; None where it cannot be differentiated."""
        return gauge_of(self.criterion, self.group.traced)  # type: ignore[arg-type]

    @cached_property
    def _permutations(self) -> tuple[Relabelling, tuple[UnitClass, ...], tuple[Unsorted, ...]]:
        return permutable_units(self.group.traced)

    @cached_property
    def _order(self) -> UnitOrder:
        return UnitOrder(self._permutations[0], self.classes)

    @property
    def classes(self) -> tuple[UnitClass, ...]:
        """The units that may be permuted, class by class."""
        return self._permutations[1]

    @property
    def unsorted(self) -> tuple[Unsorted, ...]:
        """Units that look interchangeable and are not, with the reason."""
        return self._permutations[2]

    def __call__(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The canonical point ``[*batch, dim]`` and z ``[*batch, H]`` of theta ``[*batch, dim]``.

        act(theta, z) is the canonical point, but for the places of its units: z is that of the units as theta has them.
        """
        theta = self._checked(theta)
        if not self.sort or not self.classes:
            z = self.log_scale(theta)
            return self.group.act(theta, z), z
        order = self._order
        first, places = self._sorting(order, theta, exactly=True)
        z = self.log_scale(theta.gather(-1, first))
        point = self.group.act(theta.gather(-1, first), z)
        second, _ = self._sorting(order, point, exactly=False)
        return point.gather(-1, second), z.gather(-1, places)

    def _sorting(self, order: UnitOrder, theta: Tensor, *, exactly: bool) -> tuple[Tensor, Tensor]:
        """Where entries come from ``[*batch, dim]``, and where units go ``[*batch, H]``."""
        sources, images = [], []
        for row in theta.detach().double().cpu().reshape(-1, theta.shape[-1]).numpy():
            values = row if exactly else np.rint(row * (_STEPS / (np.abs(row).max() or 1.0)))
            found = order(values)
            sources.append(torch.from_numpy(found.source))
            images.append(torch.from_numpy(found.images))
        batch = theta.shape[:-1]
        if not sources:
            return theta.new_zeros(theta.shape).long(), theta.new_zeros(*batch, self.group.num_units).long()
        return (torch.stack(x).reshape(*batch, -1).to(theta.device) for x in (sources, images))  # type: ignore[return-value]

    def log_scale(self, theta: Tensor) -> Tensor:
        """The log scale z ``[*batch, H]`` that takes theta to the canonical point of its orbit; differentiable."""
        theta = self._checked(theta)
        rows = theta.reshape(-1, theta.shape[-1]).double().cpu()
        if not len(rows) or not self.group.num_units:
            return theta.new_zeros(*theta.shape[:-1], self.group.num_units)
        z = CanonicalScale.apply(rows, self._solve, self.gauge)[0]
        return z.reshape(*theta.shape[:-1], -1).to(theta)

    def section(self, theta: Tensor) -> Tensor:
        """The canonical point of the rescaling orbit, units in the places they had: a smooth function of theta."""
        return self.group.act(theta, self.log_scale(theta))

    def canonicalize(self, theta: Tensor) -> Tensor:
        """The canonical point alone ``[*batch, dim + extra]``; entries after the network's pass as they are.

        Chains of networks with a noise scale at the end of their vector can so be handed over, as
        ``bnn.convergence.check_convergence(posterior, draws, symmetry=canon)`` does.
        """
        dim = self.group.dim
        if not isinstance(theta, Tensor) or theta.ndim < 1 or theta.shape[-1] <= dim:
            return self(theta)[0]
        return torch.cat([self(theta[..., :dim])[0], theta[..., dim:]], -1)

    def log_faddeev_popov(self, theta: Tensor) -> Tensor:
        """Log FP ``[*batch]`` at the canonical points of theta ``[*batch, dim]``: the volume element between orbits.

        dtheta = e^{-1^T B s / 2} FP(c) dc ds for theta = act(c, s), with c on the slice of canonical points (dc its own
        volume): the Jacobian of the action times the density of orbits (see :func:`log_faddeev_popov`). Differentiable.
        """
        gauge = self._smooth_gauge()
        points = self.section(theta)
        rows = points.reshape(-1, points.shape[-1]).double().cpu()
        values = [log_faddeev_popov(gauge, row) for row in rows]
        return torch.stack(values).reshape(points.shape[:-1]).to(points) if values else points.new_zeros(0)

    def log_volume_element(self, theta: Tensor) -> Tensor:
        """Log dtheta / (dc ds) ``[*batch]`` at theta = act(c, s): a density of theta plus this is one of (c, s)."""
        jacobian = self.group.action.log_factors(-self.log_scale(theta) / 2).sum(-1)
        return jacobian + self.log_faddeev_popov(theta)

    def orbit_law(self, theta: Tensor, log_prior: object) -> OrbitLaw:
        """The law of s on the orbit {act(c, s)} of theta ``[dim]`` under ``torch.distributions.Normal(0, scale)``."""
        return OrbitLaw.of(self.group.action, self.section(theta.detach()), log_prior)

    def average(
        self,
        function: Callable[[Tensor], Tensor],
        theta: Tensor,
        *,
        window: float | None = None,
        samples: int = 256,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The mean of ``function(act(c, s))`` over s uniform in [-window, window]^H, ``[*batch, *output]``.

        ``function`` maps ``[..., dim]`` to ``[..., *output]``. The mean depends on the orbit of theta alone, since the
        window is centred on the canonical point. Without a window there is none: R_+^H is not compact.

        Raises:
            NonCompactGroupError: no window.
        """
        if window is None:
            raise NonCompactGroupError(
                sentence(
                    "a window of log scales",
                    "the whole group",
                    "(R_+)^H is not compact and its Haar measure is infinite",
                    "window=1.0, or orbit_law, which weighs the orbit by the prior",
                )
            )
        if not 0 < window < float("inf"):
            raise ValueError(f"expected a finite positive window, got {window}")
        points = self.section(theta)
        shape = (samples, *(1,) * (points.ndim - 1), self.group.num_units)
        s = window * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)
        return function(self.group.act(points, s.to(points))).mean(0)

    def _smooth_gauge(self) -> Gauge:
        if self.gauge is None:
            raise UnsupportedError(
                sentence(
                    "a criterion whose optimum can be differentiated",
                    repr(self.criterion),
                    "its canonical points form no smooth slice, or none that is known",
                    "criterion='path' or 'l2'",
                )
            )
        return self.gauge

    def _solve(self, theta: Tensor) -> Tensor:
        """The z of one vector in float64: the solver, then Newton steps from where it ended until they are rounding."""
        criterion: Any = self.criterion
        solution = SOLVERS[self.solver](criterion.problem(self.group.traced, theta), tolerance=self.tol)
        z = torch.from_numpy(solution.z)
        error = 0.0 if solution.converged else float("inf")
        if self.gauge is not None and len(z) <= _LARGEST_DENSE:
            z, error = self._polished(self.gauge, theta, z)
        if error > _LARGEST_ERROR:
            raise RuntimeError(
                f"expected a solver that converges, got {self.solver!r} with a residual of {solution.residual:.1e} "
                f"(tolerance {self.tol:.1e}) and log scales {min(error, solution.distance):.1e} from the optimum; "
                "try solver='newton', or a larger tol"
            )
        return z

    def _polished(self, gauge: Gauge, theta: Tensor, z: Tensor) -> tuple[Tensor, float]:
        """The z after Newton steps, and the size of the last one, which bounds the error before it."""
        at, size = self.group.act(theta, z), float("inf")
        support = gauge.support(at)
        for _ in range(4):
            step = gauge.newton_step(at, support)
            if not float(step.abs().max()) < size / 2:
                break
            z, size = z - step, float(step.abs().max())
            at = self.group.act(theta, z)
            if size < _ROUNDING:
                break
        return z, size

    def _checked(self, theta: Tensor) -> Tensor:
        self.group.layout.check(theta)
        if not theta.is_floating_point():
            raise TypeError(f"expected parameters of a floating dtype, got {theta.dtype}; try theta.double()")
        if not bool(torch.isfinite(theta.detach()).all()):
            raise ValueError("expected finite parameters, got nan or inf, because such points have no orbit to search")
        return theta
