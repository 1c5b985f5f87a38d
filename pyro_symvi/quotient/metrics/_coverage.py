"""Coverage and average minimum RMSD: do samples reach all references, and does each sample resemble one?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from ..._value import Value
from ._checks import confidence_level, positive, random_state
from ._table import Interval, table


@dataclass(frozen=True, eq=False, repr=False)
class Coverage(Value):
    """COV and AMR of M molecules at T thresholds. See :func:`coverage`.

    Args:
        names: of the molecules.
        thresholds: ``[T]`` in units of the data.
        recall: ``[M, T]`` shares of references that some sample reaches within the threshold.
        precision: ``[M, T]`` shares of samples that lie within the threshold of some reference.
        amr_recall: ``[M]`` mean over references of the distance of the nearest sample, in units of the data.
        amr_precision: ``[M]`` mean over samples of the distance of the nearest reference.
    """

    names: tuple[str, ...]
    thresholds: Tensor
    recall: Tensor
    precision: Tensor
    amr_recall: Tensor
    amr_precision: Tensor

    def at(self, threshold: float) -> dict[str, Tensor]:
        """The four figures of each molecule ``[M]`` at one of the thresholds, by name."""
        index = int((self.thresholds - threshold).abs().argmin())
        if abs(float(self.thresholds[index]) - threshold) > 1e-9 * max(1.0, threshold):
            raise ValueError(f"expected one of the thresholds {self.thresholds.tolist()}, got {threshold}")
        return {
            "COV-R": self.recall[:, index],
            "COV-P": self.precision[:, index],
            "AMR-R": self.amr_recall,
            "AMR-P": self.amr_precision,
        }

    def summary(
        self,
        threshold: float,
        *,
        confidence: float = 0.95,
        resamples: int = 2000,
        generator: torch.Generator | None = None,
    ) -> dict[str, tuple[Interval, Interval]]:
        """Mean and median over molecules, each with a percentile bootstrap interval over molecules.

        The interval says how the figure would change with other molecules of the same kind, not with another
        training run. It is nan for fewer than 3 molecules and too short below about 20. The same data give the same
        interval unless ``generator`` is given.
        """
        rng, level, figures = random_state(generator), confidence_level(confidence), self.at(threshold)
        values = torch.stack(list(figures.values())).double().numpy()
        means = _bootstrap(values, np.mean, level, resamples, rng)
        medians = _bootstrap(values, np.median, level, resamples, rng)
        return dict(zip(figures, zip(means, medians, strict=True), strict=True))

    def to_text(self, threshold: float | None = None, *, confidence: float = 0.95) -> str:
        """A table of means and medians at one threshold, at each of them unless given."""
        chosen = self.thresholds.tolist() if threshold is None else [threshold]
        lines = []
        for delta in chosen:
            for name, (mean, median) in self.summary(delta, confidence=confidence).items():
                if name.startswith("COV") or delta == chosen[-1]:
                    label = f"{name} at {delta:g}" if name.startswith("COV") else name
                    lines.append([label, str(mean), str(median)])
        head = [f"{len(self.names)} molecules", f"mean [{confidence:.0%} interval]", "median"]
        return table(head, sorted(lines, key=lambda line: line[0].startswith("AMR")))

    def __str__(self) -> str:
        return self.to_text()


def coverage(
    distances: Sequence[Tensor],
    thresholds: Sequence[float] | Tensor = (0.25, 0.5, 0.75, 1.0),
    *,
    names: Sequence[str] | None = None,
) -> Coverage:
    """COV and AMR, recall and precision, of each molecule.

    With distances d_sr of S samples from R references of one molecule and a threshold delta:

        COV-R = share of r with min_s d_sr < delta,     AMR-R = mean over r of min_s d_sr,
        COV-P = share of s with min_r d_sr < delta,     AMR-P = mean over s of min_r d_sr.

    Recall punishes missing conformers, precision bad ones. Both grow with the number S of samples: compare methods
    at the same S (twice R in the literature). They see which conformers there are, **not how often**: a model with
    wrong populations can have the best of all four; see ``well_populations`` and ``energy_test``.

    Args:
        distances: one ``[S, R]`` a molecule, from ``rmsd_matrix``, in units of the data.
        thresholds: usual are 0.5 A for molecules as in QM9, 0.75 A for drug-like ones.
        names: of the molecules; numbers unless given.

    Raises:
        ValueError: for distances that are empty, negative or not finite (the molecule is named).

    >>> d = torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.9, 1.5]])
    >>> {name: round(value.item(), 3) for name, value in coverage([d], [0.5]).at(0.5).items()}
    {'COV-R': 0.5, 'COV-P': 0.667, 'AMR-R': 0.45, 'AMR-P': 0.4}

    Source: Ganea et al., GeoMol, NeurIPS 2021, arXiv 2106.07802, section on evaluation metrics.
    """
    if not len(distances):
        raise ValueError("expected the distances of at least one molecule, got none")
    labels = tuple(map(str, range(len(distances)) if names is None else names))
    if len(labels) != len(distances):
        raise ValueError(f"expected {len(distances)} names, one a molecule, got {len(labels)}")
    levels = torch.as_tensor([positive(float(level), "each threshold") for level in thresholds], dtype=torch.float64)
    if not len(levels):
        raise ValueError("expected at least one threshold, got none")
    figures = []
    for name, matrix in zip(labels, distances, strict=True):
        if matrix.ndim != 2 or not matrix.numel() or not matrix.is_floating_point():
            raise ValueError(
                f"expected distances [S, R] of a floating dtype, got {list(matrix.shape)} of {matrix.dtype} for {name}"
            )
        if not bool((torch.isfinite(matrix) & (matrix >= 0)).all()):
            raise ValueError(f"expected finite distances >= 0, got others for {name}; try to drop its bad clouds")
        of_reference, of_sample = matrix.double().amin(0), matrix.double().amin(1)
        figures.append(
            (
                (of_reference[:, None] < levels).double().mean(0),
                (of_sample[:, None] < levels).double().mean(0),
                of_reference.mean(),
                of_sample.mean(),
            )
        )
    recall, precision, amr_recall, amr_precision = (torch.stack(list(column)) for column in zip(*figures, strict=True))
    return Coverage(labels, levels, recall, precision, amr_recall, amr_precision)


def _bootstrap(
    values: np.ndarray,
    statistic: Callable[..., np.ndarray],
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> list[Interval]:
    """A statistic of each row of ``[K, M]`` with its percentile interval over columns."""
    estimates = statistic(values, axis=-1)
    if values.shape[-1] < 3:
        return [Interval(float(e), math.nan, math.nan) for e in estimates]
    low, high = scipy.stats.bootstrap(
        (values,),
        statistic,
        axis=-1,
        confidence_level=confidence,
        n_resamples=resamples,
        method="percentile",
        random_state=rng,
    ).confidence_interval
    return [Interval(*map(float, ends)) for ends in zip(estimates, low, high, strict=True)]
