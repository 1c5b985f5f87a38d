"""What the spectrum of a layer holds."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Replicates:
    """Energies and totals estimated without one block of draws each, for the jackknife.

    Attributes:
        energies: ``[replicates, irreps, B, channels]``.
        total: ``[replicates, B, channels]``.
    """

    energies: Tensor
    total: Tensor


@dataclass(frozen=True, repr=False)
class LayerSpectrum:
    """Irrep energies of one layer.

    From an exact rule they are exact for a response within its band. From random elements (``is_estimate``) they are
    unbiased estimates, shown as they are, so that a small one may be negative; see :attr:`standard_errors`.

    Attributes:
        name: of the module, or "output".
        labels: of the irreducible representations, trivial first.
        energies: B_beta ``[irreps, B, channels]``, summed over sites (axes between samples and channels).
        total: E|u|^2 over the group, ``[B, channels]``.
        replicates: for estimates, the same without one block of draws each.
    """

    name: str
    labels: tuple[Hashable, ...]
    energies: Tensor
    total: Tensor
    replicates: Replicates | None = None

    @property
    def fractions(self) -> Tensor:
        """Sum of B_beta over samples and channels by the sum of E|u|^2, ``[irreps]`` (no mean of ratios)."""
        return _ratio(self.energies.sum((1, 2)), self.total.sum())

    @property
    def variable_fractions(self) -> Tensor:
        """Fractions of what varies along the orbit, E|u|^2 - |E u|^2, ``[irreps]``: the trivial one is 0.

        A large constant hides everything else in :attr:`fractions`; not here. Where less than about 1e-12 of the
        energy varies in a float32 model (1e-28 in float64), these are fractions of rounding.
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
    def pooled(self) -> Tensor:
        """Mean over samples of B_beta, summed over channels and sites, ``[irreps]``."""
        return self.energies.sum(2).mean(1)

    @property
    def square(self) -> float:
        """Mean over samples of E|u|^2, summed over channels and sites."""
        return float(self.total.sum(1).mean())

    @property
    def varying(self) -> float:
        """Mean over samples of E|u|^2 - |E u|^2, summed over channels and sites: what changes along the orbit."""
        return self.square - float(self.pooled[0])

    @property
    def residual(self) -> float:
        """The energy that no listed irrep explains, 1 - sum of fractions: what lies beyond the cutoff.

        From an exact rule it is at least 0 up to rounding. Above 0.01 the cutoff is too small for this layer to be
        understood; it often grows with depth.
        """
        return float(1 - self.fractions.sum()) if float(self.total.sum()) > 0 else 0.0

    @property
    def is_estimate(self) -> bool:
        """Whether the numbers come from random elements."""
        return self.replicates is not None

    @property
    def standard_errors(self) -> Tensor | None:
        """Of :attr:`fractions`, ``[irreps]``, for an estimate; None for an exact rule. See :meth:`standard_error`."""
        return self.standard_error(lambda layer: layer.fractions)

    @property
    def residual_error(self) -> float | None:
        """Standard error of :attr:`residual`; None for an exact rule."""
        found = self.standard_error(lambda layer: torch.tensor(layer.residual, dtype=torch.float64))
        return None if found is None else float(found)

    def standard_error(self, quantity: Callable[[LayerSpectrum], Tensor]) -> Tensor | None:
        """Of any function of the spectrum, by the jackknife over blocks of draws; None for an exact rule.

        sqrt((K - 1) / K sum_k (q_k - mean q)^2), q_k without block k. The draws are common to samples and channels,
        so their dependence is in it. It errs upwards (Efron and Stein, Ann. Statist. 9 (1981) 586-596), by a factor
        of about 1.5 where the true energy is 0, and is itself known to about 20 %.

        >>> layer = LayerSpectrum("output", (0,), torch.ones(1, 1, 1), torch.ones(1, 1))
        >>> layer.standard_error(lambda layer: layer.per_channel) is None
        True
        """
        if self.replicates is None:
            return None
        pairs = zip(self.replicates.energies, self.replicates.total, strict=True)
        found = torch.stack([quantity(replace(self, energies=e, total=t, replicates=None)) for e, t in pairs])
        return ((found - found.mean(0)).square().sum(0) * (len(found) - 1) / len(found)).sqrt()

    def energy(self, label: Hashable) -> float:
        """Mean over samples of B_label, summed over channels and sites."""
        return float(self.pooled[self.index(label)])

    def fraction(self, label: Hashable) -> float:
        """The fraction of one irrep."""
        return float(self.fractions[self.index(label)])

    def index(self, label: Hashable) -> int:
        """The place of a label."""
        if label not in self.labels:
            raise KeyError(f"expected a label among {list(self.labels)}, got {label!r}")
        return self.labels.index(label)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{label}: {value:.4f}" for label, value in zip(self.labels, self.fractions.tolist(), strict=True)
        )
        return f"<spectrum of {self.name!r}: {shown}; residual {self.residual:.4f}>"


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / torch.where(whole > 0, whole, 1.0), 0.0)
