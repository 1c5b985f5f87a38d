"""Shares on the simplex against Dirichlet laws, and the law of exact duplicates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._standard_errors import zero_mean


@dataclass(frozen=True)
class ShareTest:
    """Shares against the symmetric Dirichlet law; see :func:`share_test`.

    Attributes:
        fitted: the concentration that has the variance found, and ``fitted_error`` (delta method).
        z: of that variance against the stated law, between chains.
        ks: distance and p-value of the first share against Beta(c, (K - 1) c): read the p-value only where draws are
            about independent.
        count: rows.
    """

    fitted: float
    fitted_error: float
    z: float
    ks: tuple[float, float]
    count: int


def share_test(shares: Tensor, concentration: float) -> ShareTest:
    """Test shares ``[m, K]`` or ``[chains, draws, K]`` (rows of nan are left out) against Dirichlet(c, ..., c).

    Compared is the mean over units of (s_k - 1/K)^2, which is (1/K)(1 - 1/K) / (K c + 1).

    Raises:
        ValueError: for fewer than two shares, or a concentration that is not positive.
    """
    from scipy import stats

    shares = (shares if shares.ndim == 3 else shares[None]).double()
    k = shares.shape[-1]
    if k < 2 or not 0 < concentration < math.inf:
        raise ValueError(f"expected two shares or more and a positive concentration, got {k} and {concentration}")
    present = torch.isfinite(shares).all(-1)
    filled = torch.where(present[..., None], shares, torch.full_like(shares, 1 / k))
    spread = (filled - 1 / k).square().mean(-1)
    top = (1 - 1 / k) / k
    expected = top / (k * concentration + 1)
    count = int(present.sum())
    if count < 2:
        return ShareTest(math.nan, math.nan, 0.0, (1.0, 1.0), count)
    test = zero_mean(torch.where(present, spread - expected, torch.zeros_like(spread)))
    fraction = float(present.double().mean())
    variance = float(spread[present].mean())
    fitted = (top / variance - 1) / k
    error = float(test.error) / fraction * top / variance**2 / k
    first = filled[present][:, 0].numpy()
    ks = stats.kstest(first, stats.beta(concentration, (k - 1) * concentration).cdf, method="asymp")
    return ShareTest(fitted, error, float(test.z), (float(ks.statistic), float(ks.pvalue)), count)


def contrasts(k: int) -> Tensor:
    """An orthonormal basis ``[k, k - 1]`` of the vectors that sum to zero (Helmert)."""
    basis = torch.zeros(k, k - 1, dtype=torch.float64)
    for j in range(1, k):
        basis[:j, j - 1], basis[j, j - 1] = 1.0, -float(j)
    return basis / basis.norm(dim=0)


def duplicate_contrasts(outgoing: Tensor, scale: float) -> Tensor:
    """Contrasts ``[*batch, K - 1]`` of the outgoing weights ``[*batch, K]`` of K units with equal incoming weights.

    The network sees only V = sum v_k. A normal prior splits into V and what is orthogonal to it, so given V (and
    given the data) v ~ N(V/K, scale^2 (I - 11'/K)): the contrasts, in an orthonormal basis and divided by ``scale``,
    are independent standard normal, and independent of V and of the loss. Exact, for any data.

    Raises:
        ValueError: for fewer than two units.
    """
    if outgoing.shape[-1] < 2:
        raise ValueError(f"expected two units or more, got {outgoing.shape[-1]}")
    return outgoing.double() @ contrasts(outgoing.shape[-1]) / scale
