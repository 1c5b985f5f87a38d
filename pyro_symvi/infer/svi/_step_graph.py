"""One step of stochastic variational inference as a function of tensors: parameters, buffers, noise and data in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.distributions import transform_to
from torch.utils import _pytree

from ...density import LogDensity
from ...density._precision import promote
from ...density._state import gpu_of
from ...density._tracing import made
from ...families import LocationScale
from ...guides._scale_parameters import join
from ._estimate import estimate, objective
from ._updates import State, Update
from .elbo import DivergenceELBO


@dataclass(frozen=True)
class Arguments:
    """A model's arguments, taken apart: tensors, and all else."""

    tensors: tuple[Tensor, ...]
    others: tuple[Any, ...]
    layout: tuple[Any, ...]

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """Take ``(args, kwargs)`` apart; low-precision tensors are cast to float64, as a `LogDensity` does."""
        leaves, spec = _pytree.tree_flatten((args, kwargs))
        tensors = tuple(promote(leaf).detach() for leaf in leaves if isinstance(leaf, Tensor))
        others = tuple(leaf for leaf in leaves if not isinstance(leaf, Tensor))
        places = tuple(isinstance(leaf, Tensor) for leaf in leaves)
        shapes = tuple((tuple(t.shape), t.stride(), t.dtype, t.device) for t in tensors)
        return cls(tensors, others, (spec, places, shapes))

    def assembled(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """``(args, kwargs)`` again, made of these very tensors."""
        spec, places, _ = self.layout
        tensors, others = iter(self.tensors), iter(self.others)
        leaves = [next(tensors) if is_tensor else next(others) for is_tensor in places]
        args, kwargs = _pytree.tree_unflatten(leaves, spec)
        return args, kwargs

    def alike(self, other: Arguments) -> bool:
        """Whether they differ in the numbers inside tensors at most."""
        return self.layout == other.layout and all(map(_same, self.others, other.others))

    def same(self, other: Arguments) -> bool:
        """Whether tensors hold the same numbers, too."""
        return self.alike(other) and all(map(torch.equal, self.tensors, other.tensors))

    def resampled(self) -> Arguments:
        """Other data of the same kind: rows drawn from each tensor's own, single numbers moved by one per cent."""
        generator = torch.Generator().manual_seed(0)
        tensors = []
        for tensor in self.tensors:
            rows = tensor.shape[0] if tensor.dim() else 1
            if rows > 1:
                tensors.append(tensor[torch.randint(rows, (rows,), generator=generator).to(tensor.device)])
            else:
                tensors.append(1.01 * tensor if tensor.is_floating_point() else tensor.clone())
        return Arguments(tuple(tensors), self.others, self.layout)

    def copied(self) -> Arguments:
        """With tensors of its own, to compare with later."""
        return Arguments(tuple(tensor.clone() for tensor in self.tensors), self.others, self.layout)


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    try:
        return type(a) is type(b) and bool(a == b)
    except Exception:
        return False  # what can't be compared counts as changed


@dataclass(frozen=True)
class StepGraph:
    """The functions that `CompiledSVI` traces, for one density, guide and loss.

    Attributes:
        names: The guide's parameters, in order.
        supports: Their constraints; the parameters themselves are unconstrained.
    """

    density: LogDensity
    family: LocationScale
    loss: DivergenceELBO
    copies: int
    names: tuple[str, ...]
    supports: tuple[Any, ...]
    updates: tuple[Update, ...]
    log_prob: Callable[[Tensor], Tensor] | None = None
    """The density of a batch, where its data are not to be inputs; by default the density's own."""

    def with_fixed_data(self, noise: Tensor) -> StepGraph:
        """The same with a log density that has been traced by itself, so that its data may become numbers."""
        points = torch.stack(self.density.starts).repeat(len(noise), 1)[: len(noise)].to(noise.device)
        batched = torch.func.vmap(self.density._one)
        log_prob = made(lambda z: batched(z), [points], numbers_are_data=True)
        return replace(self, log_prob=log_prob)

    def step(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Loss and log-weights; then the new parameters, step number and buffers.

        ``tensors``: unconstrained parameters, the step number, each parameter's buffers, noise ``[K, d]``, data.
        """
        count, sizes = len(self.names), [update.buffers for update in self.updates]
        parameters, step = tensors[:count], tensors[count] + 1
        buffers, rest = _split(tensors[count + 1 :], sizes)
        with pyro.validation_enabled(False):
            with torch.enable_grad():  # not torch.func.grad, which wraps all tensors, also those a model gives to numpy
                leaves = [parameter.detach().requires_grad_() for parameter in parameters]
                loss, log_weights = self._loss(leaves, rest[0])
                gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
            rows = zip(self.updates, parameters, gradients, buffers, strict=True)
            new = [update(value, slope, state, step) for update, value, slope, state in rows]
        moved = [parameter for parameter, _ in new]
        return loss.detach(), log_weights, *moved, step, *(buffer for _, state in new for buffer in state)

    def evaluate(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Loss and log-weights at unconstrained parameters, noise, data."""
        with pyro.validation_enabled(False):
            log_weights, _ = self._log_weights(tensors[: len(self.names)], tensors[len(self.names)], False)
            return objective(self.loss.divergence, log_weights, self.copies), log_weights

    def _loss(self, unconstrained: Sequence[Tensor], noise: Tensor) -> tuple[Tensor, Tensor]:
        log_weights, log_guide = self._log_weights(unconstrained, noise, True)
        loss = self.loss
        value = estimate(loss.divergence, loss.form, log_weights, log_guide, loss.weights, self.copies)
        return value, log_weights.detach()

    def _log_weights(self, unconstrained: Sequence[Tensor], noise: Tensor, gradient: bool) -> tuple[Tensor, Tensor]:
        """Log-weights and log q ``[K]``, float64; log q is that of fixed points unless the gradient is pathwise."""
        family, form = self.family, self.loss.form
        triples = zip(self.names, self.supports, unconstrained, strict=True)
        parts = {name: transform_to(support)(value) for name, support, value in triples}
        loc, scale = parts["loc"], join(family.pattern, parts, parts["loc"])
        z = loc + family.apply(scale, noise)
        if form not in ("pathwise", "doubly_reparameterized"):
            z = z.detach()
        log_p = (self.log_prob or torch.func.vmap(self.density._one))(z.double())
        log_q = (family.log_base(noise) - family.log_det(scale)).double()
        log_weights = log_p - log_q
        if gradient and form != "pathwise":
            log_q = family.log_prob(z.detach(), {"loc": loc, "scale": scale}).double()
        return log_weights, log_q


def _split(tensors: Sequence[Tensor], sizes: Sequence[int]) -> tuple[list[State], tuple[Tensor, ...]]:
    found, position = [], 0
    for size in sizes:
        found.append(tuple(tensors[position : position + size]))
        position += size
    return found, tuple(tensors[position:])


Draw = Callable[[], Tensor]


def noise_of(family: LocationScale, loss: DivergenceELBO, like: Tensor, parameters: Any) -> tuple[Draw, int]:
    """A function that draws ``[K, d]`` from the base law, from torch's global generator, as the guide itself does.

    With ``loss.symmetry`` the draws are whole orbits, after the checks of `OrbitClosedNoise`. The second value is the
    number of images of each draw.
    """
    count, dim = loss.num_particles, family.dim
    base = family.base_distribution(like, parameters)
    laws = base.expand((count,))
    if family.law.name == "normal":

        def draw() -> Tensor:
            return torch.randn(count, dim, dtype=like.dtype, device=like.device)

    else:

        def draw() -> Tensor:
            with torch.no_grad():
                noise: Tensor = laws.rsample()
                return noise

    if loss.symmetry is None:
        return draw, 1
    from .orbit_noise import OrbitClosedNoise

    closed = OrbitClosedNoise(loss.symmetry)
    closure = closed._closure_on(dim)
    if count % closure.size:
        fitting = max(1, count // closure.size) * closure.size
        raise ValueError(
            f"expected a number of particles that is a multiple of {closure.size}, got {count}, because particles come "
            f"in orbits of the symmetry; try num_particles={fitting}"
        )
    noise = draw()
    with torch.random.fork_rng(devices=gpu_of(noise)):
        images = closure.images(noise[: count // closure.size])
    closed._check(family.distribution(parameters).expand((count,)), noise, images, closure)

    def closed_draw() -> Tensor:
        with torch.no_grad():
            return closure.images(draw()[: count // closure.size])

    return closed_draw, closure.size
