"""The uniform law on the sphere."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor

from pyro_symvi.special import log_sphere_area

from ._normals import uniform_directions


class SphericalUniform(TorchDistribution):
    r"""The rotation-invariant law on the sphere :math:`S^{d-1}` of R^d, d >= 2: a constant density, one over the area.

    Args:
        dim: d.
        dtype, device: of the draws; torch's defaults where None.

    >>> SphericalUniform(3).log_prob(torch.tensor([0.0, 0.0, 1.0]))  # -log(4 pi)
    tensor(-2.5310)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.sphere
    has_rsample = True

    def __init__(
        self,
        dim: int,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._log_area = log_sphere_area(dim)
        self._like = torch.empty((), dtype=dtype, device=device)
        super().__init__(torch.Size(), torch.Size([dim]), validate_args=validate_args)

    @property
    def dim(self) -> int:
        """Dimension d of the space around the sphere."""
        return int(self.event_shape[0])

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """The same law with the batch shape enlarged."""
        new = self._get_checked_instance(SphericalUniform, _instance)
        new._log_area, new._like = self._log_area, self._like
        super(SphericalUniform, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Draws ``[*sample_shape, *batch, d]``: normalised normals."""
        return uniform_directions(tuple(self._extended_shape(sample_shape)[:-1]), self.dim, self._like)

    def log_prob(self, value: Tensor) -> Tensor:
        """Minus the log area, whatever ``value [..., d]``."""
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return value.new_full(shape, -self._log_area)

    @property
    def mean(self) -> Tensor:
        """0, ``[*batch, d]``."""
        return self._like.new_zeros(self.batch_shape + self.event_shape)

    @property
    def variance(self) -> Tensor:
        """1/d in each coordinate, ``[*batch, d]``."""
        return torch.full_like(self.mean, 1 / self.dim)

    def entropy(self) -> Tensor:
        """The log area, ``[*batch]``: the largest entropy on the sphere."""
        return self._like.new_full(self.batch_shape, self._log_area)
