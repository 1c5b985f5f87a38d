"""One log density whose data lie in shards on several processes."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from ._checks import BAD_POINT, starting_points
from ._log_density import LogDensity
from ._model import Reading
from ._ranks import Ranks, fingerprint
from ._shards import (
    Described,
    describe,
    refuse_differences,
    refuse_double_counting,
    refuse_local_latents,
    refuse_unknown,
)


class DataParallelDensity(LogDensity):
    r"""The posterior given all rows, each of W ranks holding the model on its own:

    .. math:: \log p(z) = \sum_{r=1}^W \Bigl[\log p(\text{data}_r \mid z) + \tfrac1W \log p(z)\Bigr].

    Likelihood is every observed site and ``pyro.factor``; prior are the latent sites with their log-Jacobians, and what
    ``common`` names. Values, gradients and Hessians are those of one process that has all rows, up to rounding, and
    bitwise the same on each rank, so that a deterministic program (`pyro_symvi.fit`) takes the same course on each.

    Every method that evaluates the density is collective: all ranks call it at the same points, and each call is one
    all-reduce (gloo on CPU, nccl on GPU). Ranks that are at different points, a rank that raises, dies or hangs, end
    the call by a RuntimeError on all ranks that are left. Gradients of `__call__` can't be differentiated again.

    Shards may have different sizes. What shards can't show is refused where it shows, and else up to the caller: a
    model must not compute anything from its rows that is meant for all of them (their mean, their number).

    Args:
        local: The density on this rank's rows; the prior is not to be scaled there.
        group: A ``torch.distributed`` process group; None for the default one.
        common: Names of what is the same on every rank: observed sites and factors that count once, plates and latent
            sites that go with data but mean the same things everywhere.
        sharded: Observed sites and factors that are different rows although they look alike on each rank.

    Raises:
        ValueError: On every rank: no process group; sites, shapes or priors that differ by rank; a latent site that
            goes with the rows; data that are the same on every rank; a name that the model lacks.
        RuntimeError: A rank has failed; the message names it.

    Example::

        torch.distributed.init_process_group("gloo")
        density = DataParallelDensity.from_model(model, my_predictors, my_response)
        fit = symvi.fit(density, LocationScale(density.dim))
    """

    def __init__(
        self, local: LogDensity, group: Any = None, *, common: Collection[str] = (), sharded: Collection[str] = ()
    ) -> None:
        if type(local) is not LogDensity:  # a compiled one would go on without the prior's 1/W
            raise TypeError(
                f"expected the LogDensity of this rank's rows, got {type(local).__name__}, because each rank adds its "
                "own share, not yet compiled; try LogDensity.from_model(model, *rows).data_parallel(), compile() after"
            )
        local = getattr(local, "_eager", local)  # kernels were made for the whole of a density, not for a share
        self.__dict__.update(local.__dict__)
        self.ranks = Ranks(group)
        reading = local._reading
        described = self.ranks.together(
            lambda: _checked_description(reading, common, sharded), "a model of the same kind on every rank"
        )
        refuse_differences(
            self.ranks,
            {
                "latent sites and shapes": [(s.name, tuple(s.shape), s.transform) for s in self.sites],
                "unconstrained coordinates": self.coordinates,
                "observed sites": sorted(described.observed),
            },
        )
        starts = list({tuple(z.tolist()): z for found in self.ranks.gather(self.starts) for z in found}.values())
        parts = _parts(reading)
        prior, observed = self.ranks.together(lambda: _at(parts, starts), "a model that runs on every rank")
        refuse_double_counting(self.ranks, described, prior, observed, common, sharded)

        weight = 1.0 / self.ranks.size

        def share(z: torch.Tensor) -> torch.Tensor:
            prior, observed = parts(z)
            once = sum((observed[name] for name in observed if name in common), prior)
            return sum((observed[name] for name in observed if name not in common), weight * once)

        self._shard = copy.copy(local)
        self._shard._reading = dataclasses.replace(reading, log_prob=share)
        self._reading = dataclasses.replace(reading, log_prob=_of_no_rank, parts=None, trace_at=None, call=None)
        for density in (self, self._shard):
            density.__dict__.pop("_traces", None)  # of the local density
        self.starts = starting_points(lambda z: self(z), tuple(starts), reading.what)
        self.notes = tuple(dict.fromkeys(note for notes in self.ranks.gather(local.notes) for note in notes))

    # -- construction ------------------------------------------------------------------------------------------

    @classmethod
    def from_model(cls, model: Callable[..., Any], *args: Any, **kwargs: Any) -> DataParallelDensity:
        """`LogDensity.from_model` on this rank's rows, joined over the default process group.

        For the other options: ``LogDensity.from_model(model, *rows).data_parallel(group, common=..., sharded=...)``.

        Raises:
            TypeError, ValueError: As for `LogDensity.from_model`, on the rank concerned.
            RuntimeError: On the other ranks then, naming it.
        """
        return cls._together(lambda: LogDensity.from_model(model, *args, **kwargs))

    @classmethod
    def from_callable(cls, function: Callable[[torch.Tensor], torch.Tensor], dim: int) -> DataParallelDensity:
        """The sum over ranks of a function of each: a plain function does not say which of its terms is the prior.

        Args:
            function: As for `LogDensity.from_callable`; this rank's share, with its share of the prior.
            dim: Length of ``z``.
        """
        return cls._together(lambda: LogDensity.from_callable(function, dim))

    @classmethod
    def _together(cls, build: Callable[[], LogDensity]) -> DataParallelDensity:
        return cls(Ranks().together(build, "a density on every rank"))

    def compile(self, batch: int | Sequence[int] = 64, level: str = "auto") -> DataParallelDensity:
        """The same with this rank's share compiled, as `LogDensity.compile` does; not a collective call."""
        return self._with_shard(self._shard.compile(batch, level))

    def compiled_for(self, evaluations: int, batch: int = 64) -> DataParallelDensity:
        """The same with this rank's share compiled if that pays here (`LogDensity.compiled_for`)."""
        return self._with_shard(self._shard.compiled_for(evaluations, batch))

    def _with_shard(self, shard: LogDensity) -> DataParallelDensity:
        twin = copy.copy(self)
        twin._shard, twin.level = shard, shard.level
        return twin

    # -- evaluation --------------------------------------------------------------------------------------------

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """Log density at ``z[..., d]``, shape ``[...]``, float64, differentiable once."""
        flat = self._flat(z)
        if torch.is_grad_enabled() and z.requires_grad:
            values: torch.Tensor = _Differentiable.apply(flat, self)
        else:
            (values,) = self._total(flat, lambda: (self._shard(flat.detach()),), [(len(flat),)])
        return values.reshape(z.shape[:-1])

    def value_and_grad(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log density ``[...]`` and its gradient ``[..., d]`` at ``z[..., d]``, both without a graph."""
        flat = self._flat(z).detach()
        value, gradient = self._total(flat, lambda: self._shard.value_and_grad(flat), [(len(flat),), flat.shape])
        return value.reshape(z.shape[:-1]), gradient.reshape(z.shape)

    def hessian(self, z: torch.Tensor) -> torch.Tensor:
        """Hessian ``[..., d, d]`` at ``z[..., d]``, without a graph."""
        flat = self._flat(z).detach()
        shape = (*flat.shape, self.dim)
        (hessian,) = self._total(flat, lambda: (self._shard.hessian(flat),), [shape])
        return hessian.reshape(*z.shape, self.dim)

    def _total(
        self,
        flat: torch.Tensor,
        shares: Callable[[], tuple[torch.Tensor, ...]],
        shapes: list[tuple[int, ...]],
    ) -> list[torch.Tensor]:
        """The sums over ranks of tensors of the given shapes, computed at ``flat[n, d]``."""
        failure = None
        sizes = [torch.Size(shape).numel() for shape in shapes]
        try:
            share = torch.cat([part.reshape(-1) for part in shares()])
        except Exception as error:
            share, failure = flat.new_zeros(sum(sizes)), error
        total = self.ranks.total(share, failure, fingerprint(flat))
        return [part.reshape(shape) for part, shape in zip(total.split(sizes), shapes, strict=True)]

    def __repr__(self) -> str:
        return f"DataParallelDensity({super().__repr__()}, rank {self.ranks.rank} of {self.ranks.size})"


class _Differentiable(torch.autograd.Function):
    """Values with the gradient of one all-reduce."""

    @staticmethod
    def forward(ctx: Any, flat: torch.Tensor, density: DataParallelDensity) -> torch.Tensor:
        """Values ``[n]`` at ``flat[n, d]``."""
        values, gradient = density.value_and_grad(flat)
        ctx.save_for_backward(gradient)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Gradient in ``flat``."""
        (gradient,) = ctx.saved_tensors
        return grads[0][:, None] * gradient, None


def _of_no_rank(z: torch.Tensor) -> torch.Tensor:
    """In place of the local density, about which nothing must be proved or compiled in the name of all rows."""
    raise RuntimeError(
        "expected a density that is one function of z, got one summed over ranks, because no rank can run all of it; "
        "try calls of the density itself"
    )


def _checked_description(reading: Reading, common: Collection[str], sharded: Collection[str]) -> Described:
    described = Described({}, {reading.what: (frozenset(), 1, "")})
    if reading.trace_at is not None:
        with torch.no_grad():
            described = describe(reading.trace_at(reading.starts[0]))
    refuse_unknown(described, common, sharded)
    refuse_local_latents(described, common)
    return described


def _parts(reading: Reading) -> Callable[[torch.Tensor], tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    if reading.parts is not None:
        return reading.parts
    return lambda z: (z.new_zeros(()), {reading.what: reading.log_prob(z)})


def _at(
    parts: Callable[[torch.Tensor], tuple[torch.Tensor, dict[str, torch.Tensor]]], points: list[torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    pairs = []
    with torch.no_grad():
        for z in points:
            try:
                pairs.append(parts(z))
            except BAD_POINT:
                continue  # another rank's starting point; this one's own are good
    observed = {name: torch.stack([one[name].double() for _, one in pairs]) for name in pairs[0][1]}
    return torch.stack([prior.double() for prior, _ in pairs]), observed
