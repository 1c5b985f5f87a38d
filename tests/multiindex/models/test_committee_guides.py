"""The committee machine in Pyro: density, symmetry, minibatches, the tied guide and the specialised one."""

import functools
import itertools
import math

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, Predictive, Trace_ELBO
from pyro.optim import Adam

from pyro_symvi.groups import SignedPermutations, Symmetric
from pyro_symvi.multiindex import (
    Link,
    TiedGuide,
    committee_elbo,
    committee_machine,
    random_start,
    specialised_guide,
)

DOUBLE = torch.float64
UNITS, DIM, COUNT, NOISE = 3, 5, 30, 0.5


@pytest.fixture(autouse=True)
def _clean_store():
    pyro.clear_param_store()
    yield
    pyro.clear_param_store()


def data(activation: str, seed: int = 3, count: int = COUNT):
    g = torch.Generator().manual_seed(seed)
    teacher = torch.linalg.qr(torch.randn(DIM, UNITS, generator=g, dtype=DOUBLE))[0].mT
    x = torch.randn(count, DIM, generator=g, dtype=DOUBLE)
    link = Link.of(activation)
    y = link(x @ teacher.mT).sum(-1) / math.sqrt(UNITS)
    y = y + math.sqrt(NOISE) * torch.randn(count, generator=g, dtype=DOUBLE)
    model = functools.partial(committee_machine, units=UNITS, activation=link, noise=NOISE)
    return model, x, y, teacher


def log_joint(model, weights, *args) -> float:
    trace = poutine.trace(poutine.condition(model, data={"weights": weights})).get_trace(*args)
    return float(trace.log_prob_sum())


def test_density_is_the_one_written_by_hand():
    model, x, y, teacher = data("relu")
    mean = (torch.relu(x @ teacher.mT) - 1 / math.sqrt(2 * math.pi)).sum(-1)
    mean = mean / math.sqrt(0.5 - 0.5 / math.pi) / math.sqrt(UNITS)
    want = -0.5 * COUNT * math.log(2 * math.pi * NOISE) - 0.5 * float((y - mean).square().sum()) / NOISE
    want += -0.5 * DIM * float(teacher.square().sum()) + 0.5 * UNITS * DIM * math.log(DIM / (2 * math.pi))
    assert log_joint(model, teacher, x, y) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(("activation", "group"), [("relu", Symmetric(UNITS)), ("abs", SignedPermutations(UNITS))])
def test_density_is_invariant(activation, group):
    model, x, y, _ = data(activation)
    weights = random_start(UNITS, DIM, generator=torch.Generator().manual_seed(4))
    before = log_joint(model, weights, x, y)
    matrices = [torch.eye(UNITS, dtype=DOUBLE)[[1, 0, 2]], torch.eye(UNITS, dtype=DOUBLE)[[1, 2, 0]]]
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=DOUBLE))
    if isinstance(group, SignedPermutations):
        matrices += [flip, flip @ matrices[1]]
    for matrix in matrices:
        assert log_joint(model, matrix @ weights, x, y) == pytest.approx(before, rel=1e-12)
    if activation == "relu":
        assert abs(log_joint(model, flip @ weights, x, y) - before) > 1e-3


def test_minibatches_and_predictive():
    model, x, y, teacher = data("abs")
    torch.manual_seed(0)
    whole = log_joint(model, teacher, x, y)
    parts = torch.tensor([log_joint(functools.partial(model, batch_size=10), teacher, x, y) for _ in range(225)])
    assert abs(float(parts.mean()) - whole) < 4 * float(parts.std()) / 15
    with pyro.plate("draws", 7, dim=-2):
        assert model(x).shape == (7, COUNT)
    for parallel in (False, True):
        found = Predictive(model, guide=TiedGuide(UNITS, DIM), num_samples=6, parallel=parallel)(x)
        assert found["y"].shape == (6, COUNT)


def test_tied_guide_in_svi():
    """Steps of SVI with vectorised particles leave the guide tied; its bound is that of `committee_elbo`."""
    model, x, y, _ = data("relu")
    torch.manual_seed(1)
    guide = TiedGuide(UNITS, DIM, loc=torch.full((DIM,), 0.2))
    svi = SVI(model, guide, Adam({"lr": 0.12}), Trace_ELBO(num_particles=8, vectorize_particles=True))
    before = float(committee_elbo(*guide.untied(), x, y, activation="relu", noise=NOISE).detach())
    for _ in range(20):
        svi.step(x, y)
    with torch.no_grad():
        after = float(committee_elbo(*guide.untied(), x, y, activation="relu", noise=NOISE))
    assert after > before + 3
    assert {tuple(p.shape) for p in guide.parameters()} == {(DIM,)}
    loss = Trace_ELBO(num_particles=300, vectorize_particles=True, max_plate_nesting=1)
    with torch.no_grad():
        draws = torch.tensor([-loss.loss(model, guide, x, y) for _ in range(9)])
    assert abs(float(draws.mean()) - after) < 4 * float(draws.std()) / 3


