"""The orbit mixture of a fitted law under the finite symmetries of its network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..._value import positive_int
from ...distributions.orbit_mixture import OrbitMixtureLaw
from ...guides import Gain
from .._posterior import NetworkPosterior
from .._streams import stream
from ..symmetry import NetworkSymmetry
from ._approximation import Approximation, Fitted, Progress, Rows, check_base_and_symmetry
from ._mean_field import Bound, FittedMeanField
from ._orbit_information import contrast_terms, information_terms, layer_log_sums, unit_log_densities
from ._permanents import LARGEST

ENUMERATED = 5000
"""Groups of at most this order are summed over element by element."""
_CHECK = 7  # purpose of a random stream


@dataclass(frozen=True)
class OrbitGain(Gain):
    """The gain in evidence bound by an orbit mixture, in nats.

    Attributes:
        value: mean over draws, between 0 and ``limit`` = log|G|.
        exact: whether its expectation is the gain itself; if not, a lower bound of it.
        how: what was summed.
    """

    exact: bool = True
    how: str = "all elements"

    def __str__(self) -> str:
        return f"{'' if self.exact else 'at least '}{super().__str__()}, by {self.how}"


class FittedSymmetrized(Fitted):
    r"""q_G = (1/|G|) sum_g g q: as the base, but for which of the equivalent networks a draw is.

    Its evidence bound is the base's plus the mutual information of a draw and the element it was moved by (Gelberg et
    al. 2024), which lies between 0 and log|G|, and equals log|G| where the images of q do not overlap.
    """

    def __init__(self, base: Fitted, symmetry: NetworkSymmetry) -> None:
        super().__init__(base.posterior, base.info)
        self.base, self.symmetry = base, symmetry
        self.source = f"symmetrized {base.source}"

    @property
    def log_order(self) -> float:
        """Log of the number of elements."""
        return self.symmetry.log_order

    @cached_property
    def _enumerated(self) -> OrbitMixtureLaw | None:
        """The mixture with all its components, where the group is small and the base has a distribution."""
        distribution = getattr(self.base, "distribution", None)
        if distribution is None or self.log_order > math.log(ENUMERATED + 0.5):
            return None
        action = self.symmetry.finite
        return OrbitMixtureLaw(distribution, action, action.group.elements(), validate_args=False)

    @property
    def _factorised(self) -> FittedMeanField | None:
        return self.base if isinstance(self.base, FittedMeanField) else None

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        theta = self.base.sample(n, generator).flat
        return self.symmetry.act(self.symmetry.random(n, generator).to(theta.device), theta)

    def _log_prob(self, theta: Tensor) -> Tensor:
        """By enumeration, or by permanents for mean field and one layer of at most 16 units."""
        if self._enumerated is not None:
            return self._enumerated.log_prob(theta)
        layers, base = self.symmetry.finite.movable, self._factorised
        if base is None or len(layers) != 1 or (layers[0].permutable and layers[0].h > LARGEST):
            raise ValueError(
                f"expected a group of at most {ENUMERATED} elements, or mean field with one layer of at most {LARGEST} "
                f"units, got log|G| = {self.log_order:.1f} and {self.base!r}, because the density is a sum over the "
                "group; try gain(), which needs no more than a bound of it"
            )
        flat, places = theta.reshape(-1, theta.shape[-1]), torch.cat([layers[0].incoming, layers[0].outgoing], -1)
        places = places.to(theta.device)
        sums = layer_log_sums(unit_log_densities(base.loc, base.scale, flat, layers[0], places), layers[0])[0]
        others = torch.ones(flat.shape[-1], dtype=torch.bool, device=theta.device)
        others[places.reshape(-1)] = False
        rest = torch.distributions.Normal(base.loc[others], base.scale[others], validate_args=False)
        value = sums + rest.log_prob(flat[:, others]).sum(-1) - self.log_order
        return value.to(theta).reshape(theta.shape[:-1])

    @torch.no_grad()
    def gain(self, n: int = 100, generator: torch.Generator | None = None, *, elements: int = 256) -> OrbitGain:
        """The gain in evidence bound over the base, from n draws, or a lower bound of it.

        Exact up to Monte Carlo error where the group has at most 5000 elements, and for mean field with one hidden
        layer of at most 16 units. A lower bound for mean field otherwise (chain rule over layers, permanents), and for
        other laws (InfoNCE with ``elements`` elements, which never says more than log ``elements``).
        """
        positive_int(n, "n", 2)
        positive_int(elements, "elements", 2)
        theta, action = self.base.sample(n, generator).flat, self.symmetry.finite
        if self._enumerated is not None:
            moved = action.act(action.group.sample(n, generator=generator).to(theta.device), theta)
            responsibilities = self._enumerated.responsibilities(moved).double()
            terms = self.log_order - torch.special.entr(responsibilities).sum(-1)
            return self._gain(terms, True, "all elements")
        if self._factorised is not None:
            terms = information_terms(self._factorised.loc, self._factorised.scale, theta, action)
            exact = len(action.movable) == 1 and not (action.movable[0].permutable and action.movable[0].h > LARGEST)
            return self._gain(terms, exact, "permanents" if exact else "the chain rule over layers and permanents")
        terms = contrast_terms(self.base.log_prob, action, theta, elements, generator)
        return self._gain(terms, False, f"{elements} elements against each other (InfoNCE)")

    def _gain(self, terms: Tensor, exact: bool, how: str) -> OrbitGain:
        error = float(terms.std()) / math.sqrt(len(terms))
        value = min(max(float(terms.mean()), 0.0), self.log_order)
        return OrbitGain(value, error, self.log_order, len(terms), exact, how)

    def elbo(self, n: int = 1000, generator: torch.Generator | None = None, *, gain_draws: int = 100) -> Bound:
        """The base's evidence bound plus the gain (or its lower bound): a lower bound of the log evidence."""
        bound = getattr(self.base, "elbo", None)
        if bound is None:
            raise TypeError(f"expected a base with an evidence bound, got {self.base!r}; try MeanField()")
        value, error = bound(n, generator)
        gain = self.gain(gain_draws, generator)
        return Bound(value + gain.value, math.hypot(error, gain.standard_error))


