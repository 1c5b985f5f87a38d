"""What `find_symmetries` returns: implications, what is pinned, refutations, words; and what it refuses."""

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.families import LocationScale
from pyro_symvi.groups import (
    AxisFlips,
    CoordinatePermutation,
    EllipticalRotation,
    PointReflection,
    SignedCoordinatePermutation,
    TranslationAction,
)
from pyro_symvi.recovery import Evidence, Symmetries, find_symmetries
from pyro_symvi.recovery.discovery import JointRotation

SCATTER = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
CENTER = torch.tensor([1.0, -0.5], dtype=torch.float64)


def elliptical(z: torch.Tensor) -> torch.Tensor:
    x = z - CENTER
    return -2 * torch.log1p((x @ torch.linalg.inv(SCATTER) * x).sum(-1) / 3)


def even(z: torch.Tensor) -> torch.Tensor:
    x, y = (z - CENTER).unbind(-1)
    return -(x**4) - (x + y) ** 2 - y**2 - 0.1 * x * y**3 - y**4


def cube(z: torch.Tensor) -> torch.Tensor:
    return -z.pow(4).sum(-1) - 0.3 * z.square().sum(-1)


@pytest.fixture(scope="module")
def ellipse() -> Symmetries:
    return find_symmetries(LogDensity.from_callable(elliptical, 2), guide=LocationScale(2, scale="diagonal"))


def test_center_and_shape_of_an_ellipse(ellipse: Symmetries) -> None:
    (found,) = ellipse.found
    assert isinstance(found.action, EllipticalRotation)
    assert found.center is not None and found.shape is not None
    torch.testing.assert_close(found.center, CENTER, rtol=0, atol=1e-8)
    torch.testing.assert_close(found.shape / found.shape[0, 0], SCATTER / SCATTER[0, 0], rtol=0, atol=1e-8)
    assert found.pins.means == (0, 1)
    assert found.pins.correlations == ((0, 1),) and found.pins.zero == ()


def test_an_ellipse_implies_its_reflection_and_no_other(ellipse: Symmetries) -> None:
    assert ellipse.implies(PointReflection(CENTER))
    assert not ellipse.implies(PointReflection(CENTER + 0.01))
    assert not ellipse.implies(AxisFlips([0], CENTER[:1]))  # the axes are correlated
    assert not ellipse.implies(CoordinatePermutation(2))


def test_closure_of_the_guide_is_told(ellipse: Symmetries) -> None:
    closure = ellipse[0].closure
    assert closure is not None and not closure.holds  # rotations do not keep a diagonal scale diagonal
    assert "not closed" in str(ellipse) and "not closed" in ellipse.explain()
    full = find_symmetries(LogDensity.from_callable(elliptical, 2), guide=LocationScale(2))[0].closure
    assert full is not None and full.holds


def test_evenness_is_proved_and_pins_the_mean_only() -> None:
    symmetries = find_symmetries(LogDensity.from_callable(even, 2))
    (found,) = symmetries
    assert found.kind == "point reflection" and found.evidence is Evidence.PROVED
    assert found.pins.means == (0, 1) and found.pins.correlations == ()
    refuted = {r.kind: r for r in symmetries.refuted}["elliptical"]
    assert refuted.image is not None
    here, there = even(refuted.witness), even(refuted.image)
    assert float(there - here) == pytest.approx(refuted.residual, rel=1e-9)
    assert abs(refuted.residual) > 1e-3


def test_products_of_flips_and_exchanges_are_implied() -> None:
    symmetries = find_symmetries(LogDensity.from_callable(cube, 3))
    assert len(symmetries) == 2
    assert symmetries.implies(SignedCoordinatePermutation(3))
    assert symmetries.implies(PointReflection(0.0, coordinates=[0, 2]))
    assert not symmetries.implies(JointRotation(3, [[0, 1]]))
    assert {f.kind for f in symmetries} == {"reflection of each coordinate", "exchangeable coordinates"}
    exchange = next(f for f in symmetries if f.kind == "exchangeable coordinates")
    assert exchange.pins.equal_means == ((0, 1, 2),) and exchange.pins.free_covariances == 2


def test_the_searches_are_told() -> None:
    symmetries = find_symmetries(LogDensity.from_callable(lambda z: 2 * z[0] - z[0].exp(), 1))
    assert not symmetries.found and "No symmetry was found" in str(symmetries)
    text = symmetries.explain()
    assert "Searched:" in text and "Not searched:" in text and "nothing is known of mass" in text.replace("\n  ", "")
    assert any(r.kind == "point reflection" for r in symmetries.refuted)


def test_wrong_arguments_are_refused() -> None:
    density = LogDensity.from_callable(cube, 3)
    with pytest.raises(TypeError, match="expected no further arguments"):
        find_symmetries(density, 1.0)
    with pytest.raises(TypeError, match="expected a LogDensity"):
        find_symmetries(3.0)
    with pytest.raises(TypeError, match="expected guide as"):
        find_symmetries(density, guide="normal")
    empty = Symmetries(density, ())
    with pytest.raises(TypeError, match="expected a linear or affine action"):
        empty.implies(TranslationAction(3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="center"):
        empty.implies(PointReflection())
