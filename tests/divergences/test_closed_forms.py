"""Closed forms between normal, von Mises-Fisher and other exponential-family laws, against quadrature and scipy."""

import math

import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor

from pyro_symvi.distributions import VonMisesFisher
from pyro_symvi.distributions.sphere_alpha import VonMisesFisherPair
from pyro_symvi.divergences import (
    Alpha,
    ChiSquare,
    Divergence,
    ExponentialFamilyPair,
    FDivergence,
    ForwardKL,
    GaussianPair,
    Hellinger,
    Jeffreys,
    Pair,
    ReverseKL,
    TailAdaptive,
    renyi_divergence,
)
from pyro_symvi.divergences.generators import jensen_shannon

DIVERGENCES = [
    ReverseKL(), ForwardKL(), Alpha(-0.5), Alpha(0.3), Alpha(1.4), ChiSquare(), ChiSquare(reverse=True), Hellinger(),
    Jeffreys(),
]  # fmt: skip


def t(x: object) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


def integrand(divergence: Divergence, p: float, q: float) -> float:
    """The definitions, once more."""
    if p == 0.0 or q == 0.0:
        return 0.0
    if isinstance(divergence, ChiSquare):
        return (p - q) ** 2 / (p if divergence.reverse else q)
    if isinstance(divergence, Hellinger):
        return 0.5 * (math.sqrt(p) - math.sqrt(q)) ** 2
    if isinstance(divergence, Jeffreys):
        return (p - q) * math.log(p / q)
    if isinstance(divergence, ReverseKL):
        return q * math.log(q / p) + p - q
    if isinstance(divergence, ForwardKL):
        return p * math.log(p / q) + q - p
    a = divergence.alpha
    return (a * p + (1 - a) * q - p**a * q ** (1 - a)) / (a * (1 - a))


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
def test_normal_laws_against_quadrature(divergence: Divergence) -> None:
    p, q = stats.norm(0.3, 1.0), stats.norm(-0.1, 0.9)
    pair = GaussianPair(t([0.3]), t([[1.0]]), t([-0.1]), t([[0.81]]))
    truth = integrate.quad(lambda z: integrand(divergence, p.pdf(z), q.pdf(z)), -12, 12, epsabs=1e-13, limit=400)[0]
    assert float(divergence.exact(pair)) == pytest.approx(truth, rel=1e-8)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
def test_correlated_normal_laws_against_a_grid(divergence: Divergence) -> None:
    loc_p, cov_p = t([0.2, -0.1]), t([[1.0, 0.5], [0.5, 0.8]])
    loc_q, cov_q = t([0.0, 0.1]), t([[0.9, 0.3], [0.3, 0.7]])
    x = torch.linspace(-11, 11, 901, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(x, x, indexing="ij"), -1)
    laws = [torch.distributions.MultivariateNormal(*law) for law in ((loc_p, cov_p), (loc_q, cov_q))]
    log_p, log_q = (law.log_prob(grid) for law in laws)
    p, q = log_p.exp(), log_q.exp()
    if isinstance(divergence, Jeffreys):
        values = (p - q) * (log_p - log_q)
    elif divergence.alpha in (0.0, 1.0):
        values = q * (log_q - log_p) if divergence.alpha == 0 else p * (log_p - log_q)
    else:
        a = divergence.alpha
        values = (a * p + (1 - a) * q - (a * log_p + (1 - a) * log_q).exp()) / (a * (1 - a))
        values = values * {ChiSquare: 2.0, Hellinger: 0.25}.get(type(divergence), 1.0)
    truth = float(values.sum()) * float(x[1] - x[0]) ** 2
    assert float(divergence.exact(GaussianPair(loc_p, cov_p, loc_q, cov_q))) == pytest.approx(truth, rel=1e-9)
    if divergence not in (Hellinger(), Jeffreys()):  # the direction is seen
        assert float(divergence.exact(GaussianPair(loc_q, cov_q, loc_p, cov_p))) != pytest.approx(truth, rel=1e-3)


def test_infinite_where_the_mixture_of_precisions_is_not_positive_definite() -> None:
    """Pearson's is finite if and only if the guide's variance exceeds half the target's, in every direction."""
    loc, one = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    turned = t([[0.8, -0.6], [0.6, 0.8]])
    for small, finite in ((0.51, True), (0.49, False)):
        guide = turned @ torch.diag(t([3.0, small])) @ turned.T
        value = float(ChiSquare().exact(GaussianPair(loc, one, loc, guide)))
        assert math.isfinite(value) == finite
        assert not finite or value > 0
        assert math.isfinite(float(ChiSquare(reverse=True).exact(GaussianPair(loc, guide, loc, one)))) == finite
        assert math.isfinite(float(Hellinger().exact(GaussianPair(loc, one, loc, guide))))
    scale = t(0.4).requires_grad_()
    value = Hellinger().exact(GaussianPair(loc, one, loc, scale * one)) + ChiSquare().exact(
        GaussianPair(loc, one, loc, scale * one)
    ).clamp_max(0)
    assert bool(torch.autograd.grad(value, scale)[0].isfinite())


