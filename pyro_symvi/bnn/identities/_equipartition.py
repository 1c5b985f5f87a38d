"""Equipartition: an identity for every block of parameters of any density."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .._draws import Draws
from .._posterior import NetworkPosterior
from ._hidden import check_draws
from ._standard_errors import LEVEL, ZeroMean, bonferroni, verdict, zero_mean


@dataclass(frozen=True)
class Equipartition:
    """Tests of E[theta_B . d log pi / d theta_B] = -|B|; see :func:`equipartition`.

    Attributes:
        blocks: by name of the parameter tensor, the test of 1 + theta_B . gradient_B / |B| (0 is right).
        p_value: Bonferroni's over the blocks.
        verdict: ``no violation seen``, ``violated`` or ``too few chains``.
    """

    blocks: Mapping[str, ZeroMean]
    p_value: float
    verdict: str
    batches: int
    source: str

    @property
    def z(self) -> Tensor:
        """One z a block."""
        return torch.stack([test.z for test in self.blocks.values()])

    @property
    def worst(self) -> float:
        """Largest |z|."""
        return float(self.z.abs().max())

    def table(self) -> str:
        """A table for reading."""
        lines = [
            f"Equipartition of {self.source}: {self.verdict} (p = {self.p_value:.2g}, {self.batches} batch means)",
            f"    {'temperature of':<24}{'found':>10}{'error':>10}{'exact':>7}{'z':>8}",
        ]
        for name, test in self.blocks.items():
            found = 1 - float(test.mean)
            lines.append(f"    {name:<24}{found:10.4f}{float(test.error):10.4f}{1:7d}{float(test.z):8.2f}")
        return "\n".join(lines)

    __str__ = table


def equipartition(
    posterior: NetworkPosterior, draws: Draws, *, most: int = 20_000, level: float = LEVEL
) -> Equipartition:
    """Test E[theta_B . d log pi / d theta_B] = -|B| for each parameter tensor B: any network, any prior, any sampler.

    Integration by parts along theta_B d/d theta_B, whose divergence is |B|. -E[theta_B . gradient_B] / |B| is the
    temperature of the block (virial theorem): above 1 it is too spread out for its gradients. It holds in the whole
    posterior, and in a mode up to the density on the boundary of the mode. Unlike :func:`balancedness` it feels the
    likelihood, so it sees what refreshing along orbits hides, and asks nothing of the activation.

    A variational family closed under scaling the block obeys it at its optimum (the evidence bound is stationary), so
    there it tells whether the fit has converged, not whether the family is right.

    At most ``most`` draws are used, evenly thinned: each costs a gradient.
    """
    theta = check_draws(posterior, draws)
    every = max(1, -(-theta.shape[0] * theta.shape[1] // most))
    theta = theta[:, ::every]
    gradients = [posterior.value_and_grad(part.to(posterior.x))[1].double() for part in theta.split(64, 1)]
    product = theta * torch.cat(gradients, 1)
    blocks = {name: zero_mean(1 + product[..., place].mean(-1)) for name, place in posterior.layout.slices.items()}
    z = torch.stack([test.z for test in blocks.values()])
    batches = next(iter(blocks.values())).batches
    return Equipartition(blocks, bonferroni(z), verdict(z, batches, level), batches, draws.source)
