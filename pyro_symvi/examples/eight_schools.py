"""Eight schools, non-centred: a hierarchy that must not be certified as a whole."""

import pyro
import pyro.distributions as dist
from torch import Tensor

from pyro_symvi.examples._data import read_columns
from pyro_symvi.examples._example import Example


def model(effect: Tensor, standard_error: Tensor) -> None:
    """effect_j ~ Normal(theta_j, s_j), theta_j = mu + tau eta_j, eta_j ~ Normal(0, 1).

    The hyperparameters are mu ~ Normal(0, 5), tau ~ HalfCauchy(5).

    Args:
        effect: estimated effects, shape ``[schools]``.
        standard_error: their standard errors s, shape ``[schools]``.
    """
    zero = effect.new_zeros(())
    mu = pyro.sample("mu", dist.Normal(zero, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(zero + 5.0))
    with pyro.plate("school", effect.shape[-1]):
        eta = pyro.sample("eta", dist.Normal(zero, 1.0))
        theta = pyro.deterministic("theta", mu + tau * eta, event_dim=0)
        pyro.sample("effect", dist.Normal(theta, standard_error), obs=effect)


def build() -> Example:
    """The example; see :data:`pyro_symvi.examples.EXAMPLES`."""
    return Example(
        name="eight-schools",
        title="eight schools, non-centred hierarchy",
        model=model,
        args=read_columns("eight_schools.csv", "effect", "standard_error"),
        description=(
            "Coaching effects in eight schools with known standard errors: theta = mu + tau eta, eta ~ Normal(0, 1), "
            "mu ~ Normal(0, 5), tau ~ HalfCauchy(5)."
        ),
        source=(
            "D. B. Rubin (1981), Estimation in parallel randomized experiments, J. Educational Statistics 6, 377-401."
        ),
        expected=(
            "Given tau everything is normal, but its centre moves with tau: no coordinate is recovered exactly, "
            "however harmless the margins look."
        ),
    )
