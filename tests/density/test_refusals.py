"""What is no flat density is refused, each with its reason; what is nearly one is not."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.density import LogDensity
from tests.density.test_values import double

NAN = float("nan")


def sample(law: dist.TorchDistribution, **kwargs: Any) -> Callable[[], Tensor]:
    return lambda: pyro.sample("x", law, **kwargs)


def observe(law: Callable[[Tensor], dist.TorchDistribution], y: Any) -> Callable[[], Any]:
    return lambda: pyro.sample("y", law(pyro.sample("x", dist.Normal(0.0, 1.0))), obs=y)


def subsampled() -> None:
    with pyro.plate("data", 10, subsample_size=4):
        pyro.sample("x", dist.Normal(0.0, 1.0))


def given_subsample() -> None:
    with pyro.plate("data", 10, subsample=torch.arange(4)):
        pyro.sample("x", dist.Normal(0.0, 1.0))


def changing(counter: Any, every: int) -> Callable[[], None]:
    def model() -> None:
        pyro.sample("x", dist.Normal(0.0, 1.0))
        if next(counter) % every == every - 1:
            pyro.sample("extra", dist.Normal(0.0, 1.0))

    return model


def by_value() -> None:
    if pyro.sample("x", dist.Normal(0.0, 1.0)) > 0:
        pyro.sample("positive", dist.Normal(0.0, 1.0))


def growing(counter: Any) -> Callable[[], None]:
    return lambda: pyro.sample("x", dist.Normal(torch.zeros(1 + next(counter) % 2), 1.0).to_event(1))


def raising() -> None:
    pyro.sample("x", dist.Normal(0.0, 1.0))
    raise RuntimeError("the data base is down")


def needs_data(x: Tensor, y: Tensor) -> None:
    pyro.sample("b", dist.Normal(x.mean(), 1.0))


def noisy(draw: Callable[[], Any]) -> Callable[[], None]:
    def model() -> None:
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        pyro.factor("noise", -((x - 0.1 * draw()) ** 2))

    return model


def harmless_draw() -> None:
    torch.rand(3)
    pyro.sample("x", dist.Normal(0.0, 1.0))


def cut(how: Callable[[Tensor], Any]) -> Callable[[], None]:
    def model() -> None:
        x = pyro.sample("x", dist.Normal(double(0.0), 1.0))
        pyro.factor("cut", -(torch.as_tensor(how(x)) ** 2))

    return model


def nan_density() -> None:
    x = pyro.sample("x", dist.Normal(0.0, 1.0))
    pyro.sample("fine", dist.Normal(x, 1.0), obs=double(1.0))
    pyro.sample("broken", dist.Normal(x * NAN, 1.0, validate_args=False), obs=double(1.0))


def far_away() -> None:
    x = pyro.sample("x", dist.Normal(0.0, 1.0))
    pyro.factor("never", torch.where(x > 1e3, 0.0, -torch.inf))


def infinite() -> None:
    x = pyro.sample("x", dist.Normal(0.0, 1.0))
    pyro.factor("always", torch.where(x > 1e3, 0.0, torch.inf))


def masked_nan() -> None:
    x = pyro.sample("x", dist.Normal(0.0, 1.0))
    with pyro.poutine.mask(mask=torch.tensor([True, False])):
        pyro.sample("y", dist.Normal(x, 1.0).expand([2]), obs=double([1.0, NAN]))


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "discrete": (sample(dist.Bernoulli(0.3)), "continuous latent sites, got the discrete site 'x'.* try summing"),
    "count": (sample(dist.Poisson(3.0)), "the discrete site 'x'"),
    "one-hot": (sample(dist.OneHotCategorical(torch.ones(3))), "the discrete site 'x'"),
    "sphere": (sample(dist.ProjectedNormal(torch.ones(3))), "got 'x' on the sphere, .* AutoSphere"),
    "no bijection": (
        sample(dist.Wishart(double(4.0), covariance_matrix=torch.eye(2).double())),
        "whose support has a bijection from R\\^d, got 'x' with support PositiveDefinite.*try",
    ),
    "lower cholesky": (
        sample(dist.ImproperUniform(dist.constraints.lower_cholesky, (), (2, 2))),
        "got 'x' with support LowerCholesky",
    ),
    "subsample size": (subsampled, "uses all its data, got plate 'data' with a subsample of 4 of 10"),
    "given subsample": (given_subsample, "uses all its data, got plate 'data' with a subsample of 4 of 10"),
    "structure": (changing(itertools.count(), 2), r"same latent sites .* got sites \('x',\) and then \('x', 'extra'\)"),
    "structure by value": (by_value, "same latent sites and shapes at every run"),
    "shape": (growing(itertools.count()), "same latent sites and shapes at every run"),
    "nan data": (observe(lambda x: dist.Normal(x, 1.0).expand([3]), double([1.0, NAN, 2.0])),
                 "finite data, got 1 nan or infinite values of 3 at site 'y'.*try dropping"),
    "infinite data": (observe(lambda x: dist.Normal(x, 1.0), double(torch.inf)), "got 1 nan or infinite values of 1"),
    "masked nan": (masked_nan, "got 1 nan or infinite values of 2 .* try filling them with any finite number"),
    "nan in a regressor": (
        observe(lambda x: dist.Normal(x * double([1.0, NAN]), 1.0).to_event(1), double([0.0, 0.0])),
        "expected a model that runs, got ValueError: Expected parameter loc",
    ),
    "impossible data": (observe(lambda x: dist.Exponential(x.exp()), double(-1.0)), "site 'y' can have, got: Expected"),
    "half a count": (observe(lambda x: dist.Poisson(x.exp()), double(1.5)), "site 'y' can have, got: Expected"),
    "invalid parameter": (
        observe(lambda x: dist.Gamma(x, 1.0), double(1.0)),
        "valid distributions at every value .* Expected parameter concentration",
    ),
    "raises": (raising, "model that runs, got RuntimeError: the data base is down, .* 12 sets of latent values; try"),
    "random": (noisy(lambda: torch.randn(())), "uses up random numbers"),
    "random numpy": (noisy(np.random.rand), "uses up random numbers"),
    "random python": (noisy(random.random), "uses up random numbers"),
    "own generator": (noisy(random.Random(0).random), "same log density at the same point, got .* and then"),
    "a draw that does not matter": (harmless_draw, "uses up random numbers"),
    "dropout": (observe(lambda x: dist.Normal(nn.Dropout()(x.expand(50)).sum(), 1.0), double(1.0)), "uses up random"),
    "detached": (cut(lambda x: x.detach()), "gradient of the log density, .* because something cuts"),
    "item": (cut(lambda x: x.item()), "gradient of the log density, .* because something cuts"),
    "nan density": (nan_density, r"finite log density, got nan at every .* \(from site \['broken'\]\)"),
    "infinite density": (infinite, "finite log density, got inf at every random point tried"),
    "no latents": (lambda: pyro.sample("y", dist.Normal(0.0, 1.0), obs=double(1.0)), "latent sites, got none"),
    "nothing": (lambda: None, "latent sites, got none"),
    "missing arguments": (needs_data, r"got TypeError: .*missing 2 required .*passing its data: from_model"),
    "a shape that does not fit": (
        observe(lambda x: dist.Normal(x.expand(3), 1.0), double([1.0, 2.0])),
        "site 'y' can have, got: Value is not broadcastable",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:the density is evaluated point by point")
@pytest.mark.filterwarnings("ignore:Encountered")
@pytest.mark.parametrize("reason", REFUSED)
def test_refused_with_the_reason(reason: str) -> None:
    model, message = REFUSED[reason]
    with pytest.raises(ValueError, match="(?s)" + message) as caught:
        LogDensity.from_model(model)
    for word in ("expected ", "got", "because ", "; try"):
        assert word in str(caught.value)


@pytest.mark.parametrize("model", [3, None, "model", torch.zeros(2)])
def test_what_is_not_callable_is_refused(model: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a Pyro model \(a callable\), got .*; try"):
        LogDensity.from_model(model)
    with pytest.raises(TypeError, match=r"expected a function of z\[..., d\], got .*; try"):
        LogDensity.from_callable(model, 2)


def test_a_missing_argument_is_believed_at_once() -> None:
    calls = itertools.count()

    def model(y: Tensor) -> None:
        next(calls)
        raise KeyError("no such column")

    with pytest.raises(ValueError, match="KeyError.*1 sets"):
        LogDensity.from_model(model, torch.zeros(2))
    assert next(calls) <= 4


@pytest.mark.parametrize("how", ["missing", "extra", "shape"])
def test_a_structure_that_changes_rarely_raises_at_evaluation(how: str) -> None:
    counter = itertools.count()

    def model() -> None:
        odd = next(counter) % 60 == 59
        n = 1 if odd and how == "shape" else 2
        pyro.sample("x", dist.Normal(torch.zeros(n), 1.0).to_event(1))
        if not (odd and how == "missing"):
            pyro.sample("y", dist.Normal(0.0, 1.0))
        if odd and how == "extra":
            pyro.sample("extra", dist.Normal(0.0, 1.0))

    density = LogDensity.from_model(model)
    z = torch.zeros(3).double()
    value = density(z)
    with pytest.raises(ValueError, match=r"expected .* at every run, got .* because .*; try"):
        for _ in range(60):
            assert torch.equal(density(z), value)


def test_validation_switched_off_is_respected() -> None:
    with pyro.validation_enabled(False):
        density = LogDensity.from_model(observe(lambda x: dist.Exponential(x.exp()), double(-1.0)))
    assert float(density(double([0.5]))) == pytest.approx(
        float(-0.125 - 0.5 * np.log(2 * np.pi) + 0.5 + np.exp(0.5))
    )  # the formula beyond the support, as the user has asked


def test_numerical_trouble_at_some_points_is_no_reason_to_refuse() -> None:
    def model() -> None:
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        matrix = torch.eye(2).double() + x * (1 - torch.eye(2).double())  # definite for |x| < 1
        pyro.sample("y", dist.MultivariateNormal(torch.zeros(2).double(), matrix), obs=double([0.3, -0.2]))

    density = LogDensity.from_model(model)
    assert torch.equal(torch.isnan(density(double([[0.5], [1.5], [-0.2]]))), torch.tensor([False, True, False]))


# -- plain functions -----------------------------------------------------------------------------------------------

BAD_FUNCTIONS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "a vector": (lambda z: -(z**2), r"one number for one point z\[2\], got shape \(2,\)"),
    "one too many": (lambda z: -(z**2).sum(-1, keepdim=True), r"got shape \(1,\)"),
    "a float": (lambda z: -1.0, "one number for one point .* got float"),
    "None": (lambda z: None, "one number for one point .* got NoneType"),
    "only batches": (lambda z: -(z[:, 0] ** 2) - z[:, 1] ** 2, "can be computed, got IndexError"),
    "nan": (lambda z: z.sum() * NAN, "finite log density, got nan at every"),
    "random": (lambda z: -(z**2).sum() + torch.rand(()), "uses up random numbers"),
    "detached": (lambda z: -(z.detach() ** 2).sum(), "gradient of the log density"),
    "one coordinate detached": (
        lambda z: -100 * z[0] ** 2 - z[1].detach() ** 2, "gradient of the log density",
    ),
    "never works": (lambda z: torch.linalg.cholesky(-torch.eye(2)).sum() * z.sum(), "got .*LinAlgError.* each of 40"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_FUNCTIONS)
def test_functions_that_are_no_density_are_refused(kind: str) -> None:
    function, message = BAD_FUNCTIONS[kind]
    with pytest.raises(ValueError, match="(?s)" + message) as caught:
        LogDensity.from_callable(function, 2)
    assert all(word in str(caught.value) for word in ("expected ", "got ", "because ", "; try "))


@pytest.mark.parametrize(("dim", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_bad_dimensions_are_refused(dim: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="expected dim"):
        LogDensity.from_callable(lambda z: -(z**2).sum(), dim)


def test_a_kink_or_a_hole_is_no_reason_to_refuse() -> None:
    z = double([[0.5, -0.25], [5.0, 0.0]])
    kinked = LogDensity.from_callable(lambda z: -z.abs().sum(), 2)
    assert torch.equal(kinked(z), double([-0.75, -5.0]))
    boxed = LogDensity.from_callable(lambda z: torch.where(z.abs().max() < 1, 0.0, -torch.inf) - (z**2).sum(), 2)
    assert torch.equal(boxed(z), double([-0.3125, -torch.inf]))
    assert all(torch.isfinite(boxed(start)) for start in boxed.starts)


def test_a_law_that_lives_far_out_is_taken_with_a_note() -> None:
    density = LogDensity.from_model(far_away)
    assert any("gradient is unchecked" in note for note in density.notes)
    values = density(double([[999.0], [1001.0]]))
    assert float(values[0]) == -np.inf
    assert float(values[1]) == pytest.approx(-0.5 * 1001.0**2 - 0.5 * np.log(2 * np.pi))


# -- packing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"values for the sites \['s', 'w'\], got \[\]"),
        ({"s": 1.0}, r"got \['s'\]"),
        ({"s": 1.0, "w": [0.2, 0.8], "t": 1.0}, r"got \['s', 't', 'w'\]"),
        ({"s": [1.0], "w": [0.2, 0.8]}, r"'s' of shape \(\), got \(1,\)"),
        ({"s": -1.0, "w": [0.2, 0.8]}, "a value of 's' inside its support"),
        ({"s": 0.0, "w": [0.2, 0.8]}, "a value of 's' inside its support"),
        ({"s": NAN, "w": [0.2, 0.8]}, "a value of 's' inside its support"),
        ({"s": 1.0, "w": [0.3, 0.8]}, "a value of 'w' inside its support"),
    ],
)
def test_values_that_cannot_be_packed_are_refused(values: dict[str, Any], message: str) -> None:
    def model() -> None:
        pyro.sample("s", dist.Gamma(2.0, 1.0))
        pyro.sample("w", dist.Dirichlet(torch.ones(2)))

    density = LogDensity.from_model(model)
    with pytest.raises(ValueError, match=message + ".*because .*; try"):
        density.pack(values)
    assert density.pack({"s": 1.0, "w": [0.5, 0.5]}).shape == (2,)
