"""Norms of scale-invariant layers: pure prior, whatever the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._draws import Draws
from .._posterior import NetworkPosterior
from ._hidden import check_draws
from ._orbit_law import _kolmogorov_smirnov, _thinning
from ._standard_errors import LEVEL, ZeroMean, bonferroni, verdict, zero_mean


@dataclass(frozen=True)
class NormLaw:
    """Test that energy ~ chi-square with p degrees; see :func:`norm_law`.

    Attributes:
        energy: |W|^2 / scale^2, ``[chains, draws]``.
        degrees: p.
        tests: ``mean`` (E energy = p), ``variance`` (2 p), ``slope`` and ``curvature`` of the pit, and
            ``log likelihood`` (no covariance with it).
        ks: distance and p-value on thinned draws.
    """

    energy: Tensor
    degrees: int
    tests: dict[str, ZeroMean]
    ks: tuple[float, float]
    p_value: float
    verdict: str


def norm_law(
    posterior: NetworkPosterior, draws: Draws, names: Sequence[str], *, level: float = LEVEL, tolerance: float = 1e-3
) -> NormLaw:
    """Test |W|^2 / scale^2 ~ chi^2_p for a block W of p weights of which only the direction matters to the network.

    W -> c W alone leaves the likelihood, so with a normal prior the norm and the direction are independent a priori,
    the data speak of the direction only, and the norm keeps its prior law exactly. Such are weights (with their bias)
    followed by layer normalisation.

    Args:
        posterior: what was sampled.
        draws: of any sampler.
        names: the parameter tensors that are scaled together, such as ``["0.weight", "0.bias"]``.
        level: of the verdict.
        tolerance: outputs at ten draws may change by so much, relative to their spread, when the block is doubled
            (the epsilon of layer normalisation); a block that matters more is refused.

    Raises:
        ValueError: for names that are not blocks of weights, for priors that are not normal, and for blocks whose scale
            changes the outputs: only the norm of a scale-invariant block keeps its prior law.
    """
    theta = check_draws(posterior, draws)
    prior, slices = posterior.parameter_prior, posterior.layout.slices
    unknown = [name for name in names if name not in slices]
    if unknown or not names:
        raise ValueError(f"expected names of {list(slices)}, got {list(names)}")
    index = torch.cat([torch.arange(slices[n].start, slices[n].stop) for n in names])
    if any(prior.kinds[i] != "normal" for i in index.tolist()):
        raise ValueError(f"expected normal priors of {list(names)}, because the law of the norm is chi-square for them")
    some = theta[:, -1][:10].to(posterior.x)
    doubled = some.clone()
    doubled[:, index] *= 2
    with torch.no_grad():
        probe = posterior.x if len(posterior.x) else torch.randn_like(posterior.x.new_zeros(8, *posterior.x.shape[1:]))
        before, after = posterior.outputs(some, probe), posterior.outputs(doubled, probe)
    change = float((after - before).abs().max() / before.std().clamp_min(1e-12))
    if change > tolerance:
        raise ValueError(
            f"expected outputs that do not change when {list(names)} are doubled, got one of {change:.2g} of their "
            "spread, because only the norm of a scale-invariant block is pure prior; try the weight and the bias that "
            "go into one layer normalisation, with a small eps"
        )
    energy = (theta / prior.scale)[..., index].square().sum(-1)
    p = len(index)
    u = torch.special.gammainc(torch.tensor(p / 2, dtype=torch.float64), energy / 2)
    values = {
        "mean": energy - p,
        "variance": (energy - p).square() - 2 * p,
        "slope": 2 * u - 1,
        "curvature": 6 * u * u - 6 * u + 1,
    }
    if len(posterior.x):
        with torch.no_grad():
            f = posterior.log_likelihood(draws.theta.to(posterior.x)).double()
        values["log likelihood"] = (energy - p) * (f - f.mean())
    tests = {name: zero_mean(v) for name, v in values.items()}
    z = torch.stack([test.z for test in tests.values()])
    thin = _thinning(values["slope"][..., None])
    return NormLaw(
        energy, p, tests, _kolmogorov_smirnov(u[:, ::thin]), bonferroni(z), verdict(z, tests["mean"].batches, level)
    )
