"""The check that a grid is fine enough fires where it is not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pyro_symvi.equivariance import (
    EquivarianceError,
    LieError,
    accuracy,
    converge,
    equivariance_error,
    lie_error,
    spectrum,
)
from pyro_symvi.groups import Cyclic, NaturalAction, Orthogonal, SpecialOrthogonal

SO3 = SpecialOrthogonal(3)


def septic(x: Tensor) -> Tensor:
    """Cubic symmetry at degree seven: x y z (x^4 + y^4 + z^4 - c r^4), products of band 14."""
    x, y, z = x.unbind(-1)
    return x * y * z * (x**4 + y**4 + z**4 - (x * x + y * y + z * z) ** 2 * 5 / 11)


def points() -> Tensor:
    return torch.tensor([[0.3, 0.5, 0.8], [1.0, 0.2, -0.4]], dtype=torch.float64)


def mean_square() -> float:
    """The mean of septic^2 over the unit sphere, monomial by monomial: E x^2a y^2b z^2c = (2a-1)!!... / (2n+1)!!."""

    def odd(n: int) -> int:
        return math.prod(range(1, 2 * n, 2))

    terms = {(2, 0, 0): 6 / 11, (0, 2, 0): 6 / 11, (0, 0, 2): 6 / 11}
    terms |= {(1, 1, 0): -10 / 11, (1, 0, 1): -10 / 11, (0, 1, 1): -10 / 11}
    total = 0.0
    for a, u in terms.items():
        for b, v in terms.items():
            powers = [i + j + 1 for i, j in zip(a, b, strict=True)]
            total += u * v * math.prod(map(odd, powers)) / odd(sum(powers) + 1)
    return total


def test_a_polynomial_of_degree_seven_needs_degree_fourteen() -> None:
    x = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)

    def metric(degree: int) -> EquivarianceError:
        return equivariance_error(septic, x, SO3, None, None, degree=degree, measure_floor=False)

    short = converge(metric, (10, 12))
    assert not short.converged and short.degree is None
    fine = converge(metric, (10, 12, 14, 16))
    assert fine.converged and fine.degree == 14
    assert fine.largest[1] > 0.1 and fine.largest[2] < 1e-12
    assert "not converged: output A still changes" in str(short)
    assert "converged: within 0.01 from degree 14 on" in str(fine)
    assert fine.values["output A"][-1] == pytest.approx(math.sqrt(mean_square()), rel=1e-12)
    assert metric(12).A == pytest.approx(metric(13).A, rel=1e-12)  # two wrong rules agree, hence steps of two
    assert metric(12).A < 0.9 * metric(14).A
    trap = converge(metric, (12, 13))
    assert not trap.converged and "nothing to compare degree 13 with" in str(trap)
    assert not converge(metric, (11, 12, 13)).converged
    careful = converge(metric, (12, 13, 14, 15, 16))
    assert careful.converged and careful.degree == 14


def test_energies_of_a_kink_settle_and_name_what_moves() -> None:
    def metric(degree: int) -> object:
        return spectrum(lambda x: x[..., :1].relu(), points(), SO3, 4, degree=degree)

    found = converge(metric, (8, 16, 22))
    assert set(found.values) == {"output total", *(f"output {k}" for k in range(5))}
    assert found.values["output 2"][-1] / found.values["output total"][-1] == pytest.approx(15 / 128, rel=2e-2)
    coarse = converge(metric, (8, 10))
    assert not coarse.converged
    assert coarse.worst.startswith("output ")


def test_errors_within_rounding_are_not_compared() -> None:
    action = NaturalAction(SO3)
    found = converge(lambda d: equivariance_error(lambda x: 2 * x, points(), SO3, None, action, degree=d), (4, 6))
    assert found.converged and found.values["output A"] == (0.0, 0.0)


def test_numbers_tensors_and_mappings() -> None:
    assert converge(lambda d: 1 + 10.0**-d, (2, 4)).converged
    assert not converge(lambda d: 1.0 / d, (4, 8)).converged
    found = converge(lambda d: torch.tensor([1.0, 1e-9 * d]), (4, 8))
    assert found.converged  # the second entry is negligible beside the first
    assert not converge(lambda d: torch.tensor([1.0, 1e-3 * d]), (4, 8)).converged
    both = converge(lambda d: {"a": 1.0, "b": float(d)}, (4, 8))
    assert both.worst.strip() == "b"
    model = torch.nn.Linear(3, 3).double().eval()
    told = converge(lambda d: accuracy(model, points(), points(), SO3, None, NaturalAction(SO3), degree=d), (4, 6))
    assert told.converged and "output oriented" in told.values


def test_derivatives_averaged_over_the_group() -> None:
    def metric(degree: int) -> LieError:
        return lie_error(lambda x: x[..., 0] ** 3, points(), SO3, None, None, average=degree)

    found = converge(metric, (4, 6, 8), tolerance=1e-4)
    # x^3 = 3/5 r^2 x + harmonic of degree 3; sum l(l+1) B_l with B_1 = 9/25 r^6 / 3, B_1 + B_3 = r^6 / 7
    sixth = float(points().square().sum(-1).pow(3).mean())
    exact = sixth * (2 * 3 / 25 + 12 * (1 / 7 - 3 / 25))
    assert found.values["L"][-1] == pytest.approx(math.sqrt(exact), rel=1e-10)
    assert found.converged and found.degree == 6


def test_finite_groups_have_nothing_to_converge() -> None:
    group = Cyclic(4)
    assert group.is_finite
    flips = Orthogonal(1)
    found = converge(lambda d: equivariance_error(lambda x: x.exp(), points()[..., :1], flips, None, None, degree=d))
    assert found.converged and found.degree == 8 and found.largest == (0.0, 0.0)


@pytest.mark.parametrize(
    ("metric", "degrees", "words"),
    [
        (lambda d: 1.0, (8,), "at least two growing degrees"),
        (lambda d: 1.0, (8, 8), "at least two growing degrees"),
        (lambda d: math.nan, (8, 10), "expected finite values"),
        (lambda d: torch.ones(d), (8, 10), "same values at every degree"),
    ],
    ids=["one", "equal", "nan", "layout"],
)
def test_wrong_requests_are_refused(metric: object, degrees: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        converge(metric, degrees)  # type: ignore[arg-type]


def test_other_results_are_refused() -> None:
    with pytest.raises(TypeError, match="expected the metric to return"):
        converge(lambda d: "0.1", (8, 10))
