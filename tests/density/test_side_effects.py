"""Building and evaluating a `LogDensity` leaves no trace, in any precision, also where the user's model raises."""

import random
import warnings
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoDiagonalNormal
from pyro.nn import PyroModule, PyroParam, PyroSample
from scipy import stats
from torch import Tensor, nn

from pyro_symvi.density import LogDensity
from pyro_symvi.density._model import without_initialisation
from tests.density.test_values import HIERARCHICAL, double, hierarchical, points


def global_state() -> tuple[Any, ...]:
    store = pyro.get_param_store()
    numpy_state = np.random.get_state()
    return (
        torch.get_rng_state().tolist(), random.getstate(), numpy_state[0], numpy_state[1].tolist(), numpy_state[2:],
        torch.get_default_dtype(), torch.is_grad_enabled(), dist.distribution.Distribution,
        torch.distributions.Distribution._validate_args, pyro.infer.util.is_validation_enabled(),
        pyro.poutine.util.is_validation_enabled(), {k: (id(v), v.tolist()) for k, v in store.named_parameters()},
        len(pyro.poutine.runtime._PYRO_STACK),
    )  # fmt: skip


def parametrised(y: Tensor) -> None:
    scale = pyro.param("scale", torch.tensor(2.0), constraint=dist.constraints.positive)
    x = pyro.sample("x", dist.Normal(0.0, scale))
    pyro.sample("y", dist.Normal(x, 1.0), obs=y)


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stored", [True, False])
def test_global_state_is_as_before(validate: bool, dtype: torch.dtype, stored: bool) -> None:
    torch.set_default_dtype(dtype)
    with pyro.validation_enabled(validate):
        if stored:
            pyro.param("scale", torch.tensor(3.0), constraint=dist.constraints.positive)
            pyro.param("other", torch.tensor(1.0))
        before = global_state()
        for model, args in ((hierarchical, HIERARCHICAL), (parametrised, (torch.tensor(0.5),))):
            density = LogDensity.from_model(model, *args)
            z = points(density.dim)
            density(z), density.value_and_grad(z), density.hessian(z), density.pack(density.unpack(z[0]))
            assert global_state() == before
        assert LogDensity.from_callable(lambda z: -(z**2).sum(), 2)(double([1.0, 1.0])) == -2
        assert global_state() == before


@pytest.mark.parametrize("when", ["construction", "evaluation"])
def test_global_state_is_as_before_where_the_model_raises(when: str) -> None:
    fuse = [10**9]

    def model() -> None:
        with pyro.plate("data", 3):
            fuse[0] -= 1
            pyro.sample("x", dist.Normal(pyro.param("loc", torch.zeros(())), 1.0))
            torch.rand(()) if fuse[0] < 0 else None
            if fuse[0] < 0:
                raise RuntimeError("boom")

    if when == "construction":
        fuse[0] = 0
        before = global_state()
        with pytest.raises(ValueError, match="boom"):
            LogDensity.from_model(model)
        assert global_state() == before
    else:
        density = LogDensity.from_model(model)
        fuse[0] = 0
        before = global_state()[1:]
        with pytest.raises(RuntimeError, match=r"boom|randomness"):
            density(torch.zeros(3))
        assert global_state()[1:] == before


def test_handlers_around_the_call_neither_see_nor_change_it() -> None:
    with pyro.poutine.trace() as outer, pyro.poutine.scale(scale=7.0):
        density = LogDensity.from_model(hierarchical, *HIERARCHICAL)
        inside = density(torch.zeros(density.dim))
    assert not outer.trace.nodes
    assert float(inside) == float(density(torch.zeros(density.dim)))


# -- parameters ----------------------------------------------------------------------------------------------------


def test_parameters_are_held_and_noted() -> None:
    density = LogDensity.from_model(parametrised, torch.tensor(0.5))
    assert density.vectorized
    assert any("parameters ['scale'] are held" in note for note in density.notes)
    z = points(1)
    assert np.allclose(density(z).numpy(), stats.norm.logpdf(z[:, 0], 0, 2) + stats.norm.logpdf(0.5, z[:, 0], 1))
    pyro.param("scale", torch.tensor(3.0), constraint=dist.constraints.positive)
    density = LogDensity.from_model(parametrised, torch.tensor(0.5))
    assert np.allclose(
        density(z).numpy(), stats.norm.logpdf(z[:, 0], 0, 3) + stats.norm.logpdf(0.5, z[:, 0], 1), rtol=1e-6
    )


