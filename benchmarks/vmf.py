"""How many draws, and log densities with gradient, a second on the sphere, against every peer that is installed?

Peers, in the same run, each imported only where it is installed:

- ``scipy.stats.vonmises_fisher``: draws (with NumPy's ``Generator``, the faster of its two), and log density alone,
  since SciPy has no gradient;
- TensorFlow Probability on JAX (``tfp-nightly`` and ``jax``), compiled, in 64 bits, compile time left out. Its von
  Mises-Fisher draws have a gradient in the concentration in three dimensions only;
- the package ``power_spherical`` for torch.

All in float64 on one core. "With gradient" is the value and its vector-Jacobian product with fixed random weights, in
direction and concentration. The ratio is ours to theirs: above 1, this package is faster.

    OMP_NUM_THREADS=1 python benchmarks/vmf.py [--device cuda]

With ``--device`` the peer is this package on the CPU.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from devices import HELP, clock, machine
from headlines import as_fast, headline
from torch import Tensor

from pyro_symvi.distributions import PowerSpherical, VonMisesFisher

Task = Callable[[], Any]

DRAWS, DRAWS_GRADIENT = "draws", "draws with gradient"
LOG, LOG_GRADIENT = "log density", "log density with gradient"


class Problem:
    """Direction e_d, concentration, points drawn from the von Mises-Fisher law, and the weights of the products."""

    def __init__(self, dim: int, count: int, device: str = "cpu") -> None:
        torch.manual_seed(0)
        self.dim, self.count, self.kappa = dim, count, float(dim)
        self.mu = torch.zeros(dim, dtype=torch.float64)
        self.mu[-1] = 1.0
        self.x = VonMisesFisher(self.mu, self.kappa).sample((count,))
        self.weights = torch.randn(count, dim, dtype=torch.float64)
        self.device = device
        self.mu, self.x, self.weights = (part.to(device) for part in (self.mu, self.x, self.weights))


def torch_tasks(problem: Problem, law: Callable[[Tensor, Tensor], Any]) -> dict[str, Task]:
    """A law of torch: ours, or that of ``power_spherical``."""
    mu, kappa = problem.mu, torch.tensor(problem.kappa, dtype=torch.float64, device=problem.device)
    x, weights, shape = problem.x, problem.weights, (problem.count,)

    def with_gradient(value: Callable[[Tensor, Tensor], Tensor], weight: Tensor) -> Task:
        def run() -> Any:
            leaves = mu.clone().requires_grad_(), kappa.clone().requires_grad_()
            found = value(*leaves)
            return found, torch.autograd.grad(found, leaves, weight)

        return run

    return {
        DRAWS: lambda: law(mu, kappa).sample(shape),
        DRAWS_GRADIENT: with_gradient(lambda m, k: law(m, k).rsample(shape), weights),
        LOG: lambda: law(mu, kappa).log_prob(x),
        LOG_GRADIENT: with_gradient(lambda m, k: law(m, k).log_prob(x), weights[:, 0].contiguous()),
    }


def ours(problem: Problem, law: str) -> dict[str, Task]:
    kind = {"vMF": VonMisesFisher, "power": PowerSpherical}[law]
    return torch_tasks(problem, lambda m, k: kind(m, k, validate_args=False))


def one_concentration_each(problem: Problem) -> dict[str, Task]:
    """Our von Mises-Fisher law with as many concentrations as points: nothing is shared between them."""
    kappa = torch.linspace(0.5, 1.5, problem.count, dtype=torch.float64, device=problem.device) * problem.kappa
    weights = problem.weights

    def run(value: Callable[[Any], Tensor], weight: Tensor) -> Task:
        def task() -> Any:
            leaves = problem.mu.clone().requires_grad_(), kappa.clone().requires_grad_()
            return torch.autograd.grad(value(VonMisesFisher(*leaves, validate_args=False)), leaves, weight)

        return task

    return {
        DRAWS: lambda: VonMisesFisher(problem.mu, kappa, validate_args=False).sample(),
        DRAWS_GRADIENT: run(lambda law: law.rsample(), weights),
        LOG: lambda: VonMisesFisher(problem.mu, kappa, validate_args=False).log_prob(problem.x),
        LOG_GRADIENT: run(lambda law: law.log_prob(problem.x), weights[:, 0].contiguous()),
    }


def scipy_tasks(problem: Problem, law: str) -> dict[str, Task]:
    if law != "vMF":
        return {}
    from scipy import stats

    peer, array, source = (
        stats.vonmises_fisher(problem.mu.numpy(), problem.kappa),
        problem.x.numpy(),
        np.random.default_rng(0),
    )
    value = lambda: peer.logpdf(array)  # noqa: E731
    return {DRAWS: lambda: peer.rvs(problem.count, random_state=source), LOG: value, LOG_GRADIENT: value}


def power_spherical_tasks(problem: Problem, law: str) -> dict[str, Task]:
    if law != "power":
        return {}
    import power_spherical

    return torch_tasks(problem, lambda m, k: power_spherical.PowerSpherical(m, k, validate_args=False))


def tfp_tasks(problem: Problem, law: str) -> dict[str, Task]:
    import jax

    jax.config.update("jax_enable_x64", True)
    from tensorflow_probability.substrates import jax as tfp

    kind = {"vMF": tfp.distributions.VonMisesFisher, "power": tfp.distributions.PowerSpherical}[law]
    mu, x, weights = (jax.numpy.asarray(t.numpy()) for t in (problem.mu, problem.x, problem.weights))
    kappa, key = jax.numpy.asarray(problem.kappa), jax.random.PRNGKey(0)
    if mu.dtype != "float64":
        raise RuntimeError("expected JAX in 64 bits")

    def log(m: Any, k: Any, at: Any) -> Any:
        return kind(m, k).log_prob(at)

    def draw(m: Any, k: Any, seed: Any) -> Any:
        return kind(m, k).sample(problem.count, seed=seed)

    def product(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(m: Any, k: Any, given: Any, weight: Any) -> Any:
            value, pull = jax.vjp(lambda a, b: function(a, b, given), m, k)
            return value, pull(weight)

        return jax.jit(run)

    plain, sampled, log_product, draw_product = jax.jit(log), jax.jit(draw), product(log), product(draw)
    tasks: dict[str, Task] = {
        DRAWS: lambda: jax.block_until_ready(sampled(mu, kappa, key)),
        LOG: lambda: jax.block_until_ready(plain(mu, kappa, x)),
        LOG_GRADIENT: lambda: jax.block_until_ready(log_product(mu, kappa, x, weights[:, 0])),
    }
    if law == "power" or problem.dim == 3:
        tasks[DRAWS_GRADIENT] = lambda: jax.block_until_ready(draw_product(mu, kappa, key, weights))
    return tasks


PEERS: dict[str, Callable[[Problem, str], dict[str, Task]]] = {
    "SciPy": scipy_tasks,
    "TFP on JAX": tfp_tasks,
    "power_spherical": power_spherical_tasks,
}
NAMES = {"vMF": "von Mises-Fisher", "power": "power spherical"}


def rates(tasks: dict[str, Task], count: int, seconds: float, device: str = "cpu") -> dict[str, float]:
    """Items a second, task by task: the shortest of the runs that fit into ``seconds``, after one to warm up."""
    found = {}
    for name, task in tasks.items():
        task()
        best, end = float("inf"), clock(device) + seconds
        while True:
            start = clock(device)
            task()
            now = clock(device)
            best = min(best, now - start)
            if now > end:
                break
        found[name] = count / best
    return found


def compare(dim: int, count: int, seconds: float, missing: set[str]) -> dict[tuple[str, str], float]:
    """One dimension's rows; (task, peer) with the ratio."""
    ratios: dict[tuple[str, str], float] = {}
    problem = Problem(dim, count)
    for law, title in NAMES.items():
        mine = rates(ours(problem, law), count, seconds)
        theirs: dict[str, dict[str, float]] = {}
        for peer, tasks in PEERS.items():
            if peer not in missing:
                theirs[peer] = rates(tasks(problem, law), count, seconds)
        again = rates(ours(problem, law), count, seconds)  # before and after the peers, in case the machine drifts
        for task in mine:
            figure = max(mine[task], again[task])
            head = f"{dim:<6}{title + ' ' + task:<44}{figure:>12.3g}  "
            found = [(peer, rate[task]) for peer, rate in theirs.items() if task in rate]
            for peer, rate in found:
                note = peer + (" (value only)" if peer == "SciPy" and task == LOG_GRADIENT else "")
                print(f"{head}{note:<20}{rate:>12.3g}{figure / rate:>8.2f}")
                ratios[f"{title} {task}", note] = figure / rate
            if not found:
                print(f"{head}{'none':<20}")
    for task, rate in rates(one_concentration_each(problem), count, seconds).items():
        print(f"{dim:<6}{'vMF, many concentrations: ' + task:<44}{rate:>12.3g}  {'none':<20}")
    return ratios


