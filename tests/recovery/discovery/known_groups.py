"""Targets whose group of symmetries is known, as far as discovery looks for it: each kind with its coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyro_symvi.density import LogDensity


@dataclass(frozen=True)
class Known:
    """A target and the list that discovery should find: ``(start of the kind, coordinates moved)``, in any order."""

    density: Callable[[], LogDensity]
    expected: tuple[tuple[str, tuple[int, ...]], ...]


def tensor(values: Any) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def every(count: int) -> tuple[int, ...]:
    return tuple(range(count))


def skew(x: Tensor) -> Tensor:
    """Log density of log Gamma(2): no symmetry."""
    return 2 * x - x.exp()


DATA = tensor([-2.1, -0.4, 1.6, 2.9])
MATRIX = tensor([[0.3, -1.2, 0.8], [1.1, 0.2, -0.5], [-0.7, 0.9, 1.3], [0.1, -0.4, -1.6], [1.9, 0.6, 0.2]])


def regression() -> LogDensity:
    """Linear regression with a flat prior on the coefficients and a normal one on log sigma."""
    x = torch.stack([torch.ones(4).double(), tensor([-1.0, 0.2, 0.9, 2.0])], 1)

    def log_p(z: Tensor) -> Tensor:
        beta, s = z[..., :2], z[..., 2]
        return -4 * s - 0.5 * ((DATA - beta @ x.mT) ** 2).sum(-1) * (-2 * s).exp() - 0.5 * s**2

    return LogDensity.from_callable(log_p, 3)


def student() -> LogDensity:
    root = torch.linalg.cholesky(tensor([[2.0, 0.9, -0.3], [0.9, 1.0, 0.1], [-0.3, 0.1, 0.5]]))
    law = dist.MultivariateStudentT(tensor(5.0), tensor([0.7, -1.3, 2.0]), root)
    return LogDensity.from_callable(law.log_prob, 3)


def three_labels() -> LogDensity:
    def model() -> None:
        mu = pyro.sample("mu", dist.Normal(tensor([1.0, 1.0, 1.0]), 3.0).to_event(1))
        tau = pyro.sample("tau", dist.LogNormal(tensor([0.0, 0.0, 0.0]), 0.5).to_event(1))
        parts = dist.Normal(mu, tau)
        pyro.sample(
            "y",
            dist.MixtureSameFamily(dist.Categorical(torch.ones(3).double()), parts).expand([4]).to_event(1),
            obs=DATA,
        )

    return LogDensity.from_model(model)


def weighted_labels() -> LogDensity:
    def model() -> None:
        w = pyro.sample("w", dist.Normal(tensor(0.0), 1.0))
        mu = pyro.sample("mu", dist.Normal(tensor([1.0, 1.0]), 3.0).to_event(1))
        first = torch.nn.functional.logsigmoid(w) - 0.5 * (DATA - mu[0]) ** 2
        second = torch.nn.functional.logsigmoid(-w) - 0.5 * (DATA - mu[1]) ** 2
        pyro.factor("y", torch.logaddexp(first, second).sum())

    return LogDensity.from_model(model)


def factor(k: int) -> LogDensity:
    def model() -> None:
        w = pyro.sample("w", dist.Normal(torch.zeros(2, k).double(), 1.0).to_event(2))
        f = pyro.sample("f", dist.Normal(torch.zeros(2, k).double(), 1.0).to_event(2))
        pyro.sample("y", dist.StudentT(tensor(4.0), f @ w.mT, 0.5).to_event(2), obs=MATRIX[:2, :2])

    return LogDensity.from_model(model)


def exchangeable() -> LogDensity:
    return LogDensity.from_callable(lambda z: skew(z).sum(-1) - 0.3 * (z.sum(-1) - 0.5) ** 4, 3)


def plate_without_data() -> LogDensity:
    def model() -> None:
        log_tau = pyro.sample("log_tau", dist.Normal(tensor(0.2), 1.0))
        with pyro.plate("groups", 2):
            theta = pyro.sample("theta", dist.Gamma(tensor(2.0), 1.0))
            pyro.sample("phi", dist.Gumbel(theta, log_tau.exp()))

    return LogDensity.from_model(model)


def two_sites() -> LogDensity:
    def model() -> None:
        a = pyro.sample("a", dist.Gumbel(tensor([0.0, 1.0]), 1.0).to_event(1))
        b = pyro.sample("b", dist.Gumbel(tensor([0.0, 1.0]), 1.0).to_event(1))
        pyro.factor("link", -((a - b) ** 2).sum() - (a[0] * b[0]) ** 2 / 3 - (a.prod() - 1) ** 2 - (b.prod() - 1) ** 2)

    return LogDensity.from_model(model)


def trefoil(z: Tensor) -> Tensor:
    """exp of three waves at 120 degrees, tilted by a mirror-breaking term when alone: C_3 only."""
    r2 = z.square().sum(-1)
    x, y = z[..., 0], z[..., 1]
    third = x**3 - 3 * x * y**2, 3 * x**2 * y - y**3
    sixth = third[0] ** 2 - third[1] ** 2, 2 * third[0] * third[1]
    return -0.5 * r2 - 0.1 * r2**3 + 0.5 * third[0] * torch.exp(-0.3 * r2) + 0.05 * sixth[1] * torch.exp(-0.1 * r2)


SHEAR = tensor([[1.0, 0.0], [0.7, 2.0]])
SHIFT = tensor([0.4, -1.1])


def sheared(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    inverse = torch.linalg.inv(SHEAR)
    return lambda z: function((z - SHIFT) @ inverse.mT)


def waves(k: int) -> Callable[[Tensor], Tensor]:
    angles = 2 * math.pi * torch.arange(k, dtype=torch.float64) / k
    directions = torch.stack([angles.cos(), angles.sin()], -1)
    return lambda z: -((z @ directions.mT) * 1.3).exp().sum(-1)


def funnel() -> LogDensity:
    def log_p(z: Tensor) -> Tensor:
        v, x = z[..., 0], z[..., 1:]
        return -(v**2) / 18 - v - (1 + x.square().sum(-1) * (-v).exp()).log() * 2 - 0.1 * (x[..., 0] * x[..., 1]) ** 2

    return LogDensity.from_callable(log_p, 3)


def partial() -> LogDensity:
    """Even in (x, y) jointly, not in either, given a skewed nuisance."""

    def log_p(z: Tensor) -> Tensor:
        v, x, y = z[..., 0], z[..., 1] - 0.5, z[..., 2] + 1.5
        return skew(v) - (1 + v.exp()) * (x**2 + (x + y) ** 4 + 0.5 * y**2) - 0.3 * x * y

    return LogDensity.from_callable(log_p, 3)


def hierarchical() -> LogDensity:
    """Normal effects of known scales about a mean with a Gumbel prior."""
    y, tau, sd = tensor([0.3, -0.8, 2.5]), tensor([1.0, 2.0, 1.5]), tensor([1.0, 0.5, 2.0])

    def log_p(z: Tensor) -> Tensor:
        mu, theta = z[..., :1], z[..., 1:]
        effects = ((theta - mu) / tau) ** 2 + ((y - theta) / sd) ** 2
        return -mu[..., 0] - (-mu[..., 0]).exp() - 0.5 * effects.sum(-1)

    return LogDensity.from_callable(log_p, 4)


def all_even() -> LogDensity:
    def log_p(z: Tensor) -> Tensor:
        x, y, w = (z - tensor([0.5, -1.0, 2.0])).unbind(-1)
        return -(x**4) - 2 * y**2 - 0.7 * w**4 - w**2 - x * y - 0.4 * y * w**3 - 0.6 * (x + w) ** 6 - y**6 / 10

    return LogDensity.from_callable(log_p, 3)


def logistic_real() -> LogDensity:
    from pyro_symvi import examples

    example = examples.get("challenger")
    return LogDensity.from_model(example.model, *example.args)


def eight_schools() -> LogDensity:
    from pyro_symvi import examples

    example = examples.get("eight-schools")
    return LogDensity.from_model(example.model, *example.args)


def mirrored_logistic() -> LogDensity:
    """Logistic regression in which each observation comes with its mirror image."""
    x = MATRIX[:, :2]

    def log_p(z: Tensor) -> Tensor:
        eta = z @ x.mT
        likelihood = -torch.nn.functional.softplus(eta) - torch.nn.functional.softplus(-eta)
        return likelihood.sum(-1) - z[..., 0].abs() - z[..., 1].abs() / 2

    return LogDensity.from_callable(log_p, 2)


def ring() -> LogDensity:
    """Coordinates on a ring, each coupled to the next one in a way that tells the direction."""
    return LogDensity.from_callable(
        lambda z: (skew(z) - 0.4 * (z - 0.5 * z.roll(-1, -1) ** 2) ** 2).sum(-1) - 0.01 * z.square().sum(-1) ** 2, 4
    )


def signed() -> LogDensity:
    def log_p(z: Tensor) -> Tensor:
        return -z.pow(4).sum(-1) - 0.2 * z.square().prod(-1) - 0.3 * z.square().sum(-1)

    return LogDensity.from_callable(log_p, 3)


def skewed() -> LogDensity:
    return LogDensity.from_callable(lambda z: skew(z[..., 0]) + skew(z[..., 1] - 0.3 * z[..., 0] ** 2), 2)


def nearly_even() -> LogDensity:
    def log_p(z: Tensor) -> Tensor:
        x, y = z[..., 0], z[..., 1]
        return -(x**4) - y**2 - x * y - y**4 / 5 + 1e-3 * torch.atan(x) * x**2 / (1 + x**2)

    return LogDensity.from_callable(log_p, 2)


def nearly_exchangeable() -> LogDensity:
    return LogDensity.from_callable(lambda z: skew(z).sum(-1) - 0.3 * z.sum(-1) ** 4 + 1e-3 * torch.tanh(z[..., 0]), 2)


KNOWN: dict[str, Known] = {
    "gaussian regression": Known(regression, (("elliptical", (0, 1)),)),
    "student t": Known(student, (("elliptical", (0, 1, 2)),)),
    "labels of a 3-mixture": Known(three_labels, (("permutation of the 3 indices", every(6)),)),
    "labels of a 2-mixture": Known(weighted_labels, (("exchange of two labels", (0, 1, 2)),)),
    "sign of a factor": Known(lambda: factor(1), (("point reflection", every(4)),)),
    "rotation of loadings": Known(lambda: factor(2), (("rotation O(2)", every(8)),)),
    "exchangeable coordinates": Known(exchangeable, (("exchangeable coordinates", (0, 1, 2)),)),
    "exchangeable plate": Known(plate_without_data, (("permutation of the 2 indices", every(5)[1:]),)),
    "exchangeable sites": Known(two_sites, (("permutation of the sites", every(4)),)),
    "trefoil": Known(lambda: LogDensity.from_callable(trefoil, 2), (("C_3", (0, 1)),)),
    "sheared trefoil": Known(lambda: LogDensity.from_callable(sheared(trefoil), 2), (("C_3", (0, 1)),)),
    "sheared D_3": Known(lambda: LogDensity.from_callable(sheared(waves(3)), 2), (("D_3", (0, 1)),)),
    "sheared D_4": Known(lambda: LogDensity.from_callable(sheared(waves(4)), 2), (("D_4", (0, 1)),)),
    "funnel": Known(funnel, (("exchangeable coordinates", (1, 2)), ("reflection of each", (1, 2)))),
    "partial reflection": Known(partial, (("reflection of some", (1, 2)),)),
    "hierarchical": Known(hierarchical, (("conditional affine reflection of each", (1, 2, 3)),)),
    "all even": Known(all_even, (("point reflection", (0, 1, 2)),)),
    "challenger": Known(logistic_real, ()),
    "eight schools": Known(eight_schools, ()),
    "skewed": Known(skewed, ()),
    "nearly even": Known(nearly_even, ()),
    "nearly exchangeable": Known(nearly_exchangeable, ()),
    "mirrored logistic": Known(mirrored_logistic, (("point reflection", (0, 1)),)),
    "ring": Known(ring, (("cyclic shifts", every(4)),)),
    "signed permutations": Known(signed, (("exchangeable coordinates", (0, 1, 2)), ("reflection of each", (0, 1, 2)))),
}

MODELS = (
    "labels of a 3-mixture",
    "labels of a 2-mixture",
    "sign of a factor",
    "rotation of loadings",
    "exchangeable plate",
    "exchangeable sites",
    "challenger",
    "eight schools",
)
"""Those that are Pyro models, which take longer."""
