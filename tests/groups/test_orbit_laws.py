"""Laws along non-compact orbits: generalised inverse Gaussian for rescaling, normal for translations."""

import math

import numpy as np
import pytest
import torch
from mpmath import besselk, log, mp
from scipy import stats
from torch import Tensor

from pyro_symvi.groups import (
    GeneralizedInverseGaussian,
    HiddenLayer,
    HiddenUnitRescaling,
    NonCompactGroupError,
    SphereRotation,
    TranslationAction,
    UnsupportedError,
)
from pyro_symvi.groups._gig import log_bessel_k


def normal(scale: float | Tensor = 1.0, loc: float = 0.0) -> torch.distributions.Normal:
    return torch.distributions.Normal(torch.as_tensor(loc), torch.as_tensor(scale))


@pytest.mark.parametrize(
    ("order", "omega"), [(0.5, 1.0), (-0.5, 3.0), (2.0, 0.01), (-7.5, 0.3), (40.0, 5.0), (0.0, 200.0)]
)
def test_law_against_scipy(order: float, omega: float) -> None:
    """Density, moments and 3,000 exact draws (Kolmogorov test, level 1e-4) of three members with w = omega."""
    psi = torch.tensor([omega, omega * 4, omega / 9], dtype=torch.float64)
    law = GeneralizedInverseGaussian(order, psi, omega**2 / psi)
    draws = law.sample((3000,), generator=torch.Generator().manual_seed(0))
    assert draws.shape == (3000, 3) and law.batch_shape == (3,)
    for k in range(3):
        scale = omega / float(psi[k])
        reference = stats.geninvgauss(order, omega, scale=scale)
        assert stats.kstest(draws[:, k].numpy(), reference.cdf).pvalue > 1e-4
        t = torch.tensor(reference.ppf([0.01, 0.3, 0.9]))
        wanted = torch.tensor(reference.logpdf(t.numpy()))
        assert float((law.log_prob(t[:, None])[:, k] - wanted).abs().max()) < 1e-8 * (1 + float(wanted.abs().max()))
        assert float(law.mean[k]) == pytest.approx(reference.mean(), rel=1e-6)
        assert float(law.variance[k]) == pytest.approx(reference.var(), rel=1e-5)


@pytest.mark.parametrize(
    ("order", "w"),
    [(0.5, 1e-3), (392.0, 1e-4), (392.0, 50.0), (-1000.0, 3.0), (3.0, 900.0), (12.0, 1e-30), (4.0, 1e-90)],
)
def test_bessel_function_against_mpmath(order: float, w: float) -> None:
    mp.dps = 30
    wanted = float(log(besselk(abs(order), w)))
    found = log_bessel_k(torch.tensor(order, dtype=torch.float64), torch.tensor(w, dtype=torch.float64))
    assert float(found) == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize(("order", "omega"), [(350.0, 0.01), (-3.0, 1e-8), (0.0, 1e-6), (1.0, 1e4)])
def test_extreme_members(order: float, omega: float) -> None:
    """Draws stay finite; E log t against quadrature in log t, 5 standard errors of 10,000 draws."""
    one = torch.tensor(omega, dtype=torch.float64)
    y = GeneralizedInverseGaussian(order, one, one).sample((10_000,), generator=torch.Generator().manual_seed(1)).log()
    assert bool(torch.isfinite(y).all())
    centre = math.asinh(order / omega)
    grid = np.linspace(centre - 60, centre + 60, 400_001)
    if abs(order) > 100 or omega > 100:
        grid = np.linspace(centre - 2, centre + 2, 400_001)
    height = order * grid - omega * np.cosh(np.clip(grid, -690, 690))
    weight = np.exp(height - height.max())
    wanted = float((grid * weight).sum() / weight.sum())
    assert abs(float(y.mean()) - wanted) < 5 * float(y.std()) / 100


LAYER = HiddenLayer.of_mlp([3, 4, 2])  # p = 4 with the bias, q = 2


