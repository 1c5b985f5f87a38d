"""What does a certificate cost, next to the fit it speaks of, and how does that grow with the dimension?

Two posteriors: a linear regression with a flat prior on d - 1 coefficients and unknown noise (500 rows; coefficients
are proved), and a partially symmetric model: d - 1 coordinates with Student-t priors whose log scale is shared and
skewed by data, even given the scale. Printed for each d: seconds of `symvi.fit`; of Pyro's own SVI with
AutoMultivariateNormal (the peer; Adam, one particle, 10 000 steps, timed on 300 of them in short mode); of
`symvi.certify`; certify as a share of both; and the exponent with which certify grows in d.

    python benchmarks/certificate_cost.py [--full] [DIM ...]     (10 30 100 by default; --full times every SVI step)
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from headlines import headline, times_the_time
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoMultivariateNormal
from pyro.infer.autoguide.initialization import init_to_value
from torch.distributions import constraints

import pyro_symvi as symvi
from pyro_symvi.guides import AutoLocationScale

STEPS, TIMED = 10_000, 300


def regression(x: torch.Tensor, y: torch.Tensor) -> None:
    """Flat prior on the coefficients, Exponential on the noise."""
    beta = pyro.sample("beta", dist.ImproperUniform(constraints.real_vector, (), (x.shape[1],)))
    sigma = pyro.sample("sigma", dist.Exponential(torch.ones((), dtype=x.dtype)))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def scale_mixture(count: int, y: torch.Tensor) -> None:
    """Even in every effect, whatever their scale."""
    log_scale = pyro.sample("log_scale", dist.Normal(torch.zeros((), dtype=y.dtype), 1.0))
    with pyro.plate("effects", count):
        pyro.sample("effect", dist.StudentT(torch.full((), 5.0, dtype=y.dtype), 0.0, log_scale.exp()))
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.Normal(0.0, log_scale.exp()), obs=y)


def cases(dim: int) -> dict[str, tuple[Callable[..., None], tuple[Any, ...]]]:
    """Models with their arguments."""
    generator = torch.Generator().manual_seed(dim)
    x = torch.randn(500, dim - 1, generator=generator, dtype=torch.float64)
    noise = torch.randn(500, generator=generator, dtype=torch.float64)
    y = x @ torch.randn(dim - 1, generator=generator, dtype=torch.float64) + noise
    return {"regression": (regression, (x, y)), "partial reflections": (scale_mixture, (dim - 1, noise[:400]))}


def svi_seconds(model: Callable[..., None], args: tuple[Any, ...], steps: int) -> float:
    """Seconds of Pyro's SVI for `STEPS` steps, from ``steps`` of them."""
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    values = {"beta": torch.zeros(args[0].shape[1], dtype=torch.float64)} if model is regression else {}
    guide = AutoMultivariateNormal(model, init_loc_fn=init_to_value(values=values), init_scale=0.1)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 1e-3}), Trace_ELBO())
    for _ in range(5):
        svi.step(*args)
    start = time.perf_counter()
    for _ in range(steps):
        svi.step(*args)
    return (time.perf_counter() - start) * STEPS / steps


def main() -> None:
    """Run and print."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    full = "--full" in sys.argv
    dims = [int(a) for a in sys.argv[1:] if a.isdigit()] or [10, 30, 100]
    symvi.certify(symvi.fit(regression, AutoLocationScale(regression), *cases(3)["regression"][1]))  # warm up
    print(f"{'model':20s} {'d':>4s} {'fit':>8s} {'SVI':>8s} {'certify':>8s} {'/ fit':>7s} {'/ SVI':>7s}  verdicts")
    shares: list[tuple[float, float]] = []
    for name in cases(3):
        taken = []
        for dim in dims:
            model, args = cases(dim)[name]
            pyro.clear_param_store()
            start = time.perf_counter()
            fit = symvi.fit(model, AutoLocationScale(model, scale="full"), *args)
            fitted = time.perf_counter() - start
            start = time.perf_counter()
            certificate = symvi.certify(fit)
            certified = time.perf_counter() - start
            taken.append(certified)
            peer = svi_seconds(model, args, STEPS if full else TIMED)
            verdicts = [v.name for v in certificate["mean"].verdicts]
            counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
            print(
                f"{name:20s} {dim:4d} {fitted:7.2f}s {peer:7.1f}s {certified:7.2f}s {certified / fitted:7.1%} "
                f"{certified / peer:7.1%}  {counts}",
                flush=True,
            )
        shares.append((certified / fitted, certified / peer))
        if len(dims) > 1:
            exponent = math.log(taken[-1] / taken[0]) / math.log(dims[-1] / dims[0])
            print(f"{name:20s} certify grows as d^{exponent:.2f} from d = {dims[0]} to {dims[-1]}")
    for which, against in enumerate(("symvi.fit", f"Pyro SVI, AutoMultivariateNormal, {STEPS:,} steps")):
        headline(f"certify, d = {dims[-1]}", against, times_the_time(*(share[which] for share in shares)))


if __name__ == "__main__":
    main()
