"""Twelve normalised targets in 1, 2 and 10 dimensions, guides for them, and exact objectives by quadrature.

All but the crescent are products of one-dimensional laws in a rotated frame ``z = R y``; the guide is a product in the
same frame. The estimators see only z. In the frame the integrals are sums of one-dimensional ones, taken by the
trapezoidal rule in ``t``, ``y = sinh t`` (4,001 points); the crescent's on a uniform grid of 641 x 1,001 points.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Laplace, Normal, StudentT

from pyro_symvi.divergences import Divergence, FDivergence, Jeffreys

Law = Callable[[Tensor], Tensor]


def _t(x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


def logistic(x: Tensor, loc: float = 0.0, scale: float = 1.0) -> Tensor:
    y = (x - loc) / scale
    return -y.abs() - 2 * torch.nn.functional.softplus(-y.abs()) - math.log(scale)


def two_modes(m: float) -> Law:
    return lambda x: torch.logaddexp(Normal(_t(-m), 1.0).log_prob(x), Normal(_t(m), 1.0).log_prob(x)) - math.log(2)


def skew_normal(a: float) -> Law:
    return lambda x: Normal(_t(0.0), 1.0).log_prob(x) + torch.special.log_ndtr(a * x) + math.log(2)


def crescent(z: Tensor) -> Tensor:
    a, b = z[..., 0], z[..., 1]
    return Normal(_t(0.0), 1.0).log_prob(a) + Normal(0.4 * (a**2 - 1), 0.8).log_prob(b)


BASES: dict[str, Law] = {
    "normal": Normal(_t(0.0), 1.0).log_prob,
    "logistic": lambda x: logistic(x, scale=0.65),
    "t": StudentT(_t(5.0)).log_prob,
}


def base_noise(base: str, shape: tuple[int, ...]) -> Tensor:
    if base == "normal":
        return torch.randn(shape, dtype=torch.float64)
    if base == "t":
        return StudentT(_t(5.0)).sample(shape)
    u = torch.rand(shape, dtype=torch.float64).clamp(1e-15, 1 - 1e-15)
    return 0.65 * (u.log() - (-u).log1p())


@dataclass(frozen=True)
class Target:
    """A target, and where in parameter space its gradients are compared.

    Attributes:
        laws: of the coordinates of the frame; empty for the crescent.
        scales: of the guide.
        heavy: base of the guide where importance weights need a variance.
        neyman: whether D_(-1) is finite under a normal guide.
    """

    name: str
    laws: tuple[Law, ...]
    scales: tuple[float, ...]
    heavy: str = "logistic"
    neyman: bool = True

    @property
    def dim(self) -> int:
        return len(self.scales)

    @property
    def frame(self) -> Tensor:
        if self.dim == 1 or not self.laws:
            return torch.eye(self.dim, dtype=torch.float64)
        generator = torch.Generator().manual_seed(self.dim)
        return torch.linalg.qr(torch.randn(self.dim, self.dim, generator=generator, dtype=torch.float64))[0]

    def log_prob(self, z: Tensor) -> Tensor:
        if not self.laws:
            return crescent(z)
        y = z @ self.frame
        return torch.stack([law(y[..., i]) for i, law in enumerate(self.laws)]).sum(0)

    def log_guide(self, z: Tensor, loc: Tensor, log_scale: Tensor, base: str) -> Tensor:
        noise = (z @ self.frame - loc) * (-log_scale).exp()
        return (BASES[base](noise) - log_scale).sum(-1)

    def start(self) -> tuple[Tensor, Tensor]:
        """Location and log-scales, off the optimum."""
        loc = torch.linspace(0.15, 0.3, self.dim, dtype=torch.float64) if self.dim > 1 else _t(0.25)[None]
        return loc / math.sqrt(self.dim), torch.tensor(self.scales, dtype=torch.float64).log()

    def exact_objective(self, divergence: Divergence, loc: Tensor, log_scale: Tensor, base: str) -> Tensor:
        """The population objective, up to a constant; differentiable in the guide's parameters."""
        pieces = self._pieces(loc, log_scale, base, split=not isinstance(divergence, FDivergence))
        if isinstance(divergence, FDivergence):
            (log_dx, log_p, log_q) = pieces[0]
            return ((log_dx + log_q).exp() * divergence.f(log_p - log_q)).sum()
        total = torch.zeros((), dtype=torch.float64)
        for log_dx, log_p, log_q in pieces:
            if isinstance(divergence, Jeffreys):
                total = total + (log_dx.exp() * (log_p.exp() - log_q.exp()) * (log_p - log_q)).sum()
            elif divergence.alpha == 0.0:
                total = total + ((log_dx + log_q).exp() * (log_q - log_p)).sum()
            elif divergence.alpha == 1.0:
                total = total - ((log_dx + log_p).exp() * log_q).sum()
            else:
                alpha = divergence.alpha
                integral = torch.logsumexp((log_dx + alpha * log_p + (1 - alpha) * log_q).flatten(), 0)
                total = total + integral / (alpha * (alpha - 1))
        return total

    def _pieces(self, loc: Tensor, log_scale: Tensor, base: str, split: bool) -> list[tuple[Tensor, Tensor, Tensor]]:
        if not self.laws:
            a = torch.linspace(-15, 15, 641, dtype=torch.float64)
            b = torch.linspace(-16, 40, 1001, dtype=torch.float64)
            grid = torch.stack(torch.meshgrid(a, b, indexing="ij"), -1)
            log_dx = ((a[1] - a[0]) * (b[1] - b[0])).log()
            return [(log_dx, crescent(grid), self.log_guide(grid, loc, log_scale, base))]
        t = torch.linspace(-8.0, 8.0, 4001 if split or self.dim == 1 else 801, dtype=torch.float64)
        y, log_dx = t.sinh(), t.cosh().log() + (t[1] - t[0]).log()
        pieces = []
        for i, law in enumerate(self.laws):
            log_q = BASES[base]((y - loc[i]) * (-log_scale[i]).exp()) - log_scale[i]
            pieces.append((log_dx, law(y), log_q))
        if split or self.dim == 1:
            return pieces
        first, second = pieces
        return [tuple(a[:, None] + b[None, :] for a, b in zip(first, second, strict=True))]  # type: ignore[list-item]


