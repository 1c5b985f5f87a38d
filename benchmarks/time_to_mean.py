"""How long until every coefficient's mean is right to 0.001 posterior sd? `symvi.fit` against five peers.

Targets: the regressions nes1972 (9 coefficients, 1330 rows) and mesquite (7, 46 rows) of posteriordb, where the exact
means are least squares; and two without a closed form, where they are known by symmetry: Student-t errors with
mirrored residuals (8, 300 rows), and a balanced logistic regression (8, 150 rows). All coefficients are certified.

Peers, as installed: Pyro SVI and NumPyro SVI (jit, chunks of steps under lax.scan), each with AutoNormal and
AutoMultivariateNormal and several step sizes and particle numbers; NumPyro NUTS; viabel. The reverse-KL optimum of
either guide has the exact means, so all head for the same point, and all start from the same values.

A peer's time is the first moment at which all its means, or the average of its latest iterates, are within tolerance
(even if they leave it again); the best setting counts. Compilation is shown apart and not counted; nor is the watching.
NUTS needs the running mean to stay within; where the cap comes first its time is extrapolated from its effective sample
size (*). Ours is timed with everything: reading the model, fitting, setting the guide; the certificate on top; the
first call of a process, which loads parts of torch, is shown apart. One process, one thread, float64. Times are the
process's CPU seconds: those of the clock where nothing else runs, and free of the neighbours where something does.

    pip install -e '.[benchmarks]'
    python benchmarks/time_to_mean.py [--cap SECONDS] [--tolerance SD] [--short]

Data: ../shared/data or $SYMVI_DATA. Where CI is set: short mode, two targets and one setting a peer.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from statistics import median

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"

import torch
from mean_peers import pyro_svi
from mean_peers.targets import Target, targets
from mean_peers.watch import Run

Peer = Callable[[Target, float, float, bool], Iterator[Run]]


def peers() -> dict[str, Peer]:
    """Those that can be imported; of the others, how to get them."""
    found: dict[str, Peer] = {"Pyro SVI": pyro_svi.runs}
    for name, package, module in (
        ("NumPyro SVI", "numpyro", "numpyro_svi"),
        ("NumPyro NUTS", "numpyro", "numpyro_nuts"),
        ("viabel", "viabel", "viabel_bbvi"),
    ):
        try:
            found[name] = import_module(f"mean_peers.{module}").runs
        except ImportError as error:
            print(f"{name}: left out ({error}); pip install {package}, or -e '.[benchmarks]'")
    return found


def machine() -> str:
    """Processor, cores, versions."""
    cpu = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        models = [line.split(":")[1].strip() for line in information.read_text().splitlines() if "model name" in line]
        cpu = models[0] if models else cpu
    versions = []
    for package in ("torch", "pyro-ppl", "jax", "numpyro", "viabel"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return f"{cpu}, {os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(versions)}"


def main() -> int:
    """Run and print."""
    short = bool(os.environ.get("CI"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", default=short, help="two targets, one setting a peer")
    parser.add_argument("--cap", type=float, help="seconds after which a setting is stopped (15; 2 in short mode)")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="posterior sds")
    options = parser.parse_args()
    cap = options.cap if options.cap is not None else 2.0 if options.short else 15.0
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    print(f"$ python benchmarks/time_to_mean.py {' '.join(sys.argv[1:])}".rstrip())
    print(machine())
    print(
        f"CPU seconds, one thread, float64, until every mean is within {options.tolerance:g} posterior sd; cap {cap:g}"
    )
    everyone, summary, first = peers(), [], True
    for target in targets(options.short):
        if first:
            print(f"first symvi.fit of the process, loading included: {pyro_svi.our_time(target)[0]:.2f} s")
            first = False
        runs = [pyro_svi.our_time(target) for _ in range(5)]
        ours, worst = median(run[0] for run in runs), max(float(target.error(run[1])) for run in runs)
        certified, verdicts = pyro_svi.our_certificate(target)
        print(f"\n{target.name}: {target.predictors.shape[0]} rows, {target.width} coefficients")
        print(
            f"  {'(number after the comma: particles)':52s} {'time':>11s} {'compiling':>10s}  {'steps':>8s}  error/sd"
        )
        print(Run("symvi.fit", ours, 1, worst).show(cap))
        print(f"  {'symvi.fit and symvi.certify':52s} {certified:9.2f} s   coefficients: {verdicts}", flush=True)
        for name, peer in everyone.items():
            best = None
            for run in peer(target, options.tolerance, cap, options.short):
                print(run.show(cap), flush=True)
                best = run if best is None or run.seconds < best.seconds else best
            assert best is not None
            finite = best.seconds < float("inf")
            ratio = (best.seconds if finite else cap) / ours
            summary.append((target.name, name, ("" if finite else "> ") + f"{ratio:.0f}", f"{ours:.2f}"))
            print(f"  -> {name}, best setting: {'' if finite else 'more than '}{ratio:.0f} times the time of symvi.fit")
    print(f"\n{'times the time of symvi.fit':34s} {'peer':14s} {'ratio':>8s} {'symvi.fit':>10s}")
    for name, peer_name, ratio, ours in summary:
        print(f"{name:34s} {peer_name:14s} {ratio:>8s} {ours:>8s} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
