"""Targets with known answers, as plain functions and as Pyro models. All numbers refer to the flat vector, in float64.

Each scenario is made anew at every call, so that no test shares tensors with another::

    target = scenarios.gaussian()
    target.density()          # a LogDensity, from the model where there is one
    target.mean, target.standard_deviation, target.correlation      # None where unknown or not existing
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_symvi.density import LogDensity


@dataclass(frozen=True)
class Scenario:
    """A target and what is known of it.

    Attributes:
        log_prob: Log density of ``z[..., d]``, shape ``[...]``, up to a constant.
        model, args: The same as a Pyro model, where there is one; its log density may differ by a constant.
        center: Centre of the point reflection of the coordinates in ``even``; equal to the mean there if it exists.
        even: Coordinates a point reflection about ``center`` leaves the law unchanged in, the others held.
        elliptical: The density depends on a quadratic form alone.
        log_concave: Whether ``log_prob`` is concave.
        unimodal: Whether it falls along every ray from its mode.
    """

    name: str
    dim: int
    log_prob: Callable[[Tensor], Tensor]
    mean: Tensor | None = None
    standard_deviation: Tensor | None = None
    correlation: Tensor | None = None
    center: Tensor | None = None
    even: tuple[int, ...] = ()
    elliptical: bool = False
    log_concave: bool = False
    unimodal: bool = False
    log_evidence: float | None = None
    model: Callable[..., Any] | None = None
    args: tuple[Any, ...] = field(default=())

    def density(self) -> LogDensity:
        """The target as a `LogDensity`, from the model where there is one."""
        return self.from_callable() if self.model is None else LogDensity.from_model(self.model, *self.args)

    def from_callable(self) -> LogDensity:
        """The target as a `LogDensity` of the plain function."""
        return LogDensity.from_callable(self.log_prob, self.dim)


def tensor(values: Any) -> Tensor:
    """``values`` in float64."""
    return torch.as_tensor(values, dtype=torch.float64)


def _every(dim: int) -> tuple[int, ...]:
    return tuple(range(dim))


def _moments(covariance: Tensor) -> dict[str, Tensor]:
    deviation = covariance.diagonal().sqrt()
    return {"standard_deviation": deviation, "correlation": covariance / torch.outer(deviation, deviation)}


_LOC = (0.7, -1.3, 2.0)
_SCATTER = ((2.0, 0.9, -0.3), (0.9, 1.0, 0.1), (-0.3, 0.1, 0.5))


def gaussian() -> Scenario:
    """A correlated normal law in three dimensions."""
    loc, covariance = tensor(_LOC), tensor(_SCATTER)
    law = dist.MultivariateNormal(loc, covariance)
    return Scenario(
        "gaussian", 3, law.log_prob, mean=loc, center=loc, even=_every(3), elliptical=True, log_concave=True,
        unimodal=True, log_evidence=0.0, model=lambda: pyro.sample("z", law), **_moments(covariance),
    )  # fmt: skip


def student_t(df: float = 5.0) -> Scenario:
    """A multivariate t law; mean for df > 1, covariance df/(df-2) times the scatter for df > 2."""
    loc, scatter = tensor(_LOC), tensor(_SCATTER)
    law = dist.MultivariateStudentT(tensor(df), loc, torch.linalg.cholesky(scatter))
    moments = _moments(scatter * df / (df - 2)) if df > 2 else {}
    return Scenario(
        "student_t", 3, law.log_prob, mean=loc if df > 1 else None, center=loc, even=_every(3), elliptical=True,
        unimodal=True, log_evidence=0.0, model=lambda: pyro.sample("z", law), **moments,
    )  # fmt: skip


def logistic() -> Scenario:
    """Independent logistic laws of different scales: even, log-concave, not elliptical."""
    loc, scale = tensor([0.5, -2.0]), tensor([1.0, 0.3])
    law = dist.Logistic(loc, scale).to_event(1)
    return Scenario(
        "logistic", 2, law.log_prob, mean=loc, standard_deviation=scale * math.pi / math.sqrt(3),
        correlation=torch.eye(2).double(), center=loc, even=_every(2), log_concave=True, unimodal=True,
        log_evidence=0.0, model=lambda: pyro.sample("z", law),
    )  # fmt: skip


def laplace() -> Scenario:
    """Independent Laplace laws: even, log-concave, with kinks."""
    loc, scale = tensor([0.5, -2.0]), tensor([1.0, 0.3])
    law = dist.Laplace(loc, scale).to_event(1)
    return Scenario(
        "laplace", 2, law.log_prob, mean=loc, standard_deviation=scale * math.sqrt(2),
        correlation=torch.eye(2).double(), center=loc, even=_every(2), log_concave=True, unimodal=True,
        log_evidence=0.0, model=lambda: pyro.sample("z", law),
    )  # fmt: skip


def cauchy() -> Scenario:
    """A Cauchy law: a centre of symmetry and no mean."""
    law = dist.Cauchy(tensor([3.0]), tensor([2.0])).to_event(1)
    return Scenario(
        "cauchy", 1, law.log_prob, center=tensor([3.0]), even=(0,), elliptical=True, unimodal=True, log_evidence=0.0,
        model=lambda: pyro.sample("z", law),
    )  # fmt: skip


def funnel() -> Scenario:
    r"""Neal's funnel, :math:`v\sim N(0,3),\ x_i|v\sim N(0,e^{v/2})`: even in ``x`` given ``v``, not in ``v`` jointly.

    The sd of :math:`x_i` is :math:`E[e^v]^{1/2} = e^{9/4}`; all correlations are zero.
    """

    def model() -> None:
        v = pyro.sample("v", dist.Normal(0.0, 3.0))
        pyro.sample("x", dist.Normal(0.0, (v / 2).exp()).expand([2]).to_event(1))

    def log_prob(z: Tensor) -> Tensor:
        v, x = z[..., 0], z[..., 1:]
        return -(v**2) / 18 - v - 0.5 * (x**2).sum(-1) * (-v).exp()

    return Scenario(
        "funnel", 3, log_prob, mean=torch.zeros(3).double(), standard_deviation=tensor([3.0, *2 * [math.exp(2.25)]]),
        correlation=torch.eye(3).double(), center=torch.zeros(3).double(), even=(1, 2),
        log_evidence=0.0, model=model,
    )  # fmt: skip


def two_modes(separation: float = 2.0) -> Scenario:
    r""":math:`\tfrac12 N(-m,1)+\tfrac12 N(m,1)`: even, with a bump on either side; sd :math:`\sqrt{1+m^2}`."""

    def log_prob(z: Tensor) -> Tensor:
        x = z[..., 0]
        return -0.5 * x**2 + torch.nn.functional.softplus(-2 * separation * x.abs()) + separation * x.abs()

    def model() -> None:  # the mixture is N(0, 1) times cosh(mx) exp(-m²/2)
        x = pyro.sample("z", dist.Normal(tensor(0.0), 1.0))
        pyro.factor("modes", torch.logaddexp(separation * x, -separation * x) - math.log(2) - separation**2 / 2)

    return Scenario(
        "two_modes", 1, log_prob, mean=torch.zeros(1).double(), standard_deviation=tensor([math.hypot(1, separation)]),
        correlation=torch.eye(1).double(), center=torch.zeros(1).double(), even=(0,), log_concave=separation <= 1,
        unimodal=separation <= 1, log_evidence=0.0, model=model,
    )  # fmt: skip


def skew_normal(shape: float = 3.0) -> Scenario:
    r""":math:`2\varphi(x)\Phi(ax)`: no symmetry; mean :math:`\delta\sqrt{2/\pi}`, :math:`\delta=a/\sqrt{1+a^2}`."""
    delta = shape / math.sqrt(1 + shape**2)

    def log_prob(z: Tensor) -> Tensor:
        x = z[..., 0]
        return -0.5 * x**2 + torch.special.log_ndtr(shape * x)

    def model() -> None:
        x = pyro.sample("z", dist.Normal(tensor(0.0), 1.0))
        pyro.factor("skew", torch.special.log_ndtr(shape * x))

    return Scenario(
        "skew_normal", 1, log_prob, mean=tensor([delta * math.sqrt(2 / math.pi)]),
        standard_deviation=tensor([math.sqrt(1 - 2 * delta**2 / math.pi)]), correlation=torch.eye(1).double(),
        even=(0,) if shape == 0 else (), center=torch.zeros(1).double() if shape == 0 else None,
        log_concave=True, unimodal=True, log_evidence=-math.log(2), model=model,
    )  # fmt: skip


def crescent() -> Scenario:
    """z1 ~ N(0, 10²), z2 ~ N(.03 (z1² - 100), 1): even in z1 alone; sd of z2 is sqrt(19), correlation 0."""

    def log_prob(z: Tensor) -> Tensor:
        a, b = z[..., 0], z[..., 1]
        return -0.5 * (a / 10) ** 2 - 0.5 * (b - 0.03 * (a**2 - 100)) ** 2

    def model() -> None:
        a = pyro.sample("a", dist.Normal(tensor(0.0), 10.0))
        pyro.sample("b", dist.Normal(0.03 * (a**2 - 100), 1.0))

    return Scenario(
        "crescent", 2, log_prob, mean=torch.zeros(2).double(), standard_deviation=tensor([10.0, math.sqrt(19.0)]),
        correlation=torch.eye(2).double(), center=torch.zeros(2).double(), even=(0,),
        log_evidence=0.0, model=model,
    )  # fmt: skip


def flat_regression(n: int = 12) -> Scenario:
    r"""Linear regression with flat priors on :math:`\beta` and :math:`\log\sigma`, made-up data.

    Closed forms, with least squares :math:`\hat\beta`, residual sum S and k = n - p degrees of freedom:
    :math:`\beta\sim t_k(\hat\beta, (S/k)(X^TX)^{-1})`, and :math:`S/\sigma^2\sim\chi^2_k`, so that
    :math:`E\log\sigma = ½(\log(S/2)-\psi(k/2))` and :math:`\operatorname{Var}\log\sigma = ¼\psi_1(k/2)`;
    :math:`\beta` and :math:`\log\sigma` are uncorrelated. Even in :math:`\beta` given :math:`\sigma`.
    """
    x = torch.linspace(-1.0, 2.0, n, dtype=torch.float64)
    design = torch.stack([torch.ones_like(x), x, x**2], 1)
    y = 0.5 - 1.2 * x + 0.3 * x**2 + 0.8 * torch.sin(7.0 * torch.arange(n, dtype=torch.float64))
    p, k = 3, n - 3
    gram = torch.linalg.inv(design.mT @ design)
    beta = gram @ design.mT @ y
    rest = float(((y - design @ beta) ** 2).sum())

    def log_prob(z: Tensor) -> Tensor:
        coefficients, log_sigma = z[..., :p], z[..., p]
        squares = ((y - coefficients @ design.mT) ** 2).sum(-1)
        return -n * log_sigma - 0.5 * squares * (-2 * log_sigma).exp()

    def model(design: Tensor, y: Tensor) -> None:
        coefficients = pyro.sample("beta", dist.ImproperUniform(dist.constraints.real_vector, (), (p,)))
        sigma = pyro.sample("sigma", dist.ImproperUniform(dist.constraints.positive, (), ()))
        pyro.factor("prior", -sigma.log())  # flat in log sigma
        with pyro.plate("data", n):
            pyro.sample("y", dist.Normal(design @ coefficients, sigma), obs=y)

    half = tensor(k / 2)
    covariance = torch.zeros(p + 1, p + 1, dtype=torch.float64)
    covariance[:p, :p] = gram * rest / (k - 2)
    covariance[p, p] = torch.polygamma(1, half) / 4
    log_sigma = 0.5 * (math.log(rest / 2) - torch.digamma(half))
    mean = torch.cat([beta, log_sigma[None]])
    return Scenario(
        "flat_regression", p + 1, log_prob, mean=mean, center=mean, even=_every(p), model=model, args=(design, y),
        **_moments(covariance),
    )  # fmt: skip


ALL: dict[str, Callable[[], Scenario]] = {
    function.__name__: function
    for function in (
        gaussian, student_t, logistic, laplace, cauchy, funnel, two_modes, skew_normal, crescent, flat_regression,
    )
}  # fmt: skip
"""Every scenario by name, with its default arguments."""
