"""How many steps of stochastic variational inference a second? Our loss, plain and compiled, against Pyro's Trace_ELBO.

Four models: eight schools; logistic regression, 3,000 rows and 10 coefficients; a two-level regression like the radon
study's, 919 rows in 85 groups; a 100-dimensional Gaussian. The same guide (`AutoLocationScale`, diagonal), optimiser
(Adam) and number of particles for all, reverse KL, float64, one thread, one process. Columns, in steps a second:

    Trace_ELBO   pyro.infer.SVI with Trace_ELBO
    plain        pyro.infer.SVI with DivergenceELBO(ReverseKL())
    step, run    CompiledSVI with the same loss, by step() and by run()

and their ratios to Trace_ELBO in the same round. Peers take turns; each figure is the median over the rounds. Time is
the processor time of this process, the wall time of an idle machine. Compile time (wall: reading the model, tracing,
inductor, checks) is shown apart; inductor keeps compiled code on disk, so that a second run is faster: remove that
folder (``TORCHINDUCTOR_CACHE_DIR``), or give ``--cold``, to see the first. Where CI is set: two models.

    python benchmarks/svi_step.py [--particles 1] [--rounds 15] [--models NAME ...] [--cold] [--seconds 0.15]
                                  [--device cuda]

With ``--device`` each model is run on the CPU and on the device, by the clock, a larger logistic regression with them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from devices import HELP, clock, machine
from headlines import as_fast, headline
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor

from pyro_symvi.divergences import ReverseKL
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import CompiledSVI, DivergenceELBO


def eight_schools(effects: Tensor, errors: Tensor) -> None:
    """Rubin (1981), centred."""
    zero = effects.new_zeros(())
    mu = pyro.sample("mu", dist.Normal(zero, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(zero + 5.0))
    with pyro.plate("schools", 8):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("y", dist.Normal(theta, errors), obs=effects)


def logistic(x: Tensor, y: Tensor) -> None:
    """Standard normal coefficients."""
    beta = pyro.sample("beta", dist.Normal(x.new_zeros(x.shape[1]), x.new_ones(x.shape[1])).to_event(1))
    logits = x @ beta if beta.dim() == 1 else (beta @ x.mT).squeeze(-2)  # particles lie left of the rows
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Bernoulli(logits=logits), obs=y)


def two_levels(group: Tensor, floor: Tensor, y: Tensor) -> None:
    """A normal intercept for each group, one slope."""
    zero = y.new_zeros(())
    mu = pyro.sample("mu", dist.Normal(zero, 10.0))
    between = pyro.sample("between", dist.HalfNormal(zero + 1.0))
    slope = pyro.sample("slope", dist.Normal(zero, 10.0))
    within = pyro.sample("within", dist.HalfNormal(zero + 1.0))
    with pyro.plate("groups", 85):
        level = pyro.sample("level", dist.Normal(mu, between))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(level[..., group] + slope * floor, within), obs=y)


def gaussian(loc: Tensor, scale_tril: Tensor) -> None:
    """No data."""
    pyro.sample("x", dist.MultivariateNormal(loc, scale_tril=scale_tril))


def problems(large: bool = False) -> dict[str, tuple[Callable[..., None], tuple[Tensor, ...]]]:
    """Models and their data, in the default dtype."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    x = normal(3000, 10)
    y = (torch.rand(3000, generator=generator) < torch.sigmoid(x @ normal(10))).to(x)
    group = torch.randint(85, (919,), generator=generator)
    floor = torch.randint(2, (919,), generator=generator).to(x)
    outcome = normal(85)[group] - 0.7 * floor + normal(919)
    root = normal(100, 100)
    scale_tril = torch.linalg.cholesky(root @ root.mT / 100 + torch.eye(100))
    effects = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    errors = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
    found: dict[str, tuple[Callable[..., None], tuple[Tensor, ...]]] = {
        "eight schools": (eight_schools, (effects, errors)),
        "logistic 3000 x 10": (logistic, (x, y)),
        "85 groups, 919 rows": (two_levels, (group, floor, outcome)),
        "Gaussian, d = 100": (gaussian, (normal(100), scale_tril)),
    }
    if large:
        x = normal(300_000, 100)
        y = (torch.rand(len(x), generator=generator) < torch.sigmoid(x @ normal(100) / 10)).to(x)
        found["logistic 3e5 x 100"] = logistic, (x, y)
    return found


def runner(model: Any, data: tuple[Tensor, ...], particles: int, peer: str) -> tuple[Callable[[int], Any], float]:
    """A function that takes n steps, ready to be timed; and the seconds its first step took."""
    guide = AutoLocationScale(model, scale="diagonal")
    optim = pyro.optim.Adam({"lr": 1e-3})
    ours = DivergenceELBO(ReverseKL(), num_particles=particles)
    loss = Trace_ELBO(num_particles=particles, vectorize_particles=True) if peer == "Trace_ELBO" else ours
    svi: Any = CompiledSVI(model, guide, optim, ours) if peer in ("step", "run") else SVI(model, guide, optim, loss)
    began = time.perf_counter()
    svi.step(*data)
    first = time.perf_counter() - began

    def steps(count: int) -> None:
        for _ in range(count):
            svi.step(*data)

    return (lambda count: svi.run(count, *data)) if peer == "run" else steps, first


