"""Location-scale families."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyro.distributions as dist
import torch

from ..distributions.bases import BASES, Base, StudentT
from .marginals import marginal_quantile

SCALES = ("isotropic", "diagonal", "full")
Parameters = dict[str, torch.Tensor]


@dataclass(frozen=True)
class LocationScale:
    r"""The laws of :math:`z = \nu + C\xi,\ \xi \sim q_0`, with density :math:`|C|^{-1} q_0(C^{-1}(z-\nu))`.

    A frozen value: parameters are passed in as ``{"loc": [d], "scale": ...}``, the scale being a positive number ``[]``
    (isotropic, :math:`C = sI`), a positive vector ``[d]`` (diagonal) or a lower-triangular matrix ``[d, d]`` with
    positive diagonal (full).

    Which law a base is in :math:`d` dimensions: ``normal`` is both spherical and a product. ``student_t`` is the
    multivariate (spherical) law with an isotropic or full scale, and a product of univariate laws with a diagonal
    scale: each is the one whose location theorems are strongest. ``laplace`` and ``logistic`` are products; with a full
    scale their level sets are not ellipsoids.

    Args:
        dim: Dimension :math:`d`.
        base: ``"normal"``, ``"student_t"``, ``"laplace"`` or ``"logistic"``.
        scale: ``"isotropic"``, ``"diagonal"`` or ``"full"``.
        df: Degrees of freedom, for ``student_t`` only; any positive number. The mean needs df > 1, the covariance
            df > 2.

    Raises:
        TypeError: ``dim`` or ``df`` is no number.
        ValueError: Unknown base or scale, ``dim < 1``, ``df`` missing, misplaced, not finite or not positive.

    Example:
        >>> family = LocationScale(2, base="student_t", df=5.0)
        >>> family.spherical, family.has_mean
        (True, True)
    """

    dim: int
    base: str = "normal"
    scale: str = "full"
    df: float | None = None
    law: Base = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Validate and resolve the base law."""
        if isinstance(self.dim, bool) or not isinstance(self.dim, int):
            raise TypeError(f"expected dim as an int, got {self.dim!r}, because it counts coordinates; try dim=2")
        if self.dim < 1:
            raise ValueError(f"expected dim >= 1, got {self.dim}, because a law needs a coordinate; try dim=1")
        object.__setattr__(self, "law", resolve_base(self.base, self.scale, self.df))

    # -- what is true of the family ----------------------------------------------------------------------------

    @property
    def spherical(self) -> bool:
        r"""Whether :math:`q_0` depends on :math:`\lVert\xi\rVert` alone."""
        return self.law.spherical

    @property
    def has_mean(self) -> bool:
        """Whether the location is the mean (else it is the centre of symmetry only)."""
        return self.law.has_mean

    # -- laws --------------------------------------------------------------------------------------------------

    def matrix(self, scale: torch.Tensor) -> torch.Tensor:
        """The matrix :math:`C` ``[d, d]`` of a scale parameter."""
        if self.scale == "full":
            return scale
        return torch.diag_embed(scale.expand(self.dim) if self.scale == "isotropic" else scale)

    def apply(self, scale: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        r""":math:`C\xi` for ``noise[..., d]``."""
        return noise @ scale.mT if self.scale == "full" else noise * scale

    def log_det(self, scale: torch.Tensor) -> torch.Tensor:
        r""":math:`\log|C|`."""
        if self.scale == "full":
            return scale.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return self.dim * scale.log() if self.scale == "isotropic" else scale.log().sum(-1)

    def transform(self, loc: torch.Tensor, scale: torch.Tensor) -> dist.transforms.Transform:
        r"""The map :math:`\xi\mapsto\nu+C\xi` as a torch transform."""
        if self.scale == "full":
            return dist.transforms.LowerCholeskyAffine(loc, scale_tril=scale)
        return dist.transforms.AffineTransform(loc, scale.expand(loc.shape), event_dim=1)  # one log|s| a coordinate

    def distribution(self, parameters: Parameters) -> dist.TransformedDistribution:
        """The law as a Pyro distribution with ``event_shape (d,)``."""
        loc, scale = parameters["loc"], parameters["scale"]
        return dist.TransformedDistribution(self.law.distribution(self.dim, loc), [self.transform(loc, scale)])

    def log_base(self, noise: torch.Tensor) -> torch.Tensor:
        r""":math:`\log q_0(\xi)` for ``noise[..., d]``, shape ``[...]``."""
        return self.law.distribution(self.dim, noise).log_prob(noise)

    def log_prob(self, z: torch.Tensor, parameters: Parameters) -> torch.Tensor:
        """Log density at ``z[..., d]``, shape ``[...]``."""
        return self.log_base(self.standardize(z, parameters)) - self.log_det(parameters["scale"])

    def standardize(self, z: torch.Tensor, parameters: Parameters) -> torch.Tensor:
        r""":math:`C^{-1}(z-\nu)` for ``z[..., d]``."""
        shifted = z - parameters["loc"]
        if self.scale == "full":
            return torch.linalg.solve_triangular(parameters["scale"], shifted.unsqueeze(-1), upper=False).squeeze(-1)
        return shifted / parameters["scale"]

    # -- statistics --------------------------------------------------------------------------------------------

    def standard_deviation(self, parameters: Parameters) -> torch.Tensor:
        """Standard deviations ``[d]`` of the coordinates; infinite or nan where they do not exist (df <= 2)."""
        return self.matrix(parameters["scale"]).square().sum(-1).sqrt() * math.sqrt(self.law.variance)

    def correlation(self, parameters: Parameters) -> torch.Tensor:
        """Correlation ``[d, d]`` of the scatter matrix :math:`CC^T` (the correlation where second moments exist)."""
        matrix = self.matrix(parameters["scale"])
        rows = matrix / matrix.square().sum(-1, keepdim=True).sqrt()
        return rows @ rows.mT

    def quantiles(self, levels: torch.Tensor, parameters: Parameters) -> torch.Tensor:
        """Marginal quantiles ``[n, d]`` at ``levels[n]`` in (0, 1): of the base, not of a normal."""
        loc = parameters["loc"].detach()
        matrix = self.matrix(parameters["scale"]).detach().double().cpu().numpy()
        u = levels.double().cpu().numpy()
        columns = [marginal_quantile(self.law, np.asarray(row), u) for row in matrix]
        return loc + torch.as_tensor(np.stack(columns, -1)).to(loc)

    # -- a flat vector for optimisers --------------------------------------------------------------------------

    @cached_property
    def scale_size(self) -> int:
        """Number of free numbers in the scale."""
        return {"isotropic": 1, "diagonal": self.dim, "full": self.dim * (self.dim + 1) // 2}[self.scale]

    def scale_from_vector(self, vector: torch.Tensor) -> torch.Tensor:
        """A scale parameter from unconstrained numbers: logarithms on the diagonal, then the strict lower triangle."""
        if self.scale == "isotropic":
            return vector[0].exp()
        if self.scale == "diagonal":
            return vector.exp()
        rows, columns = torch.tril_indices(self.dim, self.dim, -1)
        lower = torch.zeros(self.dim, self.dim, dtype=vector.dtype).index_put((rows, columns), vector[self.dim :])
        return lower + torch.diag(vector[: self.dim].exp())

    def compose(self, reference: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """The scale of ``reference @ scale`` (each pattern is closed under products)."""
        return reference @ scale if self.scale == "full" else reference * scale


def resolve_base(base: str, scale: str, df: float | None) -> Base:
    """The base law for a name, a scale pattern and degrees of freedom, with every argument checked."""
    if not isinstance(base, str) or base not in BASES:
        raise ValueError(f'expected base in {sorted(BASES)}, got {base!r}, because no other is known; try "normal"')
    if scale not in SCALES:
        raise ValueError(f'expected scale in {list(SCALES)}, got {scale!r}, because no other is known; try "full"')
    if base == "student_t":
        if df is None:
            raise ValueError('expected df for base="student_t", got None, because its tails depend on it; try df=5.0')
        StudentT(df=df)  # checks it
        return StudentT(df=float(df), spherical=scale != "diagonal")
    if df is not None:
        raise ValueError(
            f'expected df=None for base="{base}", got {df}, because only student_t has degrees of freedom; '
            'try base="student_t"'
        )
    return BASES[base]()
