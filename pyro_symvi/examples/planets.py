"""The orbital poles of the planets: a direction and a concentration, with a mean direction known in closed form."""

import math

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_symvi.distributions import SphericalUniform, VonMisesFisher
from pyro_symvi.examples._data import read_columns
from pyro_symvi.examples._example import Example

MEDIAN_CONCENTRATION = 10.0
LOG_SD = 3.0


def model(pole: Tensor, concentration: Tensor | float | None = None) -> None:
    """pole_i ~ VonMisesFisher(mu, kappa), mu uniform on the sphere, log kappa ~ Normal(log 10, 3).

    The poles scatter about mu by about 1 / sqrt(kappa) radians. The prior's central 95 % reach from kappa = 0.03, no
    direction preferred, to 3600, within a degree: it is proper and says little else.

    With ``concentration`` given, the posterior of mu is VonMisesFisher.from_natural(concentration * pole.sum(0)),
    exactly. Without, it is that law given kappa, and p(kappa) is proportional to its prior times
    Z(kappa R) / Z(kappa)^n, where R is the length of pole.sum(0) and Z the normaliser (`log_vmf_normalizer`).

    Args:
        pole: unit vectors, shape ``[planets, 3]``.
        concentration: kappa, where it is known.
    """
    mu = pyro.sample("mu", SphericalUniform(3, dtype=pole.dtype, device=pole.device))
    if concentration is None:
        middle = pole.new_tensor(math.log(MEDIAN_CONCENTRATION))
        concentration = pyro.sample("kappa", dist.LogNormal(middle, LOG_SD))
    with pyro.plate("planet", pole.shape[-2]):
        pyro.sample("pole", VonMisesFisher(mu, concentration), obs=pole)


def poles(inclination: Tensor, node: Tensor) -> Tensor:
    """Unit normals ``[n, 3]`` of orbits, (sin i sin O, -sin i cos O, cos i), from degrees ``[n]``."""
    i, o = torch.deg2rad(inclination), torch.deg2rad(node)
    return torch.stack([i.sin() * o.sin(), -i.sin() * o.cos(), i.cos()], -1)


def build() -> Example:
    """The example; see :data:`pyro_symvi.examples.EXAMPLES`."""
    return Example(
        name="planets",
        title="orbital poles of the planets: mean direction",
        model=model,
        args=(poles(*read_columns("planets.csv", "inclination", "node")),),
        description=(
            "Normals to the orbits of the eight planets as von Mises-Fisher directions with unknown mean direction mu "
            "(uniform prior) and concentration kappa (log-normal prior)."
        ),
        source=(
            "J. L. Simon et al. (1994), Astronomy and Astrophysics 282, 663-683. Whether the poles agree by chance is "
            "the question of Daniel Bernoulli's prize essay for the Paris Academy of Sciences, 1735."
        ),
        expected=(
            "The posterior is symmetric about the resultant of the poles: the mean direction is recovered by every "
            "guide that is symmetric about a direction. mu lies on a sphere, see guides.AutoSymmetric."
        ),
        sphere_sites=("mu",),
    )
