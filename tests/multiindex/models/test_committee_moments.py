"""Moments of activations under normal laws and the evidence bound, against closed forms, draws and autograd."""

import itertools
import math

import pytest
import torch
from scipy import integrate, stats

from pyro_symvi.multiindex import Link, committee_elbo, committee_mean, standard_curvature, unit_moments

DOUBLE = torch.float64
NOISE = 0.5


def committee(units: int = 3, dim: int = 4, count: int = 9, seed: int = 1):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(count, dim, generator=g, dtype=DOUBLE)
    y = torch.randn(count, generator=g, dtype=DOUBLE)
    loc = 0.5 * torch.randn(units, dim, generator=g, dtype=DOUBLE)
    scale = 0.2 + 0.3 * torch.rand(units, dim, generator=g, dtype=DOUBLE)
    return x, y, loc, scale


@pytest.mark.parametrize("name", ["abs", "relu", "b4", "erf", "tanh", "gelu", "relu6", "sign", "he3"])
def test_moments_are_those_of_a_fine_quadrature(name):
    link = Link.of(name)
    for mean, variance in ((0.0, 1.0), (-0.7, 0.25), (1.3, 2.0)):
        got = unit_moments(link, torch.tensor(mean, dtype=DOUBLE), torch.tensor(variance, dtype=DOUBLE))
        law = stats.norm(mean, math.sqrt(variance))
        for power, value in zip((1, 2), got, strict=True):

            def integrand(z, power=power, law=law):
                return link(torch.from_numpy(z)).numpy() ** power * law.pdf(z)

            edges = [law.mean() - 9 * law.std(), *link.breaks, law.mean() + 9 * law.std()]
            want = sum(integrate.fixed_quad(integrand, a, b, n=300)[0] for a, b in itertools.pairwise(edges))
            assert float(value) == pytest.approx(want, abs=2e-8)


def test_named_formula_is_not_used_for_another_function_of_that_name():
    link = Link.of(lambda z: torch.sin(3 * z), name="relu")
    first, second = unit_moments(link, torch.tensor(0.4, dtype=DOUBLE), torch.tensor(0.5, dtype=DOUBLE))
    raw = math.sin(1.2) * math.exp(-9 * 0.25)
    assert float(first) * link.scale + link.mean == pytest.approx(raw, abs=1e-12)
    square = (1 - math.cos(2.4) * math.exp(-36 * 0.25)) / 2
    assert float(second) * link.scale**2 == pytest.approx(square, abs=1e-12)


@pytest.mark.parametrize("name", ["abs", "tanh"])
def test_elbo_is_that_of_draws(name):
    x, y, loc, scale = committee()
    link = Link.of(name)
    z = torch.randn(40000, *loc.shape, generator=torch.Generator().manual_seed(2), dtype=DOUBLE)
    weights = loc + scale * z
    mean = link(weights @ x.mT).sum(-2) / math.sqrt(3)
    terms = torch.distributions.Normal(mean, math.sqrt(NOISE)).log_prob(y).sum(-1)
    q, prior = torch.distributions.Normal(loc, scale), torch.distributions.Normal(torch.zeros(()).double(), 0.5)
    draws = terms + prior.log_prob(weights).sum((-2, -1)) - q.log_prob(weights).sum((-2, -1))
    error = float(draws.std()) / len(draws) ** 0.5
    exact = float(committee_elbo(loc, scale, x, y, activation=link, noise=NOISE))
    assert abs(exact - float(draws.mean())) < 4 * error
    assert abs(exact + 0.5 * scale.numel() * 0.1 - float(draws.mean())) > 4 * error  # a wrong divergence would show
    spread = float((mean.std(0) / len(draws) ** 0.5).max())
    assert float((committee_mean(loc, scale, x, activation=link) - mean.mean(0)).abs().max()) < 4.5 * spread


def test_elbo_batches_and_scales_minibatches():
    x, y, loc, scale = committee()
    options = {"activation": Link.of("relu"), "noise": NOISE}
    whole = committee_elbo(loc, scale, x, y, **options)
    pair = committee_elbo(torch.stack([loc, -loc]), scale, torch.stack([x, x]), torch.stack([y, y]), **options)
    assert torch.allclose(pair[0], whole, rtol=1e-13)
    parts = [committee_elbo(loc, scale, x[i::3], y[i::3], size=9, **options) for i in range(3)]
    assert torch.allclose(sum(parts) / 3, whole, rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "tanh", "b4", "sign"])