def test_law_of_the_tied_guide_is_exchangeable_and_that_of_one_copy_is_not():
    guide = TiedGuide(UNITS, DIM, loc=torch.arange(5.0), init_scale=0.7)
    weights = random_start(UNITS, DIM, generator=torch.Generator().manual_seed(4))
    law = guide.law()
    with torch.no_grad():
        assert torch.allclose(law.log_prob(weights[[2, 0, 1]]), law.log_prob(weights), rtol=1e-14)
    loc, scale = (part.detach() for part in guide.untied())
    apart = torch.distributions.Normal(loc + weights, scale)
    assert float((apart.log_prob(weights[[2, 0, 1]]) - apart.log_prob(weights)).sum().abs()) > 0.1
    scalar = TiedGuide(UNITS, DIM, scalar=True, centred=True)
    assert [tuple(p.shape) for p in scalar.parameters()] == [()]
    assert not scalar.untied()[0].any()


@pytest.mark.parametrize(("activation", "group"), [("relu", Symmetric(UNITS)), ("abs", SignedPermutations(UNITS))])
@pytest.mark.parametrize("apart", [True, False])
def test_gain_of_the_mixture(activation, group, apart):
    """Log |G| where copies are apart, less where they overlap; and it is the difference of the two bounds."""
    model, x, y, teacher = data(activation)
    guide = specialised_guide(model, teacher, group, init_scale=0.05 if apart else 0.5)
    guide.set_up(x, y)
    gain = guide.gain(x, y, num_samples=300, generator=torch.Generator().manual_seed(5))
    limit = math.log(group.order)
    assert 0 <= gain.value <= limit + 1e-12
    if apart:
        assert abs(gain.value - limit) <= 3 * gain.standard_error + 1e-6
    else:
        assert gain.value < limit - 5 * gain.standard_error
    law = guide.get_posterior(x, y)
    z = law.sample((50,))
    moved = z.view(-1, UNITS, DIM)[:, [1, 2, 0]]
    if isinstance(group, SignedPermutations):
        moved = moved * torch.tensor([1.0, -1.0, -1.0])[:, None]
    assert torch.allclose(law.log_prob(moved.flatten(1)), law.log_prob(z), rtol=1e-9)


def test_first_scales_of_the_guide_and_of_a_random_start():
    model, x, y, teacher = data("relu")
    guide = specialised_guide(model, teacher, Symmetric(UNITS))
    guide.set_up(x, y)
    draws = guide.get_posterior(x, y).sample((4000,)).view(-1, UNITS, DIM)
    near = (draws[:, None] - torch.stack([teacher[list(s)] for s in itertools.permutations(range(UNITS))])).square()
    spread = float(near.sum((-2, -1)).min(1).values.mean()) / (UNITS * DIM)
    assert spread == pytest.approx(0.01 / DIM, rel=4 * math.sqrt(2 / 60_000))
    start = random_start(30, 200, generator=torch.Generator().manual_seed(0))
    assert float(start.square().mean()) * 200 == pytest.approx(1, abs=4 * math.sqrt(2 / 6000))


def test_bound_of_the_mixture_is_that_of_its_copy_and_the_gain():
    model, x, y, teacher = data("relu")
    guide = specialised_guide(model, teacher, Symmetric(UNITS), init_scale=0.3)
    torch.manual_seed(6)
    guide(x, y)
    loss = Trace_ELBO(num_particles=400, vectorize_particles=True, max_plate_nesting=1)
    with torch.no_grad():
        draws = torch.tensor([-loss.loss(model, guide, x, y) for _ in range(10)])
    copy = committee_elbo(teacher, torch.full_like(teacher, 0.3), x, y, activation="relu", noise=NOISE)
    gain = guide.gain(x, y, num_samples=2000)
    error = math.hypot(float(draws.std()) / math.sqrt(10), gain.standard_error)
    assert abs(float(draws.mean()) - float(copy) - gain.value) < 4 * error
    assert gain.value > 5 * error  # the copy's bound alone would not pass


def test_what_is_no_committee_or_guide_is_refused():
    model, x, y, teacher = data("relu")
    for given, words in (({"units": 0}, "units"), ({"noise": -1.0}, "noise"), ({"batch_size": 99}, "batch size")):
        with pytest.raises(ValueError, match=words):
            model(x, y, **given)
    with pytest.raises(ValueError, match="x "):
        model(x[0], y)
    with pytest.raises(ValueError, match="y "):
        model(x, y[:3])
    with pytest.raises(TypeError, match="Symmetric"):
        specialised_guide(model, teacher, "S_3")
    with pytest.raises(ValueError, match="row"):
        specialised_guide(model, teacher, Symmetric(4))
    with pytest.raises(ValueError, match="centred"):
        TiedGuide(3, 5, centred=True, loc=torch.zeros(5))
    with pytest.raises(ValueError, match="expected units >= 1"):
        TiedGuide(0, 5)
