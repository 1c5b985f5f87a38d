"""Bugs of guides and families that users met, each in its smallest form."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Predictive, Trace_ELBO

from pyro_symvi.distributions import PowerSpherical, SphericalUniform
from pyro_symvi.families import Diagonal, LocationScale, LowRank, Scale, Tied
from pyro_symvi.groups import ConditionalReflection, CoordinatePermutation, PointReflection
from pyro_symvi.guides import AutoLocationScale, AutoSymmetric


def regression(x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
    """A slope, with outcomes that are drawn where none are given."""
    slope = pyro.sample("slope", dist.Normal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        return pyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)


def normal(x: torch.Tensor) -> None:
    """A normal mean."""
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x)


@pytest.mark.parametrize("kind", [AutoLocationScale, AutoSymmetric])
@pytest.mark.parametrize("parallel", [False, True])
def test_prediction_without_outcomes(kind: type, parallel: bool) -> None:
    """Predictive on new inputs: what was observed in training is drawn from the model."""
    x = torch.linspace(-1.0, 1.0, 8)
    guide = kind(regression)
    SVI(regression, guide, pyro.optim.Adam({"lr": 0.01}), Trace_ELBO()).step(x, x)
    drawn = Predictive(regression, guide=guide, num_samples=3, parallel=parallel)(torch.zeros(5))
    assert drawn["y"].shape == (3, 5)


@pytest.mark.parametrize("kind", [AutoLocationScale, AutoSymmetric])
def test_median_without_outcomes(kind: type) -> None:
    """Summaries take the arguments that prediction takes."""
    x = torch.linspace(-1.0, 1.0, 8)
    guide = kind(regression)
    guide.set_up(x, x)
    assert guide.median(x)["slope"].shape == ()


@pytest.mark.parametrize("kind", [AutoLocationScale, AutoSymmetric])
def test_saved_store_of_a_second_guide_loads(kind: type, tmp_path: Path) -> None:
    """A cleared store has free names: a guide made after clearing is found again by a new session."""
    x, step = torch.ones(10), torch.tensor(3.0)
    first = kind(normal)
    first.set_up(x)
    pyro.clear_param_store()
    guide = kind(normal)
    guide.set_up(x)
    with torch.no_grad():
        next(p for n, p in guide.named_parameters() if "loc" in n).fill_(step)
    pyro.get_param_store().save(str(tmp_path / "store"))
    pyro.clear_param_store()
    del guide, first
    pyro.get_param_store().load(str(tmp_path / "store"))
    again = kind(normal)
    again.set_up(x)
    assert float(again.median(x)["mu"]) == pytest.approx(3.0)


@pytest.mark.parametrize("scale", ["diagonal", "isotropic", "low_rank"])
def test_closure_does_not_depend_on_units(scale: str) -> None:
    """A regression slope in large units of the regressor is small, and mixes coordinates all the same."""
    action = ConditionalReflection([1], 0.0, [[5e-10]], given=[0]).bind(2)
    assert not LocationScale(2, scale=scale).closure(action)


@pytest.mark.parametrize(("dim", "rank"), [(2, 1), (4, 1), (6, 2)])
def test_low_rank_start_is_nearer_than_mean_field(dim: int, rank: int) -> None:
    """Reverse KL between normals, 2 KL = tr(P Q) - log|P Q| - d, at the start and at the best diagonal scale."""
    root = torch.randn(dim, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(dim)).tril()
    root = root + 2 * torch.eye(dim, dtype=torch.float64) * root.diagonal().sign()
    root = root * root.diagonal().sign()
    precision = torch.cholesky_inverse(root)

    def divergence(pattern: Scale) -> float:
        matrix = pattern.matrix(pattern.from_root(root), dim)
        product = precision @ matrix @ matrix.mT
        return float(product.trace() - torch.linalg.slogdet(product).logabsdet) - dim

    assert divergence(LowRank(rank).resolve(dim)) < divergence(Diagonal())


def test_missing_parameters_and_models_are_named() -> None:
    family = LocationScale(2)
    with pytest.raises(ValueError, match=r"expected parameters \['loc', 'scale'\], got \['loc'\], because .*; try"):
        family.push_forward({"loc": torch.zeros(2)}, PointReflection(center=0.0, dim=2), torch.tensor([-1.0]))
    guide = AutoLocationScale(normal)
    guide.set_up(torch.ones(3))
    with pytest.raises(ValueError, match=r"expected parameters \['loc', 'scale'\], got \['loc'\], because .*; try"):
        guide.set_parameters({"loc": torch.zeros(1)})
    with pytest.raises(TypeError, match="expected a Pyro model .* got NoneType, because .*; try"):
        AutoLocationScale(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected levels as numbers, got .* because .*; try"):
        guide.quantiles(["a"], torch.ones(3))


def test_a_sphere_site_names_the_guide_that_takes_it() -> None:
    def model() -> None:
        pyro.sample("mu", SphericalUniform(3))

    with pytest.raises(ValueError, match="expected sites that map to a flat space.*AutoSymmetric"):
        AutoLocationScale(model).set_up()


def test_an_unpickled_guide_says_that_it_has_no_model() -> None:
    guide = AutoLocationScale(normal)
    guide.set_up(torch.ones(3))
    twin = pickle.loads(pickle.dumps(guide))
    with pytest.raises(ValueError, match="expected a guide that knows its model, got an unpickled one, because"):
        twin.initialize_from_laplace(torch.ones(3))


def test_a_scale_tied_by_a_group_can_be_stretched() -> None:
    """Uniform scaling takes C to c C, which commutes with the group as C does; a stretch of one coordinate does not."""
    pattern = Tied(CoordinatePermutation(3)).resolve(3)
    twice = 2 * torch.eye(3, dtype=torch.float64)
    scale = torch.tensor([0.3, -0.4], dtype=torch.float64)
    closure = pattern.closure(twice[None], spherical=False)
    assert closure.holds and closure.moves_scale
    moved = pattern.matrix(pattern.image(scale, twice), 3)
    torch.testing.assert_close(moved, 2 * pattern.matrix(scale, 3))
    assert not pattern.closure(torch.diag(torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64))[None], spherical=True)


def test_one_point_near_the_antipode_of_a_power_spherical_law() -> None:
    """A single point, no batch: the density there is that of the same point in a batch, kappa log((1 + cos)/2) + c."""
    x = torch.tensor([math.cos(3.1), math.sin(3.1), 0.0, 0.0], dtype=torch.float64)
    law = PowerSpherical(torch.eye(4, dtype=torch.float64)[0], 2.0)
    torch.testing.assert_close(law.log_prob(x), law.log_prob(x[None])[0])
    at_mode = law.log_prob(torch.eye(4, dtype=torch.float64)[0])
    assert float(law.log_prob(x) - at_mode) == pytest.approx(2 * math.log((1 + math.cos(3.1)) / 2), rel=1e-12)
