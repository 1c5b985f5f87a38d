r"""What a base law :math:`q_0` of a location-scale family :math:`z = \nu + C\xi,\ \xi\sim q_0` offers and declares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyro.distributions as dist
import torch

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Tail:
    r"""How a density falls off along its slowest ray, :math:`r = \lVert\xi\rVert\to\infty`, constants left out.

    Attributes:
        kind: ``"compact"``: 0 from some r on; ``"exponential"``: :math:`e^{-r^b}`; ``"power"``: :math:`r^{-b}`.
        exponent: b; infinite for ``"compact"``.
    """

    kind: Literal["compact", "exponential", "power"]
    exponent: float

    @property
    def at_least_exponential(self) -> bool:
        r"""Whether it falls like :math:`e^{-r}` or faster, so that all moments and a generating function exist."""
        return self.kind == "compact" or (self.kind == "exponential" and self.exponent >= 1)


class Base(ABC):
    r"""A law on :math:`\mathbb R^d` that is even about zero: a product of one law for each coordinate, or spherical.

    Every base is closed under sign flips and permutations of the coordinates; a spherical one under all of O(d), the
    others, which are products of one non-normal law, under signed permutations only. Beyond that, each declares what is
    true of it, for the theorems to build on: ``spherical``, ``log_concave``, ``strictly_log_concave``,
    ``full_support``, ``has_convex_superlevel_sets(dim)``, ``tail(dim)``, ``has_mean``. The contract tests check each.

    To add one, subclass this, write its formulas, and list it in `BASES` if a name is enough to make it.
    """

    name: ClassVar[str]
    full_support: ClassVar[bool] = True
    """Whether the density is positive everywhere."""

    @property
    def spherical(self) -> bool:
        r"""Whether the density depends on :math:`\lVert\xi\rVert` alone; if not, the coordinates are independent."""
        return False

    # -- what is true of it ------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def log_concave(self) -> bool:
        r"""Whether :math:`\log q_0` is concave."""

    @property
    @abstractmethod
    def strictly_log_concave(self) -> bool:
        r"""Whether :math:`\log q_0` is strictly concave (on its support)."""

    def has_convex_superlevel_sets(self, dim: int) -> bool:
        r"""Whether every :math:`\{q_0 > t\}` is convex in d dimensions: "unimodal" in Anderson's sense."""
        return self.log_concave or self.spherical or dim == 1

    @abstractmethod
    def tail(self, dim: int) -> Tail:
        """The fall-off in ``dim`` dimensions."""

    @property
    def has_mean(self) -> bool:
        """Whether the first moment exists."""
        return True

    # -- the law -----------------------------------------------------------------------------------------------

    @abstractmethod
    def distribution(self, dim: int, like: torch.Tensor) -> dist.TorchDistribution:
        """The law as a Pyro distribution with ``event_shape (dim,)``, in ``like``'s dtype and device."""

    @abstractmethod
    def cdf(self, x: Array, dim: int = 1) -> Array:
        """Distribution function of one coordinate of the law on R^dim."""

    @abstractmethod
    def quantile(self, u: Array, dim: int = 1) -> Array:
        """Its inverse, ``u`` in (0, 1)."""

    def characteristic(self, t: Array) -> Array:
        r"""Characteristic function :math:`E e^{it\xi_1}` of one coordinate of a product (real, since it is even)."""
        raise ValueError(
            f"expected a product law, got {self!r}, because marginals of spherical laws need no sums; try cdf(x, dim)"
        )

    @abstractmethod
    def variance(self, dim: int = 1) -> float:
        r"""Variance of one coordinate of the law on R^dim; ``inf`` or ``nan`` where it does not exist."""

    def noise(self, uniforms: Array) -> Array:
        """Draws ``[n, dim]`` from uniforms ``[n, uniforms_needed(dim)]`` by inversion; quasi-random points will do."""
        return self.quantile(uniforms)

    def uniforms_needed(self, dim: int) -> int:
        """Number of uniforms that one draw of ``dim`` coordinates takes."""
        return dim
