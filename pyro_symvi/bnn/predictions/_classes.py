"""Scores of predicted probabilities of classes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class CalibrationBins(NamedTuple):
    """Rows sorted into bins by their confidence, the largest probability of the row."""

    rows: Tensor
    """``[bins]``"""
    confidence: Tensor
    """Mean confidence ``[bins]``; nan where a bin is empty"""
    accuracy: Tensor
    """Share of rows whose most probable class is right ``[bins]``; nan where a bin is empty"""

    def error(self) -> float:
        """Expected calibration error: mean over rows of |accuracy - confidence| of their bin."""
        gap = (self.accuracy - self.confidence).abs().nan_to_num()
        return float((gap * self.rows).sum() / self.rows.sum())


def calibration_bins(probabilities: Tensor, y: Tensor, bins: int = 15) -> CalibrationBins:
    """Bins of equal width (0, 1/bins], ..., of the confidence; ``probabilities`` ``[n, classes]``, ``y`` ``[n]``.

    Guo, Pleiss, Sun and Weinberger (2017), equation 3. The error of finite samples is biased upwards: a
    calibrated predictor shows up to about 0.4 sqrt(bins / n), less where its confidence is near one.
    """
    confidence, best = probabilities.double().max(-1)
    place = ((confidence * bins).ceil().long() - 1).clamp(0, bins - 1)
    right = (best == y).double()
    count = torch.bincount(place, minlength=bins).double()
    sums = [torch.bincount(place, values, minlength=bins) for values in (confidence, right)]
    return CalibrationBins(count, sums[0] / count, sums[1] / count)


def brier(probabilities: Tensor, y: Tensor) -> Tensor:
    """Brier score of each row, sum_k (p_k - 1{y = k})^2, ``[n]``: between 0 and 2."""
    return (probabilities.double() - torch.nn.functional.one_hot(y, probabilities.shape[-1])).square().sum(-1)
