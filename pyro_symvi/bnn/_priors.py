"""Priors of weights: independent laws about zero, one a parameter tensor."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from .._layout import Layout
from .._value import Value


class WeightPrior(Value, ABC):
    """The law of one weight, symmetric about zero, with a scale that may depend on the shape of its tensor."""

    @abstractmethod
    def scale_of(self, shape: tuple[int, ...]) -> float:
        """The scale for a tensor of this shape."""

    kind: str = "normal"


def _positive(value: float, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value < math.inf):
        raise ValueError(f"expected a finite positive {name}, got {value!r}, because it is the width of a prior")


@dataclass(frozen=True, eq=False, repr=False)
class NormalPrior(WeightPrior):
    """N(0, scale^2), ``scale`` a standard deviation."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        _positive(self.scale, "scale")

    def scale_of(self, shape: tuple[int, ...]) -> float:
        return float(self.scale)


@dataclass(frozen=True, eq=False, repr=False)
class LaplacePrior(WeightPrior):
    """Density exp(-|w| / scale) / (2 scale)."""

    scale: float = 1.0
    kind = "laplace"

    def __post_init__(self) -> None:
        _positive(self.scale, "scale")

    def scale_of(self, shape: tuple[int, ...]) -> float:
        return float(self.scale)


@dataclass(frozen=True, eq=False, repr=False)
class FanInPrior(WeightPrior):
    """N(0, gain^2 / fan_in) for weights ``[out, in, ...]``, N(0, bias_scale^2) for vectors.

    ``gain = sqrt(2)`` keeps the variance of ReLU layers (He et al. 2015); 1 that of linear ones.
    """

    gain: float = math.sqrt(2)
    bias_scale: float = 1.0

    def __post_init__(self) -> None:
        _positive(self.gain, "gain")
        _positive(self.bias_scale, "bias_scale")

    def scale_of(self, shape: tuple[int, ...]) -> float:
        return self.gain / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else float(self.bias_scale)


@dataclass(frozen=True, eq=False, repr=False)
class FlatPrior(WeightPrior):
    """Density one everywhere: improper, for biases that the data pin down."""

    kind = "flat"

    def scale_of(self, shape: tuple[int, ...]) -> float:
        return 1.0


@dataclass(frozen=True, eq=False, repr=False)
class NetworkPrior(Value):
    """Independent priors of all weights: ``default``, and others for names that match a pattern.

    ``NetworkPrior(NormalPrior(1.0), {"0.*": NormalPrior(0.3), "*.bias": FlatPrior()})``: patterns as of the shell,
    the first that matches counts; one that matches nothing is refused.

    Raises:
        TypeError: for anything but priors of weights.
    """

    default: WeightPrior = field(default_factory=NormalPrior)
    by_name: Mapping[str, WeightPrior] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for prior in (self.default, *self.by_name.values()):
            if not isinstance(prior, WeightPrior):
                raise TypeError(f"expected priors of weights, got {prior!r}; try NormalPrior(1.0)")
        object.__setattr__(self, "by_name", dict(self.by_name))

    def of(self, layout: Layout) -> ParameterPrior:
        """The prior of each entry of the flat vector; scalars of the likelihood are left to it."""
        network_names = layout.names[: len(layout.names) - layout.extras]
        for pattern in self.by_name:
            if not any(fnmatchcase(name, pattern) for name in network_names):
                raise ValueError(f"expected a pattern that matches one of {list(network_names)}, got {pattern!r}")
        scale, kinds = torch.ones(layout.dim, dtype=torch.float64), ["likelihood"] * layout.dim
        for name, shape in zip(network_names, layout.shapes, strict=False):
            prior = next((p for pattern, p in self.by_name.items() if fnmatchcase(name, pattern)), self.default)
            place = layout.slices[name]
            scale[place] = prior.scale_of(shape)
            kinds[place] = [prior.kind] * (place.stop - place.start)
        return ParameterPrior(scale, tuple(kinds))


