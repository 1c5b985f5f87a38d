"""Weighted maximum likelihood of Student-t laws: the optimum of a general optimiser, at a fraction of its cost."""

import pytest
import torch
from torch import Tensor

from pyro_symvi.families import LocationScale, Parameters
from pyro_symvi.infer.fitting import weighted
from pyro_symvi.infer.fitting.weighted import maximize_likelihood


def particles(dim: int, count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(dim)
    mix = torch.randn(dim, dim, dtype=torch.float64, generator=generator)
    heavy = torch.randn(count, 1, dtype=torch.float64, generator=generator) ** 3
    z = torch.randn(count, dim, dtype=torch.float64, generator=generator) @ mix + heavy
    return z, torch.randn(count, dtype=torch.float64, generator=generator).softmax(0)


def gradient(family: LocationScale, z: Tensor, weights: Tensor, parameters: Parameters) -> float:
    x = torch.zeros(family.size, dtype=torch.float64, requires_grad=True)
    law = family.around(parameters, family.matrix(parameters["scale"]), x)
    return float(torch.autograd.grad((weights * family.log_prob(z, law)).sum(), x)[0].norm())


@pytest.mark.parametrize(
    "dim, base, df, scale",
    [(2, "cauchy", None, "full"), (3, "student_t", 5.0, "diagonal")],
)
def test_the_optimum_is_that_of_a_general_optimiser(
    monkeypatch: pytest.MonkeyPatch, dim: int, base: str, df: float | None, scale: str
) -> None:
    family, (z, weights) = LocationScale(dim, base, scale, df), particles(dim, 400)
    start = family.initial(1.0, z)
    found, _ = maximize_likelihood(family, z, weights, start)
    monkeypatch.setattr(weighted, "reweights", lambda family: False)
    expected, _ = maximize_likelihood(family, z, weights, start)
    for name in ("loc", "scale"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-8, atol=1e-8)


def test_a_full_scale_of_fourteen_dimensions_is_maximised() -> None:
    family, (z, weights) = LocationScale(14, "student_t", "full", 5.0), particles(14, 2000)
    found, _ = maximize_likelihood(family, z, weights, family.initial(1.0, z))
    assert gradient(family, z, weights, found) < 1e-8


def test_a_fixed_point_of_antithetic_draws_keeps_their_centre() -> None:
    family, (z, weights) = LocationScale(3, "student_t", "isotropic", 2.0), particles(3, 200)
    both = torch.cat([z, -z]) + 7.0
    start = {**family.initial(1.0, z), "loc": torch.full((3,), 7.0, dtype=torch.float64)}
    found, _ = maximize_likelihood(family, both, torch.cat([weights, weights]) / 2, start)
    torch.testing.assert_close(found["loc"], start["loc"], rtol=0, atol=1e-13)


def test_a_likelihood_without_a_maximum_gives_the_last_scale_that_exists_or_none() -> None:
    family, (z, weights) = LocationScale(2, "student_t", "full", 0.5), particles(2, 100)
    start = family.initial(1.0, z)
    line = torch.cat([z[:1], z[1:, :1].expand(-1, 2)])  # one draw beside a line
    found, _ = maximize_likelihood(family, line, weights, start)
    assert all(family.complaint(name, value) is None for name, value in found.items())
    assert float(found["scale"][1, 1] / found["scale"][0, 0]) < 1e-6
    with pytest.raises(ValueError, match="span 2 dimensions"):
        maximize_likelihood(family, z, torch.eye(100, dtype=torch.float64)[3], start)
