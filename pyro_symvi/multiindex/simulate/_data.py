"""Data of single-index models and of committee machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..._value import positive_int
from ..links import Link
from ._draws import Device, Seeds, checked_dtype, checked_positive, generators, sample_count, shapes_shown, unit_rows


@dataclass(frozen=True, eq=False, repr=False)
class SingleIndexData:
    """Samples of y = sqrt(snr) sigma(w.x) + xi. One data set has no leading axis; several seeds have one, ``[S]``.

    Attributes:
        x: inputs ``[S, n, d]``, independent standard normal.
        y: outputs ``[S, n]``.
        direction: the unit vector w, ``[S, d]``.
        snr: ratio of the variance of the standardised sigma to that of the noise.
    """

    x: Tensor
    y: Tensor
    direction: Tensor
    snr: float

    @property
    def ratio(self) -> float:
        """N / d."""
        return self.x.shape[-2] / self.x.shape[-1]

    def __repr__(self) -> str:
        return shapes_shown(self, "x", "y", "direction") + f", snr = {self.snr:g})"


@dataclass(frozen=True, eq=False, repr=False)
class CommitteeData:
    """Samples of y = p^{-1/2} sum_k sigma(w_k.x) + sqrt(noise) xi. Several seeds make a leading axis ``[S]``.

    Attributes:
        x: inputs ``[S, n, d]``.
        y: outputs ``[S, n]``.
        weights: the orthonormal w_k, ``[S, p, d]``.
        noise: variance of the noise.
        x_test: further inputs ``[S, tests, d]``.
        y_test: their outputs with noise, ``[S, tests]``.
        mean_test: their outputs without noise, ``[S, tests]``.
    """

    x: Tensor
    y: Tensor
    weights: Tensor
    noise: float
    x_test: Tensor
    y_test: Tensor
    mean_test: Tensor

    @property
    def ratio(self) -> float:
        """N / d."""
        return self.x.shape[-2] / self.x.shape[-1]

    def __repr__(self) -> str:
        return shapes_shown(self, "x", "y", "weights", "x_test") + f", noise = {self.noise:g})"


def single_index_data(
    activation: str | Callable[[Tensor], Tensor],
    dim: int,
    ratio: float,
    snr: float,
    *,
    seeds: Seeds = 0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: Device = "cpu",
) -> SingleIndexData:
    """Draws y = sqrt(snr) sigma(w.x) + xi with x ~ N(0, I_d), xi ~ N(0, 1), w uniform on the sphere |w| = 1.

    Sigma is standardised (mean 0, variance 1 under N(0, 1)). A data set depends on its own seed, not on the others of
    the call; devices have generators of their own, so that the same seed gives other numbers on another one.

    Args:
        activation: a name, a torch callable, a module, or a ``Link``.
        dim: d.
        ratio: n / d. For smaller ratios use the first rows (``ratios`` of :func:`gamp` and :func:`spectral_estimator`).
        snr: lambda.
        seeds: one int (no leading axis) or several (a leading axis).
        generator: used instead of ``seeds`` for one data set; on ``device``.
        dtype: float32 or float64.
        device: where the data are drawn and stay. Memory: n d numbers a seed.

    >>> data = single_index_data("abs", 50, 4.0, 0.5, seeds=[0, 1])
    >>> data.x.shape, data.y.shape, data.direction.shape
    (torch.Size([2, 200, 50]), torch.Size([2, 200]), torch.Size([2, 50]))
    """
    link = Link.of(activation)
    count = sample_count(dim, ratio)
    amplitude = checked_positive(snr, "snr") ** 0.5
    found: list[tuple[Tensor, ...]] = []
    sources, several = generators(seeds, generator, device)
    options: dict[str, Any] = {"dtype": checked_dtype(dtype), "device": torch.device(device)}
    for source in sources:
        (w,) = unit_rows(1, dim, source, dtype)
        x = torch.randn(count, dim, generator=source, **options)
        noise = torch.randn(count, generator=source, **options)
        found.append((x, amplitude * link(x @ w) + noise, w))
    x, y, w = _joined(found, several)
    return SingleIndexData(x, y, w, float(snr))


def committee_data(
    activation: str | Callable[[Tensor], Tensor],
    units: int,
    dim: int,
    ratio: float,
    noise: float,
    *,
    tests: int = 1000,
    seeds: Seeds = 0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: Device = "cpu",
) -> CommitteeData:
    """Draws y = p^{-1/2} sum_{k <= p} sigma(w_k.x) + sqrt(noise) xi with orthonormal w_k and x ~ N(0, I_d).

    Sigma is standardised, so that the signal has variance 1 and the signal-to-noise ratio is 1 / noise. With one unit
    and noise = 1 / snr it is the single-index model, y divided by sqrt(snr).

    Args:
        activation: a name, a torch callable, a module, or a ``Link``.
        units: p, at most ``dim``.
        dim: d.
        ratio: n / d.
        noise: the variance Delta, zero or more.
        tests: samples of the test set.
        seeds: one int (no leading axis) or several (a leading axis).
        generator: used instead of ``seeds`` for one data set; on ``device``.
        dtype: float32 or float64.
        device: where the data are drawn and stay.

    >>> data = committee_data("b4", 3, 40, 5.0, 0.5, tests=10)
    >>> data.x.shape, data.weights.shape, data.y_test.shape
    (torch.Size([200, 40]), torch.Size([3, 40]), torch.Size([10]))

    Raises:
        ValueError: for more units than inputs; their weights are orthonormal.
    """
    link = Link.of(activation)
    count = sample_count(dim, ratio)
    positive_int(tests, "tests", 0)
    if positive_int(units, "units") > dim:
        raise ValueError(f"expected units <= dim, got {units} > {dim}, because the weights are orthonormal")
    scale = checked_positive(noise, "noise") ** 0.5 if noise != 0 else 0.0
    found: list[tuple[Tensor, ...]] = []
    sources, several = generators(seeds, generator, device)
    options: dict[str, Any] = {"dtype": checked_dtype(dtype), "device": torch.device(device)}
    for source in sources:
        w = unit_rows(units, dim, source, dtype)
        parts = [w]
        for rows in (count, tests):
            x = torch.randn(rows, dim, generator=source, **options)
            mean = link(x @ w.T).sum(-1) / units**0.5
            parts += [x, mean, mean + scale * torch.randn(rows, generator=source, **options)]
        found.append(tuple(parts))
    w, x, _, y, x_test, mean_test, y_test = _joined(found, several)
    return CommitteeData(x, y, w, float(noise), x_test, y_test, mean_test)


def _joined(found: list[tuple[Tensor, ...]], several: bool) -> tuple[Tensor, ...]:
    """The data sets along a leading axis, or the only one as it is."""
    return tuple(torch.stack(part) for part in zip(*found, strict=True)) if several else found[0]
