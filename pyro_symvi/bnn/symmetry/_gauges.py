"""Choices of a representative: which unit comes first, and what size its weights have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value
from .._priors import ParameterPrior
from ._balance import balanced
from ._layer import SymmetricLayer


class UnitOrder(Value, ABC):
    """A key of each unit; units are sorted by it. It must not depend on the order of other layers' units."""

    descending: bool = True

    def check(self, layers: Sequence[SymmetricLayer]) -> None:
        """Raise where the key would depend on the order of other layers' units."""

    @abstractmethod
    def key(self, layer: SymmetricLayer, theta: Tensor) -> Tensor:
        """The key of each unit, ``[*batch, h]``."""


@dataclass(frozen=True, eq=False, repr=False)
class ByOutgoingNorm(UnitOrder):
    """Largest Euclidean norm of the outgoing weights first."""

    def key(self, layer: SymmetricLayer, theta: Tensor) -> Tensor:
        return theta[..., layer.outgoing.to(theta.device)].norm(dim=-1)


@dataclass(frozen=True, eq=False, repr=False)
class ByProduct(UnitOrder):
    """Largest product of incoming and outgoing norms first (omega_j, which rescaling of degree 1 leaves alone)."""

    def key(self, layer: SymmetricLayer, theta: Tensor) -> Tensor:
        into, out = (theta[..., i.to(theta.device)].norm(dim=-1) for i in (layer.incoming, layer.outgoing))
        return into * out


@dataclass(frozen=True, eq=False, repr=False)
class ByBias(UnitOrder):
    """Smallest last incoming entry first: the bias; without one, the weight of the last input.

    Layers without a bias that follow other hidden layers are refused: their last weight is that of a unit before them.
    """

    descending = False

    def check(self, layers: Sequence[SymmetricLayer]) -> None:
        taken = {place for layer in layers for place in layer.outgoing.flatten().tolist()}
        for layer in layers:
            if layer.permutable and not taken.isdisjoint(layer.incoming[:, -1].tolist()):
                raise ValueError(
                    f"expected a bias of the units of {layer.name!r}, got none, because their last weight comes from a "
                    "unit that is itself moved about; try ByOutgoingNorm()"
                )

    def key(self, layer: SymmetricLayer, theta: Tensor) -> Tensor:
        return theta[..., layer.incoming[:, -1].to(theta.device)]


class ScaleGauge(Value, ABC):
    """A representative of each rescaling orbit."""

    @abstractmethod
    def fix(self, layers: Sequence[SymmetricLayer], theta: Tensor) -> Tensor:
        """Theta ``[*batch, dim]`` moved to the representative."""


@dataclass(frozen=True, eq=False, repr=False)
class Balanced(ScaleGauge):
    """The point with the largest prior density; without a prior, standard normal ones are meant."""

    prior: ParameterPrior | None = None

    def fix(self, layers: Sequence[SymmetricLayer], theta: Tensor) -> Tensor:
        dim = theta.shape[-1]
        prior = self.prior or ParameterPrior(torch.ones(dim, dtype=torch.float64), ("normal",) * dim)
        return balanced(layers, theta, prior)


@dataclass(frozen=True, eq=False, repr=False)
class UnitIncomingNorm(ScaleGauge):
    """Incoming weights (bias included) of Euclidean norm one, first layer to last; all the size is in those out of it.

    Caution: the law of the outgoing weights is then not their prior (its radius follows a Bessel law).
    """

    def fix(self, layers: Sequence[SymmetricLayer], theta: Tensor) -> Tensor:
        for layer in layers:
            if layer.rescaling is not None:
                norm = theta[..., layer.incoming.to(theta.device)].norm(dim=-1)
                theta = layer.rescaling.act(1 / torch.where(norm > 0, norm, 1.0), theta)
        return theta
