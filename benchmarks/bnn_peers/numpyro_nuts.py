"""NumPyro NUTS, all chains vectorised: each draw takes as long as the longest tree of all chains."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import MCMC, NUTS

from .jax_problem import density_of
from .measure import CLOCK, Run
from .problem import Problem, predicted_means

DEPTH = 6


def runs(problem: Problem, chains: int, budget: float, warmup: int) -> Iterator[Run]:
    """Trees of at most 63 gradients, 40 draws of warm-up: by default trees grow to 1,023 and 120 take minutes."""
    density, draws = density_of(problem), 40 if budget >= 5 else 12
    kernel = NUTS(potential_fn=lambda theta: -density(theta), max_tree_depth=DEPTH)
    mcmc = MCMC(
        kernel,
        num_warmup=draws,
        num_samples=draws,
        num_chains=chains,
        chain_method="vectorized",
        progress_bar=False,
        jit_model_args=False,
    )
    start, key = jnp.asarray(problem.start[:chains]), jax.random.PRNGKey(0)
    start = start[0] if chains == 1 else start
    begin = CLOCK()
    mcmc.warmup(key, init_params=start)
    first = CLOCK() - begin
    begin = CLOCK()
    mcmc.run(key, init_params=start, extra_fields=("num_steps",))  # compiles the sampling, starts where warm-up ended
    once = CLOCK() - begin
    kept, steps, seconds = [], [], 0.0
    while seconds < budget or not kept:
        mcmc.post_warmup_state = mcmc.last_state
        begin = CLOCK()
        mcmc.run(mcmc.post_warmup_state.rng_key, extra_fields=("num_steps",))
        jax.block_until_ready(mcmc.last_state)
        seconds += CLOCK() - begin
        kept.append(np.asarray(mcmc.get_samples(group_by_chain=True)))
        steps.append(np.asarray(mcmc.get_extra_fields()["num_steps"]).sum())
    theta = np.concatenate(kept, 1)
    compilation = max(0.0, once - seconds / len(kept))
    note = f"at most {2**DEPTH - 1} gradients a draw, {draws} draws of warm-up, first call included in warm-up"
    means = predicted_means(theta, problem)
    yield Run("NumPyro NUTS", chains, float(sum(steps)), seconds, compilation, first, means, note)
