"""The objective of several laws on one set of draws, so that they can be compared."""

from __future__ import annotations

import math

import torch

from ...density import LogDensity
from ...divergences import Divergence
from ...families import LocationScale, Parameters


def common_values(
    density: LogDensity, family: LocationScale, divergence: Divergence, laws: list[Parameters], draws: int = 4096
) -> list[float]:
    r"""The divergence's objective at each law, for alpha > 0, by importance sampling from a mixture about all of them.

    :math:`\log\int p^\alpha q^{1-\alpha}/(\alpha(\alpha-1))`, at alpha = 1 the cross-entropy
    :math:`-E_p\log q`; the mixture has one Student-t(5) law about each, of 1.5 times its scale. The same draws serve
    all, so that differences have little noise.
    """
    wide = LocationScale(family.dim, base="student_t", scale="full", df=5.0)
    each = max(512, draws // len(laws))
    generator = torch.Generator().manual_seed(3)
    places = []
    for law in laws:
        root = torch.linalg.cholesky(_scatter(family, law))
        places.append({"loc": law["loc"], "scale": 1.5 * root})
    normal = torch.randn(each, family.dim, dtype=torch.float64, generator=generator)
    chi = torch.randn(each, 5, dtype=torch.float64, generator=generator).square().sum(-1)
    noise = normal * (5 / chi).sqrt()[:, None]
    z = torch.cat([place["loc"] + noise @ place["scale"].mT for place in places])
    mixture = torch.logsumexp(torch.stack([wide.log_prob(z, place) for place in places]), 0) - math.log(len(laws))
    log_p = density(z).detach()
    log_p = torch.where(torch.isnan(log_p), -torch.inf, log_p)
    alpha = divergence.alpha
    found = []
    for law in laws:
        log_q = family.log_prob(z, law)
        if alpha == 1:
            found.append(float(-(torch.softmax(log_p - mixture, 0) * log_q).sum()))
        else:
            mass = torch.logsumexp(alpha * log_p + (1 - alpha) * log_q - mixture, 0) - math.log(len(z))
            found.append(float(mass / (alpha * (alpha - 1))))
    return found


def _scatter(family: LocationScale, law: Parameters) -> torch.Tensor:
    matrix = family.matrix(law["scale"])
    return matrix @ matrix.mT
