"""Spectra of parts of the samples, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ._result import LayerSpectrum, Replicates
from ._spectra import Spectrum

_SAME = ("group", "labels", "dimensions", "degree", "evaluations", "seed")


def joined(spectra: Sequence[Spectrum]) -> Spectrum:
    """See :meth:`Spectrum.joined`. Of the changes with the degree the largest is kept."""
    spectra = tuple(spectra)
    if not spectra:
        raise ValueError("expected at least one spectrum, got none")
    first = spectra[0]
    for other in spectra[1:]:
        for name in _SAME:
            if getattr(other, name) != getattr(first, name):
                raise ValueError(
                    f"expected spectra of the same {name}, got {getattr(first, name)!r} and {getattr(other, name)!r}, "
                    "because their energies are added"
                )
        if list(other) != list(first):
            raise ValueError(f"expected spectra of the same layers, got {list(first)} and {list(other)}")
    layers = {name: joined_layer([spectrum[name] for spectrum in spectra]) for name in first}
    changes = None
    if all(spectrum.changes is not None for spectrum in spectra):
        changes = {name: max((s.changes or {})[name] for s in spectra) for name in first}
    left_out = {name: why for spectrum in spectra for name, why in (spectrum.left_out or {}).items()}
    return replace(first, layers=layers, changes=changes, left_out=left_out)


def joined_layer(parts: list[LayerSpectrum]) -> LayerSpectrum:
    """One layer's spectrum of all samples, from those of some each."""
    if len(parts) == 1:
        return parts[0]
    channels = {part.total.shape[1] for part in parts}
    if len(channels) > 1:
        raise ValueError(f"expected layers with the same channels, got {sorted(channels)} in {parts[0].name!r}")
    energies, total = torch.cat([p.energies for p in parts], 1), torch.cat([p.total for p in parts])
    left_out = [p.replicates for p in parts if p.replicates is not None]
    replicates = None
    if left_out:
        replicates = Replicates(torch.cat([r.energies for r in left_out], 2), torch.cat([r.total for r in left_out], 1))
    return LayerSpectrum(parts[0].name, parts[0].labels, energies, total, replicates)
