"""Langevin dynamics at one time: a corrector beside a sampler, or a sampler of p_t by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..._value import Value, positive_int
from .._context import Context
from .._process import Denoiser, Diffusion
from ._lift import DERIVED, Run
from ._sampler import check_before_data, check_points, check_shape, fit_context


@dataclass(frozen=True, eq=False, repr=False)
class LangevinCorrector(Value):
    """x <- x + tau [P s(x, t) - H] + sqrt(2 tau) P z, which leaves p_t in place as tau -> 0.

    tau = size c_min(t), where c_min is the smallest eigenvalue of the covariance of x_t given x_1: ``size`` is in
    units of the fastest relaxation time of the noise. Stationary laws are off by a share of order ``size``.

    Args:
        steps: Langevin steps a call.
        size: in (0, 1].

    Source: predictor-corrector sampling of Song et al., arXiv 2011.13456, section 4.2; lifted to the quotient here.

    Raises:
        ValueError: unless the size is in (0, 1].
    """

    steps: int = 1
    size: float = 0.1

    def __post_init__(self) -> None:
        positive_int(self.steps, "steps")
        if isinstance(self.size, bool) or not isinstance(self.size, int | float) or not 0 < self.size <= 1:
            raise ValueError(f"expected size in (0, 1], got {self.size!r}, because longer steps are unstable; try 0.1")

    def correct(self, run: Run, x: Tensor, t: float, *, progress: bool = False) -> Tensor:
        """The state after ``steps`` steps at time t, for a sampler's run."""
        tau = self.size * run.smallest_variance(x, t)
        for _ in tqdm(range(self.steps), desc="Langevin", disable=not progress):
            x = run.diffuse(x, tau * run.score(x, t, run.denoise(x, t)), tau)
        return x

    def refine(
        self,
        diffusion: Diffusion,
        denoiser: Denoiser,
        x: Tensor,
        t: float,
        context: Context | None = None,
        *,
        horizontal: bool = True,
        generator: torch.Generator | None = None,
        progress: bool = False,
    ) -> Tensor:
        """Langevin dynamics by itself: points ``[*batch, *event_shape]`` moved towards the law p_t, 0 <= t < 1.

        Raises:
            ValueError: for t outside [0, 1), shapes that do not fit, points that are not finite.
        """
        return self._refine(diffusion, denoiser, x, t, context, horizontal, generator, progress, DERIVED)

    @torch.no_grad()
    def _refine(
        self,
        diffusion: Diffusion,
        denoiser: Denoiser,
        x: Tensor,
        t: float,
        context: Context | None,
        horizontal: bool,
        generator: torch.Generator | None,
        progress: bool,
        curvature: float,
    ) -> Tensor:
        """``refine`` with the sign of the curvature's drift as an argument, for tests."""
        if isinstance(t, bool) or not isinstance(t, int | float) or not 0 <= t < 1 or not math.isfinite(t):
            raise ValueError(f"expected a time t in [0, 1), got {t!r}, because the score is singular at t = 1")
        shape = check_shape(diffusion, denoiser, tuple(getattr(x, "shape", ())))
        context = fit_context(context, shape)
        run = Run(diffusion, denoiser, context, generator, horizontal, curvature)
        x = diffusion.centre(check_points(x, shape, "x"), context)
        check_before_data(t, x, "t")
        return self.correct(run, x, float(t), progress=progress)


def check_corrector(corrector: object) -> None:
    """A corrector or None."""
    if corrector is not None and not isinstance(corrector, LangevinCorrector):
        raise TypeError(f"expected corrector as a LangevinCorrector or None, got {corrector!r}")
