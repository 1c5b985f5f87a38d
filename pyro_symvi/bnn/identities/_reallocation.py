"""Redundant units: which of them realise one feature, and how they share it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._draws import Draws
from .._perceptron import Perceptron
from .._posterior import NetworkPosterior
from ..symmetry import NetworkSymmetry
from ._hidden import UnitLayer, check_draws, hidden_layers
from ._shares import ShareTest, contrasts, share_test


@dataclass(frozen=True)
class Reallocation:
    """Clusters of redundant units and how they share what they realise; see :func:`reallocation`.

    Attributes:
        layer: the units.
        threshold: cosine above which two units count as one feature.
        degeneracy: sum over clusters of (size - 1), ``[chains, draws]``: how many units could be spared.
        duplicates: share of live units whose nearest neighbour is above the threshold, ``[chains, draws]``.
        sensitivity: smallest singular value of A Q, A the gauge-fixed activations of the largest cluster (columns of
            norm one) and Q a basis orthogonal to equal weights; 0: reallocation leaves the function exactly;
            ``[chains, draws]``, nan where there is no cluster.
        size: of the largest cluster whose units pull in one direction, ``[chains, draws]``, 1 where there is none.
        shares: r_k / sum r of its units, r = |w| |v| in prior scales, largest index last, ``[chains, draws, h]``,
            filled up with nan.
        norm_shares: the same for |w|^2 + |v|^2.
        total: sum r, ``[chains, draws]``.
    """

    layer: UnitLayer
    threshold: float
    degeneracy: Tensor
    duplicates: Tensor
    sensitivity: Tensor
    size: Tensor
    shares: Tensor
    norm_shares: Tensor
    total: Tensor
    source: str

    def of_size(self, units: int, *, norms: bool = False) -> Tensor:
        """Shares ``[m, units]`` of all draws whose largest cluster has that many units."""
        return (self.norm_shares if norms else self.shares)[self.size == units][:, :units]

    def test(self, units: int, concentration: float) -> ShareTest:
        """The shares of clusters of that size against Dirichlet(concentration, ...)."""
        shares = torch.where((self.size == units)[..., None], self.shares, torch.nan)[..., :units]
        return share_test(shares, concentration)

    def table(self) -> str:
        """A table for reading: for each size of cluster the fitted concentration, and what theory has."""
        p = self.layer.p
        lines = [
            f"Reallocation in {self.layer.name} of {self.source}: threshold {self.threshold:.3f}, degeneracy "
            f"{float(self.degeneracy.mean()):.2f} of {self.layer.units} units, duplicates "
            f"{float(self.duplicates.mean()):.2f}, median sensitivity {float(self.sensitivity.nanmedian()):.3g}",
            f"    {'size':<6}{'draws':>8}{'sum r':>8}{'fitted concentration':>24}{'pinned 1/2, z':>16}"
            f"{f'tube {p / 2:g}, z':>14}",
        ]
        for k in sorted(set(self.size.flatten().tolist()) - {1.0}):
            units, chosen = int(k), self.size == k
            if int(chosen.sum()) < 20:
                continue
            pinned, tube = self.test(units, 0.5), self.test(units, p / 2)
            lines.append(
                f"    {units:<6}{int(chosen.sum()):>8}{float(self.total[chosen].mean()):8.2f}"
                f"{pinned.fitted:>15.3f} +- {pinned.fitted_error:5.3f}{pinned.z:16.2f}{tube.z:14.2f}"
            )
        return "\n".join(lines)

    __str__ = table


def reallocation(
    posterior: NetworkPosterior,
    draws: Draws,
    symmetry: NetworkSymmetry | None = None,
    *,
    layer: int = 0,
    alpha: float = 0.01,
    threshold: float | None = None,
    most: int = 2000,
) -> Reallocation:
    r"""Find units that realise one feature, and the shares in which they do.

    Units are compared by their activations on the data, centred and normalised, so that scale does not matter; dead
    ones (constant on the data) are dropped. Under independence the largest of the m (m - 1) / 2 cosines stays below
    sqrt(2 log(m (m - 1) / (2 alpha)) / n) with probability about 1 - alpha; pairs above are joined, and the connected
    components are the clusters. (Diagnostics after Kobialka et al. 2026, arXiv 2603.22030.)

    K ReLU units with one direction s of incoming weights and outgoing weights of one sign compute
    (sum_k r_k) phi(<s, x>), r_k = |w_k| |v_k|: any split of U = sum r_k gives the same function, and at the balanced
    points the same prior energy sum r_k / (s_w s_v), so the simplex of shares r_k / U has equal probability at its
    ridge. The law of the shares depends on what is held fixed, and the two are not the same:

    * *directions in a fixed angular tube*, sum r_k = U given: r_k has the prior law (:class:`RadiusLaw`) with tail
      r^{p/2 - 1} e^{-r} (q = 1, in prior scales), so shares tend to Dirichlet(p/2, ...) for large U, exactly
      Dirichlet(1, ...) for p = 2 at any U.
    * *the realised vector* Z = sum_k v_k w_k pinned, which is what data do that see all units active on the same
      rows: a unit with a small share may then point farther off. With z_k = v_k w_k along Z and t_k across it
      (p - 1 entries), its length is about z_k + |t_k|^2 / (2 z_k); integrating t_k out under sum t_k = 0 turns
      prod r_k^{p/2 - 1 - (p - 1)} into prod r_k^{-1/2}: Dirichlet(1/2, ...) for large |Z|, whatever p. For K = p = 2
      and the density e^{-|z|} / |z| elliptic coordinates make it exact: the share is (1 + cos nu / cosh mu) / 2 with
      nu uniform, an arcsine law up to mu ~ |Z|^{-1/2}.

    Without any condition the shares of squared norms |w|^2 + |v|^2 are Dirichlet((p + q)/2, ...) under the prior.

    Args:
        posterior: what was sampled.
        draws: of any sampler; evenly thinned to at most ``most``.
        symmetry: a ``NetworkSymmetry``; read from a perceptron unless given.
        layer: which hidden layer; the activations of deeper ones depend on the layers before, which is accounted for.
        alpha: probability of a false pair.
        threshold: of the cosine, in place of that of alpha.
        most: draws that are looked at.

    Raises:
        ValueError: fewer than 3 rows; the threshold of alpha is 1 or more (too few rows for it).
    """
    theta = check_draws(posterior, draws)
    every = max(1, -(-theta.shape[0] * theta.shape[1] // most))
    theta = theta[:, ::every]
    layers = hidden_layers(posterior, symmetry)
    if not 0 <= layer < len(layers):
        raise ValueError(
            f"expected a hidden layer from 0 to {len(layers) - 1}, got {layer} of {len(layers)} hidden layers, because "
            "units of one layer are compared; try another layer, or a network with hidden units"
        )
    chosen = layers[layer]
    n, h = len(posterior.x), chosen.units
    if h < 2 or n < 3:
        raise ValueError(f"expected two units or more and three rows or more, got {h} and {n}")
    if threshold is None:
        threshold = math.sqrt(2 * math.log(h * (h - 1) / 2 / alpha) / n)
    if not 0 < threshold < 1:
        raise ValueError(
            f"expected a threshold of the cosine between 0 and 1, got {threshold:.3g} with {n} rows and {h} units, "
            "because chance alone gives cosines that large; try threshold=0.95, or more rows"
        )
    chains, kept = theta.shape[:2]
    flat = theta.reshape(-1, theta.shape[-1])
    activations = torch.cat([_activations(posterior, part, layer) for part in flat.split(256)])
    white = flat / posterior.parameter_prior.scale
    w, v = white[:, chosen.incoming], white[:, chosen.outgoing]
    radius = w.norm(dim=-1) * v.norm(dim=-1)
    squares = w.square().sum(-1) + v.square().sum(-1)
    found = [_clusters(a, w_, v_, threshold) for a, w_, v_ in zip(activations, w.norm(dim=-1), v, strict=True)]
    shares, norm_shares = torch.full((2, len(flat), h), torch.nan, dtype=torch.float64)
    total, size = torch.full((len(flat),), torch.nan, dtype=torch.float64), torch.ones(len(flat), dtype=torch.float64)
    for i, (_, _, _, cluster) in enumerate(found):
        if len(cluster) > 1:
            total[i], size[i] = radius[i, cluster].sum(), len(cluster)
            shares[i, : len(cluster)] = radius[i, cluster] / total[i]
            norm_shares[i, : len(cluster)] = squares[i, cluster] / squares[i, cluster].sum()
    columns = torch.tensor([[d, f, s] for d, f, s, _ in found], dtype=torch.float64).reshape(chains, kept, 3)
    return Reallocation(
        chosen, threshold, columns[..., 0], columns[..., 1], columns[..., 2], size.reshape(chains, kept),
        shares.reshape(chains, kept, h), norm_shares.reshape(chains, kept, h), total.reshape(chains, kept),
        draws.source,
    )  # fmt: skip


@torch.no_grad()
def _activations(posterior: NetworkPosterior, theta: Tensor, layer: int) -> Tensor:
    """Activations ``[m, n, h]`` of a hidden layer on the data."""
    perceptron = Perceptron.of(posterior.network)
    if perceptron is None:
        raise ValueError(
            f"expected a perceptron, got {type(posterior.network).__name__}, because the activations of its layers are "
            "needed; try nn.Sequential of linear layers and activations"
        )
    views = posterior.layout.unflatten(theta)
    values = posterior.x.double().flatten(1).expand(len(theta), -1, -1)
    for stage in perceptron.stages[: layer + 1]:
        values = values @ views[stage.weight].mT
        if stage.bias is not None:
            values = values + views[stage.bias][:, None]
        values = stage.activation.function(values)
    return values


def _clusters(
    activations: Tensor, incoming: Tensor, outgoing: Tensor, threshold: float
) -> tuple[int, float, float, list[int]]:
    """Degeneracy, duplicate fraction, sensitivity, and the largest cluster with outgoing weights of one direction."""
    from scipy.sparse import csgraph

    gauge = activations / incoming.clamp_min(1e-300)
    centred = gauge - gauge.mean(0)
    norms = centred.norm(dim=0)
    alive = (norms > 1e-9 * gauge.norm(dim=0).max().clamp_min(1e-300)).nonzero()[:, 0]
    if len(alive) < 2:
        return 0, 0.0, math.nan, []
    unit = centred[:, alive] / norms[alive]
    cosine = (unit.mT @ unit).fill_diagonal_(0)
    near = cosine > threshold
    count, labels = csgraph.connected_components(near.numpy(), directed=False)
    directions = outgoing[alive] / outgoing[alive].norm(dim=-1, keepdim=True).clamp_min(1e-300)
    together = near & (directions @ directions.mT > threshold)
    _, together_labels = csgraph.connected_components(together.numpy(), directed=False)
    largest = np.bincount(labels).argmax()
    members = torch.as_tensor(labels == largest).nonzero()[:, 0]
    sensitivity = math.nan
    if len(members) > 1:
        columns = gauge[:, alive[members]]
        columns = columns / columns.norm(dim=0)
        sensitivity = float(torch.linalg.svdvals(columns @ contrasts(len(members)))[-1])
    best = alive[torch.as_tensor(together_labels == np.bincount(together_labels).argmax())]
    return len(alive) - count, float(near.any(0).double().mean()), sensitivity, best.tolist() if len(best) > 1 else []
