"""How long until every coefficient's mean is right to 0.001 posterior sd? `symvi.fit` against stock Pyro SVI.

Targets: the regressions nes1972 (10 parameters, 1330 rows) and mesquite (8 parameters, 46 rows) of posteriordb, flat
priors, for which the exact means are least squares. Peers: pyro.infer.SVI with Trace_ELBO, AutoNormal and
AutoMultivariateNormal, Adam; each with several step sizes, constant and decaying, and started from the same values. A
peer's time is the first moment at which all its means are within tolerance (even if they leave it again), the best
setting counts. One process, one thread, float64. Ours is timed with everything: reading the model, fitting, setting
the guide; the first call of a process, which loads parts of torch, is shown apart.

    python benchmarks/time_to_mean.py [--cap SECONDS] [--tolerance SD]

Data: ../shared/data or $SYMVI_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from pyro.infer.autoguide.initialization import init_to_value

import pyro_symvi as symvi
from pyro_symvi.guides import AutoLocationScale

DATA = Path(os.environ.get("SYMVI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "posteriordb"


def regression(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Design matrix and response."""
    data = json.loads((DATA / name / "data.json").read_text())

    def column(key: str) -> np.ndarray:
        return np.asarray(data[key], dtype=float)

    if name == "nes1972-nes":
        age = column("age_discrete")
        columns = [np.ones(len(age)), column("real_ideo"), column("race_adj"), age == 2, age == 3, age == 4]
        columns += [column("educ1"), column("gender"), column("income")]
        return np.stack([c.astype(float) for c in columns], 1), column("partyid7")
    logs = [np.log(column(k)) for k in ("diam1", "diam2", "canopy_height", "total_height", "density")]
    return np.stack([np.ones(len(logs[0])), *logs, column("group")], 1), np.log(column("weight"))


def model(predictors: torch.Tensor, response: torch.Tensor) -> None:
    """Normal regression, flat priors on the coefficients and on sigma > 0."""
    beta = pyro.sample("beta", dist.ImproperUniform(constraints.real_vector, (), (predictors.shape[1],)))
    sigma = pyro.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    mean = beta @ predictors.mT
    mean = mean.squeeze(-2) if beta.dim() > 1 else mean  # particles lie left of the rows
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Normal(mean, sigma), obs=response)


def least_squares(predictors: np.ndarray, response: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact posterior means of the coefficients and their posterior sds (Student-t with n - k - 1 degrees)."""
    means = np.linalg.lstsq(predictors, response, rcond=None)[0]
    residual = response - predictors @ means
    degrees = len(response) - predictors.shape[1] - 1
    covariance = np.linalg.inv(predictors.T @ predictors) * (residual @ residual) / (degrees - 2)
    return means, np.sqrt(np.diag(covariance))


def settings() -> Iterator[tuple[str, Callable[[], object], int]]:
    """Step sizes and particles tried for each peer."""
    decay = 0.01 ** (1 / 10_000)  # to a hundredth of the first step size over 10,000 steps
    for rate in (0.03, 0.01):
        yield f"Adam({rate}), 8 particles", lambda r=rate: pyro.optim.Adam({"lr": r}), 8
    for rate in (0.1, 0.03):
        yield f"decaying Adam({rate}), 8 particles", lambda r=rate: pyro.optim.ClippedAdam({"lr": r, "lrd": decay}), 8


def peer_time(
    guide_class: type,
    optimiser: object,
    particles: int,
    data: tuple[torch.Tensor, torch.Tensor],
    error: Callable,
    cap: float,
    tolerance: float,
) -> tuple[float, int, float]:
    """Seconds and steps until all means are within tolerance (inf if capped), and the error at the end."""
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    width = data[0].shape[1]
    start = {"beta": torch.zeros(width), "sigma": torch.ones(())}
    guide = guide_class(model, init_loc_fn=init_to_value(values=start))
    svi = SVI(
        model, guide, optimiser, Trace_ELBO(num_particles=particles, vectorize_particles=True, max_plate_nesting=1)
    )
    begin, steps, now = time.perf_counter(), 0, np.inf
    while time.perf_counter() - begin < cap:
        svi.step(*data)
        steps += 1
        if steps % 10 == 0:
            now = error((guide.locs.beta if guide_class is AutoNormal else guide.loc[:width]).detach().numpy())
            if now <= tolerance:
                return time.perf_counter() - begin, steps, now
    return np.inf, steps, now


def our_time(data: tuple[torch.Tensor, torch.Tensor]) -> tuple[float, np.ndarray]:
    """Seconds of one fit, and its means."""
    begin = time.perf_counter()
    fit = symvi.fit(model, AutoLocationScale(model), *data)
    seconds = time.perf_counter() - begin
    return seconds, fit.loc[: data[0].shape[1]].numpy()


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cap", type=float, default=5.0 if os.environ.get("CI") else 60.0, help="seconds after which a peer is stopped"
    )
    parser.add_argument("--tolerance", type=float, default=1e-3, help="posterior sds")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"skipped: the reference posteriors are not at {DATA}; set SYMVI_DATA")
        return 0
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    print(f"time until every mean is within {options.tolerance:g} posterior sd; one thread, cap {options.cap:g} s")
    first = True
    for name in ("nes1972-nes", "mesquite-logmesquite"):
        predictors, response = regression(name)
        exact, sd = least_squares(predictors, response)
        data = torch.from_numpy(predictors), torch.from_numpy(response)

        def error(means: np.ndarray, exact: np.ndarray = exact, sd: np.ndarray = sd) -> float:
            return float(np.abs((means - exact) / sd).max())

        seconds, _ = our_time(data)
        if first:
            print(f"first symvi.fit of the process, loading included: {seconds:.2f} s")
            first = False
        runs = [our_time(data) for _ in range(5)]
        ours = median(run[0] for run in runs)
        print(f"\n{name}: {predictors.shape[0]} rows, {predictors.shape[1]} coefficients")
        print(f"  {'symvi.fit':58s} {ours:9.3f} s   worst error {max(error(run[1]) for run in runs):.1e} sd")
        for guide_class in (AutoNormal, AutoMultivariateNormal):
            best = np.inf
            for label, optimiser, particles in settings():
                seconds, steps, at_end = peer_time(
                    guide_class, optimiser(), particles, data, error, options.cap, options.tolerance
                )
                best = min(best, seconds)
                shown = (
                    f"{seconds:9.2f} s   {steps} steps"
                    if np.isfinite(seconds)
                    else f"  not in {options.cap:g} s, {steps} steps, error {at_end:.1e} sd"
                )
                print(f"  {guide_class.__name__ + ', ' + label:58s} {shown}", flush=True)
            ratio = (best if np.isfinite(best) else options.cap) / ours
            sign = "" if np.isfinite(best) else "more than "
            print(
                f"  -> {guide_class.__name__}, best setting: {sign}{ratio:.0f} times the time of symvi.fit", flush=True
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
