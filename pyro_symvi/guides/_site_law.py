"""The law of one site of a guide: a family's law, mapped to the site's support."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import Tensor
from torch.distributions import biject_to, transform_to
from torch.distributions.transforms import ComposeTransform, IndependentTransform, ReshapeTransform, Transform

from ..families import Family, LearnedDf, LocationScale, Parameters
from ..families._axial import AxialFamily
from . import _scale_parameters


class Part(NamedTuple):
    """One parameter of a guide: ``value [*plates, *event]``, its constraint, and the number of event dimensions."""

    value: Tensor
    constraint: Any
    event_dim: int

    @property
    def free_shape(self) -> torch.Size:
        """Shape of the unconstrained value."""
        return torch.Size(transform_to(self.constraint).inverse_shape(self.value.shape))


@dataclass(frozen=True)
class SiteLaw(ABC):
    """How the guide draws one site.

    Attributes:
        name: The site's.
        batch_shape: Its batch shape with plates in full, ``[*plates]``.
        event_shape: Event shape of its value.
    """

    name: str
    batch_shape: torch.Size
    event_shape: torch.Size

    @property
    @abstractmethod
    def family(self) -> Family:
        """The family, without the map to the support."""

    @abstractmethod
    def parts(self, parameters: Parameters) -> dict[str, Part]:
        """The guide's parameters for the family's."""

    @abstractmethod
    def join(self, values: dict[str, Tensor]) -> Parameters:
        """The family's parameters from the guide's; the inverse of `parts`."""

    @abstractmethod
    def posterior(self, parameters: Parameters, support: Any) -> dist.TorchDistribution:
        """The site's law under the support met in a run."""

    @abstractmethod
    def centre(self, parameters: Parameters, support: Any) -> Tensor:
        """Its median or mean direction, ``[*plates, *event]``."""

    @abstractmethod
    def place(self, parameters: Parameters) -> Tensor:
        """The parameter that says where the law lies."""

    @abstractmethod
    def at_mode(self, point: Tensor, precision: Tensor, covariance: Tensor, fallback: float) -> Parameters:
        """Parameters at a mode, for minus the Hessian's blocks ``precision [*plates, m, m]`` in local coordinates.

        ``covariance`` is its inverse, made positive definite; ``fallback`` a width where nothing can be told.
        """

    @abstractmethod
    def checked(self, parameters: Parameters) -> Parameters:
        """Parameters as the guide can hold them.

        Raises:
            ValueError: No law of the family has them.
        """

    def _refuse(self, part: str, wanted: str, value: Tensor) -> None:
        shown = value.tolist() if value.numel() < 20 else f"shape {list(value.shape)}"
        raise ValueError(
            f"expected {part} of site '{self.name}' to be {wanted}, got {shown}, because {self.family!r} has no other "
            "laws; try parameters_of on a fitted guide"
        )


