"""The models in Pyro; `symvi.fit`; stock Pyro SVI."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

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

from .targets import DEGREES, Target
from .watch import Run, Watch


def _coefficients(predictors: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    beta = pyro.sample("beta", dist.ImproperUniform(constraints.real_vector, (), (predictors.shape[1],)))
    linear = beta @ predictors.mT
    return (linear.squeeze(-2) if beta.dim() > 1 else linear) - offset  # particles lie left of the rows


def normal(predictors: torch.Tensor, offset: torch.Tensor, response: torch.Tensor) -> None:
    """Normal errors, flat priors on the coefficients and on sigma > 0."""
    mean = _coefficients(predictors, offset)
    sigma = pyro.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Normal(mean, sigma), obs=response)


def student(predictors: torch.Tensor, offset: torch.Tensor, response: torch.Tensor) -> None:
    """Student-t errors, sigma half-Cauchy."""
    mean = _coefficients(predictors, offset)
    sigma = pyro.sample("sigma", dist.HalfCauchy(10.0))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.StudentT(DEGREES, mean, sigma), obs=response)


def binomial(predictors: torch.Tensor, offset: torch.Tensor, response: torch.Tensor) -> None:
    """Counts: half of each row's trials."""
    logits = _coefficients(predictors, offset)
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Binomial(2 * response, logits=logits), obs=response)


MODELS: dict[str, Callable[..., None]] = {"normal": normal, "student": student, "binomial": binomial}


def tensors(target: Target) -> tuple[torch.Tensor, ...]:
    """Arguments of the model."""
    return tuple(torch.from_numpy(a) for a in (target.predictors, target.offset, target.response))


def our_time(target: Target) -> tuple[float, np.ndarray]:
    """Seconds of one fit, reading the model and setting the guide included, and its means."""
    model, data = MODELS[target.kind], tensors(target)
    begin = time.process_time()
    fit = symvi.fit(model, AutoLocationScale(model), *data)
    seconds = time.process_time() - begin
    return seconds, fit.loc[: target.width].numpy()


def our_certificate(target: Target) -> tuple[float, str]:
    """Seconds of fit and certificate together, and the verdicts on the coefficients."""
    model, data = MODELS[target.kind], tensors(target)
    begin = time.process_time()
    certificate = symvi.certify(symvi.fit(model, AutoLocationScale(model), *data))
    seconds = time.process_time() - begin
    verdicts = [verdict.name for verdict in certificate["mean"].verdicts[: target.width]]
    return seconds, ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))


def settings(short: bool) -> Iterator[tuple[str, Callable[[], object], int]]:
    """Step sizes and particles."""
    decay = 0.01 ** (1 / 10_000)  # to a hundredth of the first step size over 10,000 steps
    yield "decaying Adam(0.1), 8", lambda: pyro.optim.ClippedAdam({"lr": 0.1, "lrd": decay}), 8
    if not short:
        yield "decaying Adam(0.03), 8", lambda: pyro.optim.ClippedAdam({"lr": 0.03, "lrd": decay}), 8


def runs(target: Target, tolerance: float, cap: float, short: bool) -> Iterator[Run]:
    """AutoNormal and AutoMultivariateNormal with Trace_ELBO."""
    model, data = MODELS[target.kind], tensors(target)
    start = {"beta": torch.zeros(target.width), "sigma": torch.ones(())}
    if target.kind == "binomial":
        del start["sigma"]
    for guide_class in (AutoNormal, AutoMultivariateNormal):
        for label, optimiser, particles in settings(short):
            pyro.clear_param_store()
            pyro.set_rng_seed(0)
            guide = guide_class(model, init_loc_fn=init_to_value(values=start))
            elbo = Trace_ELBO(num_particles=particles, vectorize_particles=True, max_plate_nesting=1)
            svi, watch, settled = SVI(model, guide, optimiser(), elbo), Watch(target, tolerance), False
            while not settled and watch.spent < cap:
                iterates, begin = [], time.process_time()
                for _ in range(10):
                    svi.step(*data)
                    loc = guide.locs.beta if guide_class is AutoNormal else guide.loc[: target.width]
                    iterates.append(loc.detach().numpy().copy())
                seconds = time.process_time() - begin
                settled = watch.see(np.stack(iterates), seconds)
            yield watch.run(f"Pyro {guide_class.__name__}, {label}")
