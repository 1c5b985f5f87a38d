"""One cell of the study of message passing: one data set, all ratios, three starts and the spectral estimator."""

from __future__ import annotations

import time
from typing import Any

import torch

from pyro_symvi.multiindex import GaussianChannel, gamp, single_index_data, spectral_estimator

STARTS = ("random", "spectral", "informed")
INFORMED = 0.9


def cell(
    *, activation: str, snr: float, ratios: list[float], dim: int, seed: int, iterations: int, device: str
) -> dict[str, Any]:
    """Squared cosines and squared lengths by start and ratio, in float32; the course of the informed start."""
    started = time.perf_counter()
    channel = GaussianChannel(activation, snr)
    data = single_index_data(activation, dim, max(ratios), snr, seeds=seed, dtype=torch.float32, device=device)
    found: dict[str, Any] = {}
    estimate = spectral_estimator(data.x, data.y, channel, ratios=ratios)
    found["estimator"] = {"cosine": estimate.squared_cosine(data.direction).tolist()}
    for start in STARTS:
        result = gamp(
            data.x, data.y, channel, start=start, start_overlap=INFORMED if start == "informed" else None,
            truth=data.direction, ratios=ratios, iterations=iterations, tol=2e-4, seed=seed,
        )  # fmt: skip
        found[start] = {
            "cosine": result.squared_cosine[-1].tolist(),
            "length": result.length[-1].tolist(),
            "converged": result.converged.tolist(),
            "iterations": result.iterations,
        }
        if start == "informed":
            found["course"] = result.squared_cosine[:9].tolist()
    found["seconds"] = time.perf_counter() - started
    if device != "cpu":
        found["gigabytes"] = torch.cuda.max_memory_allocated() / 2**30
    return found