@dataclass(frozen=True)
class EuclideanSite(SiteLaw):
    """A location-scale law of the unconstrained value, its event laid out as one vector ``[*plates, d]``.

    ``flat_shape`` is the event shape of the unconstrained value; d is its product.
    """

    law: LocationScale
    flat_shape: torch.Size

    @property
    def family(self) -> LocationScale:
        """The location-scale family on R^d."""
        return self.law

    def parts(self, parameters: Parameters) -> dict[str, Part]:
        """Those of `_scale_parameters.split`, each with the plates in front."""
        pairs = {"loc": (parameters["loc"], constraints.real)}
        pairs.update(_scale_parameters.split(self.law.pattern, parameters["scale"]))
        if isinstance(self.law.df, LearnedDf):
            pairs["df"] = (parameters["df"], constraints.greater_than(self.law.df.minimum))
        plates = len(self.batch_shape)
        return {name: Part(value, constraint, value.ndim - plates) for name, (value, constraint) in pairs.items()}

    def join(self, values: dict[str, Tensor]) -> Parameters:
        """Location, scale, df."""
        found = {"loc": values["loc"], "scale": _scale_parameters.join(self.law.pattern, values, values["loc"])}
        return {**found, "df": values["df"]} if "df" in values else found

    def initial(self, loc: Tensor, scale: float) -> Parameters:
        """Parameters at ``loc [*plates, d]`` with the same scale everywhere."""
        first = self.law.initial(scale, loc)
        spread = {
            name: v.expand((*self.batch_shape, *v.shape)).clone() for name, v in first.items() if self._free(name)
        }
        return {**first, **spread, "loc": loc}

    def _free(self, name: str) -> bool:
        """Whether the parameter is the guide's to fit (a fixed scale is not, and has no plates)."""
        return name != "scale" or self.law.scale_size > 0

    def posterior(self, parameters: Parameters, support: Any) -> dist.TorchDistribution:
        """The family's law, reshaped and mapped by ``biject_to(support)``."""
        law, steps = self.law.distribution(parameters), list[Transform]()
        if self.flat_shape != (self.law.dim,):
            steps.append(ReshapeTransform(torch.Size((self.law.dim,)), self.flat_shape))
        transform = self.transform(support)
        if not _is_identity(transform):
            steps.append(transform.with_cache())
        return dist.TransformedDistribution(law, steps) if steps else law

    def centre(self, parameters: Parameters, support: Any) -> Tensor:
        """The location, mapped."""
        return self.value_at(parameters["loc"], support)[0]

    def quantiles(self, levels: Tensor, parameters: Parameters, support: Any) -> Tensor:
        """Marginal quantiles of the base, mapped: ``[n, *plates, *event]``. A decreasing map swaps u and 1 - u."""
        transform = self.transform(support)
        flat = self._flat_quantiles(1 - levels if _is_decreasing(transform) else levels, parameters)
        mapped: Tensor = transform(flat.reshape((*flat.shape[:-1], *self.flat_shape)))
        return mapped

    def _flat_quantiles(self, levels: Tensor, parameters: Parameters) -> Tensor:
        if not self.law.learns_df:
            return self.law.quantiles(levels, parameters)
        flat = {name: v.reshape(-1, *v.shape[len(self.batch_shape) :]) for name, v in parameters.items()}
        rows = [self.law.quantiles(levels, {n: v[i] for n, v in flat.items()}) for i in range(len(flat["df"]))]
        return torch.stack(rows, 1).reshape(len(levels), *parameters["loc"].shape)

    def value_at(self, z: Tensor, support: Any) -> tuple[Tensor, Tensor]:
        """Value at ``z [*batch, d]``, and the log-determinant of the map's Jacobian, summed over everything."""
        transform = self.transform(support)
        x = z.reshape((*z.shape[:-1], *self.flat_shape))
        value = transform(x)
        return value, transform.log_abs_det_jacobian(x, value).sum()

    def flatten(self, value: Tensor, support: Any) -> Tensor:
        """The ``z [*batch, d]`` of a value."""
        x = self.transform(support).inv(value)
        return x.reshape((*x.shape[: x.ndim - len(self.flat_shape)], self.law.dim))

    def transform(self, support: Any) -> Transform:
        """The bijection onto a support, on whole events."""
        return bijection(support, len(self.event_shape))

    def place(self, parameters: Parameters) -> Tensor:
        """The location."""
        return parameters["loc"]

    def at_mode(self, point: Tensor, precision: Tensor, covariance: Tensor, fallback: float) -> Parameters:
        """The pattern's reverse-KL optimum for a normal target, over the base's standard deviation if it has one."""
        d, variance = self.law.dim, self.law.law.variance(self.law.dim)
        if not self.law.scale_size:
            return {"loc": point}
        roots = torch.linalg.cholesky(covariance).reshape(-1, d, d)
        roots = roots / (variance**0.5 if 0 < variance < float("inf") else 1.0)
        scales = torch.stack([self.law.pattern.from_root(root) for root in roots])
        return {"loc": point, "scale": scales.reshape((*self.batch_shape, *scales.shape[1:]))}

    def checked(self, parameters: Parameters) -> Parameters:
        """Finite, and a scale (df) that the family allows."""
        for name, value in parameters.items():
            wanted = self.law.complaint(name, value)
            if wanted is not None:
                self._refuse(name, wanted, value)
        return parameters


