"""What does working modulo rigid motions cost, in a training step, in sampling, and up to 10,000 points?

Three tables, all on one thread and in CPU time (so that a busy machine does little harm):

1. Milliseconds of projection, curvature and a whole SDE step for clouds of 100 to 10,000 points, with the exact
   denoiser of normal clouds and with a network that hears 8 neighbours; exponents fitted to the three largest; peak
   memory of the process, and of it what came since the start.
2. Training steps (loss, backward, AdamW) with both networks. Steps of all losses are interleaved, in an order that
   changes each round; a loss's overhead is its fastest step against the fastest `Plain()` one, and the median over
   rounds of its time less that of `Plain()` in the same round (95 % interval from order statistics). The projection
   with its backward pass is timed alone as well. Peers: targets aligned as in GeoDiff and AlphaFold 3.
3. Clouds a second of the samplers, against `AlignedSampler` and the plain ones of the total space, interleaved too.

    OMP_NUM_THREADS=1 python benchmarks/quotient_cost.py [--short]     (two minutes, or seconds; short where CI is set)
    OMP_NUM_THREADS=1 python benchmarks/quotient_cost.py --device cuda

With ``--device``, one table instead: training steps and sampling by the clock, on the CPU and on the device.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from devices import HELP, machine
from devices import seconds as by_the_clock
from headlines import as_fast, headline, times_the_time
from torch import Tensor

from pyro_symvi.quotient import Context, Diffusion
from pyro_symvi.quotient.losses import AF3Aligned, GeoDiffAligned, Loss, Plain, Quotient
from pyro_symvi.quotient.networks import CloudNetwork, EquivariantNetwork, PointTransformer
from pyro_symvi.quotient.samplers import AlignedSampler, ODESampler, Sampler, SDESampler

CLOUDS = ((256, 4), (64, 20), (16, 100))
LOSSES: dict[str, Loss] = {
    "plain": Plain(),
    "quotient": Quotient(),
    "GeoDiff": GeoDiffAligned(),
    "AF3": AF3Aligned(),
}


def interleaved(work: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """CPU milliseconds of each piece of work in each round, in an order that turns; as many rounds as fit, 3 to 300.

    One thread computes, so that CPU time is what a machine with nothing else to do would take, but for its caches.
    """
    names = list(work)
    taken: dict[str, list[float]] = {name: [] for name in names}

    def rounds(count: int) -> None:
        for k in range(count):
            for name in names[k % len(names) :] + names[: k % len(names)]:
                start = time.process_time()
                work[name]()
                taken[name].append(1e3 * (time.process_time() - start))

    rounds(2)
    one = sum(times[-1] for times in taken.values()) / 1e3
    for times in taken.values():
        times.clear()
    rounds(max(3, min(300, round(seconds / one))))
    return taken


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median and its 95 % interval from order statistics (binomial, by its normal limit)."""
    ordered, n = sorted(values), len(values)
    reach = math.ceil(0.98 * math.sqrt(n))
    return statistics.median(ordered), ordered[max(n // 2 - reach, 0)], ordered[min((n - 1) // 2 + reach, n - 1)]


def networks() -> dict[str, CloudNetwork]:
    options = {"features": 4, "edge_kinds": 1}
    return {"equivariant": EquivariantNetwork(**options), "transformer": PointTransformer(**options)}


def context(batch: int, points: int) -> Context:
    """Chains, a context for each cloud as in training on molecules."""
    edges = torch.diag_embed(torch.ones(points - 1), 1).long()
    features = torch.randn(points, 4, generator=torch.Generator().manual_seed(0))
    return Context(features=features, edges=edges + edges.mT).expand(batch)


def training(seconds: float) -> None:
    print(
        "\ntraining steps: CPU ms of the fastest plain step; what others take beside it, as a share of it: the fastest"
    )
    print(
        "against the fastest, and the median paired difference with its 95 % interval; alone: P and its backward pass"
    )
    head = f"{'network':<13}{'clouds':>7}{'points':>7}{'rounds':>7}{'plain ms':>10}{'P alone':>9}"
    print(head + "".join(f"{name:>32}" for name in list(LOSSES)[1:]))
    shares: dict[str, list[float]] = {other: [] for other in list(LOSSES)[1:]}
    for batch, points in CLOUDS:
        for name, network in networks().items():
            work = steps(network, batch, points)
            work["alone"] = projection(batch, points)
            taken = interleaved(work, seconds)
            rounds = len(taken["plain"])
            plain, middle = min(taken["plain"]), statistics.median(taken["plain"])
            row = f"{name:<13}{batch:>7}{points:>7}{rounds:>7}{plain:>10.2f}{min(taken['alone']) / plain:>9.1%}"
            for other in list(LOSSES)[1:]:
                extra = [a - b for a, b in zip(taken[other], taken["plain"], strict=True)]
                median, low, high = (value / middle for value in median_interval(extra))
                best = min(taken[other]) / plain - 1
                shares[other].append(1 + best)
                row += f"{best:+.1%}; {median:+.1%} ({low:+.1%}, {high:+.1%})".rjust(32)
            print(row, flush=True)
    headline("a training step with the quotient loss", "the plain loss", times_the_time(*shares["quotient"]))
    for other in ("GeoDiff", "AF3"):
        ratios = (b / a for a, b in zip(shares["quotient"], shares[other], strict=True))
        headline("a training step with the quotient loss", f"targets aligned as in {other}", as_fast(*ratios))


def steps(network: CloudNetwork, batch: int, points: int, device: str = "cpu") -> dict[str, Callable[[], object]]:
    """One training step with each loss."""
    generator = torch.Generator(device).manual_seed(0)
    x1 = torch.randn(batch, points, 3, generator=generator, device=device)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4)
    diffusion, whole = Diffusion(), context(1, points).to(device)

    def step(loss: Loss) -> None:
        t = torch.rand(batch, generator=generator, device=device)
        known = whole[torch.zeros(batch, dtype=torch.int64, device=device)]
        optimiser.zero_grad()
        loss(diffusion, network, x1, t, known, generator=generator).mean().backward()
        optimiser.step()

    return {name: (lambda loss=loss: step(loss)) for name, loss in LOSSES.items()}


def projection(batch: int, points: int) -> Callable[[], object]:
    """What the quotient loss does and the plain one does not."""
    x, v = torch.randn(2, batch, points, 3, generator=torch.Generator().manual_seed(1))
    cotangent, diffusion = torch.ones_like(x), Diffusion()
    v.requires_grad_()
    return lambda: diffusion.project(x, v).backward(cotangent)


def sampling(seconds: float, steps: int) -> None:
    samplers: dict[str, Sampler] = {
        "aligned ODE": AlignedSampler(steps),
        "total ODE": ODESampler(steps, method="euler", horizontal=False),
        "quotient ODE": ODESampler(steps, method="euler"),
        "aligned SDE": AlignedSampler(steps, noise=1.0),
        "total SDE": SDESampler(steps, horizontal=False),
        "quotient SDE": SDESampler(steps),
    }
    gains: dict[str, list[float]] = {"ODE": [], "SDE": []}
    print(f"\nsampling in {steps} steps, equivariant network: clouds a CPU second (ratio to the aligned sampler)")
    print(f"{'clouds':>7}{'points':>7}" + "".join(f"{name:>22}" for name in samplers))
    for batch, points in CLOUDS:
        network, known, diffusion = networks()["equivariant"], context(batch, points), Diffusion()

        def draw(sampler: Sampler, shape: tuple[int, ...], network=network, known=known, diffusion=diffusion) -> None:
            sampler.sample(diffusion, network, shape, known, generator=torch.Generator().manual_seed(0))

        shape = (batch, points, 3)
        taken = interleaved({n: (lambda s=s, shape=shape: draw(s, shape)) for n, s in samplers.items()}, seconds)
        speed = {name: 1e3 * batch / statistics.median(times) for name, times in taken.items()}
        row = f"{batch:>7}{points:>7}"
        for name, value in speed.items():
            row += f"{value:.0f} ({value / speed['aligned ' + name[-3:]]:.2f})".rjust(22)
        print(row, flush=True)
        for kind in gains:
            gains[kind].append(speed[f"quotient {kind}"] / speed[f"aligned {kind}"])
    for kind, found in gains.items():
        headline(f"sampling, quotient {kind}", f"aligned {kind}", as_fast(*found))


def scaling(sizes: Sequence[int], seconds: float) -> None:
    diffusion = Diffusion()
    network = EquivariantNetwork(32, 2, window=4)

    def normal(x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """E[x_1 | x_t] of standard normal points."""
        return (t / (t.square() + (1 - t).square()))[..., None, None] * x

    def step(denoiser: Callable[..., Tensor], x: Tensor) -> None:
        SDESampler(2).sample(diffusion, denoiser, x.shape, start=x, generator=torch.Generator().manual_seed(0))

    columns = ("project", "curvature", "2 steps, exact", "2 steps, network")
    print("one cloud: CPU ms, float32; two steps are an SDE step and the last one")
    print(f"{'points':>7}" + "".join(f"{name:>18}" for name in columns) + f"{'peak memory':>22}")
    before = peak_memory()
    table: dict[str, list[float]] = {name: [] for name in columns}
    for points in sizes:
        generator = torch.Generator().manual_seed(points)
        x, v = torch.randn(2, 1, points, 3, generator=generator)
        work: dict[str, Callable[[], object]] = {
            "project": lambda x=x, v=v: diffusion.project(x, v),
            "curvature": lambda x=x: diffusion.mean_curvature(x),
            "2 steps, exact": lambda x=x: step(normal, x),
            "2 steps, network": lambda x=x: step(network, x),
        }
        taken = {name: statistics.median(times) for name, times in interleaved(work, seconds).items()}
        for name in columns:
            table[name].append(taken[name])
        peak = peak_memory()
        print(
            f"{points:>7}"
            + "".join(f"{taken[name]:>18.2f}" for name in columns)
            + f"{peak:>10.0f} (+{peak - before:.0f}) MB",
            flush=True,
        )
    last = slice(-3, None)
    logs = [math.log(points) for points in sizes[last]]
    print(
        f"{'power':>7}"
        + "".join(
            f"{statistics.linear_regression(logs, [math.log(ms) for ms in table[name][last]]).slope:>18.2f}"
            for name in columns
        )
    )


def devices(device: str, seconds: float) -> None:
    """Training steps and sampling on the CPU and on the device."""
    print(machine(device))
    print("milliseconds on the CPU, on the device, and how many times faster the device is; sampling: 10 steps")
    head = f"{'network':<13}{'clouds':>7}{'points':>7}"
    print(head + "".join(f"{name:>28}" for name in ("plain step", "quotient step", "quotient SDE")))
    for batch, points in (*CLOUDS, (1024, 20), (256, 100)):
        for name in networks():
            row = f"{name:<13}{batch:>7}{points:>7}"
            taken: dict[str, list[float]] = {}
            for where in ("cpu", device):
                network = networks()[name].to(where)
                work = steps(network, batch, points, where)
                known, shape = context(batch, points).to(where), (batch, points, 3)

                def draw(network: Any = network, known: Any = known, shape: Any = shape, where: str = where) -> None:
                    start = torch.randn(shape, device=where)
                    SDESampler(10).sample(
                        Diffusion(), network, shape, known, start=start - start.mean(-2, keepdim=True),
                        generator=torch.Generator(where).manual_seed(0),
                    )  # fmt: skip

                for title, one in (("plain", work["plain"]), ("quotient", work["quotient"]), ("SDE", draw)):
                    taken.setdefault(title, []).append(1e3 * by_the_clock(one, where, seconds))
            for a, b in taken.values():
                row += f"{a:.2f} {b:.2f} ({a / b:.1f}x)".rjust(28)
            print(row, flush=True)


def peak_memory() -> float:
    """Largest resident size of this process so far, in MB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", default=bool(os.environ.get("CI")))
    parser.add_argument("--device", default="cpu", help=HELP)
    options = parser.parse_args()
    short = options.short
    torch.set_num_threads(1)
    if options.device != "cpu":
        return devices(options.device, 0.05 if short else 0.3)
    scaling((100, 1000, 10_000) if short else (100, 300, 1000, 3000, 10_000), 0.1 if short else 1.0)
    training(0.1 if short else 12.0)
    sampling(0.1 if short else 5.0, 2 if short else 10)


if __name__ == "__main__":
    main()
