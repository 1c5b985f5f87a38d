"""What the failure modes look at."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

import torch

from ...groups import Orthogonal
from .._capture import OUTPUT
from .._irrep_text import sigma_of
from ..errors import EquivarianceError
from ..spectra import LayerSpectrum, Spectrum
from ._target import ratio


@dataclass(frozen=True)
class Evidence:
    """A spectrum, an error and what else is known, with the shares that failure modes compare.

    Attributes:
        spectrum: of the layers and the output.
        target: labels of the output's irreps.
        error: of the output, None where it was not computed.
        feeding: the layer that feeds the head; "" where there is none.
        converged: whether a rule two degrees longer gave the same numbers; None where that is unknown.
        history: errors by epoch, () where there are none.
        looked_at: name of the output.
    """

    spectrum: Spectrum
    target: tuple[Hashable, ...]
    error: EquivarianceError | None = None
    feeding: str = ""
    converged: bool | None = None
    history: tuple[tuple[float, float], ...] = ()
    looked_at: str = OUTPUT

    # -- layers ------------------------------------------------------------------------------------------------
    @property
    def hidden(self) -> list[str]:
        """Layers before the output, in order of calls."""
        return [name for name in self.spectrum if not is_output(name)]

    @property
    def parities(self) -> bool:
        """Whether labels are (l, sigma) of O(3)."""
        return isinstance(self.spectrum.group, Orthogonal) and self.spectrum.group.n == 3

    def is_improper(self, label: Hashable) -> bool:
        """Whether a label is (l, -1) of O(3)."""
        return self.parities and sigma_of(label, self.spectrum.group) == -1

    # -- shares of energy ------------------------------------------------------------------------------------------
    def share(self, name: str) -> float:
        """Of a layer's energy that lies in the target's sectors, between 0 and 1."""
        return sum(self.spectrum[name].fraction(label) for label in self.target)

    def outside(self, name: str) -> float:
        """Of a layer's energy that lies elsewhere, what no listed irrep explains included."""
        return max(0.0, 1 - self.share(name)) if self._energy(name) else 0.0

    def varying(self, name: str, label: Hashable) -> float:
        """Of what varies along the orbit, the share of a non-trivial sector: constants don't hide it."""
        layer = self.spectrum[name]
        if label == layer.labels[0]:
            return layer.fraction(label)
        return float(layer.variable_fractions[layer.index(label)])

    def improper(self, name: str) -> float:
        """The share of sigma = -1 in what varies."""
        layer = self.spectrum[name]
        return sum(self.varying(name, label) for label in layer.labels if self.is_improper(label))

    def mixed(self, name: str) -> float:
        """Of a layer's energy, the part outside each channel's leading sector.

        0 where every channel is a component of one irrep, as in networks equivariant by construction.
        """
        layer = self.spectrum[name]
        leading = layer.energies.sum(1).amax(0).sum()
        return max(0.0, 1 - ratio(leading, layer.total.sum())) if self._energy(name) else 0.0

    # -- the output ------------------------------------------------------------------------------------------------
    @property
    def output(self) -> LayerSpectrum:
        """The spectrum of what the model returns, or of the output that is looked at."""
        return self.spectrum[self.looked_at]

    @property
    def relative(self) -> float:
        """A by the root of E|z|^2; nan without an error."""
        return math.nan if self.error is None else self.error.relative

    @property
    def at_floor(self) -> bool:
        """The error is what rounding makes."""
        return self.error is not None and not self.error.significant

    @property
    def shortfall(self) -> float:
        """Of the output's energy, what isn't equivariant: A^2 / E|z|^2; without an error, the part outside the target.

        The first is the second plus the energy in wrong copies of the right sector.
        """
        return self.outside(self.output.name) if self.error is None else self.relative**2

    @property
    def wrong_copies(self) -> float:
        """A^2 / E|z|^2 less the part outside the target: energy of the right sector that transforms otherwise.

        With z = rho(g^-1) u, E|z|^2 = sum of B_beta and |E z|^2 <= B_target, so that it is not negative.
        """
        return 0.0 if self.error is None else max(0.0, self.relative**2 - self.outside(self.output.name))

    def _energy(self, name: str) -> bool:
        return bool(self.spectrum[name].total.sum() > 0)


def is_output(name: str) -> bool:
    """Whether a name is that of something the model returns."""
    return name == OUTPUT or name.startswith(f"{OUTPUT}[")


def feeding_layer(spectrum: Spectrum, looked_at: str = OUTPUT) -> str:
    """The layer before the one whose numbers are the output's own (the last module of its head), else the last one.

    The very last layer may differ from the output by a factor, as where a model scales what its head returns.
    """
    output, names = spectrum[looked_at], [name for name in spectrum if not is_output(name)]

    def is_same(name: str, factor: float = 1.0) -> bool:
        layer = spectrum[name]
        if layer.total.shape != output.total.shape:
            return False
        if not torch.allclose(factor * layer.total, output.total, rtol=1e-6, atol=0):
            return False
        rounding = 1e-9 * float(output.total.max())
        return torch.allclose(factor * layer.energies, output.energies, rtol=1e-6, atol=rounding)

    same = [name for name in names if is_same(name)]
    if names and not same:
        factor = ratio(output.total.sum(), spectrum[names[-1]].total.sum())
        same = [name for name in names[-1:] if factor > 0 and is_same(name, factor)]
    before = names[: names.index(same[-1])] if same else names
    others = [name for name in before if name not in same]
    return others[-1] if others else ""
