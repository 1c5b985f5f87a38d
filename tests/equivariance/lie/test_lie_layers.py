"""The chain rule through layers: terms add up to the whole, and a broken layer is found."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import CentralDifferences, lie_error
from pyro_symvi.groups import NaturalAction, SpecialOrthogonal
from tests.equivariance_samples import normal

SO3 = SpecialOrthogonal(3)
VECTORS = NaturalAction(SO3)


def net(width: int = 6, out: int = 3) -> nn.Sequential:
    torch.manual_seed(3)
    layers = [nn.Linear(3, width), nn.ReLU(inplace=True), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, out)]
    return nn.Sequential(*layers).double().eval()


class Stretch(nn.Module):
    """Vectors to vectors; equivariant unless ``amount`` is not 0."""

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, x: Tensor) -> Tensor:
        return x * x.square().sum(-1, keepdim=True).cos() * torch.tensor([1, 1, 1 + self.amount], dtype=x.dtype)


@pytest.mark.parametrize("hidden", [{}, {"0": VECTORS, "1": VECTORS}], ids=["scalars", "vectors"])
def test_terms_add_up_whatever_is_declared(hidden: dict[str, NaturalAction]) -> None:
    model, x = net(width=3), normal(4, 3)
    found = lie_error(model, x, SO3, rho_out=VECTORS, layers=None, rho_hidden=hidden)
    assert [term.name for term in found.terms] == ["0", "1", "2", "3", "4"]
    torch.testing.assert_close(sum(term.vector for term in found.terms), found.vector, rtol=1e-12, atol=1e-13)
    assert math.isclose(sum(found.shares.values()), 1, rel_tol=1e-12)
    torch.testing.assert_close(found.vector, lie_error(model, x, SO3, rho_out=VECTORS).vector, rtol=1e-12, atol=0)


def test_one_term_by_hand() -> None:
    model, x = net(out=2), normal(3, 3)
    found = lie_error(model, x, SO3, layers=["0"])
    for a, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
        moved = torch.zeros_like(x)
        moved[:, j], moved[:, i] = x[:, i], -x[:, j]
        own = moved @ model[0].weight.T  # invariance is declared: all of the change counts
        rest = nn.Sequential(nn.ReLU(), *model[2:])
        exact = torch.func.jvp(rest, (model[0](x),), (own,))[1]
        torch.testing.assert_close(found.term("0").vector[a], exact, rtol=1e-12, atol=1e-14)


def test_the_broken_layer_is_found() -> None:
    layers = OrderedDict(first=Stretch(0), broken=Stretch(0.1), last=Stretch(0))
    found = lie_error(
        nn.Sequential(layers).eval(),
        normal(5, 3),
        SO3,
        rho_out=VECTORS,
        layers=["*"],
        rho_hidden={name: VECTORS for name in layers},
    )
    assert found.sizes["first"] < 1e-14 and found.sizes["last"] < 1e-14
    assert math.isclose(found.shares["broken"], 1, rel_tol=1e-12)
    assert "broken" in str(found)
    blind = lie_error(nn.Sequential(layers).eval(), normal(5, 3), SO3, rho_out=VECTORS, layers=["first"])
    assert blind.sizes["first"] > 0.1  # vectors declared scalars: large, although the layer is equivariant


def test_averages_and_functions_in_a_chain() -> None:
    model, x = net(), normal(2, 3)
    whole = lie_error(model, x, SO3, rho_out=VECTORS, layers=None, average=1, batch=4)
    assert whole.vector is None and whole.terms[0].vector is None
    assert math.isclose(sum(whole.shares.values()), 1, rel_tol=1e-12)
    chain = {"twice": lambda x: 2 * x, "squares": lambda x: x.square(), "sum": lambda x: x.sum(-1)}
    found = lie_error(chain, x, SO3, rho_hidden={"twice": VECTORS})
    assert list(found.sizes) == ["twice", "squares", "sum"] and found.sizes["twice"] < 1e-15
    assert found.L < 1e-14 and found.sizes["squares"] < 1e-14  # what "sum" undoes never reaches the output


class Branches(nn.Module):
    """A skip connection, a module called twice, a nested one, a tuple on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.inner, self.head = nn.Linear(3, 3), net(), nn.LSTM(3, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.shared(x) + x
        y = self.shared(y) * self.inner(y)
        return self.head(y[:, None])[0][:, 0] + x[:, :2]


@pytest.mark.parametrize(
    "layers", [["shared"], ["inner", "inner.*"], None, ["head", "shared"]], ids=["twice", "nested", "leaves", "tuple"]
)
def test_any_graph_of_modules(layers: list[str] | None) -> None:
    torch.manual_seed(5)
    model, x = Branches().double().eval(), normal(3, 3)
    method = CentralDifferences() if layers and "head" in layers else None
    found = lie_error(model, x, SO3, layers=layers, rho_hidden={"shared": VECTORS} if layers == ["shared"] else None)
    tolerance = 1e-12 if method is None else 1e-7
    torch.testing.assert_close(sum(term.vector for term in found.terms), found.vector, rtol=0, atol=tolerance)
    assert ("shared@2" in found.sizes) == (layers is None or "shared" in layers)
    assert found.terms[-1].name == "output"  # skip connections by-pass every module
    assert not any(module._forward_hooks for module in model.modules())


def test_layers_of_e3nn() -> None:
    o3 = pytest.importorskip("e3nn.o3")
    irreps = o3.Irreps("2x0e+1o+1x2e")
    torch.manual_seed(0)
    model = nn.Sequential(o3.Linear(irreps, irreps), o3.Linear(irreps, irreps)).eval()
    found = lie_error(
        model, normal(3, irreps.dim).float(), SO3, irreps, irreps, layers=["0"], rho_hidden={"0": irreps}, double=True
    )
    assert found.relative < 1e-14 and found.sizes.get("0", 0.0) < 1e-14
    blind = lie_error(model, normal(3, irreps.dim).float(), SO3, irreps, None, double=True)
    # a vector and a quadrupole declared scalars: sum l(l+1) of their energies
    y = model(normal(3, irreps.dim).float()).detach().double().square()
    exact = (2 * y[:, 2:5].sum() + 6 * y[:, 5:].sum()) / y.numel()
    torch.testing.assert_close(torch.tensor(blind.mean_square).double(), exact, rtol=1e-5, atol=0)


def test_actions_on_layers_that_are_not_looked_at_are_refused() -> None:
    with pytest.raises(ValueError, match="rho_hidden for layers among"):
        lie_error(net(), normal(2, 3), SO3, rho_hidden={"0": VECTORS})
