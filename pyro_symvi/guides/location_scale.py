"""The location-scale autoguide."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.infer.autoguide import AutoContinuous
from pyro.infer.autoguide.initialization import init_to_median
from pyro.nn.module import PyroParam
from torch.distributions import biject_to

from ..density import LogDensity
from ..density._laplace import laplace_approximation
from ..density._model import seeded
from ..density._precision import retried_in_double
from ..distributions.bases import Base
from ..families import BlockDiagonal, LearnedDf, LocationScale, Parameters, Scale
from ..families._levels import checked_levels
from ..families.location_scale import resolve_base, resolve_scale
from . import _scale_parameters
from ._draws import FlatDraws
from ._names import claim_name
from ._supports import Supported, moving_supports, supports_at

_BY_SITE = "block_diagonal"


def init_to_median_or_origin(site: Any) -> torch.Tensor:
    """Prior median (Pyro's ``init_to_median``); for priors without draws (``ImproperUniform``) the value that zero in
    unconstrained space maps to."""
    try:
        return init_to_median(site)
    except NotImplementedError:
        function = site["fn"]
        transform = biject_to(function.support)
        return transform(torch.zeros(transform.inverse_shape(function.shape())))


class AutoLocationScale(FlatDraws, AutoContinuous):
    r"""The flat unconstrained latent vector as :math:`z = \nu + C\xi` with a symmetric base law for :math:`\xi`.

    An ``AutoContinuous``: ``median``, ``quantiles`` (of the base), ``Predictive`` and ``NeuTraReparam`` work. With
    ``base="normal"`` it is Pyro's ``AutoMultivariateNormal`` (``scale="full"``), ``AutoDiagonalNormal``
    (``"diagonal"``) or ``AutoLowRankMultivariateNormal`` (``"low_rank"``). Parameters, made at the first call as in
    every autoguide: ``loc [d]``; ``scale [d]`` (``[]`` if isotropic); with it, if full, ``scale_tril [d, d]`` of unit
    diagonal, :math:`C` = ``scale[:, None] * scale_tril``; if block diagonal, ``scale_lower``, the entries of the blocks
    below the diagonal; if low rank, ``cov_factor [d, r]``; ``scale_log [k]`` alone if tied; ``df`` if learned.

    Where the support of a site depends on other sites (``Uniform(0, x)``), the support is taken at the latent values of
    each draw, not at those of the first run.

    Two living guides never share parameters: where Pyro's store already holds those of another, this one's name gets a
    number (`AutoLocationScale_2`). Copies and unpickled guides too.

    Args:
        model: A Pyro model.
        base: See `pyro_symvi.families.LocationScale`.
        scale: ``"isotropic"``, ``"diagonal"``, ``"full"``, ``"low_rank"``, ``"block_diagonal"`` (a block for each
            site), or a value of `pyro_symvi.families.scales`, among them ``Tied(action)`` and ``Fixed(value)``.
        df: Degrees of freedom of a ``student_t`` base; ``LearnedDf()`` to fit them.
        init_loc_fn: Initial value of each site, as in Pyro's autoguides; by default the prior median, for flat priors
            the origin of unconstrained space.
        init_scale: Initial scale of each unconstrained coordinate, > 0.

    Raises:
        TypeError: ``init_scale`` or ``df`` is no number.
        ValueError: An unknown base or scale, a bad ``df``, ``init_scale`` not positive.
    """

    _model: Any
    master: Any
    _pyro_name: str

    def __init__(
        self,
        model: Callable[..., Any],
        base: str | Base = "normal",
        scale: str | Scale = "full",
        df: float | LearnedDf | None = None,
        init_loc_fn: Callable[..., Any] = init_to_median_or_origin,
        init_scale: float = 0.1,
    ) -> None:
        if not callable(model):
            raise TypeError(
                f"expected a Pyro model (a callable), got {type(model).__name__}, because the guide runs it; try a "
                "function with pyro.sample statements"
            )
        resolve_base(base, BlockDiagonal([1]) if scale == _BY_SITE else resolve_scale(scale), df)
        if isinstance(init_scale, bool) or not isinstance(init_scale, (int, float)):
            raise TypeError(
                f"expected init_scale as a number, got {init_scale!r}, because it is a scale; try init_scale=0.1"
            )
        if not 0 < init_scale < float("inf"):
            raise ValueError(f"expected init_scale > 0, got {init_scale}, because it is a scale; try init_scale=0.1")
        self._base, self._scale_pattern, self._df, self._init_scale = base, scale, df, float(init_scale)
        self._call: tuple[Any, Any] = ((), {})
        self._family: LocationScale | None = None
        self._fresh = False
        super().__init__(model, init_loc_fn=init_loc_fn)
        # a plain attribute would register a module's parameters a second time, so the model is kept in a tuple
        self._user_model = (model,)

    # -- set-up ------------------------------------------------------------------------------------------------

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        setup = super()._setup_prototype
        try:
            retried_in_double(lambda: setup(*args, **kwargs))
        except ValueError as error:
            if "spherical" not in str(error):
                raise
            raise ValueError(
                f"expected sites that map to a flat space, got one on a sphere ({error}), because a location-scale law "
                "has no place there; try AutoSymmetric, which has a von Mises-Fisher law for it"
            ) from error
        self._family = family = LocationScale(self.latent_dim, self._base, self._scale_in(), self._df)
        loc = self._init_loc()
        parts = self._parts({**family.initial(self._init_scale, loc), "loc": loc})
        if self.master is None:  # part of an AutoGuideList otherwise, which names its parts
            shapes = {name: value.shape for name, (value, _) in parts.items()}
            self._pyro_name = claim_name(self, shapes, fresh=self._fresh)
        for name, (value, constraint) in parts.items():  # a bare nn.Parameter would not follow a loaded store
            setattr(self, name, PyroParam(value, constraint))
        self._dependent = bool(moving_supports(self._user_model[0], self.prototype_trace, args, kwargs))

    def _scale_in(self) -> str | Scale:
        """The scale pattern in the latent space: blocks by site where asked for."""
        if self._scale_pattern != _BY_SITE:
            return self._scale_pattern
        return BlockDiagonal([shape.numel() for shape in self._unconstrained_shapes.values()])

    def _parts(self, parameters: Parameters) -> dict[str, tuple[torch.Tensor, Any]]:
        """The guide's own parameters, with constraints, for a family's."""
        family = self.family
        parts = {"loc": (parameters["loc"], constraints.real)}
        parts.update(_scale_parameters.split(family.pattern, parameters["scale"]))
        if isinstance(family.df, LearnedDf):
            parts["df"] = (parameters["df"], constraints.greater_than(family.df.minimum))
        return parts

    def set_up(self, *args: Any, **kwargs: Any) -> None:
        """Make the parameters, as the first call does, leaving random states alone.

        As in Pyro's own guides, values that Pyro's store holds under this guide's name, of the same shapes, are taken
        (so that ``pyro.get_param_store().load(...)`` before the first call restores a guide): those of an earlier guide
        or model too, where no living guide holds them. ``pyro.clear_param_store()`` first, or `set_up_afresh`, starts
        from nothing.
        """
        if self.prototype_trace is None:
            with seeded(0), torch.no_grad():
                self(*args, **kwargs)

    def set_up_afresh(self, *args: Any, **kwargs: Any) -> None:
        """As `set_up`, but never from values left in Pyro's parameter store."""
        self._fresh = True
        self.set_up(*args, **kwargs)

    # -- copies ------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but the model and its arguments (as in Pyro; here the original keeps its model)."""
        model, master = self._model, self.master
        try:
            state = dict(super().__getstate__())  # unlinks parameters, and sets both to None on the original too
        finally:
            self._model, self.master = model, master
        return {**state, "_model": None, "master": None, "_user_model": None, "_call": ((), {})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore, under a name of its own where the original lives."""
        super().__setstate__(state)
        if self.prototype_trace is not None and self.master is None:
            held = self._parameters.items()
            shapes = {name.removesuffix("_unconstrained"): value.shape for name, value in held if value is not None}
            self._pyro_name = claim_name(self, shapes)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutoLocationScale:
        """A guide with parameters of its own, for the same model."""
        twin: AutoLocationScale = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        twin._model, twin._user_model, twin._call = self._model, self._user_model, self._call
        return twin

    # -- the law -----------------------------------------------------------------------------------------------

    @property
    def family(self) -> LocationScale:
        """The family, as a frozen value; after the first call."""
        if self._family is None:
            raise ValueError(
                "expected a guide that has been called once, got one without parameters, because an autoguide reads "
                "the model at its first call; try guide(*args)"
            )
        return self._family

    @property
    def parameters_(self) -> Parameters:
        """``{"loc", "scale"}``, and ``"df"`` if learned, as `LocationScale` takes them (attached to the graph)."""
        family = self.family
        with self._pyro_context:  # so that values loaded into Pyro's parameter store count
            parts = {name.removesuffix("_unconstrained") for name in self._parameters}
            values = {name: getattr(self, name) for name in parts}
            found = {"loc": values["loc"], "scale": _scale_parameters.join(family.pattern, values, values["loc"])}
            return {**found, "df": values["df"]} if family.learns_df else found

    def set_parameters(self, parameters: Parameters) -> None:
        """Overwrite the guide's parameters by a family's ``{"loc", "scale"}`` (``"df"``), in the guide's dtype.

        Raises:
            ValueError: A wrong shape, a value that is not finite, or a scale that its pattern does not allow (not
                positive, not lower triangular); nothing is changed then.
        """
        before = self.parameters_
        if not before.keys() <= parameters.keys():
            raise ValueError(
                f"expected parameters {list(before)}, got {list(parameters)}, because a law needs all of them; try the "
                "guide's own parameters_, changed where wanted"
            )
        new = {name: _checked(name, parameters, now, self.family) for name, now in before.items()}
        with torch.no_grad(), self._pyro_context:
            for name, (value, _) in self._parts(new).items():
                setattr(self, name, value.to(self.loc))

    def initialize_from_laplace(self, *args: Any, **kwargs: Any) -> bool:
        """Put location and scale at a Laplace approximation of the posterior, found from the present location.

        The location is the mode; the scale is the pattern's nearest to the inverse of minus the Hessian there, which
        for a normal base and target is the reverse-KL optimum (low rank: a start near it), divided by the base's
        standard deviation where it has one.

        Returns:
            Whether a mode was found: a stationary point with a negative definite Hessian. If not, the guide is put at
            the best point found, with unit scale.

        Raises:
            ValueError: The model is no flat density; see `LogDensity.from_model`.
        """
        self.set_up(*args, **kwargs)
        if self._user_model is None:
            raise ValueError(
                "expected a guide that knows its model, got an unpickled one, because pickling leaves the model out; "
                "try a new guide and load_state_dict"
            )
        family, present = self.family, self.parameters_
        density = LogDensity.from_model(self._user_model[0], *args, **kwargs)
        laplace = laplace_approximation(density, present["loc"].detach().double())
        variance = family.at(present).law.variance(family.dim)
        root = laplace.root / (variance**0.5 if 0 < variance < float("inf") else 1.0)
        self.set_parameters({**present, "loc": laplace.point, "scale": family.pattern.from_root(root)})
        return laplace.is_mode

    def get_base_dist(self) -> dist.TorchDistribution:
        """The base law, free of parameters."""
        family = self.family
        return family.base_distribution(self.loc, self.parameters_ if family.learns_df else {})

    def get_transform(self, *args: Any, **kwargs: Any) -> dist.transforms.Transform:
        """The affine map from the base to the latent vector."""
        parameters = self.parameters_
        return self.family.transform(parameters["loc"], parameters["scale"])

    def _loc_scale(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        parameters = self.parameters_
        return parameters["loc"], self.family.matrix(parameters["scale"]).square().sum(-1).sqrt()

    # -- latent vector and sites -------------------------------------------------------------------------------

    def _unpack_latent(self, latent: torch.Tensor) -> Iterator[tuple[Any, torch.Tensor]]:
        pairs = list(super()._unpack_latent(latent))
        if not self._dependent or self._user_model is None:
            yield from pairs
            return
        supports = supports_at(self._user_model[0], *self._call, {site["name"]: value for site, value in pairs})
        for site, unconstrained in pairs:
            yield {**site, "fn": Supported(supports[site["name"]], site["fn"].event_dim)}, unconstrained

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Draw the latent vector and every site of the model; ``{site: value}``."""
        self._remember(args, kwargs)
        return super().forward(*args, **kwargs)

    def _remember(self, args: Any, kwargs: Any) -> None:
        """Keep the model's arguments, for supports that depend on other sites."""
        self._call = (args, kwargs)

    @torch.no_grad()
    def median(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Marginal medians, ``{site: value}``: the location, on the user's scale."""
        self._remember(args, kwargs)
        return super().median(*args, **kwargs)

    @torch.no_grad()
    def quantiles(self, quantiles: Any, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Marginal quantiles ``{site: [n, *site shape]}`` at ``n`` levels in (0, 1), those of the base law.

        Exact for sites whose map to the user's scale works elementwise (real, positive, interval); for others (simplex,
        Cholesky factors) it is the image of the vector of quantiles, as in Pyro.
        """
        levels = checked_levels(quantiles)
        self._remember(args, kwargs)
        rows = self.family.quantiles(levels, self.parameters_)
        result: dict[str, list[torch.Tensor]] = {}
        for latent in rows:
            for site, unconstrained in self._unpack_latent(latent):
                result.setdefault(site["name"], []).append(biject_to(site["fn"].support)(unconstrained))
        return {name: torch.stack(values) for name, values in result.items()}


def _checked(name: str, parameters: Parameters, now: torch.Tensor, family: LocationScale) -> torch.Tensor:
    """A new value of a parameter, detached; raises ValueError where it can't be one."""
    value = parameters[name].detach()
    if value.shape != now.shape:
        raise ValueError(
            f"expected {name} of shape {tuple(now.shape)}, got {tuple(value.shape)}, because the guide has a "
            f"{family.pattern.name} scale; try the parameters of guide.family"
        )
    wanted = family.complaint(name, value)
    if wanted is not None:
        raise ValueError(
            f"expected {name} to be {wanted}, got {value.tolist()}, because no such law exists; try the parameters of "
            "guide.family"
        )
    return value