@dataclass(frozen=True, eq=False, repr=False)
class Symmetrized(Approximation):
    """``base``, averaged over the network's permutations of hidden units and, for odd activations, sign flips.

    The posterior is invariant under them, a law that sits at one trained network is not: its images under the group
    are as good, and their mixture is better by up to log|G| nats, without any further fitting. Predictions stay the
    same; densities, evidence bounds and the marginals of weights do not.

    Args:
        base: what is fitted, such as ``MeanField()``.
        symmetry: that of the network; None reads it from the posterior's.

    Raises:
        ValueError: (from ``fit``) the posterior is not invariant under the symmetry, or it has no finite group.
    """

    base: Approximation
    symmetry: NetworkSymmetry | None = None

    def __post_init__(self) -> None:
        check_base_and_symmetry(self.base, self.symmetry)

    def _fit(
        self, posterior: NetworkPosterior, validation: Rows | None, seed: int, progress: Progress
    ) -> FittedSymmetrized:
        symmetry = NetworkSymmetry.of(posterior) if self.symmetry is None else self.symmetry
        _check_invariance(posterior, symmetry, seed)
        fitted: Any = self.base.fit(posterior, validation=validation, seed=seed, progress=progress)
        return FittedSymmetrized(fitted, symmetry)


@torch.no_grad()
def _check_invariance(posterior: NetworkPosterior, symmetry: NetworkSymmetry, seed: int) -> None:
    if symmetry.dim != posterior.dim:
        raise ValueError(
            f"expected the symmetry of {posterior.dim} parameters, got that of {symmetry.dim}; try "
            "NetworkSymmetry.of(posterior)"
        )
    if not symmetry.finite.movable:
        reasons = "; ".join(f"{u.name}: {u.reason}" for u in symmetry.unplaced) or "it has no hidden layer"
        raise ValueError(f"expected hidden units that may be exchanged, got none, because {reasons}")
    generator = stream(seed, _CHECK)
    theta = torch.randn(4, posterior.dim, generator=generator).to(posterior.x)
    moved = symmetry.act(symmetry.random(4, generator).to(theta.device), theta)
    before, after = posterior.log_prob(theta), posterior.log_prob(moved)
    tolerance = 1e3 * torch.finfo(posterior.dtype).eps
    if not torch.allclose(before, after, rtol=tolerance, atol=tolerance * max(1, len(posterior.x))):
        gap = float((before - after).abs().max())
        why = "; ".join(p.reason for p in symmetry.preserves(posterior.parameter_prior) if not p)
        raise ValueError(
            f"expected a posterior that is invariant under the symmetry, got log densities that differ by {gap:.3g} at "
            f"random weights, because {why or 'the action is not that of this network'}; try one prior scale a layer"
        )
