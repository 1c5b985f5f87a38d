"""`CompiledSVI` takes the course of `pyro.infer.SVI`. Inductor compiles once in this file; all else runs as a graph."""

from collections.abc import Callable, Iterator
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

from pyro_symvi.density._kernels import has_compiler
from pyro_symvi.divergences import Alpha, ForwardKL, ReverseKL, TailAdaptive
from pyro_symvi.families import LearnedDf
from pyro_symvi.groups import PointReflection
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import CompiledSVI, DivergenceELBO
from pyro_symvi.infer.svi._updates import update_of

EFFECTS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0], dtype=torch.float64)
ERRORS = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0], dtype=torch.float64)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Guides take their dtype from the default one."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def schools(effects: Tensor, errors: Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = pyro.sample("tau", dist.LogNormal(1.0, 0.5))
    with pyro.plate("schools", 8):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("y", dist.Normal(theta, errors), obs=effects)


def regression(x: Tensor, y: Tensor, total: float = 40.0) -> None:
    beta = pyro.sample("beta", dist.Normal(torch.zeros(3), torch.ones(3)).to_event(1))
    with poutine.scale(scale=total / len(y)), pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Bernoulli(logits=(x * beta).sum(-1)), obs=y)


def rows(count: int, seed: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).to(x)


def elbo(divergence: Any, **options: Any) -> DivergenceELBO:
    """Plates are declared, because Pyro draws random numbers to look for them."""
    return DivergenceELBO(divergence, max_plate_nesting=1, **options)


def adam() -> Any:
    return pyro.optim.Adam({"lr": 0.02})


def course(
    compiled: bool,
    model: Any,
    batches: list[tuple[Any, ...]],
    loss: DivergenceELBO,
    optim: Any = None,
    level: Any = "graph",
    **guide_options: Any,
) -> tuple[Tensor, dict[str, Tensor], Any]:
    """Losses and final parameters of one step on each batch, the noise of step i drawn from seed i."""
    pyro.clear_param_store()
    guide = AutoLocationScale(model, **guide_options)
    guide.set_up(*batches[0])
    optim = adam() if optim is None else optim
    svi = CompiledSVI(model, guide, optim, loss, level) if compiled else SVI(model, guide, optim, loss)
    losses = []
    for i, batch in enumerate(batches):
        torch.manual_seed(i)
        losses.append(svi.step(*batch))
    store = pyro.get_param_store()
    final = {name.split(".")[-1]: store[name].detach().clone() for name in store}
    return torch.tensor(losses), final, svi


def assert_same_course(
    model: Any, batches: list[tuple[Any, ...]], make: Callable[[], DivergenceELBO], **options: Any
) -> Any:
    optim = options.pop("optim", adam)
    level = options.pop("level", "graph")
    ours, here, svi = course(True, model, batches, make(), optim(), level, **options)
    theirs, there, _ = course(False, model, batches, make(), optim(), **options)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert here.keys() == there.keys()
    for name, value in here.items():
        torch.testing.assert_close(value, there[name], rtol=1e-10, atol=1e-10)
    return svi


