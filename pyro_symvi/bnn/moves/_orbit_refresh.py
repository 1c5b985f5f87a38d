"""Gibbs moves along the rescaling orbits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._priors import ParameterPrior
from ..samplers import Target
from ._layers import Symmetry, UnitLayer, check_function, places, posterior_of
from ._move import Move, uniforms
from ._orbit_law import TRIES, OrbitLaw


@dataclass(frozen=True, eq=False, repr=False)
class OrbitRefresh(Move):
    """A new scale for each hidden unit, drawn from its law given all that rescaling leaves alone.

    Where phi(c z) = c^k phi(z), incoming weights w times c and outgoing weights v times c^-k leave the function of the
    network, and so the likelihood, as it is. Given the orbit, the posterior law of c comes from the prior alone: with
    normal priors and k = 1, c^2 ~ GIG((p - q) / 2, |w|^2 / tau_w^2, |v|^2 / tau_v^2). It is drawn exactly
    (:class:`OrbitLaw`; Laplace and flat priors and other degrees too), for all units of a layer at once, layer after
    layer. The move leaves the posterior invariant, needs no likelihood, and mixes at once what is slow for gradients.

    A dead unit (all weights in, or out, zero), the orbit of which has no law that can be normalised, stays.

    Args:
        symmetry: ``NetworkSymmetry.from_module(network)``.
        every: steps from one move to the next.
    """

    symmetry: Symmetry
    every: int = 10

    @property
    def layers(self) -> list[UnitLayer]:
        """Those whose units can be rescaled."""
        return [layer for layer in self.symmetry.layers if layer.degree is not None]

    def _check(self, target: Target) -> None:
        posterior = posterior_of(target, self.symmetry, "OrbitRefresh")
        if not self.layers:
            raise ValueError(
                "expected hidden units that can be rescaled, got none, because no activation is positively homogeneous "
                "(ReLU, leaky ReLU, identity); try without OrbitRefresh"
            )
        for layer in self.layers:
            into, out = (_proper(posterior.parameter_prior, index) for index in places(layer, torch.device("cpu")))
            drift = _drift(layer)
            if bool(((~into & (drift >= 0)) | (~out & (drift <= 0))).any()):
                raise ValueError(
                    f"expected priors that hold units of {layer.name!r} in place along their orbits, got flat ones on "
                    f"one side with p - k q = {drift:g}, because the posterior is then improper: any rescaling is as "
                    "good as another; try NormalPrior with a large scale"
                )
        check_function(target, self.symmetry, self)

    def _move(
        self, target: Target, position: Tensor, momentum: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        posterior = posterior_of(target, self.symmetry, "OrbitRefresh")
        theta = position.double()
        for layer in self.layers:
            into, out = places(layer, position.device)
            law = orbit_law(theta, posterior.parameter_prior, layer)
            numbers = uniforms(generators, (TRIES, 2, len(into)), position)
            y = law.draws(numbers.movedim(0, 2))
            factors = torch.ones_like(theta)
            factors[:, into.reshape(-1)] = y.exp().repeat_interleave(into.shape[1], 1)
            factors[:, out.reshape(-1)] = (-law.degree * y).exp().repeat_interleave(out.shape[1], 1)
            theta = theta * factors
        return theta.to(position.dtype), momentum


def orbit_law(theta: Tensor, prior: ParameterPrior, layer: UnitLayer) -> OrbitLaw:
    """The law of log c for each unit of a layer at theta ``[*batch, dim]``: entries ``[*batch, h]``."""
    into, out = places(layer, theta.device)
    virial = prior.virial(theta)
    laplace = torch.tensor([kind == "laplace" for kind in prior.kinds], device=theta.device)
    square, linear = torch.where(laplace, 0.0, virial), torch.where(laplace, virial, 0.0)
    a2, a1, b2, b1 = (part[..., index].sum(-1) for index in (into, out) for part in (square, linear))
    return OrbitLaw(torch.full_like(a2, _drift(layer)), a2, a1, b2, b1, float(layer.degree or 1.0))


def _drift(layer: UnitLayer) -> float:
    return len(layer.units.incoming[0]) - float(layer.degree or 1.0) * len(layer.units.outgoing[0])


def _proper(prior: ParameterPrior, index: Tensor) -> Tensor:
    """Units ``[h]`` with at least one of these weights not flat."""
    return torch.tensor([any(prior.kinds[i] != "flat" for i in row) for row in index.tolist()])
