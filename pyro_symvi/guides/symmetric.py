"""A guide with one symmetric law a site: von Mises-Fisher on spheres, location-scale elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.poutine.runtime import get_plates
from torch import Tensor

from ..density._model import seeded
from ..distributions.bases import Base
from ..families import LearnedDf, Parameters, Scale
from ..families._levels import checked_levels
from . import _site_laplace
from ._draws import checked_number, draw_by_runs, random_state
from ._site_laplace import LaplaceStart
from ._site_law import EuclideanSite, SiteLaw, SphereSite, bijection
from ._site_names import refuse_nested
from ._site_options import SiteOptions
from ._site_parameters import SiteParameters
from ._site_prototype import Prototype, init_to_centre, read_sites
from ._site_supports import in_full


class AutoSymmetric(SiteParameters):
    r"""Independent sites, each with the symmetric law that fits its support.

    A site on a sphere gets a von Mises-Fisher law; every other one a location-scale law :math:`z = \nu + C\xi` of its
    unconstrained value, mapped by ``biject_to(support)``. Sites, and the members of a plate, are independent of one
    another; the entries of one site's event are independent under ``scale="diagonal"`` and dependent under ``"full"``.
    Where the support of a site depends on other sites (``Uniform(0, x)``), it is taken anew in each run.

    An effect guide (``AutoMessenger``): it runs the model, and ``guide(*args)`` returns every site's value. Plates may
    be subsampled: parameters have the full size, and a minibatch uses its members' share. Particle plates around the
    guide leave the parameters alone. Discrete sites are refused, and so is a site that the first run did not meet.

    Parameters are made at the first call, and named as in ``AutoNormalMessenger``: ``locs.SITE``, ``scales.SITE``
    (``scale_trils.SITE`` and so on, as in `AutoLocationScale`), ``directions.SITE``, ``concentrations.SITE``. Two
    living guides never share them: the second is called `AutoSymmetric_2` in Pyro's parameter store.

    Args:
        model: A Pyro model.
        families: Exceptions by site name: ``"von_mises_fisher"`` or ``"power_spherical"`` for a site on a sphere;
            settings such as ``{"base": "student_t", "df": 5.0, "scale": "full"}`` for any other, with the guide's own
            for what is left out; or a family value.
        base: Base law of the location-scale sites, see `pyro_symvi.families.LocationScale`.
        scale: Their scale pattern, in each site's event: ``"isotropic"``, ``"diagonal"``, ``"full"``, ``"low_rank"``,
            or a value of `pyro_symvi.families.scales`.
        df: Degrees of freedom of a ``student_t`` base; ``LearnedDf()`` to fit them.
        init_loc_fn: Initial value of each site, as in Pyro's autoguides. By default the prior median (the origin of
            unconstrained space for flat priors), and the prior's mean direction on a sphere (a uniform draw if none).
        init_scale: Initial scale of each unconstrained coordinate, > 0.
        init_concentration: Initial concentration on spheres, > 0; 100 is a standard deviation of 0.1 radians.
        sphere: Family of the sites on spheres without an exception.

    Raises:
        TypeError: An argument of a wrong kind.
        ValueError: An unknown family, base, scale or setting, a bad number; at the first call, sites the guide can't
            treat, or exceptions for sites that are not there or do not fit.

    Example:
        >>> import pyro
        >>> from pyro_symvi.distributions import SphericalUniform, VonMisesFisher
        >>> def model(x):
        ...     mu = pyro.sample("mu", SphericalUniform(3))
        ...     with pyro.plate("data", len(x)):
        ...         pyro.sample("x", VonMisesFisher(mu, 10.0), obs=x)
        >>> guide, x = AutoSymmetric(model), torch.full((4, 3), 3**-0.5)
        >>> guide.initialize_from_laplace(x).is_mode
        True
        >>> guide.median(x)["mu"], float(guide.parameters_of("mu")["concentration"].detach())
        (tensor([0.5774, 0.5774, 0.5774]), 40.0...)
    """

    def __init__(
        self,
        model: Callable[..., Any],
        families: Mapping[str, Any] | None = None,
        base: str | Base = "normal",
        scale: str | Scale = "diagonal",
        df: float | LearnedDf | None = None,
        init_loc_fn: Callable[..., Any] = init_to_centre,
        init_scale: float = 0.1,
        init_concentration: float = 100.0,
        sphere: str = "von_mises_fisher",
    ) -> None:
        options = SiteOptions(base, scale, df, sphere, {} if families is None else families)
        self._check_model(model)
        numbers = {"init_scale": init_scale, "init_concentration": init_concentration}
        self._init_scale, self._init_concentration = (_positive(name, value) for name, value in numbers.items())
        super().__init__(model)
        self._options, self._init_loc_fn = options, init_loc_fn
        self._met: dict[str, tuple[Any, Any]] | None = None
        self._observed: frozenset[str] = frozenset()

    def _check_model(self, model: Any) -> None:
        if not callable(model):
            raise TypeError(
                f"expected a Pyro model (a callable), got {type(model).__name__}, because the guide runs it; try a "
                "function with pyro.sample statements"
            )

    # -- set-up ------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Run the model with every latent site drawn from the guide; ``{site: value}``, data included."""
        with self._pyro_context:
            self._set_up(args, kwargs)
            result: dict[str, Tensor] = super().__call__(*args, **kwargs)
            return result

    def set_up(self, *args: Any, **kwargs: Any) -> None:
        """Make the parameters, as the first call does, leaving random states alone."""
        if self._sites is None:
            with seeded(0), self._pyro_context:
                self._set_up(args, kwargs)

    def _set_up(self, args: Any, kwargs: Any) -> None:
        if self._sites is not None:
            return
        found, self._observed = read_sites(self.model, args, kwargs, self._init_loc_fn)
        refuse_nested(list(found))
        self._check_sites(found)
        self._options.refuse_unknown_names(found)
        self._make({name: self._sphere(f) if f.on_sphere else self._elsewhere(f) for name, f in found.items()})

    def _check_sites(self, found: Mapping[str, Prototype]) -> None:
        """Hook: what a narrower guide refuses."""

    def _sphere(self, found: Prototype) -> tuple[SiteLaw, Parameters]:
        shape = found.prior.event_shape
        site = SphereSite(found.name, found.batch_shape, shape, self._options.on_sphere(found.name, shape[-1]))
        return site, site.initial(found.in_full(found.value, len(shape)), self._init_concentration)

    def _elsewhere(self, found: Prototype) -> tuple[SiteLaw, Parameters]:
        prior = found.prior
        flat = bijection(prior.support, prior.event_dim).inverse_shape(prior.shape())[len(prior.batch_shape) :]
        law = self._options.elsewhere(found.name, flat.numel(), prior.support)
        site = EuclideanSite(found.name, found.batch_shape, prior.event_shape, law, flat)
        loc = found.in_full(site.flatten(found.value, prior.support), 1)
        return site, site.initial(loc, self._init_scale)

    # -- the law -----------------------------------------------------------------------------------------------

    def get_posterior(self, name: str, prior: Any) -> dist.TorchDistribution | Tensor:
        """The law of one site, under the support that its prior has in this run (see ``AutoMessenger``).

        A site that was observed in the first run and is not in this one (prediction) keeps the model's own law.
        """
        if name in self._observed:
            law: dist.TorchDistribution = prior
            return law
        site = self._site(name)
        if prior.event_shape != site.event_shape:
            raise ValueError(
                f"expected site '{name}' with event shape {list(site.event_shape)} at every run, got "
                f"{list(prior.event_shape)}, because its parameters have one shape; try sampling the largest shape "
                "always and masking what is not used"
            )
        parameters = self.parameters_of(name)
        if self._met is None:
            return site.posterior(parameters, prior.support)
        self._met[name] = prior.support, get_plates()
        return site.centre(parameters, prior.support)

    # -- summaries ---------------------------------------------------------------------------------------------

    def median(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """The centre of each latent site, ``{site: [*plates, *event]}``, plates in full.

        The marginal median (the image of the location) of a location-scale site, the mean direction of a sphere site.

        Raises:
            ValueError: Before the first call; members of a subsampled plate have supports of their own.
        """
        return {
            name: self._site(name).centre(self.parameters_of(name), support).detach()
            for name, support in self._supports(args, kwargs).items()
        }

    def quantiles(self, quantiles: Any, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Marginal quantiles ``{site: [n, *plates, *event]}`` at ``n`` levels in (0, 1), those of the base law.

        Exact for sites whose map to the user's scale works elementwise (real, positive, interval), decreasing ones
        included; for others (simplex, Cholesky factors) it is the image of the vector of quantiles, as in Pyro. A
        support that depends on other sites is taken at their medians. A sphere has no order and so no quantiles: sites
        on spheres are left out, see `cap_angles`.
        """
        levels = checked_levels(quantiles)
        found = {}
        for name, support in self._supports(args, kwargs).items():
            site = self._site(name)
            if isinstance(site, EuclideanSite):
                found[name] = site.quantiles(levels, _detached(self.parameters_of(name)), support).detach()
        return found

    def cap_angles(self, levels: Any) -> dict[str, Tensor]:
        """For sites on spheres, ``{site: [n, *plates]}``: the angle around the mean direction that holds each mass.

        In radians, exact: the law of the cosine. The cap of that angle is the smallest region of that mass, as the
        central interval is for a bell-shaped law on the line.
        """
        u = checked_levels(levels)
        return {
            name: site.family.cap_angles(u, _detached(self.parameters_of(name)))
            for name, site in self._known().items()
            if isinstance(site, SphereSite)
        }

    def sample(
        self, num_samples: int, *args: Any, generator: torch.Generator | None = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Independent draws of every latent site, ``{site: [num_samples, *site shape]}``, without gradients.

        One run of the model a draw, so that supports that depend on other sites are followed; a subsampled plate shows
        its members only.

        Args:
            num_samples: At least 1.
            *args: The model's arguments.
            generator: Makes the draws reproducible and leaves torch's state alone; by default torch's global one.
            **kwargs: The model's keyword arguments.
        """
        count = checked_number(num_samples)
        self.set_up(*args, **kwargs)
        with random_state(generator):
            return draw_by_runs(self, list(self._known()), count, args, kwargs)

    def _supports(self, args: Any, kwargs: Any) -> dict[str, Any]:
        """Support of each site with the others at their centres, plates in full."""
        self._known()
        self._met = {}
        try:
            with seeded(0), torch.no_grad(), poutine.block():
                self(*args, **kwargs)
            met = self._met
        finally:
            self._met = None
        return {
            name: in_full(support, plates, len(self._site(name).event_shape), name)
            for name, (support, plates) in met.items()
        }

    # -- starting points ---------------------------------------------------------------------------------------

    def initialize_from_laplace(self, *args: Any, **kwargs: Any) -> LaplaceStart:
        """Put the guide at a mode of the joint density, found by climbing from the present centres.

        Locations and directions go to the mode (of the unconstrained coordinates, and of the sphere's own area);
        scales and concentrations follow the curvature there as reverse KL would: minus the Hessian's block of a site
        is its precision, its inverse the scatter (divided by the base's variance where that exists), and on a sphere
        the mean precision along the tangents is the concentration. For a normal, or a von Mises-Fisher, posterior of
        independent sites this is the exact answer. Takes as many passes as there are coordinates.

        Returns:
            What was found; its truth value is whether it is a mode with a definite Hessian block at every site. Blocks
            that are not keep the initial scale, in the directions concerned.

        Raises:
            ValueError: A subsampled plate (the density of a minibatch is another one), or a log density that is not
                finite at the start.
        """
        self.set_up(*args, **kwargs)
        sites = self._known()
        start = {name: _detached(self.parameters_of(name)) for name in sites}
        found, parameters = _site_laplace.climb(
            self.model, args, kwargs, sites, start, self._init_scale, self._init_concentration
        )
        self.set_parameters(parameters)
        return found


def _detached(parameters: Parameters) -> Parameters:
    return {kind: value.detach() for kind, value in parameters.items()}


def _positive(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"expected {name} as a number, got {value!r}, because every site starts there; try {name}=1.0")
    if not 0 < value < float("inf"):
        raise ValueError(f"expected {name} > 0, got {value}, because it is a width; try {name}=1.0")
    return float(value)
