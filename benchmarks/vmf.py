"""How many draws, and log densities with gradient, a second on the sphere, against SciPy and power_spherical?

Peers, in the same run: ``scipy.stats.vonmises_fisher`` (draws, and log density alone: it has no gradient) and, where it
is installed, the package ``power_spherical`` (draws, draws with gradient, log density with gradient). A ratio above 1
means that this package is faster.

    OMP_NUM_THREADS=1 python benchmarks/vmf.py
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from pyro_symvi.distributions import PowerSpherical, VonMisesFisher


def rate(function: Callable[[], Any], count: int, repeats: int) -> float:
    """Items a second, from the shortest of ``repeats`` runs after one to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return count / min(times)


def with_gradient(value: Callable[[Tensor, Tensor], Tensor], mu: Tensor, kappa: Tensor) -> Callable[[], Any]:
    """The sum of a value and its gradient in direction and concentration."""

    def run() -> Any:
        leaves = mu.clone().requires_grad_(), kappa.clone().requires_grad_()
        return torch.autograd.grad(value(*leaves).sum(), leaves)

    return run


def line(dim: int, task: str, ours: float, peer: str, theirs: float | None) -> None:
    right = f"{'-':>12}{'-':>8}" if theirs is None else f"{theirs:>12.3g}{ours / theirs:>8.2f}"
    print(f"{dim:<6}{task:<44}{ours:>12.3g}  {peer:<18}{right}")


def compare(dim: int, draws: int, repeats: int, power_spherical: Any) -> None:
    mu = torch.zeros(dim, dtype=torch.float64)
    mu[-1] = 1.0
    kappa = torch.tensor(float(dim), dtype=torch.float64)
    law, peer = VonMisesFisher(mu, kappa, validate_args=False), stats.vonmises_fisher(mu.numpy(), dim)
    x = law.sample((draws,))
    array, source = x.numpy(), 0
    line(
        dim,
        "von Mises-Fisher draws",
        rate(lambda: law.sample((draws,)), draws, repeats),
        "SciPy",
        rate(lambda: peer.rvs(draws, random_state=source), draws, repeats),
    )
    ours = with_gradient(lambda m, k: VonMisesFisher(m, k, validate_args=False).log_prob(x), mu, kappa)
    line(
        dim,
        "von Mises-Fisher log density with gradient",
        rate(ours, draws, repeats),
        "SciPy (value only)",
        rate(lambda: peer.logpdf(array), draws, repeats),
    )
    many = kappa.expand(draws)
    ours = with_gradient(lambda m, k: VonMisesFisher(m, k, validate_args=False).log_prob(x), mu, many)
    line(dim, "the same, a concentration for each point", rate(ours, draws, repeats), "none", None)
    ours = with_gradient(lambda m, k: VonMisesFisher(m, k, validate_args=False).rsample((draws,)), mu, kappa)
    line(dim, "von Mises-Fisher draws with gradient", rate(ours, draws, repeats), "none", None)

    tasks: dict[str, Callable[[Any], Callable[[], Any]]] = {
        "power spherical draws": lambda make: lambda: make(mu, kappa).sample((draws,)),
        "power spherical draws with gradient": lambda make: with_gradient(
            lambda m, k: make(m, k).rsample((draws,)), mu, kappa
        ),
        "power spherical log density with gradient": lambda make: with_gradient(
            lambda m, k: make(m, k).log_prob(x), mu, kappa
        ),
    }
    for task, run in tasks.items():
        mine = rate(run(lambda m, k: PowerSpherical(m, k, validate_args=False)), draws, repeats)
        theirs = None
        if power_spherical is not None:
            theirs = rate(run(lambda m, k: power_spherical.PowerSpherical(m, k)), draws, repeats)
        line(dim, task, mine, "power_spherical", theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2_000 if os.environ.get("CI") else 20_000)
    parser.add_argument("--repeats", type=int, default=2 if os.environ.get("CI") else 5)
    parser.add_argument("--dims", type=int, nargs="+", default=[3, 10, 100, 1000])
    chosen = parser.parse_args()
    try:
        import power_spherical
    except ImportError:
        power_spherical = None
        print("power_spherical is not installed: its column is empty (pip install power-spherical)")
    torch.manual_seed(0)
    print(f"{chosen.draws} points (a tenth at d = 1000), kappa = d, float64, {torch.get_num_threads()} thread(s)")
    print(f"{'d':<6}{'task':<44}{'per second':>12}  {'peer':<18}{'per second':>12}{'ratio':>8}")
    for dim in chosen.dims:
        compare(dim, chosen.draws // 10 if dim >= 1000 else chosen.draws, chosen.repeats, power_spherical)


if __name__ == "__main__":
    main()
