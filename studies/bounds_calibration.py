"""Do bounds hold against reference draws, and how wide are they? Posteriors of the posterior database.

Each posterior is fitted by a Gaussian guide of full scale, where it has no exact symmetry also of diagonal scale, and
certified. The error is that of the fitted mean against the mean of 10,000 reference draws, in posterior sds, with the
standard error of the latter from batch means. A bound holds if the error exceeds it by no more than 4 standard errors.
"sharp" is the bound in the certificate, B0 the one from reflecting weighted draws, which every target has.

    python studies/bounds_calibration.py [NAME ...]     (names as printed; all by default, about 3 minutes)

The data are read from $SYMVI_DATA, else from ../shared/data beside the repository; the models are those of the tests.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pyro_symvi as symvi  # noqa: E402
from pyro_symvi.density._importance import weighted_draws  # noqa: E402
from pyro_symvi.density._laplace import laplace_approximation  # noqa: E402
from pyro_symvi.density._proposal import Scale  # noqa: E402
from pyro_symvi.guides import AutoLocationScale  # noqa: E402
from pyro_symvi.recovery.bounds import MeanBounds  # noqa: E402
from tests.recovery import test_reference_posteriors as posteriors  # noqa: E402

Transforms = dict[str, Callable[[Any], Any]]


def autoregression(d: dict[str, Any]) -> None:
    """AR(K) with intercept, conditioned on the first K values."""
    y, lags = posteriors.tensor(d["y"]), d["K"]
    n = len(y)
    x = torch.stack([torch.ones(n - lags)] + [y[lags - k - 1 : n - k - 1] for k in range(lags)], 1)
    alpha = pyro.sample("alpha", dist.Normal(0.0, 10.0))
    beta = pyro.sample("beta", dist.Normal(torch.zeros(lags), 10.0).to_event(1))
    sigma = pyro.sample("sigma", dist.HalfCauchy(2.5))
    pyro.sample("y", dist.Normal(x @ torch.cat([alpha[None], beta]), sigma).to_event(1), obs=y[lags:])


AUTOREGRESSION: Transforms = {
    "alpha": lambda r: r["alpha"],
    **{f"beta[{j}]": lambda r, j=j: r[f"beta.{j + 1}"] for j in range(5)},
    "log sigma": lambda r: np.log(r["sigma"]),
}


def cases() -> dict[str, tuple[Callable[..., None], str, Callable[[Any], tuple[Any, ...]], Transforms, list[str]]]:
    """Model, folder, arguments from the data, reference draws by flat coordinate, scales of the guide."""
    found = {}
    for name, design in posteriors.REGRESSIONS.items():
        half_cauchy = name == "kidiq-kidscore_momiq"

        def arguments(d: Any, design: Any = design, half_cauchy: bool = half_cauchy) -> tuple[Any, ...]:
            return (*design(d), half_cauchy)

        found[name] = posteriors.regression, name, arguments, {}, ["full"]
    for name, (model, folder, transforms) in posteriors.NOT_SYMMETRIC.items():
        if transforms:
            found[name] = model, folder, lambda d: (d,), transforms, ["full", "diagonal"]
    found["autoregression"] = autoregression, "arK-arK", lambda d: (d,), AUTOREGRESSION, ["full", "diagonal"]
    return found


def linear(dim: int) -> Transforms:
    """Coefficients and log sigma."""
    beta: Transforms = {f"beta[{j}]": lambda r, j=j: r[f"beta.{j + 1}"] for j in range(dim - 1)}
    return beta | {"log sigma": lambda r: np.log(r["sigma"])}


def study(name: str, data: Path, case: Any) -> tuple[int, int]:
    """Print the rows of one posterior; how many bounds there were, and how many failed."""
    model, folder, arguments, transforms, scales = case
    path = data / "posteriordb" / folder
    args = arguments(json.loads((path / "data.json").read_text()))
    draws = posteriors.reference(path)
    total = failed = 0
    for scale in scales:
        pyro.clear_param_store()
        began = time.perf_counter()
        fit = symvi.fit(model, AutoLocationScale(model, scale=scale), *args)
        fitted = time.perf_counter() - began
        began = time.perf_counter()
        report = symvi.certify(fit)["mean"]
        certified = time.perf_counter() - began
        print(f"{name}, {scale} guide: fitted in {fitted:.1f} s, certified in {certified:.1f} s")
        density, loc = fit.density, report.values
        mode = laplace_approximation(density, loc)
        start = Scale(mode.point, mode.root) if mode.is_mode else Scale(loc, torch.eye(density.dim).double())
        weighted = weighted_draws(density, start, generator=torch.Generator().manual_seed(1))
        bounds = MeanBounds(density, loc, weighted)
        for i, (label, transform) in enumerate((transforms or linear(density.dim)).items()):
            values = transform(draws)
            error, noise = abs(float(loc[i]) - values.mean()) / values.std(), posteriors.standard_error(values)
            noise /= values.std()
            entry, reflected = report.entries[i], bounds.reflected(i)
            given = [b for b in (entry.bound, reflected.bound) if math.isfinite(b)]
            exact = 1e-6 if entry.verdict.is_exact else math.inf
            wrong = [b for b in [*given, exact] if error > b + 4 * noise]
            total, failed = total + len(given) + entry.verdict.is_exact, failed + len(wrong)
            sharp = f"{entry.bound:9.1e}" if math.isfinite(entry.bound) else "        -"
            b0 = f"{reflected.bound:6.3f}" if reflected.usable else "     -"
            why = "" if given or entry.verdict.is_exact else entry.reason[:60]
            mark = "FAILS" if wrong else "holds" if given or entry.verdict.is_exact else "     "
            print(f"  {label:12s} {error:8.4f} +- {noise:.4f}  {entry.verdict.name:9s} {sharp} {b0}  {mark} {why}")
    return total, failed


def main() -> None:
    data = Path(os.environ.get("SYMVI_DATA") or ROOT.parent / "shared" / "data")
    if not data.is_dir():
        print(f"no reference data at {data}: set SYMVI_DATA")
        return
    known = cases()
    names = sys.argv[1:] or list(known)
    print("python studies/bounds_calibration.py", *sys.argv[1:])
    print("  coordinate   error of the fitted mean  verdict       sharp     B0  (posterior sds)")
    total = failed = 0
    for name in names:
        given, wrong = study(name, data, known[name])
        total, failed = total + given, failed + wrong
    print(f"{total} bounds and exact claims, {failed} not held by the reference draws")


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    main()
