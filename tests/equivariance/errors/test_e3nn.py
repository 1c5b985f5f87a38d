"""The same numbers as e3nn's own test of equivariance, on its layers and on broken ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import equivariance_error, spectrum
from pyro_symvi.equivariance._foreign import MatrixAction
from pyro_symvi.groups import NaturalAction, Orthogonal, PointReflection, Quadrature, SpecialOrthogonal, Symmetric
from tests.equivariance_samples import normal

o3 = pytest.importorskip("e3nn.o3")
from e3nn import nn as e3nn_layers  # noqa: E402
from e3nn.util.test import equivariance_error as trials  # noqa: E402

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)


def filled(module: nn.Module) -> nn.Module:
    """Weights from a fixed seed, in float64."""
    module = module.double().eval()
    for i, p in enumerate(module.parameters()):
        p.data = normal(*p.shape, seed=i)
    return module


@pytest.fixture
def double() -> Iterator[None]:
    """E3nn keeps its constants in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


IRREPS = o3.Irreps("3x0e+2x0o+2x1o+1e+2e+3o")


@pytest.mark.usefixtures("double")
def test_its_representations_as_actions() -> None:
    action = MatrixAction(O3, IRREPS)
    assert action.parts is not None and action.dim == IRREPS.dim and action.band == 3
    g, h = O3.sample((2, 8), generator=torch.Generator().manual_seed(1))
    matrices = action.matrix(g)
    torch.testing.assert_close(matrices, IRREPS.D_from_matrix(g), rtol=0, atol=1e-11)
    torch.testing.assert_close(matrices @ action.matrix(h), action.matrix(g @ h), rtol=0, atol=1e-13)
    torch.testing.assert_close(MatrixAction(O3, o3.Irrep("1o")).matrix(g), g, rtol=0, atol=1e-15)
    with pytest.raises(TypeError, match="rotations in three dimensions"):
        MatrixAction(Symmetric(3), IRREPS)


def test_matrices_of_anything_else_are_taken_as_they_are() -> None:
    class Doubled:
        dim = 6

        def D_from_matrix(self, g: Tensor) -> Tensor:
            return torch.block_diag(*([torch.zeros(3, 3)] * 2)).to(g) + torch.kron(torch.eye(2).to(g), g)

    def model(x: Tensor) -> Tensor:
        return torch.cat([x, 2 * x], -1)

    action = MatrixAction(SO3, Doubled())
    assert action.parts is None and action.band == 0
    error = equivariance_error(model, normal(3, 3), SO3, None, Doubled())
    assert error.relative < 1e-14 and error.dimension == 6


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("kind", ["linear", "tensor product", "gate"])
def test_its_own_layers_are_at_rounding(kind: str) -> None:
    if kind == "linear":
        model = filled(o3.Linear(IRREPS, "2x0e+2x1o+2e"))
        into, out = IRREPS, o3.Irreps("2x0e+2x1o+2e")
        x: object = normal(3, IRREPS.dim)
    elif kind == "tensor product":
        first, second, out = o3.Irreps("0e+1o"), o3.Irreps("1o+2e"), o3.Irreps("0e+1o+1e+2e")
        model = filled(o3.FullyConnectedTensorProduct(first, second, out))
        into, x = (first, second), (normal(3, first.dim), normal(3, second.dim, seed=1))
    else:
        model = e3nn_layers.Gate("2x0e", [torch.tanh], "1x0e", [torch.sigmoid], "1x1o").double().eval()
        into, out, x = model.irreps_in, model.irreps_out, normal(3, model.irreps_in.dim)
    error = equivariance_error(model, x, O3, into, out, degree=6)
    assert error.relative < 1e-14 and not error.significant


def test_constants_rounded_to_float32_are_seen_in_float64() -> None:
    first, second, out = o3.Irreps("0e+1o"), o3.Irreps("1o+2e"), o3.Irreps("0e+1o+1e+2e")
    model = filled(o3.FullyConnectedTensorProduct(first, second, out))  # its coupling constants were made in float32
    error = equivariance_error(
        model, (normal(3, first.dim), normal(3, second.dim, seed=1)), O3, (first, second), out, degree=6
    )
    assert 1e-10 < error.relative < 1e-7 and error.significant


def test_its_spherical_harmonics_on_vectors() -> None:
    out = o3.Irreps("0e+1o+2e+3o")
    model = o3.SphericalHarmonics(out, normalize=True).double().eval()
    error = equivariance_error(model, normal(4, 3), O3, NaturalAction(O3), out)
    assert error.relative < 1e-13 and not error.significant
    parts = spectrum(model, normal(4, 3), O3, 3, degree=6).output
    assert [parts.fraction((k, 1)) for k in range(4)] == pytest.approx([1 / 16, 3 / 16, 5 / 16, 7 / 16], abs=1e-12)


def drawn(seed: int, improper: bool) -> Tensor:
    """The element its test draws first after this seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        rotation = o3.rand_matrix(dtype=torch.float64)
    return -rotation if improper else rotation


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_number_at_the_same_element(seed: int) -> None:
    def model(x: Tensor) -> Tensor:
        return x.square().sum(-1, keepdim=True) + 0.1 * x[..., 1:2] ** 3

    x = normal(1, 3, seed=5)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        theirs = trials(model, [x], [o3.Irreps("1o")], [o3.Irreps("0e")], do_parity=False)[(0, False)]
    elements = torch.stack([torch.eye(3, dtype=torch.float64), drawn(seed, improper=False)])
    pair = Quadrature(elements, torch.full((2,), 0.5, dtype=torch.float64), 0)
    ours = equivariance_error(model, x, O3, o3.Irreps("1o"), o3.Irreps("0e"), rule=pair)
    # over two elements the variance is a quarter of the squared difference
    assert 2 * ours.A == pytest.approx(float(theirs.max()), rel=1e-5)  # theirs comes back in float32


def test_trials_stay_within_what_the_average_allows() -> None:
    planted = torch.tensor([0.02, -0.01, 0.03], dtype=torch.float64)
    vector = o3.Irreps("1o")
    layer = filled(o3.Linear(vector, vector))

    def model(x: Tensor) -> Tensor:
        return layer(x) + planted

    x = normal(4, 3)
    ours = equivariance_error(model, x, O3, vector, vector, degree=4)
    assert ours.A == pytest.approx(float(planted.norm()), rel=1e-12)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = trials(model, [x], [vector], [vector], ntrials=20)
    largest = max(float(value.max()) for value in theirs.values())
    assert 0.5 * ours.A < largest <= 2 * ours.A * (1 + 1e-6)  # |z(g) - z(e)| <= 2 max |z - E z| = 2 |c| here


def test_a_parity_error_is_seen_apart_as_its_test_does() -> None:
    pseudo = filled(o3.Linear("1e", "1e"))
    error = equivariance_error(pseudo, normal(3, 3), O3, o3.Irreps("1e"), o3.Irreps("1o"), degree=4)
    assert error.by_parity is not None
    assert error.by_parity.rotation < 1e-14 * error.A and error.relative == pytest.approx(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = trials(pseudo, [normal(3, 3)], [o3.Irreps("1e")], [o3.Irreps("1o")])
    assert float(theirs[(0, False)].max()) < 1e-6 and float(theirs[(1, False)].max()) > 1e-2


def test_other_groups_refuse_its_representations() -> None:
    flip = PointReflection(center=torch.zeros(3))
    with pytest.raises((TypeError, ValueError), match="rotations in three dimensions"):
        equivariance_error(lambda x: x, normal(2, 3), flip.group, flip, IRREPS)
