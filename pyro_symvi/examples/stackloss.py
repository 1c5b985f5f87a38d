"""Linear regression with flat priors on Brownlee's stack loss data: the coefficients' means are least squares."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from pyro_symvi.examples._data import read_columns
from pyro_symvi.examples._example import Example

PREDICTORS = ("air_flow", "water_temperature", "acid_concentration")


def design() -> tuple[Tensor, Tensor]:
    """The regression's design matrix, shape ``[21, 4]`` with the intercept first, and the losses, shape ``[21]``."""
    *predictors, loss = read_columns("stackloss.csv", *PREDICTORS, "loss")
    return torch.stack([torch.ones_like(loss), *predictors], dim=-1), loss


def model(predictors: Tensor, loss: Tensor) -> None:
    """loss_i ~ Normal(x_i . beta, sigma) with p(beta, sigma) proportional to 1, sigma > 0.

    Args:
        predictors: design matrix, shape ``[n, k]``.
        loss: response, shape ``[n]``.
    """
    beta = pyro.sample("beta", dist.ImproperUniform(constraints.real_vector, (), (predictors.shape[-1],)))
    sigma = pyro.sample("sigma", dist.ImproperUniform(constraints.positive, (), ()))
    with pyro.plate("day", loss.shape[-1]):
        pyro.sample("loss", dist.Normal((predictors * beta).sum(-1), sigma), obs=loss)


def build() -> Example:
    """The example; see :data:`pyro_symvi.examples.EXAMPLES`."""
    return Example(
        name="stackloss",
        title="stack loss: linear regression, flat priors",
        model=model,
        args=design(),
        description=(
            "Ammonia lost by a plant on 21 days, regressed on air flow, water temperature and acid concentration; "
            "normal errors, flat priors on the 4 coefficients and on sigma > 0."
        ),
        source=(
            "K. A. Brownlee (1965), Statistical Theory and Methodology in Science and Engineering, "
            "2nd edition, Wiley, p. 454."
        ),
        expected=(
            "Given sigma, beta is elliptical about least squares whatever sigma is: every coefficient's mean and the "
            "correlations among coefficients are recovered. log sigma is skewed: its mean is not."
        ),
    )
