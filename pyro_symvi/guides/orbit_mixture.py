"""A guide that puts a copy of another guide at each image under a group."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from pyro.infer.autoguide import AutoContinuous
from torch import Tensor
from torch.distributions import biject_to

from ..density._model import without_initialisation
from ..density._state import seeded
from ..distributions.orbit_mixture import OrbitMixtureLaw
from ..families._levels import checked_levels
from ..groups import Action, UnsupportedError
from ._draws import FlatDraws, random_state
from ._orbit_copies import copy_of, state_of
from ._orbit_elements import ActionLike, check_action, check_count, check_guide, choose_elements, resolve_action
from ._orbit_gain import Gain, estimate_gain
from ._orbit_marginals import Components, components_of
from ._supports import moving_supports
from .location_scale import AutoLocationScale

_READ = ("_prototype_frames", "_unconstrained_shapes", "_cond_indep_stacks", "latent_dim", "prototype_trace")


class OrbitMixture(FlatDraws, AutoContinuous):
    r"""The average of a guide's images under a group: for posteriors with a copy of one mode at each group element.

    Label switching in mixtures, signs of factors, hidden units: the posterior is invariant under a group, the guide
    settles on one of the copies and its evidence bound misses their number. With q the wrapped guide's law of the flat
    unconstrained vector and :math:`g_1, \dots, g_m` elements of the group,

    .. math:: q_G(z) = \frac1m\sum_{j=1}^m q(g_j^{-1}z)\,\lvert\det D g_j^{-1}(z)\rvert

    is the law of this guide (`OrbitMixtureLaw`): exact log density, reparameterised draws. Its parameters are the
    wrapped guide's; ``guide.component`` stays usable alone and holds one copy.

    **Evidence bound.** Let the target be invariant under the elements, q and S any set of them, q_S their mixture. Then
    ELBO(q_S) - ELBO(q) is the mutual information between a draw and the index of its copy, so that it lies in
    [0, log m] and equals log m where copies do not overlap; see `gain`. The bound is a concave function of the law, so
    by averaging over the group ELBO(q_S) <= ELBO(q_G) <= log Z for every S. If the target is *not* invariant, ELBO(q_S)
    is a lower bound on log Z still, and that is all: it may be lower than ELBO(q). Nothing here checks the
    invariance: ``density(action.act(g, z)) - density(z)`` of a `LogDensity` does, at points z.

    **Elements.** Finite groups up to ``max_order``: all of them. Larger and infinite compact groups: the identity and
    ``num_elements - 1`` Haar draws, made at set-up and then held fixed, so that one density is fitted and replayed;
    `resample` draws others. (Fresh draws at each step would be the surrogate bound of Yin & Zhou, 2018,
    "Semi-implicit variational inference"; with more draws it rises in expectation, as in Burda et al., 2016.)

    Works with `SVI`, ``Trace_ELBO``, ``DivergenceELBO``, ``Predictive``, minibatches, ``state_dict``. Not with
    ``NeuTraReparam``: a mixture is no image of one base law under one map.

    Args:
        guide: An ``AutoLocationScale``, one of Pyro's ``AutoContinuous`` guides, or an ``OrbitMixture`` (the elements
            of both are then combined, as for labels and signs together). Two Pyro guides of one class share parameters
            through Pyro's store, as they do alone.
        action: An action on the guide's flat unconstrained vector: ``CoordinatePermutation`` (see `label_permutation`),
            ``BlockSigns``, ``AxisFlips`` about a known centre, ... Or a function that returns one, called at set-up
            with the wrapped guide, as in ``lambda guide: label_permutation(guide, ["loc", "scale"])``.
        max_order: Largest order of a finite group of which all elements are used. A particle costs m evaluations of the
            wrapped law: up to some hundred elements they hardly show beside Pyro's own work, 5040 (K = 7 labels) do.
        num_elements: Number of elements otherwise; at least 2.
        generator: For the Haar draws; torch's global one by default.

    Attributes:
        component: The wrapped guide.
        action: The action, bound once the guide is set up.
        elements: ``[m, *element_shape]``, the identity first; None before set-up.
        is_exact: Whether they are the whole group; None before set-up.

    Raises:
        TypeError: ``guide`` is no ``AutoContinuous`` or has no density (``AutoLaplaceApproximation``), ``action`` no
            action, a number of the wrong kind; a group that is not compact (`NonCompactGroupError`).
        ValueError: An action on points that are not flat vectors, or about an unknown centre; numbers out of range. At
            set-up: an action of another dimension; supports that depend on other sites, in one of Pyro's guides.

    Example:
        ``OrbitMixture(AutoLocationScale(model), lambda guide: label_permutation(guide, ["loc"]))``
    """

    _model: Any
    master: Any
    component: AutoContinuous
    action: Any
    elements: Any

    def __init__(
        self,
        guide: AutoContinuous,
        action: ActionLike,
        max_order: int = 720,
        num_elements: int = 64,
        generator: torch.Generator | None = None,
    ) -> None:
        check_guide(guide)
        check_action(action)
        self._max_order = check_count("max_order", max_order, 1)
        self._num_elements = check_count("num_elements", num_elements, 2)
        super(AutoContinuous, self).__init__(guide._model[0] if guide._model else None)  # initialised already
        torch.nn.Module.add_module(self, "component", guide)  # not by attribute: it keeps its name and its own context
        self._given, self._generator = action, generator
        self.action = action if isinstance(action, Action) else None
        self.is_exact: bool | None = None
        self.register_buffer("elements", None)

    # -- set-up ------------------------------------------------------------------------------------------------

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        component = self.component
        if component.prototype_trace is None:
            with component._pyro_context:
                component._setup_prototype(*args, **kwargs)
        if not isinstance(component, (AutoLocationScale, OrbitMixture)):
            self._refuse_moving_supports(args, kwargs)
        self.action = resolve_action(self._given, component)
        self._given = self.action
        self._choose_elements(self._generator)
        self._generator = None
        for name in _READ:
            setattr(self, name, getattr(component, name))

    def _refuse_moving_supports(self, args: Any, kwargs: Any) -> None:
        guide = self.component
        if not guide._model:
            return
        moving = moving_supports(without_initialisation(guide.model), guide.prototype_trace, args, kwargs)
        if moving:
            raise ValueError(
                f"expected sites of fixed support, got supports that depend on other sites at {moving}, because "
                f"{type(guide).__name__} keeps those of its first run; try AutoLocationScale, which follows them"
            )

    def _choose_elements(self, generator: torch.Generator | None) -> None:
        elements, exact = choose_elements(self.action.group, self._max_order, self._num_elements, generator)
        device = next((p.device for p in self.parameters()), elements.device)
        self.is_exact = exact and getattr(self.component, "is_exact", True)
        self.register_buffer("elements", elements.to(device), persistent=not exact)

    def set_up(self, *args: Any, **kwargs: Any) -> None:
        """Make the parameters and elements, as the first call does, leaving random states alone."""
        if self.prototype_trace is None:
            with seeded(0), torch.no_grad():
                self(*args, **kwargs)

    def initialize_from_laplace(self, *args: Any, **kwargs: Any) -> bool:
        """Put the wrapped guide at a Laplace approximation: one of the copies; see `AutoLocationScale`.

        Raises:
            TypeError: The wrapped guide is one of Pyro's, which have no such start.
        """
        if not isinstance(self.component, (AutoLocationScale, OrbitMixture)):
            raise UnsupportedError(
                f"expected AutoLocationScale inside, got {type(self.component).__name__}, because Pyro's guides have "
                "no Laplace start; try AutoLocationScale"
            )
        self.set_up(*args, **kwargs)
        return self.component.initialize_from_laplace(*args, **kwargs)

    def resample(self, generator: torch.Generator | None = None) -> None:
        """Draw other elements: another density, with another bound. Where all are used there is nothing to draw.

        In a mixture of mixtures those of the outer one; ``component.resample`` draws the inner ones.
        """
        self._require_setup()
        self._choose_elements(generator)

    def _require_setup(self) -> None:
        if self.prototype_trace is None:
            raise ValueError(
                "expected a guide that has been called once, got one without parameters, because an autoguide reads "
                "the model at its first call; try guide(*args)"
            )

    # -- copies ------------------------------------------------------------------------------------------------

    def _bare_state(self) -> dict[str, Any]:
        """All but the model, its arguments and the wrapped guide."""
        model, master = self._model, self.master
        try:
            state = dict(super().__getstate__())  # sets both to None
        finally:
            self._model, self.master = model, master
        modules = {name: module for name, module in state["_modules"].items() if name != "component"}
        return {**state, "_model": None, "master": None, "_modules": modules, "_generator": None}

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but the model and its arguments, as in Pyro; here the original keeps its model."""
        return {**self._bare_state(), "_component": (type(self.component), state_of(self.component))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore, the wrapped guide first."""
        kind, inner = state.pop("_component")
        component = kind.__new__(kind)
        component.__setstate__(inner)
        self._restore(state, component)

    def _restore(self, state: dict[str, Any], component: AutoContinuous) -> None:
        super().__setstate__(state)
        torch.nn.Module.add_module(self, "component", component)

    def __deepcopy__(self, memo: dict[int, Any]) -> OrbitMixture:
        """A guide with parameters of its own, for the same model."""
        twin: OrbitMixture = type(self).__new__(type(self))
        memo[id(self)] = twin
        component = copy_of(self.component, memo)
        twin._restore(copy.deepcopy(self._bare_state(), memo), component)
        twin._model, twin._generator = self._model, self._generator
        return twin

    # -- the law -----------------------------------------------------------------------------------------------

    def get_posterior(self, *args: Any, **kwargs: Any) -> OrbitMixtureLaw:
        """The law of the flat vector, ``event_shape (d,)``; after the first call."""
        self._require_setup()
        with self.component._pyro_context:  # so that values loaded into Pyro's parameter store count
            law = self.component.get_posterior(*args, **kwargs)
        return OrbitMixtureLaw(law, self.action, self.elements)

    @property
    def parameters_(self) -> dict[str, Tensor]:
        """The wrapped ``AutoLocationScale``'s ``{"loc", "scale"}``: those of the identity's copy.

        Raises:
            TypeError: Another guide is wrapped.
        """
        if not isinstance(self.component, (AutoLocationScale, OrbitMixture)):
            raise UnsupportedError(
                f"expected AutoLocationScale inside, got {type(self.component).__name__}, because other guides have "
                "parameters of their own; try guide.component"
            )
        return self.component.parameters_

    def get_base_dist(self) -> Any:
        """Refused: a mixture is no image of one base law under one map."""
        raise self._no_single_map("base law")

    def get_transform(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: a mixture is no image of one base law under one map."""
        raise self._no_single_map("transform")

    def _loc_scale(self, *args: Any, **kwargs: Any) -> Any:
        raise self._no_single_map("location and scale")

    def _no_single_map(self, what: str) -> UnsupportedError:
        return UnsupportedError(
            f"expected a guide with one {what}, got an orbit mixture, because it has one for each copy; try "
            "guide.component, which holds one copy"
        )

    # -- latent vector and sites -------------------------------------------------------------------------------

    def _unpack_latent(self, latent: Tensor) -> Iterator[tuple[Any, Tensor]]:
        yield from self.component._unpack_latent(latent)

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Draw the latent vector and every site of the model; ``{site: value}``."""
        self._remember(args, kwargs)
        return super().forward(*args, **kwargs)

    def _remember(self, args: Any, kwargs: Any) -> None:
        """Tell the innermost guide the model's arguments, for supports that depend on other sites."""
        if isinstance(self.component, FlatDraws):
            self.component._remember(args, kwargs)  # type: ignore[attr-defined]

    def _follows_supports(self) -> bool:
        return isinstance(self.component, FlatDraws) and self.component._follows_supports()

    # -- summaries ---------------------------------------------------------------------------------------------

    def _components(self, args: Any, kwargs: Any) -> Components:
        inner = self.component
        one = inner._components(args, kwargs) if isinstance(inner, OrbitMixture) else components_of(inner, args, kwargs)
        return one.moved(self.action, self.elements)

    @torch.no_grad()
    def median(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Marginal medians of the mixture ``{site: value}``: the same for all labels, where labels are permuted."""
        return {name: value[0] for name, value in self.quantiles([0.5], *args, **kwargs).items()}

    @torch.no_grad()
    def quantiles(self, quantiles: Any, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Marginal quantiles of the mixture ``{site: [n, *site shape]}`` at ``n`` levels in (0, 1).

        By inversion of the average of the copies' distribution functions; between separated copies the middle of the
        flat piece. Exact for sites whose map to the user's scale works elementwise (real, positive, interval); for
        others (simplex, Cholesky factors) it is the image of the vector of quantiles, as in Pyro.

        Raises:
            ValueError: A level outside (0, 1); a guide never called; sums of heavy-tailed independent coordinates.
            TypeError: A wrapped guide that is no location-scale law (a flow), or an action that is not affine.
        """
        self._require_setup()
        levels = checked_levels(quantiles)
        self._remember(args, kwargs)
        like = next(iter(self.parameters()))
        result: dict[str, list[Tensor]] = {}
        for latent in self._components(args, kwargs).quantiles(levels).to(like):
            for site, unconstrained in self._unpack_latent(latent):
                result.setdefault(site["name"], []).append(biject_to(site["fn"].support)(unconstrained))
        return {name: torch.stack(values) for name, values in result.items()}

    @torch.no_grad()
    def gain(
        self, *args: Any, num_samples: int = 4096, generator: torch.Generator | None = None, **kwargs: Any
    ) -> Gain:
        r"""The gain in evidence bound over the wrapped guide's, for targets that are invariant under the elements.

        The mutual information between a draw z and the index J of its copy, :math:`\log m - E_{q_G} H(J\mid z)`, which
        equals :math:`E_q[\log q(x) - \log q_G(x)]` where the elements are the whole group. It lies in [0, log m], as
        does each term of the Monte-Carlo mean. The target is not looked at.

        Args:
            *args: The model's arguments.
            num_samples: Number of draws, at least 2.
            generator: Makes the draws reproducible; torch's global one by default.
            **kwargs: The model's keyword arguments.

        Returns:
            A `Gain`: ``value``, ``standard_error``, ``limit``.
        """
        count = check_count("num_samples", num_samples, 2)
        self._require_setup()
        law = self.get_posterior(*args, **kwargs)
        with random_state(generator):
            return estimate_gain(law, count)

    def responsibilities(self, z: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Probability that each flat point ``z[..., d]`` is of copy j: ``[..., m]``, summing to one."""
        return self.get_posterior(*args, **kwargs).responsibilities(z)

    def relabel(self, z: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Each flat point ``z[..., d]`` moved to the wrapped guide's copy, and the index of the one it was in.

        Undoes label switching in draws, this guide's or a sampler's. See `OrbitMixtureLaw.relabel`.
        """
        return self.get_posterior(*args, **kwargs).relabel(z)
