"""Prior conformity: how near the prior the weights of one unit must be, and are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._draws import Draws
from .._posterior import NetworkPosterior
from ..symmetry import NetworkSymmetry
from ._evidence import Evidence
from ._hidden import UnitLayer, check_draws, hidden_layers

_MOST = 60_000


@dataclass(frozen=True)
class Marginal:
    """One weight of a unit against its prior, pooled over the units of the layer.

    Attributes:
        name: of the parameter tensor, and which column.
        wasserstein: Wasserstein-1 distance to the prior in prior scales; ``wasserstein_error`` by leaving out groups
            of chains.
        ks: Kolmogorov-Smirnov distance.
        kurtosis: excess of the fourth moment, 0 for a normal law.
        scale: standard deviation over that of the prior.
        worst_label: largest Wasserstein distance of a single unit in a single chain: what label-fixed marginals show.
    """

    name: str
    wasserstein: float
    wasserstein_error: float
    ks: float
    kurtosis: float
    scale: float
    worst_label: float


@dataclass(frozen=True)
class LayerConformity:
    """Bounds for the law of one unit of a layer, and its marginals; see :func:`conformity`.

    C stands for its estimate plus two standard errors, so that a bound is too small with a probability of a few
    percent, and not of a half.

    Attributes:
        kl: bound on KL(law of (w_j, v_j) || prior), C / units.
        tv: bound on the total variation of the same, and so on each ``ks``: sqrt(C / (2 units)), at most 1.
        w1: bound on each ``wasserstein``, sqrt(2 C / units) (normal priors; nan otherwise).
        w1_rms: bound on the rms of ``wasserstein`` over the weights of a unit, sqrt(2 C / (units (p + q))).
        marginals: one a weight of a unit.
    """

    layer: UnitLayer
    kl: float
    tv: float
    w1: float
    w1_rms: float
    marginals: tuple[Marginal, ...]

    @property
    def rms(self) -> float:
        """Rms of the Wasserstein distances, to be held against ``w1_rms``."""
        return math.sqrt(sum(m.wasserstein**2 for m in self.marginals) / len(self.marginals))


@dataclass(frozen=True)
class Conformity:
    """How near the prior: C and, for each hidden layer, bounds and distances; see :func:`conformity`.

    Attributes:
        information: C = KL(posterior || prior) in nats, or an upper bound of it.
        information_error: its standard error.
        is_bound: whether it is the upper bound E_posterior log lik - E_prior log lik.
    """

    information: float
    information_error: float
    is_bound: bool
    layers: tuple[LayerConformity, ...]
    source: str

    def table(self) -> str:
        """A table for reading."""
        sign = "<=" if self.is_bound else "="
        lines = [
            f"Prior conformity of {self.source}: C {sign} {self.information:.4g} +- {self.information_error:.2g} nats"
        ]
        if self.is_bound:
            lines.append("  (Jensen's bound, often far too large; try evidence=tempered_evidence(posterior))")
        for layer in self.layers:
            lines += [
                f"  {layer.layer.name}: {layer.layer.units} units; for the law of one unit KL <= {layer.kl:.3g}, "
                f"TV <= {layer.tv:.3g}, W1 <= {layer.w1:.3g} (rms over weights {layer.rms:.3g} <= {layer.w1_rms:.3g})",
                f"    {'weight':<22}{'W1':>8}{'error':>8}{'KS':>8}{'kurtosis':>10}{'scale':>8}{'one label':>11}",
            ]
            for m in layer.marginals[:8]:
                lines.append(
                    f"    {m.name:<22}{m.wasserstein:8.3f}{m.wasserstein_error:8.3f}{m.ks:8.3f}{m.kurtosis:10.2f}"
                    f"{m.scale:8.3f}{m.worst_label:11.3f}"
                )
            if len(layer.marginals) > 8:
                lines.append(f"    ... and {len(layer.marginals) - 8} more")
        return "\n".join(lines)

    __str__ = table


def conformity(
    posterior: NetworkPosterior,
    draws: Draws,
    symmetry: NetworkSymmetry | None = None,
    *,
    evidence: Evidence | None = None,
    prior_draws: int = 4000,
    seed: int = 0,
) -> Conformity:
    r"""Bound how far the law of one hidden unit is from its prior, and measure how far it is.

    Under a product prior KL is superadditive: sum_B KL(pi_B || p_B) <= KL(pi || p) = C for disjoint blocks B of
    parameters. The blocks (w_j, v_j) of the n_l units of a layer have one law under the posterior pi, since permuting
    units leaves likelihood and prior, so for any activation and any data

        KL(law of (w_j, v_j) || prior) <= C / n_l,

    total variation <= sqrt(C / (2 n_l)) (Pinsker), and with normal priors Wasserstein-2 (so Wasserstein-1, in prior
    scales) <= sqrt(2 C / n_l) (Talagrand 1996); within a block the same sum over its p + q weights bounds the rms.

    C = E log likelihood - log evidence: give ``evidence=tempered_evidence(posterior)``. Two standard errors are added
    to it in the bounds. With few particles or moves it comes out too small by more than that. Without it, the bound of
    Jensen C <= E_posterior log lik - E_prior log lik is used, which is exact but often far too large.

    What this does not say:

    * It is about marginals of the whole posterior, all relabellings included. Pooling over units gives those; a
      chain that never permutes has label-fixed marginals (``worst_label``) that may be far away.
    * It bounds one unit's block. The joint law of all units is as far as C says, and C does not shrink with the
      width: the function is pinned, however wide the network.
    * Marginals near the prior are no evidence that an approximation is right. A mean-field law at the prior has them
      exactly, and explains nothing.
    * The bound holds for the posterior, not for draws: distances above it by more than their error mean draws of
      something else, or a C too small.

    Raises:
        ValueError: draws of another posterior, a network whose layers are not known, or priors that are not proper.
    """
    theta = check_draws(posterior, draws)
    prior = posterior.parameter_prior
    if not prior.is_proper:
        raise ValueError("expected proper priors, got flat entries, because KL to a flat prior is not defined")
    layers = hidden_layers(posterior, symmetry)
    if not layers:
        raise ValueError("expected a network with a hidden layer, got none")
    if evidence is not None:
        information, error = evidence.information, evidence.information_error
    else:
        information, error = _jensen(posterior, draws, prior_draws, seed)
    upper = max(0.0, information + 2 * error)
    found = tuple(_layer_conformity(layer, posterior, theta, upper) for layer in layers)
    return Conformity(information, error, evidence is None, found, draws.source)


def _jensen(posterior: NetworkPosterior, draws: Draws, n: int, seed: int) -> tuple[float, float]:
    """E_posterior log lik - E_prior log lik and its standard error."""
    if not len(posterior.x):
        return 0.0, 0.0
    theta = posterior.sample_prior(n, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        before = posterior.log_likelihood(theta).double()
        after = torch.cat([posterior.log_likelihood(part.to(posterior.x)) for part in draws.theta.split(64, 1)], 1)
    means = after.double().mean(1)
    spread = float(means.var() / len(means)) if len(means) > 1 else float(after.double().var()) / after.numel()
    return float(means.mean() - before.mean()), math.sqrt(float(before.var()) / n + spread)


def _layer_conformity(
    layer: UnitLayer, posterior: NetworkPosterior, theta: Tensor, information: float
) -> LayerConformity:
    prior, h = posterior.parameter_prior, layer.units
    index = torch.cat([layer.incoming, layer.outgoing], 1)
    marginals = []
    for column in range(index.shape[1]):
        place = index[:, column]
        kind = prior.kinds[int(place[0])]
        white = theta[..., place] / prior.scale[place]
        marginals.append(_marginal(_label(posterior, int(place[0])), white, kind))
    normal = all(prior.kinds[i] == "normal" for i in index.flatten().tolist())
    w1 = math.sqrt(2 * information / h) if normal else math.nan
    return LayerConformity(
        layer, information / h, min(1.0, math.sqrt(information / (2 * h))), w1, w1 / math.sqrt(index.shape[1]),
        tuple(marginals),
    )  # fmt: skip


def _marginal(name: str, white: Tensor, kind: str) -> Marginal:
    """From standardised weights ``[chains, draws, h]``."""
    chains, _, h = white.shape
    every = max(1, -(-white.numel() // _MOST))
    white = white[:, ::every]
    values = white.reshape(-1)
    groups = white.reshape(chains, -1) if chains > 1 else _pieces(white[0], 24)
    groups = groups if len(groups) <= 24 else groups[: len(groups) // 24 * 24].reshape(24, -1)
    count = len(groups)
    if count > 1:
        left_out = torch.stack(
            [prior_wasserstein(groups[torch.arange(count) != i].reshape(-1), kind) for i in range(count)]
        )
        error = float((left_out.var(correction=0) * (count - 1)).sqrt())
    else:
        error = math.nan
    variance = 2.0 if kind == "laplace" else 1.0
    centred = values - values.mean()
    kurtosis = float(centred.pow(4).mean() / centred.square().mean() ** 2) - 3
    labels = [prior_wasserstein(white[c, :, j], kind) for c in range(min(chains, 4)) for j in range(min(h, 32))]
    return Marginal(
        name, float(prior_wasserstein(values, kind)), error, prior_ks(values, kind), kurtosis,
        float(values.std() / math.sqrt(variance)), float(torch.stack(labels).max()),
    )  # fmt: skip


def _pieces(white: Tensor, most: int) -> Tensor:
    count = min(most, len(white))
    length = len(white) // count
    return white[: count * length].reshape(count, -1)


def prior_wasserstein(values: Tensor, kind: str = "normal") -> Tensor:
    """Wasserstein-1 distance from the empirical law of ``values`` ``[n]`` to the standard normal or Laplace law.

    The mean of |x_(i) - Q((i - 1/2) / n)| over sorted values, Q the quantile function.
    """
    n = len(values)
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    exact = torch.special.ndtri(u) if kind == "normal" else -(u - 0.5).sign() * torch.log1p(-2 * (u - 0.5).abs())
    return (values.double().sort().values - exact).abs().mean()


def prior_ks(values: Tensor, kind: str = "normal") -> float:
    """Kolmogorov-Smirnov distance of the empirical law of ``values`` ``[n]`` from the standard normal or Laplace."""
    n, x = len(values), values.double().sort().values
    cdf = torch.special.ndtr(x) if kind == "normal" else 0.5 * (1 + x.sign() * -torch.expm1(-x.abs()))
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    above, below = steps[1:] - cdf, cdf - steps[:-1]
    return float(torch.maximum(above, below).max())


def _label(posterior: NetworkPosterior, index: int) -> str:
    """Which weight of a unit: the tensor, and the column where there are several."""
    layout = posterior.layout
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        place = layout.slices[name]
        if place.start <= index < place.stop:
            offset = index - place.start
            return name if len(shape) < 2 or shape[1] < 2 else f"{name}[{offset // shape[1]}, {offset % shape[1]}]"
    return "?"
