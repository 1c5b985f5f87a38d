"""Symmetries of densities on the sphere: axes, antipodes, mirrors; none where there is none."""

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_symvi.distributions import VonMisesFisher
from pyro_symvi.groups import Antipodal, AxialRotation, SphereRotation
from pyro_symvi.recovery import Evidence, SphereDensity, find_symmetries


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


AXIS = tensor(1.0, 2.0, -2.0) / 3
TURN = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double()).Q
FORM = TURN @ torch.diag(tensor(3.0, 1.0, -1.0)) @ TURN.mT


def bingham(x: Tensor) -> Tensor:
    return ((x @ FORM) * x).sum(-1)


def on_sphere(function: Callable[[Tensor], Tensor], dim: int = 3) -> SphereDensity:
    return SphereDensity.from_callable(function, dim)


def kinds(target: SphereDensity) -> list[str]:
    return sorted(f.kind.split(" about")[0] for f in find_symmetries(target))


def test_a_von_mises_fisher_law_turns_about_its_axis_alone() -> None:
    law = VonMisesFisher(AXIS, torch.tensor(5.0, dtype=torch.float64))
    (found,) = symmetries = find_symmetries(law)
    assert isinstance(found.action, AxialRotation)
    torch.testing.assert_close(found.action.axis.abs(), AXIS.abs(), rtol=0, atol=1e-10)
    assert float((found.action.axis @ AXIS).abs()) == pytest.approx(1, abs=1e-12)
    assert found.pins.contrasts == 2  # the mean lies on the axis
    assert symmetries.implies(AxialRotation(AXIS))
    assert not symmetries.implies(Antipodal(3)) and not symmetries.implies(SphereRotation(3))
    assert not symmetries.implies(AxialRotation(tensor(1.0, 2.0, -1.9)))
    assert [r.kind for r in symmetries.refuted] == ["antipode"]


def test_a_bipolar_law_has_axis_and_antipode() -> None:
    symmetries = find_symmetries(on_sphere(lambda x: 3 * (x @ AXIS) ** 2, 3))
    assert {type(f.action) for f in symmetries} == {AxialRotation, Antipodal}
    antipode = next(f for f in symmetries if isinstance(f.action, Antipodal))
    assert antipode.evidence is Evidence.PROVED and antipode.pins.means == (0, 1, 2)


def test_groups_of_other_laws() -> None:
    assert kinds(on_sphere(lambda x: 3 * (x @ AXIS) ** 2 + torch.sin(2 * (x @ AXIS)), 3)) == ["rotations"]
    assert kinds(on_sphere(bingham, 3)) == ["mirrors along 3 axes"]  # and so the antipode, their product
    assert kinds(on_sphere(lambda x: 3 * x[..., 0] - x[..., 1] + x[..., 1] ** 3, 5)) == [
        "rotations of a subspace of 3 dimensions"
    ]
    even = lambda x: bingham(x) + x[..., 0] ** 3 * x[..., 1] + 0.3 * x[..., 2] ** 3 * x[..., 0]  # noqa: E731
    assert kinds(on_sphere(even, 3)) == ["antipode"]


def test_no_symmetry_is_invented() -> None:
    def skewed(x: Tensor) -> Tensor:
        return x @ FORM @ tensor(1.0, 2.0, 3.0) + x[..., 0] ** 3 * x[..., 1] + x[..., 2] ** 4 * x[..., 0]

    assert kinds(on_sphere(skewed, 3)) == []
    nearly = find_symmetries(on_sphere(lambda x: 3 * (x @ AXIS) ** 2 + 1e-3 * skewed(x), 3))
    assert not nearly.found and {r.kind.split(" about")[0] for r in nearly.refuted} == {"rotations", "antipode"}


@pytest.mark.parametrize("kappa", [1e3, 1e6])
def test_a_concentrated_law_turns_about_its_axis_and_a_bent_one_does_not(kappa: float) -> None:
    across = tensor(2.0, 1.0, 2.0) / 3
    symmetries = find_symmetries(on_sphere(lambda x: kappa * (x @ AXIS)))
    assert [f.kind.split(" about")[0] for f in symmetries] == ["rotations"] and not symmetries.undecided
    torch.testing.assert_close(symmetries.found[0].action.axis.abs(), AXIS.abs(), rtol=0, atol=1e-10)
    bent = find_symmetries(on_sphere(lambda x: kappa * (x @ AXIS) + 0.01 * (x @ across) ** 2))
    assert [f.kind.split(" along")[0] for f in bent] == ["mirrors"]
    assert "rotations" in {r.kind.split(" about")[0] for r in bent.refuted}
    far = find_symmetries(on_sphere(lambda x: kappa * (x @ AXIS) + kappa * torch.relu(-(x @ AXIS)) ** 4 * x[..., 0]))
    assert not far.found  # the same to all orders at the mode, bent on the other hemisphere


def test_a_concentrated_ring_and_a_concentrated_pair_of_caps() -> None:
    assert kinds(on_sphere(lambda x: -2e3 * (x @ AXIS) ** 2)) == ["antipode", "rotations"]
    assert kinds(on_sphere(lambda x: 2e3 * (x @ AXIS) ** 2)) == ["antipode", "rotations"]


def test_a_model_of_one_direction() -> None:
    observed = torch.nn.functional.normalize(torch.randn(9, 3, generator=torch.Generator().manual_seed(3)).double())

    def model() -> None:
        mu = pyro.sample("mu", VonMisesFisher(AXIS, torch.tensor(0.5, dtype=torch.float64)))
        pyro.sample("y", VonMisesFisher(mu.expand(9, 3), torch.full((9,), 4.0).double()).to_event(1), obs=observed)

    (found,) = find_symmetries(model)
    total = 0.5 * AXIS + 4 * observed.sum(0)  # the posterior is von Mises-Fisher about this
    assert isinstance(found.action, AxialRotation)
    assert float((found.action.axis @ total).abs() / total.norm()) == pytest.approx(1, abs=1e-12)


def test_wrong_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="expected dim >= 2"):
        on_sphere(bingham, 1)
    with pytest.raises(TypeError, match="expected a function of unit vectors"):
        on_sphere(3.0, 3)  # type: ignore[arg-type]

    def two() -> None:
        pyro.sample("mu", VonMisesFisher(AXIS, torch.tensor(0.5, dtype=torch.float64)))
        pyro.sample("tau", dist.Normal(0.0, 1.0))

    with pytest.raises(ValueError, match="expected no latent site but one direction"):
        find_symmetries(two)
