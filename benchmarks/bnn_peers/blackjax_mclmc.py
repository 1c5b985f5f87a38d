"""BlackJAX: MCLMC tuned by its own tuner, chain by chain under ``vmap``, steps under ``lax.scan``."""

from __future__ import annotations

from collections.abc import Iterator

import blackjax
import jax
import jax.numpy as jnp
import numpy as np

from .jax_problem import density_of, gradients
from .measure import CLOCK, WALL, Run
from .problem import Problem, predicted_means

__all__ = ["gradients", "runs"]

THIN, CHUNK = 10, 10


def runs(problem: Problem, chains: int, budget: float, warmup: int) -> Iterator[Run]:
    """With our energy variance, and, unless time is short, with BlackJAX' default."""
    for variance in (0.02, 5e-4) if budget >= 5 else (0.02,):
        yield _run(problem, chains, budget, warmup, variance)


def _run(problem: Problem, chains: int, budget: float, warmup: int, variance: float) -> Run:
    density, kernel = density_of(problem), blackjax.mcmc.mclmc.build_kernel()

    def tune(position: jax.Array, key: jax.Array) -> tuple:
        first, second = jax.random.split(key)
        state = blackjax.mcmc.mclmc.init(position, density, first)
        state, tuned, _ = blackjax.mclmc_find_L_and_step_size(
            kernel, warmup, state, second, density, 0.4, 0.4, 0.2, desired_energy_var=variance,
            diagonal_preconditioning=False,
        )  # fmt: skip
        return state, tuned

    def advance(state: object, tuned: object, key: jax.Array) -> tuple:
        def step(state: object, key: jax.Array) -> tuple:
            state, information = kernel(
                key,
                state,
                density,
                tuned.inverse_mass_matrix,
                tuned.L,
                tuned.step_size,  # type: ignore[attr-defined]
            )
            return state, information.energy_change

        def draw(state: object, key: jax.Array) -> tuple:
            state, change = jax.lax.scan(step, state, jax.random.split(key, THIN))
            return state, (state.position, jnp.mean(change**2))  # type: ignore[attr-defined]

        return jax.lax.scan(draw, state, jax.random.split(key, CHUNK))

    keys = jax.random.split(jax.random.key(0), chains)
    start = jnp.asarray(problem.start[:chains])
    begin = WALL()
    tuner = jax.jit(jax.vmap(tune)).lower(start, keys).compile()
    compilation = WALL() - begin
    begin = CLOCK()
    state, tuned = jax.block_until_ready(tuner(start, keys))
    warm = CLOCK() - begin
    begin = WALL()
    run = jax.jit(jax.vmap(advance)).lower(state, tuned, keys).compile()
    compilation += WALL() - begin
    kept, squares, seconds = [], [], 0.0
    while seconds < budget or len(kept) < 2:
        keys = jax.vmap(lambda key: jax.random.split(key, 1)[0])(keys)
        begin = CLOCK()
        state, (positions, square) = jax.block_until_ready(run(state, tuned, keys))
        seconds += CLOCK() - begin
        kept.append(np.asarray(positions))
        squares.append(float(jnp.mean(square)))
    theta = np.concatenate(kept, 1)
    note = f"step {float(jnp.median(tuned.step_size)):.3g}, energy error {np.mean(squares) ** 0.5:.2f} rms"
    label = f"BlackJAX MCLMC, variance {variance:g}"
    evaluated = 2.0 * THIN * chains * theta.shape[1]
    return Run(label, chains, evaluated, seconds, compilation, warm, predicted_means(theta, problem), note)