def test_gradient_at_tied_parameters_has_no_standard_part(name):
    x, y, loc, scale = committee(count=200)
    m = loc[:1].expand(3, 4).clone().requires_grad_()
    s = scale[:1].expand(3, 4).clone().requires_grad_()
    elbo = committee_elbo(m, s, x, y, activation=Link.of(name), noise=NOISE)
    for part in torch.autograd.grad(elbo, (m, s)):
        size = float(part.norm())
        assert size > 1.0
        assert float((part - part.mean(0)).norm()) <= 1e-12 * size
    n = loc.clone().requires_grad_()
    (apart,) = torch.autograd.grad(committee_elbo(n, scale, x, y, activation=Link.of(name), noise=NOISE), n)
    assert float((apart - apart.mean(0)).norm()) > 0.1 * float(apart.norm())  # elsewhere it has


@pytest.mark.parametrize("name", ["relu", "b4", "tanh"])
def test_standard_curvature_is_the_hessian_of_the_elbo(name):
    x, y, loc, scale = committee(count=30)
    link = Link.of(name)
    m, s, dim = loc[0], scale[0], 4
    got = standard_curvature(m, s, x, y, units=3, activation=link, noise=NOISE)
    for e in ([1.0, -1.0, 0.0], [1.0, 1.0, -2.0]):
        way = torch.tensor(e, dtype=DOUBLE)[:, None] / math.sqrt(sum(v * v for v in e))

        def loss(step, way=way):
            moved = m + way * step[:dim] / math.sqrt(dim)
            return -committee_elbo(moved, s * torch.exp(way * step[dim:]), x, y, activation=link, noise=NOISE)

        want = torch.autograd.functional.hessian(loss, torch.zeros(2 * dim, dtype=DOUBLE))
        assert torch.allclose(got, want, atol=1e-7)
    nothing = standard_curvature(m, s, x[:0], y[:0], units=3, activation=link, noise=NOISE)
    assert torch.allclose(nothing, torch.diag(torch.cat([torch.ones(dim), 2 * dim * s.square()]).double()))


def test_curvature_of_the_means_forgets_the_teacher_without_a_second_hermite_coefficient():
    """At m = 0 and prior scales with |x|^2 = d, T_i is constant for b4: the outputs do not enter; for abs they do."""
    x, y, *_ = committee(dim=6, count=400)
    x = x * math.sqrt(6) / x.norm(dim=1, keepdim=True)
    origin, prior = torch.zeros(6, dtype=DOUBLE), torch.tensor(6**-0.5, dtype=DOUBLE)
    for name, forgets in (("b4", True), ("abs", False)):
        one, other = (
            standard_curvature(origin, prior, x, out, units=3, activation=name, noise=NOISE)[:6, :6]
            for out in (y, -2 * y)
        )
        assert (float((one - other).abs().max()) < 1e-10) == forgets


@pytest.mark.parametrize(
    ("change", "words"),
    [({"loc": torch.zeros(4)}, "loc"), ({"y": torch.zeros(3)}, "y "), ({"noise": 0.0}, "noise above 0")],
)
def test_elbo_says_what_does_not_fit(change, words):
    x, y, loc, scale = committee()
    given = {"loc": loc, "scale": scale, "x": x, "y": y, "activation": "relu", "noise": NOISE, **change}
    with pytest.raises(ValueError, match=words):
        committee_elbo(**given)


def test_curvature_needs_two_units():
    x, y, loc, scale = committee()
    with pytest.raises(ValueError, match="two units"):
        standard_curvature(loc[0], scale[0], x, y, units=1, activation="abs", noise=NOISE)


def test_ascent_stays_tied_and_leaves_from_beside():
    """Symmetric criticality: forty steps of ascent move tied units together; a difference of 1e-6 grows."""
    x, y, loc, _ = committee(count=100)
    link, apart, scale = Link.of("relu"), {}, torch.tensor(0.3, dtype=DOUBLE)
    for off in (0.0, 1e-6):
        w = (loc[:1].expand(3, 4) + off * loc).clone().requires_grad_()
        start = w.detach().clone()
        for _ in range(40):
            (slope,) = torch.autograd.grad(committee_elbo(w, scale, x, y, activation=link, noise=NOISE), w)
            w = (w + 0.004 * slope).detach().requires_grad_()
        assert float((w - start).detach().norm()) > 0.3
        apart[off] = float((w - w.mean(0)).detach().norm())
    assert apart[0.0] <= 1e-12
    assert apart[1e-6] > 100e-6
