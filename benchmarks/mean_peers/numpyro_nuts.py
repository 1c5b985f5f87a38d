"""NumPyro NUTS: one chain, compiled."""

from __future__ import annotations

import time
from collections.abc import Iterator

import jax
import numpy as np
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import NUTS
from numpyro.infer.initialization import init_to_value

from .numpyro_models import MODELS, arrays, start
from .targets import Target
from .watch import Run

CHUNK, WARMUP = 500, 1000


def runs(target: Target, tolerance: float, cap: float, short: bool) -> Iterator[Run]:
    """Diagonal and dense mass matrices.

    The mean of n effective draws has a standard error of n^(-1/2) posterior sd, so a tolerance of 1e-3 takes 10^6 of
    them (for one coordinate to be within one standard error; all of them at once take more). Where the cap comes first,
    the time is extrapolated: warm-up, and 1 / tolerance^2 times the seconds per effective draw of the slowest
    coefficient. ``Run.error`` is that of the running mean at the end.
    """
    model, data = MODELS[target.kind], arrays(target)
    for dense in (True,) if short else (False, True):
        kernel = NUTS(model, dense_mass=dense, init_strategy=init_to_value(values=start(target)))
        begin = time.process_time()
        state = kernel.init(jax.random.PRNGKey(0), WARMUP, None, model_args=data, model_kwargs={})

        def chunk(state: object, data: tuple, kernel: NUTS = kernel) -> tuple:
            def step(state: object, _: None) -> tuple:
                state = kernel.sample(state, data, {})
                return state, state.z["beta"]

            return jax.lax.scan(step, state, None, length=CHUNK)

        compiled = jax.jit(chunk).lower(state, data).compile()
        compilation = time.process_time() - begin
        begin = time.process_time()
        for _ in range(WARMUP // CHUNK):
            state, _warm = compiled(state, data)
            jax.block_until_ready(state)
        warm = time.process_time() - begin
        draws, spent = [], [0.0]
        while warm + spent[-1] < cap:
            begin = time.process_time()
            state, chunk_of_draws = compiled(state, data)
            draws.append(np.asarray(chunk_of_draws))
            spent.append(spent[-1] + time.process_time() - begin)
        label = f"NumPyro NUTS, {'dense' if dense else 'diagonal'} mass"
        if not draws:
            yield Run(label, float("inf"), float("inf"), WARMUP, float("inf"), compilation)
            continue
        beta = np.concatenate(draws)
        errors = target.error(beta.cumsum(0) / np.arange(1, len(beta) + 1)[:, None])
        inside = errors <= tolerance
        first = warm + spent[int(inside.argmax()) // CHUNK + 1] if inside.any() else float("inf")
        since = 0 if inside.all() else len(inside) - int((~inside[::-1]).argmax())
        effective = float(np.min(effective_sample_size(beta[None])))
        label, last = f"{label} (ESS {effective:.0f})", float(errors[-1])
        if 1.5 * since <= len(beta):
            yield Run(label, first, warm + spent[-(-since // CHUNK)], len(beta), last, compilation)
        else:
            settled = warm + spent[-1] / effective / tolerance**2
            yield Run(label, first, settled, len(beta), last, compilation, True)
