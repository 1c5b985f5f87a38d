"""How do time and memory of `symvi.fit` grow with the rows and the dimension, and what do two processes save?

* rows: linear regression, 10 predictors, unknown error variance with a conjugate prior (normal, inverse gamma). The
  posterior mean of the coefficients is known (a ridge regression); the posterior is not normal. 44 base samples.
* diagonal: independent logistic coordinates, a diagonal scale; as a plain function and as a Pyro model. Means known.
* full: logistic coordinates of a matrix times z, a full scale. Means known by symmetry.
* processes: the regression at the largest number of rows, in one process and in two under torchrun (gloo), each with
  half of the rows; memory is that of one of them.

Each line is a process of its own, one thread. Seconds (by the clock, and of the processor, which tells more on a busy
machine; of one process where there are two) are those of reading the model and fitting, imports left out; the first fit
of a process loads parts of torch and scipy (under a second), which is included. Memory is the growth of the
process's peak resident size over what it was after importing and making the data. The error is the largest distance of
a located mean from the true one, in posterior standard deviations.

    python benchmarks/scaling.py [--short] [--only rows|diagonal|full|processes] [--cap SECONDS]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from headlines import headline, times_the_time

PREDICTORS = 10
PARTICLES = 44
SHORT = {"rows": [1, 1000, 10_000], "diagonal": [100, 1000], "full": [10, 100], "processes": [10_000]}
LONG = {
    "rows": [1, 10, 100, 1000, 10_000, 100_000, 1_000_000],
    "diagonal": [10, 100, 1000, 10_000],
    "full": [10, 50, 100, 200, 500],
    "processes": [1_000_000],
}


def peak() -> float:
    """Peak resident size of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def regression(predictors: Any, response: Any) -> None:
    """Normal errors of unknown variance, conjugate prior."""
    import pyro
    import pyro.distributions as dist

    variance = pyro.sample("variance", dist.InverseGamma(2.0, 1.0))
    beta = pyro.sample("beta", dist.Normal(0.0, 10.0 * variance.sqrt()).expand([PREDICTORS]).to_event(1))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Normal(predictors @ beta, variance.sqrt()), obs=response)


def regression_line(rows: int, ranks: int) -> dict[str, float]:
    """Fit the regression, on this process's share of the rows where there are several."""
    import torch

    import pyro_symvi as symvi
    from pyro_symvi.density import DataParallelDensity
    from pyro_symvi.families import LocationScale

    generator = torch.Generator().manual_seed(0)
    predictors = torch.randn(rows, PREDICTORS, dtype=torch.float64, generator=generator)
    truth = torch.linspace(-1, 1, PREDICTORS, dtype=torch.float64)
    response = predictors @ truth + torch.randn(rows, dtype=torch.float64, generator=generator)

    precision = predictors.mT @ predictors + torch.eye(PREDICTORS, dtype=torch.float64) / 100.0
    mean = torch.linalg.solve(precision, predictors.mT @ response)
    shape = 2.0 + rows / 2
    rate = 1.0 + 0.5 * (response @ response - mean @ precision @ mean)
    sd = (torch.linalg.inv(precision).diagonal() * rate / (shape - 1)).sqrt()

    if ranks > 1:
        torch.distributed.init_process_group("gloo")
        rank = torch.distributed.get_rank()
        size = -(-rows // ranks)
        predictors, response = (part[rank * size : (rank + 1) * size].clone() for part in (predictors, response))
    before = peak()
    if ranks > 1:
        torch.distributed.barrier()
    began = time.perf_counter(), time.process_time()
    if ranks > 1:
        density = DataParallelDensity.from_model(regression, predictors, response)
        fit = symvi.fit(density, LocationScale(density.dim), num_particles=PARTICLES)
    else:
        family = LocationScale(PREDICTORS + 1)
        fit = symvi.fit(regression, family, predictors, response, num_particles=PARTICLES)
    located = fit.loc[fit.density.slices["beta"]]
    return result(fit, began, before, ((located - mean) / sd).abs().max())


def symmetric_line(kind: str, dim: int) -> dict[str, float]:
    """Fit a target of logistic coordinates."""
    import pyro
    import pyro.distributions as dist
    import torch

    import pyro_symvi as symvi
    from pyro_symvi.density import LogDensity
    from pyro_symvi.families import LocationScale

    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(dim, dtype=torch.float64, generator=generator)
    scale = torch.exp(torch.randn(dim, dtype=torch.float64, generator=generator))
    mixing = torch.randn(dim, dim, dtype=torch.float64, generator=generator) if kind == "full" else torch.zeros(0)
    if kind == "full":
        mixing = torch.eye(dim, dtype=torch.float64) + 0.5 * mixing / dim**0.5

    def logistic(u: Any) -> Any:
        return -(u + 2 * torch.nn.functional.softplus(-u)).sum(-1)

    def model() -> None:
        pyro.sample("z", dist.Logistic(mean, scale).to_event(1))

    sd = scale * 3**-0.5 * torch.pi
    before = peak()
    began = time.perf_counter(), time.process_time()
    if kind == "model":
        fit = symvi.fit(model, LocationScale(dim, scale="diagonal"))
    elif kind == "diagonal":
        target = LogDensity.from_callable(lambda z: logistic((z - mean) / scale), dim)
        fit = symvi.fit(target, LocationScale(dim, scale="diagonal"))
    else:
        target = LogDensity.from_callable(lambda z: logistic((z - mean) @ mixing.mT), dim)
        fit = symvi.fit(target, LocationScale(dim, scale="full"))
        sd = torch.linalg.inv(mixing).square().sum(-1).sqrt() * 3**-0.5 * torch.pi
    return result(fit, began, before, ((fit.loc - mean) / sd).abs().max())


def result(fit: Any, began: tuple[float, float], before: float, error: Any) -> dict[str, float]:
    return {
        "seconds": time.perf_counter() - began[0],
        "processor": time.process_time() - began[1],
        "memory": peak() - before,
        "error": float(error),
        "status": fit.status.name.lower().replace("_", " "),
    }


def run_line(kind: str, size: int, ranks: int, folder: str) -> None:
    """One line of the table, in this process; the answer goes into a file."""
    import torch

    torch.set_num_threads(1)
    answer = regression_line(size, ranks) if kind in ("rows", "processes") else symmetric_line(kind, size)
    rank = torch.distributed.get_rank() if ranks > 1 else 0
    Path(folder, f"{rank}.json").write_text(json.dumps(answer))
    if ranks > 1:
        torch.distributed.barrier()
        os._exit(0)  # torch's threads may abort the interpreter's ordinary end, now and then


def line(kind: str, size: int, ranks: int, cap: float) -> dict[str, Any]:
    """One line of the table, from a process of its own (or several)."""
    torchrun = ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}", "--standalone", "--local-addr=127.0.0.1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *(torchrun if ranks > 1 else []), __file__]
        command += ["--line", kind, str(size), str(ranks), folder]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=cap, check=False)
        except subprocess.TimeoutExpired:
            return {"status": f"stopped after {cap:g} s"}
        if done.returncode != 0:
            told = [text for text in done.stderr.splitlines() if "Error" in text] or done.stderr.splitlines()[-1:]
            return {"status": f"failed: {(told or [''])[0][:120]}"}
        answers = [json.loads(path.read_text()) for path in Path(folder).iterdir()]
    return {**answers[0], **{key: max(a[key] for a in answers) for key in ("seconds", "processor", "memory", "error")}}