@dataclass(frozen=True, eq=False, repr=False)
class ParameterPrior(Value):
    """A product of laws about zero, entry by entry: ``scale`` ``[dim]`` and ``kinds``.

    Kinds are normal, laplace, flat, and likelihood for entries whose prior the likelihood holds (no part of this law).
    """

    scale: Tensor
    kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        masks = {kind: torch.tensor([k == kind for k in self.kinds]) for kind in ("normal", "laplace")}
        object.__setattr__(self, "_masks", masks)
        object.__setattr__(self, "_cache", {})

    @property
    def is_normal(self) -> bool:
        """Whether every weight has a normal prior."""
        return all(kind in ("normal", "likelihood") for kind in self.kinds)

    @property
    def is_proper(self) -> bool:
        """Whether no entry is flat."""
        return "flat" not in self.kinds

    def _parts(self, theta: Tensor) -> tuple[Tensor, Tensor, float]:
        """1 / scale^2 of normal entries, 1 / scale of Laplace entries (zero elsewhere), the log normaliser."""
        key = (theta.dtype, theta.device)
        cache: dict = self._cache  # type: ignore[attr-defined]
        if key not in cache:
            normal, laplace = self._masks["normal"], self._masks["laplace"]  # type: ignore[attr-defined]
            constant = -float((self.scale[normal].log() + 0.5 * math.log(2 * math.pi)).sum())
            constant -= float((self.scale[laplace] * 2).log().sum())
            zero = torch.zeros_like(self.scale)
            precision = torch.where(normal, self.scale**-2, zero).to(theta)
            rate = torch.where(laplace, 1 / self.scale, zero).to(theta)
            cache[key] = (precision, rate, constant)
        return cache[key]

    def log_prob(self, theta: Tensor) -> Tensor:
        """Log density ``[*batch]``, normalised but for flat entries."""
        precision, rate, constant = self._parts(theta)
        value = -0.5 * (theta.square() @ precision)
        if "laplace" in self.kinds:
            value = value - theta.abs() @ rate
        return value + constant

    def score(self, theta: Tensor) -> Tensor:
        """Gradient of the log density, ``[*batch, dim]``."""
        precision, rate, _ = self._parts(theta)
        value = -theta * precision
        return value - theta.sign() * rate if "laplace" in self.kinds else value

    def value_and_score(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """``log_prob`` and ``score``, where all is normal from one another: log p = theta . score / 2 + const."""
        if "laplace" in self.kinds:
            return self.log_prob(theta), self.score(theta)
        precision, _, constant = self._parts(theta)
        score = (theta * precision).neg_()
        return (theta * score).sum(-1).mul_(0.5).add_(constant), score

    def virial(self, theta: Tensor) -> Tensor:
        """-theta_i d log p / d theta_i, ``[*batch, dim]``: theta^2 / scale^2, |theta| / scale, or 0 where flat."""
        return -theta * self.score(theta)

    def sample(self, n: int, *, dtype: torch.dtype, generator: torch.Generator | None = None) -> Tensor:
        """Draws ``[n, dim]``; refused for improper priors (flat entries)."""
        if not self.is_proper:
            raise ValueError(
                "expected a proper prior to draw from, got flat entries; try NormalPrior with a large scale"
            )
        normal = torch.randn(n, len(self.kinds), generator=generator, dtype=dtype)
        if "laplace" in self.kinds:
            u = torch.rand(n, len(self.kinds), generator=generator, dtype=torch.float64) - 0.5
            laplace = -u.sign() * torch.log1p(-2 * u.abs().clamp(max=0.5 - 1e-17))
            normal = torch.where(self._masks["laplace"], laplace.to(dtype), normal)  # type: ignore[attr-defined]
        return normal * self.scale.to(dtype)  # entries of the likelihood are replaced by its own draws
