"""Steps off a tied point, averages over a group, and the bound of a Pyro guide as a function."""

import math
import pickle

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

from pyro_symvi.density._state import random_state
from pyro_symvi.groups import CoordinatePermutation, SignedPermutations, Symmetric
from pyro_symvi.multiindex import GuideELBO, break_symmetry_init, irrep_instability, project_irrep, symmetrised

F64 = torch.float64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradient(function, at: Tensor) -> Tensor:
    leaf = at.clone().requires_grad_()
    return torch.autograd.grad(function(leaf), leaf)[0]


def test_a_random_step_has_the_norm_and_the_part():
    start = {"loc": torch.ones(4, 3, dtype=F64), "log_scale": torch.zeros(4, 1, dtype=F64)}
    moved = break_symmetry_init(start, Symmetric(4), 0.2, generator=generator())
    step = {name: moved[name] - start[name] for name in start}
    assert math.sqrt(sum(float(s.square().sum()) for s in step.values())) == pytest.approx(0.2)
    for part in step.values():
        assert float(part.sum(0).abs().max()) < 1e-12 and float(part.norm()) > 0.01
    assert torch.equal(start["loc"], torch.ones(4, 3, dtype=F64))  # a copy
    again = break_symmetry_init(start, Symmetric(4), 0.2, generator=generator())
    assert all(torch.equal(again[name], moved[name]) for name in start)
    signed = break_symmetry_init(start, SignedPermutations(4), 0.2, unsigned="log_scale", generator=generator())
    assert torch.equal(signed["log_scale"], start["log_scale"]) and float(signed["loc"].std(0).min()) > 1e-3
    flat = break_symmetry_init(torch.zeros(6), CoordinatePermutation(6, [[0, 1], [2, 3], [4, 5]]), 1.0)
    assert float(flat.reshape(3, 2).sum(0).abs().max()) < 1e-6


def test_random_steps_are_isotropic_in_the_part():
    """1000 steps: the mean outer product is (I - 11^T/3) / 2, to five standard errors of at most 0.5 / sqrt(1000)."""
    source = generator(1)
    steps = torch.stack([break_symmetry_init(torch.zeros(3), Symmetric(3), 1.0, generator=source) for _ in range(1000)])
    expected = (torch.eye(3) - 1 / 3) / 2
    assert float((steps.mT @ steps / 1000 - expected).abs().max()) < 5 * 0.5 / math.sqrt(1000)


def test_the_unstable_direction_leads_up_and_a_stable_one_down():
    def elbo(w: Tensor) -> Tensor:  # w_1 tells units apart, w_2 does not
        return (w[:, 0].square() / 2 - w[:, 0] ** 4 / 4 - w[:, 1].square()).sum() - w.sum(0).square().sum()

    tied = torch.zeros(3, 2, dtype=F64)
    found = irrep_instability(elbo, tied, Symmetric(3))
    moved = break_symmetry_init(tied, found, 0.1)
    assert float(elbo(moved)) > float(elbo(tied)) and float(moved[:, 1].abs().max()) < 1e-8
    assert float(moved.norm()) == pytest.approx(0.1)
    assert torch.equal(break_symmetry_init(tied, pickle.loads(pickle.dumps(found)), 0.1), moved)
    sideways = torch.tensor([[0.0, 0.1], [0.0, -0.1], [0.0, 0.0]], dtype=F64)
    assert float(elbo(sideways)) < float(elbo(tied))
    for _ in range(100):  # ascent from there specialises; from the tied point it stays (its gradient is zero)
        moved = moved + 0.1 * gradient(elbo, moved)
    assert float(moved[:, 0].std()) > 0.5 and float(gradient(elbo, tied).abs().max()) == 0.0


def test_symmetrised_functions_are_invariant():
    weights = torch.tensor([[1.0], [2.0], [4.0]], dtype=F64)

    def elbo(w: Tensor) -> Tensor:
        return -(weights * w.square()).sum() + w[0, 0]

    start = torch.zeros(3, 2, dtype=F64)
    with pytest.raises(ValueError, match="the group leaves alone"):
        irrep_instability(elbo, start, Symmetric(3))
    found = irrep_instability(symmetrised(elbo, Symmetric(3)), start, Symmetric(3))
    assert found.eigenvalue == pytest.approx(2 * 7 / 3) and found.gradient_norm < 1e-12
    alone = irrep_instability(elbo, start, Symmetric(3), check=False)  # noise biases the lowest eigenvalue downwards
    assert alone.eigenvalue < found.eigenvalue and alone.gradient_norm > 0.5
    with pytest.raises(ValueError, match="order at most 720, got 5040"):
        symmetrised(elbo, Symmetric(7))


def test_kinks_under_draws_are_seen():
    """E relu(w + u/2) for u ~ N(0, 1) has curvature 2 phi(0) at 0; draws of it have none by derivatives."""
    u = torch.randn(1, 4000, generator=generator(), dtype=F64).expand(2, -1) / 2

    def elbo(activation) -> object:
        return lambda w: -activation(w + u).mean(-1).sum()

    start = torch.zeros(2, 1, dtype=F64)
    with pytest.warns(UserWarning, match=r"its second difference at steps of 0.01 is 0\.[6-9]\d*: kinks"):
        found = irrep_instability(elbo(torch.relu), start, Symmetric(2))
    assert found.eigenvalue == 0.0
    smooth = irrep_instability(elbo(torch.nn.functional.softplus), start, Symmetric(2))  # no warning
    assert smooth.eigenvalue == pytest.approx(float((torch.sigmoid(u) * torch.sigmoid(-u)).mean()), rel=1e-9)


