"""Logistic regression of O-ring distress on temperature: a skewed posterior from 23 binary outcomes."""

import pyro
import pyro.distributions as dist
from torch import Tensor

from pyro_symvi.examples._data import read_columns
from pyro_symvi.examples._example import Example


def model(temperature: Tensor, distress: Tensor) -> None:
    """distress_i ~ Bernoulli(logit^-1(intercept + slope t_i)), both coefficients Normal(0, 2.5).

    Args:
        temperature: standardised temperatures t (mean 0, sample standard deviation 1), shape ``[flights]``.
        distress: 0 or 1, shape ``[flights]``.
    """
    zero = temperature.new_zeros(())
    intercept = pyro.sample("intercept", dist.Normal(zero, 2.5))
    slope = pyro.sample("slope", dist.Normal(zero, 2.5))
    with pyro.plate("flight", distress.shape[-1]):
        pyro.sample("distress", dist.Bernoulli(logits=intercept + slope * temperature), obs=distress)


def build() -> Example:
    """The example; see :data:`pyro_symvi.examples.EXAMPLES`."""
    temperature, distress = read_columns("challenger.csv", "temperature", "distress")
    return Example(
        name="challenger",
        title="Challenger O-rings: logistic regression",
        model=model,
        args=((temperature - temperature.mean()) / temperature.std(), distress),
        description=(
            "Thermal distress of O-rings in 23 shuttle flights, logistic in the standardised joint temperature; "
            "intercept and slope ~ Normal(0, 2.5)."
        ),
        source=(
            "S. R. Dalal, E. B. Fowlkes and B. Hoadley (1989), Risk analysis of the space shuttle: pre-Challenger "
            "prediction of failure, J. American Statistical Association 84, 945-957."
        ),
        expected=(
            "7 cases against 16 make the log-likelihood skewed: neither coefficient's mean is recovered exactly; the "
            "error is bounded at best."
        ),
    )