def shown(answer: dict[str, Any]) -> str:
    if "seconds" not in answer:
        return f"{'-':>8} {'-':>8} {'-':>6} {'-':>8}   {answer['status']}"
    times = f"{answer['seconds']:8.1f} {answer['processor']:8.1f}"
    return f"{times} {answer['memory']:6.0f} {answer['error']:8.0e}   {answer['status']}"


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", default=bool(os.environ.get("CI")), help="the smaller sizes")
    parser.add_argument("--only", choices=list(LONG), help="one block")
    parser.add_argument("--cap", type=float, default=600.0, help="seconds after which a line is stopped")
    parser.add_argument("--line", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.line:
        kind, size, ranks, folder = options.line
        run_line(kind, int(size), int(ranks), folder)
        return 0
    found: dict[tuple[str, str, int], list[float]] = {}
    print(f"{'target':44} {'seconds':>8} {'CPU s':>8} {'MB':>6} {'error':>8}   status")
    for block, sizes in (SHORT if options.short else LONG).items():
        if options.only in (None, block):
            for size in sizes:
                for label, kind, ranks in lines(block, size):
                    answer = line(kind, size, ranks, options.cap)
                    print(f"{label:44} {shown(answer)}", flush=True)
                    found.setdefault((block, kind, ranks), []).append(answer.get("processor", float("nan")))
    for (block, kind, ranks), taken in found.items():
        sizes = (SHORT if options.short else LONG)[block]
        if ranks == 2:
            one = found[block, kind, 1][-1]
            headline(f"fit, {sizes[-1]:,} rows, each of two processes", "one process", times_the_time(taken[-1] / one))
        elif len(sizes) > 1:
            unit = "rows" if block == "rows" else f"dimensions, {'model' if kind == 'model' else f'{block} scale'}"
            headline(f"fit, {sizes[-1]:,} {unit}", f"itself at {sizes[-2]:,}", times_the_time(taken[-1] / taken[-2]))
    return 0


def lines(block: str, size: int) -> list[tuple[str, str, int]]:
    """Label, kind and number of processes of a block's lines at one size."""
    if block == "rows":
        return [(f"regression, {size:,} rows", "rows", 1)]
    if block == "processes":
        named = ((1, "1 process"), (2, "2 processes"))
        return [(f"regression, {size:,} rows, {name}", "processes", ranks) for ranks, name in named]
    if block == "diagonal":
        return [
            (f"diagonal scale, d = {size:,}, function", "diagonal", 1),
            (f"diagonal scale, d = {size:,}, model", "model", 1),
        ]
    return [(f"full scale, d = {size:,}, function", "full", 1)]


if __name__ == "__main__":
    sys.exit(main())