def test_rescaling_law_leaves_the_prior_invariant() -> None:
    """Refreshing c along the orbit of prior draws gives prior draws again; functions and products |w||v| stay."""
    action = HiddenUnitRescaling(LAYER)
    generator = torch.Generator().manual_seed(0)
    scale = torch.linspace(0.5, 2.0, LAYER.dim, dtype=torch.float64)
    x = scale * torch.randn(20_000, LAYER.dim, generator=generator, dtype=torch.float64)
    t = action.orbit_conditional(x, normal(scale)).sample(generator=generator)
    y = action.act(t.sqrt(), x)
    a, b = action.energies(x, 1.0, 1.0)
    c, d = action.energies(y, 1.0, 1.0)
    assert torch.allclose(a * b, c * d) and not torch.allclose(a, c)
    for k in (0, 5, 12, LAYER.dim - 3, LAYER.dim - 1):
        assert stats.kstest((y[:, k] / scale[k]).numpy(), stats.norm.cdf).pvalue > 1e-4
    assert abs(float(torch.corrcoef(torch.stack([a[:, 0].log(), c[:, 0].log()]))[0, 1])) < 0.95


def test_rescaling_law_belongs_to_the_orbit() -> None:
    """Started from c x the law of the end point is the same: t is GIG(order, a c^2, b / c^2), so t c^2 has one law."""
    action = HiddenUnitRescaling(LAYER)
    x = torch.randn(LAYER.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    c = torch.tensor([0.3, 1.0, 2.0, 5.0], dtype=torch.float64)
    here, there = (action.orbit_conditional(z, normal()) for z in (x, action.act(c, x)))
    t = torch.tensor(1.7, dtype=torch.float64)
    assert torch.allclose(here.log_prob(t), there.log_prob(t / c**2) - 2 * c.log())
    # the density along the orbit is prior density times |d(act)/dc|, up to a constant: check differences in log t
    s = torch.tensor([0.2, 0.7, 1.0, 1.9, 3.3], dtype=torch.float64)
    moved = action.act(s[:, None].sqrt() * torch.tensor([1.0, 0, 0, 0]) + torch.tensor([0.0, 1, 1, 1]), x)
    prior = normal(1.0).log_prob(moved).sum(-1)
    p, q = 4, 2
    jacobian = (p - q) * s.log() / 2 - s.log()  # |det| of the scaling, and dc / c against dt
    difference = here.log_prob(s[:, None])[:, 0] - prior - jacobian
    assert float(difference.max() - difference.min()) < 1e-10


def test_rescaling_of_degree_two() -> None:
    """Squared ReLU: the function stays, the canonical point has a = 2 b and the least energy, the law is refused."""
    action = HiddenUnitRescaling(LAYER, degree=2.0)
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(LAYER.dim, generator=generator, dtype=torch.float64)
    inputs = torch.randn(6, 3, generator=generator, dtype=torch.float64)

    def function(theta: Tensor) -> Tensor:
        w, b, v, d = theta.split([12, 4, 8, 2])
        return (inputs @ w.reshape(4, 3).mT + b).relu().square() @ v.reshape(2, 4).mT + d

    c = torch.tensor([0.3, 1.0, 2.0, 5.0], dtype=torch.float64)
    assert torch.allclose(function(action.act(c, x)), function(x))
    assert not torch.allclose(function(HiddenUnitRescaling(LAYER).act(c, x)), function(x))
    balanced, _ = action.canonicalize(action.act(c, x))
    a, b = action.energies(balanced, 1.0, 1.0)
    assert torch.allclose(a, 2 * b) and torch.allclose(balanced, action.canonicalize(x)[0])
    for nearby in (0.99, 1.01):
        e, f = action.energies(action.act(torch.full((4,), nearby).double(), balanced), 1.0, 1.0)
        assert bool((e + f > a + b).all())
    with pytest.raises(UnsupportedError, match="expected a rescaling of degree 1"):
        action.orbit_conditional(x, normal())


def test_probability_integral_transform() -> None:
    """For prior draws with p = 3, q = 1 the cdf of the conditional law at t = 1 is uniform (level 1e-4)."""
    layer = HiddenLayer.of_mlp([2, 1, 1])
    x = torch.randn(4000, layer.dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    action = HiddenUnitRescaling(layer)
    a, b = (e[:, 0].numpy() for e in action.energies(x, 1.0, 1.0))
    u = stats.geninvgauss.cdf(np.sqrt(a / b), 1.0, np.sqrt(a * b))
    assert stats.kstest(u, stats.uniform.cdf).pvalue > 1e-4
    law = action.orbit_conditional(x, normal())
    assert (
        float(law.order[0, 0]) == 1.0
        and np.allclose(law.psi[:, 0].numpy(), a)
        and np.allclose(law.chi[:, 0].numpy(), b)
    )


def test_balanced_form() -> None:
    """c = (b/a)^(1/4) minimises the prior energy: a = b there; c* = 0.777029 for (b, w1, w2) = (.9, .5, .8)."""
    layer = HiddenLayer.of_mlp([1, 1, 1])  # order in the vector: w1, b, w2, and the output bias
    x = torch.tensor([0.5, 0.9, 0.8, 0.1], dtype=torch.float64)
    action = HiddenUnitRescaling(layer)
    balanced, c = action.canonicalize(x)
    a, b = action.energies(balanced, 1.0, 1.0)
    assert torch.allclose(a, b) and torch.equal(balanced[3], x[3])
    partner = 0.777029  # the other point of equal prior density lies at the square of c, since log c* is the middle
    assert float(c**2) == pytest.approx(partner, abs=1e-6)
    same = action.act(c**2, x)
    assert float(same.square().sum()) == pytest.approx(float(x.square().sum()), rel=1e-12)
    wide = HiddenUnitRescaling(layer, incoming_scale=2.0)
    a, b = wide.energies(wide.canonicalize(x)[0], 2.0, 1.0)
    assert torch.allclose(a, b)
    dead = torch.tensor([0.0, 0.0, 0.8, 0.1], dtype=torch.float64)
    assert torch.equal(action.canonicalize(dead)[0], dead)


def test_translations_of_a_normal_prior() -> None:
    """Softmax shift: x + t 1 with t from the conditional law keeps the prior N(m, s^2) (level 1e-4)."""
    action = TranslationAction(3, [[1.0], [1.0], [1.0]])
    generator = torch.Generator().manual_seed(0)
    loc, scale = torch.tensor([0.3, -1.0, 2.0]).double(), torch.tensor([0.5, 1.0, 2.0]).double()
    x = loc + scale * torch.randn(20_000, 3, generator=generator, dtype=torch.float64)
    law = action.orbit_conditional(x, torch.distributions.Normal(loc, scale))
    noise = torch.randn(20_000, 1, generator=generator, dtype=torch.float64)
    y = action.act(law.mean + law.scale_tril[..., 0] * noise, x)
    for k in range(3):
        assert stats.kstest(((y[:, k] - loc[k]) / scale[k]).numpy(), stats.norm.cdf).pvalue > 1e-4
    assert torch.allclose(y[:, 0] - y[:, 1], x[:, 0] - x[:, 1])
    shifted = action.orbit_conditional(
        action.act(torch.tensor([5.0]).double(), x[0]), torch.distributions.Normal(loc, scale)
    )
    assert torch.allclose(shifted.mean, law.mean[0] - 5)


def test_errors() -> None:
    action = HiddenUnitRescaling(LAYER)
    x = torch.ones(LAYER.dim, dtype=torch.float64)
    with pytest.raises(NonCompactGroupError, match="orbit_conditional"):
        action.group.sample(3)
    with pytest.raises(UnsupportedError, match=r"expected an action of a non-compact group.*group.sample"):
        SphereRotation(3).orbit_conditional(torch.ones(3), normal())
    with pytest.raises(TypeError, match="Normal"):
        action.orbit_conditional(x, lambda z: -z.square().sum(-1))
    with pytest.raises(TypeError, match=r"Normal\(0, scale\)"):
        action.orbit_conditional(x, normal(1.0, 0.5))
    with pytest.raises(ValueError, match="got a dead one"):
        action.orbit_conditional(torch.zeros_like(x), normal())
    with pytest.raises(TypeError, match="expected the prior"):
        TranslationAction(2).orbit_conditional(torch.ones(2), 3.0)
    with pytest.raises(ValueError, match="psi"):
        GeneralizedInverseGaussian(1.0, torch.tensor(-1.0), torch.tensor(1.0), validate_args=True)
