"""Shapes of the laws on the sphere: batches, expand, masks, and sites of Pyro models under plates and particles."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceMeanField_ELBO
from torch import Tensor

from pyro_symvi.distributions import PowerSpherical, SphericalUniform, VonMisesFisher
from pyro_symvi.special import log_hyp0f1, log_vmf_normalizer


def unit(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x / x.norm(dim=-1, keepdim=True)


def uniform(direction: Tensor, concentration: Tensor) -> SphericalUniform:
    batch = torch.broadcast_shapes(direction.shape[:-1], concentration.shape)
    return SphericalUniform(direction.shape[-1], dtype=direction.dtype).expand(batch)


LAWS: dict[str, Any] = {
    "vmf": VonMisesFisher,
    "natural": lambda m, k: VonMisesFisher.from_natural(k[..., None] * m),
    "power": PowerSpherical,
    "uniform": uniform,
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("batch", [(), (4,), (2, 1), (3, 2, 4)])
@pytest.mark.parametrize("dim", [2, 3, 6])
def test_batch_and_event_shapes(name: str, batch: tuple[int, ...], dim: int) -> None:
    law = LAWS[name](unit(*batch, dim), torch.rand(batch, dtype=torch.float64))
    assert law.batch_shape == batch and law.event_shape == (dim,) and law.event_dim == 1 and law.has_rsample
    assert law.support is dist.constraints.sphere
    assert law.mean.shape == law.variance.shape == (*batch, dim) and law.entropy().shape == batch
    for sample_shape in ((), (5,), (5, 1)):
        x = law.rsample(sample_shape)
        assert x.shape == (*sample_shape, *batch, dim) == law(sample_shape).shape
        assert law.log_prob(x).shape == (*sample_shape, *batch)
    assert law.log_prob(unit(7, *(1 for _ in batch), dim)).shape == (7, *batch)


@pytest.mark.parametrize("name", LAWS)
def test_parameters_broadcast(name: str) -> None:
    law = LAWS[name](unit(3, 1, 4), torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert law.batch_shape == (3, 2) and law.sample((5,)).shape == (5, 3, 2, 4)


@pytest.mark.parametrize("name", LAWS)
def test_expand_and_to_event(name: str) -> None:
    law = LAWS[name](unit(2, 3), torch.tensor([0.5, 4.0], dtype=torch.float64))
    wide = law.expand((6, 2))
    assert type(wide) is type(law) and wide.batch_shape == (6, 2) and wide.event_shape == (3,)
    x = wide.sample()
    assert x.shape == (6, 2, 3) and torch.allclose(wide.log_prob(x), law.log_prob(x))
    assert len({tuple(row) for row in x[:, 0].tolist()}) == 6  # expanded draws are independent draws
    joined = wide.to_event(1)
    assert joined.batch_shape == (6,) and joined.event_shape == (2, 3)
    assert torch.allclose(joined.log_prob(x), law.log_prob(x).sum(-1))
    assert law.mask(False).log_prob(x).abs().max() == 0
    assert law.expand_by((4,)).batch_shape == (4, 2)
    with pytest.raises((RuntimeError, ValueError)):
        law.expand((3,)).log_prob(x)  # 2 does not expand to 3


def model(data: Tensor) -> None:
    """A sphere site outside the plate, one inside, a Euclidean site, observed directions."""
    centre = pyro.sample("centre", SphericalUniform(3, dtype=data.dtype))
    kappa = pyro.sample("kappa", dist.Gamma(data.new_tensor(2.0), data.new_tensor(1.0)))
    with pyro.plate("units", len(data), dim=-1):
        axis = pyro.sample("axis", VonMisesFisher(centre, kappa))
        pyro.sample("x", VonMisesFisher(axis, 20.0), obs=data)


def guide(data: Tensor) -> None:
    centre = pyro.param("mu", data.mean(0) / data.mean(0).norm(), constraint=dist.constraints.sphere, event_dim=1)
    width = pyro.param("width", data.new_tensor(5.0), constraint=dist.constraints.positive)
    pyro.sample("centre", VonMisesFisher(centre, width))
    pyro.sample("kappa", dist.Gamma(pyro.param("a", data.new_tensor(3.0), constraint=dist.constraints.positive), 1.0))
    with pyro.plate("units", len(data), dim=-1):
        pyro.sample("axis", PowerSpherical(data, 30.0))


def test_sphere_sites_in_a_trace_under_plates() -> None:
    trace = poutine.trace(model).get_trace(unit(5, 3))
    trace.compute_log_prob()
    assert trace.nodes["centre"]["value"].shape == (3,) and trace.nodes["centre"]["log_prob"].shape == ()
    assert trace.nodes["axis"]["value"].shape == (5, 3) and trace.nodes["axis"]["log_prob"].shape == (5,)
    assert trace.nodes["x"]["log_prob"].shape == (5,)


def test_vectorised_particles() -> None:
    def particles() -> None:
        with pyro.plate("particles", 7, dim=-2):
            model(unit(5, 3))

    trace = poutine.trace(particles).get_trace()
    trace.compute_log_prob()
    assert trace.nodes["centre"]["value"].shape == (7, 1, 3) and trace.nodes["centre"]["log_prob"].shape == (7, 1)
    assert trace.nodes["axis"]["value"].shape == (7, 5, 3) and trace.nodes["axis"]["log_prob"].shape == (7, 5)
    assert trace.nodes["x"]["log_prob"].shape == (7, 5)


@pytest.mark.parametrize("vectorised", [False, True])
def test_a_step_of_variational_inference(vectorised: bool) -> None:
    """Vectorised and looped particles estimate one bound: within 5 standard errors, and gradients reach every one."""
    torch.manual_seed(0)
    data = unit(1, 3) + 0.3 * torch.randn(12, 3, dtype=torch.float64)
    data = data / data.norm(dim=-1, keepdim=True)
    elbo = Trace_ELBO(num_particles=64 if vectorised else 4, vectorize_particles=vectorised, max_plate_nesting=1)
    loss = elbo.differentiable_loss(model, guide, data)
    loss.backward()
    for name in ("mu", "width", "a"):
        gradient = pyro.param(name).unconstrained().grad
        assert bool(gradient.isfinite().all()) and gradient.abs().max() > 0
    one = Trace_ELBO(num_particles=1, max_plate_nesting=1)
    losses = torch.tensor([one.loss(model, guide, data) for _ in range(60)])
    error = losses.std() * (1 / 60 + 1 / elbo.num_particles) ** 0.5
    assert abs(losses.mean() - loss.item()) < 5 * error


def test_the_bound_at_the_exact_posterior_is_the_evidence() -> None:
    """Uniform prior, von Mises-Fisher likelihood of concentration 6: the posterior is eta = 6 sum x.

    Evidence: log 0F1(eta) - n log Z(6). Without Monte-Carlo error in Trace_ELBO, to 4 standard errors where the
    registered divergence replaces the draws' own.
    """
    torch.manual_seed(0)
    data = VonMisesFisher(unit(4, seed=9), 6.0).sample((30,))
    eta = 6.0 * data.sum(0)

    def conjugate() -> None:
        centre = pyro.sample("centre", SphericalUniform(4, dtype=torch.float64))
        with pyro.plate("units", len(data)):
            pyro.sample("x", VonMisesFisher(centre, 6.0), obs=data)

    def posterior() -> None:
        pyro.sample("centre", VonMisesFisher.from_natural(eta))

    evidence = log_hyp0f1(4, eta.norm()) - 30 * log_vmf_normalizer(4, torch.tensor(6.0, dtype=torch.float64))
    assert -Trace_ELBO().loss(conjugate, posterior) == pytest.approx(evidence.item(), rel=1e-12)
    mean_field = TraceMeanField_ELBO()
    bounds = -torch.tensor([mean_field.loss(conjugate, posterior) for _ in range(200)])
    assert bounds.std() > 0.1
    assert abs(bounds.mean().item() - evidence.item()) < 4 * bounds.std().item() / 200**0.5
