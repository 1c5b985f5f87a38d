"""Random Pyro models with known posterior moments, symmetric and not; the material of `coverage.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_symvi.density import LogDensity
from pyro_symvi.groups import CoordinatePermutation, LinearAction


@dataclass(frozen=True)
class Posterior:
    """A model and what is true of it, in unconstrained coordinates.

    Attributes:
        kind: The kind of model.
        model: The model, without arguments.
        mean: Exact posterior means ``[d]``.
        covariance: Exact posterior covariance ``[d, d]``.
        even: Coordinates whose mean a reflection pins.
        elliptical: Coordinates whose correlations an elliptical symmetry pins.
        apart: Whether coordinates outside ``even`` are uncorrelated with those in it, by the reflection.
        single: Coordinates that flip by themselves, so that their correlations are zero.
        exchangeable: Coordinates that may be exchanged, so that contrasts of their means are zero.
        symmetry: A symmetry to tell the fit.
        multimodal: Whether a fit should cover several modes.
    """

    kind: str
    model: Callable[[], None]
    mean: Tensor
    covariance: Tensor
    even: tuple[int, ...] = ()
    elliptical: tuple[int, ...] = ()
    apart: bool = False
    single: tuple[int, ...] = ()
    exchangeable: tuple[int, ...] = ()
    symmetry: LinearAction | None = None
    multimodal: bool = False


@dataclass
class Random:
    """Random numbers of one seed, in float64."""

    seed: int
    generator: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=self.generator)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand(1, dtype=torch.float64, generator=self.generator))

    def integer(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=self.generator))


# -- exact moments -----------------------------------------------------------------------------------------------


def by_grid(density: LogDensity, center: Tensor, reach: Tensor, count: int = 0) -> tuple[Tensor, Tensor]:
    """Moments by the trapezoidal rule on a grid, in one or two dimensions; spectrally accurate for smooth tails."""
    dim = density.dim
    count = count or (20001 if dim == 1 else 701)
    axes = [c + r * torch.linspace(-1, 1, count, dtype=torch.float64) for c, r in zip(center, reach, strict=True)]
    z = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, dim)
    weights = density(z).detach().nan_to_num(nan=-torch.inf).softmax(0)
    mean = weights @ z
    return mean, (weights[:, None] * (z - mean)).mT @ (z - mean)


def given_one(density: LogDensity, one: int, low: float, high: float, count: int = 2001) -> tuple[Tensor, Tensor]:
    """Moments where all other coordinates are Gaussian given one: exact given it, the trapezoidal rule over it."""
    d = density.dim
    rest = torch.tensor([i for i in range(d) if i != one])
    nodes = torch.linspace(low, high, count, dtype=torch.float64)
    z = torch.zeros(count, d, dtype=torch.float64)
    z[:, one] = nodes
    value, gradient = density.value_and_grad(z)
    precision = -density.hessian(z)[:, rest][:, :, rest]
    center = torch.linalg.solve(precision, gradient[:, rest])
    log_marginal = value + 0.5 * (gradient[:, rest] * center).sum(-1) - 0.5 * torch.logdet(precision)
    weights = log_marginal.softmax(0)
    full = torch.zeros(count, d, dtype=torch.float64)
    full[:, one], full[:, rest] = nodes, center
    mean = weights @ full
    covariance = (weights[:, None] * (full - mean)).mT @ (full - mean)
    covariance[rest[:, None], rest] += torch.einsum("n,nij->ij", weights, torch.linalg.inv(precision))
    return mean, covariance


def of(model: Callable[[], None]) -> LogDensity:
    """The density of a model."""
    return LogDensity.from_model(model)


def design(random: Random, n: int, p: int) -> Tensor:
    """Random covariates with an intercept."""
    return torch.cat([torch.ones(n, 1, dtype=torch.float64), random.normal(n, p - 1)], 1)


def flat() -> dist.TorchDistribution:
    """A flat law on the real line."""
    return dist.ImproperUniform(dist.constraints.real, (), ())


def scalar(value: float) -> Tensor:
    """A number in float64."""
    return torch.tensor(value, dtype=torch.float64)


# -- symmetric by construction -----------------------------------------------------------------------------------


def flat_regression(random: Random) -> Posterior:
    """Flat priors: the coefficients are Student-t given the data, elliptical given sigma."""
    n, p = random.integer(7, 14), random.integer(2, 3)
    x, y = design(random, n, p), random.normal(n) + 1.0

    def model() -> None:
        beta = pyro.sample("beta", dist.ImproperUniform(dist.constraints.real_vector, (), (p,)))
        log_sigma = pyro.sample("log_sigma", flat())
        pyro.sample("y", dist.Normal(x @ beta, log_sigma.exp()).to_event(1), obs=y)

    mean, covariance = given_one(of(model), p, -4.0, 8.0, 4001)
    block = tuple(range(p))
    return Posterior("flat regression", model, mean, covariance, block, block, apart=True)


def conjugate_regression(random: Random) -> Posterior:
    """A prior whose scale is sigma's: still elliptical given sigma."""
    n, p = random.integer(6, 12), random.integer(2, 3)
    x, y, scale = design(random, n, p), random.normal(n) - 0.5, random.uniform(0.5, 3.0)

    def model() -> None:
        log_sigma = pyro.sample("log_sigma", dist.Normal(scalar(0.0), 1.0))
        beta = pyro.sample("beta", dist.Normal(scalar(0.3), scale * log_sigma.exp()).expand([p]).to_event(1))
        pyro.sample("y", dist.Normal(x @ beta, log_sigma.exp()).to_event(1), obs=y)

    mean, covariance = given_one(of(model), 0, -4.0, 5.0)
    block = tuple(range(1, p + 1))
    return Posterior("conjugate regression", model, mean, covariance, block, block, apart=True)


