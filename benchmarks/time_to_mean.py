"""How long until every coefficient's mean is right to 0.001 posterior sd? `symvi.fit` against five peers.

Targets: the regressions nes1972 (9 coefficients, 1330 rows) and mesquite (7, 46 rows) of posteriordb, where the exact
means are least squares; and two without a closed form, where they are known by symmetry: Student-t errors with
mirrored residuals (8, 300 rows), and a balanced logistic regression (8, 150 rows). All coefficients are certified.

Peers, as installed: Pyro SVI and NumPyro SVI (jit, chunks of steps under lax.scan), each with AutoNormal and
AutoMultivariateNormal and several step sizes and particle numbers; NumPyro NUTS; viabel. The reverse-KL optimum of
either guide has the exact means, so all head for the same point, and all start from the same values.

Two times of a peer: *first*, the first moment at which all its means are within tolerance, by the iterate or by the
average of the latter half of the iterates, even if they leave it again (no user can stop there, who does not know the
truth); *for good*, from when on they stay (half as long again, at least). The best setting counts. Compilation is shown
apart and not counted; nor is the watching. NUTS needs some 10^6 effective draws: where the cap comes first its time is
extrapolated from its effective sample size (*).

Ours is timed with everything: reading the model, fitting, setting the guide; the certificate on top; the first call of
a process, which loads parts of torch, is shown apart. One process, one thread, float64. Times are the process's CPU
seconds: those of the clock where nothing else runs, and free of the neighbours where something does.

    pip install -e '.[benchmarks]'
    python benchmarks/time_to_mean.py [--cap SECONDS] [--tolerance SD] [--short] [--target NAME]

Data: ../shared/data or $SYMVI_DATA. Where CI is set: short mode, two targets and one setting a peer.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from statistics import median

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"

import torch
from headlines import headline, number, processor, versions
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


def main() -> int:
    """Run and print."""
    short = bool(os.environ.get("CI"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", default=short, help="two targets, one setting a peer")
    parser.add_argument("--cap", type=float, help="seconds after which a setting is stopped (6; 2 in short mode)")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="posterior sds")
    parser.add_argument("--target", default="", help="only those whose name holds this, such as robust")
    options = parser.parse_args()
    cap = options.cap if options.cap is not None else 2.0 if options.short else 6.0
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    print(f"$ python benchmarks/time_to_mean.py {' '.join(sys.argv[1:])}".rstrip())
    print(f"{processor()}; {versions('torch', 'pyro-ppl', 'jax', 'numpyro', 'viabel')}")
    print(
        f"CPU seconds, one thread, float64, until every mean is within {options.tolerance:g} posterior sd; cap {cap:g}"
    )
    everyone, summary, loading = peers(), [], True
    bounds: dict[str, list[tuple[float, bool]]] = {}
    for target in targets(options.short and not options.target):
        if options.target not in target.name:
            continue
        if loading:
            print(f"first symvi.fit of the process, loading included: {pyro_svi.our_time(target)[0]:.2f} s")
            loading = False
        runs = [pyro_svi.our_time(target) for _ in range(5)]
        ours, worst = median(run[0] for run in runs), max(float(target.error(run[1])) for run in runs)
        certified, verdicts = pyro_svi.our_certificate(target)
        print(f"\n{target.name}: {target.predictors.shape[0]} rows, {target.width} coefficients")
        print(
            f"  {'(last number: particles)':56s} {'first':>11s}  {'for good':>11s} {'compiling':>8s}   steps  error/sd"
        )
        print(Run("symvi.fit", ours, ours, 1, worst).show(cap))
        print(f"  {'symvi.fit and symvi.certify':56s} {certified:9.2f} s   coefficients: {verdicts}", flush=True)
        for name, peer in everyone.items():
            done = []
            for run in peer(target, options.tolerance, cap, options.short):
                print(run.show(cap), flush=True)
                done.append(run)
            first, settled = min(run.first for run in done), min(run.settled for run in done)
            ratios = [(f"{t / ours:.0f}" if math.isfinite(t) else f"> {cap / ours:.0f}") for t in (first, settled)]
            summary.append((target.name, name, *ratios, f"{ours:.2f} s"))
            never = not math.isfinite(settled)
            bounds.setdefault(name, []).append(((cap if never else settled) / ours, never))
            print(f"  -> {name}, best setting: {ratios[0]} (first), {ratios[1]} (for good) times symvi.fit", flush=True)
    print(f"\n{'times the time of symvi.fit':34s} {'peer':14s} {'first':>8s} {'for good':>9s} {'symvi.fit':>10s}")
    for name, peer_name, first_ratio, settled_ratio, seconds in summary:
        print(f"{name:34s} {peer_name:14s} {first_ratio:>8s} {settled_ratio:>9s} {seconds:>10s}")
    for peer_name, found in bounds.items():
        low, high = (("over " if open_ended else "") + number(ratio) for ratio, open_ended in (min(found), max(found)))
        said = low if all(open_ended for _, open_ended in found) or low == high else f"{low} to {high}"
        measured = f"every mean within {options.tolerance:g} sd for good, {len(found)} posteriors"
        headline(measured, f"{peer_name}, best setting", f"{said} times as fast")
    return 0


if __name__ == "__main__":
    sys.exit(main())