def test_batches_and_gradients_of_normal_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    roots = 0.4 * torch.randn(2, 4, 3, 3, generator=generator, dtype=torch.float64) + torch.eye(3, dtype=torch.float64)
    locs = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
    covs = roots @ roots.mT + 0.5 * torch.eye(3, dtype=torch.float64)
    pair = GaussianPair(locs[0], covs[0], locs[1], covs[1])
    laws = [torch.distributions.MultivariateNormal(locs[i], covs[i]) for i in (0, 1)]
    assert torch.allclose(ForwardKL().exact(pair), torch.distributions.kl_divergence(laws[0], laws[1]), rtol=1e-10)
    assert torch.allclose(ReverseKL().exact(pair), torch.distributions.kl_divergence(laws[1], laws[0]), rtol=1e-10)

    def value(loc: Tensor, root: Tensor) -> Tensor:
        return Alpha(0.4).exact(GaussianPair(locs[0], covs[0], loc, root @ root.mT + 0.5 * torch.eye(3).double()))

    assert torch.autograd.gradcheck(value, (locs[1].clone().requires_grad_(), roots[1].clone().requires_grad_()))
    with pytest.raises(ValueError, match="positive definite"):
        GaussianPair(locs[0], -covs[0], locs[1], covs[1])
    with pytest.raises(ValueError, match="shapes"):
        GaussianPair(locs[0], covs[0], locs[1, :, :2], covs[1])


def test_the_renyi_divergence() -> None:
    pair = GaussianPair(t([0.0]), t([[1.0]]), t([1.0]), t([[1.0]]))
    for order in (0.3, 1.0, 2.0, 5.0):
        assert float(renyi_divergence(pair, order)) == pytest.approx(order / 2, rel=1e-12)  # van Erven & Harremoes (10)
    for order in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="order > 0"):
            renyi_divergence(pair, order)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
def test_poisson_laws_against_a_sum(divergence: Divergence) -> None:
    pair = ExponentialFamilyPair(lambda eta: eta.exp().sum(-1), t([math.log(3.0)]), t([math.log(2.2)]))
    truth = sum(integrand(divergence, stats.poisson.pmf(k, 3.0), stats.poisson.pmf(k, 2.2)) for k in range(80))
    assert float(divergence.exact(pair)) == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
def test_one_formula_for_all_exponential_families(divergence: Divergence) -> None:
    """Normal laws through their log-partition function: eta = (precision mean, -precision / 2)."""

    def partition(eta: Tensor) -> Tensor:
        precision = -2.0 * eta[..., 2:].unflatten(-1, (2, 2))
        precision = 0.5 * (precision + precision.mT)
        quadratic = (eta[..., :2] * torch.linalg.solve(precision, eta[..., :2])).sum(-1)
        return 0.5 * (quadratic - torch.logdet(precision))

    laws = [(t([0.2, -0.1]), t([[1.0, 0.5], [0.5, 0.8]])), (t([0.0, 0.1]), t([[0.9, 0.3], [0.3, 0.7]]))]
    natural = []
    for loc, cov in laws:
        precision = torch.linalg.inv(cov)
        natural.append(torch.cat([precision @ loc, (-0.5 * precision).flatten()]))
    exact = divergence.exact(GaussianPair(*laws[0], *laws[1]))
    assert torch.allclose(divergence.exact(ExponentialFamilyPair(partition, *natural)), exact, rtol=1e-9)
    leaf = natural[1].clone().requires_grad_()  # and it can be descended
    value = divergence.exact(ExponentialFamilyPair(partition, natural[0], leaf))
    assert float(torch.autograd.grad(value, leaf)[0].norm()) > 1e-3


