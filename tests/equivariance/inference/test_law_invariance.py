"""Laws of unamortised guides under actions on their latent space."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal

from pyro_symvi.density import LogDensity
from pyro_symvi.distributions import SphericalUniform
from pyro_symvi.equivariance import Symmetry, law_invariance
from pyro_symvi.families import LocationScale
from pyro_symvi.groups import CoordinatePermutation, NaturalAction, PointReflection, SpecialOrthogonal, SphereRotation
from pyro_symvi.guides import AutoLocationScale, AutoSymmetric

SO2 = SpecialOrthogonal(2)
SWAP = CoordinatePermutation(2)


def model() -> None:
    with pyro.plate("two", 2):
        pyro.sample("z", dist.Normal(0.0, 1.0))


def test_a_covariance_that_does_not_commute_is_found() -> None:
    a, b = 2.0, 1.0
    law = dist.MultivariateNormal(torch.zeros(2).double(), torch.diag(torch.tensor([a, b])).double())
    found = law_invariance(law, NaturalAction(SO2))["q"]
    # g S g^T - S has |.|_F^2 = 2 (a - b)^2 sin^2, of mean (a - b)^2
    assert found.covariance is not None and math.isclose(found.covariance.A, a - b, rel_tol=1e-12)
    assert found.location.in_sd == 0
    turns = torch.arange(64, dtype=torch.float64) * (math.pi / 32)
    g = SO2.exp(turns[:, None])
    images = dist.MultivariateNormal(torch.zeros(2).double(), g @ law.covariance_matrix @ g.mT)
    kl = torch.distributions.kl_divergence(images, law).mean()
    torch.testing.assert_close(found.divergence, kl[None], rtol=1e-12, atol=0)
    assert law_invariance(dist.MultivariateNormal(torch.zeros(2), 2 * torch.eye(2)), NaturalAction(SO2))


@pytest.mark.parametrize("kind", [AutoNormal, AutoMultivariateNormal, AutoLocationScale])
def test_guides_of_pyro_and_ours(kind: type) -> None:
    guide = kind(model)
    guide()
    with torch.no_grad():
        loc = next(value for name, value in guide.named_parameters() if "loc" in name)
        loc.copy_(torch.tensor([0.2, 0.2]))
    assert law_invariance(guide, SWAP).verdict is Symmetry.EQUIVARIANT
    with torch.no_grad():
        loc.copy_(torch.tensor([0.2, 0.25]))
    found = law_invariance(guide, SWAP)
    assert math.isclose(found["q"].location.A, 0.05, rel_tol=1e-5)  # root of (0 + 2 * 0.05^2) / 2
    assert found.verdict is Symmetry.BROKEN and "not invariant" in str(found)
    by_site = law_invariance(guide, {"z": SWAP})
    assert math.isclose(by_site.size, found.size, rel_tol=1e-12)


def test_the_family_may_not_hold_the_images() -> None:
    density = LogDensity.from_callable(lambda z: -z.square().sum(-1) / 2, 2)
    family = LocationScale(2, scale="diagonal")
    parameters = {"loc": torch.zeros(2).double(), "scale": torch.ones(2).double()}
    found = law_invariance(family, NaturalAction(SO2), density, parameters=parameters)
    assert found and not found["q"].closure  # this law is invariant, others of the family have images outside it
    assert "family cannot" in str(found)
    heavy = LocationScale(2, base="student_t", df=3.0)
    scale = torch.tensor([[1.0, 0.0], [0.5, 1.0]]).double()
    moved = law_invariance(heavy, SWAP, density, parameters={"loc": torch.zeros(2).double(), "scale": scale})
    assert moved["q"].closure and moved["q"].divergence is None
    exact = scale @ scale.mT
    assert math.isclose(moved["q"].covariance.A ** 2, float((exact.flip(0, 1) - exact).square().sum() / 2))  # type: ignore[union-attr]


def test_open_centres_are_the_laws_own() -> None:
    law = dist.Normal(torch.tensor([1.0, 2.0]).double(), torch.tensor([1.0, 3.0]).double()).to_event(1)
    found = law_invariance(law, PointReflection())
    assert found and "own location" in str(found)
    about_zero = law_invariance(law, PointReflection(center=[0.0, 0.0]))["q"]
    # -m instead of m at half of the elements: |2 m|^2 / 2 in standard deviations
    assert math.isclose(about_zero.location.in_sd, math.sqrt(2 * (1 + 4 / 9) / 2), rel_tol=1e-12)


def test_sites_on_spheres() -> None:
    def sphere() -> None:
        pyro.sample("mu", SphericalUniform(3))
        pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))

    guide = AutoSymmetric(sphere)
    guide()
    even = {"loc": torch.full((2,), 0.3), "scale": torch.ones(2)}
    guide.set_parameters({"mu": guide.parameters_of("mu"), "z": even})
    found = law_invariance(guide, {"mu": SphereRotation(3), "z": CoordinatePermutation(2)})
    # |g m - m|^2 has mean 2; one standard deviation is 1 / sqrt(kappa) along each of two tangents
    kappa = float(guide.parameters_of("mu")["concentration"].detach())
    assert math.isclose(found["mu"].location.in_sd, math.sqrt(kappa), rel_tol=1e-5)
    assert found["mu"].covariance is not None and found["mu"].covariance.in_sd < 1e-12
    assert found["z"].size < 1e-12
    with pytest.raises(TypeError, match="actions by site"):
        law_invariance(guide, SphereRotation(3))


def test_wrong_spaces_are_refused() -> None:
    law = dist.Normal(torch.zeros(3), torch.ones(3)).to_event(1)
    with pytest.raises(ValueError, match="length 3"):
        law_invariance(law, SWAP)
    with pytest.raises(ValueError, match="sites among"):
        guide = AutoNormal(model)
        guide()
        law_invariance(guide, {"w": SWAP})
    with pytest.raises(ValueError, match="one law of vectors"):
        law_invariance(dist.Normal(0.0, 1.0), SWAP)


def test_two_moments_do_not_make_a_law_invariant() -> None:
    """E exp(i t.z) = 1 / (1 + t_1^2) / (1 + t_2^2) for independent Laplace laws: no function of |t|."""
    turns = NaturalAction(SpecialOrthogonal(2))
    product = law_invariance(dist.Laplace(torch.zeros(2), torch.ones(2)).to_event(1), turns)
    assert product.size < 1e-12 and product.verdict is Symmetry.MOMENTS and not product
    assert str(product).startswith("invariant in location and scatter alone under")
    skewed = dist.Gamma(torch.tensor([2.0]), torch.ones(1)).to_event(1)  # of mean 2
    assert not law_invariance(skewed, PointReflection(center=[2.0]))
    assert law_invariance(dist.Normal(torch.zeros(2), torch.ones(2)).to_event(1), turns)
    with pytest.raises(TypeError, match="not affine"):
        law_invariance(dist.HalfNormal(torch.ones(2)).to_event(1), turns)
