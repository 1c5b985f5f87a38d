"""How many gradients and effective draws a second from the posterior of a network? Ours and three peers.

A 16-16-2 ReLU network (402 weights, N(0, 1) each; outputs mean and log sd) on 1,052 rows of the airfoil data, float32,
12 chains, or as many as asked for. The same data, prior, likelihood and starts for all (`bnn_peers/problem.py`):

1. log densities with gradients a second, nothing else: autograd through batched products, the backward pass written
   out (`NetworkPosterior.value_and_grad`), the same compiled (`.compile`), and JAX (`jit` of `vmap` under `scan`).
2. samplers: gradients a second while draws are taken; effective draws a second of the predicted mean at 20 held-out
   inputs: bulk ESS (Vehtari et al. 2021, arviz_stats) over all chains, and the sum of those of the chains by
   themselves (what they explore of their own mode), each the median over the inputs; the largest R-hat. Where R-hat is
   far from 1 the chains have not met, and the first ESS says little.

Peers: BlackJAX MCLMC (`vmap`, `scan`, its own tuner; at its default energy variance and at ours), NumPyro NUTS (chains
vectorised), Pyro NUTS (one chain: more are more processes). One that is not installed is left out and named. Unadjusted
samplers (MCLMC) are biased by an amount that grows with the energy variance: compare rows of equal variance.

Each peer runs in a process of its own, on one thread. Times are CPU seconds of that process; compilation (on the clock)
and warm-up are shown apart and are in no rate. Inductor starts with an empty cache: each process compiles afresh. What
MAMS shares with MCLMC is compiled already when its turn comes: only the gradient's share is counted again.

    pip install -e '.[benchmarks]'
    python benchmarks/bnn_sampling.py [--short] [--chains 12 120] [--seconds 6] [--peers NAME ...]
    python benchmarks/bnn_sampling.py --device cuda       # ours alone, gradients a second on the CPU and on the device

Data: ../shared/data or $SYMVI_DATA. Where CI is set: short mode, 12 chains, 2 seconds a sampler.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from statistics import median

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np  # noqa: E402  (threads are set above)
from bnn_peers import problem as problems  # noqa: E402
from headlines import as_fast, headline, processor, versions  # noqa: E402

PEERS = {"ours": "ours", "blackjax": "blackjax_mclmc", "numpyro": "numpyro_nuts", "pyro": "pyro_nuts"}


def work(options: argparse.Namespace) -> int:
    """In the process of one peer: run, and leave a file a run in the folder."""
    folder = Path(options.folder)
    problem = problems.Problem.load(folder / "problem.npz")
    try:
        peer = import_module(f"bnn_peers.{PEERS[options.work]}")
    except ImportError as error:
        (folder / "left_out.json").write_text(json.dumps(str(error)))
        return 0
    (chains,) = options.chains
    if hasattr(peer, "gradients"):
        (folder / "gradients.json").write_text(json.dumps(list(peer.gradients(problem, chains))))
    for number, run in enumerate(peer.runs(problem, chains, options.seconds, options.warmup)):
        fields = {name: value for name, value in vars(run).items() if name != "means"}
        np.savez(folder / f"run_{number:02d}.npz", means=run.means, fields=json.dumps(fields))
    return 0


def launched(name: str, chains: int, options: argparse.Namespace, problem: problems.Problem) -> tuple[list, list]:
    """Gradients and runs of one peer on so many chains; empty where it is not installed or fails, which is printed."""
    with tempfile.TemporaryDirectory() as folder:
        problem.save(Path(folder) / "problem.npz")
        command = [sys.executable, __file__, "--work", name, "--folder", folder, "--chains", str(chains)]
        command += ["--seconds", str(options.seconds), "--warmup", str(options.warmup)]
        fresh = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(Path(folder) / "inductor")}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=fresh)
        left_out = Path(folder) / "left_out.json"
        if left_out.exists():
            print(f"{name}: left out ({json.loads(left_out.read_text())}); pip install -e '.[benchmarks]'")
        elif done.returncode:
            print(f"{name}, {chains} chains: failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        file = Path(folder) / "gradients.json"
        rates = json.loads(file.read_text()) if file.exists() else []
        runs = []
        for path in sorted(Path(folder).glob("run_*.npz")):
            with np.load(path) as found:
                runs.append((json.loads(str(found["fields"])), found["means"]))
        return rates, runs


def effective(means: np.ndarray) -> tuple[float, float, float]:
    """Of ``[points, chains, draws]``: bulk ESS over all chains, and summed over single ones, medians; largest R-hat."""
    from arviz_stats.base import array_stats

    def ess(chains: np.ndarray) -> float:
        return float(array_stats.ess(chains, chain_axis=0, draw_axis=1, method="bulk"))

    together = median(ess(point) for point in means)
    alone = median(sum(ess(chain[None]) for chain in point) for point in means)
    rhat = [float(array_stats.rhat(point, chain_axis=0, draw_axis=1)) for point in means if len(point) > 1]
    return together, alone, max(rhat, default=float("nan"))


def report(chains: int, rates: list, runs: list) -> None:
    """The two tables."""
    if not (rates or runs):
        return
    print(f"\n{chains} chains: log density and gradient")
    best = max((rate for label, rate, _ in rates if label.startswith("pyro_symvi")), default=float("nan"))
    for label, rate, compilation in rates:
        share = f"best of ours {best / rate:5.2f} times"
        print(f"  {label:34s} {rate:10.0f} gradients/s   {share}   {compilation:5.1f} s to compile")
        if not label.startswith("pyro_symvi"):
            headline(f"gradients, {chains} chains, best of ours", label, as_fast(best / rate))
    if not runs:
        return
    print(f"{chains} chains: samplers")
    print(f"  {'':34s} gradients/s    ESS/s  alone/s  R-hat   draws  seconds  warm-up  compiling")
    figures = {}
    for fields, means in runs:
        label, seconds = fields["label"], fields["seconds"]
        ess, alone, rhat = effective(means)
        figures[label] = fields["gradients"] / seconds, ess / seconds, alone / seconds
        rates_shown = "{:11.0f} {:8.2f} {:8.2f}".format(*figures[label])
        times = f"{seconds:8.1f} {fields['warmup']:8.1f} {fields['compilation']:10.1f}"
        print(f"  {label:34s} {rates_shown} {rhat:6.2f} {means.shape[2]:7d} {times}   {fields['note']}")
    ours = {label: figure for label, figure in figures.items() if label.startswith("pyro_symvi MCLMC")}
    for label, theirs in figures.items():
        if label.startswith("pyro_symvi"):
            continue
        for own, figure in ours.items():
            ratios = [a / b for a, b in zip(figure, theirs, strict=True)]
            print("  {} / {}: {:.2f} in gradients/s, {:.2f} in ESS/s, {:.2f} alone".format(own, label, *ratios))
        best_of_ours = max(figure[2] for figure in ours.values()) / theirs[2] if ours else float("nan")
        headline(f"effective draws of single chains, {chains} chains, MCLMC", label, as_fast(best_of_ours))


def devices(device: str, numbers: list[int]) -> int:
    """Gradients a second of ours, plain and compiled, and those that MCLMC takes; on the CPU and on the device."""
    import torch
    from bnn_peers.ours import posterior_of
    from devices import machine as machines
    from devices import seconds

    from pyro_symvi.bnn import NetworkPosterior
    from pyro_symvi.bnn.runs import sample
    from pyro_symvi.bnn.samplers import MCLMC

    print(machines(device))
    print("gradients a second on the CPU, on the device, and how many times more the device takes")
    print(f"{'chains':>7}" + "".join(f"{name:>30}" for name in ("plain", "compiled", "steps of MCLMC, plain")))
    problem = problems.read()
    for chains in numbers:
        found: dict[str, list[float]] = {"plain": [], "compiled": [], "MCLMC": []}
        for where in ("cpu", device):
            target = posterior_of(problem, where)
            theta = 0.3 * torch.randn(chains, target.dim, generator=torch.Generator().manual_seed(0)).to(where)
            found["plain"].append(chains / seconds(lambda t=target, x=theta: t.value_and_grad(x), where))
            rate = float("nan")
            if chains <= 1200:
                compiled = target.compile(chains)
                if type(compiled) is not NetworkPosterior:
                    rate = chains / seconds(lambda t=compiled, x=theta: t.value_and_grad(x), where)
            found["compiled"].append(rate)
            if where == "cpu" and chains > 1200:
                found["MCLMC"].append(float("nan"))
                continue

            def run(t: NetworkPosterior = target, x: torch.Tensor = theta) -> None:
                sample(t, MCLMC(), chains=len(x), draws=5, thin=4, warmup=20, start=x, pack=len(x))

            spent = seconds(run, where, fewest=1)
            rate = chains * 40 / spent  # 20 steps of warm-up, and 20 after it
            found["MCLMC"].append(rate)
        row = "".join(f"{a:,.0f} {b:,.0f} ({b / a:.1f}x)".rjust(30) for a, b in found.values())
        print(f"{chains:>7}{row}", flush=True)
    return 0


def main() -> int:
    """Run and print."""
    short = bool(os.environ.get("CI"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", default=short, help="12 chains, 2 seconds a sampler")
    parser.add_argument("--chains", type=int, nargs="+", help="numbers of chains (12; 120 takes a quarter of an hour)")
    parser.add_argument("--seconds", type=float, help="of taking draws, each sampler (6; 2 in short mode)")
    parser.add_argument("--warmup", type=int, help="steps of warm-up of ours and BlackJAX (2000; 300 in short mode)")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--device", default="cpu", help="ours alone, on the CPU and on this device, cuda say")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.chains = options.chains or [12]
    options.seconds = options.seconds or (2.0 if options.short else 6.0)
    options.warmup = options.warmup or (300 if options.short else 2000)
    if options.work:
        return work(options)
    if not (problems.DATA / "airfoil.data").exists():
        print(f"the airfoil data are not in {problems.DATA}; set SYMVI_DATA to the folder of reference data")
        return 0
    if options.device != "cpu":
        return devices(options.device, [12, 120] if short else [12, 120, 1200, 12_000])
    from bnn_peers.ours import starts

    print(f"{processor()}; {versions('torch', 'pyro-ppl', 'jax', 'numpyro', 'blackjax')}")
    bare = problems.read()
    start = starts(bare, max(options.chains), 200 if options.short else 1000).numpy()
    problem = problems.Problem(bare.x, bare.y, bare.points, start)
    for chains in options.chains:
        rates, runs = [], []
        for name in options.peers:
            found = launched(name, chains, options, problem)
            rates += found[0]
            runs += found[1]
        report(chains, rates, runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
