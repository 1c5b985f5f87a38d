"""Spectra of the layers of a model."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...groups import Group
from ._result import LayerSpectrum


@dataclass(frozen=True, repr=False)
class Spectrum:
    """Spectra of the layers of a model, in the order in which they are called; the last one is the output's.

    Printed, it is a table of layers by irreps.

    Attributes:
        layers: by name.
        group: whose irreps they are.
        labels, dimensions: of the irreps, trivial first.
        degree: exactness of the rule (inf for a finite group, -1 for Monte Carlo).
        evaluations: group elements visited for each sample.
        changes: for each layer, where ``check=True`` was asked for: the largest change of an energy when the degree
            grows by 2, as a fraction of the energy that varies along the orbit. Above 0.01 the degree is too small.
        seed: of the draws, for estimates.
        left_out: layers (or entries of what they put out) that were not looked at, with the reason: no samples on the
            first axis, never called, no floating numbers, compiled. None in a spectrum read from a file without them.
    """

    layers: dict[str, LayerSpectrum]
    group: Group
    labels: tuple[Hashable, ...]
    dimensions: tuple[int, ...]
    degree: float
    evaluations: int
    changes: dict[str, float] | None = None
    seed: int | None = None
    left_out: dict[str, str] | None = None

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
    def variable_fractions(self) -> Tensor:
        """``[layers, irreps]``: see :attr:`LayerSpectrum.variable_fractions`."""
        return torch.stack([layer.variable_fractions for layer in self.layers.values()])

    @property
    def energies(self) -> Tensor:
        """Mean over samples of B_beta, summed over channels and sites, ``[layers, irreps]``."""
        return torch.stack([layer.pooled for layer in self.layers.values()])

    @property
    def squares(self) -> Tensor:
        """Mean over samples of E|u|^2, summed over channels and sites, ``[layers]``."""
        return torch.tensor([layer.square for layer in self.layers.values()], dtype=torch.float64)

    @property
    def residuals(self) -> Tensor:
        """``[layers]``: see :attr:`LayerSpectrum.residual`."""
        return torch.tensor([layer.residual for layer in self.layers.values()], dtype=torch.float64)

    @property
    def is_estimate(self) -> bool:
        """Whether the numbers are estimates from random elements, with standard errors."""
        return any(layer.is_estimate for layer in self.layers.values())

    @property
    def standard_errors(self) -> Tensor | None:
        """Of :attr:`fractions`, ``[layers, irreps]``, for estimates; None for an exact rule."""
        found = [layer.standard_errors for layer in self.layers.values()]
        return torch.stack([e for e in found if e is not None]) if self.is_estimate else None

    @property
    def rule(self) -> str:
        """The rule in words."""
        if self.is_estimate:
            return f"estimates from {self.evaluations} random elements, +- standard error"
        if self.degree == float("inf"):
            return f"all {self.evaluations} elements"
        return f"degree {self.degree:g}, {self.evaluations} elements"

    @staticmethod
    def joined(spectra: Sequence[Spectrum]) -> Spectrum:
        """One spectrum of all samples, from spectra of parts of them: same model, group, cutoff and rule.

        Fractions are then ratios of sums over all samples, not means of the parts' fractions. Estimates can be joined
        if they come from the same draws (one seed), so that standard errors stay right.

        Raises:
            ValueError: for spectra that differ in more than their samples.
        """
        from ._joining import joined

        return joined(spectra)

    def table(self, *, varying: bool = False, columns: int = 12) -> str:
        """Layers by irreps as plain text: fractions, the residual, and the energy they are fractions of.

        Args:
            varying: fractions of what varies along the orbit, E|u|^2 - |E u|^2, in place of E|u|^2, where constants
                (biases, embeddings of species) hide everything else.
            columns: of irreps at most; the rest are summed under "others".
        """
        from ._tables import plain

        return plain(self, columns, varying)

    def to_dict(self) -> dict[str, Any]:
        """Numbers, strings, lists and dicts, for JSON; :meth:`from_dict` reads them."""
        from ._files import as_dict

        return as_dict(self)

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write :meth:`to_dict` to a file, whole or not at all; every digit is kept."""
        from ._files import write

        return write(self, path)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Spectrum:
        """The spectrum of :meth:`to_dict`. ValueError for anything else."""
        from ._files import from_dict

        return from_dict(values)

    @staticmethod
    def from_json(path: str | os.PathLike[str]) -> Spectrum:
        """The spectrum that :meth:`to_json` wrote."""
        from ._files import read

        return read(path)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<spectrum of {len(self.layers)} layers over {len(self.labels)} irreps of {self.group!r}; {self.rule}>"

    def __rich__(self) -> Any:
        from ._tables import rich_table

        return rich_table(self)
