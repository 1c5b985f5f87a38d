"""The location-scale autoguide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.distributions import constraints
from pyro.infer.autoguide import AutoContinuous
from pyro.infer.autoguide.initialization import InitMessenger, init_to_median, init_to_uniform
from pyro.nn.module import PyroParam
from torch import nn
from torch.distributions import biject_to

from ..density._model import Flat, seeded
from ..density._precision import float64_default
from ..density._sites import Site
from ..families.location_scale import LocationScale, Parameters, resolve_base


def init_to_median_or_origin(site: Any) -> torch.Tensor:
    """Prior median (Pyro's ``init_to_median``); for priors without draws (``ImproperUniform``) the value that zero in
    unconstrained space maps to."""
    try:
        return init_to_median(site)
    except NotImplementedError:
        function = site["fn"]
        transform = biject_to(function.support)
        return transform(torch.zeros(transform.inverse_shape(function.shape())))


class AutoLocationScale(AutoContinuous):
    r"""The flat unconstrained latent vector as :math:`z = \nu + C\xi` with a symmetric base law for :math:`\xi`.

    An ``AutoContinuous``: ``median``, ``quantiles`` (those of the base), ``Predictive`` and ``NeuTraReparam`` work. With
    ``base="normal"`` it is Pyro's ``AutoMultivariateNormal`` (``scale="full"``) or ``AutoDiagonalNormal``
    (``"diagonal"``). Parameters, made at the first call as in every autoguide: ``loc [d]``; ``scale [d]`` (``[]`` if
    isotropic); ``scale_tril [d, d]`` with unit diagonal if full, :math:`C` = ``scale[:, None] * scale_tril``.

    Where the support of a site depends on other sites (``Uniform(0, x)``), the support is taken at the latent values of
    each draw, not at those of the first run.

    Args:
        model: A Pyro model.
        base: See `pyro_symvi.families.LocationScale`.
        scale: ``"isotropic"``, ``"diagonal"`` or ``"full"``.
        df: Degrees of freedom of a ``student_t`` base.
        init_loc_fn: Initial value of each site, as in Pyro's autoguides; by default the prior median, and for flat priors
            the origin of unconstrained space.
        init_scale: Initial scale of each unconstrained coordinate, > 0.

    Raises:
        TypeError: ``init_scale`` or ``df`` is no number.
        ValueError: An unknown base or scale, a bad ``df``, ``init_scale`` not positive.
    """

    scale_constraint = constraints.softplus_positive
    scale_tril_constraint = constraints.unit_lower_cholesky

    def __init__(
        self,
        model: Callable[..., Any],
        base: str = "normal",
        scale: str = "full",
        df: float | None = None,
        init_loc_fn: Callable[..., Any] = init_to_median_or_origin,
        init_scale: float = 0.1,
    ) -> None:
        resolve_base(base, scale, df)
        if isinstance(init_scale, bool) or not isinstance(init_scale, (int, float)):
            raise TypeError(f"expected init_scale as a number, got {init_scale!r}, because it is a standard deviation")
        if not 0 < init_scale < float("inf"):
            raise ValueError(f"expected init_scale > 0, got {init_scale}, because it is a standard deviation")
        self._base, self._scale_pattern, self._df, self._init_scale = base, scale, df, float(init_scale)
        self._call: tuple[Any, Any] = ((), {})
        super().__init__(model, init_loc_fn=init_loc_fn)
        # a plain attribute would register a module's parameters a second time, so the model is kept in a tuple
        self._user_model = (model,)

    # -- set-up ------------------------------------------------------------------------------------------------

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        try:
            super()._setup_prototype(*args, **kwargs)
        except RuntimeError as error:
            if "dtype" not in str(error) or torch.get_default_dtype() == torch.float64:
                raise
            with float64_default():  # float64 data under a float32 default: initial values must be float64 too
                super()._setup_prototype(*args, **kwargs)
        self.loc = nn.Parameter(self._init_loc())
        size = () if self._scale_pattern == "isotropic" else (self.latent_dim,)
        self.scale = PyroParam(self.loc.new_full(size, self._init_scale), self.scale_constraint)
        if self._scale_pattern == "full":
            eye = torch.eye(self.latent_dim, dtype=self.loc.dtype, device=self.loc.device)
            self.scale_tril = PyroParam(eye, self.scale_tril_constraint)
        self._dependent = self._supports_move(args, kwargs)

    def _supports_move(self, args: Any, kwargs: Any) -> bool:
        """Whether a run at other latent values has other supports."""
        with seeded(1), torch.no_grad(), poutine.block():
            try:
                other = poutine.trace(InitMessenger(init_to_uniform)(self._user_model[0])).get_trace(*args, **kwargs)
            except Exception:
                return False  # the model can't run there; AutoContinuous' own reading stands
        sites = dict(self.prototype_trace.iter_stochastic_nodes())
        return any(n in other and repr(other.nodes[n]["fn"].support) != repr(s["fn"].support) for n, s in sites.items())

    # -- the law -----------------------------------------------------------------------------------------------

    @property
    def family(self) -> LocationScale:
        """The family, as a frozen value; after the first call."""
        self._require_setup()
        return LocationScale(self.latent_dim, self._base, self._scale_pattern, self._df)

    @property
    def parameters_(self) -> Parameters:
        """``{"loc", "scale"}`` as `LocationScale` takes them (attached to the graph); after the first call."""
        self._require_setup()
        scale = self.scale[..., None] * self.scale_tril if self._scale_pattern == "full" else self.scale
        return {"loc": self.loc, "scale": scale}

    def set_parameters(self, parameters: Mapping[str, torch.Tensor]) -> None:
        """Overwrite the guide's parameters by a family's ``{"loc", "scale"}``, in the guide's dtype."""
        self._require_setup()
        with torch.no_grad():
            self.loc.copy_(parameters["loc"].to(self.loc))
            scale = parameters["scale"].detach()
            if self._scale_pattern == "full":
                diagonal = scale.diagonal()
                self.scale_tril = (scale / diagonal[:, None]).to(self.loc)
                scale = diagonal
            self.scale = scale.to(self.loc)

    def set_up(self, *args: Any, **kwargs: Any) -> None:
        """Make the parameters (a first call), leaving random states alone and other guides' parameters untouched.

        Pyro keeps parameters of all modules in one global store, by name; a second guide of the same class would take
        over the first one's values. Where the name is taken this guide gets a numbered one.
        """
        if self.prototype_trace is not None:
            return
        name, number = self._pyro_name, 1
        while any(key.startswith(self._pyro_name + ".") for key in pyro.get_param_store().keys()):
            number += 1
            self._pyro_name = f"{name}_{number}"
        with seeded(0), torch.no_grad():
            self(*args, **kwargs)

    def _require_setup(self) -> None:
        if self.prototype_trace is None:
            raise ValueError(
                "expected a guide that has been called once, got one without parameters, because an autoguide reads the "
                "model at its first call; try guide(*args)"
            )

    def get_base_dist(self) -> dist.TorchDistribution:
        """The base law, free of parameters."""
        return self.family.law.distribution(self.latent_dim, self.loc)

    def get_transform(self, *args: Any, **kwargs: Any) -> dist.transforms.Transform:
        """The affine map from the base to the latent vector."""
        parameters = self.parameters_
        return self.family.transform(parameters["loc"], parameters["scale"])

    def _loc_scale(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        parameters = self.parameters_
        return parameters["loc"], self.family.matrix(parameters["scale"]).square().sum(-1).sqrt()

    # -- latent vector and sites -------------------------------------------------------------------------------

    def _unpack_latent(self, latent: torch.Tensor) -> Iterator[tuple[Any, torch.Tensor]]:
        if not self._dependent:
            yield from super()._unpack_latent(latent)
            return
        sites, position = {}, 0
        for name, shape in self._unconstrained_shapes.items():
            sites[name] = Site(name, slice(position, position + shape.numel()), torch.Size(), shape)
            position += shape.numel()
        flat = Flat(latent, sites)
        args, kwargs = self._call
        with poutine.block(), flat:
            self._user_model[0](*args, **kwargs)
        for site, unconstrained in super()._unpack_latent(latent):
            yield {**site, "fn": _Supported(flat.functions[site["name"]].support, site["fn"].event_dim)}, unconstrained

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Draw the latent vector and every site of the model; ``{site: value}``."""
        self._call = (args, kwargs)
        return super().forward(*args, **kwargs)

    @torch.no_grad()
    def median(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Marginal medians, ``{site: value}``: the location, on the user's scale."""
        self._call = (args, kwargs)
        return super().median(*args, **kwargs)

    @torch.no_grad()
    def quantiles(self, quantiles: Any, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Marginal quantiles ``{site: [n, *site shape]}`` at ``n`` levels in (0, 1), those of the base law.

        Exact for sites whose map to the user's scale works elementwise (real, positive, interval); for others (simplex,
        Cholesky factors) it is the image of the vector of quantiles, as in Pyro.
        """
        levels = torch.as_tensor(quantiles, dtype=torch.float64).reshape(-1)
        if not bool(((levels > 0) & (levels < 1)).all()):
            raise ValueError(f"expected quantile levels in (0, 1), got {levels.tolist()}, because the laws are unbounded")
        self._call = (args, kwargs)
        rows = self.family.quantiles(levels, self.parameters_)
        result: dict[str, list[torch.Tensor]] = {}
        for latent in rows:
            for site, unconstrained in self._unpack_latent(latent):
                result.setdefault(site["name"], []).append(biject_to(site["fn"].support)(unconstrained))
        return {name: torch.stack(values) for name, values in result.items()}


class _Supported:
    """What ``AutoContinuous`` reads of a site's distribution: its support at the present latent values."""

    def __init__(self, support: Any, event_dim: int) -> None:
        self.support, self.event_dim = support, event_dim
