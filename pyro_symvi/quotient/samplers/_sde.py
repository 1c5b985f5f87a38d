"""The reverse SDE, lifted from the quotient with the sign that keeps the law."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import positive_int
from ._langevin import LangevinCorrector, check_corrector
from ._lift import Run
from ._sampler import Sampler, check_flag, check_number


@dataclass(frozen=True, eq=False, repr=False)
class SDESampler(Sampler):
    """dx = [P(v + eta s) - eta H] dt + sqrt(2 eta) P dw, in Ito's sense, by Euler-Maruyama steps.

    H = -grad log vol points to smaller orbits, so that the correction drives to larger ones: the sign follows from
    theorem 4 of Xu et al., arXiv 2604.21809, with sigma^2 = 2 eta; their equation 12 prints the other one, under which
    Langevin dynamics tends to p / vol^2 (and to p / vol without a correction). Near singular orbits the step of
    the correction is limited in length, never in sign (``curvature_step``). In the total space
    dx = (v + eta s) dt + sqrt(2 eta) dw.

    Any eta(t) >= 0 leaves the laws p_t in place. Here

        eta(t) = min(noise (1 - t), c_min(t) / (2 dt)) for t < until, 0 after,

    c_min being the smallest eigenvalue of the covariance C of x_t given x_1: then a step never overshoots the
    score's pull, whatever the prior's scale, and noise dies out near data.

    What is guaranteed: if the horizontal part of the drift is exact and equivariant, the prior invariant, and paths
    avoid singular orbits, the process in continuous time has the laws p_t on M / G at each time (on M, the lift
    of an invariant start has them too). What is not: anything about finite steps, errors of a network,
    approximate equivariance.

    Args:
        steps: at least 1.
        noise: eta at t = 0, in units of the data squared; 0 for the ODE by Euler's method.
        until: time after which no noise is added, in (0, 1]; the last step never has any.
        horizontal: the lifted process; False for the plain sampler of the total space.
        corrector: Langevin steps after each step but the last.
    """

    steps: int = 200
    noise: float = 1.0
    until: float = 0.98
    horizontal: bool = True
    corrector: LangevinCorrector | None = None

    def __post_init__(self) -> None:
        positive_int(self.steps, "steps")
        check_flag(self.horizontal, "horizontal")
        check_corrector(self.corrector)
        check_number(self.noise, "noise", 0.0, math.inf)
        check_number(self.until, "until", 0.0, 1.0)

    def _step(self, run: Run, x: Tensor, t: float, end: float) -> Tensor:
        if end >= 1:
            return self._arrive(run, x, t)
        dt = end - t
        denoised = run.denoise(x, t)
        drift = run.diffusion.velocity(x, x.new_tensor(t), denoised, run.context) * dt
        if t < self.until and self.noise > 0:
            limit = run.smallest_variance(x, t) / 2
            tau = torch.minimum(limit, limit.new_tensor(self.noise * (1 - t) * dt))  # eta dt
            moved = run.diffuse(x, drift + tau * run.score(x, t, denoised), tau)
        else:
            moved = run.settle(x + run.project(x, drift))
        return moved if self.corrector is None else self.corrector.correct(run, moved, end)
