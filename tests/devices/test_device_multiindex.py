"""Multi-index models on a GPU: link functions, channels, simulations, committees and their guides."""

from __future__ import annotations

import functools
from typing import Any

import pyro
import pytest
import torch
from pyro.infer import SVI
from torch import Tensor

from pyro_symvi.divergences import ReverseKL
from pyro_symvi.groups import Symmetric
from pyro_symvi.infer import DivergenceELBO
from pyro_symvi.multiindex import (
    GaussianChannel,
    Link,
    TiedGuide,
    committee_data,
    committee_elbo,
    committee_machine,
    gamp,
    hermite_functions,
    irrep_instability,
    order_parameters,
    single_index_data,
    specialised_guide,
    spectral_estimator,
)
from tests.devices.device import normal, required, same, there

DEVICE = required()


@pytest.mark.parametrize("name", ["relu", "tanh", "he4"])
def test_links_and_channels(name: str) -> None:
    link, z = Link.of(name), normal(9)
    same(link(there(z)), link(z))
    same(hermite_functions(there(z), 5), hermite_functions(z, 5))
    channel, y = GaussianChannel(link, 2.0), 1.5 * normal(9, seed=1)
    same(channel.score(there(y)), channel.score(y))
    same(channel.first_score(there(y)), channel.first_score(y))
    omega, variance = normal(9, seed=2), torch.rand(9, dtype=torch.float64) * 0.8 + 0.1
    same(channel.output(there(y), there(omega), there(variance)), channel.output(y, omega, variance))


def test_simulations() -> None:
    channel = GaussianChannel(Link.of("he2"), 4.0)
    here = single_index_data("he2", 60, 6.0, 4.0, seeds=[0, 1])
    x, y, w = (there(part) for part in (here.x, here.y, here.direction))
    one, other = spectral_estimator(here.x, here.y, channel), spectral_estimator(x, y, channel)
    same(other.values, one.values, 1e-4)
    same(other.squared_cosine(w), one.squared_cosine(here.direction), 1e-3)
    started = [gamp(a, b, channel, start="informed", truth=c, iterations=5)
               for a, b, c in ((here.x, here.y, here.direction), (x, y, w))]  # fmt: skip
    same(started[1].overlap, started[0].overlap, 1e-6)
    drawn = committee_data("relu", 2, 20, 3.0, 0.1, device=DEVICE)
    assert drawn.x.device == DEVICE and drawn.y.device == DEVICE


def committee(move: Any = there) -> tuple[Any, Tensor, Tensor, Tensor]:
    data = committee_data("relu", 3, 8, 10.0, 0.1)
    model = functools.partial(committee_machine, units=3, activation="relu", noise=0.1)
    return model, move(data.x), move(data.y), move(data.weights)


def test_committees() -> None:
    _, x, y, w = committee(lambda part: part)
    scale = torch.full_like(w, 0.1)
    bound = functools.partial(committee_elbo, activation="relu", noise=0.1)
    same(bound(*there((w, scale, x, y))), bound(w, scale, x, y))
    found = order_parameters(there(w.flip(0)[None]), there(w), Symmetric(3))
    same(found.aligned, order_parameters(w.flip(0)[None], w, Symmetric(3)).aligned)
    tied = {"loc": w.mean(0).expand(3, -1).clone(), "log_scale": torch.full_like(w, -2.0)}
    lowest = [irrep_instability(lambda p, a=a, b=b: bound(p["loc"], p["log_scale"].exp(), a, b), start, Symmetric(3))
              for a, b, start in ((x, y, tied), (*there((x, y)), there(tied)))]  # fmt: skip
    assert lowest[1].eigenvalue == pytest.approx(lowest[0].eigenvalue, rel=1e-4)


@pytest.mark.parametrize("kind", ["tied", "specialised"])
def test_guides_of_committees(kind: str) -> None:
    model, x, y, w = committee()
    pyro.set_rng_seed(0)
    guide = TiedGuide(3, 8).to(DEVICE) if kind == "tied" else specialised_guide(model, w, Symmetric(3))
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.02}), DivergenceELBO(ReverseKL(), num_particles=2))
    losses = [svi.step(x, y) for _ in range(40)]
    assert sum(losses[-10:]) < sum(losses[:10])
    assert all(value.device == DEVICE for value in pyro.get_param_store().values())
