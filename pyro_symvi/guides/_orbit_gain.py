"""What an orbit mixture gains in evidence bound over the guide it wraps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..distributions.orbit_mixture import OrbitMixtureLaw


@dataclass(frozen=True)
class Gain:
    """An estimate of the gain in evidence bound.

    Attributes:
        value: The mean over draws, in nats; between 0 and ``limit``, as is each term.
        standard_error: Of that mean.
        limit: log m, the most that m copies can gain; reached where they do not overlap.
        num_samples: Number of draws.
    """

    value: float
    standard_error: float
    limit: float
    num_samples: int

    def __str__(self) -> str:
        return f"{self.value:.4g} +- {self.standard_error:.2g} nats (at most {self.limit:.4g})"


@torch.no_grad()
def estimate_gain(law: OrbitMixtureLaw, num_samples: int) -> Gain:
    r"""The mutual information of a draw and the index of its copy, :math:`\log m - E\,H(r(z))` with
    responsibilities r, :math:`z\sim q_G`."""
    limit = math.log(law.num_elements)
    terms = limit - torch.special.entr(law.responsibilities(law.sample((num_samples,))).double()).sum(-1)
    terms = terms.clamp(0.0, limit)  # rounding
    return Gain(float(terms.mean()), float(terms.std()) / math.sqrt(num_samples), limit, num_samples)
