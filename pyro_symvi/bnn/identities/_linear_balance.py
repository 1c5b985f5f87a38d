"""The matrix of balancedness identities that a layer without a nonlinearity obeys."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .._draws import Draws
from .._posterior import NetworkPosterior
from ..symmetry import NetworkSymmetry
from ._hidden import UnitLayer, check_draws, hidden_layers
from ._standard_errors import LEVEL, ZeroMean, bonferroni, in_pieces, of_batch_means, verdict


@dataclass(frozen=True)
class LinearBalance:
    """Test of E[W W' / s_w^2 - V' V / s_v^2] = (p - q) I; see :func:`linear_balance`.

    ``test`` has mean, error and z of the difference, ``[h, h]`` each.
    """

    layer: UnitLayer
    test: ZeroMean
    p_value: float
    verdict: str


def linear_balance(
    posterior: NetworkPosterior,
    draws: Draws,
    symmetry: NetworkSymmetry | None = None,
    *,
    layer: int = 0,
    level: float = LEVEL,
) -> LinearBalance:
    """Test the matrix identity of a hidden layer whose activation is the identity.

    Every invertible M may act, W -> M W (biases with it), V -> V M^-1, not only diagonal ones. The generator that adds
    eps w_k to w_j and takes eps v_j from v_k has divergence (p - q) delta_jk and changes the log prior by
    -(w_j . w_k / s_w^2 - v_j . v_k / s_v^2), so integration by parts gives, for normal priors and any data,

        E[w_j . w_k / s_w^2 - v_j . v_k / s_v^2] = (p - q) delta_jk.

    The verdict is Bonferroni's over the h (h + 1) / 2 entries. Read :func:`balancedness` for what such identities
    say, and what they do not.

    Raises:
        ValueError: that layer is not linear, or its priors are not normal.
    """
    theta = check_draws(posterior, draws)
    chosen = hidden_layers(posterior, symmetry)[layer]
    prior = posterior.parameter_prior
    index = torch.cat([chosen.incoming, chosen.outgoing], 1)
    if not chosen.linear or any(prior.kinds[i] != "normal" for i in index.flatten().tolist()):
        raise ValueError(
            f"expected a layer without a nonlinearity and with normal priors, got {chosen.name!r}, because only there "
            "may units be mixed; try balancedness(posterior, draws)"
        )
    white = theta / prior.scale
    w, v = in_pieces(white[..., chosen.incoming]), in_pieces(white[..., chosen.outgoing])
    identity = torch.eye(chosen.units, dtype=torch.float64) * (chosen.p - chosen.q)
    products = torch.einsum("bljp,blkp->bjk", w, w) - torch.einsum("bljq,blkq->bjk", v, v)
    test = of_batch_means(products / w.shape[1] - identity)
    upper = torch.triu_indices(chosen.units, chosen.units)
    z = test.z[upper[0], upper[1]]
    return LinearBalance(chosen, test, bonferroni(z), verdict(z, test.batches, level))