def normal_hierarchy(random: Random) -> Posterior:
    """Known scales: all Gaussian."""
    k, tau = random.integer(2, 4), random.uniform(0.5, 2.0)
    y, sd = 2 * random.normal(k), random.normal(k).exp()

    def model() -> None:
        mu = pyro.sample("mu", dist.Normal(scalar(0.0), 3.0))
        theta = pyro.sample("theta", dist.Normal(mu, tau).expand([k]).to_event(1))
        pyro.sample("y", dist.Normal(theta, sd).to_event(1), obs=y)

    density = of(model)
    zero = torch.zeros(k + 1, dtype=torch.float64)
    covariance = torch.linalg.inv(-density.hessian(zero))
    everything = tuple(range(k + 1))
    return Posterior(
        "normal hierarchy", model, covariance @ density.value_and_grad(zero)[1], covariance, everything, everything
    )


def mirrored_logistic(random: Random) -> Posterior:
    """Each observation together with its mirror image: even."""
    x = random.normal(random.integer(4, 8), 2)
    x, y = torch.cat([x, x]), torch.cat([torch.zeros(len(x)), torch.ones(len(x))]).double()
    scale = random.uniform(0.7, 2.0)

    def model() -> None:
        beta = pyro.sample("beta", dist.Normal(scalar(0.0), scale).expand([2]).to_event(1))
        pyro.sample("y", dist.Bernoulli(logits=x @ beta).to_event(1), obs=y)

    zero = torch.zeros(2, dtype=torch.float64)
    mean, covariance = by_grid(of(model), zero, zero + 9 * scale)
    return Posterior("mirrored logistic", model, zero + 0 * mean, covariance, (0, 1))


def funnel(random: Random) -> Posterior:
    """Neal's funnel with a skewed or a normal neck: even in each x, whatever v."""
    s, skewed = random.uniform(0.4, 0.9), random.integer(0, 1)

    def model() -> None:
        v = pyro.sample("v", dist.Gumbel(scalar(0.0), s) if skewed else dist.Normal(scalar(0.0), s))
        pyro.sample("x", dist.Normal(scalar(0.0), (v / 2).exp()).expand([2]).to_event(1))

    variance = s**2 * math.pi**2 / 6 if skewed else s**2
    growth = math.gamma(1 - s) if skewed else math.exp(s**2 / 2)
    mean = torch.tensor([0.5772156649015329 * s if skewed else 0.0, 0.0, 0.0], dtype=torch.float64)
    covariance = torch.diag(torch.tensor([variance, growth, growth], dtype=torch.float64))
    return Posterior("funnel", model, mean, covariance, (1, 2), (1, 2), apart=True, single=(1, 2))


def mirrored_student(random: Random) -> Posterior:
    """Student-t errors about a location, data mirrored about a point."""
    half, c, df = 2 * random.normal(random.integer(2, 4)), random.uniform(-2, 2), random.uniform(2.0, 6.0)
    y = torch.cat([c + half, c - half])

    def model() -> None:
        mu = pyro.sample("mu", dist.Normal(scalar(c), 3.0))
        pyro.sample("y", dist.StudentT(scalar(df), mu, 1.0).expand([len(y)]).to_event(1), obs=y)

    _, covariance = by_grid(of(model), torch.tensor([c]).double(), torch.tensor([25.0]).double())
    return Posterior("mirrored Student-t", model, torch.tensor([c]).double(), covariance, (0,), multimodal=True)


