"""The planets' poles: real directions, guides trained by SVI, and the certificate of what they found."""

from __future__ import annotations

import math
from typing import Any

import pyro
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO

from pyro_symvi import certify, examples
from pyro_symvi.divergences import ReverseKL
from pyro_symvi.guides import AutoSphere, AutoSymmetric
from pyro_symvi.infer import DivergenceELBO
from pyro_symvi.recovery import SphereDensity, Verdict
from tests.recovery.sphere.targets import ALL

PLANETS = examples.get("planets")
POLES = PLANETS.args[0]
KAPPA = 500.0
B = KAPPA * POLES.sum(0)
GUIDES: dict[str, Any] = {
    "AutoSphere": AutoSphere,
    "AutoSymmetric": AutoSymmetric,
    "power spherical": lambda model, **options: AutoSphere(model, family="power_spherical", **options),
}


def model(pole: torch.Tensor) -> None:
    PLANETS.model(pole, KAPPA)


def six_sd_away(site: Any) -> torch.Tensor:
    return torch.tensor([math.sin(0.1), 0.0, math.cos(0.1)], dtype=torch.float64)


@pytest.mark.parametrize("kind", GUIDES)
def test_svi_on_the_planets_is_bounded_by_its_distance_from_the_proved_direction(kind: str) -> None:
    """120 steps of Adam leave the direction within a posterior sd (.022 rad) of the resultant, and the bound says it.

    The posterior is von Mises-Fisher(500 sum x_i): its direction is proved, whatever the guide's family.
    """
    guide = GUIDES[kind](model, init_loc_fn=six_sd_away)
    torch.manual_seed(2)
    loss = Trace_ELBO(num_particles=16, vectorize_particles=True, max_plate_nesting=1)
    if kind == "AutoSphere":
        loss = DivergenceELBO(ReverseKL(), num_particles=16, max_plate_nesting=1)
    svi = SVI(model, guide, pyro.optim.ClippedAdam({"lr": 0.1, "lrd": 0.97, "betas": (0.9, 0.95)}), loss=loss)
    for _ in range(120):
        svi.step(POLES)
    found = certify(guide, POLES, statistics=ALL)
    fitted = guide.median(POLES)["mu"]
    angle = 2 * math.asin(float((fitted - B / B.norm()).norm()) / 2)
    assert found["direction"].verdict is Verdict.BOUNDED
    assert float(found["direction"].bounds[0]) == pytest.approx(angle, abs=2e-6) and angle < 0.022
    assert torch.allclose(found["direction"].exact, B / B.norm(), atol=1e-14)
    assert torch.allclose(found["direction"].values, fitted.double(), atol=1e-14)


def test_the_laplace_start_is_proved() -> None:
    """Mode and curvature of a von Mises-Fisher posterior are the answer: direction, axis and concentration."""
    guide = AutoSphere(model)
    assert guide.initialize_from_laplace(POLES).is_mode
    found = certify(guide, POLES, statistics=ALL)
    assert [found[name].verdict for name in ALL] == [Verdict.PROVED] * 3
    assert float(found["concentration"].values[0]) == pytest.approx(float(B.norm()), rel=1e-9)
    assert found.title == "Certificate for an AutoSphere guide (von Mises-Fisher)"


def test_the_mode_of_a_prior_that_disagrees_moves_the_direction() -> None:
    """With the pole of the solar equator, 7.25 degrees off, as a strong prior: b is the sum of both, still proved."""
    from pyro_symvi.distributions import VonMisesFisher

    pole = torch.tensor([math.sin(math.radians(7.25)), 0.0, math.cos(math.radians(7.25))], dtype=torch.float64)

    def informed(x: torch.Tensor) -> None:
        mu = pyro.sample("mu", VonMisesFisher(pole, 3000.0))
        with pyro.plate("planet", len(x)):
            pyro.sample("pole", VonMisesFisher(mu, KAPPA), obs=x)

    found = certify(SphereDensity.from_model(informed, POLES), statistics=ALL)
    b = B + 3000.0 * pole
    assert found["direction"].verdict is Verdict.PROVED
    assert torch.allclose(found["direction"].values, b / b.norm(), atol=1e-14)
    assert float(found["concentration"].values[0]) == pytest.approx(float(b.norm()), rel=1e-12)
