"""NumPyro SVI: compiled chunks of steps under ``lax.scan``."""

from __future__ import annotations

import time
from collections.abc import Iterator

import jax
import numpy as np
import numpyro
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from numpyro.infer.initialization import init_to_value

from .numpyro_models import MODELS, arrays, start
from .targets import Target
from .watch import Run, Watch

CHUNK = 500


def settings(short: bool) -> Iterator[tuple[str, object, int]]:
    """Step sizes and particles."""

    def decaying(first: float, steps: float) -> object:  # by a factor of 100 over so many steps, and on
        return numpyro.optim.Adam(lambda i: first * 0.01 ** (i / steps))

    yield "decaying Adam(0.03), 64", decaying(0.03, 10_000), 64
    if not short:
        yield "slowly decaying Adam(0.1), 8", decaying(0.1, 50_000), 8
        yield "Adam(0.1 / (1 + t/500)), 8", numpyro.optim.Adam(lambda i: 0.1 / (1 + i / 500)), 8


def runs(target: Target, tolerance: float, cap: float, short: bool) -> Iterator[Run]:
    """AutoNormal and AutoMultivariateNormal with Trace_ELBO."""
    model, data = MODELS[target.kind], arrays(target)
    for guide_class in (AutoNormal, AutoMultivariateNormal):
        for label, optimiser, particles in settings(short):
            guide = guide_class(model, init_loc_fn=init_to_value(values=start(target)))
            svi = SVI(model, guide, optimiser, Trace_ELBO(num_particles=particles))
            name = "beta_auto_loc" if guide_class is AutoNormal else "auto_loc"

            def chunk(state: object, data: tuple, svi: SVI = svi, name: str = name) -> tuple:
                def step(state: object, _: None) -> tuple:
                    state, _loss = svi.update(state, *data)
                    return state, svi.get_params(state)[name][: target.width]

                return jax.lax.scan(step, state, None, length=CHUNK)

            state = svi.init(jax.random.PRNGKey(0), *data)
            begin = time.process_time()
            compiled = jax.jit(chunk).lower(state, data).compile()
            compilation = time.process_time() - begin
            watch, settled = Watch(target, tolerance), False
            while not settled and watch.spent < cap:
                begin = time.process_time()
                state, iterates = compiled(state, data)
                iterates = np.asarray(iterates)
                seconds = time.process_time() - begin
                settled = watch.see(iterates, seconds)
            yield watch.run(f"NumPyro {guide_class.__name__}, {label}", compilation)
