"""How well draws of weights predict, with standard errors over the rows."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from ._classes import CalibrationBins, brier, calibration_bins


def _mean(values: Tensor) -> tuple[float, float]:
    """Mean and its standard error (nan for one value)."""
    error = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), error


@dataclass(frozen=True, eq=False, repr=False)
class Scores(ABC):
    """What all kinds of targets have in common: log pointwise predictive density (LPPD), per row.

    LPPD = (1/n) sum_i log[(1/T) sum_t p(y_i | x_i, theta_t)] over all T draws of all chains; higher is better. It is
    the log density of the target in its own units: for standardised targets log ``target_scale`` has been subtracted.

    Attributes:
        source: what made the draws.
        chains, draws: how many.
        pointwise: log predictive density of each row ``[n]``.
        lppd_of_chains: each chain alone ``[chains]``.
        lppd_by_chains: the first 1, 2, ... chains together ``[chains]``.
        lppd_by_draws: the first 1, 2, ... draws of all chains together ``[draws]``.
        target_scale: the unit of the targets given, in units of the raw target; 1 where they are in their own units.
    """

    source: str
    chains: int
    draws: int
    pointwise: Tensor
    lppd_of_chains: Tensor
    lppd_by_chains: Tensor
    lppd_by_draws: Tensor
    target_scale: Tensor

    @property
    def rows(self) -> int:
        """Number of rows n."""
        return len(self.pointwise)

    @property
    def lppd(self) -> float:
        """Mean over rows, of targets in their own units."""
        return _mean(self.pointwise)[0]

    @property
    def lppd_error(self) -> float:
        """Standard error of ``lppd`` over rows: what other rows of the same kind would change."""
        return _mean(self.pointwise)[1]

    @property
    def lppd_as_given(self) -> float:
        """The LPPD of the targets as they were given, standardised ones where they were standardised."""
        return self.lppd + float(self.target_scale.log().sum())

    def lppd_difference(self, other: Scores) -> tuple[float, float]:
        """Mean over rows of log p of this minus that of another, and its standard error; rows must be the same."""
        if self.rows != other.rows or not torch.equal(self.target_scale, other.target_scale):
            raise ValueError(
                f"expected scores of the same rows in the same units, got {self.rows} rows of scale "
                f"{self.target_scale.tolist()} and {other.rows} of {other.target_scale.tolist()}"
            )
        return _mean(self.pointwise - other.pointwise)

    @abstractmethod
    def lines(self) -> list[tuple[str, float, float, str]]:
        """Name, value, standard error over rows (nan where none) and how to read it, best known first."""

    def _lppd_line(self) -> tuple[str, float, float, str]:
        scale = self.target_scale
        if bool((scale == 1).all()):
            unit = "log density per row, targets as given"
        else:
            unit = f"log density per row, targets in their own units ({float(scale.log().sum()):.3f} subtracted)"
        return "LPPD", self.lppd, self.lppd_error, f"{unit}; higher is better"

    def __str__(self) -> str:
        head = f"{self.source}: {self.chains} x {self.draws} draws on {self.rows} rows"
        rows = [
            f"  {name:<15} {value:>9.4f} {'' if math.isnan(error) else f'+- {error:.4f}':<11} {meaning}"
            for name, value, error, meaning in self.lines()
        ]
        return "\n".join([head, *rows])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source}, rows={self.rows}, lppd={self.lppd:.4g} +- {self.lppd_error:.2g})"


@dataclass(frozen=True, eq=False, repr=False)
class RegressionScores(Scores):
    """Scores of real targets ``[n, m]``; errors and CRPS in the targets' own units.

    Attributes:
        residuals: y minus the mean of the predictive law, ``[n, m]``.
        pit: F_i(y_i) ``[n, m]``, F_i the predictive law of row i, all draws together; uniform where it is calibrated.
        pointwise_crps: continuous ranked probability scores ``[n, m]``.
        levels: of the central predictive intervals.
    """

    residuals: Tensor
    pit: Tensor
    pointwise_crps: Tensor
    levels: tuple[float, ...]

    @property
    def rmse(self) -> float:
        """Root mean square of the residuals."""
        return float(self.residuals.square().mean().sqrt())

    @property
    def rmse_error(self) -> float:
        """Standard error over rows: that of the mean square, over 2 rmse."""
        return _mean(self.residuals.square().mean(-1))[1] / (2 * self.rmse) if self.rmse > 0 else 0.0

    @property
    def crps(self) -> float:
        """Mean over rows and targets."""
        return float(self.pointwise_crps.mean())

    @property
    def crps_error(self) -> float:
        """Standard error over rows."""
        return _mean(self.pointwise_crps.mean(-1))[1]

    @property
    def coverage(self) -> tuple[float, ...]:
        """Share of targets within the central interval of each level: those with |2 PIT - 1| <= level."""
        return tuple(float(((2 * self.pit - 1).abs() <= level).double().mean()) for level in self.levels)

    @property
    def coverage_errors(self) -> tuple[float, ...]:
        """Standard errors sqrt(level (1 - level) / n) of ``coverage`` where it is calibrated, rows independent."""
        return tuple(math.sqrt(level * (1 - level) / self.rows) for level in self.levels)

    @property
    def coverage_error(self) -> float:
        """Root mean square over levels of level minus coverage. Compare with ``coverage_noise``."""
        gaps = [(level - found) ** 2 for level, found in zip(self.levels, self.coverage, strict=True)]
        return math.sqrt(sum(gaps) / len(gaps))

    @property
    def coverage_noise(self) -> float:
        """The root mean square of coverage error that a calibrated predictor shows on as many independent targets."""
        mean = sum(level * (1 - level) for level in self.levels) / len(self.levels)
        return math.sqrt(mean / self.pit.numel())

    @property
    def pit_p_value(self) -> float:
        """Of the Kolmogorov-Smirnov test that PIT values are uniform; small values speak against calibration."""
        return float(stats.kstest(self.pit.flatten().numpy(), "uniform").pvalue)

    def lines(self) -> list[tuple[str, float, float, str]]:
        unit = "as given" if bool((self.target_scale == 1).all()) else "own units"
        found = [
            self._lppd_line(),
            ("RMSE", self.rmse, self.rmse_error, f"of the predictive mean, {unit}; lower is better"),
            ("CRPS", self.crps, self.crps_error, f"{unit}; lower is better"),
        ]
        for level, share, error in zip(self.levels, self.coverage, self.coverage_errors, strict=True):
            found.append((f"coverage {level:g}", share, error, f"share within central intervals; should be {level:g}"))
        reading = f"about {self.coverage_noise:.3f} where calibrated"
        found.append(("coverage error", self.coverage_error, math.nan, reading))
        found.append(("PIT p-value", self.pit_p_value, math.nan, "uniform? below 0.01 speaks against calibration"))
        return found


@dataclass(frozen=True, eq=False, repr=False)
class ClassificationScores(Scores):
    """Scores of classes.

    Attributes:
        probabilities: predictive probabilities, means over all draws, ``[n, classes]``.
        y: the classes ``[n]``.
        bins: of confidence, for the calibration error.
    """

    probabilities: Tensor
    y: Tensor
    bins: int = 15

    @property
    def accuracy(self) -> float:
        """Share of rows whose most probable class is right."""
        return _mean((self.probabilities.argmax(-1) == self.y).double())[0]

    @property
    def accuracy_error(self) -> float:
        """Standard error over rows."""
        return _mean((self.probabilities.argmax(-1) == self.y).double())[1]

    @property
    def brier(self) -> float:
        """Mean over rows of sum_k (p_k - 1{y = k})^2, between 0 and 2."""
        return _mean(brier(self.probabilities, self.y))[0]

    @property
    def brier_error(self) -> float:
        """Standard error over rows."""
        return _mean(brier(self.probabilities, self.y))[1]

    @property
    def calibration(self) -> CalibrationBins:
        """Confidence and accuracy by bins of confidence."""
        return calibration_bins(self.probabilities, self.y, self.bins)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (ECE) over these bins."""
        return self.calibration.error()

    def lines(self) -> list[tuple[str, float, float, str]]:
        return [
            self._lppd_line(),
            ("accuracy", self.accuracy, self.accuracy_error, "of the most probable class; higher is better"),
            ("Brier score", self.brier, self.brier_error, "0 to 2; lower is better"),
            ("ECE", self.calibration_error, math.nan, f"{self.bins} bins; biased upwards on few rows"),
        ]
