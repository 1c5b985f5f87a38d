"""How long does it take to find the best point of the rescaling orbit of a network, from 10^4 to 10^7 parameters?

1. Ours from end to end on one thread: reading the network, the path weights g by the squared network, and Newton's
   method until every unit is optimal to 1e-8; CPU seconds of each, iterations, and the peak memory of the process.
2. The same convex problem, from the same g and sums (2 n multiplications for the objective and its gradient), by
   SciPy's L-BFGS-B and by its trust-ncg with products of the Hessian: CPU seconds as multiples of ours, and the
   residual that they reach (they stop where they see no more progress, or after a limit of iterations).
3. Ten sweeps of cyclic coordinate descent, the published algorithm (Lebeurrier, Vayer and Gribonval 2026), one unit at
   a time: seconds as multiples of ours, and the residual where it stops.
4. As 2, for n = 10^5 from a point far along the orbit, z ~ 5 N(0, 1).
5. The other criteria and the sweeps by layers at n = 10^5.

A residual is max_h |dF/dz_h| divided by the least number of entries at a unit. Weights are those of torch's default
initialisation. Each size runs in a process of its own.

    python benchmarks/rescaling.py [--short] [--no-peers]      (short where CI is set; else about two minutes)
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from typing import Any

from headlines import headline, spread, versions

SHORT = bool(os.environ.get("CI")) or "--short" in sys.argv
PEERS = "--no-peers" not in sys.argv
WIDTHS = {
    10**4: (20, 64, 64, 64, 10),
    10**5: (100, 300, 180, 80, 10),
    10**6: (784, 800, 400, 128, 10),
    10**7: (784, 2048, 2048, 2048, 10),
}
SIZES = [10**4, 10**5] if SHORT else list(WIDTHS)
BUDGET = 200
"""Iterations that SciPy is given."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def perceptron(widths: tuple[int, ...]) -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def scipy_methods(problem: Any) -> dict[str, Callable[[], Any]]:
    """SciPy's minimisers on the sums that we use."""
    import numpy as np
    from scipy import optimize

    def both(z: Any) -> tuple[float, Any]:
        flows = problem.sum.flows(z)
        n = problem.count
        value = n * (flows.log_total - np.log(n)) - problem.linear @ z - problem.sum_of_logs
        return value / n, ((flows.weighted_out() - flows.into)[:-1] / flows.total) - problem.linear / n

    def product(z: Any, v: Any) -> Any:
        curvature = problem.sum.curvature(z)
        total = curvature.flows.total
        mean = (curvature.flows.weighted_out() - curvature.flows.into)[:-1] / total
        return curvature.times(v) / total - mean * (mean @ v)

    target = 1e-8 * problem.fans.min() / problem.count
    start = np.zeros(problem.units)
    return {
        "L-BFGS-B": lambda: (
            optimize.minimize(
                both,
                start,
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": BUDGET, "gtol": target, "ftol": 0.0, "maxcor": 20},
            ).x
        ),
        "trust-ncg": lambda: (
            optimize.minimize(
                both,
                start,
                jac=True,
                hessp=product,
                method="trust-ncg",
                options={"maxiter": BUDGET, "gtol": target},
            ).x
        ),
    }


def one_size(n: int, peers: bool, away: float = 0.0) -> list[str]:
    """Lines of the table for one network."""
    import torch

    torch.set_num_threads(1)
    from pyro_symvi.rescaling import RescalingGroup
    from pyro_symvi.rescaling.criteria import PathCriterion
    from pyro_symvi.rescaling.solvers import coordinate, newton

    widths = WIDTHS[n]
    small = perceptron((4, 5, 3))  # what loads on first use is no part of the figures
    PathCriterion().problem((g := RescalingGroup.from_module(small, (4,))).traced, g.parameters(small))
    net = perceptron(widths)
    reading, group = timed(lambda: RescalingGroup.from_module(net, (widths[0],)))
    z = away * torch.randn(group.num_units, dtype=torch.float64)
    weighing, problem = timed(lambda: PathCriterion().problem(group.traced, group.act(group.parameters(net), z)))
    solving, solution = timed(lambda: newton(problem))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = reading + weighing + solving
    history = [value / problem.count for value in solution.history]
    lines = [
        f"   {group.dim:>10,} {group.num_units:>6} {reading:8.2f} {weighing:8.2f} {solving:8.2f} {total:8.2f}"
        f" {solution.iterations:>6} {solution.residual:9.1e} {memory:8.0f}   {history[0]:.4f} -> {history[-1]:.4f}"
    ]
    if not peers:
        return lines
    ways = scipy_methods(problem)
    if n <= 10**6:
        ways["coordinate, 10 sweeps"] = lambda: coordinate(problem, max_iterations=10).z
    for name, work in ways.items():
        seconds, z = timed(work)
        lines.append(
            f"      {name:<22} {seconds / solving:7.1f} x ours ({seconds:.2f} s)   residual {problem.residual(z):.1e}"
            f"   F/n {problem.value(z) / problem.count:.6f} (ours {history[-1]:.6f})"
        )
    return lines


def other_ways() -> list[str]:
    """Criteria and solvers at one size."""
    import torch

    torch.set_num_threads(1)
    from pyro_symvi.rescaling import RescalingGroup
    from pyro_symvi.rescaling.criteria import read_criterion
    from pyro_symvi.rescaling.solvers import SOLVERS

    widths = WIDTHS[10**5]
    net = perceptron(widths)
    group = RescalingGroup.from_module(net, (widths[0],))
    theta = group.parameters(net)
    lines = []
    for criterion in ("path", "l2", "range"):
        problem = read_criterion(criterion).problem(group.traced, theta)
        for solver in ("newton", "layer"):
            seconds, solution = timed(lambda p=problem, s=solver: SOLVERS[s](p, max_iterations=2000))
            lines.append(
                f"   {criterion:<6} {solver:<7} {seconds:7.3f} s {solution.iterations:>5} iterations"
                f"   residual {solution.residual:.1e}"
            )
    return lines


def alone(work: Callable[..., list[str]], *arguments: Any) -> list[str]:
    """The result of a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def main() -> None:
    print(f"{versions('torch', 'numpy', 'scipy')}; one thread; {'short' if SHORT else 'full'} run")
    print("\n1-3. path criterion: CPU seconds to read, to weigh (g), to solve (newton, residual 1e-8), peak MB")
    print("            n      H     read    weigh    solve    total  iter.  residual       MB   F/n")
    ratios: dict[str, list[float]] = {}
    for n in SIZES:
        lines = alone(one_size, n, PEERS)
        print("\n".join(lines), flush=True)
        for line in lines[1:]:
            name, _, rest = line.partition(" x ours")[0].strip().rpartition(" ")
            ratios.setdefault(name.strip(), []).append(float(rest))
    if PEERS:
        print("\n4. from a point far along the orbit")
        print("\n".join(alone(one_size, 10**5, True, 5.0)), flush=True)
    print(f"\n5. criteria and solvers, widths {'-'.join(map(str, WIDTHS[10**5]))}")
    print("\n".join(alone(other_ways)))
    for name, found in ratios.items():
        headline(f"solving, {SIZES[0]:,} to {SIZES[-1]:,} weights", name, f"{spread(found)} times as fast")


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    main()
