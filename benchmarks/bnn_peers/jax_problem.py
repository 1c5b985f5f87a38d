"""The log density in JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from .measure import WALL, calls_per_second
from .problem import Problem, log_density


def density_of(problem: Problem) -> Callable[[jax.Array], jax.Array]:
    """Of one flat vector."""
    x, y, widths = jnp.asarray(problem.x), jnp.asarray(problem.y), problem.widths
    return lambda theta: log_density(theta, x, y, widths, jnp)


def gradients(problem: Problem, chains: int, repeats: int = 10) -> Iterator[tuple[str, float, float]]:
    """``vmap(value_and_grad)``, ``repeats`` times under ``lax.scan``, so that nothing is lost between calls."""
    evaluate = jax.vmap(jax.value_and_grad(density_of(problem)))

    def several(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        def one(theta: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            value, gradient = evaluate(theta)
            return theta + 1e-9 * gradient, value

        return jax.lax.scan(one, theta, None, length=repeats)

    theta = jnp.asarray(problem.start[:chains])
    begin = WALL()
    run = jax.jit(several).lower(theta).compile()
    compilation = WALL() - begin
    yield "JAX", chains * repeats * calls_per_second(lambda: jax.block_until_ready(run(theta))), compilation
