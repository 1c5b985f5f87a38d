"""Darwin's maize: a normal sample with unknown mean and standard deviation."""

import pyro
import pyro.distributions as dist
from torch import Tensor
from torch.distributions import constraints

from pyro_symvi.examples._data import read_columns
from pyro_symvi.examples._example import Example


def model(difference: Tensor) -> None:
    """difference_i ~ Normal(mu, sigma) with p(mu, sigma) proportional to 1, sigma > 0.

    Args:
        difference: height of the crossed plant less that of its self-fertilised mate, shape ``[pairs]``, in eighths
            of an inch as Fisher has them.
    """
    mu = pyro.sample("mu", dist.ImproperUniform(constraints.real, (), ()))
    sigma = pyro.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    with pyro.plate("pair", difference.shape[-1]):
        pyro.sample("difference", dist.Normal(mu, sigma), obs=difference)


def build() -> Example:
    """The example; see :data:`pyro_symvi.examples.EXAMPLES`."""
    crossed, self_fertilised = read_columns("darwin.csv", "crossed", "self_fertilised")
    return Example(
        name="darwin",
        title="Darwin's maize: normal mean and sd, flat priors",
        model=model,
        args=(8 * (crossed - self_fertilised),),
        description=(
            "15 paired differences in height between cross- and self-fertilised maize, in eighths of an inch; normal "
            "with flat priors on mu and on sigma > 0."
        ),
        source=(
            "C. Darwin (1876), The Effects of Cross and Self Fertilisation in the Vegetable Kingdom, table XCVII; "
            "R. A. Fisher (1935), The Design of Experiments, chapter III."
        ),
        expected=(
            "mu is symmetric about the sample mean for every sigma: its mean is recovered (20.9333). log sigma is "
            "skewed: its mean is not."
        ),
    )
