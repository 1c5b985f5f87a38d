"""The models in NumPyro."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpyro.distributions import constraints

from .targets import DEGREES, Target


def _coefficients(predictors: Array, offset: Array) -> Array:
    beta = numpyro.sample("beta", dist.ImproperUniform(constraints.real_vector, (), (predictors.shape[1],)))
    return predictors @ beta - offset


def normal(predictors: Array, offset: Array, response: Array) -> None:
    """Normal errors, flat priors on the coefficients and on sigma > 0."""
    mean = _coefficients(predictors, offset)
    sigma = numpyro.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    numpyro.sample("y", dist.Normal(mean, sigma), obs=response)


def student(predictors: Array, offset: Array, response: Array) -> None:
    """Student-t errors, sigma half-Cauchy."""
    mean = _coefficients(predictors, offset)
    sigma = numpyro.sample("sigma", dist.HalfCauchy(10.0))
    numpyro.sample("y", dist.StudentT(DEGREES, mean, sigma), obs=response)


def binomial(predictors: Array, offset: Array, response: Array) -> None:
    """Counts: half of each row's trials."""
    logits = _coefficients(predictors, offset)
    numpyro.sample("y", dist.BinomialLogits(logits, 2 * response.astype(int)), obs=response.astype(int))


MODELS: dict[str, Callable[..., None]] = {"normal": normal, "student": student, "binomial": binomial}


def arrays(target: Target) -> tuple[Array, ...]:
    """Arguments of the model."""
    return tuple(jnp.asarray(a) for a in (target.predictors, target.offset, target.response))


def start(target: Target) -> dict[str, Array]:
    """Where every peer starts, constrained."""
    values = {"beta": jnp.zeros(target.width), "sigma": jnp.ones(())}
    return {"beta": values["beta"]} if target.kind == "binomial" else values