CASES: dict[str, tuple[Callable[[], DivergenceELBO], dict[str, Any]]] = {
    "reverse KL, one particle, diagonal, Adam": (lambda: elbo(ReverseKL()), {"scale": "diagonal"}),
    "forward KL, weighted, full, SGD": (
        lambda: elbo(ForwardKL(), num_particles=8),
        {"scale": "full", "optim": lambda: pyro.optim.SGD({"lr": 1e-3, "momentum": 0.9})},
    ),
    "alpha 1/2, doubly reparameterised, Student t, clipped Adam": (
        lambda: elbo(Alpha(0.5), num_particles=6, gradient="doubly_reparameterized"),
        {"base": "student_t", "df": 5.0, "optim": lambda: pyro.optim.ClippedAdam({"lr": 0.02, "lrd": 0.99})},
    ),
    "closed noise, low rank, options by name": (
        lambda: elbo(ReverseKL(), num_particles=4, symmetry=PointReflection()),
        {
            "scale": "low_rank",
            "optim": lambda: pyro.optim.Adam(lambda name: {"lr": 0.03 if name.endswith("loc") else 0.01}),
        },
    ),
    "tail adaptive, isotropic, logistic": (
        lambda: elbo(TailAdaptive(), num_particles=8),
        {"scale": "isotropic", "base": "logistic"},
    ),
    "leave one out": (
        lambda: elbo(Alpha(0.5), num_particles=4, gradient="leave_one_out"),
        {"scale": "diagonal"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_same_course_as_pyro(case: str) -> None:
    """20 steps of eight schools in float64, to 1e-10."""
    make, options = CASES[case]
    svi = assert_same_course(schools, [(EFFECTS, ERRORS)] * 20, make, **options)
    assert svi.level == "graph"
    assert svi.loss.effective_sample_size >= 1.0


@pytest.mark.skipif(not has_compiler(), reason="no C++ compiler")
def test_same_course_by_inductor() -> None:
    """The one compile by inductor in this file; two batches share it."""
    batches = [(EFFECTS, ERRORS), (EFFECTS.flip(0), ERRORS + 1)] * 10
    make = lambda: elbo(ReverseKL(), num_particles=2)  # noqa: E731
    svi = assert_same_course(schools, batches, make, scale="diagonal", level="auto")
    assert svi.level == "inductor"
    assert len(svi._programs) == 1


def test_minibatches_of_one_size_share_a_function() -> None:
    batches = [rows(10, seed) for seed in range(6)] * 3
    svi = assert_same_course(regression, batches, lambda: elbo(ReverseKL(), num_particles=2))
    assert len(svi._programs) == 1
    assert not svi._programs[0].baked


def test_other_shapes_and_other_numbers_beside_tensors_are_other_functions() -> None:
    x, y = rows(10, 0)
    batches: list[tuple[Any, ...]] = [(x, y), (x[:7], y[:7]), (x, y, 80.0), (x, y, 40.0), (x[:7], y[:7])]
    svi = assert_same_course(regression, batches, lambda: elbo(ReverseKL()))
    assert len(svi._programs) == 4  # (x, y) and (x, y, 40.0) are two ways to call


def by_item(group: Tensor, y: Tensor) -> None:
    with pyro.plate("groups", int(group.max()) + 1):
        level = pyro.sample("level", dist.Normal(torch.zeros(()), 1.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(level[..., group], 1.0), obs=y)


def by_numpy(group: Tensor, y: Tensor) -> None:
    level = pyro.sample("level", dist.Normal(torch.zeros(()), 1.0))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(level, 1.0), obs=torch.as_tensor(y.detach().numpy().copy()))


@pytest.mark.parametrize("model", [by_item, by_numpy])
def test_numbers_taken_out_of_the_data_are_noticed(model: Any) -> None:
    """Tracing does not see what a model does in Python or numpy; new data are then traced anew, never ignored."""
    group = torch.tensor([0, 1, 2, 1])
    y = torch.tensor([0.5, -1.0, 2.0, 0.0])
    batches = [(group, y), (group, y), (group, y + 3.0), (group.flip(0), y), (group, y)]
    svi = assert_same_course(model, batches, lambda: elbo(ReverseKL()))
    assert all(program.baked for program in svi._programs)
    assert len(svi._programs) == 3


def test_data_changed_in_place_are_read() -> None:
    x, y = rows(10, 0)
    guide = AutoLocationScale(regression, scale="diagonal")
    loss = elbo(ReverseKL())
    svi = CompiledSVI(regression, guide, pyro.optim.SGD({"lr": 0.0}), loss, "graph")
    torch.manual_seed(0)
    svi.step(x, y)
    y.copy_(1 - y)
    torch.manual_seed(1)
    ours = svi.step(x, y)
    torch.manual_seed(1)
    assert ours == pytest.approx(loss.loss(regression, guide, x, y), rel=1e-12)


def test_run_is_so_many_steps() -> None:
    loss = elbo(ForwardKL(), num_particles=4)
    results = []
    for by_run in (True, False):
        pyro.clear_param_store()
        guide = AutoLocationScale(schools)
        svi = CompiledSVI(schools, guide, adam(), loss, "graph")
        torch.manual_seed(3)
        losses = svi.run(7, EFFECTS, ERRORS) if by_run else [svi.step(EFFECTS, ERRORS) for _ in range(7)]
        results.append((torch.as_tensor(losses), guide.loc.detach().clone()))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_evaluate_loss_is_the_loss_of_pyro_and_takes_no_step() -> None:
    guide = AutoLocationScale(schools)
    loss = elbo(Alpha(0.5), num_particles=5)
    svi = CompiledSVI(schools, guide, adam(), loss, "graph")
    svi.run(3, EFFECTS, ERRORS)
    before = guide.loc.detach().clone()
    torch.manual_seed(5)
    expected = loss.loss(schools, guide, EFFECTS, ERRORS)
    torch.manual_seed(5)
    assert svi.evaluate_loss(EFFECTS, ERRORS) == pytest.approx(expected, rel=1e-12)
    assert torch.equal(guide.loc, before)


def test_parameters_set_or_loaded_between_steps_count() -> None:
    guide = AutoLocationScale(schools, scale="diagonal")
    svi = CompiledSVI(schools, guide, pyro.optim.SGD({"lr": 1e-6}), elbo(ReverseKL()), "graph")
    svi.step(EFFECTS, ERRORS)
    start = {name: value.detach().clone() for name, value in guide.parameters_.items()}
    saved = pyro.get_param_store().get_state()
    guide.set_parameters({**start, "loc": start["loc"] + 1.0})
    svi.step(EFFECTS, ERRORS)
    torch.testing.assert_close(guide.loc.detach(), start["loc"] + 1.0, atol=1e-2, rtol=0)
    alias = guide.loc.detach()
    svi.step(EFFECTS, ERRORS)
    assert torch.equal(alias, guide.loc)  # changed in place
    pyro.get_param_store().set_state(saved)
    svi.step(EFFECTS, ERRORS)
    found = pyro.get_param_store()["AutoLocationScale.loc"].detach()
    assert torch.equal(found, guide.parameters_["loc"].detach())


def test_float32_guides_stay_float32() -> None:
    torch.set_default_dtype(torch.float32)
    data = EFFECTS.float(), ERRORS.float()
    options: dict[str, Any] = {"scale": "full"}
    ours, here, svi = course(True, schools, [data] * 20, elbo(ReverseKL(), num_particles=2), **options)
    theirs, there, _ = course(False, schools, [data] * 20, elbo(ReverseKL(), num_particles=2), **options)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert svi.guide.loc.dtype == torch.float32
    for name, value in here.items():
        torch.testing.assert_close(value, there[name], rtol=1e-3, atol=1e-3)


def fragile(y: Tensor) -> None:
    """The covariance is positive definite for -2 < r < 2 only."""
    r = pyro.sample("r", dist.Normal(torch.zeros(()), 1.0))
    covariance = torch.stack([torch.stack([2 + 0 * r, r], -1), torch.stack([r, 2 + 0 * r], -1)], -2)
    pyro.sample("y", dist.MultivariateNormal(torch.zeros(2), covariance), obs=y)


def test_a_matrix_that_fails_stops_the_step_and_leaves_all_as_it_was() -> None:
    guide = AutoLocationScale(fragile, init_scale=0.01)
    svi = CompiledSVI(fragile, guide, adam(), elbo(ReverseKL()), "graph")
    svi.step(EFFECTS[4:6])
    guide.set_parameters({**guide.parameters_, "loc": torch.tensor([3.0])})
    state = [tensor.clone() for tensor in svi._state]
    with pytest.raises(torch.linalg.LinAlgError, match="as before the step"):
        svi.step(EFFECTS[4:6])
    assert guide.loc.tolist() == [3.0]
    assert all(map(torch.equal, state, svi._state))


OPTIMISERS: dict[str, Callable[[], Any]] = {
    "Adam": lambda: pyro.optim.Adam({"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-6}),
    "Adam, decay": lambda: pyro.optim.Adam({"lr": 0.03, "weight_decay": 0.1}),
    "AdamW": lambda: pyro.optim.AdamW({"lr": 0.03}),
    "SGD": lambda: pyro.optim.SGD({"lr": 0.03}),
    "SGD, momentum": lambda: pyro.optim.SGD({"lr": 0.03, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    "SGD, Nesterov": lambda: pyro.optim.SGD({"lr": 0.03, "momentum": 0.9, "nesterov": True}),
    "ClippedAdam": lambda: pyro.optim.ClippedAdam({"lr": 0.03, "lrd": 0.97, "clip_norm": 0.5, "weight_decay": 0.1}),
    "ClippedAdam, centred": lambda: pyro.optim.ClippedAdam({"lr": 0.03, "centered_variance": True}),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_updates_are_those_of_torch(name: str) -> None:
    """50 steps on random gradients, to 1e-14 of the parameters' size."""
    optim = OPTIMISERS[name]()
    generator = torch.Generator().manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(5, generator=generator))
    pyro.get_param_store().setdefault("p", parameter)
    theirs = optim.pt_optim_constructor([parameter], **optim.pt_optim_args)
    update = update_of(optim, "p")
    ours = parameter.detach().clone()
    state = update.initial(ours)
    for step in range(1, 51):
        gradient = torch.randn(5, generator=generator)
        parameter.grad = gradient.clone()
        theirs.step()
        ours, state = update(ours, gradient, state, torch.tensor(float(step)))
        torch.testing.assert_close(ours, parameter.detach(), rtol=1e-14, atol=1e-14)


def local(y: Tensor) -> None:
    """Branches on a latent value: not to be batched."""
    x = pyro.sample("x", dist.Normal(torch.zeros(()), 1.0))
    pyro.sample("y", dist.Normal(x if float(x.detach()) > 0 else 2 * x, 1.0), obs=y)


def learnt(y: Tensor) -> None:
    width = pyro.param("width", torch.tensor(1.0))
    x = pyro.sample("x", dist.Normal(torch.zeros(()), width))
    pyro.sample("y", dist.Normal(x, 1.0), obs=y)


def subsampled(y: Tensor) -> None:
    x = pyro.sample("x", dist.Normal(torch.zeros(()), 1.0))
    with pyro.plate("rows", len(y), subsample_size=2) as index:
        pyro.sample("y", dist.Normal(x, 1.0), obs=y[index])


@pytest.mark.filterwarnings("ignore:the density is evaluated point by point")
@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (local, EFFECTS[:1].squeeze(), "vmap"),
        (learnt, EFFECTS[:1].squeeze(), "without parameters of its own"),
        (subsampled, EFFECTS, "minibatch"),
    ],
    ids=["branches", "parameters", "subsample"],
)
def test_refuses_models(model: Any, data: Tensor, message: str) -> None:
    svi = CompiledSVI(model, AutoLocationScale(model), adam(), elbo(ReverseKL()), "graph")
    with pytest.raises(ValueError, match=message):
        svi.step(data)


def test_refuses_a_guide_of_another_model() -> None:
    svi = CompiledSVI(regression, AutoLocationScale(schools), adam(), elbo(ReverseKL()), "graph")
    svi.guide.set_up(EFFECTS, ERRORS)
    with pytest.raises(ValueError, match="expected a guide of the model's sites"):
        svi.step(*rows(5, 0))


def test_refuses_particles_that_are_no_whole_orbits() -> None:
    loss = elbo(ReverseKL(), num_particles=3, symmetry=PointReflection())
    svi = CompiledSVI(schools, AutoLocationScale(schools), adam(), loss, "graph")
    with pytest.raises(ValueError, match="try num_particles=2"):
        svi.step(EFFECTS, ERRORS)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"guide": AutoNormal}, TypeError, "expected an AutoLocationScale"),
        ({"loss": Trace_ELBO()}, TypeError, "expected a DivergenceELBO"),
        ({"optim": torch.optim.Adam}, TypeError, "expected an optimiser of pyro.optim"),
        ({"optim": pyro.optim.RMSprop({"lr": 0.1})}, ValueError, "expected pyro.optim.Adam"),
        ({"optim": pyro.optim.Adam({"lr": 0.1, "amsgrad": True})}, ValueError, "expected options"),
        ({"optim": pyro.optim.Adam({"lr": 0.1}, {"clip_norm": 1.0})}, ValueError, "clip_args"),
        ({"optim": pyro.optim.Adam({"lr": torch.tensor(0.1)})}, ValueError, "as numbers"),
        ({"level": "fast"}, ValueError, "expected level"),
        ({"guide": lambda m: AutoLocationScale(m, "student_t", df=LearnedDf())}, ValueError, "fixed degrees"),
    ],
    ids=["guide", "loss", "torch", "RMSprop", "amsgrad", "clip", "tensor", "level", "df"],
)
def test_refuses_arguments(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {"guide": AutoLocationScale, "optim": adam(), "loss": elbo(ReverseKL())}
    given = {**given, **changes, "guide": changes.get("guide", AutoLocationScale)(schools)}
    with pytest.raises(error, match=message):
        CompiledSVI(schools, **given)


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (True, TypeError), (1.5, TypeError)])
def test_run_refuses(count: Any, error: type[Exception]) -> None:
    svi = CompiledSVI(schools, AutoLocationScale(schools), adam(), elbo(ReverseKL()), "graph")
    with pytest.raises(error, match="expected num_steps"):
        svi.run(count, EFFECTS, ERRORS)
