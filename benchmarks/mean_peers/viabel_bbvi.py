"""viabel: its mean-field Gaussian, exclusive KL and optimisers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import ModuleType

import autograd.numpy as anp
import numpy as np

# viabel 0.5.1 loads PyStan 2 (used for Stan models alone), and its helper paragami a name that NumPy 2 dropped
sys.modules.setdefault("pystan", ModuleType("pystan"))
anp.product = getattr(anp, "product", anp.prod)
import viabel  # noqa: E402
from viabel import ExclusiveKL, MFGaussian, Model  # noqa: E402

from .targets import Target, log_density  # noqa: E402
from .watch import Run, Watch  # noqa: E402


def runs(target: Target, tolerance: float, cap: float, short: bool) -> Iterator[Run]:
    """Ten samples a step (viabel's default), its RMSProp and averaged Adam, stepped one by one so as to be watched."""
    data = target.predictors, target.offset, target.response
    optimisers = [("AveragedAdam(0.01)", viabel.AveragedAdam(0.01))]
    if not short:
        optimisers.append(("RMSProp(0.01)", viabel.RMSProp(0.01)))
    for label, optimiser in optimisers:
        approximation = MFGaussian(target.dim)
        objective = ExclusiveKL(approximation, Model(lambda z: log_density(target.kind, *data, z, anp)), 10)
        parameters = approximation.init_param()
        parameters[target.dim :] = anp.log(0.1)  # the scale at which the guides of the others start
        watch, settled = Watch(target, tolerance), False
        while not settled and watch.spent < cap:
            iterates, begin = [], time.process_time()
            for _ in range(50):
                _, gradient = objective(parameters)
                step = optimiser._learning_rate * optimiser.descent_direction(gradient)
                parameters = objective.update(parameters, step)
                iterates.append(parameters[: target.width])
            seconds = time.process_time() - begin
            settled = watch.see(np.stack(iterates), seconds)
        yield watch.run(f"viabel MFGaussian, {label}, 10")
