"""The exchangeable guide: all units share one mean and one scale."""

from __future__ import annotations

import math
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.nn import PyroModule, PyroParam
from torch import Tensor

from ..._value import positive_int
from ._model import SITE


class TiedGuide(PyroModule):
    r"""Units independent and alike: w_k ~ N(m, diag s^2), k = 1, ..., p, with one m and one s for all.

    Its parameters are the points of the mean-field guide that all permutations of the units leave fixed, (m_k, s_k) =
    (m, s). The posterior of a committee is invariant under these permutations, so the ELBO is, and by symmetric
    criticality (Palais 1979) its gradient at a tied point is tied: the component in the standard representation of S_p
    (what differs between units) is zero, and gradient ascent from here never specialises, whatever n is. The law is
    exchangeable and has one mode. For even activations the signed permutations are symmetries too, and their fixed
    points have m = 0: ``TiedGuide(..., centred=True)``.

    What all units share can be learnt so, the direction of sum_k w_k among it. For a posterior that has specialised,
    use `specialised_guide`.

    Args:
        units: The number p of units.
        dim: The number d of inputs.
        loc: First value of m, ``[d]``; zero by default. For even activations zero is a stationary point.
        init_scale: First value of s; the prior's 1 / sqrt(d) by default.
        scalar: One s for all coordinates, in place of ``[d]``.
        centred: m is held at zero.
        site: The site's name in the model.
        dtype: Of the parameters.

    Attributes:
        loc: m ``[d]``.
        scale: s ``[d]`` or ``[]``, positive.

    Raises:
        ValueError: ``loc`` of another shape, or given with ``centred``; numbers that are not positive.

    Example:
        ``SVI(model, TiedGuide(4, 50), Adam({"lr": 0.01}), Trace_ELBO())``
    """

    def __init__(
        self,
        units: int,
        dim: int,
        *,
        loc: Tensor | None = None,
        init_scale: float | None = None,
        scalar: bool = False,
        centred: bool = False,
        site: str = SITE,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        positive_int(units, "units")
        positive_int(dim, "dim")
        first = 1 / math.sqrt(dim) if init_scale is None else init_scale
        if not 0 < first < math.inf:
            raise ValueError(f"expected init_scale > 0, got {init_scale}, because it is a standard deviation; try None")
        if loc is not None and (centred or loc.shape != (dim,)):
            raise ValueError(
                f"expected loc [{dim}] and not centred, got {list(loc.shape)}, centred={centred}, because m is one "
                "vector for all units, or zero; try loc=weights.mean(0)"
            )
        self.units, self.dim, self.site = units, dim, site
        start = torch.zeros(dim, dtype=dtype) if loc is None else loc.detach().to(dtype).clone()
        if centred:
            self.register_buffer("loc", start)
        else:
            self.loc = PyroParam(start)
        shape = () if scalar else (dim,)
        self.scale = PyroParam(torch.full(shape, first, dtype=dtype), constraint=constraints.positive)

    def untied(self) -> tuple[Tensor, Tensor]:
        """The same law's parameters as a mean-field guide's: means and standard deviations ``[p, d]``."""
        shape = (self.units, self.dim)
        return self.loc.expand(shape), self.scale.expand(shape)

    def law(self) -> dist.TorchDistribution:
        """The law of the weights, event shape ``(p, d)``."""
        return dist.Normal(*self.untied()).to_event(2)

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Draw the weights; takes the model's arguments and reads none."""
        return {self.site: pyro.sample(self.site, self.law())}
