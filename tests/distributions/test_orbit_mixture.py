"""The orbit mixture law against sums written by hand, quadrature, and moments of draws."""

import itertools
import math
import pickle
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch import Tensor

from pyro_symvi.distributions import orbit_mixture
from pyro_symvi.distributions.bases import StudentT, UniformBall
from pyro_symvi.distributions.orbit_mixture import OrbitMixtureLaw
from pyro_symvi.groups import (
    AxisFlips,
    ConditionalReflection,
    CoordinatePermutation,
    EllipticalRotation,
    HiddenLayer,
    HiddenUnitRescaling,
    PointReflection,
    SignedCoordinatePermutation,
    Symmetric,
    UnsupportedError,
)

LOC = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
ROOT = torch.tensor([[0.8, 0.0, 0.0], [0.3, 0.5, 0.0], [-0.4, 0.2, 1.1]], dtype=torch.float64)
POINTS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2


def normal(loc: Tensor = LOC, root: Tensor = ROOT) -> Any:
    return dist.MultivariateNormal(loc, scale_tril=root)


def by_hand(points: Tensor, images_back: Any) -> np.ndarray[Any, Any]:
    """log of the average of scipy's normal density over functions that take a point back to the first copy."""
    law = stats.multivariate_normal(LOC.numpy(), (ROOT @ ROOT.mT).numpy())
    return np.array([math.log(np.mean([law.pdf(back(z)) for back in images_back])) for z in points.numpy()])


# -- densities -----------------------------------------------------------------------------------------------------