def _gauss(loc: float, scale: float) -> Law:
    return Normal(_t(loc), scale).log_prob


TARGETS = [
    Target("gaussian", (_gauss(0.0, 1.0),), (1.15,)),
    Target("student_t", (StudentT(_t(5.0), 0.0, 1.0).log_prob,), (1.2,), heavy="t"),
    Target("logistic", (logistic,), (1.9,)),
    Target("laplace", (Laplace(_t(0.0), 0.8).log_prob,), (1.4,)),
    Target("two_modes", (two_modes(1.5),), (1.8,), neyman=False),
    Target("skew_normal", (skew_normal(3.0),), (1.0,), neyman=False),
    Target("gaussian_2", (_gauss(0.0, 1.0), _gauss(0.1, 0.5)), (1.1, 0.6)),
    Target("mixed_2", (logistic, skew_normal(2.0)), (1.9, 1.0), neyman=False),
    Target("crescent", (), (1.2, 1.3), neyman=False),
    Target(
        "gaussian_10", tuple(_gauss(0.0, 0.5 + 0.1 * i) for i in range(10)), tuple(0.54 + 0.11 * i for i in range(10))
    ),
    Target("logistic_10", tuple(logistic for _ in range(10)), (1.9,) * 10),
    Target(
        "mixed_10",
        (*(two_modes(1.0) for _ in range(3)), *(skew_normal(1.0) for _ in range(3)), *(logistic for _ in range(4))),
        (*(1.45,) * 3, *(0.95,) * 3, *(1.9,) * 4),
        neyman=False,
    ),
]
