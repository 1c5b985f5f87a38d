"""Location-scale families."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyro.distributions as dist
import torch
from torch import Tensor

from ..distributions.bases import BASES, Base, Cauchy, StudentT
from ..groups import Action, LinearAction, TranslationAction
from ._closure import Closure
from ._family import Family, Parameters
from ._structure import linear_parts
from .marginals import marginal_quantile
from .scales import SCALES, Scale

__all__ = ["LearnedDf", "LocationScale", "Parameters", "resolve_base", "resolve_scale"]


@dataclass(frozen=True)
class LearnedDf:
    """Degrees of freedom that are fitted along with location and scale: ``df=LearnedDf()``.

    Args:
        initial: Where a guide starts.
        minimum: They stay above it. At 1, the default, the mean exists and the location theorems for forward KL hold at
            every df; below 1 they do not (two far clusters then draw the location to one of them).

    Raises:
        TypeError: Not numbers.
        ValueError: Not 0 <= minimum < initial < inf.
    """

    initial: float = 5.0
    minimum: float = 1.0

    def __post_init__(self) -> None:
        for name in ("initial", "minimum"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(
                    f"expected {name} as a number, got {value!r}, because it counts degrees of freedom; try LearnedDf()"
                )
        if not 0 <= self.minimum < self.initial < math.inf:
            raise ValueError(
                f"expected 0 <= minimum < initial < inf, got minimum={self.minimum}, initial={self.initial}, because "
                "degrees of freedom are positive and start inside their range; try LearnedDf()"
            )


@dataclass(frozen=True)
class LocationScale(Family):
    r"""The laws of :math:`z = \nu + C\xi,\ \xi \sim q_0`, with density :math:`|C|^{-1} q_0(C^{-1}(z-\nu))`.

    A frozen value; parameters are passed in as ``{"loc": [*batch, d], "scale": ...}``, and ``"df": [*batch]`` where
    degrees of freedom are learned. The shape of ``scale`` is the pattern's: a positive number ``[]`` (isotropic), a
    positive vector ``[d]`` (diagonal), a lower-triangular matrix ``[d, d]`` with positive diagonal (full and block
    diagonal), ``[d, 1 + rank]`` (low rank), coefficients ``[k]`` (tied), what was given (fixed).

    Named bases: ``student_t`` and ``cauchy`` are the multivariate (spherical) laws unless the scale is diagonal, where
    they are products of univariate laws: each is the one whose location theorems are strongest. ``laplace`` and
    ``logistic`` are products; with a full scale their level sets are not ellipsoids. For the others give the value:
    ``base=Laplace(spherical=True)`` (elliptical), ``GeneralizedNormal(1.5)``, ``StudentT(5.0, spherical=False)``.

    Args:
        dim: Dimension d.
        base: ``"normal"``, ``"student_t"``, ``"cauchy"``, ``"laplace"``, ``"logistic"``, ``"uniform_ball"``, or a value
            of `pyro_symvi.distributions.bases`.
        scale: ``"isotropic"``, ``"diagonal"``, ``"full"``, ``"low_rank"``, or a value of `pyro_symvi.families.scales`.
        df: Degrees of freedom, for ``"student_t"`` only; any positive number, or `LearnedDf`. The mean needs df > 1,
            the covariance df > 2.

    Raises:
        TypeError: ``dim``, ``df``, ``base`` or ``scale`` is of a wrong kind.
        ValueError: Unknown base or scale, ``dim < 1``, ``df`` missing, misplaced, not finite or not positive; a
            heavy-tailed product law with a scale that mixes coordinates.

    Example:
        >>> family = LocationScale(2, base="student_t", df=5.0)
        >>> family.spherical, family.has_mean
        (True, True)
    """

    dim: int
    base: str | Base = "normal"
    scale: str | Scale = "full"
    df: float | LearnedDf | None = None
    law: Base = field(init=False, repr=False, compare=False)
    pattern: Scale = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Validate, and resolve the base law and the pattern."""
        if isinstance(self.dim, bool) or not isinstance(self.dim, int):
            raise TypeError(f"expected dim as an int, got {self.dim!r}, because it counts coordinates; try dim=2")
        if self.dim < 1:
            raise ValueError(f"expected dim >= 1, got {self.dim}, because a law needs a coordinate; try dim=1")
        pattern = resolve_scale(self.scale)
        object.__setattr__(self, "law", resolve_base(self.base, pattern, self.df))
        object.__setattr__(self, "pattern", pattern.resolve(self.dim))

    # -- what is true of the family ----------------------------------------------------------------------------

    @property
    def spherical(self) -> bool:
        r"""Whether :math:`q_0` depends on :math:`\lVert\xi\rVert` alone."""
        return self.law.spherical

    @property
    def has_mean(self) -> bool:
        """Whether the location is the mean (else it is the centre of symmetry only), whatever the parameters."""
        return self.df.minimum >= 1 if isinstance(self.df, LearnedDf) else self.law.has_mean

    @property
    def learns_df(self) -> bool:
        """Whether degrees of freedom are a parameter."""
        return isinstance(self.df, LearnedDf)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """``loc``, ``scale``, and ``df`` where it is learned."""
        return ("loc", "scale", "df") if self.learns_df else ("loc", "scale")

    def at(self, parameters: Parameters) -> LocationScale:
        """The family with degrees of freedom held at ``parameters["df"]``; itself if there are none to learn."""
        if not self.learns_df:
            return self
        df = float(parameters["df"])
        if isinstance(self.base, StudentT):
            return LocationScale(self.dim, replace(self.base, df=df), self.scale)
        return LocationScale(self.dim, self.base, self.scale, df)

    def _closure(self, action: Action) -> Closure:
        if isinstance(action, TranslationAction):
            return Closure(True, "translations move the location only", moves_scale=False)
        if not isinstance(action, LinearAction):
            return Closure(False, "its maps are not affine, so the image of a location-scale law is none")
        return self.pattern.closure(linear_parts(action, self.dim), self.spherical)

    def _push_forward(self, parameters: Parameters, action: Action, g: Tensor) -> Parameters:
        loc, scale = parameters["loc"], parameters["scale"]
        moved = {**parameters, "loc": action.act(g, loc)}
        if isinstance(action, LinearAction):
            moved["scale"] = self.pattern.image(scale, action.matrix(g).to(loc))
        return moved

    # -- laws --------------------------------------------------------------------------------------------------

    def matrix(self, scale: Tensor) -> Tensor:
        """The matrix C ``[*batch, d, d]`` of a scale parameter."""
        return self.pattern.matrix(scale, self.dim)

    def apply(self, scale: Tensor, noise: Tensor) -> Tensor:
        r""":math:`C\xi` for ``noise[..., d]``."""
        return self.pattern.apply(scale, noise)

    def log_det(self, scale: Tensor) -> Tensor:
        r""":math:`\log|C|`, ``[*batch]``."""
        return self.pattern.log_det(scale, self.dim)

    def transform(self, loc: Tensor, scale: Tensor) -> dist.transforms.Transform:
        r"""The map :math:`\xi\mapsto\nu+C\xi` as a torch transform."""
        return self.pattern.transform(loc, scale)

    def base_distribution(self, like: Tensor, parameters: Parameters) -> dist.TorchDistribution:
        """The law of the noise in like's dtype and device, ``event_shape (d,)``."""
        if self.learns_df and isinstance(self.law, StudentT):
            return self.law.distribution(self.dim, like, parameters["df"])
        return self.law.distribution(self.dim, like)

    def distribution(self, parameters: Parameters) -> dist.TransformedDistribution:
        """The law as a Pyro distribution with ``event_shape (d,)`` and the parameters' batch shape."""
        loc, scale = parameters["loc"], parameters["scale"]
        base = self.base_distribution(loc, parameters)
        if loc.ndim > 1:
            base = base.expand(loc.shape[:-1])
        return dist.TransformedDistribution(base, [self.transform(loc, scale)])

    def log_base(self, noise: Tensor, parameters: Parameters | None = None) -> Tensor:
        r""":math:`\log q_0(\xi)` for ``noise[..., d]``, shape ``[...]``; ``parameters`` where df is learned."""
        return self.base_distribution(noise, parameters or {}).log_prob(noise)

    def log_prob(self, z: Tensor, parameters: Parameters) -> Tensor:
        """Log density at ``z[..., d]``, shape ``[...]``."""
        return self.log_base(self.standardize(z, parameters), parameters) - self.log_det(parameters["scale"])

    def standardize(self, z: Tensor, parameters: Parameters) -> Tensor:
        r""":math:`C^{-1}(z-\nu)` for ``z[..., d]``."""
        return self.pattern.solve(parameters["scale"], z - parameters["loc"])

    # -- statistics --------------------------------------------------------------------------------------------

    def standard_deviation(self, parameters: Parameters) -> Tensor:
        """Standard deviations ``[*batch, d]`` of the coordinates; infinite or nan where they do not exist (df <= 2)."""
        variance = self.at(parameters).law.variance(self.dim)
        return self.matrix(parameters["scale"]).square().sum(-1).sqrt() * math.sqrt(variance)

    def correlation(self, parameters: Parameters) -> Tensor:
        """Correlation ``[*batch, d, d]`` of the scatter :math:`CC^T` (the correlation where second moments exist)."""
        matrix = self.matrix(parameters["scale"])
        rows = matrix / matrix.square().sum(-1, keepdim=True).sqrt()
        return rows @ rows.mT

    def quantiles(self, levels: Tensor, parameters: Parameters) -> Tensor:
        """Marginal quantiles ``[n, *batch, d]`` at ``levels[n]`` in (0, 1): of the base, not of a normal."""
        loc = parameters["loc"].detach()
        matrix = self.matrix(parameters["scale"]).detach().expand(*loc.shape, self.dim)
        dfs = parameters["df"].expand(loc.shape[:-1]).reshape(-1) if self.learns_df else None
        laws = [self.law] if dfs is None else [self.at({"df": df}).law for df in dfs]
        rows, u = matrix.reshape(-1, self.dim).double().cpu().numpy(), levels.double().cpu().numpy()
        each = [laws[k // self.dim % len(laws)] for k in range(len(rows))]
        columns = [marginal_quantile(law, row, u) for law, row in zip(each, rows, strict=True)]
        return loc + torch.as_tensor(np.stack(columns, -1)).reshape(len(u), *loc.shape).to(loc)

    # -- a flat vector for optimisers --------------------------------------------------------------------------

    @cached_property
    def size(self) -> int:
        """Number of free numbers in all parameters."""
        return self.dim + self.scale_size + int(self.learns_df)

    @cached_property
    def scale_size(self) -> int:
        """Number of free numbers in the scale."""
        return self.pattern.size(self.dim)

    def initial(self, value: float, like: Tensor) -> Parameters:
        """Parameters of location 0 and scale ``value``, in like's dtype and device."""
        found = {"loc": like.new_zeros(self.dim), "scale": self.pattern.initial(self.dim, value, like)}
        if isinstance(self.df, LearnedDf):
            found["df"] = like.new_tensor(self.df.initial)
        return found

    def scale_from_vector(self, vector: Tensor) -> Tensor:
        """A scale parameter from unconstrained numbers ``[scale_size]`` about the identity; see `Scale.around`."""
        like = vector if self.scale_size else torch.zeros((), dtype=vector.dtype)
        return self.pattern.around(self.pattern.initial(self.dim, 1.0, like), vector)

    def around(self, reference: Parameters, root: Tensor, x: Tensor) -> Parameters:
        r"""Parameters at coordinates ``x [size]`` about a reference: loc + root a, scale about the reference's, df.

        One unit of any entry is about one unit of ``root`` (location) or a factor e (scale, df above its minimum).
        A root ``[d]`` is a diagonal.
        """
        d = self.dim
        end = d + self.scale_size
        step = root * x[:d] if root.ndim == 1 else root @ x[:d]
        found = {"loc": reference["loc"] + step}
        found["scale"] = self.pattern.around(reference["scale"], x[d:end])
        if isinstance(self.df, LearnedDf):
            found["df"] = self.df.minimum + (reference["df"] - self.df.minimum) * x[end].exp()
        return found

    def complaint(self, name: str, value: Tensor) -> str | None:
        """What is expected of a parameter's value and missing ("finite", "positive", ...), or None."""
        if name == "scale" and self.pattern.complaint(value) is not None:
            return self.pattern.complaint(value)
        if name == "df" and isinstance(self.df, LearnedDf) and not bool((value > self.df.minimum).all()):
            return f"above {self.df.minimum}"
        return None if bool(torch.isfinite(value).all()) else "finite"


def resolve_scale(scale: str | Scale) -> Scale:
    """The pattern for a name or a value."""
    if isinstance(scale, Scale):
        return scale
    if not isinstance(scale, str) or scale not in SCALES:
        hint = "BlockDiagonal([2, 1])" if scale == "block_diagonal" else '"full"'
        raise ValueError(
            f"expected scale in {list(SCALES)}, or a value of pyro_symvi.families.scales, got {scale!r}, because no "
            f"other is known; try {hint}"
        )
    return SCALES[scale]()


def resolve_base(base: str | Base, scale: Scale, df: float | LearnedDf | None) -> Base:
    """The base law for a name or value, a scale pattern and degrees of freedom, with every argument checked."""
    known = isinstance(base, Base) or (isinstance(base, str) and base in BASES)
    if not known:
        raise ValueError(
            f"expected base in {sorted(BASES)}, or a value of pyro_symvi.distributions.bases, got {base!r}, because no "
            'other is known; try "normal", or GeneralizedNormal(1.5)'
        )
    law = _named(base, scale, df) if isinstance(base, str) else _given(base, df)
    if scale.mixes and not law.spherical and not law.tail(1).at_least_exponential:
        raise ValueError(
            f"expected a spherical or light-tailed base with a {scale.name} scale, got {law!r}, because sums of "
            "heavy-tailed independent coordinates have no tractable marginals; try spherical=True, or scale='diagonal'"
        )
    return law


def _named(base: str, scale: Scale, df: float | LearnedDf | None) -> Base:
    spherical = scale.name != "diagonal" and not (scale.name == "fixed" and not scale.mixes)
    if base == "student_t":
        if df is None:
            raise ValueError('expected df for base="student_t", got None, because its tails depend on it; try df=5.0')
        number = df.initial if isinstance(df, LearnedDf) else df
        StudentT(number)  # checks it
        return StudentT(float(number), spherical=spherical)
    if df is not None:
        raise ValueError(
            f'expected df=None for base="{base}", got {df}, because only student_t has degrees of freedom; '
            'try base="student_t"'
        )
    return Cauchy(spherical=spherical) if base == "cauchy" else BASES[base]()


def _given(base: Base, df: float | LearnedDf | None) -> Base:
    if df is None:
        return base
    if type(base) is not StudentT or not isinstance(df, LearnedDf):
        raise ValueError(
            f"expected df=None with base={base!r}, got {df}, because the value has its own shape; try "
            'base="student_t", or df=LearnedDf() with a StudentT'
        )
    return replace(base, df=float(df.initial))
