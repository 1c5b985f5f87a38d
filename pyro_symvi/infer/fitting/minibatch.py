"""Fitting by stochastic variational inference, for models whose plate takes minibatches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pyro import poutine
from pyro.infer import SVI
from pyro.optim import PyroOptim
from torch import Tensor

from ...density import LogDensity
from ...density._laplace import laplace_approximation
from ...density._state import own_parameter_store, seeded
from ...divergences import Divergence, ReverseKL
from ...families import Parameters
from ...guides import AutoLocationScale
from ..svi.elbo import DivergenceELBO
from ._sample_objective import HUGE, SampleObjective
from ._steps import broyden
from .chart import Chart, Outcome, Report
from .noise import orbit_closed_noise
from .result import FitStatus
from .whole_data import Rows, Subsampled

_CLOSE = 0.2
"""Distance of a location from the optimum, in sds of the guide, at which steps on all rows take over."""
_PRECISION = 0.05
"""Largest distance of a location from the optimum, in sds of the guide, that counts as converged."""
_BURN_IN, _FEWEST, _EVERY = 6, 24, 8
"""Passes over the data that are not averaged; that are, at least; and between two looks at the distance."""
_BATCHES = 8
_LAST_STEPS = 8
_PARTICLES = 32
"""At least so many base samples measure the gradient on all data, in mirrored pairs."""
_RATE, _DECAY, _SCALE_UNIT = 0.3, 0.6, 0.1


class UnitAdam(torch.optim.Optimizer):
    r"""Adam (Kingma & Ba, 2015) with a unit for each entry, and steps that shrink.

    Step t is :math:`-\rho\,(1+t/\tau)^{-0.6}\,u\,\hat m_t/\sqrt{\hat v_t}`: in sds of the posterior for a location,
    whatever the units of the model. The exponent is in (1/2, 1), as averaging of iterates asks for. With a matrix for u
    the steps are those in the coordinates x of :math:`\theta = ux`, where the posterior is about round.

    Args:
        params: Parameters.
        rate: rho.
        unit: u, of the parameter's shape, a number, or a matrix ``[d, d]`` for a vector ``[d]``.
        pace: tau, in steps.
    """

    def __init__(self, params: Any, rate: float = _RATE, unit: Tensor | float = 1.0, pace: float = 100.0) -> None:
        super().__init__(params, {"rate": rate, "unit": unit, "pace": pace})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step on the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update(t=0, m=torch.zeros_like(parameter), v=torch.zeros_like(parameter))
                state["t"] += 1
                t, m, v = state["t"], state["m"], state["v"]
                unit = group["unit"]
                mixes = isinstance(unit, Tensor) and unit.ndim == 2 and parameter.ndim == 1
                gradient = unit.mT @ parameter.grad if mixes else parameter.grad
                m.lerp_(gradient, 0.1)
                v.lerp_(gradient.square(), 0.01)
                direction = (m / (1 - 0.9**t)) / ((v / (1 - 0.99**t)).sqrt() + 1e-30)
                rate = group["rate"] * (1 + t / group["pace"]) ** -_DECAY
                parameter.sub_(rate * (unit @ direction if mixes else unit * direction))


def check_minibatch(divergence: Divergence, symmetry: Any, draws: Any, starts: Any) -> None:
    """Refuse what has no meaning with minibatches."""
    if divergence != ReverseKL() and not (divergence.in_alpha_family and divergence.alpha == 0):
        raise ValueError(
            f"expected ReverseKL() with minibatches, got {divergence!r}, because its objective is no sum over the "
            "data, so that a minibatch scaled up gives a biased gradient; try ReverseKL(), or subsample_size=None"
        )
    for name, value in (("symmetry", symmetry), ("draws", draws), ("starts", starts)):
        if value is not None:
            raise ValueError(
                f"expected {name}=None with minibatches, got {value!r}, because random rows break the symmetry of the "
                "objective and each run has one start; try all data (subsample_size=None in the model's plate)"
            )


def one_plate(plates: list[Subsampled]) -> Subsampled:
    """The plate that takes minibatches.

    Raises:
        ValueError: There is none, or there are several.
    """
    if len(plates) == 1:
        return plates[0]
    got = f"plates {[p.name for p in plates]}" if plates else "none"
    raise ValueError(
        f"expected a model with one plate that leaves rows out, got {got}, because a minibatch is taken from it; try "
        'pyro.plate("rows", len(data), subsample_size=100) and data[indices] inside it'
    )


@dataclass(frozen=True)
class MinibatchFit:
    """Stochastic gradients of the ELBO from minibatches, the iterates averaged.

    It begins at a Laplace approximation of the whole posterior. Each pass over the data takes every row once, in a new
    random order, so that the gradients' noise cancels over a pass. Steps shrink; what is returned is the average of the
    iterates over all passes but the first few (Polyak & Juditsky, 1992).

    How far that is from the optimum is measured, not inferred from the iterates, which forget slowly: the gradient of
    the objective on all rows, in units of the guide's scale, is about the distance still to go in sds. It decides when
    to stop; then the location, the scale held, takes up to eight of Broyden's steps on all rows. What is left decides
    the status, and joins the batch-means error of the average in the location's standard error: an upper bound then,
    as most of it is gone. The scale is the average, with its noise (some percent; more with few passes).

    Attributes:
        model: The model.
        guide: The guide, set up.
        density: The posterior of all data.
        plate: The plate that takes minibatches.
        args, kwargs: The model's arguments.
        num_particles: Draws of the guide at each step.
        passes: At most so many passes over the data.
        generator: Random state, of the rows and of the guide's draws.
    """

    model: Callable[..., Any]
    guide: AutoLocationScale
    density: LogDensity
    plate: Subsampled
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    num_particles: int
    passes: int
    generator: torch.Generator

    def run(self, report: Report) -> Outcome:
        """The averaged parameters, the status, the error estimate."""
        laplace = laplace_approximation(self.density, self.guide.loc.detach().double())
        chart = Chart(self.density, self.guide.family, laplace.point, laplace.root)
        self.guide.set_parameters(chart.reference)
        root = torch.diag(laplace.root) if laplace.root.ndim == 1 else laplace.root
        # entries below the diagonal of a unit-triangular factor: one sd given all other coordinates, in its row's scale
        conditional = torch.cholesky_inverse(root.double()).diagonal().rsqrt()
        rest = _SCALE_UNIT * (conditional / root.diagonal()).clamp(max=1.0)[:, None].expand_as(root)
        history: list[float] = []
        means: list[Parameters] = []
        seed = int(torch.randint(2**31 - 1, (), generator=self.generator))
        with seeded(seed), own_parameter_store():
            for loss, mean in self._passes(root, rest):
                history.append(loss)
                report(len(history), loss)
                if not all(bool(torch.isfinite(value).all()) for value in mean.values()):
                    held = chart.reference
                    return Outcome(held, FitStatus.NOT_FINITE, history, math.nan, 0.0, "an iterate is not finite")
                if len(history) > _BURN_IN:
                    means.append(mean)
                enough = len(means) >= _FEWEST and (len(means) - _FEWEST) % _EVERY == 0
                if enough and self._distance(self._gap(_average(means)), means) <= _CLOSE:
                    break
        return self._outcome(means or [mean], history)

    def _passes(self, root: Tensor, rest: Tensor) -> Iterator[tuple[float, Parameters]]:
        """Loss and mean parameters of each pass."""
        size, taken = self.plate.size, self.plate.taken
        steps = math.ceil(size / taken)
        units = {"loc": root.to(self.guide.loc), "scale_tril": rest.to(self.guide.loc)}

        def options(name: str) -> dict[str, Any]:
            # noise of the whitened gradient is sqrt(steps): at this rate a location forgets its past in about a pass
            rate = min(_RATE, steps**-0.5)
            return {"rate": rate, "unit": units.get(name.split(".")[-1], _SCALE_UNIT), "pace": 50.0 * steps}

        held = poutine.block(self.model, hide_types=["param"])  # the model's own parameters stay as they are
        loss = DivergenceELBO(ReverseKL(), self.num_particles, vectorize_particles=False)
        svi = SVI(held, self.guide, PyroOptim(UnitAdam, options), loss)
        rows = self._rows()
        for _ in range(self.passes):
            total, sums = 0.0, dict[str, Tensor]()
            for _ in range(steps):
                with Rows(self.plate, next(rows)):
                    total += float(svi.step(*self.args, **self.kwargs))
                for name, value in self.guide.parameters_.items():
                    part = value.detach().double() / steps
                    sums[name] = sums[name] + part if name in sums else part
            yield total / steps, sums

    def _rows(self) -> Iterator[Tensor]:
        """Minibatches of indices, every row once in each pass."""
        left = torch.zeros(0, dtype=torch.long)
        while True:
            while len(left) < self.plate.taken:
                left = torch.cat([left, torch.randperm(self.plate.size, generator=self.generator)])
            yield left[: self.plate.taken]
            left = left[self.plate.taken :]

    def _on_all_rows(self, parameters: Parameters) -> tuple[Chart, SampleObjective]:
        """The objective on all rows, in coordinates whitened by the guide at ``parameters``."""
        family = self.guide.family
        count = max(_PARTICLES, 2 * family.dim)
        noise = orbit_closed_noise(family, count, reflect=(), generator=torch.Generator().manual_seed(7))
        root = family.matrix(parameters["scale"])
        chart = Chart(self.density, family, parameters["loc"], root, start=parameters)
        return chart, SampleObjective(chart, ReverseKL(), noise)

    def _gap(self, parameters: Parameters) -> Tensor:
        """About how far ``[d]`` the location has left to go: its gradient on all rows in its own metric."""
        chart, objective = self._on_all_rows(parameters)
        value, gradient = objective(np.zeros(chart.size))
        step = (chart.root @ torch.from_numpy(gradient[: self.density.dim])).abs()
        return step if value < HUGE else torch.full_like(step, torch.inf)

    def _finished(self, parameters: Parameters) -> Parameters:
        """Parameters after a few steps of the location on all rows."""
        chart, objective = self._on_all_rows(parameters)
        x, _ = broyden(objective, np.zeros(chart.size), self.density.dim, most=_LAST_STEPS)
        return {**parameters, "loc": chart.parameters(torch.from_numpy(x))["loc"]}

    def _distance(self, gap: Tensor, means: list[Parameters]) -> float:
        """Largest entry of the gap in sds of the guide."""
        sd = self.guide.family.standard_deviation(_average(means))
        return float((gap / sd).max())

    def _outcome(self, means: list[Parameters], history: list[float]) -> Outcome:
        average = _average(means)
        if len(means) >= _FEWEST and self._distance(self._gap(average), means) <= 1:
            average = self._finished(average)
        gap = self._gap(average)
        distance = self._distance(gap, means)
        status = FitStatus.MAX_STEPS
        if not math.isfinite(distance):
            status = FitStatus.NOT_FINITE
        elif distance <= _PRECISION and len(means) >= _FEWEST:
            status = FitStatus.CONVERGED

        def errors() -> Parameters:
            found = _errors(means)
            return {**found, "loc": (found["loc"].square() + gap.square()).sqrt()}

        few = f"; at least {_BURN_IN + _FEWEST} give an error estimate" if len(means) < _FEWEST else ""
        return Outcome(
            average,
            status,
            history,
            distance,
            float(len(history) * math.ceil(self.plate.size / self.plate.taken)),
            f"{len(history)} passes of {self.plate.size} rows in minibatches of {self.plate.taken}{few}; by the "
            f"gradient on all rows, the scale held, the location is about {distance:.2g} sd from the optimum",
            num_draws=self.num_particles,
            errors=None if few else errors,
        )


def _average(means: list[Parameters]) -> Parameters:
    return {name: torch.stack([mean[name] for mean in means]).mean(0) for name in means[0]}


def _errors(means: list[Parameters]) -> Parameters:
    """Batch-means errors, joined with half the difference of the two halves: what is left of the way there."""
    half = len(means) // 2
    first, second, noise = _average(means[:half]), _average(means[half:]), _batch_errors(means)
    return {name: (noise[name].square() + ((second[name] - first[name]) / 2).square()).sqrt() for name in noise}


def _batch_errors(means: list[Parameters]) -> Parameters:
    """Standard errors of the average, from means of consecutive passes in at most eight batches."""
    found = {}
    for name in means[0]:
        series = torch.stack([mean[name] for mean in means])
        length = len(series) // min(_BATCHES, len(series))
        kept = series[len(series) % length :] if length else series
        batches = kept.reshape(-1, length, *series.shape[1:]).mean(1)
        count = len(batches)
        centred = batches - batches.mean(0)
        next_to = (centred[1:] * centred[:-1]).sum(0).clamp_min(0.0)  # batches are not quite independent
        variance = (centred.square().sum(0) + 2 * next_to) / max(count - 1, 1)
        few = (count - 1) / max(count - 3, 1)  # variance of Student's t, whose degrees of freedom are few
        found[name] = (few * variance / count).sqrt()
    return found
