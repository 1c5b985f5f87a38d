"""The laws at all elements, turned back, against the law at the given inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...distributions import VonMisesFisher
from ...groups import Action
from ...groups._errors import sentence
from .._moments import Moments
from ._law import Kind, unit
from ._moving import moved, moved_covariance
from ._result import Deviation, SiteSymmetry, nan_like


@dataclass
class Comparison:
    """One site: sums over the group of its laws turned back. ``loc [B, *rest]`` and ``spread`` are the reference.

    Deviations are from the mean over the group; from the reference where ``about_reference``.
    """

    name: str
    kind: Kind
    action: Action
    loc: Tensor
    spread: Tensor | None
    about_reference: bool = False
    sums: dict[str, Moments] = field(default_factory=dict)
    divergence: Tensor | None = None

    def __post_init__(self) -> None:
        self.rest = tuple(self.loc.shape[1:])
        self.flat = self.loc.reshape(len(self.loc), -1)
        self.root: Tensor | None = None
        if self.kind in (Kind.NORMAL, Kind.ELLIPTICAL, Kind.MOMENTS) and self.spread is not None:
            root, info = torch.linalg.cholesky_ex(self.spread)
            if bool(info.any()):
                raise ValueError(
                    sentence(
                        f"a positive definite covariance at site {self.name!r}",
                        "a singular one",
                        "deviations are measured in standard deviations",
                        "a scale that is bounded from below, or the site left out of rho_latent",
                    )
                )
            self.root = root

    def add(self, elements: Tensor, weights: Tensor, loc: Tensor, spread: Tensor | None) -> None:
        """A block of laws ``loc [k, B, *rest]`` at the images under ``elements``."""
        back = self.action.group.inverse(elements)
        loc = moved(self.action, back, loc)
        self._put("loc", weights, loc.flatten(2) if loc.ndim > 2 else loc[..., None])
        if spread is None or self.spread is None:
            return
        if self.root is None:
            self._add_directions(weights, loc, spread, self.spread)
            return
        spread = moved_covariance(self.action, back, spread, self.rest)
        self._put("spread", weights, spread.flatten(2))
        away = self._whitened((loc.reshape(*loc.shape[:2], -1) - self.flat)[..., None])[..., 0]
        half = self._whitened(spread)
        ratio = self._whitened(half.mT)
        self._put("away", weights, away)
        self._put("ratio", weights, ratio.flatten(2))
        if self.kind is Kind.NORMAL:
            size = away.shape[-1]
            trace = ratio.diagonal(dim1=-2, dim2=-1).sum(-1)
            kl = (trace + away.square().sum(-1) - size - torch.linalg.slogdet(ratio).logabsdet) / 2
            self._diverge(weights, kl)

    def _add_directions(self, weights: Tensor, loc: Tensor, spread: Tensor, reference: Tensor) -> None:
        """On spheres, one standard deviation is 1 / sqrt(concentration) along each tangent coordinate."""
        self._put("spread", weights, spread.reshape(*spread.shape[:2], -1))
        scale = (reference / (self.rest[-1] - 1)).sqrt()[..., None]
        copies = reference[0].numel()
        self._put("away", weights, ((loc - self.loc) * scale).flatten(2) / copies**0.5)
        ratio = (reference / spread).reshape(*spread.shape[:2], -1)
        self._put("ratio", weights, ratio / copies**0.5)
        if self.kind is Kind.VON_MISES_FISHER:
            law, other = VonMisesFisher(unit(loc), spread), VonMisesFisher(self.loc, reference)
            kl = torch.distributions.kl_divergence(law, other)
            self._diverge(weights, kl.reshape(*kl.shape[:2], -1).sum(-1))

    def result(self, correction: float = 1.0) -> SiteSymmetry:
        """The deviations; ``correction`` n / (n - 1) for variances over n independent draws."""
        size = self.flat.shape[1] if self.root is not None else 1
        location = self._deviation("loc", "away", size, correction)
        covariance = None if self.spread is None else self._deviation("spread", "ratio", size, correction)
        return SiteSymmetry(self.name, self.kind, location, covariance, self.divergence)

    def _deviation(self, plain: str, scaled: str, size: int, correction: float) -> Deviation:
        squared, norm = self._squared(plain) * correction, self.sums[plain].square.sum(-1)
        if scaled not in self.sums:
            return Deviation(squared, norm, nan_like(squared))
        return Deviation(squared, norm, self._squared(scaled) * correction / size)

    def _squared(self, name: str) -> Tensor:
        sums = self.sums[name]
        around = sums.variance.sum(-1)
        return around + (sums.mean - self._reference(name)).square().sum(-1) if self.about_reference else around

    def _reference(self, name: str) -> Tensor:
        """What the sums of this name are where the law is left as it is."""
        if name == "loc":
            return self.flat
        if name == "spread" and self.spread is not None:
            return self.spread.reshape(len(self.flat), -1)
        if name == "ratio" and self.root is not None:
            return torch.eye(self.flat.shape[1]).to(self.flat).flatten()
        if name == "ratio":
            return torch.tensor(self.spread[0].numel() ** -0.5).to(self.flat)  # type: ignore[index]
        return torch.zeros(()).to(self.flat)

    def _whitened(self, columns: Tensor) -> Tensor:
        """L^-1 v for ``columns [k, B, D, n]``, S = L L^T."""
        root = self.root.expand(*columns.shape[:2], *self.root.shape[1:])  # type: ignore[union-attr]
        return torch.linalg.solve_triangular(root, columns, upper=False)

    def _put(self, name: str, weights: Tensor, values: Tensor) -> None:
        self.sums.setdefault(name, Moments()).add(weights, values)

    def _diverge(self, weights: Tensor, kl: Tensor) -> None:
        part = torch.tensordot(weights, kl, dims=1)
        self.divergence = part if self.divergence is None else self.divergence + part
