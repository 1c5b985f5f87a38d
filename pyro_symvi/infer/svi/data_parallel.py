"""Stochastic variational inference on several processes, each with its own rows of the data."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from pyro_symvi.density._ranks import Ranks
from pyro_symvi.density._shards import (
    Described,
    describe,
    refuse_differences,
    refuse_double_counting,
    refuse_local_latents,
    refuse_unknown,
)
from pyro_symvi.divergences import Divergence
from pyro_symvi.infer.svi._traces import Program, joint_log_prob, latent_values, particle_log_prob, sample_sites
from pyro_symvi.infer.svi.elbo import DivergenceELBO, _identity, _same

_DRIFT = 1e-10
"""Relative variance over ranks of the summed draws and log q beyond which they are not the same: a factor of 1e-5."""


class DataParallelELBO(DivergenceELBO):
    r"""`DivergenceELBO` where each of W ranks, started by ``torchrun``, runs model and guide on its own rows.

    All ranks draw the same particles (a step begins with the random state of rank 0, whose stream alone moves on). With

    .. math:: l_r = \log p(\text{data}_r \mid z) + \tfrac1W\bigl(\log p(z) - \log q(z)\bigr), \qquad l = \sum_r l_r,

    every rank evaluates the divergence at the same log-weights ``l`` and differentiates its own ``l_r``; the sum over
    ranks of these gradients is the gradient one process with all rows would have, for every divergence and every form
    of the gradient. So steps are those of one process, up to rounding, and parameters stay the same on each rank. A
    step takes one broadcast (the random state) and two all-reduces (log-weights; gradients). Everything else is as in
    `DivergenceELBO`; all its methods that evaluate the loss are collective.

    Likelihood is every observed site and ``pyro.factor``; prior are the latent sites, and what ``common`` names. At the
    first evaluation of a pair the ranks compare sites, prior and parameters. Subsampling plates take rows of the shard.

    Args:
        divergence: as for `DivergenceELBO`, like ``num_particles`` and the other ``options``.
        group: a ``torch.distributed`` process group; None for the default one.
        common: names of what is the same on every rank: observed sites and factors that count once, plates and latent
            sites that go with data but mean the same things everywhere.
        sharded: observed sites and factors that are different rows although they look alike on each rank.

    Raises:
        ValueError: no process group; at the first evaluation, on every rank: what `DivergenceELBO` refuses; sites,
            priors or parameters that differ by rank; a latent site that goes with the rows; data that are the same on
            every rank; a name that the model lacks.
        RuntimeError: a rank has failed, died or hangs, or its draws are others; on all ranks that are left.
    """

    def __init__(
        self,
        divergence: Divergence,
        num_particles: int = 1,
        *,
        group: Any = None,
        common: Collection[str] = (),
        sharded: Collection[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(divergence, num_particles, **options)
        self.ranks = Ranks(group)
        self.common, self.sharded = common, sharded
        self._compared_pair: tuple[Any, ...] | None = None
        self._parts: list[_Parts] = []
        self._leaves: dict[str, Tensor] = {}

    def differentiable_loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Tensor:
        """The objective as a scalar tensor whose gradient, the same on each rank, is that of all rows.

        It reaches parameters that Pyro knows (``pyro.param``, ``pyro.module``, autoguides), once differentiated.
        """
        loss = super().differentiable_loss(model, guide, *args, **kwargs)
        leaves = [leaf for leaf in self._leaves.values() if leaf.requires_grad]
        if not leaves or not torch.is_grad_enabled():
            return loss.detach()
        failure = None
        flat = torch.cat([torch.zeros_like(leaf, memory_format=torch.contiguous_format).reshape(-1) for leaf in leaves])
        try:
            if loss.requires_grad:
                found = torch.autograd.grad(loss, leaves, allow_unused=True)
                pairs = zip(found, leaves, strict=True)
                flat = torch.cat([(torch.zeros_like(x) if g is None else g).reshape(-1) for g, x in pairs])
        except Exception as error:
            failure = error
        total = self.ranks.total(flat, failure)
        joined: Tensor = _WithGradient.apply(loss.detach(), total, *leaves)
        return joined

    def _log_weights_and_guide(
        self, model: Program, guide: Program, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Log-weights of all rows, ``(K,)``, that lend this rank's share of the gradient, and ``log q / W``."""
        pair = _identity(model) + _identity(guide)
        compared = _same(self._compared_pair, pair)
        own = super()._log_weights_and_guide

        def evaluate() -> tuple[Tensor, Tensor]:
            self._parts = []
            with poutine.trace(param_only=True) as capture:
                found = own(model, guide, args, kwargs)
            nodes = sorted(capture.trace.nodes.items())
            self._leaves = {name: node["value"].unconstrained() for name, node in nodes}
            if not compared:
                refuse_unknown(self._parts[0].described(), self.common, self.sharded)
                refuse_local_latents(self._parts[0].described(), self.common)
            return found

        failure = None
        share = torch.zeros(self.num_particles + 2, dtype=torch.float64)
        with same_noise(self.ranks):
            if not compared:
                local, log_guide = self.ranks.together(evaluate, "a loss on every rank")
                self._compare()
                self._compared_pair = pair
            else:
                try:
                    local, log_guide = evaluate()
                except Exception as error:
                    failure = error
        if failure is None:
            likelihood = torch.cat([part.likelihood for part in self._parts]).to(local)
            weight = 1.0 / self.ranks.size
            local = local if self.ranks.size == 1 else weight * local + (1.0 - weight) * likelihood
            drawn = torch.stack([part.drawn for part in self._parts]).sum()
            share = torch.cat([local.detach().double(), torch.stack([drawn, drawn**2]).to(local.device)])
        self._parts = []  # they hold traces
        total = self.ranks.total(share, failure)
        self._refuse_drift(*total[-2:].tolist())
        joined: Tensor = _WithValue.apply(local, total[:-2].to(local))
        self._last_log_weights = joined.detach()
        return joined, log_guide / self.ranks.size

    def _accepted_traces(
        self, model: Program, guide: Program, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[tuple[Trace, Trace]]:
        for traces in super()._accepted_traces(model, guide, args, kwargs):
            shape = self.num_particles if self._has_plate else 1, self._particle_dim
            self._parts.append(_Parts(traces, shape, self.common))
            yield traces

    def _compare(self) -> None:
        """Refuses pairs that are not one problem in shards; on every rank."""
        first = self._parts[0]
        described = first.described()
        refuse_differences(
            self.ranks,
            {
                "latent sites and shapes": [(name, tuple(shape)) for name, (_, shape) in described.latents.items()],
                "observed sites": sorted(described.observed),
                "parameters": {name: tuple(leaf.shape) for name, leaf in self._leaves.items()},
            },
        )
        told = self.ranks.gather({name: _digest(leaf) for name, leaf in self._leaves.items()})
        moved = sorted({name for other in told for name in other if other[name] != told[0][name]})
        if moved:
            raise ValueError(
                f"expected the same parameters on every rank, got other values of {moved}, because each rank takes the "
                "same steps from them; try pyro.set_rng_seed(0) on each rank before the guide is made, initial values "
                "that do not depend on the shard, or calling the guide once and then "
                "pyro_symvi.infer.synchronize_parameters()"
            )
        refuse_double_counting(self.ranks, described, first.prior.detach(), first.observed(), self.common, self.sharded)

    def _refuse_drift(self, first: float, second: float) -> None:
        size = self.ranks.size
        if size * second - first**2 > _DRIFT * size * second:
            raise RuntimeError(
                "expected the same draws on every rank, got others, because their guides or parameters have drifted "
                "apart; try one guide, one optimiser with the same settings, and no random numbers of the rank's own "
                "in them"
            )


class _Parts:
    """What one pair of traces holds: log prior and log likelihood of the particles, and a number that tells draws
    and densities of the guide from others."""

    def __init__(self, traces: tuple[Trace, Trace], shape: tuple[int, int | None], common: Collection[str]) -> None:
        model_trace, guide_trace = traces
        self.trace, self.shape = model_trace, shape
        zero = torch.zeros(shape[0], dtype=torch.get_default_dtype())
        terms = {name: particle_log_prob(site["log_prob"], *shape) for name, site in sample_sites(model_trace)}
        observed = {name for name, site in sample_sites(model_trace) if site["is_observed"]}
        self.likelihood = sum((terms[name] for name in sorted(observed) if name not in common), zero)
        self.prior = sum((terms[name] for name in sorted(terms.keys() - observed)), zero)
        self.drawn = joint_log_prob(guide_trace, *shape).detach().double().sum()
        for value in latent_values(guide_trace).values():
            self.drawn = self.drawn + value.to(self.drawn).sum()

    def described(self) -> Described:
        """This rank's sites."""
        return describe(self.trace)

    def observed(self) -> dict[str, Tensor]:
        """Log probability of each observed site, a value for each particle."""
        sites = {name: site for name, site in sample_sites(self.trace) if name in self.described().observed}
        return {name: particle_log_prob(site["log_prob"].detach(), *self.shape) for name, site in sites.items()}


class _WithValue(torch.autograd.Function):
    """A tensor with another's value and its own gradient."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, value: Tensor) -> Tensor:
        """``value``."""
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """All of it to ``own``."""
        return grads[0], None


class _WithGradient(torch.autograd.Function):
    """A scalar whose gradient in ``leaves`` is given, end to end in one vector."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradient: Tensor, *leaves: Tensor) -> Tensor:
        """``value``."""
        ctx.save_for_backward(gradient)
        ctx.shapes = [leaf.shape for leaf in leaves]
        return value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The parts of ``gradient``."""
        (gradient,) = ctx.saved_tensors
        parts = (grads[0] * gradient).split([shape.numel() for shape in ctx.shapes])
        return None, None, *(part.reshape(shape) for part, shape in zip(parts, ctx.shapes, strict=True))


@contextmanager
def same_noise(ranks: Ranks) -> Iterator[None]:
    """Random numbers inside are those that rank 0 draws next; the other ranks' own states are put back after."""
    mine = torch.get_rng_state()
    on_gpu = [torch.cuda.get_rng_state()] if ranks.on_gpu else []
    shared, shared_on_gpu = ranks.first(mine), [ranks.first(state) for state in on_gpu]
    if ranks.rank == 0:
        yield
        return
    _set_states(shared, shared_on_gpu)
    try:
        yield
    finally:
        _set_states(mine, on_gpu)


def _set_states(state: Tensor, on_gpu: list[Tensor]) -> None:
    torch.set_rng_state(state)
    for other in on_gpu:
        torch.cuda.set_rng_state(other)


def synchronize_parameters(group: Any = None) -> None:
    """Give every rank rank 0's values of all parameters in Pyro's store; a collective call.

    Call the guide once before, on each rank, so that its parameters exist.

    Args:
        group: a ``torch.distributed`` process group; None for the default one.

    Raises:
        ValueError: no process group, or parameters of other names or shapes on some rank.
    """
    ranks = Ranks(group)
    leaves = dict(sorted(pyro.get_param_store().named_parameters()))
    refuse_differences(ranks, {"parameters": {name: tuple(leaf.shape) for name, leaf in leaves.items()}})
    with torch.no_grad():
        for leaf in leaves.values():
            leaf.copy_(ranks.first(leaf))


def _digest(leaf: Tensor) -> str:
    return hashlib.sha256(leaf.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
