"""Regressions whose posterior means of the coefficients are known exactly.

Two are conjugate: normal errors and flat priors, where the means are least squares (posteriordb). Two are not, and the
means are known by symmetry: the data are arranged so that the posterior is the same on both sides of a known point.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

DATA = Path(os.environ.get("SYMVI_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "posteriordb"
DEGREES = 4.0
"""Of the Student-t errors."""


@dataclass(frozen=True)
class Target:
    """A regression.

    Attributes:
        kind: ``"normal"`` or ``"student"`` errors with unknown scale sigma (flat on sigma > 0, HalfCauchy(10)), or
            ``"binomial"`` counts with logits X beta - offset. The coefficients have flat priors in all of them.
        predictors, offset, response: X ``[n, k]``, ``[n]``, ``[n]``. A binomial response counts half of its trials.
        exact, sd: Posterior means and standard deviations of the coefficients, ``[k]``.
    """

    name: str
    kind: str
    predictors: np.ndarray
    offset: np.ndarray
    response: np.ndarray
    exact: np.ndarray
    sd: np.ndarray

    @property
    def width(self) -> int:
        """Number of coefficients."""
        return self.predictors.shape[1]

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return self.width + (self.kind != "binomial")

    def error(self, means: np.ndarray) -> np.ndarray:
        """Largest error of ``means[..., k]`` in posterior sds."""
        return np.abs((means - self.exact) / self.sd).max(-1)


def log_density(
    kind: str, predictors: np.ndarray, offset: np.ndarray, response: np.ndarray, z: Any, xp: ModuleType = np
) -> Any:
    """Log posterior of ``z[..., d]`` = (beta, log sigma), up to a constant; ``xp`` is numpy or a twin of it."""
    width = predictors.shape[1]
    linear = xp.matmul(z[..., :width], predictors.T) - offset
    if kind == "binomial":  # y log s(l) + y log s(-l)
        return -xp.sum(response * (xp.logaddexp(0.0, linear) + xp.logaddexp(0.0, -linear)), axis=-1)
    log_sigma = z[..., width]
    squares = ((response - linear) * xp.exp(-log_sigma)[..., None]) ** 2
    if kind == "normal":
        return (1 - len(response)) * log_sigma - 0.5 * xp.sum(squares, axis=-1)
    likelihood = -0.5 * (DEGREES + 1) * xp.sum(xp.log1p(squares / DEGREES), axis=-1) - len(response) * log_sigma
    return likelihood + log_sigma - xp.log1p(xp.exp(2 * log_sigma) / 100)


def least_squares(predictors: np.ndarray, response: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact posterior means of the coefficients and their sds (Student-t with n - k - 1 degrees)."""
    means = np.linalg.lstsq(predictors, response, rcond=None)[0]
    residual = response - predictors @ means
    degrees = len(response) - predictors.shape[1] - 1
    covariance = np.linalg.inv(predictors.T @ predictors) * (residual @ residual) / (degrees - 2)
    return means, np.sqrt(np.diag(covariance))


def sampled_sd(kind: str, data: tuple[np.ndarray, np.ndarray, np.ndarray], centre: np.ndarray) -> np.ndarray:
    """Posterior sds of the coefficients to 1 or 2 per cent: importance sampling, the proposal adapted in six rounds."""
    rng, (predictors, _, response) = np.random.default_rng(0), data
    loc = centre
    curvature = predictors.T * (response / 2 if kind == "binomial" else 1.0) @ predictors
    root = np.linalg.cholesky(np.linalg.inv(curvature))
    if kind != "binomial":
        loc = np.append(centre, np.log(np.median(np.abs(response - predictors @ centre))))
        root = np.block([[root * np.exp(loc[-1]), np.zeros((len(centre), 1))], [np.zeros((1, len(centre))), 0.1]])
    for _ in range(6):
        noise = rng.standard_normal((40_000, len(loc))) / np.sqrt(rng.chisquare(5, 40_000) / 5)[:, None]
        z = loc + 1.1 * noise @ root.T
        log_weights = log_density(kind, *data, z) + 0.5 * (5 + len(loc)) * np.log1p((noise**2).sum(-1) / 5)
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        loc = weights @ z
        root = np.linalg.cholesky((z - loc).T * weights @ (z - loc))
    return np.sqrt((root**2).sum(-1))[: len(centre)]


def from_posteriordb(name: str) -> Target:
    """nes1972 (9 coefficients, 1330 rows) or mesquite (7 coefficients, 46 rows)."""
    data = json.loads((DATA / name / "data.json").read_text())

    def column(key: str) -> np.ndarray:
        return np.asarray(data[key], dtype=float)

    if name == "nes1972-nes":
        age = column("age_discrete")
        columns = [np.ones(len(age)), column("real_ideo"), column("race_adj"), age == 2, age == 3, age == 4]
        columns += [column("educ1"), column("gender"), column("income")]
        response = column("partyid7")
    else:
        logs = [np.log(column(k)) for k in ("diam1", "diam2", "canopy_height", "total_height", "density")]
        columns, response = [np.ones(len(logs[0])), *logs, column("group")], np.log(column("weight"))
    predictors = np.stack([np.asarray(c, dtype=float) for c in columns], 1)
    means, sd = least_squares(predictors, response)
    return Target(name, "normal", predictors, np.zeros(len(response)), response, means, sd)


def design(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    """An intercept and predictors with correlations .8, .64, ..."""
    columns = [rng.standard_normal(rows)]
    for _ in range(width - 2):
        columns.append(0.8 * columns[-1] + 0.6 * rng.standard_normal(rows))
    return np.stack([np.ones(rows), *columns], 1)


def robust_pairs() -> Target:
    """Student-t errors, every row twice with opposite residuals about X c: even about c, neither normal nor elliptical.

    150 pairs, 8 coefficients; the residuals are Student-t(3), so that outliers are among them.
    """
    rng = np.random.default_rng(1)
    predictors, centre = design(rng, 150, 8), 0.7 * rng.standard_normal(8)
    residual = 0.8 * rng.standard_t(3, 150)
    response = np.concatenate([predictors @ centre + residual, predictors @ centre - residual])
    data = np.vstack([predictors, predictors]), np.zeros(300), response
    return Target("robust pairs (Student-t errors)", "student", *data, centre, sampled_sd("student", data, centre))


def balanced_logistic() -> Target:
    """Binomial counts, half of each row's trials a success, logits X beta less a known handicap X c: even about c.

    150 rows of 2 to 6 trials, 8 coefficients.
    """
    rng = np.random.default_rng(2)
    predictors, centre = design(rng, 150, 8), 0.7 * rng.standard_normal(8)
    data = predictors, predictors @ centre, rng.integers(1, 4, 150).astype(float)
    return Target("balanced logistic regression", "binomial", *data, centre, sampled_sd("binomial", data, centre))


def targets(short: bool) -> Iterator[Target]:
    """All four; two of them in short mode; those of posteriordb where the data are."""
    if DATA.is_dir():
        for name in ("mesquite-logmesquite",) if short else ("nes1972-nes", "mesquite-logmesquite"):
            yield from_posteriordb(name)
    else:
        print(f"the reference posteriors are not at {DATA} (set SYMVI_DATA): made-up data only")
    if not short:
        yield robust_pairs()
    yield balanced_logistic()