class Regression(PyroModule):
    """A mixed module: a network held fixed, a sampled head, a constrained parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(2, 3)
        self.sigma = PyroParam(torch.tensor(0.7), constraint=dist.constraints.positive)
        self.head = PyroSample(dist.Normal(0.0, 1.0).expand([3]).to_event(1))

    def forward(self, x: Tensor, y: Tensor) -> None:
        mean = torch.tanh(self.features(x)) @ self.head
        pyro.sample("y", dist.Normal(mean, self.sigma).to_event(1), obs=y)


@pytest.mark.parametrize("local", [True, False])
def test_modules_with_parameters(local: bool) -> None:
    torch.manual_seed(0)
    with pyro.settings.context(module_local_params=local):
        module, x, y = Regression(), torch.randn(5, 2), torch.randn(5)
        weights = {name: (id(p), p.tolist()) for name, p in module.named_parameters()}
        density, z = LogDensity.from_model(module, x, y), points(3)
        with torch.no_grad():
            features = torch.tanh(x.double() @ module.features.weight.double().mT + module.features.bias.double())
        expected = stats.norm.logpdf(z).sum(-1)
        sigma = float(module.sigma.detach())
        expected += np.array([stats.norm.logpdf(y, (features @ row).numpy(), sigma).sum() for row in z])
        assert np.allclose(density(z).numpy(), expected, rtol=1e-6)
        assert density.vectorized and len(density.notes) == 1
        assert {name: (id(p), p.tolist()) for name, p in module.named_parameters()} == weights
        assert len(pyro.get_param_store()) == 0


def test_the_model_inside_an_autoguide_is_found() -> None:
    guide = AutoDiagonalNormal(hierarchical)
    assert without_initialisation(guide.model) is hierarchical
    assert LogDensity.from_model(guide.model, *HIERARCHICAL).dim == 18
    assert without_initialisation(hierarchical) is hierarchical


# -- precision -----------------------------------------------------------------------------------------------------

LAYER = nn.Linear(3, 1)
DATA = 1e3 + torch.linspace(0, 1, 20)


def with_layer() -> None:
    w = pyro.sample("w", dist.Normal(torch.zeros(3), 1.0).to_event(1))
    pyro.sample("y", dist.Normal(LAYER(w)[0], 1.0), obs=torch.tensor(0.5))


def scalar_and_float32_vector() -> None:
    loc = pyro.sample("loc", dist.Normal(1e3, 1.0))
    pyro.sample("y", dist.Normal(loc, 1e-2).expand([20]).to_event(1), obs=DATA)


def lowered() -> None:
    loc = pyro.sample("loc", dist.Normal(1e3, 1.0))
    pyro.sample("y", dist.Normal(loc.float().to(torch.float32), 1e-2).expand([20]).to_event(1), obs=DATA)


@pytest.mark.parametrize("name", ["layer", "scalar", "lowered", "argument"])
def test_float32_models_are_evaluated_in_float64(name: str) -> None:
    z = points(3) if name == "layer" else 1e3 + points(1)
    if name == "layer":
        density = LogDensity.from_model(with_layer)
        with torch.no_grad():
            mean = z @ LAYER.weight[0].double() + LAYER.bias[0].double()
        expected = stats.norm.logpdf(z).sum(-1) + stats.norm.logpdf(0.5, mean)
    else:
        if name == "argument":
            density = LogDensity.from_model(lambda y: _about(y), DATA)
        else:
            density = LogDensity.from_model(scalar_and_float32_vector if name == "scalar" else lowered)
        expected = stats.norm.logpdf(z[:, 0], 1e3) + stats.norm.logpdf(DATA.double(), z, 1e-2).sum(-1)
    assert density(z).dtype == torch.float64
    assert density.vectorized
    assert np.allclose(density(z).numpy(), expected, rtol=1e-12)  # float32 is off by 1e-4 here


def _about(y: Tensor) -> None:
    loc = pyro.sample("loc", dist.Normal(1e3, 1.0))
    pyro.sample("y", dist.Normal(loc, 1e-2).expand([20]).to_event(1), obs=y)


def test_float32_arguments_and_functions() -> None:
    density = LogDensity.from_callable(dist.MultivariateNormal(torch.ones(2), 4 * torch.eye(2)).log_prob, 2)
    z = points(2)
    assert np.allclose(density(z).numpy(), stats.norm.logpdf(z, 1, 2).sum(-1), rtol=1e-14)
    assert density(z.float()).dtype == torch.float64
    inside = []

    def model(data: dict[str, list[Tensor]]) -> None:
        inside.append(data["x"][0].dtype)
        pyro.sample("w", dist.Normal(0.0, 1.0))

    LogDensity.from_model(model, {"x": [torch.zeros(2)]})
    assert set(inside) == {torch.float64}


# -- the loop ------------------------------------------------------------------------------------------------------


def branching() -> None:
    x = pyro.sample("x", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    factor = 2.0 if float(x.detach().sum()) > 0 else 1.0
    pyro.factor("branch", -factor * (x**2).sum())


def test_what_vmap_cannot_batch_is_looped_with_one_warning_and_the_same_numbers() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        density = LogDensity.from_model(branching)
        z = points(2, 6)
        values, gradients = density.value_and_grad(z)
        hessians = density.hessian(z)
        density(z), density.unpack(z)
    about = [w for w in caught if "point by point" in str(w.message)]
    assert len(about) == 1
    assert about[0].filename == __file__
    assert not density.vectorized and "vmap" in density.loop_reason
    assert "looped" in repr(density)
    factor = torch.where(z.sum(-1) > 0, 2.0, 1.0).double()
    expected = stats.norm.logpdf(z).sum(-1) - (factor * (z**2).sum(-1)).numpy()
    assert np.allclose(values.numpy(), expected)
    assert torch.allclose(gradients, -(1 + 2 * factor)[:, None] * z)
    assert torch.allclose(hessians, -(1 + 2 * factor)[:, None, None] * torch.eye(2).double())


def test_what_vmap_can_batch_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert LogDensity.from_model(hierarchical, *HIERARCHICAL).vectorized
        slow = LogDensity.from_callable(lambda z: torch.special.log_ndtr(z).sum() - (z**2).sum(), 2)
        assert slow.vectorized and slow(points(2)).shape == (7,)


def test_a_wrong_batching_rule_is_noticed() -> None:
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(x: Tensor) -> Tensor:
            return x * 1.0

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Tensor) -> Any:
            return x * 1.1, in_dims[0]

    with pytest.warns(UserWarning, match="vectorised values .* differ"):
        density = LogDensity.from_callable(lambda z: -(Broken.apply(z) ** 2).sum(), 2)
    assert torch.allclose(density(double([[1.0, 2.0], [0.0, 1.0]])), double([-5.0, -1.0]))


def test_what_to_write_for_a_multinomial() -> None:
    """Its log_prob indexes on values, so that a batch is a loop; the factor that the warning names is one call."""
    counts = torch.tensor([12.0, 7.0, 0.0])

    def multinomial(counts: torch.Tensor) -> None:
        p = pyro.sample("p", dist.Dirichlet(torch.ones(3)))
        pyro.sample("counts", dist.Multinomial(19, p), obs=counts)

    def factor(counts: torch.Tensor) -> None:
        p = pyro.sample("p", dist.Dirichlet(torch.ones(3)))
        pyro.factor("counts", torch.xlogy(counts, p).sum())

    with pytest.warns(UserWarning, match=r"try whole-tensor operations.*torch\.xlogy\(counts, p\)"):
        slow = LogDensity.from_model(multinomial, counts)
    fast = LogDensity.from_model(factor, counts)
    z = torch.tensor([[0.3, -1.0], [2.0, 0.5]], dtype=torch.float64)
    difference = slow(z) - fast(z)
    assert not slow.vectorized and fast.vectorized
    torch.testing.assert_close(difference, difference[:1].expand(2), rtol=0, atol=1e-12)
