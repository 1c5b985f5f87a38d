"""Stochastic variational inference with a whole step as one compiled function."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any, Literal

import pyro
import torch
from pyro.optim import PyroOptim
from pyro.util import warn_if_nan
from torch import Tensor

from ...density import LogDensity
from ...density._kernels import Kernel, Level, has_compiler, lower
from ...density._precision import has_low_precision
from ...density._state import gpu_of
from ...density._tracing import NotTraceable, trace
from ...families import LearnedDf
from ...guides import AutoLocationScale
from ._step_graph import Arguments, StepGraph, noise_of
from ._updates import State, update_of
from .elbo import DivergenceELBO

_LOG = logging.getLogger("pyro_symvi.infer")
_LEVELS = ("auto", "inductor", "graph")


class CompiledSVI:
    r"""`pyro.infer.SVI` for an `AutoLocationScale` guide and a `DivergenceELBO`, without Python of the model in a step.

    A step draws the base noise :math:`\xi_k` (from torch's global generator, as the guide does), and calls one compiled
    function of the guide's unconstrained parameters: :math:`z_k = \nu + C\xi_k`, the flat log density, the divergence's
    objective with the chosen gradient, its derivative, and the optimiser's update. The parameters in Pyro's store are
    changed in place, so that they are right whenever they are read. With the same noise the course is that of
    `pyro.infer.SVI`, to rounding.

    Tensors among the arguments of `step` and `run` are inputs of the compiled function: minibatches of one size share
    it (scale their likelihood with ``poutine.scale``; a plate that subsamples is refused). A model that takes numbers
    out of its data (``int(group.max())``) is traced again for other data. Other shapes mean another function.

    The first step compiles: 5 to 30 seconds with inductor, a second or two as a graph (``level="graph"``). Use it where
    thousands of steps follow. The log density is float64; the parameters keep their dtype.

    The optimiser's state lives here, not in ``optim``, which says only what to do: Adam, AdamW, SGD (with momentum) or
    ClippedAdam, with options for all parameters or a function of their names.

    Args:
        model: A Pyro model that is one flat log density (see `LogDensity.from_model`); without parameters of its own.
        guide: An `AutoLocationScale` with fixed degrees of freedom.
        optim: A ``pyro.optim`` optimiser.
        loss: A `DivergenceELBO`; its symmetry, weights and gradient form count.
        level: ``"inductor"``, ``"graph"``, or ``"auto"``: inductor where there is a C++ compiler.

    Attributes:
        level: How steps run, once the first has.
        compile_seconds: Time spent on tracing, compiling and checking so far.

    Raises:
        TypeError: Another guide, optimiser or loss.
        ValueError: An optimiser's option or guide that can't be compiled; at the first step a model that is no flat
            density, is not vectorised, can't be traced, or has parameters of its own.
    """

    def __init__(
        self,
        model: Any,
        guide: AutoLocationScale,
        optim: PyroOptim,
        loss: DivergenceELBO,
        level: Literal["auto", "inductor", "graph"] = "auto",
    ) -> None:
        _check(model, guide, optim, loss, level)
        self.model, self.guide, self.optim, self.loss = model, guide, optim, loss
        self._levels: tuple[Level, ...] = (
            ("graph",) if level == "graph" or not has_compiler() else ("inductor", "graph")
        )
        self.level: Level = self._levels[0]
        self.compile_seconds = 0.0
        self._programs: list[_Program] = []
        self._parameters: tuple[torch.nn.Parameter, ...] = ()
        self._aliases: tuple[Tensor, ...] = ()
        self._state: tuple[Tensor, ...] = ()
        self._latest: Any = ()

    def step(self, *args: Any, **kwargs: Any) -> float:
        """Take one step with the model's arguments; the loss before it, as a float."""
        program, tensors = self._program(args, kwargs)
        value = float(self._step(program, tensors))
        warn_if_nan(value, "loss")
        return value

    def run(self, num_steps: int, *args: Any, **kwargs: Any) -> Tensor:
        """Take ``num_steps`` steps with the same arguments; their losses ``[num_steps]``.

        The same as `step` so many times, without reading the loss in between.

        Raises:
            TypeError: ``num_steps`` is no int.
            ValueError: ``num_steps < 1``.
        """
        if isinstance(num_steps, bool) or not isinstance(num_steps, int):
            raise TypeError(
                f"expected num_steps as an int, got {num_steps!r}, because it counts steps and comes before the "
                "model's arguments; try run(1000, *args)"
            )
        if num_steps < 1:
            raise ValueError(f"expected num_steps >= 1, got {num_steps}, because it counts steps; try 1000")
        program, tensors = self._program(args, kwargs)
        losses = torch.stack([self._step(program, tensors) for _ in range(num_steps)])
        warn_if_nan(losses[-1], "loss")
        return losses

    def evaluate_loss(self, *args: Any, **kwargs: Any) -> float:
        """The loss on fresh particles, without a step; as a graph of operators on either level."""
        program, tensors = self._program(args, kwargs)
        results = program.evaluation(self._aliases)(*self._aliases, program.draw(), *tensors)
        self.loss._last_log_weights = results[1]
        return float(results[0])

    def _step(self, program: _Program, tensors: tuple[Tensor, ...]) -> Tensor:
        """One step; the loss, still a tensor."""
        inputs = (*self._aliases, *self._state)
        kernel = program.kernel
        guarded = kernel.checks
        before = [tensor.clone() for tensor in inputs] if guarded else []
        results = kernel(*inputs, program.draw(), *tensors)
        if guarded and kernel.failed(results):
            for tensor, value in zip(inputs, before, strict=True):
                tensor.copy_(value)
            raise torch.linalg.LinAlgError(
                "expected matrices that can be factorised at every draw, got one that is not positive definite, "
                "because the guide reaches such latent values; the parameters are as before the step. Try a smaller "
                "step size or init_scale, or a prior that excludes them"
            )
        self.loss._last_log_weights = results[1]
        return results[0]

    # -- one function for each kind of arguments ---------------------------------------------------------------

    def _program(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[_Program, tuple[Tensor, ...]]:
        """The functions for these arguments, and the tensors they take as inputs."""
        if self.guide.prototype_trace is None:
            self.guide.set_up(*args, **kwargs)
        self._bind()
        if self._latest and self._programs and not kwargs and _identical(args, self._latest[0]):
            return self._latest[1:]
        arguments = Arguments.of(args, kwargs)
        program = next((known for known in self._programs if known.serves(arguments)), None)
        program = program or self._made(arguments)
        tensors = () if program.baked else arguments.tensors
        self._latest = (args, program, tensors) if not program.baked and not kwargs else ()
        return program, tensors

    def _made(self, arguments: Arguments) -> _Program:
        began = time.perf_counter()
        program = _Program(self, arguments)
        self._programs = [*self._programs[-7:], program]
        self.level = program.kernel.level
        self.compile_seconds += time.perf_counter() - began
        return program

    def _bind(self) -> None:
        """Look up the guide's parameters: the store may hold others, or other numbers, since the last step."""
        guide, store = self.guide, pyro.get_param_store()
        names = tuple(guide._pyro_params)
        held = guide._parameters
        fresh = len(self._parameters) == len(names) and all(
            held.get(f"{name}_unconstrained", held.get(name)) is parameter
            and store._params.get(guide._pyro_get_fullname(name), parameter) is parameter
            and alias.data_ptr() == parameter.data_ptr()
            for name, parameter, alias in zip(names, self._parameters, self._aliases, strict=True)
        )
        if fresh:
            return
        guide.parameters_  # noqa: B018 (follows the store)
        found = tuple(held.get(f"{name}_unconstrained", held.get(name)) for name in names)
        known = len(found) == len(self._parameters) and all(map(_is, found, self._parameters))
        self._parameters = found
        self._aliases = tuple(parameter.detach() for parameter in found)
        if not known:
            self._programs = []
            step = torch.zeros((), dtype=torch.float64, device=found[0].device)
            buffers: list[State] = [
                update.initial(alias) for update, alias in zip(self._updates(), self._aliases, strict=True)
            ]
            self._state = (step, *(buffer for state in buffers for buffer in state))

    def _updates(self) -> tuple[Any, ...]:
        names = tuple(self.guide._pyro_params)
        return tuple(update_of(self.optim, self.guide._pyro_get_fullname(name)) for name in names)


class _Program:
    """The compiled functions for arguments of one kind."""

    def __init__(self, svi: CompiledSVI, arguments: Arguments) -> None:
        guide, loss = svi.guide, svi.loss
        family = guide.family
        args, kwargs = arguments.assembled()
        density = LogDensity.from_model(svi.model, *args, **kwargs)
        _check_density(density, guide)
        parameters = {name: value.detach() for name, value in guide.parameters_.items()}
        with torch.random.fork_rng(devices=gpu_of(guide.loc)):
            self.draw, copies = noise_of(family, loss, guide.loc.detach(), parameters)
            noise = self.draw()
        names = tuple(guide._pyro_params)
        supports = tuple(guide._pyro_params[name][0] for name in names)
        self.graph = StepGraph(density, family, loss, copies, names, supports, svi._updates())
        inputs = [*svi._aliases, *svi._state]
        self.arguments, self.baked = arguments, False
        self.sample = noise
        try:
            self.kernel = self._built(svi, [*inputs, noise, *arguments.tensors], len(inputs))
            self._try_other_data(svi, inputs, noise, arguments)
        except NotTraceable as first:
            self.arguments, self.baked = arguments.copied(), True
            try:
                self.graph = self.graph.with_fixed_data(noise)
                self.kernel = self._built(svi, [*inputs, noise], len(inputs))
            except NotTraceable as error:
                raise ValueError(
                    f"expected a model and a loss that are a fixed graph of torch operators, got {error}, because a "
                    "step is one compiled function; try pyro.infer.SVI with the same loss"
                ) from error
            _LOG.info("steps are traced anew for other data: %s", first)
        self._evaluation: Kernel | None = None

    def serves(self, arguments: Arguments) -> bool:
        """Whether the compiled functions are right for these arguments."""
        return self.arguments.same(arguments) if self.baked else self.arguments.alike(arguments)

    def evaluation(self, parameters: tuple[Tensor, ...]) -> Kernel:
        """The loss alone, traced at the first call."""
        if self._evaluation is None:
            inputs = [*parameters, self.sample, *(() if self.baked else self.arguments.tensors)]
            self._evaluation = lower(trace(self.graph.evaluate, inputs), "graph", inputs)
        return self._evaluation

    def _try_other_data(self, svi: CompiledSVI, inputs: list[Tensor], noise: Tensor, arguments: Arguments) -> None:
        """Whether the function follows the data: tried on rows drawn from the same rows (numpy sees no tracing)."""
        if not arguments.tensors:
            return
        others = arguments.resampled()
        args, kwargs = others.assembled()
        try:
            density = LogDensity.from_model(svi.model, *args, **kwargs)
        except (ValueError, RuntimeError) as error:
            raise NotTraceable("it could not be tried on other data of these shapes") from error
        graph = replace(self.graph, density=density)
        if _disagreement(graph, self.kernel, [*inputs, noise, *others.tensors], len(inputs)):
            raise NotTraceable("numbers leave the data by ways that can't be traced (numpy, tolist)")

    def _built(self, svi: CompiledSVI, inputs: list[Tensor], mutated: int) -> Kernel:
        traced = trace(self.graph.step, inputs, mutated)
        reason = ""
        for level in svi._levels:
            try:
                kernel = lower(traced, level, inputs)
                reason = _disagreement(self.graph, kernel, inputs, mutated)
            except NotTraceable as error:
                reason = str(error)
            if not reason:
                return kernel
            _LOG.info("steps on level %r are not used: %s", level, reason)
        raise NotTraceable(reason)


def _disagreement(graph: StepGraph, kernel: Kernel, inputs: list[Tensor], mutated: int) -> str:
    """Empty where a step of the kernel, on other noise, is that of the function it was traced from."""
    copies = [tensor.clone() for tensor in inputs]
    copies[mutated] = 0.9 * copies[mutated].flip(0) + 0.01
    expected = replace(graph, log_prob=None).step(*copies)
    given = [tensor.clone() for tensor in copies[:mutated]]
    results = kernel(*given, *copies[mutated:])
    for ours, theirs in zip([*results[:2], *given], expected, strict=True):
        tolerance = 1e-9 if theirs.dtype == torch.float64 else 1e-4
        scale = 1 + theirs.nan_to_num().abs().max()
        if not torch.allclose(ours, theirs.detach(), rtol=tolerance, atol=float(tolerance * scale), equal_nan=True):
            return "a step differs from the same step in plain torch"
    return ""


def _identical(args: tuple[Any, ...], latest: tuple[Any, ...]) -> bool:
    """Whether these are the same objects, of kinds whose numbers, if changed in place, are read at each step."""
    return len(args) == len(latest) and all(
        a is b and isinstance(a, (Tensor, int, float, str, type(None))) and not has_low_precision(a)
        for a, b in zip(args, latest, strict=True)
    )


def _is(a: Any, b: Any) -> bool:
    return a is b


def _check(model: Any, guide: Any, optim: Any, loss: Any, level: Any) -> None:
    if not callable(model):
        raise TypeError(f"expected a Pyro model (a callable), got {type(model).__name__}, because it is to be run")
    if not isinstance(guide, AutoLocationScale):
        raise TypeError(
            f"expected an AutoLocationScale guide, got {type(guide).__name__}, because a compiled step needs its "
            "family and base noise; try pyro_symvi.guides.AutoLocationScale(model), or pyro.infer.SVI"
        )
    if type(loss) is not DivergenceELBO:
        raise TypeError(
            f"expected a DivergenceELBO, got {type(loss).__name__}, because its divergence is part of the compiled "
            "step; try DivergenceELBO(ReverseKL()) in place of Trace_ELBO()"
        )
    if not isinstance(optim, PyroOptim):
        raise TypeError(
            f"expected an optimiser of pyro.optim, got {type(optim).__name__}, because parameters are made at the "
            'first step; try pyro.optim.Adam({"lr": 0.01})'
        )
    if level not in _LEVELS:
        raise ValueError(f"expected level in {_LEVELS}, got {level!r}, because these are the ways to run a step")
    if guide.master is not None:
        raise ValueError(
            "expected a guide of all latent sites, got a part of an AutoGuideList, because a step moves one latent "
            "vector; try pyro.infer.SVI"
        )
    if isinstance(guide._df, LearnedDf):
        raise ValueError(
            f"expected fixed degrees of freedom, got {guide._df}, because the noise would depend on them; try a "
            "number, or pyro.infer.SVI"
        )
    update_of(optim, "loc")


def _check_density(density: LogDensity, guide: AutoLocationScale) -> None:
    names = list(guide._unconstrained_shapes)
    if list(density.names) != names or density.dim != guide.family.dim:
        raise ValueError(
            f"expected a guide of the model's sites {list(density.names)} with {density.dim} coordinates, got one of "
            f"{names} with {guide.family.dim}, because both share one flat vector; try a guide of the same model"
        )
    if not density.vectorized:
        raise ValueError(
            f"expected a model that torch.func.vmap batches, got one that it does not ({density.loop_reason}), because "
            "a step is one compiled function; try pyro.infer.SVI with the same loss"
        )
    if density._reading.parameters:
        raise ValueError(
            f"expected a model without parameters of its own, got {list(density._reading.parameters)}, because only "
            "the guide's are moved; try pyro.infer.SVI"
        )