@dataclass(frozen=True)
class SphereSite(SiteLaw):
    """A law on the sphere, itself: ``direction [*plates, *event]``, ``concentration [*plates, *event[:-1]]``."""

    law: AxialFamily

    @property
    def family(self) -> AxialFamily:
        """The family on the sphere of R^d."""
        return self.law

    @property
    def _rows(self) -> int:
        """Number of event dimensions before the last one (``to_event`` on the prior)."""
        return len(self.event_shape) - 1

    def parts(self, parameters: Parameters) -> dict[str, Part]:
        """Direction on the sphere, concentration by its logarithm: a step changes it by a factor."""
        return {
            "direction": Part(parameters["direction"], constraints.sphere, 1 + self._rows),
            "concentration": Part(parameters["concentration"], constraints.positive, self._rows),
        }

    def join(self, values: dict[str, Tensor]) -> Parameters:
        """The same."""
        return dict(values)

    def initial(self, direction: Tensor, concentration: float) -> Parameters:
        """Parameters at ``direction [*plates, *event]`` with the same concentration everywhere."""
        return {"direction": direction, "concentration": torch.full_like(direction[..., 0], concentration)}

    def posterior(self, parameters: Parameters, support: Any) -> dist.TorchDistribution:
        """The family's law."""
        law = self.law.distribution(parameters)
        return law.to_event(self._rows) if self._rows else law

    def centre(self, parameters: Parameters, support: Any) -> Tensor:
        """The mean direction."""
        return self.law.mean_direction(parameters)

    def place(self, parameters: Parameters) -> Tensor:
        """The direction."""
        return parameters["direction"]

    def at_mode(self, point: Tensor, precision: Tensor, covariance: Tensor, fallback: float) -> Parameters:
        """The law whose curvature is the mean precision along the tangents."""
        mean = precision.diagonal(dim1=-2, dim2=-1).mean(-1)
        return self.law.at_mode(point, torch.where(mean > 0, mean, fallback**-2))

    def checked(self, parameters: Parameters) -> Parameters:
        """Unit vectors, and finite concentrations >= 0; 0 becomes 1e-30, which no draw or density tells from it."""
        direction, concentration = parameters["direction"], parameters["concentration"]
        norm = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        if not bool(((norm - 1).abs() < 1e-3).all()):
            self._refuse("direction", "unit vectors", direction)
        if not bool(((concentration >= 0) & concentration.isfinite()).all()):
            self._refuse("concentration", "finite and at least 0", concentration)
        return {"direction": direction / norm, "concentration": concentration.clamp(min=1e-30)}


def bijection(support: Any, event_dim: int) -> Transform:
    """The map ``biject_to(support)``, taken as one on events of ``event_dim`` dimensions."""
    transform = biject_to(support)
    missing = event_dim - transform.codomain.event_dim
    return IndependentTransform(transform, missing) if missing > 0 else transform


def _is_identity(transform: Transform) -> bool:
    if isinstance(transform, IndependentTransform):
        return _is_identity(transform.base_transform)
    return isinstance(transform, ComposeTransform) and not transform.parts


def _is_decreasing(transform: Transform) -> bool:
    """Whether an elementwise map decreases; those that mix coordinates do not say, and count as increasing."""
    while isinstance(transform, IndependentTransform):
        transform = transform.base_transform
    try:
        return bool((torch.as_tensor(transform.sign) < 0).all())
    except NotImplementedError:
        return False
