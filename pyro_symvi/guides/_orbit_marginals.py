"""Quantiles of an orbit mixture whose wrapped guide is a location-scale law."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyro.distributions as dist
import torch
from torch import Tensor

from ..distributions.bases import Base, Normal
from ..families.marginals import mixture_quantile
from ..groups import Action, LinearAction, UnsupportedError
from .location_scale import AutoLocationScale


class Components(NamedTuple):
    r"""Laws of :math:`\ell_k + R_k\xi`, equally likely: ``locs [k, d]``, ``matrices [k, d, d]``, in float64."""

    base: Base
    locs: Tensor
    matrices: Tensor

    def moved(self, action: Action, elements: Tensor) -> Components:
        """All images under all elements."""
        if not isinstance(action, LinearAction):
            raise UnsupportedError(
                f"expected an affine action for quantiles, got {action!r}, because images of location-scale laws under "
                "other maps have no closed marginals; try the quantiles of Predictive(guide, num_samples=...)"
            )
        elements = elements.cpu()
        locs = action.act(elements[:, None], self.locs)
        matrices = action.matrix(elements).double()[:, None] @ self.matrices
        return Components(self.base, locs.flatten(0, 1), matrices.flatten(0, 1))

    def quantiles(self, levels: Tensor) -> Tensor:
        """Marginal quantiles ``[n, d]``; components with the same marginal are evaluated once."""
        locs, matrices, u = self.locs.numpy(), self.matrices.numpy(), levels.double().cpu().numpy()
        columns = []
        for i in range(locs.shape[-1]):
            rows = np.abs(matrices[:, i])  # signs do not matter: the base is even, its coordinates independent or alike
            shape = np.linalg.norm(rows, axis=-1, keepdims=True) if self.base.spherical else np.sort(rows, axis=-1)
            key = np.concatenate([locs[:, i, None], shape], -1)
            rounded = np.round(key / (1e-12 * np.abs(key).max() + 1e-300))
            _, first, counts = np.unique(rounded, axis=0, return_index=True, return_counts=True)
            weights = counts / counts.sum()
            columns.append(mixture_quantile(self.base, weights, locs[first, i], rows[first], u))
        return torch.as_tensor(np.stack(columns, -1))


def components_of(guide: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Components:
    """The one law of a guide with a location and a matrix.

    Raises:
        TypeError: A guide without (a flow).
    """
    if isinstance(guide, AutoLocationScale):
        parameters = {name: value.detach().double().cpu() for name, value in guide.parameters_.items()}
        family = guide.family.at(parameters)
        return Components(family.law, parameters["loc"][None], family.matrix(parameters["scale"])[None])
    with guide._pyro_context:
        posterior = guide.get_posterior(*args, **kwargs)
    if isinstance(posterior, (dist.MultivariateNormal, dist.LowRankMultivariateNormal)):
        matrix = torch.linalg.cholesky(posterior.covariance_matrix.detach().double())
        return Components(Normal(), posterior.loc.detach().double().cpu()[None], matrix.cpu()[None])
    inner = getattr(posterior, "base_dist", None)
    if isinstance(posterior, dist.Independent) and isinstance(inner, dist.Normal):
        matrix = inner.scale.detach().double().diag()
        return Components(Normal(), inner.loc.detach().double().cpu()[None], matrix.cpu()[None])
    raise UnsupportedError(
        f"expected AutoLocationScale or a normal guide inside for quantiles, got {type(guide).__name__}, because its "
        "marginals have no closed distribution functions; try the quantiles of Predictive(guide, num_samples=...)"
    )