def even_sites(random: Random) -> Posterior:
    """A Beta(a, a) and an LKJ site: even in unconstrained coordinates; their parameters differ."""
    a, eta = random.uniform(1.5, 5.0), random.uniform(1.5, 4.0)

    def model() -> None:
        pyro.sample("p", dist.Beta(scalar(a), scalar(a)))
        pyro.sample("L", dist.LKJCholesky(2, scalar(eta)))

    # logit p has variance 2 psi'(a); with r = tanh x, (1 + r)/2 is Beta(eta, eta) and 2x its logit
    first = 2 * torch.polygamma(1, scalar(a))
    second = 2 * torch.polygamma(1, scalar(eta)) / 4
    zero = torch.zeros(2, dtype=torch.float64)
    return Posterior(
        "Beta and LKJ", model, zero, torch.diag(torch.stack([first, second])), (0, 1), (0, 1), single=(0, 1)
    )


def exchangeable_plate(random: Random) -> Posterior:
    """Members of a plate without data of their own, coupled in a symmetric way."""
    a, strength = random.uniform(1.0, 5.0), random.uniform(0.1, 1.0)

    def model() -> None:
        with pyro.plate("members", 2):
            theta = pyro.sample("theta", dist.Gamma(scalar(a), 1.0))
        pyro.factor("coupling", -strength * (theta[0].log() - theta[1].log()) ** 2)

    density = of(model)
    middle = torch.full((2,), math.log(a), dtype=torch.float64)
    mean, covariance = by_grid(density, middle - 5 / a, torch.full_like(middle, 3 + 14 / a))
    return Posterior(
        "exchangeable plate", model, mean, covariance, exchangeable=(0, 1), symmetry=CoordinatePermutation(2)
    )


def label_switching(random: Random) -> Posterior:
    """Two component means of equal weight: contrasts are zero."""
    y = torch.cat([random.normal(5) - random.uniform(0, 2), random.normal(4) + random.uniform(0, 2)])

    def model() -> None:
        mu = pyro.sample("mu", dist.Normal(scalar(0.0), 2.0).expand([2]).to_event(1))
        parts = dist.Normal(mu, 1.0)
        law = dist.MixtureSameFamily(dist.Categorical(torch.ones(2, dtype=torch.float64)), parts)
        pyro.sample("y", law.expand([len(y)]).to_event(1), obs=y)

    zero = torch.zeros(2, dtype=torch.float64)
    mean, covariance = by_grid(of(model), zero, zero + 14)
    return Posterior(
        "label switching", model, mean, covariance, exchangeable=(0, 1), symmetry=CoordinatePermutation(2),
        multimodal=True,
    )  # fmt: skip


# -- without symmetry --------------------------------------------------------------------------------------------


def semi_conjugate_regression(random: Random) -> Posterior:
    """An independent prior on the coefficients: Gaussian given sigma, about a centre that moves with it."""
    n, p = random.integer(6, 12), random.integer(2, 3)
    x, y, scale = design(random, n, p), random.normal(n) + 1.5, random.uniform(0.5, 3.0)

    def model() -> None:
        log_sigma = pyro.sample("log_sigma", dist.Normal(scalar(0.0), 1.0))
        beta = pyro.sample("beta", dist.Normal(scalar(0.0), scale).expand([p]).to_event(1))
        pyro.sample("y", dist.Normal(x @ beta, log_sigma.exp()).to_event(1), obs=y)

    mean, covariance = given_one(of(model), 0, -4.0, 6.0)
    return Posterior("semi-conjugate regression", model, mean, covariance)


def schools(random: Random) -> Posterior:
    """A hierarchy with an unknown scale, centred."""
    k = random.integer(3, 5)
    y, sd = 2 * random.normal(k) + 1, (0.3 * random.normal(k)).exp()

    def model() -> None:
        log_tau = pyro.sample("log_tau", dist.Normal(scalar(0.0), 0.7))
        mu = pyro.sample("mu", dist.Normal(scalar(0.0), 3.0))
        theta = pyro.sample("theta", dist.Normal(mu, log_tau.exp()).expand([k]).to_event(1))
        pyro.sample("y", dist.Normal(theta, sd).to_event(1), obs=y)

    mean, covariance = given_one(of(model), 0, -5.0, 5.0)
    return Posterior("hierarchy", model, mean, covariance)


