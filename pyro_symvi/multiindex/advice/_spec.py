"""What the advice is about: a committee of units that share one activation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from ...groups import SignedPermutations, Symmetric
from ..links import Link
from ..order import symmetry_of

_LINEAR = 1e-9
"""Variance beyond low degrees below which the activation counts as a polynomial of that degree."""


@dataclass(frozen=True)
class CommitteeSpec:
    r"""The separable committee :math:`y = p^{-1/2}\sum_{k\le p}\sigma(w_k\cdot x) + \sqrt\Delta\,\xi`.

    Here x is standard normal in d dimensions, the :math:`w_k` are nearly orthonormal, :math:`\xi` is standard normal,
    and sigma is standardised: mean 0 and variance 1 under the normal law.

    Args:
        activation: A name of `ACTIVATIONS`, a torch callable of one tensor, or a module.
        units: p, at least 1.
        noise: Delta, the variance of the noise; above 0.

    Attributes:
        link: The standardised activation with its quadrature (a `Link`).

    Raises:
        TypeError: ``units`` is no integer, ``noise`` no number, ``activation`` nothing that can be called.
        ValueError: Numbers out of range, an unknown name, a constant activation.

    Example:
        >>> spec = CommitteeSpec("tanh", units=3, noise=0.5)
        >>> spec.group, spec.copies
        (Symmetric(3), 6)
        >>> CommitteeSpec("he4", units=3, noise=0.5).copies  # an even activation: signs as well
        48
    """

    activation: Any
    units: int
    noise: float
    link: Link = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.units, bool) or not isinstance(self.units, Integral):
            raise TypeError(f"expected units as an integer, got {self.units!r}; try units=4")
        if self.units < 1:
            raise ValueError(f"expected units >= 1, got {self.units}; try units=4")
        if isinstance(self.noise, bool) or not isinstance(self.noise, Real):
            raise TypeError(f"expected noise as a number, got {self.noise!r}; try noise=0.5")
        if not (math.isfinite(self.noise) and self.noise > 0):
            raise ValueError(
                f"expected noise as a positive variance, got {self.noise}, because without noise the thresholds are "
                "those of another problem; try noise=0.5"
            )
        object.__setattr__(self, "units", int(self.units))
        object.__setattr__(self, "noise", float(self.noise))
        object.__setattr__(self, "link", Link.of(self.activation))

    @property
    def group(self) -> Symmetric | SignedPermutations:
        """The permutations of the units, with their signs where sigma is even: the posterior is invariant under it."""
        return symmetry_of(self.link, int(self.units))

    @property
    def copies(self) -> int:
        """Order of the group: p!, or 2^p p! where sigma is even."""
        return int(self.group.order)

    @property
    def degree(self) -> int | None:
        """1 or 2 where sigma is a polynomial of that degree, else None.

        Degree 1: only the sum of the weights enters. Degree 2: rotations of the units leave the likelihood as it is
        (those that keep the sum of the units where there is a linear part), so that no axes are singled out.
        """
        _, first, second = (float(m) for m in self.link.hermite(3))
        if 1 - first**2 < _LINEAR:
            return 1
        return 2 if 1 - first**2 - second**2 < _LINEAR else None
