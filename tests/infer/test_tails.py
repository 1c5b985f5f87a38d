"""Divergences that are infinite are refused; finite ones, whatever the tails, are not."""

import pytest
import torch
from torch import Tensor

from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import Alpha, Divergence, ForwardKL, ReverseKL
from pyro_symvi.families import LocationScale
from pyro_symvi.infer.fitting.tails import require_finite_divergence


def normal(z: Tensor) -> Tensor:
    return -0.5 * z.square().sum(-1)


def student(df: float, dim: int):  # type: ignore[no-untyped-def]
    return lambda z: -0.5 * (df + dim) * torch.log1p(z.square().sum(-1) / df)


def check(target, dim: int, base: str, df: float | None, divergence: Divergence) -> None:  # type: ignore[no-untyped-def]
    if base == "student_t_product":
        family, scale = LocationScale(dim, base="student_t", df=df, scale="diagonal"), torch.ones(dim)
    else:
        family, scale = LocationScale(dim, base=base, df=df), torch.eye(dim)
    parameters = {"loc": torch.zeros(dim, dtype=torch.float64), "scale": scale.double()}
    require_finite_divergence(LogDensity.from_callable(target, dim), family, parameters, divergence)


def product(df: float):  # type: ignore[no-untyped-def]
    return lambda z: -0.5 * (df + 1) * torch.log1p(z.square() / df).sum(-1)


def block(df: float, size: int):  # type: ignore[no-untyped-def]
    """A multivariate t beside independent normal coordinates."""
    return lambda z: student(df, size)(z[..., :size]) + normal(z[..., size:])


def robust(z: Tensor) -> Tensor:
    """Regression with Student-t(4) errors, a flat prior on two coefficients and log sigma last."""
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0], dtype=z.dtype)
    y = torch.tensor([-1.8, -1.3, 0.4, 0.7, 2.2, 9.0], dtype=z.dtype)
    squares = (y - z[..., :1] - z[..., 1:2] * x).square() * (-2 * z[..., 2:3]).exp()
    return -5 * z[..., 2] - 2.5 * torch.log1p(squares / 4).sum(-1) + normal(z[..., 3:])


# finite or not by the exponents of the tails: t_k has z^-(k+d), normal e^(-z^2/2)
INFINITE = [
    (student(3.0, 1), 1, "normal", None, Alpha(2.0)),
    (student(30.0, 3), 3, "normal", None, Alpha(1.2)),
    (student(1.0, 1), 1, "normal", None, ForwardKL()),
    (student(2.0, 2), 2, "normal", None, ForwardKL()),
    (student(1.5, 2), 2, "laplace", None, Alpha(2.0)),
    (normal, 1, "student_t", 1.0, ReverseKL()),
    (normal, 2, "student_t", 5.0, Alpha(-1.0)),
    (product(1.9), 5, "normal", None, ForwardKL()),  # E z^2 of each coordinate
    (block(1.9, 3), 6, "normal", None, ForwardKL()),
    (block(1.9, 3), 40, "normal", None, ForwardKL()),
    (normal, 6, "student_t_product", 1.9, ReverseKL()),
]
FINITE = [
    (student(3.0, 1), 1, "normal", None, ForwardKL()),
    (student(2.5, 3), 3, "normal", None, ForwardKL()),
    (student(1.0, 1), 1, "normal", None, ReverseKL()),
    (student(1.0, 2), 2, "normal", None, Alpha(0.5)),
    (student(3.0, 1), 1, "student_t", 3.0, Alpha(2.0)),
    (normal, 1, "student_t", 3.0, ReverseKL()),
    (normal, 3, "laplace", None, ReverseKL()),
    (normal, 3, "normal", None, ForwardKL()),
    (lambda z: (3 * z - z.exp()).sum(-1), 2, "normal", None, ReverseKL()),
    (product(2.2), 5, "normal", None, ForwardKL()),
    (product(2.2), 40, "normal", None, ForwardKL()),
    (block(2.2, 3), 6, "normal", None, ForwardKL()),
    (normal, 6, "student_t_product", 2.2, ReverseKL()),
    (robust, 5, "student_t_product", 5.0, ReverseKL()),  # log p is linear in log sigma
]


@pytest.mark.parametrize("target, dim, base, df, divergence", INFINITE)
def test_infinite_divergences_are_refused(target, dim, base, df, divergence) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="expected a finite divergence, got an infinite .*; try "):
        check(target, dim, base, df, divergence)


@pytest.mark.parametrize("target, dim, base, df, divergence", FINITE)
def test_finite_divergences_pass(target, dim, base, df, divergence) -> None:  # type: ignore[no-untyped-def]
    assert check(target, dim, base, df, divergence) is None


def test_message_names_the_direction_and_a_remedy() -> None:
    with pytest.raises(ValueError, match=r"grows in the tail \(along [+-]z\[\d\]\); try a heavier-tailed base"):
        check(student(3.0, 2), 2, "normal", None, Alpha(2.0))
