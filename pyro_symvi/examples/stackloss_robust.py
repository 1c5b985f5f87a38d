"""Stack loss with Student-t errors: the outliers break the symmetry about any centre."""

import pyro
import pyro.distributions as dist
from torch import Tensor
from torch.distributions import constraints

from pyro_symvi.examples._example import Example
from pyro_symvi.examples.stackloss import design


def model(predictors: Tensor, loss: Tensor) -> None:
    """loss_i ~ StudentT(4, x_i . beta, sigma), flat prior on beta, sigma ~ HalfCauchy(10).

    Args:
        predictors: design matrix, shape ``[n, k]``.
        loss: response, shape ``[n]``.
    """
    beta = pyro.sample("beta", dist.ImproperUniform(constraints.real_vector, (), (predictors.shape[-1],)))
    sigma = pyro.sample("sigma", dist.HalfCauchy(loss.new_tensor(10.0)))
    with pyro.plate("day", loss.shape[-1]):
        pyro.sample("loss", dist.StudentT(4.0, (predictors * beta).sum(-1), sigma), obs=loss)


def build() -> Example:
    """The example; see :data:`pyro_symvi.examples.EXAMPLES`."""
    return Example(
        name="stackloss-robust",
        title="stack loss: robust regression, Student-t errors",
        model=model,
        args=design(),
        description=(
            "The stack loss regression with Student-t errors of 4 degrees of freedom; flat priors on the 4 "
            "coefficients, sigma ~ HalfCauchy(10)."
        ),
        source=(
            "K. A. Brownlee (1965), Statistical Theory and Methodology in Science and Engineering, "
            "2nd edition, Wiley, p. 454."
        ),
        expected=(
            "Student-t errors are not elliptical in beta and the residuals are not symmetric: no coefficient's mean is "
            "recovered exactly; at best it is bounded."
        ),
    )
