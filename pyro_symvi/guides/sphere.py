"""The guide for models whose latent sites all lie on spheres."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._site_prototype import Prototype, init_to_centre
from .symmetric import AutoSymmetric


class AutoSphere(AutoSymmetric):
    r"""Independent laws on spheres, one a site: `AutoSymmetric` for models without other latent sites.

    Any number of sites, of any dimensions, in plates that may be subsampled. Parameters: ``directions.SITE
    [*plates, d]`` and ``concentrations.SITE [*plates]``. `median` is the mean direction; `cap_angles` are the angles
    around it that hold a given mass.

    Args:
        model: A Pyro model whose latent sites have the support ``constraints.sphere``.
        family: ``"von_mises_fisher"`` or ``"power_spherical"``, for all sites.
        init_loc_fn: Initial direction of each site, as in Pyro's autoguides (any vector but 0; it is normalised). By
            default the prior's mean direction, or a uniform draw where it has none.
        init_concentration: Initial concentration, > 0; 100 is a standard deviation of 0.1 radians.

    Raises:
        TypeError: ``init_concentration`` is no number, ``model`` no callable.
        ValueError: An unknown family, ``init_concentration`` not positive; at the first call, a latent site that is not
            on a sphere.

    Example:
        >>> from pyro_symvi import examples
        >>> example = examples.get("planets")
        >>> guide = AutoSphere(example.model)
        >>> start = guide.initialize_from_laplace(*example.args, concentration=500.0)  # exact: a von Mises-Fisher law
        >>> guide.cap_angles([0.95])["mu"].rad2deg()
        tensor([2.2185], dtype=torch.float64)
    """

    def __init__(
        self,
        model: Callable[..., Any],
        family: str = "von_mises_fisher",
        init_loc_fn: Callable[..., Any] = init_to_centre,
        init_concentration: float = 100.0,
    ) -> None:
        super().__init__(model, init_loc_fn=init_loc_fn, init_concentration=init_concentration, sphere=family)

    def _check_sites(self, found: Mapping[str, Prototype]) -> None:
        others = [f"'{site.name}' (support {site.prior.support})" for site in found.values() if not site.on_sphere]
        if others:
            raise ValueError(
                f"expected latent sites on spheres only, got {', '.join(others)}, because this guide has no law for "
                "them; try AutoSymmetric, which has one for every site"
            )
