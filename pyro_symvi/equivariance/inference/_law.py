"""Reading a law: location and covariance, or direction and concentration, of whatever a guide or encoder gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from torch import distributions as torch_dist

from ...distributions._axial import AxialLaw
from ...distributions.von_mises_fisher import VonMisesFisher
from ...groups._errors import sentence

LARGEST = 256
"""Coordinates of one site: covariances are held in full."""


class Kind(Enum):
    """What is known of a law from its location and covariance."""

    NORMAL = "normal"
    #: Location and scatter say all, given the radial law: it moves as a normal law does.
    ELLIPTICAL = "elliptical"
    #: Two moments (or location and scatter) of a law of another form: equality of these does not make the laws equal.
    MOMENTS = "location and scatter"
    VON_MISES_FISHER = "von Mises-Fisher"
    #: Axially symmetric on a sphere, of another form than von Mises-Fisher.
    AXIAL = "axial"
    POINT = "point"


@dataclass(frozen=True)
class Law:
    """Location and spread, float64, samples first.

    Attributes:
        kind: of law.
        loc: ``[B, *rest]``; a unit direction for laws on a sphere.
        spread: the covariance ``[B, D, D]`` with D the product of rest; the concentration ``[B, *copies]`` on spheres;
            None for a point.
    """

    kind: Kind
    loc: Tensor
    spread: Tensor | None

    def tensors(self) -> dict[str, Tensor]:
        """By name, for a sweep."""
        return {"loc": self.loc} if self.spread is None else {"loc": self.loc, "spread": self.spread}


def law_of(given: Any, name: str = "the guide's output") -> Law:
    """The law of a torch or Pyro distribution, of (loc, scale | scale_tril | covariance), or of a dict of these."""
    if isinstance(given, torch_dist.Distribution):
        return _of_distribution(given, name)
    if isinstance(given, dict):
        return _of_parameters(given, name)
    if isinstance(given, tuple | list) and len(given) == 2 and all(isinstance(part, Tensor) for part in given):
        return _of_parameters({"loc": given[0], _guess(given[0], given[1], name): given[1]}, name)
    raise TypeError(
        sentence(
            f"a law as {name}",
            type(given).__name__,
            "its location and covariance are compared along the orbit",
            "a distribution, (loc, scale), (loc, scale_tril), or {'loc': ..., 'covariance': ...}",
        )
    )


PARAMETERS = ("scale", "variance", "log_variance", "scale_tril", "covariance")


def _guess(loc: Tensor, second: Tensor, name: str) -> str:
    if second.shape == loc.shape:
        if bool((second < 0).any()):
            raise ValueError(
                sentence(
                    f"standard deviations in the second place of {name}",
                    "negative entries",
                    "(loc, scale) is what a pair of one shape is read as",
                    "{'loc': ..., 'log_variance': ...}",
                )
            )
        return "scale"
    if second.shape != (*loc.shape, loc.shape[-1]):
        raise ValueError(
            f"expected {name} as (loc [B, d], scale [B, d]) or (loc [B, d], matrix [B, d, d]), got shapes "
            f"{list(loc.shape)} and {list(second.shape)}"
        )
    triangular, symmetric = not bool(second.triu(1).any()), bool(torch.allclose(second, second.mT))
    if triangular != symmetric:
        return "scale_tril" if triangular else "covariance"
    raise ValueError(
        sentence(
            f"a lower-triangular factor or a covariance in the second place of {name}",
            "diagonal matrices, which are both" if triangular else "matrices that are neither",
            "one is the square of the other",
            "{'loc': ..., 'scale_tril': ...} or {'loc': ..., 'covariance': ...}",
        )
    )


def _of_parameters(given: dict[str, Any], name: str) -> Law:
    spreads = [key for key in PARAMETERS if key in given]
    if "loc" not in given or len(spreads) != 1 or len(given) != 2:
        raise ValueError(
            f"expected {name} as a dict of 'loc' and one of {', '.join(map(repr, PARAMETERS))}, got {list(given)}"
        )
    loc, spread = given["loc"].double(), given[spreads[0]].double()
    if spreads[0] == "scale_tril":
        return Law(Kind.NORMAL, loc, _blocks(spread @ spread.mT, name))
    if spreads[0] == "covariance":
        return Law(Kind.NORMAL, loc, _blocks(spread, name))
    if spreads[0] != "variance":
        spread = spread.square() if spreads[0] == "scale" else spread.exp()
    return Law(Kind.NORMAL, loc, _diagonal(spread.expand(loc.shape), name))


def _of_distribution(given: torch_dist.Distribution, name: str) -> Law:
    shape = given.batch_shape + given.event_shape
    while isinstance(given, torch_dist.Independent) or type(given).__name__ == "MaskedDistribution":
        given = given.base_dist  # type: ignore[attr-defined]
    if isinstance(given, AxialLaw):
        kind = Kind.VON_MISES_FISHER if isinstance(given, VonMisesFisher) else Kind.AXIAL
        return Law(kind, unit(given.direction.double()), given.concentration.double())
    if type(given).__name__ == "Delta":
        return Law(Kind.POINT, given.mean.double().expand(shape), None)
    if isinstance(given, torch_dist.MultivariateNormal | torch_dist.LowRankMultivariateNormal):
        return Law(Kind.NORMAL, given.mean.double(), _blocks(given.covariance_matrix.double(), name))
    if isinstance(given, torch_dist.TransformedDistribution):
        return _of_affine(given, name)
    kind = Kind.NORMAL if isinstance(given, torch_dist.Normal) else Kind.MOMENTS
    loc, variance = _moments(given, name)
    return Law(kind, loc.expand(shape), _diagonal(variance.expand(shape), name))


def _moments(given: torch_dist.Distribution, name: str) -> tuple[Tensor, Tensor]:
    """Mean and variance; location and squared scale of heavy tails."""
    support: Any = given.support
    if getattr(support, "is_discrete", False):
        raise TypeError(f"expected a continuous law as {name}, got {type(given).__name__}; try its logits as a model")
    loc, scale = getattr(given, "loc", None), getattr(given, "scale", None)
    if isinstance(loc, Tensor) and isinstance(scale, Tensor):
        return loc.double(), scale.double().square()
    return given.mean.double(), given.variance.double()


def _of_affine(given: torch_dist.TransformedDistribution, name: str) -> Law:
    """The law of z = loc + C xi: location and C C^T of the base's variances; refused for any other map."""
    base = given.base_dist
    while isinstance(base, torch_dist.Independent):
        base = base.base_dist

    def mapped(xi: Tensor) -> Tensor:
        for transform in given.transforms:
            xi = transform(xi)
        return xi.double()

    batch, event = given.batch_shape, given.event_shape
    like = mapped(torch.zeros(batch + event, dtype=_dtype(base)))
    known = isinstance(base, torch_dist.Normal)
    mean, variance = (base.mean, base.variance) if known else (torch.tensor(0.0), torch.tensor(1.0))
    if len(event) > 1:
        raise TypeError(f"expected a law of vectors as {name}, got events of shape {list(event)}")
    if event:
        basis = torch.eye(event[0], dtype=_dtype(base)).reshape(event[0], *(1,) * len(batch), event[0])
        basis = basis.expand(event[0], *batch, event[0])
        columns = mapped(basis) - like
        linear = all(torch.allclose(mapped(c * basis) - like, c * columns) for c in (2, -1))
        mixed = mapped(basis.cumsum(0)) - like  # and a sum of directions is the sum of their images
        linear = linear and torch.allclose(mixed, columns.cumsum(0))
        root = columns.movedim(0, -1)
        loc = like + (root @ mean.double().expand(batch + event)[..., None])[..., 0]
        spread = _blocks(root @ torch.diag_embed(variance.double().expand(batch + event)) @ root.mT, name)
    else:
        ones = torch.ones(batch, dtype=_dtype(base))
        slope = mapped(ones) - like
        linear = all(torch.allclose(mapped(c * ones) - like, c * slope) for c in (2, -1))
        loc, spread = like + slope * mean.double(), _diagonal(slope.square() * variance.double().expand(batch), name)
    if not linear:
        raise TypeError(
            sentence(
                f"a law of location and scale as {name}",
                f"{type(given).__name__} by a map that is not affine",
                "location and covariance do not describe it",
                "the law before the map, with the action on unconstrained values",
            )
        )
    return Law(Kind.NORMAL if known else Kind.MOMENTS, loc, spread)


