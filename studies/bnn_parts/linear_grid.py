"""1-M-1 linear networks: weights from two ridges to a ball as the network widens, by exact Gibbs sampling.

y = sum_j v_j w_j x + noise on 200 rows, no biases, N(0, tau^2) priors; M = 1, 5, 100 and tau = 1, 10^-1/2, 10^-1 (the
grid of Kobialka et al. 2026). Given v the vector w is normal and the other way round; each sweep also refreshes the
common scale of w against v, its exact law being generalised inverse Gaussian, mirrors both at one random plane of
R^M, and so mixes whatever the data. What is identified, u = sum w_j v_j, has prior density proportional to
|u|^{(M-1)/2} K_{(M-1)/2}(|u| / tau^2); with the likelihood of u its posterior law is a one-dimensional integral.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn._streams import stream
from pyro_symvi.bnn.identities import linear_balance, prior_wasserstein
from pyro_symvi.groups import GeneralizedInverseGaussian

from . import cells

SLOPE, NOISE, BINS = 0.8, 0.2, 40


def reach(m: int, tau: float) -> float:
    """Half the width of the picture: three prior deviations, or what weights of equal parts of the slope need."""
    return max(3.2 * tau, 1.5 * (SLOPE / m) ** 0.5)


def make_posterior(m: int, tau: float) -> NetworkPosterior:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 1, generator=generator, dtype=torch.float64)
    y = SLOPE * x[:, 0] + NOISE * torch.randn(200, generator=generator, dtype=torch.float64)
    network = nn.Sequential(nn.Linear(1, m, bias=False), nn.Identity(), nn.Linear(m, 1, bias=False))
    return NetworkPosterior(network, GaussianNoise(NOISE), NormalPrior(tau), x, y)


def given(other: Tensor, slope: float, precision: float, tau: float, generator: torch.Generator) -> Tensor:
    """A draw of w ``[chains, M]`` given v: prior N(0, tau^2), u = w . v observed as ``slope`` with that precision.

    Covariance tau^2 (I - g v v'), g = tau^2 precision / (1 + tau^2 precision |v|^2); a draw is a prior draw corrected
    by the error it makes in a noisy observation (Matheron's rule).
    """
    prior = tau * torch.randn(other.shape, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(other), 1, generator=generator, dtype=torch.float64) / precision**0.5
    gain = tau**2 / (tau**2 * other.square().sum(-1, keepdim=True) + 1 / precision)
    return prior + gain * other * (slope - (prior * other).sum(-1, keepdim=True) - noise)


def gibbs(posterior: NetworkPosterior, m: int, tau: float, chains: int, draws: int, thin: int) -> Draws:
    generator = stream(m, round(1000 * tau))
    x, y = posterior.x[:, 0], posterior.y[:, 0]
    precision, slope = float(x.square().sum()) / NOISE**2, float((x * y).sum() / x.square().sum())
    w, v = tau * torch.randn(2, chains, m, generator=generator, dtype=torch.float64)
    kept = []
    for sweep in range((draws + 10) * thin):
        w = given(v, slope, precision, tau, generator)
        v = given(w, slope, precision, tau, generator)
        a, b = (t.square().sum(-1) / tau**2 for t in (w, v))
        scale = GeneralizedInverseGaussian(0.0, a, b).sample(generator=generator).sqrt()[:, None]
        w, v = w * scale, v / scale
        mirror = torch.randn(chains, m, generator=generator, dtype=torch.float64)  # a random reflection of both
        mirror = mirror / mirror.norm(dim=-1, keepdim=True)
        w = w - 2 * mirror * (mirror * w).sum(-1, keepdim=True)
        v = v - 2 * mirror * (mirror * v).sum(-1, keepdim=True)
        if sweep >= 10 * thin and sweep % thin == 0:
            kept.append(torch.cat([w, v], -1))
    return Draws(torch.stack(kept, 1), posterior.layout, "Gibbs")


def law_of_u(posterior: NetworkPosterior, m: int, tau: float) -> tuple[np.ndarray, np.ndarray]:
    """A grid of u and the exact distribution function on it."""
    from scipy import integrate, special

    x, y = posterior.x[:, 0], posterior.y[:, 0]
    precision, slope = float(x.square().sum()) / NOISE**2, float((x * y).sum() / x.square().sum())
    u = np.linspace(slope - 12 / precision**0.5, slope + 12 / precision**0.5, 20_001)
    order, r = (m - 1) / 2, np.abs(u) / tau**2
    log_density = order * np.log(r) + np.log(special.kve(order, r)) - r - precision * (u - slope) ** 2 / 2
    density = np.exp(log_density - log_density.max())
    cdf = integrate.cumulative_trapezoid(density, u, initial=0)
    return u, cdf / cdf[-1]


def cell(m: int, tau: float, chains: int, draws: int, thin: int) -> dict[str, Any]:
    from scipy import stats

    posterior = make_posterior(m, tau)
    made = gibbs(posterior, m, tau, chains, draws, thin)
    w, v = made.theta[..., :m], made.theta[..., m:]
    u = (w * v).sum(-1)
    grid, cdf = law_of_u(posterior, m, tau)
    every = max(1, draws // 20)
    ks = stats.kstest(u[:, ::every].flatten().numpy(), lambda value: np.interp(value, grid, cdf))
    balance = linear_balance(posterior, made)
    edges = [torch.linspace(-reach(m, tau), reach(m, tau), BINS + 1, dtype=torch.float64)] * 2
    pairs = torch.stack([w[..., 0], v[..., 0]], -1).reshape(-1, 2)
    heights, _ = torch.histogramdd(pairs, edges)
    values = w[..., 0].flatten() / tau
    return {
        "ks": [float(ks.statistic), float(ks.pvalue)], "count": int(u[:, ::every].numel()),
        "u": [float(u.mean()), float(u.std())],
        "diagonal": float(balance.test.mean.diagonal().mean()), "worst": float(balance.test.z.abs().max()),
        "tests": m * (m + 1) // 2, "verdict": balance.verdict,
        "wasserstein": float(prior_wasserstein(values)), "histogram": heights.int().tolist(),
    }  # fmt: skip


def options(short: bool) -> list[dict[str, Any]]:
    size = {"chains": 48, "draws": 60, "thin": 2} if short else {"chains": 48, "draws": 1000, "thin": 5}
    return [{"m": m, "tau": tau, **size} for tau in (1.0, 10**-0.5, 0.1) for m in (1, 5, 100)]


def report(found: list[dict[str, Any]]) -> str:
    lines = [
        f"{'tau':>6}{'M':>5}{'u, mean and sd':>20}{'KS to exact law':>17}{'p':>8}{'worst |z| of W W - V V':>24}"
        f"{'usual':>7}{'W1 of w_1 to prior':>20}  verdict"
    ]
    for one in found:
        option = one["option"]
        lines.append(
            f"{option['tau']:>6.3f}{option['m']:>5}{one['u'][0]:>12.4f} {one['u'][1]:.4f}{one['ks'][0]:>17.4f}"
            f"{one['ks'][1]:>8.2g}{one['worst']:>24.2f}{cells.usual_worst(one['tests']):>7.1f}"
            f"{one['wasserstein']:>20.4f}  {one['verdict']}"
        )
    return "\n".join(lines)


def picture(found: list[dict[str, Any]], path: Path) -> None:
    made, axes = cells.figure(3, 3, 7, 7)
    for axis, one in zip(axes.flat, found, strict=True):
        edge = reach(one["option"]["m"], one["option"]["tau"])
        axis.imshow(np.array(one["histogram"]).T, origin="lower", extent=(-edge, edge, -edge, edge), cmap="Blues")
        axis.set(title=f"M = {one['option']['m']}, tau = {one['option']['tau']:.2g}", xlabel="w_1", ylabel="v_1")
        axis.grid(False)
    cells.save(made, path)


def run(short: bool, folder: Path = Path("build/bnn"), workers: int = 1) -> str:
    found = cells.run_cells(cell, options(short), folder, workers)
    picture(found, folder / "bnn_linear_grid.svg")
    return f"{report(found)}\n{cells.cpu_line(found)}"
