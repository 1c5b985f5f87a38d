"""What a Lie derivative holds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...groups import Group, Orthogonal, SpecialOrthogonal, Torus, Unitary
from ._derivative import Derivative


@dataclass(frozen=True)
class LayerTerm:
    """What one layer adds to the Lie derivative of the output.

    Attributes:
        name: of the module; "output" for what follows the named ones.
        squared: sum over generators and components of the squared term, ``[B, *copies]``.
        inner: the same sum of its product with the whole derivative.
        vector: the term itself, ``[generators, B, *rest]``; None where an average over the group was taken.
    """

    name: str
    squared: Tensor
    inner: Tensor
    vector: Tensor | None


@dataclass(frozen=True, repr=False)
class LieError:
    """The derivative along the group of a model's output turned back; see :func:`~pyro_symvi.equivariance.lie_error`.

    Attributes:
        by_generator: |L_a f|^2 summed over the components of one object that rho_out moves, ``[generators, B,
            *copies]``; a mean over the group where one was asked for. With probes: their mean, one entry.
        norm: |f|^2, the same without generators.
        weights: ``[B, *copies]``, 1 where an object counts.
        terms: of the layers, in order of calls; empty unless asked for.
        vector: L_a f itself, ``[generators, B, *rest]``; None where an average was taken.
        group: whose Lie algebra it is.
        method: how derivatives were taken.
        reasons: why not by the methods before it.
        averaged: whether :attr:`by_generator` is a mean over the group.
        draws_error: standard error of the mean square, from random draws; 0 for exact sums.
        floor: the size of L that rounding alone produces.
    """

    by_generator: Tensor
    norm: Tensor
    weights: Tensor
    terms: tuple[LayerTerm, ...]
    vector: Tensor | None
    group: Group
    method: Derivative
    reasons: tuple[str, ...]
    averaged: bool
    draws_error: float
    floor: float

    @property
    def squared(self) -> Tensor:
        """Sum over generators, ``[B, *copies]``."""
        return self.by_generator.sum(0)

    @property
    def mean_square(self) -> float:
        """Mean of :attr:`squared` over samples and copies. Over the group: the energy weighted by the Casimir value,
        sum l(l+1) B_l for SO(3), of the response turned back."""
        return self._pooled(self.squared)

    @property
    def L(self) -> float:
        """Root of :attr:`mean_square`: units of the output per unit of the generators (radians, or length)."""
        return self.mean_square**0.5

    @property
    def significant(self) -> bool:
        """Whether L is above 4 times :attr:`floor`: a broken symmetry, not rounding."""
        return self.L > 4 * self.floor

    @property
    def standard_error(self) -> float:
        """Of :attr:`L`, from random draws of elements or generators; 0 where sums are exact."""
        return self.draws_error / (2 * self.L) if self.L > 0 else 0.0

    @property
    def relative(self) -> float:
        """L by the root mean square of the output: 0 if equivariant; averaged, sqrt(l(l+1)) for pure degree l."""
        whole = self._pooled(self.norm)
        return (self.mean_square / whole) ** 0.5 if whole > 0 else 0.0

    @property
    def per_sample(self) -> Tensor:
        """L of each sample, pooled over copies, ``[B]``."""
        flat = (self.weights * self.squared).reshape(len(self.squared), -1).sum(1)
        return (flat / self.weights.reshape(len(flat), -1).sum(1)).sqrt()

    def quantiles(self, levels: tuple[float, ...] = (0.05, 0.5, 0.95, 1.0)) -> Tensor:
        """Quantiles over samples of :attr:`per_sample`, ``[len(levels)]``; samples without objects are left out."""
        return torch.nanquantile(self.per_sample, self.per_sample.new_tensor(levels))

    @property
    def bound(self) -> float | None:
        """An upper bound of the equivariance error A, from an average over the group; None where there is none.

        A^2 <= mean square / c with c the least Casimir value but 0 (Poincare's inequality on the group): 1 for SO(2),
        U(1) and tori, n - 1 for SO(n), so 2 for SO(3). None for O(n): an odd part costs no derivative.
        """
        least = _least_casimir(self.group)
        return (self.mean_square / least) ** 0.5 if self.averaged and least else None

    def term(self, name: str) -> LayerTerm:
        """The term of one layer."""
        for term in self.terms:
            if term.name == name:
                return term
        raise KeyError(f"expected a layer among {[term.name for term in self.terms]}, got {name!r}")

    @property
    def sizes(self) -> dict[str, float]:
        """Root mean square of each layer's term. Terms add up to the whole as vectors; sizes do not add."""
        return {term.name: self._pooled(term.squared) ** 0.5 for term in self.terms}

    @property
    def shares(self) -> dict[str, float]:
        """Mean product of each term with the whole, by the mean square of the whole: they sum to 1.

        Negative where a layer undoes what others do.
        """
        whole = self.mean_square
        return {term.name: self._pooled(term.inner) / whole if whole > 0 else 0.0 for term in self.terms}

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        over = "averaged over the group" if self.averaged else "at the given inputs"
        error = f" +- {self.standard_error:.2g}" if self.draws_error else ""
        lines = [
            f"Lie derivative under {self.group!r}, {over}: L = {self.L:.4g}{error} (relative {self.relative:.3g}), "
            f"by {self.method!r}",
            *(f"  not by {reason}" for reason in self.reasons),
        ]
        if self.bound is not None:
            lines.append(f"  equivariance error A <= {self.bound:.4g}")
        if not self.group.is_connected:
            lines.append(
                f"  blind to parity: {self.group!r} is not connected, and a derivative sees its identity component "
                "alone; equivariance_error sees the rest"
            )
        lines += [f"  {name}: {size:.4g} (share {self.shares[name]:+.2g})" for name, size in self.sizes.items()]
        return "\n".join(lines)

    def _pooled(self, values: Tensor) -> float:
        return float((self.weights * values).sum() / self.weights.sum())


def _least_casimir(group: Group) -> float | None:
    if isinstance(group, Orthogonal | SpecialOrthogonal):
        connected = isinstance(group, SpecialOrthogonal)
        return float(max(group.n - 1, 1)) if connected and group.n > 1 else None
    if isinstance(group, Torus) or group == Unitary(1):
        return 1.0
    return None