def _dtype(base: torch_dist.Distribution) -> torch.dtype:
    """The dtype of a law's draws, from its tensors."""
    found = [value.dtype for value in vars(base).values() if isinstance(value, Tensor) and value.is_floating_point()]
    return found[0] if found else torch.get_default_dtype()


def unit(direction: Tensor) -> Tensor:
    """Of length 1 in float64, where it was in a shorter type."""
    return direction / direction.norm(dim=-1, keepdim=True)


def _diagonal(variance: Tensor, name: str) -> Tensor:
    """``[B, *rest]`` as ``[B, D, D]``."""
    flat = variance.reshape(len(variance), -1)
    _require_small(flat.shape[1], name)
    return torch.diag_embed(flat)


def _blocks(covariance: Tensor, name: str) -> Tensor:
    """``[B, *copies, d, d]`` as ``[B, D, D]``, copies independent."""
    d = covariance.shape[-1]
    copies = covariance.reshape(len(covariance), -1, d, d)
    c = copies.shape[1]
    _require_small(c * d, name)
    eye = torch.eye(c, dtype=covariance.dtype, device=covariance.device)
    return torch.einsum("bcij,ce->bciej", copies, eye).reshape(len(copies), c * d, c * d)


def _require_small(size: int, name: str) -> None:
    if size > LARGEST:
        raise ValueError(
            sentence(
                f"at most {LARGEST} coordinates in {name}",
                size,
                "covariances are compared in full",
                "a function that returns a part of the latent vector",
            )
        )
