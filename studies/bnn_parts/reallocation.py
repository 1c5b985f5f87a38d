"""How do redundant units share one feature? Draws of K units on data from one kink, against two Dirichlet laws.

y = 8 relu(.6 x + .8) + noise on 60 rows with x from -3 to 3, networks 1-K-1 of ReLU units with biases (p = 2), no
output bias, N(0, 1) priors. MAMS with orbit refresh moves, and a move of its own that deals z_i + z_j, z = v w, out
anew between two units by the prior law given the sum (exact; accepted by the likelihood); chains start at equal splits
of the feature. Looked at are draws whose K units all lie in one cluster (cosine of centred activations above the
threshold, outgoing weights of one sign), for a wide threshold and for a narrow one. Shares r_k / sum r, r = |w| |v|:
Dirichlet(1, ...) is the law in an angular tube narrower than the data need, Dirichlet(1/2, ...) the limit where the
data alone hold the directions, by pinning sum v_k w_k. For K = 2 the law given that vector is known at its length (8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from arviz_stats.base import array_stats
from torch import Tensor, nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.identities import balancedness, reallocation
from pyro_symvi.bnn.moves import Move, OrbitRefresh
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import MAMS, Target
from pyro_symvi.bnn.symmetry import NetworkSymmetry
from pyro_symvi.groups import GeneralizedInverseGaussian

from . import cells

STRENGTH, DIRECTION = 8.0, (0.6, 0.8)


def make_posterior(units: int, noise: float) -> NetworkPosterior:
    generator = torch.Generator().manual_seed(4)
    x = torch.linspace(-3, 3, 60, dtype=torch.float64)[:, None]
    feature = torch.relu(DIRECTION[0] * x[:, 0] + DIRECTION[1])
    y = STRENGTH * feature + noise * torch.randn(60, generator=generator, dtype=torch.float64)
    network = nn.Sequential(nn.Linear(1, units), nn.ReLU(), nn.Linear(units, 1, bias=False))
    return NetworkPosterior(network, GaussianNoise(noise), NormalPrior(1.0), x, y)


def start(posterior: NetworkPosterior, units: int, chains: int) -> torch.Tensor:
    """Equal splits, balanced: |w| = |v| = sqrt(r). Far from both laws, so that chains that do not mix are seen."""
    root = torch.full((chains, units), (STRENGTH / units) ** 0.5, dtype=torch.float64)
    parts = {
        "0.weight": DIRECTION[0] * root[..., None],
        "0.bias": DIRECTION[1] * root,
        "2.weight": root[:, None],
    }
    return posterior.layout.flatten(parts)


@dataclass(frozen=True, eq=False, repr=False)
class Redeal(Move):
    """Two units of one sign deal their sum Z = z_i + z_j out anew, z = v w in the plane (p = 2, q = 1, N(0, 1) priors).

    The prior density of z is proportional to e^{-|z|} / |z|. In elliptic coordinates about 0 and Z, |z_i|, |z_j| =
    |Z| (cosh mu +- cos nu) / 2 and the volume is |z_i| |z_j| dmu dnu: given Z, nu is uniform and mu has the density
    e^{-|Z| cosh mu}. Norms follow from their law along the orbit. All of this is the prior given Z, so the
    likelihood alone decides; it changes only where a row changes sides of a kink.
    """

    every: int = 1

    def _check(self, target: Target) -> None:
        if not isinstance(target, NetworkPosterior):
            raise TypeError(f"expected a NetworkPosterior, got {type(target).__name__}")

    def _move(
        self, target: Target, position: Tensor, momentum: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        assert isinstance(target, NetworkPosterior)
        generator, chains = generators[0], len(position)
        parts = {name: value.clone() for name, value in target.layout.unflatten(position).items()}
        w = torch.stack([parts["0.weight"][..., 0], parts["0.bias"]], -1)
        v = parts["2.weight"][:, 0]
        pair = torch.rand(v.shape, generator=generator, dtype=v.dtype).argsort(-1)[:, :2]
        rows = torch.arange(chains)[:, None]
        z, sign = w[rows, pair] * v[rows, pair][..., None], v[rows, pair].sign()
        total = z.sum(1)
        size = total.norm(dim=-1)
        mu = GeneralizedInverseGaussian(0.0, size, size).sample(generator=generator).log().abs()
        nu = 2 * torch.pi * torch.rand(chains, generator=generator, dtype=v.dtype)
        along = total / size[:, None]
        across = torch.stack([-along[:, 1], along[:, 0]], -1)
        first = total / 2 + (size / 2 * mu.cosh() * nu.cos())[:, None] * along
        first = first + (size / 2 * mu.sinh() * nu.sin())[:, None] * across
        new = torch.stack([first, total - first], 1)
        radius = new.norm(dim=-1)
        c = GeneralizedInverseGaussian(0.5, radius, radius).sample(generator=generator).sqrt()
        v[rows, pair] = sign * radius.sqrt() / c
        w[rows, pair] = sign[..., None] * new / radius[..., None] * (radius.sqrt() * c)[..., None]
        parts["0.weight"], parts["0.bias"], parts["2.weight"] = w[..., :1], w[..., 1], v[:, None]
        proposal = target.layout.flatten(parts)
        ratio = target.log_likelihood(proposal) - target.log_likelihood(position)
        accept = torch.rand(chains, generator=generator, dtype=v.dtype).log() < ratio
        accept &= sign[:, 0] == sign[:, 1]
        return torch.where(accept[:, None], proposal, position), momentum


def given_vector(size: float) -> float:
    """Concentration fitted to the exact law of two shares given sum v_k w_k of that length, p = 2.

    The share is (1 + cos nu / cosh mu) / 2 with nu uniform and density exp(-size cosh mu) of mu.
    """
    mu = torch.linspace(0, 12 / math.sqrt(size), 4001, dtype=torch.float64)
    weight = (-size * (mu.cosh() - 1)).exp()
    variance = float((weight / mu.cosh().square()).sum() / weight.sum()) / 8
    return (0.25 / variance - 1) / 2


def cell(units: int, noise: float, chains: int, draws: int, warmup: int, thin: int) -> dict[str, Any]:
    posterior = make_posterior(units, noise)
    made = sample(
        posterior, MAMS(), chains=chains, draws=draws, warmup=warmup, thin=thin, pack=chains, seed=units,
        start=start(posterior, units, chains), moves=(OrbitRefresh(NetworkSymmetry.of(posterior), every=2), Redeal()),
    )  # fmt: skip
    radius = _radii(posterior, made.theta)
    share = (radius[..., 0] / radius.sum(-1)).numpy()
    residual = (posterior.y - posterior.outputs(made.theta))[..., 0]
    return {
        "wide": _shares(posterior, made, units, 0.95),
        "narrow": _shares(posterior, made, units, 0.999),
        "rms": float(residual.square().mean().sqrt()),
        "rhat": float(array_stats.rhat(share)),
        "ess": float(array_stats.ess(share, method="mean")),
        "balanced": balancedness(posterior, made).worst,
    }


def _radii(posterior: NetworkPosterior, theta: torch.Tensor) -> torch.Tensor:
    parts = posterior.layout.unflatten(theta)
    return torch.hypot(parts["0.weight"][..., 0], parts["0.bias"]) * parts["2.weight"][..., 0, :].abs()


def _shares(posterior: NetworkPosterior, made: Draws, units: int, threshold: float) -> dict[str, Any]:
    """Shares in the draws whose units are all joined at this cosine."""
    found = reallocation(posterior, made, threshold=threshold, most=made.chains * made.draws)
    half, one = found.test(units, 0.5), found.test(units, 1.0)
    shares = found.of_size(units)
    shares = shares[:, 0] if len(shares) else shares.new_zeros(0)
    return {
        "fitted": half.fitted, "error": half.fitted_error, "z_half": half.z, "z_one": one.z,
        "ks_half": half.ks[0], "ks_one": one.ks[0], "count": half.count, "joined": half.count / found.size.numel(),
        "total": float(found.total[found.size == units].nanmean()), "sensitivity": float(found.sensitivity.nanmedian()),
        "histogram": (torch.histc(shares, 25, 0, 1) * 25 / max(1, len(shares))).tolist(),
    }  # fmt: skip


def options(short: bool) -> list[dict[str, Any]]:
    size = {"chains": 32, "draws": 60, "warmup": 200, "thin": 1}
    if not short:
        size = {"chains": 32, "draws": 500, "warmup": 600, "thin": 4}
    noises, counts = ((1.0, 0.1), (2,)) if short else ((3.0, 1.0, 0.3, 0.1), (2, 3))
    return [{"units": k, "noise": noise, **size} for k in counts for noise in noises]


def report(found: list[dict[str, Any]]) -> str:
    lines = [
        "Fitted concentration: that of the symmetric Dirichlet law with the variance found, +- standard error between",
        "chains. Rows with R-hat of the first share above 1.05 have not mixed: no law is to be read from them.",
        f"{'K':>3}{'noise':>7}{'R-hat':>7}{'cosine':>8}{'draws in one cluster':>22}{'sum r':>8}{'fitted':>18}"
        f"{'z of 1/2':>10}{'z of 1':>9}{'KS 1/2':>8}{'KS 1':>7}{'sensitivity':>13}",
    ]
    for one in found:
        option = one["option"]
        for name, cosine in (("wide", 0.95), ("narrow", 0.999)):
            row = one[name]
            lines.append(
                f"{option['units']:>3}{option['noise']:>7.1f}{one['rhat']:>7.2f}{cosine:>8}{row['count']:>14} "
                f"({row['joined']:.2f}){row['total']:>9.2f}{cells.interval(row['fitted'], row['error']):>18}"
                f"{row['z_half']:>10.1f}{row['z_one']:>9.1f}{row['ks_half']:>8.3f}{row['ks_one']:>7.3f}"
                f"{row['sensitivity']:>13.2g}"
            )
    lines.append(f"Exact law given sum v_k w_k of length {STRENGTH:g}, K = 2: fitted concentration "
                 f"{given_vector(STRENGTH):.3f}; it tends to 1/2 with the length.")  # fmt: skip
    return "\n".join(lines)


def picture(found: list[dict[str, Any]], path: Path) -> None:
    from scipy import stats

    pairs = [one for one in found if one["option"]["units"] == 2]
    made, axes = cells.figure(2, len(pairs) + 1, 2.5 * (len(pairs) + 1), 4.6)
    grid = torch.linspace(0.02, 0.98, 97).numpy()
    for row, (name, cosine) in enumerate((("wide", 0.95), ("narrow", 0.999))):
        for axis, one in zip(axes[row], pairs, strict=False):
            heights = one[name]["histogram"]
            axis.stairs(heights, [i / len(heights) for i in range(len(heights) + 1)], fill=True, alpha=0.5)
            axis.plot(grid, stats.beta(0.5, 0.5).pdf(grid), color="C3", label="Dirichlet(1/2)")
            axis.plot(grid, stats.beta(1, 1).pdf(grid), color="C2", label="Dirichlet(1)")
            mixed = "" if one["rhat"] < 1.05 else " (not mixed)"
            axis.set(title=f"noise {one['option']['noise']:g}{mixed}", xlabel="share of one of two", ylim=(0, 3))
        axes[row, 0].set_ylabel(f"cosine above {cosine}")
        last = axes[row, -1]
        for k in sorted({one["option"]["units"] for one in found}):
            chosen = [one for one in found if one["option"]["units"] == k and one["rhat"] < 1.05]
            if not chosen:
                continue
            noise, fitted = ([one["option"]["noise"] for one in chosen], [one[name]["fitted"] for one in chosen])
            errors = [2 * one[name]["error"] for one in chosen]
            last.errorbar(noise, fitted, yerr=errors, fmt="o-", ms=3, capsize=2, label=f"K = {k}")
        last.axhline(0.5, color="C3", lw=1)
        last.axhline(1.0, color="C2", lw=1)
        noises = [one["option"]["noise"] for one in found]
        last.set(xscale="log", xlim=(min(noises) / 1.5, max(noises) * 1.5), ylim=(0, 1.6))
        last.set(xlabel="noise", title="fitted concentration")
        if last.get_legend_handles_labels()[0]:
            last.legend(fontsize=7)
    axes[0, 0].legend(fontsize=7)
    cells.save(made, path)


def run(short: bool, folder: Path = Path("build/bnn"), workers: int = 1) -> str:
    found = cells.run_cells(cell, options(short), folder, workers)
    picture(found, folder / "bnn_reallocation.svg")
    return f"{report(found)}\n{cells.cpu_line(found)}"