def logistic(random: Random) -> Posterior:
    """Logistic regression on random data."""
    x = random.normal(random.integer(6, 14), 2)
    y = (x @ torch.ones(2).double() + random.normal(len(x)) > 0.3).double()

    def model() -> None:
        beta = pyro.sample("beta", dist.Normal(scalar(0.0), 1.5).expand([2]).to_event(1))
        pyro.sample("y", dist.Bernoulli(logits=x @ beta).to_event(1), obs=y)

    zero = torch.zeros(2, dtype=torch.float64)
    mean, covariance = by_grid(of(model), zero + 1, zero + 12)
    return Posterior("logistic", model, mean, covariance)


def poisson(random: Random) -> Posterior:
    """Poisson regression."""
    x = design(random, random.integer(4, 8), 2)
    y = torch.poisson((0.5 * x.sum(-1)).exp(), generator=random.generator)

    def model() -> None:
        beta = pyro.sample("beta", dist.Normal(scalar(0.0), 1.5).expand([2]).to_event(1))
        pyro.sample("y", dist.Poisson((x @ beta).exp()).to_event(1), obs=y)

    zero = torch.zeros(2, dtype=torch.float64)
    mean, covariance = by_grid(of(model), zero - 1, zero + 9)
    return Posterior("Poisson", model, mean, covariance)


def student(random: Random) -> Posterior:
    """Student-t errors about a location, random data."""
    y, df = 2 * random.normal(random.integer(3, 7)), random.uniform(2.0, 6.0)

    def model() -> None:
        mu = pyro.sample("mu", dist.Normal(scalar(0.3), 3.0))
        pyro.sample("y", dist.StudentT(scalar(df), mu, 1.0).expand([len(y)]).to_event(1), obs=y)

    mean, covariance = by_grid(of(model), torch.tensor([0.3]).double(), torch.tensor([25.0]).double())
    return Posterior("Student-t", model, mean, covariance)


def simplex(random: Random) -> Posterior:
    """Dirichlet weights: logs of odds of independent Beta variables, skewed but where parameters agree."""
    a = torch.tensor([random.uniform(0.8, 4.0) for _ in range(3)], dtype=torch.float64)

    def model() -> None:
        pyro.sample("w", dist.Dirichlet(a))

    rest = torch.stack([a[1] + a[2], a[2]])
    mean = torch.digamma(a[:2]) - torch.digamma(rest) + torch.tensor([2.0, 1.0]).double().log()
    variance = torch.polygamma(1, a[:2]) + torch.polygamma(1, rest)
    return Posterior("Dirichlet", model, mean, torch.diag(variance))


def perturbed(random: Random) -> Posterior:
    """An even law with an odd part of size 1e-1 to 1e-4."""
    size, rho = 10 ** -float(random.integer(1, 4)), random.uniform(-0.6, 0.6)

    def model() -> None:
        z = pyro.sample("z", dist.Normal(scalar(0.0), 1.0).expand([2]).to_event(1))
        x, y = z[0], z[1]
        pyro.factor("even", -0.2 * x**4 - rho * x * y - 0.1 * (x * y) ** 2 - 0.3 * y**4)
        pyro.factor("odd", size * torch.tanh(x + 0.5 * y))

    zero = torch.zeros(2, dtype=torch.float64)
    mean, covariance = by_grid(of(model), zero, zero + 8)
    return Posterior("perturbed", model, mean, covariance)


def far_mode(random: Random) -> Posterior:
    """A normal law with a light component 6 to 15 sd away."""
    weight, far, width = 10 ** -random.uniform(1, 3), random.uniform(6, 15), random.uniform(0.7, 1.5)

    def model() -> None:
        z = pyro.sample("z", dist.Normal(scalar(0.0), 1.0))
        gain = dist.Normal(scalar(far), width).log_prob(z) - dist.Normal(scalar(0.0), 1.0).log_prob(z)
        pyro.factor("second", torch.logaddexp(scalar(1 - weight).log(), scalar(weight).log() + gain))

    mean = weight * far
    variance = 1 - weight + weight * (width**2 + far**2) - mean**2
    return Posterior("far light mode", model, torch.tensor([mean]).double(), torch.tensor([[variance]]).double())


KINDS: tuple[Callable[[Random], Posterior], ...] = (
    flat_regression, semi_conjugate_regression, mirrored_logistic, logistic, normal_hierarchy, schools, funnel,
    perturbed, mirrored_student, student, exchangeable_plate, simplex, conjugate_regression, poisson, even_sites,
    far_mode, label_switching,
)  # fmt: skip


def posterior(seed: int) -> Posterior:
    """The posterior of a seed; kinds take turns."""
    return KINDS[seed % len(KINDS)](Random(seed))
