"""What an equivariance error holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from .._capture import OUTPUT
from ._rounding import Rounding

#: An error is called significant above this many times the noise floor.
SIGNIFICANCE = 3.0

T = TypeVar("T")


@dataclass(frozen=True)
class ParitySplit:
    """The two parts of A^2 for a group with proper and improper elements; they sum to it exactly.

    Attributes:
        rotation_squared: the spread within each coset, averaged over both: the error under rotations alone, of the
            inputs and of their mirror images, ``[B, *copies]``.
        parity_squared: ``|E_+ z - E_- z|^2 / 4``, what inversion (or a mirror) changes once rotations are averaged out,
            ``[B, *copies]``. Derivatives at the identity cannot see this part.
        weights: ``[B, *copies]``, 1 where an object counts.
    """

    rotation_squared: Tensor
    parity_squared: Tensor
    weights: Tensor

    @property
    def rotation(self) -> float:
        """Root of the pooled :attr:`rotation_squared`."""
        return _pooled(self.rotation_squared, self.weights) ** 0.5

    @property
    def parity(self) -> float:
        """Root of the pooled :attr:`parity_squared`."""
        return _pooled(self.parity_squared, self.weights) ** 0.5


@dataclass(frozen=True, repr=False)
class EquivarianceError:
    """The spread of z(g) = rho_out(g^-1) f(g x) over the group.

    Attributes:
        squared: A^2 = E|z|^2 - |E z|^2, summed over the components of one object that rho_out moves,
            ``[B, *copies]`` (copies: the axes of the output before those components, such as atoms).
        norm: E|z|^2, the same shape.
        mean: E z, the equivariant part of the output, ``[B, *rest]``.
        dimension: components of one object, d.
        weights: ``[B, *copies]``, 1 where an object counts.
        floor: the size of A that rounding alone produces.
        evaluations: group elements visited for each sample.
        spread: root of the variance over samples of E z about the best equivariant constant, summed over components;
            nan for a single sample. What a model without information would have as its error.
        squared_standard_error: standard error of the pooled A^2 over Monte Carlo draws; 0 for an exact rule.
        by_parity: parts of A^2 for groups with proper and improper elements (exact rules only), else None.
        rounding: how ``floor`` was found.
        name: of the output.
    """

    squared: Tensor
    norm: Tensor
    mean: Tensor
    dimension: int
    weights: Tensor
    floor: float
    evaluations: int
    spread: float = math.nan
    squared_standard_error: float = 0.0
    by_parity: ParitySplit | None = None
    rounding: Rounding | None = None
    name: str = OUTPUT

    @property
    def A(self) -> float:
        """Root of the mean of A^2 over samples and copies (the pooled error; not a mean of roots)."""
        return _pooled(self.squared, self.weights) ** 0.5

    @property
    def standard_error(self) -> float:
        """Standard error of :attr:`A` over Monte Carlo draws (delta method); 0 for an exact rule."""
        return self.squared_standard_error / (2 * self.A) if self.A > 0 else 0.0

    @property
    def relative(self) -> float:
        """A by the root of the mean of E|z|^2: 0 for an equivariant model, at most 1. A constant offset flatters it."""
        whole = _pooled(self.norm, self.weights)
        return self.A / whole**0.5 if whole > 0 else 0.0

    @property
    def relative_to_spread(self) -> float:
        """A by :attr:`spread`: offsets do not count. 0.01 is small, 1 as large as all there is to know.

        For energies with an offset of 1e5 this is the number to read. nan for a single sample.
        """
        if math.isnan(self.spread):
            return math.nan
        return self.A / self.spread if self.spread > 0 else (0.0 if self.A == 0 else math.inf)

    @property
    def rmse(self) -> float:
        """A by component, A / sqrt(d): the root of the pooled :attr:`v`."""
        return self.A / self.dimension**0.5

    @property
    def v(self) -> Tensor:
        """Variance by component, A^2 / d, ``[B, *copies]``."""
        return self.squared / self.dimension

    @property
    def per_sample(self) -> Tensor:
        """A of each sample, pooled over copies, ``[B]``; nan where a mask leaves nothing of a sample."""
        flat = (self.weights * self.squared).reshape(len(self.squared), -1).sum(1)
        return (flat / self.weights.reshape(len(flat), -1).sum(1)).sqrt()

    def quantiles(self, levels: tuple[float, ...] = (0.05, 0.5, 0.95, 1.0)) -> Tensor:
        """Quantiles over samples of :attr:`per_sample`, ``[len(levels)]``; samples without objects are left out."""
        return torch.nanquantile(self.per_sample, self.squared.new_tensor(levels))

    @property
    def noise_floor(self) -> float:
        """The size of A that rounding alone produces; below it nothing is known. See :attr:`rounding`."""
        return self.floor

    @property
    def significant(self) -> bool:
        """Whether A is above 3 times the noise floor: broken symmetry, not rounding."""
        return self.A > SIGNIFICANCE * self.floor

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        error = f" +- {self.standard_error:.1g}" if self.squared_standard_error else ""
        parts = [f"{self.name}: A = {self.A:.4g}{error} ({self.relative:.2g} of the output"]
        if math.isfinite(self.relative_to_spread):
            parts.append(f", {self.relative_to_spread:.2g} of the spread of E z over samples")
        visited = "draws" if self.squared_standard_error else "elements"
        verdict = "significant" if self.significant else "not above rounding"
        parts.append(f"); noise floor {self.floor:.2g}, {verdict}; {self.evaluations} {visited}")
        if self.by_parity is not None:
            parts.append(f"; rotations {self.by_parity.rotation:.3g}, parity {self.by_parity.parity:.3g}")
        return "".join(parts)


class ByOutput(Mapping[str, T], Generic[T]):
    """Results by output: ``found["output['energy']"]``, or in short ``found["energy"]`` and ``found[0]``."""

    def __init__(self, found: Mapping[str, T]) -> None:
        self._found = dict(found)

    def __getitem__(self, key: Any) -> T:
        for name in (key, f"{OUTPUT}[{key!r}]"):
            if name in self._found:
                return self._found[name]
        raise KeyError(f"expected an output among {list(self._found)}, got {key!r}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        return "\n".join(str(value) for value in self._found.values())


class EquivarianceErrors(ByOutput[EquivarianceError]):
    """Equivariance errors of the outputs of a model, by name. Blocks of different dimension are kept apart."""

    @property
    def rmse(self) -> float:
        """All blocks by component, sqrt(sum A^2 / sum d) over the objects that count: each block weighs d times.

        Only for outputs of one unit: nothing else makes energies and forces comparable.
        """
        whole = sum(float((e.weights * e.squared).sum()) for e in self.values())
        return (whole / sum(float(e.weights.sum()) * e.dimension for e in self.values())) ** 0.5

    @property
    def significant(self) -> bool:
        """Whether any output's error is."""
        return any(error.significant for error in self.values())


def _pooled(objects: Tensor, weights: Tensor) -> float:
    return float((weights * objects).sum() / weights.sum())
