"""Pyro NUTS on the same posterior as a Pyro model. One chain: further ones are processes, each at the same rate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyro
import torch
from pyro.infer import MCMC, NUTS

from .measure import CLOCK, Run
from .ours import posterior_of
from .problem import Problem, predicted_means

WARMUP, DEPTH = 10, 6


def runs(problem: Problem, chains: int, budget: float, warmup: int) -> Iterator[Run]:
    """Trees of at most 63 gradients, a warm-up of 10 draws."""
    posterior = posterior_of(problem)
    model, calls = posterior.to_pyro(), [0]

    def counted() -> None:
        calls[0] += 1
        model()

    pyro.set_rng_seed(0)
    values = posterior.layout.unflatten(torch.from_numpy(problem.start[0]))
    marks: list[tuple[float, int]] = []

    class Enough(Exception):
        """The budget is spent."""

    kept: list[np.ndarray] = []

    def watch(kernel: NUTS, parameters: dict, stage: str, index: int) -> None:
        if stage.startswith("Sample"):
            if not marks:
                marks.append((CLOCK(), calls[0]))
                return
            kept.append(torch.cat([parameters[name].reshape(-1) for name in posterior.layout.names]).numpy().copy())
            if CLOCK() - marks[0][0] > budget and len(kept) >= 8:
                raise Enough

    kernel = NUTS(counted, max_tree_depth=DEPTH, init_strategy=pyro.infer.autoguide.init_to_value(values=values))
    mcmc = MCMC(kernel, 100_000, WARMUP, hook_fn=watch, disable_progbar=True)
    begin = CLOCK()
    try:
        mcmc.run()
    except Enough:
        pass
    seconds, evaluated = CLOCK() - marks[0][0], calls[0] - marks[0][1]
    note = f"one chain of {chains}; at most {2**DEPTH - 1} gradients a draw, {WARMUP} draws of warm-up"
    means = predicted_means(np.stack(kept)[None], problem)
    yield Run("Pyro NUTS", 1, float(evaluated), seconds, 0.0, marks[0][0] - begin, means, note)
