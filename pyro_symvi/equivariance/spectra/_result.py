"""What a spectrum holds."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...groups import Group


@dataclass(frozen=True)
class LayerSpectrum:
    """Irrep energies of one layer.

    Attributes:
        name: of the module, or "output".
        labels: of the irreducible representations, trivial first.
        energies: B_beta ``[irreps, B, channels]``, summed over sites (axes between samples and channels).
        total: E|u|^2 over the group, ``[B, channels]``.
    """

    name: str
    labels: tuple[Hashable, ...]
    energies: Tensor
    total: Tensor

    @property
    def fractions(self) -> Tensor:
        """Sum of B_beta over samples and channels by the sum of E|u|^2, ``[irreps]`` (no mean of ratios)."""
        return _ratio(self.energies.sum((1, 2)), self.total.sum())

    @property
    def variable_fractions(self) -> Tensor:
        """Fractions of what varies along the orbit, E|u|^2 - |E u|^2, ``[irreps]``: the trivial one is 0.

        A large constant hides everything else in :attr:`fractions`; not here.
        """
        varying = self.energies.sum((1, 2))
        rest = self.total.sum() - varying[0]
        varying[0] = 0
        return _ratio(varying, rest)

    @property
    def per_sample(self) -> Tensor:
        """Fractions of each sample, ``[irreps, B]``."""
        return _ratio(self.energies.sum(2), self.total.sum(1))

    @property
    def per_channel(self) -> Tensor:
        """Fractions of each channel, ``[irreps, channels]``."""
        return _ratio(self.energies.sum(1), self.total.sum(0))

    @property
    def residual(self) -> float:
        """The energy that no listed irrep explains, 1 - sum of fractions: what lies beyond the cutoff."""
        return float(1 - self.fractions.sum()) if float(self.total.sum()) > 0 else 0.0

    def energy(self, label: Hashable) -> float:
        """Mean over samples of B_label, summed over channels and sites."""
        return float(self.energies[self.index(label)].sum(-1).mean())

    def fraction(self, label: Hashable) -> float:
        """The fraction of one irrep."""
        return float(self.fractions[self.index(label)])

    def index(self, label: Hashable) -> int:
        """The place of a label."""
        if label not in self.labels:
            raise KeyError(f"expected a label among {list(self.labels)}, got {label!r}")
        return self.labels.index(label)


@dataclass(frozen=True)
class Spectrum:
    """Spectra of the layers of a model, in the order in which they are called; the last one is the output's.

    Attributes:
        layers: by name.
        group: whose irreps they are.
        labels, dimensions: of the irreps, trivial first.
        degree: exactness of the rule (inf for a finite group, -1 for Monte Carlo).
        evaluations: group elements visited for each sample.
    """

    layers: dict[str, LayerSpectrum]
    group: Group
    labels: tuple[Hashable, ...]
    dimensions: tuple[int, ...]
    degree: float
    evaluations: int

    def __getitem__(self, name: str) -> LayerSpectrum:
        if name not in self.layers:
            raise KeyError(f"expected a layer among {list(self.layers)}, got {name!r}")
        return self.layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def output(self) -> LayerSpectrum:
        """The spectrum of what the model returns (the first tensor, where it returns several)."""
        return next(layer for name, layer in self.layers.items() if name == "output" or name.startswith("output["))

    @property
    def fractions(self) -> Tensor:
        """``[layers, irreps]``."""
        return torch.stack([layer.fractions for layer in self.layers.values()])

    @property
    def residuals(self) -> Tensor:
        """``[layers]``: see :attr:`LayerSpectrum.residual`."""
        return torch.tensor([layer.residual for layer in self.layers.values()], dtype=torch.float64)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / torch.where(whole > 0, whole, 1.0), 0.0)
