"""Local level model of the Nile with known variances: jointly normal, so means and correlations are recovered."""

import pyro
import pyro.distributions as dist
from torch import Tensor
from torch.distributions import constraints

from pyro_symvi.examples._data import read_columns
from pyro_symvi.examples._example import Example

OBSERVATION_VARIANCE = 15099.0
LEVEL_VARIANCE = 1469.1


def model(flow: Tensor) -> None:
    """flow_t ~ Normal(level_t, sd_eps), level_{t+1} ~ Normal(level_t, sd_eta), flat prior on the first level.

    The variances are fixed at sd_eps^2 = 15099 and sd_eta^2 = 1469.1, the maximum likelihood estimates of Durbin and
    Koopman (2012, section 2.10) for the whole record.

    Args:
        flow: annual flow in 10^8 cubic metres, shape ``[years]``.
    """
    level = pyro.sample("level", dist.ImproperUniform(constraints.real_vector, (), (flow.shape[-1],)))
    step = dist.Normal(flow.new_zeros(()), LEVEL_VARIANCE**0.5)
    pyro.factor("walk", step.log_prob(level[..., 1:] - level[..., :-1]).sum(-1))
    pyro.sample("flow", dist.Normal(level, OBSERVATION_VARIANCE**0.5).to_event(1), obs=flow)


def build() -> Example:
    """The example; see :data:`pyro_symvi.examples.EXAMPLES`."""
    return Example(
        name="nile",
        title="Nile flow 1871-1900: local level model",
        model=model,
        args=read_columns("nile.csv", "flow"),
        description=(
            "Annual flow of the Nile at Aswan as a random walk observed with noise, both variances known; a flat "
            "prior on the first level; 30 coordinates."
        ),
        source=(
            "G. W. Cobb (1978), The problem of the Nile, Biometrika 65, 243-251; model and variances: J. Durbin and "
            "S. J. Koopman (2012), Time Series Analysis by State Space Methods, 2nd edition, chapter 2."
        ),
        expected=(
            "The posterior is normal: every mean and the whole correlation matrix are recovered by a full-rank guide, "
            "every mean by a mean-field one."
        ),
    )
