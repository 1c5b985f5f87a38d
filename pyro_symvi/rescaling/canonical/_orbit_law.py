"""The law along a rescaling orbit under independent normal priors of the parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from scipy import sparse
from torch import Tensor

from ...groups import GeneralizedInverseGaussian, NetworkRescaling, UnsupportedError
from ...groups._errors import sentence
from ...groups._gig import is_normal_about_zero
from ._gauge import free_units


@dataclass(frozen=True, eq=False)
class OrbitLaw:
    """The law of log scales s given the orbit {c e^{-B s / 2}}, for theta_i ~ N(0, sigma_i^2) independent.

    log p(s) = -1/2 sum_i (c_i / sigma_i)^2 e^{-(B s)_i} - 1/2 1^T B s + const: the prior at theta(s) times the Jacobian
    of the action; Haar measure alone would be infinite. Log-concave. Given all others, e^{s_h} is generalised inverse
    Gaussian of order (|in_h| - |out_h|) / 2: with fans in and out of one size the law centres on the balanced point.
    A likelihood that depends on the function alone does not change it.

    Attributes:
        action: of rescaling.
        white: c / sigma ``[dim]``, float64.
    """

    action: NetworkRescaling
    white: Tensor

    @staticmethod
    def of(action: NetworkRescaling, point: Tensor, log_prior: object) -> OrbitLaw:
        """From any point ``[dim]`` of the orbit, where s = 0, and ``torch.distributions.Normal(0, scale)``."""
        if not is_normal_about_zero(log_prior):
            raise TypeError(
                sentence(
                    "the prior as torch.distributions.Normal(0, scale) of the parameters",
                    f"{log_prior!r}",
                    "the law along the orbit is known for it alone",
                    "Markov chains on the log density of the prior at act(point, s), plus log_abs_det",
                )
            )
        scale: Tensor = log_prior.scale  # type: ignore[attr-defined]
        if point.shape != action.event_shape:
            raise ValueError(f"expected one point {list(action.event_shape)}, got shape {list(point.shape)}")
        white = point.detach().double().cpu() / scale.detach().double().cpu().expand(point.shape)
        free = free_units(action, white != 0)
        if not bool(free.all()):
            raise ValueError(
                f"expected units with nonzero weights in and out, got dead ones: {(~free).nonzero()[:, 0].tolist()}, "
                "because their orbits have no normalisable law; try to leave them out of the network"
            )
        return OrbitLaw(action, white)

    def log_density(self, log_scale: Tensor) -> Tensor:
        """The log p(s) up to a constant, ``[*batch]`` from s ``[*batch, H]``; differentiable."""
        factors = self.action.log_factors(log_scale.double() / 2)
        return (factors - (self.white * factors.exp()).square() / 2).sum(-1)

    def mode(self, *, max_iterations: int = 100) -> Tensor:
        """The most likely s ``[H]``, by Newton steps, halved where needed.

        The gradient is B^T (w - 1) / 2 and the second derivative -B^T diag(w) B / 2, for w_i = white_i^2 e^{-(B s)_i}.
        """
        s = torch.zeros(self.action.units, dtype=torch.float64)
        sparse_b = self.action.incidence()
        b = sparse.coo_matrix((sparse_b.values().numpy(), sparse_b.indices().numpy()), shape=sparse_b.shape).tocsr()
        for _ in range(max_iterations):
            w = (self.white * self.action.log_factors(s / 2).exp()).square().numpy()
            curvature = (b.T @ sparse.diags(w) @ b).toarray() / 2
            step = torch.linalg.solve(torch.from_numpy(curvature), torch.from_numpy(b.T @ (w - 1) / 2))
            size, here = 1.0, self.log_density(s)
            while size > 1e-9 and not self.log_density(s + size * step) >= here:
                size /= 2
            s = s + size * step if size > 1e-9 else s
            if float(step.abs().max()) < 1e-10 or size <= 1e-9:
                break
        return s

    def conditional(self, unit: int, log_scale: Tensor) -> GeneralizedInverseGaussian:
        """The law of e^{s_h} of one unit given the other entries of s ``[*batch, H]``; degree 1 alone."""
        if self.action.degrees is not None:
            raise UnsupportedError(
                sentence(
                    "activations of degree 1",
                    "another degree",
                    "conditionals are not generalised inverse Gaussian then",
                    "Markov chains on log_density",
                )
            )
        into, out, order = self._energies
        padded = torch.cat([log_scale.double(), log_scale.new_zeros(*log_scale.shape[:-1], 1).double()], -1)
        psi = (into[unit] * (-padded).exp()).sum(-1)
        chi = (out[unit] * padded.exp()).sum(-1)
        return GeneralizedInverseGaussian(float(order[unit]), psi, chi)

    @torch.no_grad()
    def sample(self, n: int, *, sweeps: int = 20, generator: torch.Generator | None = None) -> Tensor:
        """N chains of Gibbs sweeps from the mode, their last states ``[n, H]``.

        Exact for any ``sweeps`` where units are independent (one hidden layer), otherwise in the limit.
        """
        s = self.mode().expand(n, -1).clone()
        for _ in range(sweeps):
            for unit in range(self.action.units):
                s[:, unit] = self.conditional(unit, s).sample(generator=generator).log()
        return s

    @cached_property
    def _energies(self) -> tuple[Tensor, Tensor, Tensor]:
        """Squares that enter each unit by origin, that leave it by target, ``[H, H + 1]``, and orders ``[H]``."""
        size, action = self.action.units + 1, self.action
        tails, heads = action.leaves % size, action.enters % size
        between = (tails != heads).double()  # entries from a unit to itself do not change
        flow, count = (
            torch.zeros(size * size, dtype=torch.float64).index_add(0, tails * size + heads, w).reshape(size, size)
            for w in (self.white.square() * between, between)
        )
        return flow.mT[:-1], flow[:-1], (count.sum(0) - count.sum(1))[:-1] / 2
