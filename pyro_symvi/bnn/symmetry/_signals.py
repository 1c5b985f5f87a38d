"""What is known of an intermediate tensor of a network: which hidden unit each entry belongs to, and through what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Claims:
    """How an entry depends on the pre-activation z of its unit: the claims of the composed function phi.

    Attributes:
        degree: k where phi(c z) = c^k phi(z) for c > 0, else None.
        odd: whether phi(-z) = -phi(z).
        linear: whether phi is linear, also across the units of a layer (averages over positions are).
        names: the activations passed so far.
    """

    degree: float | None = 1.0
    odd: bool = True
    linear: bool = True
    names: tuple[str, ...] = ()

    def then(self, degree: float | None, odd: bool, linear: bool, name: str | None = None) -> Claims:
        """The claims of psi(phi(.)) for a function psi with these."""
        composed = None if degree is None or self.degree is None else degree * self.degree
        names = self.names if name is None else (*self.names, name)
        return Claims(composed, self.odd and odd, self.linear and linear, names)

    def meet(self, other: Claims) -> Claims:
        """What holds of an entry that depends on both."""
        degree = self.degree if self.degree == other.degree else None
        names = self.names if self.names == other.names else (*self.names, "with", *other.names)
        return Claims(degree, self.odd and other.odd, self.linear and other.linear, names)


@dataclass(frozen=True)
class Signal:
    """A tensor made of hidden units.

    Attributes:
        labels: global number of the unit each entry belongs to, -1 for entries of none; None once that is lost.
        claims: by number of the layer the units belong to.
    """

    labels: Tensor | None
    claims: Mapping[int, Claims]

    def then(self, degree: float | None, odd: bool, linear: bool, name: str | None = None) -> Signal:
        """After an elementwise function."""
        return Signal(self.labels, {s: c.then(degree, odd, linear, name) for s, c in self.claims.items()})


@dataclass
class Candidate:
    """A layer whose units may be hidden ones, while the network is being read.

    ``consumers`` are pairs of outgoing indices ``[h, q_i]`` and claims on the way; ``reason`` is why it is not placed;
    ``harmless`` that the reason matters for hidden units alone, and not for the outputs of the network.
    """

    name: str
    start: int
    units: int
    incoming: Sequence[Tensor] = ()
    carried: Sequence[Tensor] = ()
    permutable: bool = True
    scalable: bool = True
    consumers: list[tuple[Tensor, Claims]] = field(default_factory=list)
    reason: str | None = None
    harmless: bool = True
    consumed: bool = False
    is_output: bool = False

    def spoil(self, reason: str, *, harmless: bool = False) -> None:
        """Give up on this layer; the first reason stays, unless a later one is the first that matters for outputs."""
        if self.reason is None or (self.harmless and not harmless):
            self.reason = reason
        self.harmless = self.harmless and harmless