def vmf_integral(dim: int, kappas: tuple[float, float], cosine: float, divergence: Divergence) -> float:
    """By polar angles about mu_p: t = cosine to it, s = cosine of the azimuth to the plane of both."""
    orders = [special.ive(dim / 2 - 1, k) for k in kappas]
    log_z = [
        math.log(o) + k + dim / 2 * math.log(2 * math.pi) - (dim / 2 - 1) * math.log(k)
        for o, k in zip(orders, kappas, strict=True)
    ]
    sine = math.sqrt(1 - cosine**2)

    def density(z: float, s: float) -> float:
        p = math.exp(kappas[0] * z - log_z[0])
        q = math.exp(kappas[1] * (cosine * z + sine * math.sqrt(1 - z * z) * s) - log_z[1])
        return integrand(divergence, p, q)

    # area element: (1 - z^2)^((d-3)/2) dz times (1 - s^2)^((d-4)/2) ds times the area of the (d-3)-sphere
    area = 2 * math.pi ** ((dim - 2) / 2) / math.gamma((dim - 2) / 2)
    inner = lambda phi, theta: (  # noqa: E731
        density(math.cos(theta), math.cos(phi)) * math.sin(theta) ** (dim - 2) * math.sin(phi) ** (dim - 3)
    )
    return area * integrate.dblquad(inner, 0, math.pi, 0, math.pi, epsabs=1e-11, epsrel=1e-9)[0]


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
@pytest.mark.parametrize("dim", [3, 5])
def test_von_mises_fisher_laws_against_quadrature(divergence: Divergence, dim: int) -> None:
    mu_p, mu_q = torch.zeros(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
    mu_p[0], mu_q[0], mu_q[1] = 1.0, 0.6, 0.8
    pair = VonMisesFisherPair(VonMisesFisher(mu_p, t(2.0)), VonMisesFisher(mu_q, t(1.2)))
    truth = vmf_integral(dim, (2.0, 1.2), 0.6, divergence)
    assert float(divergence.exact(pair)) == pytest.approx(truth, rel=1e-7)


def test_von_mises_fisher_laws_on_the_circle() -> None:
    p, q = stats.vonmises(3.0), stats.vonmises(1.0, loc=0.7)
    pair = VonMisesFisherPair(
        VonMisesFisher(t([1.0, 0.0]), t(3.0)), VonMisesFisher(t([math.cos(0.7), math.sin(0.7)]), t(1.0))
    )
    for divergence in DIVERGENCES:
        truth = integrate.quad(lambda x, d=divergence: integrand(d, p.pdf(x), q.pdf(x)), -math.pi, math.pi)[0]
        assert float(divergence.exact(pair)) == pytest.approx(truth, rel=1e-8)


@pytest.mark.parametrize("kappa", [1e4, 1e8])
def test_concentrated_laws_on_the_sphere_are_normal_laws(kappa: float) -> None:
    """In three dimensions, kappa large: the tangent plane, with covariance I / kappa, to relative order 1 / kappa."""
    angle = 0.8 / math.sqrt(kappa)
    mu_q = t([math.sin(angle), 0.0, math.cos(angle)])
    pair = VonMisesFisherPair(VonMisesFisher(t([0.0, 0.0, 1.0]), t(kappa)), VonMisesFisher(mu_q, t(1.3 * kappa)))
    one = torch.eye(2, dtype=torch.float64)
    flat = GaussianPair(t([0.0, 0.0]), one, t([0.8, 0.0]), one / 1.3)
    for divergence in DIVERGENCES:
        exact = float(divergence.exact(flat))
        assert float(divergence.exact(pair)) == pytest.approx(exact, rel=5 / kappa + 1e-6), divergence


def test_the_uniform_law_and_the_general_formula_on_the_sphere() -> None:
    """kappa = 0 is a regular point; the formula written out with the log-partition of three dimensions agrees."""

    def partition(eta: Tensor) -> Tensor:
        r = eta.square().sum(-1).add(1e-30).sqrt()
        return (torch.sinh(r) / r).log()

    pole = t([0.0, 0.0, 1.0])
    for kappa_q in (0.0, 2.0):
        pair = VonMisesFisherPair(VonMisesFisher(pole, t(1.5)), VonMisesFisher(-pole, t(kappa_q)))
        general = ExponentialFamilyPair(partition, 1.5 * pole, -kappa_q * pole)
        for divergence in DIVERGENCES:
            assert float(divergence.exact(pair)) == pytest.approx(float(divergence.exact(general)), rel=1e-9, abs=1e-12)
    with pytest.raises(ValueError, match="one sphere"):
        VonMisesFisherPair(VonMisesFisher(pole, t(1.0)), VonMisesFisher(t([1.0, 0.0]), t(1.0)))
    with pytest.raises(TypeError, match="expected target"):
        VonMisesFisherPair(pole, pole)  # type: ignore[arg-type]


def test_where_there_is_no_closed_form() -> None:
    pair = GaussianPair(t([0.0]), t([[1.0]]), t([1.0]), t([[1.0]]))
    assert isinstance(pair, Pair)
    for divergence in (FDivergence(jensen_shannon), TailAdaptive()):
        with pytest.raises(ValueError, match="closed form"):
            divergence.exact(pair)
    with pytest.raises(TypeError, match="pair of laws"):
        ReverseKL().exact(torch.zeros(3))  # type: ignore[arg-type]