PEERS = ("Trace_ELBO", "plain", "step", "run")


def measure(
    model: Any, data: tuple[Tensor, ...], particles: int, rounds: int, seconds: float
) -> tuple[dict[str, float], dict[str, float], float]:
    """Median seconds a step and median ratio to Trace_ELBO in the same round, by peer; seconds to compile."""
    runners, firsts = {}, {}
    for peer in PEERS:
        runners[peer], firsts[peer] = runner(model, data, particles, peer)
    counts = {}
    for peer, run in runners.items():
        run(5)
        began = time.process_time()
        run(10)
        counts[peer] = max(10, int(10 * seconds / (time.process_time() - began)))
    times: dict[str, list[float]] = {peer: [] for peer in PEERS}
    for turn in range(rounds):
        order = list(PEERS[turn % 4 :] + PEERS[: turn % 4])  # nobody always follows the same peer
        for peer, run in ((peer, runners[peer]) for peer in (order if turn % 8 < 4 else order[::-1])):
            began = time.process_time()
            run(counts[peer])
            times[peer].append((time.process_time() - began) / counts[peer])
    base = times["Trace_ELBO"]
    ratios = {peer: median(b / t for b, t in zip(base, found, strict=True)) for peer, found in times.items()}
    return {peer: median(found) for peer, found in times.items()}, ratios, firsts["step"]


def steps_a_second(
    model: Any, data: tuple[Tensor, ...], particles: int, seconds: float, device: str
) -> dict[str, tuple[float, float]]:
    """Steps a second and seconds of the first step of each peer, by the clock; nan where it does not run there."""
    found = {}
    for peer in PEERS:
        pyro.clear_param_store()
        try:
            run, first = runner(model, data, particles, peer)
            run(5)
            count, begin = 5, clock(device)
            while clock(device) - begin < seconds:
                run(count)
                count *= 2
            begin = clock(device)
            run(count)
            found[peer] = count / (clock(device) - begin), first
        except Exception as error:
            print(f"{peer} on {device}: {type(error).__name__}: {str(error).splitlines()[0][:150]}")
            found[peer] = float("nan"), float("nan")
    return found


def devices(options: argparse.Namespace) -> None:
    """The table with both devices."""
    print(f"{machine(options.device)}; pyro-ppl {pyro.__version__}")
    print(f"{options.particles} particle(s), diagonal guide, Adam, float64; steps a second, and in brackets the ratio")
    print(f"{'model':<21}{'':<6}" + "".join(f"{peer:>20}" for peer in PEERS) + f"{'compile':>10}")
    found = problems(large=True)
    for name in options.models or list(found):
        model, data = found[name]
        base: dict[str, tuple[float, float]] = {}
        for where in ("cpu", options.device):
            rates = steps_a_second(model, tuple(d.to(where) for d in data), options.particles, options.seconds, where)
            base = base or rates
            row = "".join(f"{rate:,.0f} ({rate / base[peer][0]:.2f})".rjust(20) for peer, (rate, _) in rates.items())
            print(f"{name:<21}{where:<6}{row}{rates['step'][1]:>8.1f} s", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    short = bool(os.environ.get("CI"))
    parser.add_argument("--particles", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5 if short else 15)
    parser.add_argument("--seconds", type=float, default=0.15, help="time of one turn of a peer")
    parser.add_argument("--models", nargs="*", default=None)
    parser.add_argument("--cold", action="store_true", help="compile into a new folder")
    parser.add_argument("--device", default="cpu", help=HELP)
    options = parser.parse_args()
    if options.cold:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    if options.device != "cpu":
        devices(options)
        return
    found = problems()
    chosen = options.models or (list(found)[:2] if short else list(found))
    print(
        f"{options.particles} particle(s), diagonal guide, Adam, float64, one thread; steps a second, medians of turns"
    )
    print(f"{'model':<21}" + "".join(f"{peer:>12}" for peer in PEERS) + f"{'ratios to Trace_ELBO':>24}{'compile':>10}")
    everyone = []
    for name in chosen:
        pyro.clear_param_store()
        times, ratios, compiling = measure(*found[name], options.particles, options.rounds, options.seconds)
        told = "  ".join(f"{ratios[peer]:.2f}" if peer == "plain" else f"{ratios[peer]:.0f}" for peer in PEERS[1:])
        rates = "".join(f"{1 / times[peer]:>12,.0f}" for peer in PEERS)
        print(f"{name:<21}{rates}{told:>24}{compiling:>8.1f} s", flush=True)
        everyone.append(ratios)
    for peer, title in (("plain", "DivergenceELBO"), ("step", "CompiledSVI.step"), ("run", "CompiledSVI.run")):
        headline(
            f"a step of {title}, {len(everyone)} models, {options.particles} particle(s)",
            "pyro.infer.SVI, Trace_ELBO",
            as_fast(*(ratios[peer] for ratios in everyone)),
        )


if __name__ == "__main__":
    main()