def devices(dim: int, count: int, seconds: float, device: str) -> None:
    """The tasks on the device and on the CPU."""
    problems = {where: Problem(dim, count, where) for where in (device, "cpu")}
    for law, title in NAMES.items():
        found = {where: rates(ours(problem, law), count, seconds, where) for where, problem in problems.items()}
        for task, rate in found[device].items():
            other = found["cpu"][task]
            print(f"{dim:<6}{title + ' ' + task:<44}{rate:>12.3g}  {'CPU':<20}{other:>12.3g}{rate / other:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2_000 if os.environ.get("CI") else 20_000)
    parser.add_argument("--numbers", type=int, default=1_000_000, help="at most so many coordinates: 8 MB fit a cache")
    parser.add_argument("--seconds", type=float, default=0.05 if os.environ.get("CI") else 0.5, help="for each task")
    parser.add_argument("--dims", type=int, nargs="+", default=[3, 10, 100, 1000])
    parser.add_argument("--device", default="cpu", help=HELP)
    chosen = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # XLA counts the cores that it may use
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    missing = set()
    if chosen.device != "cpu":
        print(machine(chosen.device))
    for peer, tasks in PEERS.items() if chosen.device == "cpu" else ():
        try:
            tasks(Problem(3, 2), "vMF"), tasks(Problem(3, 2), "power")
        except ImportError as error:
            missing.add(peer)
            print(f"{peer} is not installed ({error.name}): its rows are left out")
    print(f"{chosen.draws} points, or as many as have {chosen.numbers} coordinates; kappa = d, float64, one core")
    print(f"{'d':<6}{'task':<44}{'per second':>12}  {'peer':<20}{'per second':>12}{'ratio':>8}")
    ratios: dict[tuple[str, str], list[float]] = {}
    for dim in chosen.dims:
        count = min(chosen.draws, max(1, chosen.numbers // dim))
        if chosen.device == "cpu":
            for pair, ratio in compare(dim, count, chosen.seconds, missing).items():
                ratios.setdefault(pair, []).append(ratio)
        else:
            devices(dim, count, chosen.seconds, chosen.device)
    for (task, peer), found in ratios.items():
        headline(f"{task}, d = {chosen.dims[0]} to {chosen.dims[-1]}", peer, as_fast(*found))


if __name__ == "__main__":
    main()
