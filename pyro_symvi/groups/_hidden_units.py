"""Symmetries of a hidden layer: permuting units, flipping their signs, rescaling in against out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .._value import Value, positive_int
from ._action import Action
from ._errors import UnsupportedError, sentence
from ._gig import GeneralizedInverseGaussian, is_normal_about_zero
from ._noncompact import PositiveScaling
from ._permutation_actions import BlockSigns, CoordinatePermutation, _checked_blocks


@dataclass(frozen=True, eq=False, repr=False)
class HiddenLayer(Value):
    """Where the weights of h hidden units lie in a flat parameter vector of length ``dim``.

    Attributes:
        dim: length of the vector.
        incoming: h index sequences of length p: weights into each unit and its bias.
        outgoing: h index sequences of length q: weights out of each unit.

    Raises:
        ValueError: unless there are as many incoming as outgoing blocks.
    """

    dim: int
    incoming: Sequence[Sequence[int]]
    outgoing: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        positive_int(self.dim, "dim")
        object.__setattr__(self, "incoming", _checked_blocks(self.incoming, self.dim))
        object.__setattr__(self, "outgoing", _checked_blocks(self.outgoing, self.dim))
        if len(self.incoming) != len(self.outgoing):
            raise ValueError(
                f"expected as many incoming as outgoing blocks, got {len(self.incoming)} and {len(self.outgoing)}"
            )
        _checked_blocks(self.units(), self.dim)

    @staticmethod
    def of_mlp(widths: Sequence[int], layer: int = 1, *, bias: bool = True) -> HiddenLayer:
        """Layer ``layer`` (1 is the first hidden one) of a perceptron with these widths, input and output included.

        The vector holds, linear map by linear map, the weight ``[out, in]`` row by row and then the bias: the order
        of ``torch.nn.utils.parameters_to_vector``.
        """
        if not 1 <= layer <= len(widths) - 2:
            raise ValueError(
                f"expected a hidden layer from 1 to {len(widths) - 2}, got {layer}, because widths={list(widths)}"
            )
        starts, total = [], 0
        for a, b in itertools.pairwise(widths):
            starts.append(total)
            total += a * b + (b if bias else 0)
        before, here, after = widths[layer - 1], widths[layer], widths[layer + 1]
        into, out = starts[layer - 1], starts[layer]
        incoming = [
            [into + j * before + i for i in range(before)] + ([into + here * before + j] if bias else [])
            for j in range(here)
        ]
        return HiddenLayer(total, incoming, [[out + k * here + j for k in range(after)] for j in range(here)])

    def units(self) -> tuple[tuple[int, ...], ...]:
        """All indices of each unit: incoming, then outgoing."""
        return tuple((*i, *o) for i, o in zip(self.incoming, self.outgoing, strict=True))

    @cached_property
    def incoming_index(self) -> Tensor:
        """The incoming indices as LongTensor ``[h, p]``."""
        return torch.tensor(self.incoming)

    @cached_property
    def outgoing_index(self) -> Tensor:
        """The outgoing indices as LongTensor ``[h, q]``."""
        return torch.tensor(self.outgoing)


class HiddenUnitPermutation(CoordinatePermutation):
    """S_h permuting the hidden units of a layer: the function of the network stays, whatever the activation."""

    def __init__(self, layer: HiddenLayer) -> None:
        super().__init__(layer.dim, layer.units())


class HiddenUnitSignFlip(BlockSigns):
    """{+1, -1}^h flipping all weights of a unit: the function stays for odd activations (tanh, erf, sin, linear)."""

    def __init__(self, layer: HiddenLayer) -> None:
        super().__init__(layer.dim, layer.units())


@dataclass(frozen=True, eq=False, repr=False)
class HiddenUnitRescaling(Action):
    """(R_+)^h: incoming weights of unit j times c_j, outgoing times c_j^-k.

    The function stays for activations with phi(c z) = c^k phi(z), c > 0. ``degree`` is k: 1 for ReLU and its like
    (Neyshabur, Salakhutdinov and Srebro 2015), 2 for the squared ReLU. log |det| = (p - k q) sum_j log c_j. Not by
    isometries, not compact: there is no uniform law on an orbit; :meth:`orbit_conditional` gives the one weighted by
    a Gaussian prior, for k = 1. ``incoming_scale`` and ``outgoing_scale`` are prior standard deviations, used by
    :meth:`canonicalize` alone.

    Raises:
        TypeError: for anything but a ``HiddenLayer``.
        ValueError: unless scales and degree are positive.
    """

    layer: HiddenLayer
    incoming_scale: float = 1.0
    outgoing_scale: float = 1.0
    degree: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.layer, HiddenLayer):
            raise TypeError(f"expected a HiddenLayer, got {self.layer!r}; try HiddenLayer.of_mlp([3, 8, 1])")
        if not (self.incoming_scale > 0 and self.outgoing_scale > 0):
            raise ValueError(f"expected positive scales, got {self.incoming_scale} and {self.outgoing_scale}")
        if isinstance(self.degree, bool) or not isinstance(self.degree, int | float) or not 0 < self.degree < math.inf:
            raise ValueError(f"expected a finite positive degree, got {self.degree!r}, because phi(c z) = c^k phi(z)")

    @property
    def group(self) -> PositiveScaling:
        return PositiveScaling(len(self.layer.incoming))

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.layer.dim,)

    def _spread(self, g: Tensor) -> Tensor:
        """The factor of each parameter, ``[*batch, dim]``."""
        into, out = self.layer.incoming_index.to(g.device), self.layer.outgoing_index.to(g.device)
        index = torch.cat([into, out], -1).reshape(-1)
        back = 1 / g if self.degree == 1 else g**-self.degree
        parts = [g[..., None].expand(*g.shape, into.shape[1]), back[..., None].expand(*g.shape, out.shape[1])]
        factors = torch.cat(parts, -1).flatten(-2)
        ones = g.new_ones(*g.shape[:-1], self.layer.dim)
        return ones.scatter(-1, index.expand(factors.shape), factors)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return x * self._spread(g)

    def _log_abs_det(self, g: Tensor, x: Tensor) -> Tensor:
        surplus = len(self.layer.incoming[0]) - self.degree * len(self.layer.outgoing[0])
        value = surplus * g.log().sum(-1)
        return value.expand(torch.broadcast_shapes(value.shape, x.shape[:-1]))

    def energies(
        self, x: Tensor, incoming_scale: Tensor | float, outgoing_scale: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """a_j = |incoming_j / scale|^2 and b_j = |outgoing_j / scale|^2, each ``[*batch, h]``."""
        into = x[..., self.layer.incoming_index.to(x.device)] / incoming_scale
        out = x[..., self.layer.outgoing_index.to(x.device)] / outgoing_scale
        return into.square().sum(-1), out.square().sum(-1)

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The balanced point a_j = k b_j, which minimises the prior energy: c_j = (k b_j / a_j)^(1 / (2 + 2 k)).

        A dead unit (a_j = 0 or b_j = 0) has no balanced point and is left as it is.
        """
        a, b = self.energies(x, self.incoming_scale, self.outgoing_scale)
        alive = (a > 0) & (b > 0)
        ratio = self.degree * torch.where(alive, b, 1.0) / torch.where(alive, a, 1.0)
        g = torch.where(alive, ratio ** (1 / (2 + 2 * self.degree)), 1.0)
        return self._act(g, x), g

    def _orbit_conditional(self, x: Tensor, log_prior: object) -> GeneralizedInverseGaussian:
        """The law of the squares t_j = c_j^2 given the orbit, under independent N(0, scale^2) priors of all weights.

        t_j ~ GIG((p - q) / 2, a_j, b_j), independent; ``act(t.sqrt(), x)`` is a draw along the orbit, and the law
        does not depend on which point of the orbit x is. ``log_prior``: ``torch.distributions.Normal(0, scale)``
        with a scalar scale or one a parameter ``[dim]``. Degrees other than 1 are refused: there the density of t is
        t^((p - k q) / 2 - 1) exp(-(a t + b t^-k) / 2), which is not of this kind.
        """
        if self.degree != 1:
            raise UnsupportedError(
                sentence(
                    "a rescaling of degree 1",
                    repr(self.degree),
                    "the law along other orbits is not generalised inverse Gaussian",
                    "one-dimensional sampling of log c",
                )
            )
        if not is_normal_about_zero(log_prior):
            raise TypeError(
                sentence(
                    "the prior as torch.distributions.Normal(0, scale) of the weights",
                    f"{log_prior!r}",
                    "the law along the orbit is generalised inverse Gaussian for it alone",
                    "one-dimensional sampling of log c",
                )
            )
        scale = log_prior.scale.to(x).expand(self.layer.dim)  # type: ignore[attr-defined]
        white = x / scale
        a, b = self.energies(white, 1.0, 1.0)
        if bool(((a == 0) | (b == 0)).any()):
            raise ValueError(
                "expected units with nonzero weights in and out, got a dead one, because its orbit has no normalisable "
                "law; try to leave that unit out of the layer"
            )
        order = (len(self.layer.incoming[0]) - len(self.layer.outgoing[0])) / 2
        return GeneralizedInverseGaussian(order, a, b)