def test_permutations_by_hand() -> None:
    action = CoordinatePermutation(3)
    law = OrbitMixtureLaw(normal(), action, action.group.elements())
    orders = [list(p) for p in itertools.permutations(range(3))]
    expected = by_hand(POINTS, [lambda z, p=p: z[p] for p in orders])
    assert np.allclose(law.log_prob(POINTS).numpy(), expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(law.log_prob(POINTS[:, [2, 0, 1]]), law.log_prob(POINTS), rtol=1e-12)


def test_flips_about_a_centre_by_hand() -> None:
    action = AxisFlips([0, 2], center=[0.5, -1.0]).bind(3)
    law = OrbitMixtureLaw(normal(), action, action.group.elements())

    def back(a: int, b: int) -> Any:
        return lambda z: np.array([1.0 - z[0] if a else z[0], z[1], -2.0 - z[2] if b else z[2]])

    expected = by_hand(POINTS, [back(a, b) for a in (0, 1) for b in (0, 1)])
    assert np.allclose(law.log_prob(POINTS).numpy(), expected, rtol=1e-12, atol=1e-12)


def test_sheared_reflections_by_hand() -> None:
    """z0 -> 2 (1 + 2 z1 - 3 z2) - z0: affine, not orthogonal, volume kept; mean and variance follow."""
    action = ConditionalReflection([0], intercept=[1.0], slope=[[2.0, -3.0]]).bind(3)
    law = OrbitMixtureLaw(normal(), action, action.group.elements())

    def back(z: Any) -> Any:
        return np.array([2 * (1 + 2 * z[1] - 3 * z[2]) - z[0], z[1], z[2]])

    assert np.allclose(law.log_prob(POINTS).numpy(), by_hand(POINTS, [lambda z: z, back]), rtol=1e-12)
    row = np.array([-1.0, 4.0, -6.0])
    covariance, image = (ROOT @ ROOT.mT).numpy(), 2 * (1 + 2 * -0.5 - 3 * 2.0) - 1.0
    assert law.mean.tolist() == pytest.approx([(1.0 + image) / 2, -0.5, 2.0])
    expected = (covariance[0, 0] + row @ covariance @ row) / 2 + ((1.0 - image) / 2) ** 2
    assert float(law.variance[0]) == pytest.approx(expected)


def test_some_elements_only_and_twice_the_same() -> None:
    """Elements that are no group: the cycle (012) is not its own inverse, and the sum has the inverse's images."""
    action = CoordinatePermutation(3)
    cycle = torch.tensor([1, 2, 0])
    elements = torch.stack([torch.arange(3), cycle, cycle])
    x = torch.tensor([10.0, 20.0, 30.0])
    forward = action.act(cycle, x)  # entry 0 goes to place 1
    assert forward.tolist() == [30.0, 10.0, 20.0]
    law = OrbitMixtureLaw(normal(), action, elements)
    expected = by_hand(POINTS, [lambda z: z, lambda z: z[[1, 2, 0]], lambda z: z[[1, 2, 0]]])
    assert np.allclose(law.log_prob(POINTS).numpy(), expected, rtol=1e-12, atol=1e-12)


def test_actions_that_stretch_volume() -> None:
    """Two weights in, one out, of one unit: images z -> (c z1, c z2, z3 / c), whose log-determinant is log c."""
    action = HiddenUnitRescaling(HiddenLayer(3, [[0, 1]], [[2]]))
    factors = [1.0, 3.0, 0.25]
    law = OrbitMixtureLaw(normal(), action, torch.tensor(factors, dtype=torch.float64)[:, None])
    base = stats.multivariate_normal(LOC.numpy(), (ROOT @ ROOT.mT).numpy())
    expected = [
        math.log(np.mean([base.pdf([z[0] / c, z[1] / c, z[2] * c]) / c for c in factors])) for z in POINTS.numpy()
    ]
    assert np.allclose(law.log_prob(POINTS).numpy(), expected, rtol=1e-12)
    torch.manual_seed(0)
    z = law.rsample((4,))
    index_free = law.component_log_prob(z)
    assert index_free.shape == (4, 3)
    assert torch.allclose(index_free.logsumexp(-1) - math.log(3), law.log_prob(z), rtol=1e-12)


def test_a_drawn_set_of_rotations_integrates_to_one() -> None:
    action = EllipticalRotation(center=[0.3, -0.2], shape=[[1.0, 0.4], [0.4, 0.5]]).bind(2)
    elements = action.group.sample(5, generator=torch.Generator().manual_seed(3))
    law = OrbitMixtureLaw(dist.Normal(torch.tensor([1.5, 0.2]).double(), 0.3).to_event(1), action, elements)
    axis = torch.linspace(-6, 6, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    assert float(law.log_prob(grid).exp().sum() * 0.02**2) == pytest.approx(1.0, abs=1e-10)


def test_batches_of_points_cut_into_pieces_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    action = SignedCoordinatePermutation(3)
    law = OrbitMixtureLaw(normal(), action, action.group.elements())
    whole = law.log_prob(POINTS)
    calls = []
    inner = OrbitMixtureLaw._images_log_prob
    monkeypatch.setattr(
        OrbitMixtureLaw, "_images_log_prob", lambda self, g, z: calls.append(len(g)) or inner(self, g, z)
    )
    monkeypatch.setattr(orbit_mixture, "_NUMBERS_PER_CALL", 100)
    assert torch.equal(law.log_prob(POINTS), whole)
    assert calls == [4] * 12  # 100 numbers are 4 elements on 7 points of length 3


def test_a_base_that_is_zero_somewhere() -> None:
    base = UniformBall().distribution(2, torch.zeros((), dtype=torch.float64))
    base = dist.TransformedDistribution(base, [dist.transforms.AffineTransform(torch.tensor([3.0, 0.0]).double(), 1.0)])
    action = PointReflection(center=0.0).bind(2)
    law = OrbitMixtureLaw(base, action, action.group.elements(), validate_args=False)
    base._validate_args = base.base_dist._validate_args = False
    z = torch.tensor([[3.1, 0.2], [-2.5, 0.0], [0.0, 0.0]], dtype=torch.float64)
    assert law.log_prob(z).tolist() == pytest.approx([-math.log(2 * math.pi)] * 2 + [-math.inf])


# -- draws ---------------------------------------------------------------------------------------------------------


def test_draws_have_the_marginal_law() -> None:
    """Kolmogorov-Smirnov on 5000 draws of each coordinate against the mixture's distribution function."""
    action = AxisFlips([0], center=0.0).bind(3)
    law = OrbitMixtureLaw(normal(), action, action.group.elements())
    torch.manual_seed(1)
    z = law.sample((5000,)).numpy()
    sd = (ROOT @ ROOT.mT).diagonal().sqrt().numpy()

    def below(x: Any) -> Any:
        return 0.5 * (stats.norm.cdf(x, 1.0, sd[0]) + stats.norm.cdf(x, -1.0, sd[0]))

    assert stats.kstest(z[:, 0], below).pvalue > 1e-3
    assert stats.kstest(z[:, 1], stats.norm(-0.5, sd[1]).cdf).pvalue > 1e-3
    assert stats.kstest(z[:, 0], stats.norm(1.0, sd[0]).cdf).pvalue < 1e-10


def test_mean_and_variance_are_those_of_draws() -> None:
    """20,000 draws, five standard errors."""
    action = CoordinatePermutation(3)
    law = OrbitMixtureLaw(normal(), action, action.group.elements())
    assert torch.allclose(law.mean, LOC.mean().expand(3), rtol=1e-14)
    torch.manual_seed(2)
    z = law.sample((20_000,))
    assert float((z.mean(0) - law.mean).abs().max()) < 5 * float(z.std(0).max()) / 20_000**0.5
    spread = (z - law.mean).square()
    assert float((spread.mean(0) - law.variance).abs().max()) < 5 * float(spread.std(0).max()) / 20_000**0.5
    diagonal = OrbitMixtureLaw(
        dist.Normal(LOC, torch.tensor([0.5, 1.0, 2.0]).double()).to_event(1), action, action.group.elements()
    )
    assert float(diagonal.variance[0]) == pytest.approx((0.25 + 1 + 4) / 3 + float(LOC.var(correction=0)))


def test_gradients_through_draws_are_unbiased() -> None:
    """E z_0^2 of a flipped coordinate about c is ((2c - m)^2 + m^2)/2 + s^2; 40,000 draws, four standard errors."""
    m = torch.tensor([1.2, 0.3], dtype=torch.float64, requires_grad=True)
    s = torch.tensor([0.7, 0.4], dtype=torch.float64, requires_grad=True)
    action = AxisFlips([0], center=0.25).bind(2)
    law = OrbitMixtureLaw(dist.Normal(m, s).to_event(1), action, action.group.elements())
    torch.manual_seed(3)
    z = law.rsample((40_000,))[:, 0]
    blocks = torch.stack([torch.cat(torch.autograd.grad(b.square().mean(), (m, s), retain_graph=True))
                          for b in z.reshape(100, 400)])  # fmt: skip
    error = blocks.std(0) / 10
    expected = torch.tensor([1.2 - (0.5 - 1.2), 0.0, 2 * 0.7, 0.0], dtype=torch.float64)
    assert bool(((blocks.mean(0) - expected).abs() <= 4 * error + 1e-12).all())


def test_second_derivatives() -> None:
    action = CoordinatePermutation(3, permutations=Symmetric(3))

    def log_prob(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        base = dist.Normal(loc, scale).to_event(1)
        return OrbitMixtureLaw(base, action, action.group.elements()).log_prob(z)

    inputs = (POINTS[:2].clone().requires_grad_(), LOC.clone().requires_grad_(), torch.ones_like(LOC).requires_grad_())
    assert torch.autograd.gradcheck(log_prob, inputs)
    assert torch.autograd.gradgradcheck(log_prob, inputs)


# -- shapes and types ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("batch", [(), (4,), (2, 1)], ids=str)
def test_shapes(dtype: torch.dtype, batch: tuple[int, ...]) -> None:
    action = AxisFlips(center=0.0).bind(3)
    base = dist.Normal(torch.zeros(*batch, 3, dtype=dtype), 1.0).to_event(1)
    law = OrbitMixtureLaw(base, action, action.group.elements())
    assert law.batch_shape == batch and law.event_shape == (3,) and law.event_dim == 1 and law.num_elements == 8
    for sample in [(), (5,), (5, 2)]:
        z = law.rsample(sample)
        assert z.shape == (*sample, *batch, 3) and z.dtype == dtype
        assert law.log_prob(z).shape == (*sample, *batch) and law.log_prob(z).dtype == dtype
        assert law.component_log_prob(z).shape == law.responsibilities(z).shape == (*sample, *batch, 8)
        moved, index = law.relabel(z)
        assert moved.shape == z.shape and index.shape == z.shape[:-1]
    wide = law.expand((3, *batch))
    assert wide.batch_shape == (3, *batch) and wide.sample((2,)).shape == (2, 3, *batch, 3)
    z = torch.randn(3, dtype=dtype)
    assert torch.allclose(wide.log_prob(z), law.log_prob(z).expand(3, *batch))
    assert law.mean.shape == law.variance.shape == (*batch, 3)


def test_each_batch_entry_has_its_own_law() -> None:
    action = CoordinatePermutation(3)
    locs = torch.stack([LOC, -LOC])
    both = OrbitMixtureLaw(normal(locs), action, action.group.elements())
    for i, loc in enumerate(locs):
        one = OrbitMixtureLaw(normal(loc), action, action.group.elements())
        assert torch.allclose(both.log_prob(POINTS[:, None])[:, i], one.log_prob(POINTS), rtol=1e-12)
        assert torch.allclose(both.mean[i], one.mean) and torch.allclose(both.variance[i], one.variance)


def test_it_is_pickled_and_printed() -> None:
    action = PointReflection(center=0.0).bind(3)
    law = OrbitMixtureLaw(normal(), action, action.group.elements())
    assert torch.equal(pickle.loads(pickle.dumps(law)).log_prob(POINTS), law.log_prob(POINTS))
    assert "2 elements" in repr(law)


def test_laws_that_cannot_be_drawn_differentiably_are_passed_on() -> None:
    class NoRsample(dist.MultivariateNormal):
        has_rsample = False

    action = PointReflection(center=0.0).bind(3)
    law = OrbitMixtureLaw(NoRsample(LOC, scale_tril=ROOT), action, action.group.elements())
    assert not law.has_rsample and law.sample((2,)).shape == (2, 3)


# -- which copy ----------------------------------------------------------------------------------------------------


def test_responsibilities_are_shares_of_the_density() -> None:
    action = CoordinatePermutation(3)
    law = OrbitMixtureLaw(normal(), action, action.group.elements())
    shares = law.responsibilities(POINTS)
    assert torch.allclose(shares.sum(-1), torch.ones(7, dtype=torch.float64))
    first = normal().log_prob(POINTS).exp() / 6 / law.log_prob(POINTS).exp()
    assert torch.allclose(shares[:, 0], first, rtol=1e-12)


def test_relabelling_takes_separated_copies_back() -> None:
    action = CoordinatePermutation(3)
    base = normal(torch.tensor([-10.0, 0.0, 10.0]).double(), 0.5 * torch.eye(3, dtype=torch.float64))
    law = OrbitMixtureLaw(base, action, action.group.elements())
    torch.manual_seed(4)
    z = law.sample((300,))
    back, index = law.relabel(z)
    assert len(index.unique()) == 6
    assert torch.equal(back, z.sort(-1).values)
    assert torch.allclose(action.act(law.elements[index], back), z)


# -- refusals ------------------------------------------------------------------------------------------------------

SWAP = CoordinatePermutation(3)


@pytest.mark.parametrize(
    ("base", "action", "elements", "error", "message"),
    [
        ("normal", SWAP, SWAP.group.elements(), TypeError, "base as a Pyro distribution"),
        (normal(), "swap", SWAP.group.elements(), TypeError, "action as an action"),
        (normal(), SWAP, [[0, 1, 2]], TypeError, "elements as a tensor"),
        (dist.Normal(torch.zeros(3), 1.0), SWAP, SWAP.group.elements(), ValueError, "a base over vectors"),
        (normal(), CoordinatePermutation(4), SWAP.group.elements(), ValueError, "an action on vectors of length 3"),
        (normal(), PointReflection(), torch.ones(2), ValueError, "a bound action"),
        (normal(), SWAP, torch.zeros(2, 4, dtype=torch.long), ValueError, r"elements of shape \[m, 3\]"),
        (normal(), SWAP, torch.zeros(3, dtype=torch.long), ValueError, r"elements of shape \[m, 3\]"),
        (normal(), SWAP, torch.zeros(0, 3, dtype=torch.long), ValueError, r"elements of shape \[m, 3\]"),
    ],
)
def test_refusals(base: Any, action: Any, elements: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"expected {message}.*got.*because.*; try"):
        OrbitMixtureLaw(base, action, elements)


def test_moments_that_do_not_follow_are_refused() -> None:
    action = HiddenUnitRescaling(HiddenLayer(3, [[0, 1]], [[2]]))  # linear maps, but not declared so
    law = OrbitMixtureLaw(normal(), action, torch.ones(2, 1, dtype=torch.float64))
    with pytest.raises(UnsupportedError, match="expected an affine action, got .*because.*; try"):
        law.mean  # noqa: B018
    heavy = dist.TransformedDistribution(StudentT(3.0, spherical=True).distribution(3, LOC), [])
    flip = PointReflection(center=0.0).bind(3)
    with pytest.raises(NotImplementedError):
        OrbitMixtureLaw(heavy, flip, flip.group.elements()).mean  # noqa: B018
