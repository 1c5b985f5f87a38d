"""R4: the slope of E[mu . x] in the concentration of a von Mises-Fisher law: Pyro's answer, the usual one and ours.

Exact: ``d E[mu . x] / d kappa = 1 - A^2 - (d - 1) A / kappa``, ``A = I_(d/2)(kappa) / I_(d/2-1)(kappa)`` (Mardia and
Jupp, 2000, appendix 1), here by mpmath. Pyro (1.9.2) has no law on the sphere whose draws carry a gradient:
``VonMises`` (d = 2) and ``VonMises3D`` (d = 3) refuse, torch's ``VonMises`` too. TensorFlow Probability has one in R^3
alone. The usual answer differentiates through the accepted proposals of Wood's rejection sampler (1994) and leaves out
that the acceptance depends on kappa, too: the sampler is right and its gradient is not.
"""

import math

import mpmath
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_symvi.distributions import VonMisesFisher

DRAWS = 200_000
CASES = [(2, 2.0), (3, 2.0), (4, 2.0), (5, 2.0), (10, 5.0), (50, 20.0)]


def exact(dim: int, kappa: float) -> float:
    with mpmath.workdps(40):
        ratio = mpmath.besseli(mpmath.mpf(dim) / 2, kappa) / mpmath.besseli(mpmath.mpf(dim) / 2 - 1, kappa)
        return float(1 - ratio**2 - (dim - 1) * ratio / kappa)


def mean_and_error(slopes: Tensor) -> tuple[float, float]:
    return float(slopes.mean()), float(slopes.std()) / math.sqrt(len(slopes))


def ours(dim: int, kappa: float) -> tuple[float, float]:
    """Draw by draw: each has its own copy of kappa."""
    torch.manual_seed(dim)
    copies = torch.full((DRAWS,), kappa, dtype=torch.float64, requires_grad=True)
    direction = torch.zeros(dim, dtype=torch.float64)
    direction[0] = 1.0
    draws = VonMisesFisher(direction, copies).rsample()
    return mean_and_error(torch.autograd.grad(draws[:, 0].sum(), copies)[0])


def through_accepted_proposals(dim: int, kappa: float) -> tuple[float, float, float]:
    """The usual estimator, and the mean of its draws (which are right)."""
    torch.manual_seed(dim)
    concentration = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
    half = torch.full((2 * DRAWS,), (dim - 1) / 2, dtype=torch.float64)
    epsilon = torch.distributions.Beta(half, half).sample()
    copies = concentration.detach().expand(2 * DRAWS).clone().requires_grad_()
    b = (dim - 1) / (2 * copies + (4 * copies**2 + (dim - 1) ** 2).sqrt())
    cosine = (1 - (1 + b) * epsilon) / (1 - (1 - b) * epsilon)
    x0 = (1 - b) / (1 + b)
    excess = copies * (cosine - x0) + (dim - 1) * ((1 - x0 * cosine).log() - (1 - x0**2).log())
    accepted = excess >= torch.rand(2 * DRAWS, dtype=torch.float64).log()
    slopes = torch.autograd.grad(cosine.sum(), copies)[0][accepted]
    return *mean_and_error(slopes), float(cosine.detach()[accepted].mean())


def test_the_exact_slope_is_that_of_the_mean() -> None:
    """The formula against a numerical derivative of A, 40 digits."""
    for dim, kappa in CASES:
        with mpmath.workdps(40):
            order = mpmath.mpf(dim) / 2
            slope = mpmath.diff(lambda k, v=order: mpmath.besseli(v, k) / mpmath.besseli(v - 1, k), kappa)
        assert exact(dim, kappa) == pytest.approx(float(slope), rel=1e-12)


@pytest.mark.parametrize(("dim", "kappa"), CASES)
def test_r4_the_slope_of_the_mean_in_the_concentration(dim: int, kappa: float) -> None:
    """Ours within 4 standard errors of at most 0.5 % of the exact slope; the usual answer is off by 20 and more."""
    truth = exact(dim, kappa)
    found, error = ours(dim, kappa)
    assert error < 0.005 * truth
    assert abs(found - truth) < 4 * error
    usual, usual_error, mean = through_accepted_proposals(dim, kappa)
    with mpmath.workdps(20):
        ratio = float(mpmath.besseli(mpmath.mpf(dim) / 2, kappa) / mpmath.besseli(mpmath.mpf(dim) / 2 - 1, kappa))
    assert mean == pytest.approx(ratio, abs=0.006)  # the sampler itself is right
    assert abs(usual - truth) > 20 * usual_error and abs(usual - truth) > 0.01 * truth


@pytest.mark.parametrize(("dim", "kappa", "published"), [(5, 2.0, 0.1276), (10, 5.0, 0.0565)])
def test_r4_the_usual_answer_is_the_published_one(dim: int, kappa: float, published: float) -> None:
    usual, error, _ = through_accepted_proposals(dim, kappa)
    assert abs(usual - published) < 4 * error + 1e-4


def test_r4_pyro_and_torch_have_no_answer() -> None:
    angle = dist.VonMises(torch.tensor(0.0), torch.tensor(2.0))
    space = dist.VonMises3D(torch.tensor([0.0, 0.0, 2.0]))
    plain = torch.distributions.VonMises(torch.tensor(0.0), torch.tensor(2.0))
    for law in (angle, space, plain):
        assert not law.has_rsample
        with pytest.raises(NotImplementedError):
            law.rsample()
    with pytest.raises(NotImplementedError):
        space.sample()
    assert VonMisesFisher(torch.tensor([0.0, 1.0]), torch.tensor(2.0)).has_rsample
    uniform = torch.zeros(3, dtype=torch.float64)
    assert bool(dist.VonMises3D(uniform).log_prob(torch.tensor([0.0, 0.0, 1.0]).double()).isnan())  # Pyro at 0
    point = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    assert float(VonMisesFisher.from_natural(uniform).log_prob(point)) == pytest.approx(-math.log(4 * math.pi))


def test_r4_tensorflow_probability_where_installed() -> None:
    """Right in R^3 (by inversion, to 2 %), refused elsewhere."""
    jax = pytest.importorskip("jax", reason="pip install jax tfp-nightly to see TensorFlow Probability's answer")
    tfp = pytest.importorskip("tensorflow_probability.substrates.jax", reason="pip install jax tfp-nightly")

    def slope(dim: int, kappa: float) -> float:
        direction = jax.numpy.zeros(dim).at[0].set(1.0)

        def mean(k: float) -> object:
            law = tfp.distributions.VonMisesFisher(direction, k)
            return law.sample(50_000, seed=jax.random.PRNGKey(0))[:, 0].mean()

        return float(jax.grad(mean)(kappa))

    assert slope(3, 2.0) == pytest.approx(exact(3, 2.0), rel=0.02)
    with pytest.raises(ValueError, match="differentiation does not work"):
        slope(5, 2.0)
