"""Shapes as functions of standard normals, for samplers that move by gradients."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.reparam.reparam import Reparam

from ._shape_distribution import ShapeDistribution
from ._support import helmert


class NoiseReparam(Reparam):
    """Samples a shape by its prior's noise: x = flow(z) with z standard normal, at the site ``NAME_noise``.

    The joint density then holds no ``log_prob`` of the shape at all, hence no divergence and no backward ODE; a
    gradient is one pass back through the sampler's steps. z has the (N - 1) d coordinates of the centred subspace, or
    N d where a mask is given (those that centring removes stay standard normal). The posterior of z is often easier
    than that of x: bonds that the network has learned are directions in which x is stiff and z is not.

    The law of x is that of the sampler with its steps, not that of ``log_prob``; they differ by the error of steps.
    The site needs an ODE sampler without a corrector, and can't be observed.

    Example: ``pyro.poutine.reparam(model, config={"x": NoiseReparam()})``, then NUTS, or SVI with an automatic guide.
    """

    def apply(self, msg: Any) -> Any:
        """The message with a determined value, after a draw of the noise."""
        if msg["is_observed"]:
            raise NotImplementedError(
                f"expected a latent shape, got the observed site {msg['name']!r}, because noise is drawn, not solved "
                "for; try the model without NoiseReparam there"
            )
        law, event_dim = self._unwrap(msg["fn"])
        if not isinstance(law, ShapeDistribution):
            raise TypeError(f"expected a ShapeDistribution at {msg['name']!r}, got {law!r}")
        points, d = law.event_shape
        ragged = law.context is not None and law.context.mask is not None
        zeros = torch.zeros(*law.batch_shape, points if ragged else points - 1, d, dtype=law.dtype, device=law.device)
        normal = dist.Normal(zeros, 1.0).to_event(2)
        z = pyro.sample(f"{msg['name']}_noise", self._wrap(normal, event_dim))
        value = law.from_noise(z if ragged else helmert(points, z) @ z)
        return {"fn": dist.Delta(value, event_dim=event_dim).mask(False), "value": value, "is_observed": True}
