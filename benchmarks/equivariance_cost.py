"""What do spectra and equivariance errors cost beyond the forward passes that they need?

1. Seconds of CPU per input and group element of a transformer and a PointNet on clouds of 16 points (float32): the bare
   forward passes, and, as multiples of these, the error of the output, its spectrum and the spectra of all layers, for
   O(3) rules of growing degree. The peer is the model itself, called on the same images in batches of the same size.
2. Memory: rows of the largest tensor that the model is given, and the largest growth of resident memory seen at its
   passes, each in a process of its own, against the number of elements (72 bytes each in the rule, and some
   more while it is made).
3. Energies of SO(3) by Fourier coefficients in one pass against the double sum over pairs of elements,
   B = d sum_{g,h} w_g w_h chi(g h^-1) <u(g), u(h)>, from the same responses: ratio of times, largest difference.
4. Against `e3nn.util.test.equivariance_error` at equal numbers of rotations, for a layer of e3nn and a torch module:
   ratio of times, and what each reports.

Everything runs on one thread; times are CPU seconds, medians of repetitions.

    python benchmarks/equivariance_cost.py [--short]      (short where CI is set; else about two minutes)
    python benchmarks/equivariance_cost.py --device cuda

With ``--device``, one table instead: the runs of table 1 by the clock, on the CPU and on the device.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from devices import machine as machines
from devices import seconds as by_the_clock
from headlines import as_fast, headline, processor, times_the_time, versions
from torch import Tensor, nn

from pyro_symvi.equivariance import PointCloudTransformer, PointNet, equivariance_error, spectrum
from pyro_symvi.equivariance._inputs import Inputs
from pyro_symvi.equivariance._moments import FourierSums
from pyro_symvi.groups import NaturalAction, Orthogonal, SpecialOrthogonal

O3, SO3 = Orthogonal(3), SpecialOrthogonal(3)
SHORT = bool(os.environ.get("CI")) or "--short" in sys.argv


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds, after one run that is not counted."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return median(taken)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in float32."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def models(samples: int) -> dict[str, tuple[nn.Module, Any, Any]]:
    """Models with inputs and their actions."""
    positions = normal(samples, 16, 3)
    mask = torch.ones(samples, 16, dtype=torch.bool)
    atoms = {"positions": positions, "species": 1 + torch.arange(16).remainder(4).expand(samples, 16), "mask": mask}
    points = {"positions": positions, "charges": normal(samples, 16, 1, seed=1), "mask": mask}
    rho = NaturalAction(O3)
    return {
        "transformer": (PointCloudTransformer((3,)).eval(), atoms, {"positions": rho}),
        "PointNet": (PointNet((3,)).eval(), points, {"positions": rho}),
    }


def overhead(degrees: list[int], samples: int, batch: int, repeats: int) -> None:
    """Table 1."""
    print(f"\n1. overhead, {samples} clouds of 16 points, {batch} to a pass; O(3) through l = degree / 2")
    print("   model        degree  elements   bare passes   error   spectrum of output   of all layers")
    ratios: dict[str, list[tuple[float, float, float]]] = {name: [] for name in models(1)}
    for name, (model, x, rho) in models(samples).items():
        for degree in degrees:
            rule = O3.quadrature(degree)
            inputs = Inputs.of(x, O3, rho)
            images = [inputs.moved(g) for g in rule.elements.split(max(1, batch // samples))]

            @torch.no_grad()
            def bare(model: nn.Module = model, images: list[Any] = images) -> None:
                for image in images:
                    model(**image)

            base = seconds(bare, repeats)
            common = {"degree": degree, "batch": batch}
            runs: list[Callable[[], Any]] = [
                lambda m=model, x=x, r=rho, c=common: equivariance_error(m, x, O3, r, NaturalAction(O3), **c),
                lambda m=model, x=x, r=rho, c=common: spectrum(m, x, O3, c["degree"] // 2, rho_in=r, layers=(), **c),
                lambda m=model, x=x, r=rho, c=common: spectrum(m, x, O3, c["degree"] // 2, rho_in=r, **c),
            ]
            error, output, layers = (seconds(run, max(1, repeats // 2)) / base for run in runs)
            each = 1e6 * base / len(rule.weights) / samples
            print(
                f"   {name:12s} {degree:6d} {len(rule.weights):9d} {each:10.1f} us {error:7.2f} {output:20.2f} "
                f"{layers:15.2f}",
                flush=True,
            )
            ratios[name].append((error, output, layers))
    for name, found in ratios.items():
        for which, what in enumerate(("error of the output", "spectrum of the output", "spectra of all layers")):
            headline(f"{what}, {name}", "its bare forward passes", times_the_time(*(ratio[which] for ratio in found)))


def moved(model: nn.Module, x: dict[str, Tensor], device: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """Model and inputs on a device."""
    return model.to(device), {name: part.to(device) for name, part in x.items()}


def devices(device: str, degrees: list[int], batch: int) -> None:
    """Errors and spectra on the CPU and on the device."""
    print(machines(device))
    print(f"milliseconds on the CPU, on the device, and how many times faster the device is; {batch} images to a pass")
    print("   model        clouds degree  elements          error of the output     spectra of all layers")
    for samples in (2, 64):
        for name in models(1):
            for degree in degrees:
                if samples * degree > 400:
                    continue
                taken: list[list[float]] = [[], []]
                for where in ("cpu", device):
                    model, inputs, rho = models(samples)[name]
                    model, x = moved(model, inputs, where)
                    common: dict[str, Any] = {"degree": degree, "batch": batch}
                    runs: list[Callable[[], Any]] = [
                        lambda m=model, x=x, r=rho, c=common: equivariance_error(m, x, O3, r, NaturalAction(O3), **c),
                        lambda m=model, x=x, r=rho, c=common: spectrum(m, x, O3, c["degree"] // 2, rho_in=r, **c),
                    ]
                    for times, run in zip(taken, runs, strict=True):
                        times.append(1e3 * by_the_clock(run, where, 0.2, 1))
                elements = len(O3.quadrature(degree).weights)
                shown = "".join(f"{a:.1f} {b:.1f} ({a / b:.1f}x)".rjust(27) for a, b in taken)
                print(f"   {name:12s} {samples:6d} {degree:6d} {elements:9d}{shown}", flush=True)


def resident() -> int:
    """Bytes in memory now; the largest so far where the system does not tell."""
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        return int(statistics.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _memory(degree: int, pipe: Any) -> None:
    torch.set_num_threads(1)
    model, x, rho = models(2)["PointNet"]
    rows, bytes_seen = [], []

    def note(module: nn.Module, args: Any, kwargs: Any) -> None:
        rows.append(len(kwargs["positions"]))
        bytes_seen.append(resident())

    spectrum(model, x, O3, 2, rho_in=rho, degree=4)
    before = resident()
    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    spectrum(model, x, O3, 2, rho_in=rho, degree=degree)
    handle.remove()
    pipe.send((len(O3.quadrature(degree).weights), max(rows), max(bytes_seen) - before))


def memory(degrees: list[int]) -> None:
    """Table 2."""
    print("\n2. memory of the spectra of all layers of the PointNet, O(3) through l = 2")
    print("   degree  elements  rows of the largest pass   growth of resident memory after a first run")
    context = multiprocessing.get_context("spawn")
    for degree in degrees:
        ours, theirs = context.Pipe()
        process = context.Process(target=_memory, args=(degree, theirs))
        process.start()
        theirs.close()
        elements, rows, growth = ours.recv()
        process.join()
        print(f"   {degree:6d} {elements:9d} {rows:26d} {growth / 2**20:18.1f} MB", flush=True)


def double_sum(u: Tensor, weights: Tensor, elements: Tensor, cutoff: int) -> Tensor:
    """B_l, ``[cutoff + 1]``, from all pairs of elements: chi_l(g h^-1) by the angle of the rotation."""
    trace = torch.einsum("gij,hij->gh", elements, elements)
    half = ((trace - 1) / 2).clamp(-1, 1).acos() / 2
    gram = (u @ u.mT) * weights[:, None] * weights
    found = []
    for degree in range(cutoff + 1):
        n = 2 * degree + 1
        ratio = (n * half).sin() / half.sin()
        character = torch.where(half.sin() < 1e-7, float(n), ratio)
        found.append(n * (character * gram).sum())
    return torch.stack(found)


def pairs(degrees: list[int], channels: int, repeats: int) -> None:
    """Table 3."""
    print(f"\n3. energies of SO(3) through l = degree / 2 of {channels} channels, from the same responses")
    ratios = []
    print("   degree  elements   one pass   double sum    ratio   largest difference, relative")
    for degree in degrees:
        rule = SO3.quadrature(degree)
        irreps = SO3.irreps(degree // 2)
        x = normal(3, channels).double()
        u = (rule.elements @ x).square().sum(1).sqrt() + (rule.elements @ x)[:, 0].tanh()

        def one(u: Tensor = u, rule: Any = rule, irreps: Any = irreps) -> Tensor:
            sums = FourierSums(irreps)
            for block in range(0, len(u), 256):
                part = slice(block, block + 256)
                sums.add_at(rule.elements[part], rule.weights[part], u[part])
            return sums.energies().sum(1)

        def two(u: Tensor = u, rule: Any = rule, cutoff: int = degree // 2) -> Tensor:
            return double_sum(u, rule.weights, rule.elements, cutoff)

        apart = float((one() - two()).abs().max() / one().sum())
        if apart > 1e-6:
            raise SystemExit(f"the two disagree by {apart:.1e} at degree {degree}")
        first, second = seconds(one, repeats), seconds(two, repeats)
        times = f"{1e3 * first:7.2f} ms {1e3 * second:9.2f} ms {second / first:8.2f}"
        print(f"   {degree:6d} {len(u):9d} {times} {apart:12.1e}", flush=True)
        ratios.append(second / first)
    headline(f"energies of SO(3), degrees {degrees[0]} to {degrees[-1]}", "double sum over pairs", as_fast(*ratios))


def peers(degree: int, samples: int, repeats: int) -> None:
    """Table 4."""
    try:
        from e3nn import o3
        from e3nn.util.test import equivariance_error as theirs
    except ImportError as error:
        print(f"\n4. e3nn: left out ({error}); pip install e3nn")
        return
    torch.manual_seed(0)
    count = len(SO3.quadrature(degree).weights)
    print(f"\n4. {count} rotations (degree {degree}; as many trials of e3nn), {samples} samples")
    print("   model                      ours       e3nn   ratio   ours: A, relative    e3nn: largest component")
    irreps = o3.Irreps("8x0e + 8x1o + 4x2e")
    layer = o3.FullyConnectedTensorProduct(irreps, "1x1o", "1x1o").eval()
    plain = nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 3)).eval()
    two = (normal(samples, irreps.dim), normal(samples, 3, seed=1))
    cases: list[tuple[str, nn.Module, tuple[Tensor, ...], tuple[Any, ...], Any]] = [
        ("e3nn tensor product", layer, two, (irreps, o3.Irreps("1x1o")), o3.Irreps("1x1o")),
        ("torch module, vector", plain, (normal(samples, 3, seed=2),), (o3.Irreps("1x1o"),), o3.Irreps("1x1o")),
    ]
    for name, model, x, rho_in, rho_out in cases:

        def ours(m: Any = model, x: Any = x, i: Any = rho_in, o: Any = rho_out) -> Any:
            return equivariance_error(m, x, SO3, i, o, degree=degree)

        def other(m: Any = model, x: Any = x, i: Any = rho_in, o: Any = rho_out) -> Any:
            return theirs(m, list(x), list(i), [o], ntrials=count, do_parity=False, do_translation=False)

        found, reported = ours(), other()
        a, b = seconds(ours, repeats), seconds(other, max(1, repeats // 2))
        largest = float(next(iter(reported.values())).max())
        print(
            f"   {name:22s} {1e3 * a:6.1f} ms {1e3 * b:7.1f} ms {b / a:7.2f}   {found.A:.2e}, {found.relative:.2e}   "
            f"{largest:.2e}",
            flush=True,
        )
        headline(f"error over {count} rotations, {name}", "e3nn.util.test.equivariance_error", as_fast(b / a))


def main() -> None:
    """Run and print."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if "--device" in sys.argv:
        devices(sys.argv[sys.argv.index("--device") + 1], [4] if SHORT else [4, 8], 4096)
        return
    print(f"{processor()}, one thread; {versions('torch', 'e3nn')}")
    overhead([2, 4] if SHORT else [4, 8, 12], 2, 256, 1 if SHORT else 3)
    memory([4, 12] if SHORT else [4, 12, 24, 40])
    pairs([2, 4, 8] if SHORT else [2, 4, 8, 12, 16], 64, 3)
    peers(2 if SHORT else 6, 8, 3)


if __name__ == "__main__":
    main()
