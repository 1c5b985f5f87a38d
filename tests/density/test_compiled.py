"""`LogDensity.compile`: the eager density's numbers, or the eager density. Inductor compiles once in this file."""

import logging
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_symvi.density import LogDensity, _compiled, _kernels
from pyro_symvi.density._compiled import CompiledDensity
from pyro_symvi.density._tracing import NotTraceable, trace

EFFECTS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0], dtype=torch.float64)
ERRORS = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0], dtype=torch.float64)


def schools(effects: Tensor, errors: Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(5.0))
    with pyro.plate("schools", len(effects)):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("y", dist.Normal(theta, errors), obs=effects)


def logistic(x: Tensor, y: Tensor) -> None:
    beta = pyro.sample("beta", dist.Normal(torch.zeros(3), torch.ones(3)).to_event(1))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Bernoulli(logits=(x @ beta[..., None]).squeeze(-1)), obs=y)


def grouped(group: Tensor, y: Tensor) -> None:
    scale = pyro.sample("scale", dist.HalfNormal(1.0))
    weights = pyro.sample("weights", dist.Dirichlet(torch.ones(3)))
    with pyro.plate("groups", 4):
        level = pyro.sample("level", dist.StudentT(4.0, 0.0, 2.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(level[..., group] + weights[..., 0, None].squeeze(-1), scale), obs=y)


def correlated(y: Tensor) -> None:
    """The covariance is positive definite for -2 < r < 2 only."""
    r = pyro.sample("r", dist.Normal(0.0, 1.0))
    covariance = torch.stack([torch.stack([2 + 0 * r, r], -1), torch.stack([r, 2 + 0 * r], -1)], -2)
    pyro.sample("y", dist.MultivariateNormal(torch.zeros(2, dtype=torch.float64), covariance), obs=y)


def _data(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(20, 3, dtype=torch.float64, generator=generator).to(dtype)
    return x, (x[:, 0] > 0).to(dtype)


MODELS: dict[str, Callable[[], LogDensity]] = {
    "schools": lambda: LogDensity.from_model(schools, EFFECTS, ERRORS),
    "logistic": lambda: LogDensity.from_model(logistic, *_data(torch.float64)),
    "logistic float32": lambda: LogDensity.from_model(logistic, *_data(torch.float32)),
    "grouped": lambda: LogDensity.from_model(grouped, torch.tensor([0, 1, 2, 3, 3, 1]), _data(torch.float64)[0][:6, 0]),
    "correlated": lambda: LogDensity.from_model(correlated, EFFECTS[4:6]),
    "callable": lambda: LogDensity.from_callable(lambda z: -(z**4).sum(-1) + z[..., 0].sin(), 2),
    "support ends": lambda: LogDensity.from_callable(
        lambda z: torch.where(z.sum() > -9, -z.square().sum(), -torch.inf), 2
    ),
}


def points(density: LogDensity, *shape: int) -> Tensor:
    noise = torch.randn(*shape, density.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return density.starts[0] + 0.3 * noise


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    slack = 1e-12 * (1 + float(expected.nan_to_num().abs().max()))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=slack, equal_nan=True)


@pytest.mark.parametrize("name", MODELS)
def test_graph_gives_the_numbers_of_the_eager_density(name: str) -> None:
    """Values, gradients by both routes, Hessians, in batches that fit the kernels and batches that do not."""
    density = MODELS[name]()
    compiled = density.compile(batch=(1, 4), level="graph")
    assert isinstance(compiled, CompiledDensity)
    assert (compiled.level, compiled.batch_sizes, density.level) == ("graph", (1, 4), "eager")
    for shape in ((), (1,), (3,), (4,), (9,), (2, 3)):
        z = points(density, *shape)
        value, gradient = density.value_and_grad(z)
        for ours, theirs in zip(compiled.value_and_grad(z), (value, gradient), strict=True):
            assert_same(ours, theirs)
        leaf = z.clone().requires_grad_()
        assert_same(compiled(leaf).detach(), value)
        compiled(leaf).square().sum().backward()
        assert leaf.grad is not None
        assert_same(leaf.grad, 2 * value[..., None] * gradient)
        assert not compiled(z).requires_grad
    assert_same(compiled.hessian(z), density.hessian(z))
    assert compiled(z[:0]).shape == (0, 3)


def test_gradient_of_a_normal_density_in_closed_form() -> None:
    precision = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    density = LogDensity.from_callable(lambda z: -0.5 * (z @ precision * z).sum(-1), 2).compile(3, "graph")
    z = points(density, 5)
    value, gradient = density.value_and_grad(z)
    assert_same(gradient, -z @ precision)
    assert_same(value, -0.5 * torch.einsum("ni,ij,nj->n", z, precision, z))


def test_second_derivatives_and_transforms_go_the_eager_way() -> None:
    density = MODELS["callable"]()
    compiled = density.compile(4, "graph")
    z = points(density, 4).requires_grad_()
    (first,) = torch.autograd.grad(compiled(z).sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), z)
    expected = -12 * z.detach() ** 2
    expected[:, 0] -= z.detach()[:, 0].sin()
    assert_same(second, expected)
    by_transform = torch.func.vmap(torch.func.grad(compiled))(z.detach())
    assert_same(by_transform, density.value_and_grad(z)[1])


def test_a_point_where_linear_algebra_fails_is_nan_alone() -> None:
    density = MODELS["correlated"]()
    compiled = density.compile(4, "graph")
    assert compiled.level == "graph"
    z = torch.tensor([[0.5], [3.0], [-1.0], [0.0], [2.5]], dtype=torch.float64)
    value, gradient = compiled.value_and_grad(z)
    expected = density.value_and_grad(z)
    assert value.isnan().tolist() == [False, True, False, False, True]
    good = ~value.isnan()
    assert_same(value[good], expected[0][good])
    assert_same(gradient[good], expected[1][good])
    torch.testing.assert_close(compiled(z), expected[0], equal_nan=True)


def test_data_stay_as_they_are() -> None:
    """The loss of `Bernoulli` works in place on tensors made from the data."""
    x, y = _data(torch.float64)
    before = x.clone(), y.clone()
    density = LogDensity.from_model(logistic, x, y)
    compiled = density.compile(2, "graph")
    z = points(density, 2)
    first = compiled.value_and_grad(z)
    again = compiled.value_and_grad(z)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def _looped(z: Tensor) -> Tensor:
    return -z.square().sum() if float(z.sum().detach()) > 0 else -z.square().sum(-1)


def _parametrised() -> None:
    width = pyro.param("width", torch.tensor(2.0))
    pyro.sample("x", dist.Normal(torch.zeros(()), width))


@pytest.mark.filterwarnings("ignore:the density is evaluated point by point")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: LogDensity.from_callable(_looped, 2), "point by point"),
        (lambda: LogDensity.from_model(_parametrised), "parameters"),
    ],
    ids=["control flow", "parameters"],
)
def test_falls_back_with_one_logged_reason(
    make: Callable[[], LogDensity], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    density = make()
    with caplog.at_level(logging.INFO, logger="pyro_symvi"):
        compiled = density.compile(4, "graph")
    assert compiled is density
    assert compiled.level == "eager"
    assert [reason in record.message for record in caplog.records] == [True]
    assert density.compiled_for(10**9, 4) is density


@pytest.mark.parametrize("error", [1e-9, float("nan")])
@pytest.mark.parametrize("output", [0, 1])
def test_a_kernel_that_differs_is_not_used(
    error: float, output: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(traced: Any, level: Any, inputs: Any) -> _kernels.Kernel:
        right = _kernels.lower(traced, level, inputs)

        def run(*tensors: Tensor) -> list[Tensor]:
            results = list(right.run(*tensors))
            results[output] = results[output] * (1 + error)
            return results

        return _kernels.Kernel(run, right.constants, level, right.outputs, right.checks)

    density = MODELS["schools"]()
    monkeypatch.setattr(_compiled, "lower", wrong)
    with caplog.at_level(logging.INFO, logger="pyro_symvi"):
        assert density.compile(2, "graph") is density
    assert "differ from the eager ones" in caplog.text


def test_without_a_compiler_the_graph_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compiled, "has_compiler", lambda: False)
    density = MODELS["schools"]()
    assert density.compile(2).level == "graph"
    assert density.compile(2, "inductor").level == "graph"


def test_where_inductor_fails_the_graph_is_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(traced: Any, inputs: Any) -> Any:
        raise RuntimeError("no such lowering")

    monkeypatch.setattr(_kernels, "_compiled", failing)
    monkeypatch.setattr(_kernels, "_COMPILED", {})
    monkeypatch.setattr(_compiled, "has_compiler", lambda: True)
    with caplog.at_level(logging.INFO, logger="pyro_symvi"):
        assert MODELS["schools"]().compile(2).level == "graph"
    assert len(caplog.records) == 1


@pytest.mark.skipif(not _kernels.has_compiler(), reason="no C++ compiler")
def test_inductor_once_for_all_data_of_one_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one compile by inductor in this file."""
    compiles: list[int] = []
    real = _kernels._compiled

    def counted(traced: Any, inputs: Any) -> Any:
        compiles.append(len(inputs))
        return real(traced, inputs)

    monkeypatch.setattr(_kernels, "_compiled", counted)
    density = MODELS["schools"]()
    compiled = density.compile(batch=4)
    assert isinstance(compiled, CompiledDensity)
    assert compiled.level == "inductor"
    z = points(density, 7)
    for ours, theirs in zip(compiled.value_and_grad(z), density.value_and_grad(z), strict=True):
        assert_same(ours, theirs)
    other = LogDensity.from_model(schools, EFFECTS.flip(0), ERRORS + 1)
    again = other.compile(batch=4)
    for ours, theirs in zip(again.value_and_grad(z), other.value_and_grad(z), strict=True):
        assert_same(ours, theirs)
    assert not torch.equal(compiled(z), again(z))
    assert len(compiles) == 1
    assert other.compiled_for(10**9, 4).level == "inductor"


def test_compiled_only_where_the_run_repays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compiled, "has_compiler", lambda: False)
    density = MODELS["schools"]()
    assert density.compiled_for(evaluations=5, batch=16) is density
    assert density.compiled_for(evaluations=150, batch=16) is density  # tracing alone takes as long as 200 calls
    assert density.compiled_for(evaluations=10**7, batch=16).level == "graph"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch": 1.5}, TypeError, "expected batch as an int"),
        ({"batch": []}, TypeError, "expected batch as an int"),
        ({"batch": True}, TypeError, "expected batch as an int"),
        ({"batch": (4, 0)}, ValueError, "expected batch >= 1"),
        ({"level": "fast"}, ValueError, "expected level"),
    ],
    ids=["float", "none", "bool", "zero", "level"],
)
def test_refuses(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MODELS["callable"]().compile(**arguments)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x + torch.rand(2, dtype=x.dtype),),
        lambda x: (x if bool(x.sum() > 0) else -x,),
        lambda x: (x * float(x.sum()),),
    ],
    ids=["random", "branch", "number"],
)
def test_trace_refuses_what_is_no_fixed_graph(function: Callable[[Tensor], tuple[Tensor]]) -> None:
    state = torch.random.get_rng_state()
    with pytest.raises(NotTraceable):
        trace(function, [torch.ones(2, dtype=torch.float64)])
    assert torch.equal(state, torch.random.get_rng_state())


def test_trace_refuses_a_function_that_changes_what_it_closes_over() -> None:
    total = torch.zeros(2, dtype=torch.float64)
    with pytest.raises(NotTraceable, match="not its own"):
        trace(lambda x: (total.add_(x) * 1.0,), [torch.ones(2, dtype=torch.float64)])
