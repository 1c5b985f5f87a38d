"""One cell: the lowest eigenvalue at the fitted tied point, in the standard representation, along the ratios."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from multiindex_parts import starts
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor

from pyro_symvi.groups import Symmetric
from pyro_symvi.multiindex import Link, committee_elbo, irrep_instability, standard_curvature

Numbers = NDArray[np.float64]


def cell(activation: str, units: int, dim: int, ratios: list[float], seed: int) -> dict[str, Any]:
    """For each ratio (the first rows of one data set) and tied point: eigenvalue, overlap, prediction, residuals."""
    link = Link.of(activation)
    data = starts.data_sets(activation, units, dim, max(ratios), [seed])
    (x, y, weights) = (part[0] for part in (data.x, data.y, data.weights))
    kinds = ["centred", "free"] if link.parity == "even" else ["free"]
    rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for ratio in ratios:
        count = max(1, round(ratio * dim))
        for kind in kinds:
            one = at_tied_point(link, x[:count], y[:count], weights, seed, centred=kind == "centred")
            rows[kind].append({"ratio": count / dim, **one})
    return {"rows": rows}


def at_tied_point(link: Link, x: Tensor, y: Tensor, weights: Tensor, seed: int, *, centred: bool) -> dict[str, float]:
    """What the Hessian of the loss says at the tied guide fitted to these data."""
    units, dim = weights.shape
    loc, scale, slope = fit(link, x, y, units, seed, centred=centred)
    hessian = standard_curvature(loc, scale, x, y, units=units, activation=link, noise=starts.NOISE)
    values, vectors = torch.linalg.eigh(hessian[:dim, :dim])
    span = weights if link.parity == "even" else weights - weights.mean(0)  # of what tells units apart
    basis = torch.linalg.svd(span, full_matrices=False)[2][: units if link.parity == "even" else units - 1]
    found = {
        "lowest": float(values[0]),
        "all": float(torch.linalg.eigvalsh(hessian)[0]),
        "scales": float(torch.linalg.eigvalsh(hessian[dim:, dim:])[0]),
        "overlap": float((basis @ vectors[:, 0]).square().sum()),
        "chance": len(basis) / dim,
        "slope": slope,
        "variance": float(dim * scale.square().mean()),
        "length": float(loc.norm()),
    }
    if centred:
        found |= predicted(link, x, y, weights, float((dim * scale.square()).mean()))
    return found


def fit(link: Link, x: Tensor, y: Tensor, units: int, seed: int, *, centred: bool) -> tuple[Tensor, Tensor, float]:
    """Common mean and scales at which the bound per datum is stationary, and its largest slope there (L-BFGS)."""
    dim, root = x.shape[1], math.sqrt(x.shape[1])
    u = torch.randn(dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * (0 if centred else 1)
    r = torch.zeros(dim, dtype=torch.float64, requires_grad=True)
    free = [r] if centred else [u.requires_grad_(), r]
    optimizer = torch.optim.LBFGS(
        free, max_iter=400, history_size=30, tolerance_grad=1e-7, tolerance_change=1e-13, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        m, s = ((part / root).expand(units, dim) for part in (u, r.exp()))
        value = -committee_elbo(m, s, x, y, activation=link, noise=starts.NOISE) / len(y)
        value.backward()
        return value.detach()

    optimizer.step(loss)
    loss()
    slope = max(float(part.grad.abs().max()) for part in free if part.grad is not None)
    return (u / root).detach(), (r.exp() / root).detach(), slope


def predicted(link: Link, x: Tensor, y: Tensor, weights: Tensor, variance: float) -> dict[str, float]:
    """Edge and outlier of I + (1/d) sum_i T_i x_i x_i^T for large d, given the T_i of these data (our derivation).

    At m = 0 and one scale for all weights T depends on y alone. With m the Stieltjes transform, a negative edge is the
    maximum over m of z(m) = -1/m + (n/d) mean[T / (1 + T m)], where all 1 + T m are positive (Marchenko and Pastur
    1967). An eigenvector leaves the noise where 1 + (n/d) m mean[T (z^2 - 1) / (1 + T m)] = 0 for an m before that
    (Baik, Ben Arous and Peche 2005; Lu and Li 2020), z a field of the teacher.
    """
    units, dim = weights.shape
    ratio = len(y) / dim
    t, z2 = slopes(link, y, units, variance), (x @ weights.mT).square().mean(1).numpy()
    largest = float((-t).max())
    end = 1 / largest if largest > 0 else 1e3

    def place(m: Numbers) -> Numbers:
        result: Numbers = -1 / m + ratio * (t / (1 + t * m[:, None])).mean(1)
        return result

    def visible(m: float) -> float:
        return float(1 + ratio * m * (t * (z2 - 1) / (1 + t * m)).mean())

    grid = end * np.linspace(1e-3, 1 - 1e-3, 400)
    best = int(place(grid).argmax())
    shown = [k for k in range(best + 1) if visible(grid[k]) < 0]
    result = {"edge": 1 + float(place(grid).max()), "outlier": math.nan}
    if shown and shown[0] > 0:
        m = optimize.brentq(visible, grid[shown[0] - 1], grid[shown[0]])
        result["outlier"] = 1 + float(place(np.array([m]))[0])
    return result


def slopes(link: Link, y: Tensor, units: int, variance: float) -> Numbers:
    """The T_i at m = 0, affine in y: read off the curvature of a datum x = 1 in one dimension, at y = 0 and y = 1."""
    x = torch.ones(1, 1, dtype=torch.float64)
    at = [
        float(
            standard_curvature(
                torch.zeros(1, dtype=torch.float64), torch.tensor(variance**0.5, dtype=torch.float64), x,
                torch.tensor([value], dtype=torch.float64), units=units, activation=link, noise=starts.NOISE,
            )[0, 0]
        ) - 1
        for value in (0.0, 1.0)
    ]  # fmt: skip
    result: Numbers = at[0] + (at[1] - at[0]) * y.numpy()
    return result


def against_lanczos(activation: str, units: int, dim: int, ratio: float, seed: int) -> dict[str, float]:
    """The lowest eigenvalue by `standard_curvature` and by `irrep_instability`, and the gradient in the part."""
    link = Link.of(activation)
    data = starts.data_sets(activation, units, dim, ratio, [seed])
    x, y, root = data.x[0], data.y[0], math.sqrt(dim)
    loc, scale, _ = fit(link, x, y, units, seed, centred=False)
    matrix = standard_curvature(loc, scale, x, y, units=units, activation=link, noise=starts.NOISE)

    def bound(point: dict[str, Tensor]) -> Tensor:
        m, s = point["loc"] / root, point["log_scale"].exp() / root
        return committee_elbo(m, s, x, y, activation=link, noise=starts.NOISE)

    tied = {
        "loc": (loc * root).expand(units, dim).clone(),
        "log_scale": (scale * root).log().expand(units, dim).clone(),
    }
    found = irrep_instability(bound, tied, Symmetric(units))
    return {
        "matrix": float(torch.linalg.eigvalsh(matrix)[0]),
        "lanczos": found.eigenvalue,
        "gradient": found.gradient_norm,
        "elbo": found.elbo,
    }
