"""The evidence bound of a Pyro model and guide as a deterministic function of the guide's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO
from torch import Tensor
from torch.distributions import transform_to

from ...density._state import own_parameter_store, seeded


class GuideELBO:
    """ELBO of a guide as a function of ``{name: unconstrained value}``, with the same draws at each call.

    For `irrep_instability` and `break_symmetry_init`. Draws are fixed by ``seed`` (common random numbers); the global
    random states, the parameter store and the guide are left as they were. The draws of different units differ, so the
    function is not invariant under their permutations, although its expectation is: average it with `symmetrised`, or
    take many particles and ``check=False``. Draws have to be reparametrised, and the model twice differentiable
    without kinks; otherwise the Hessian is wrong.

    Args:
        model: A Pyro model.
        guide: Its guide, called once before; all of its parameters are arguments of the function. One that ties its
            units (as `TiedGuide`) has no directions that tell them apart: take one with a unit axis, at tied values.
        args, kwargs: Of model and guide.
        loss: An ELBO with ``differentiable_loss``; default ``Trace_ELBO()``. More particles: less noise.
        seed: Of the draws.

    Attributes:
        params: Current unconstrained values by name in Pyro's parameter store, copies.

    Raises:
        TypeError: A loss that is none.
        ValueError: A guide without parameters, or never called.

    Example:
        ``irrep_instability(symmetrised(elbo, group), project_irrep(elbo.params, group, "trivial"), group)``
    """

    def __init__(
        self,
        model: Callable[..., Any],
        guide: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        loss: Any = None,
        seed: int = 0,
    ) -> None:
        self.model, self.guide, self.seed = model, guide, seed
        self.args, self.kwargs = tuple(args), dict(kwargs or {})
        self.loss = Trace_ELBO() if loss is None else loss
        if not hasattr(self.loss, "differentiable_loss"):
            raise TypeError(
                f"expected a loss with differentiable_loss, got {loss!r}, because it is differentiated twice; try "
                "Trace_ELBO()"
            )
        never = getattr(guide, "prototype_trace", True) is None
        if not never:
            with own_parameter_store(), seeded(seed), torch.no_grad():
                trace = poutine.trace(guide, param_only=True).get_trace(*self.args, **self.kwargs)
            names = [name for name, site in trace.nodes.items() if site["type"] == "param"]
            never = any(name not in pyro.get_param_store() for name in names)
        if never:
            raise ValueError(
                "expected a guide that has been called once, got one whose parameters are not in Pyro's store yet; try "
                "guide(*args)"
            )
        if not names:
            raise ValueError("expected a guide with parameters, got none; try AutoNormal(model)")
        constraints = pyro.get_param_store().get_state()["constraints"]
        self._constraints = {name: constraints[name] for name in names}
        with torch.no_grad():
            self(self.params)  # a loss that counts plates at its first call draws more there

    @property
    def params(self) -> dict[str, Tensor]:
        """Unconstrained values, copies."""
        return {name: self._leaf(name).detach().clone() for name in self._constraints}

    def __call__(self, params: Mapping[str, Tensor]) -> Tensor:
        """The ELBO, a scalar that can be differentiated in the parameters."""
        values = {name: transform_to(c)(params[name]) for name, c in self._constraints.items()}
        guide = poutine.substitute(self.guide, data=values)
        places = sorted({v.device.index for v in values.values() if v.device.type == "cuda"})
        with own_parameter_store(), seeded(self.seed), torch.random.fork_rng(places):
            for place in places:
                torch.cuda.default_generators[place].manual_seed(self.seed)
            loss: Tensor = self.loss.differentiable_loss(self.model, guide, *self.args, **self.kwargs)
        return -loss

    def load_(self, params: Mapping[str, Tensor]) -> None:
        """Write unconstrained values into Pyro's parameter store (and so the guide), in place."""
        for name in self._constraints:
            self._leaf(name).data.copy_(params[name])

    @staticmethod
    def _leaf(name: str) -> Tensor:
        value: Any = pyro.get_param_store()[name]
        leaf: Tensor = value.unconstrained()
        return leaf
