"""One step of a lifted process: horizontal noise, horizontal drift and the curvature of the orbit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._context import Context
from .._motions import compact_action
from .._priors import GaussianPrior
from .._process import Denoiser, Diffusion, metric

DERIVED, NONE, PRINTED = 1.0, 0.0, -1.0
"""Signs of the curvature drift, in multiples of -tau H. Only the first keeps the law; the others are for tests."""


@dataclass(frozen=True)
class Run:
    """What stays the same from the first step of a sampler to its last."""

    diffusion: Diffusion
    denoiser: Denoiser
    context: Context | None
    generator: torch.Generator | None
    horizontal: bool = True
    curvature: float = DERIVED

    def denoise(self, x: Tensor, t: float) -> Tensor:
        """D(x, t), centred; refused where it is not finite."""
        denoised = self.diffusion.denoise(self.denoiser, x, x.new_tensor(t), self.context)
        if not bool(torch.isfinite(denoised).all()):
            raise ValueError(
                f"expected a finite denoised point, got nan or inf at t = {t:.6g}, because the denoiser failed or the "
                "state ran away; try its output on the prior's draws, or more steps"
            )
        return denoised.to(x)

    def velocity(self, x: Tensor, t: float) -> Tensor:
        """The drift of the probability flow, horizontal where asked for."""
        v = self.diffusion.velocity(x, x.new_tensor(t), self.denoise(x, t), self.context)
        return self.project(x, v)

    def score(self, x: Tensor, t: float, denoised: Tensor) -> Tensor:
        """The score, without what a horizontal loss leaves open in a denoiser where P does not remove it."""
        score = self.diffusion.score(x, x.new_tensor(t), denoised, self.context)
        if not self.horizontal or isinstance(self.diffusion.prior, GaussianPrior):
            return score
        return horizontal_score(self.diffusion, x, t, score, self.context)

    def project(self, x: Tensor, v: Tensor) -> Tensor:
        """The horizontal part of v at x; v itself in the total space."""
        return self.diffusion.project(x, v, self.context) if self.horizontal else v

    def settle(self, x: Tensor) -> Tensor:
        """The state without the rounding that left its space."""
        return self.diffusion.centre(x, self.context)

    def diffuse(self, x: Tensor, drift: Tensor, tau: Tensor) -> Tensor:
        """X + P [drift + sqrt(2 tau) z] - tau H: one Euler-Maruyama step of noise variance 2 tau (an Ito step, P and H
        at x), tau broadcasting against x. In the total space x + drift + sqrt(2 tau) z."""
        z = self.diffusion.noise(x, self.context, generator=self.generator)
        moved = x + self.project(x, drift + (2 * tau).sqrt() * z)
        if self.horizontal and self.curvature:
            moved = moved + self.curvature * curvature_step(self.diffusion, x, tau, self.context)
        return self.settle(moved)

    def smallest_variance(self, x: Tensor, t: float) -> Tensor:
        """The smallest eigenvalue of C = alpha^2 Sigma + gamma^2, broadcasting against x."""
        found: list[Tensor] = []

        def remember(eigenvalues: Tensor) -> Tensor:
            found.append(eigenvalues)
            return torch.ones_like(eigenvalues)

        self.diffusion.prior.apply(remember, x, self.context)
        smallest = found[0]
        if smallest.ndim:
            dims = tuple(range(-len(self.diffusion.action.event_shape), 0))
            smallest = smallest.amin(dims, keepdim=True)
        return self.diffusion.interpolant.variance(x.new_tensor(t), smallest.to(x))


def horizontal_score(diffusion: Diffusion, x: Tensor, t: float, score: Tensor, context: Context | None) -> Tensor:
    """The horizontal vector s - beta C^-1 u among those that D - u leads to, u being free under a horizontal loss.

    u = w^-1 V omega with V the vertical basis and w the factor of ``velocity_error``. With B = (C w)^-1 V,

        s - B (V^T B)^+ V^T s,

    which is P s where points are independent, C being a number then, and s where D is exact. For a harmonic prior
    P s depends on u. Shape of x.
    """
    action, path = compact_action(diffusion.action_for(context)), diffusion.interpolant
    wide = x.double()
    time = wide.new_tensor(t)
    basis = action.vertical_basis(wide).movedim(-1, 0)

    def response(s: Tensor) -> Tensor:
        return 1 / (path.beta_rate(time) * path.variance(time, s) - path.beta(time) * path.half_variance_rate(time, s))

    moved = diffusion.prior.apply(response, basis, context)
    gram = metric(action, basis[:, None], moved[None]).movedim((0, 1), (-2, -1))
    sums = metric(action, basis, score.double()).movedim(0, -1)
    omega = (torch.linalg.pinv(gram, rtol=1e-10, hermitian=True) @ sums[..., None])[..., 0].movedim(-1, 0)
    share = omega.reshape(*omega.shape, *(1,) * len(action.event_shape)) * moved
    return (score - share.sum(0)).to(score.dtype)


def curvature_step(diffusion: Diffusion, x: Tensor, tau: Tensor, context: Context | None = None) -> Tensor:
    """-c tau H(x), the flow of grad log vol for a time tau; shape of x.

    H grows without bound towards singular orbits (straight clouds, equal eigenvalues, the origin), where -tau H would
    overshoot. The flow of -H makes |x|^2 grow at the rate 2 m exactly, m = <x, -H> being the orbit's dimension (the
    volume is homogeneous of that degree); c in (0, 1] is the factor for which a step of any length does the same,

        |x - c tau H|^2 = |x|^2 + 2 m tau:    c = 2 / (1 + sqrt(1 + 2 tau |H|^2 / m)) = 1 - O(tau),

    so that a step is never longer than sqrt(2 m tau), the size of the noise beside it, never turns round, and
    E |x|^2 is that of the exact process. H = 0 where an orbit is one point, and no direction is better than another.
    """
    h = -diffusion.mean_curvature(x, context).double()
    h = torch.where(torch.isfinite(h), h, 0.0)
    action = diffusion.action_for(context)
    size, m = (diffusion.column(metric(action, a, h), h) for a in (h, x.double()))
    m = m.clamp(1.0, max(1.0, float(action.group.dim)))
    wide = tau.double()
    return (wide * h * (2 / (1 + (1 + 2 * wide * size / m).sqrt()))).to(x.dtype)
