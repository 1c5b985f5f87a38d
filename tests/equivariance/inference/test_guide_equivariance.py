"""Amortised posteriors: planted errors of known size, and laws whose symmetry is known."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.distributions import VonMisesFisher
from pyro_symvi.equivariance import MonteCarlo, Symmetry, Thresholds, guide_equivariance
from pyro_symvi.families import LocationScale
from pyro_symvi.groups import (
    CoordinatePermutation,
    NaturalAction,
    Quadrature,
    SpecialOrthogonal,
    Symmetric,
    Translation,
    TranslationAction,
)
from tests.equivariance_samples import normal

SO2, SO3 = SpecialOrthogonal(2), SpecialOrthogonal(3)
VECTORS = NaturalAction(SO3)


CLOUD = normal(3, 5, 3)


def scatter(x: Tensor) -> Tensor:
    """A covariance that turns with the cloud."""
    return x.mT @ x / x.shape[1] + 0.3 * torch.eye(3, dtype=x.dtype)


def test_a_planted_shift_is_measured_exactly() -> None:
    shift, sd = torch.tensor([0.3, 0.0, 0.4], dtype=torch.float64), 0.5

    def encoder(x: Tensor) -> tuple[Tensor, Tensor]:
        loc = x.mean(1) + shift
        return loc, torch.full_like(loc, sd)

    found = guide_equivariance(encoder, CLOUD, SO3, rho_latent=VECTORS, degree=4)
    site = found["q"]
    assert math.isclose(site.location.A, 0.5, rel_tol=1e-12)
    assert math.isclose(site.location.in_sd, 0.5 / sd / math.sqrt(3), rel_tol=1e-12)
    assert math.isclose(site.mean_divergence, 0.5**2 / sd**2, rel_tol=1e-12)  # E|c - g c|^2 / 2 sd^2 = |c|^2 / sd^2
    assert site.covariance is not None and site.covariance.in_sd < 1e-14
    assert found.verdict is Symmetry.BROKEN and not found
    loose = guide_equivariance(encoder, CLOUD, SO3, rho_latent=VECTORS, degree=4, thresholds=Thresholds(0.1, 1.0))
    assert loose.verdict is Symmetry.NEARLY


def test_independent_coordinates_are_not_equivariant_although_the_mean_is() -> None:
    variance = torch.tensor([1.0, 1.0, 1.3], dtype=torch.float64)

    def encoder(x: Tensor) -> dist.Distribution:
        return dist.Normal(x.mean(1), variance.sqrt()).to_event(1)

    found = guide_equivariance(encoder, CLOUD, SO3, rho_latent=VECTORS, degree=8)
    assert found["q"].location.in_sd < 1e-14 and found.verdict is Symmetry.BROKEN
    # S = I + 0.3 n n^T turned: mean I + 0.1 I, so E|S_g - E S|^2 = 0.3^2 (1 - 1/3)
    covariance = found["q"].covariance
    assert covariance is not None and math.isclose(covariance.A, 0.3 * math.sqrt(2 / 3), rel_tol=1e-12)
    assert "covariance" in str(found) and "not equivariant" in str(found)
    even = guide_equivariance(lambda x: (x.mean(1), torch.ones_like(x[:, 0])), CLOUD, SO3, rho_latent=VECTORS)
    assert even.verdict is Symmetry.EQUIVARIANT and even


@pytest.mark.parametrize("form", ["multivariate", "pair", "dict", "low rank", "location-scale"])
def test_a_cholesky_factor_need_not_be_equivariant(form: str) -> None:
    def encoder(x: Tensor) -> object:
        loc, root = x.mean(1), torch.linalg.cholesky(scatter(x))
        if form == "multivariate":
            return dist.MultivariateNormal(loc, scale_tril=root)
        if form == "pair":
            return loc, root
        if form == "dict":
            return {"loc": loc, "covariance": scatter(x)}
        if form == "low rank":
            return dist.LowRankMultivariateNormal(loc, x.mT / x.shape[1] ** 0.5, 0.3 * torch.ones_like(loc))
        return LocationScale(3).distribution({"loc": loc, "scale": root})

    found = guide_equivariance(encoder, CLOUD, SO3, rho_latent=VECTORS, degree=3)
    assert found.size < 1e-12 and found["q"].mean_divergence < 1e-12
    torch.testing.assert_close(
        found["q"].covariance.norm,  # type: ignore[union-attr]
        scatter(CLOUD).square().sum((1, 2)),
    )


def test_the_diagonal_of_that_factor_would_not_pass() -> None:
    def encoder(x: Tensor) -> dict[str, Tensor]:
        return {"loc": x.mean(1), "scale": torch.linalg.cholesky(scatter(x)).diagonal(dim1=1, dim2=2)}

    assert guide_equivariance(encoder, CLOUD, SO3, rho_latent=VECTORS, degree=3).verdict is Symmetry.BROKEN


def test_directions_and_their_concentration() -> None:
    def encoder(x: Tensor, tilt: float) -> VonMisesFisher:
        mean = x.mean(1) + tilt * torch.tensor([0, 0, 1.0], dtype=x.dtype)
        return VonMisesFisher(mean / mean.norm(dim=-1, keepdim=True), x.square().sum((1, 2)) * (1 + tilt * x[:, 0, 0]))

    good = guide_equivariance(lambda x: encoder(x, 0.0), CLOUD, SO3, rho_latent=VECTORS, degree=4)
    bad = guide_equivariance(lambda x: encoder(x, 0.2), CLOUD, SO3, rho_latent=VECTORS, degree=8)
    assert good.size < 1e-12 and abs(good["q"].mean_divergence) < 1e-12
    assert bad.verdict is Symmetry.BROKEN and bad["q"].mean_divergence > 0.01
    assert "concentration" in str(bad)


def test_kl_is_that_of_torch() -> None:
    matrix = normal(3, 3, seed=4)

    def encoder(x: Tensor) -> dist.MultivariateNormal:
        loc = x.mean(1) @ matrix
        return dist.MultivariateNormal(loc, scatter(x @ matrix))

    rule = SO3.quadrature(2)
    found = guide_equivariance(encoder, CLOUD, SO3, rho_latent=VECTORS, rule=rule)
    first, exact = encoder(CLOUD), 0.0
    for g, w in zip(*rule[:2], strict=True):
        image = dist.MultivariateNormal(first.loc @ g.T, g @ first.covariance_matrix @ g.T)
        exact = exact + w * torch.distributions.kl_divergence(encoder(CLOUD @ g.T), image)
    torch.testing.assert_close(found["q"].divergence, exact)


def test_particles_that_are_permuted_and_turned() -> None:
    def encoder(x: Tensor) -> dist.Distribution:
        away = x - x.mean(1, keepdim=True)
        return dist.Normal(away, away.norm(dim=-1, keepdim=True)).to_event(2)

    turned = guide_equivariance(encoder, CLOUD, SO3, rho_latent=VECTORS, degree=2)
    assert turned.size < 1e-12
    permuted = guide_equivariance(
        lambda x: dist.Normal(x + 0.1 * torch.arange(4.0).double(), x.exp()).to_event(1),
        normal(2, 4),
        Symmetric(4),
        CoordinatePermutation(4),
        CoordinatePermutation(4),
    )
    site = permuted["q"]
    assert site.covariance is not None and site.covariance.in_sd < 1e-14
    assert math.isclose(site.location.A, 0.1 * math.sqrt(5), rel_tol=1e-12)  # sum (i - 3/2)^2 = 5


def test_a_pyro_guide_by_site() -> None:
    state = torch.random.get_rng_state()

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            mean = pyro.sample("mean", dist.MultivariateNormal(x.mean(1), scatter(x)))
            pyro.sample("tip", dist.Normal(2 * mean + 0.1 * torch.ones(3, dtype=x.dtype), 0.5).to_event(1))
            pyro.sample("energy", dist.Normal(x.square().sum((1, 2)), 1.0))

    found = guide_equivariance(guide, CLOUD, SO3, None, {"mean": VECTORS, "tip": VECTORS, "energy": None}, degree=4)
    assert found["mean"].size < 1e-12 and found["energy"].size < 1e-12
    assert math.isclose(found["tip"].location.A, 0.1 * math.sqrt(3), rel_tol=1e-9)
    assert torch.equal(state, torch.random.get_rng_state())
    with pytest.raises(ValueError, match="rho_latent for sites among"):
        guide_equivariance(guide, CLOUD, SO3, None, {"other": VECTORS})
    with pytest.raises(ValueError, match="a dict with an action for each"):
        guide_equivariance(guide, CLOUD, SO3, None, VECTORS)


def test_an_encoder_learns_the_symmetry_of_its_model() -> None:
    """A linear Gaussian model: the posterior mean is a multiple of the data, so the best encoder is equivariant."""
    torch.manual_seed(0)
    net, spread = nn.Linear(2, 2), nn.Parameter(torch.zeros(()))

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 0.5).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(net(x), spread.exp()).to_event(1))

    elbo = pyro.infer.TraceMeanField_ELBO()
    optimiser = torch.optim.Adam([*net.parameters(), spread], 0.15)
    x = normal(64, 2, seed=1).float()
    actions = {"z": NaturalAction(SO2)}
    before = guide_equivariance(guide, x, SO2, None, actions, degree=2)
    for step in range(60):
        optimiser.param_groups[0]["lr"] = 0.1 if step < 40 else 0.02
        optimiser.zero_grad()
        elbo.differentiable_loss(model, guide, x).backward()
        optimiser.step()
    after = guide_equivariance(guide, x, SO2, None, actions, degree=2)
    assert before.verdict is Symmetry.BROKEN
    assert after.size < 0.3 * before.size and after.verdict is not Symmetry.BROKEN


def test_draws_and_windows_where_there_is_no_rule() -> None:
    shift = torch.tensor([0.3, 0.4, 0.0, 0.0], dtype=torch.float64)
    group = SpecialOrthogonal(4)
    found = guide_equivariance(
        lambda x: (x + shift, torch.ones_like(x)),
        normal(2, 4),
        group,
        None,
        NaturalAction(group),
        rule=MonteCarlo(2000),
    )
    assert math.isclose(found["q"].location.A, 0.5, rel_tol=0.05)  # standard error of A^2 below 2 |c|^2 / sqrt(n)
    line = Translation(1)
    window = Quadrature(
        torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None], torch.full((5,), 0.2, dtype=torch.float64), -1
    )
    moves = TranslationAction(1)
    x = normal(3, 1)
    assert guide_equivariance(lambda x: (x, 0 * x + 1), x, line, moves, moves, rule=window).size < 1e-14
    slope = guide_equivariance(lambda x: (2 * x, 0 * x + 1), x, line, moves, moves, rule=window)
    assert math.isclose(slope["q"].location.in_sd, math.sqrt(0.5), rel_tol=1e-12)  # variance of the window
    with pytest.raises(ValueError, match="no Haar mean"):
        guide_equivariance(lambda x: (x, 0 * x + 1), x, line, moves, moves)


def test_what_can_not_be_read_is_refused() -> None:
    def run(encoder: object) -> None:
        guide_equivariance(encoder, CLOUD, SO3, rho_latent=VECTORS, degree=2)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="log_variance"):
        run(lambda x: (x.mean(1), -torch.ones_like(x[:, 0])))
    with pytest.raises(ValueError, match="which are both"):
        run(lambda x: (x.mean(1), torch.eye(3).double().expand(len(x), 3, 3)))
    with pytest.raises(ValueError, match="positive definite"):
        run(lambda x: {"loc": x.mean(1), "covariance": torch.zeros(len(x), 3, 3).double()})
    with pytest.raises(TypeError, match="not affine"):
        run(lambda x: dist.TransformedDistribution(dist.Normal(x.mean(1), 1.0), [dist.transforms.ExpTransform()]))
    with pytest.raises(TypeError, match="continuous"):
        run(lambda x: dist.Categorical(logits=x.mean(1)))
    with pytest.raises(ValueError, match="evaluation mode"):
        run(nn.Dropout())
    with pytest.raises(ValueError, match="deterministic"):
        run(lambda x: (torch.randn(len(x), 3).double(), torch.ones(len(x), 3).double()))
    with pytest.raises(TypeError, match="law_invariance"):
        run(pyro.infer.autoguide.AutoNormal(lambda: None))