# -- Pyro ------------------------------------------------------------------------------------------------------------


def model(y: Tensor) -> None:
    """Three exchangeable weights seen through their sum: curvature 1 in contrasts, 1 + 3 n / 4 in the mean."""
    w = pyro.sample("w", dist.Normal(torch.zeros(3, dtype=F64), 1.0).to_event(1))
    mean = w.sum(-1, keepdim=True).expand(*w.shape[:-1], len(y))
    pyro.sample("y", dist.Normal(mean, 2.0).to_event(1), obs=y)


@pytest.fixture
def fitted():
    pyro.clear_param_store()
    guide, y = AutoNormal(model), torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=F64)
    guide(y)
    yield guide, y
    pyro.clear_param_store()


def test_a_guide_against_the_curvature_in_closed_form(fitted):
    guide, y = fitted
    elbo = GuideELBO(model, guide, (y,))
    before, stored = random_state(), {n: v.detach().clone() for n, v in guide.named_parameters()}
    loc, scale = elbo.params
    params = {loc: torch.full((3,), 0.7, dtype=F64), scale: elbo.params[scale]}
    axes = {loc: 0, scale: None}
    with pytest.raises(ValueError, match="Monte-Carlo"):  # draws of units differ
        irrep_instability(elbo, params, Symmetric(3), axes=axes)
    average = symmetrised(elbo, Symmetric(3), axes=axes)
    assert irrep_instability(average, params, Symmetric(3), axes=axes).eigenvalue == pytest.approx(1.0, abs=1e-9)
    mean = irrep_instability(lambda m: elbo({**params, loc: m}), params[loc], Symmetric(3), "trivial")
    assert mean.eigenvalue == pytest.approx(1 + 3 * 4 / 4, abs=1e-9)
    assert random_state() == before
    assert all(torch.equal(v, stored[n]) for n, v in guide.named_parameters())


def test_the_value_is_that_of_pyro_and_draws_are_fixed(fitted):
    guide, y = fitted
    elbo = GuideELBO(model, guide, (y,), seed=3)
    short = GuideELBO(model, guide, (y,), seed=3)
    assert float(short(short.params)) == float(short(short.params))
    assert float(short(short.params)) != float(GuideELBO(model, guide, (y,), seed=4)(short.params))
    assert elbo.params.keys() == short.params.keys()
    many = GuideELBO(model, guide, (y,), loss=Trace_ELBO(num_particles=3000, vectorize_particles=True), seed=3)
    assert float(many(many.params)) == float(many(many.params))  # also the first two calls, where plates are counted
    law = torch.distributions.Normal(torch.zeros(3, dtype=F64), 0.1)  # the guide's first values
    quadratic = 3 * (math.log(0.1) + 0.5 - 0.01 / 2) - 4 * math.log(2 * math.sqrt(2 * math.pi))
    expected = quadratic - float(y.square().sum() + 4 * law.variance.sum()) / 8
    assert float(many(many.params)) == pytest.approx(expected, abs=0.12)  # standard error 0.024
    state = torch.get_rng_state()
    torch.manual_seed(3)
    expected = -Trace_ELBO().loss(model, guide, y)
    torch.set_rng_state(state)
    assert float(short(short.params)) == pytest.approx(expected, rel=1e-12)


def test_values_are_written_only_when_asked(fitted):
    guide, y = fitted
    elbo = GuideELBO(model, guide, (y,))
    loc, scale = elbo.params
    tied = project_irrep(elbo.params, Symmetric(3), "trivial")
    moved = break_symmetry_init(tied, Symmetric(3), 0.5, generator=generator())
    kept = pyro.param(scale).detach().clone()
    assert torch.equal(pyro.param(scale).detach(), kept)
    elbo.load_(moved)
    assert torch.equal(pyro.param(loc).detach(), moved[loc])
    assert all(torch.equal(elbo.params[name], moved[name]) for name in moved)
    assert torch.equal(guide.locs.w.detach(), moved[loc])


ZERO = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: break_symmetry_init(ZERO, Symmetric(3), 0.0), ValueError, "expected a finite scale > 0"),
        (lambda: break_symmetry_init(ZERO, Symmetric(3), 1.0, "trivial"), ValueError, "steps in it break nothing"),
        (lambda: break_symmetry_init(ZERO, "up", 1.0), TypeError, "a group or a linear action"),
        (lambda: break_symmetry_init(ZERO[:1], Symmetric(1), 1.0), ValueError, "that occurs"),
        (lambda: break_symmetry_init(ZERO, irrep_instability(lambda w: -w.square().sum(), ZERO[:, :1], Symmetric(3)),
                                     1.0), ValueError, "of the shapes of the direction"),
        (lambda: GuideELBO(model, AutoNormal(model), (ZERO[:, 0],)), ValueError, "called once"),
        (lambda: GuideELBO(model, lambda y: None, (ZERO[:, 0],)), ValueError, "a guide with parameters"),
        (lambda: GuideELBO(model, model, loss="elbo"), TypeError, "differentiable_loss"),
    ],
)  # fmt: skip
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
