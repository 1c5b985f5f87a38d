"""The base class of losses."""

from __future__ import annotations

import math
from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..._value import Value
from .._context import Context
from .._process import Denoiser, Diffusion, metric


@dataclass(frozen=True)
class Case:
    """One noisy point x_t for each data point x_1, centred, and what the network made of it, without its history."""

    diffusion: Diffusion
    x1: Tensor
    xt: Tensor
    t: Tensor
    denoised: Tensor
    context: Context | None
    generator: torch.Generator | None


@dataclass(frozen=True, eq=False, repr=False)
class Loss(Value, ABC):
    """Squared error of the velocity that follows from a denoiser, at one noisy point for each data point.

        loss = | E(w(t) (D(x_t, t) - target)) |^2,    x_t a draw of ``diffusion.interpolate(x_1, t)``,

    in the action's metric (sum_n w_n |v_n|^2 for clouds), summed over a cloud's points. w(t) is the factor of
    ``Diffusion.velocity_error``, at most ``clip``; no gradient passes through target or E.

    To implement one, write a frozen dataclass (``eq=False, repr=False``) that says whether it is ``unbiased`` and
    gives ``_target`` (x_1 by default), or ``_counted``, the part E of an error that counts (all of it by default).

    Args:
        clip: largest weight w, which grows as 1 / (1 - t) near data; the squared error is weighted by w^2. Minimisers
            do not depend on it where the prior's points are independent, or the path has no bridge noise.

    Raises:
        ValueError: unless ``clip`` is finite and positive.
    """

    unbiased: ClassVar[bool]
    """Whether the minimiser's horizontal part is that of E[x_1 | x_t], so that samplers are valid."""

    clip: float = 10.0

    def __post_init__(self) -> None:
        if isinstance(self.clip, bool) or not isinstance(self.clip, int | float) or not 0 < self.clip < math.inf:
            raise ValueError(f"expected clip to be a finite number > 0, got {self.clip!r}")

    def __call__(
        self,
        diffusion: Diffusion,
        network: Denoiser,
        x1: Tensor,
        t: Tensor,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The loss of each data point, ``[*batch]``; differentiable in the network's parameters.

        Args:
            diffusion: what makes x_t of x_1.
            network: D(x, t, context); points ``[*batch, *event_shape]``, times ``[*batch]``.
            x1: data ``[*batch, *event_shape]``.
            t: times ``[*batch]`` in [0, 1).
            context: of the same batch.
            generator: of the noise.

        Raises:
            ValueError: for data that are not finite, times outside [0, 1), shapes that do not agree.
        """
        self._check(diffusion, x1, t)
        with torch.no_grad():
            x1 = diffusion.centre(x1, context)
            xt = diffusion.interpolate(x1, t, context, generator=generator)
        denoised = diffusion.denoise(network, xt, t, context)
        with torch.no_grad():
            target = self._target(Case(diffusion, x1, xt, t, denoised.detach(), context, generator))
        error = diffusion.velocity_error(t, denoised - target, context, clip=self.clip)
        counted = self._counted(diffusion, xt, error, context)
        return metric(diffusion.action_for(context), counted, counted)

    # -- the mathematics, for subclasses ---------------------------------------------------------------------------
    def _target(self, case: Case) -> Tensor:
        """What is regressed on, shape of x1; called without gradients."""
        return case.x1

    def _counted(self, diffusion: Diffusion, xt: Tensor, error: Tensor, context: Context | None) -> Tensor:
        """The part of an error that counts, linear in it."""
        return error

    # -- checks ----------------------------------------------------------------------------------------------------
    def _check(self, diffusion: Diffusion, x1: Tensor, t: Tensor) -> None:
        if not isinstance(diffusion, Diffusion):
            raise TypeError(f"expected a Diffusion, got {type(diffusion).__name__}; try Diffusion()")
        for name, value in (("x1", x1), ("t", t)):
            if not isinstance(value, Tensor) or not value.is_floating_point():
                kind = getattr(value, "dtype", type(value).__name__)
                raise TypeError(f"expected {name} as a tensor of a floating dtype, got {kind}")
        event = diffusion.action.event_shape
        batch, sizes = x1.shape[: x1.ndim - len(event)], x1.shape[max(0, x1.ndim - len(event)) :]
        if len(sizes) != len(event) or any(want not in (-1, size) for want, size in zip(event, sizes, strict=True)):
            text = ", ".join("N" if size == -1 else str(size) for size in event)
            raise ValueError(f"expected data [*batch, {text}], got {list(x1.shape)}, because {diffusion.action!r} acts")
        if t.shape != batch:
            raise ValueError(f"expected times {list(batch)}, one for each data point, got {list(t.shape)}")
        if not bool(((t >= 0) & (t < 1)).all()):
            raise ValueError(
                "expected times in [0, 1), because nothing is left to denoise at t = 1; try torch.rand(batch)"
            )
        if not bool(torch.isfinite(x1).all()):
            raise ValueError("expected finite data, got nan or inf; try to drop such points")
