"""Values at which fits end although the target is symmetric (or nearly): the section of adversarial cases, by number.

Where the symmetry says what the mean is, the distance is told; nothing is exact. Cases of a saddle, a plateau or a
better optimum elsewhere are in test_saddles_and_plateaus, far modes in test_far_modes.
"""

import math

import pytest
import torch

from pyro_symvi.divergences import ForwardKL
from pyro_symvi.recovery import Verdict
from tests.recovery.targets import Function, assert_honest, assert_nothing_exact, certify_at, mixture, normal, vector


def logistic(z: torch.Tensor) -> torch.Tensor:
    return (-z - 2 * torch.nn.functional.softplus(-z)).sum(-1)


def laplace(z: torch.Tensor) -> torch.Tensor:
    return -z.abs().sum(-1)


LOGISTIC_SD = math.pi / math.sqrt(3)
CASES = [
    pytest.param(logistic, 1.20446, 2.15640, LOGISTIC_SD, id="8: antithetic pair inside an importance-weighted bound"),
    pytest.param(logistic, -1.20446, 2.15640, LOGISTIC_SD, id="8: its mirror image"),
    pytest.param(normal, 1.531506, 2.0, 1.0, id="8: the same on a normal target, scale fixed"),
    pytest.param(logistic, -3.2e-4, 1.8, LOGISTIC_SD, id="33: three shifted lattice points, alpha 2"),
    pytest.param(laplace, 0.013, 1.0, math.sqrt(2), id="34: the sample average is flat up to the smallest sample"),
    pytest.param(normal, 3.0, 1.0, 1.0, id="4: a gradient that vanishes far away"),
]


@pytest.mark.parametrize(("function", "loc", "scale", "sd"), CASES)
def test_the_distance_from_the_centre_is_told(function: Function, loc: float, scale: float, sd: float) -> None:
    certificate = certify_at(function, [loc], scale)
    assert_nothing_exact(certificate)
    assert_honest(certificate, 0.0, sd)
    entry = certificate["mean"].entries[0]
    assert abs(entry.exact) < 1e-9
    assert entry.verdict is (Verdict.BOUNDED if abs(loc) < 0.8 * sd else Verdict.REFUTED)


def test_13_mean_field_and_forward_kl_do_not_give_the_covariance() -> None:
    """A normal law of correlation .9: the fitted correlation is 0, the means are exact."""
    precision = torch.linalg.inv(torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64))
    certificate = certify_at(
        lambda z: -0.5 * ((z @ precision) * z).sum(-1),
        [0.0, 0.0],
        1.0,
        statistics=("mean", "correlation"),
        divergence=ForwardKL(),
    )
    assert certificate["mean"].verdict is Verdict.PROVED
    assert certificate["correlation"].verdict is Verdict.REFUTED


def test_18_unequal_coordinates_of_an_exchangeable_target() -> None:
    """A spread of .29 among three exchangeable locations: no contrast of these values is right."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return (0.7 * z - z.exp()).sum(-1) - 0.2 * z.sum(-1).square()

    certificate = certify_at(log_p, [-0.6, -0.45, -0.31], 0.8)
    assert_nothing_exact(certificate)


def test_24_a_hierarchical_scale_is_not_recovered_with_its_effects() -> None:
    """z | s ~ N(0, e^{2s}), s ~ N(0, 1) seen through three data: z is even for every s, s is not."""
    data = vector(0.3, -1.2, 2.0)

    def log_p(z: torch.Tensor) -> torch.Tensor:
        s, effects = z[..., :1], z[..., 1:]
        seen = torch.cat([effects, data.expand(*effects.shape[:-1], 3)], -1)
        return -0.5 * s[..., 0].square() - (0.5 * (seen * (-s).exp()).square() + s).sum(-1)

    certificate = certify_at(log_p, [0.2, 0.0, 0.0])
    assert not certificate["mean"].verdicts[0].is_exact
    assert certificate["mean"].verdicts[1] is Verdict.PROVED


@pytest.mark.parametrize("share", [0.5, 0.4])
def test_16_a_student_guide_of_learned_df_sits_on_one_mode(share: float) -> None:
    """nu = 3.99943, sigma .0459, df .26745 on two modes at +-4."""
    law = mixture([share, 1 - share], [[-4.0], [4.0]], [0.05, 0.05])
    certificate = certify_at(law, [3.99943], 0.0459)
    assert_nothing_exact(certificate)
    assert_honest(certificate, 4 * (1 - 2 * share), math.sqrt(16 * (1 - (1 - 2 * share) ** 2)))
