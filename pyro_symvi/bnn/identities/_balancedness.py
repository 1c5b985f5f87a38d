"""Balancedness: what rescaling a hidden unit says of the posterior, whatever the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .._draws import Draws
from .._posterior import NetworkPosterior
from ..symmetry import NetworkSymmetry
from ._hidden import UnitLayer, check_draws, powers_of, rescaling_layers
from ._standard_errors import LEVEL, ZeroMean, bonferroni, verdict, zero_mean


@dataclass(frozen=True)
class LayerBalance:
    """The identities in one hidden layer of h units, p weights into each and q out of each, activation of degree k.

    Attributes:
        layer: where the units lie.
        mean_a, mean_b: E a_j and E b_j, ``[h]``.
        expected: p - k q, what E[a_j - k b_j] is.
        units: tests of each unit, ``[h]`` each: ``mean`` (B1), ``variance`` (B2), and (B3) by the name of f.
        pooled: the same averaged over the units, and ``layer variance`` (B5): scalars.
        imbalance: rms of sum_j (a_j - k b_j - expected) over E sum_j (a_j + b_j), the relative imbalance of the layer.
        expected_imbalance: what it is under the identities: sqrt(2 / E sum (a + b)) for normal priors and k = 1.
    """

    layer: UnitLayer
    mean_a: Tensor
    mean_b: Tensor
    expected: float
    units: Mapping[str, ZeroMean]
    pooled: Mapping[str, ZeroMean]
    variance_scale: Tensor
    imbalance: float
    expected_imbalance: float

    @property
    def unit_z(self) -> Tensor:
        """All z of single units, ``[tests, h]``."""
        return torch.stack([test.z for test in self.units.values()])

    @property
    def pooled_z(self) -> Tensor:
        """All z of the layer, ``[tests]``."""
        return torch.stack([test.z for test in self.pooled.values()])

    @property
    def variance_ratio(self) -> tuple[float, float]:
        """Var[a_j - k b_j] over what it should be, averaged over units, and its standard error; 1 is right."""
        scale = float(self.variance_scale.mean())
        test = self.pooled["variance"]
        return 1 + float(test.mean) / scale, float(test.error) / scale


@dataclass(frozen=True)
class Balancedness:
    """Tests of the balancedness identities; see :func:`balancedness`.

    Attributes:
        layers: one a hidden layer with a homogeneous activation.
        p_value: Bonferroni's over all units, layers and identities.
        verdict: ``no violation seen``, ``violated`` (p_value below 0.01) or ``too few chains`` (below 8 batch means).
        batches: number of batch means behind each standard error.
    """

    layers: tuple[LayerBalance, ...]
    p_value: float
    verdict: str
    batches: int
    source: str

    @property
    def z(self) -> Tensor:
        """Every z, flat."""
        return torch.cat([torch.cat([layer.unit_z.flatten(), layer.pooled_z]) for layer in self.layers])

    @property
    def worst(self) -> float:
        """Largest |z|."""
        return float(self.z.abs().max())

    def table(self) -> str:
        """A table for reading, one block a layer."""
        lines = [f"Balancedness of {self.source}: {self.verdict} (p = {self.p_value:.2g}, {self.batches} batch means)"]
        for layer in self.layers:
            k = layer.layer.degree
            factor = "" if k == 1 else f"{k:g} "
            found = layer.pooled["mean"]
            ratio, ratio_error = layer.variance_ratio
            lines += [
                f"  {layer.layer.name}: {layer.layer.units} units, p = {layer.layer.p}, q = {layer.layer.q}",
                f"    E[a - {factor}b]  {float(found.mean) + layer.expected:.4f} +- {float(found.error):.4f}, "
                f"exact {layer.expected:g}",
                f"    Var ratio  {ratio:.4f} +- {ratio_error:.4f}, exact 1",
                f"    layer imbalance  {layer.imbalance:.4f}, exact {layer.expected_imbalance:.4f}",
                f"    {'z':<28}{'pooled':>9}{'worst unit':>12}",
            ]
            for name, test in layer.pooled.items():
                worst = f"{float(layer.units[name].z.abs().max()):12.2f}" if name in layer.units else ""
                lines.append(f"    {name:<28}{float(test.z):9.2f}{worst}")
        return "\n".join(lines)

    __str__ = table


def balancedness(
    posterior: NetworkPosterior,
    draws: Draws,
    symmetry: NetworkSymmetry | None = None,
    *,
    rows: int = 3,
    level: float = LEVEL,
) -> Balancedness:
    r"""Test draws against identities that hold exactly in every posterior of a network with ReLU-like units.

    Let unit j have incoming weights w (p of them, bias included), outgoing weights v (q), and phi(c z) = c^k phi(z).
    Then w -> c w, v -> c^{-k} v leaves the network, so the likelihood, as it is. Its generator
    X = <w, d/dw> - k <v, d/dv> has divergence p - k q, X log likelihood = 0, and X log prior = -(a - k b), where
    a = -<w, d log p/dw> and b = -<v, d log p/dv> (|w|^2/scale^2 for normal priors, sum |w_i|/scale for Laplace, 0
    where flat). Integration by parts, 0 = int div(f pi X) = E[X f + f div X + f X log pi], gives for every f

        E[(a - k b - (p - k q)) f] = E[X f].

    With d = a - k b - (p - k q), tested are

    * ``mean`` (B1), f = 1:          E d = 0;
    * ``variance`` (B2), f = d:      E d^2 = E[X d] = E sum_i r_i (a_i + k^2 b_i), where r_i = 2, 1, 0 for normal,
      Laplace, flat entries; for normal priors and k = 1 this is 2 E[a + b];
    * (B3), f unchanged by rescaling: E[d f] = 0 for the log likelihood, log omega_j = log(|w|^k |v|), and the
      outputs at ``rows`` rows of the data;
    * ``layer variance`` (B5): X_j d_l = 0 for two units of one layer, so E[d_j d_l] = 0 and
      E (sum_j d_j)^2 = E sum_j X_j d_j. Relative to E sum (a + b) the imbalance of a layer is thus about
      sqrt(2 / E sum (a + b)), and shrinks with the width. The mean over units of (B1) is the layer sum (B4).

    Conditions: pi f X decays (bounded likelihood and normal or Laplace priors suffice), and log pi is weakly
    differentiable (continuous and piecewise smooth activations are).

    What chains that never permute are held to: X is tangent to the orbits of rescaling, which are connected, so the
    identities hold within every set that is a union of orbits, f being its indicator. A mode is such a set. Each
    chain is thus held to zero, unit by unit, whatever modes it has seen, and units of a layer may be pooled.
    For the same reason they say nothing of whether the modes, or the functions within one, have the right weights:
    any law passes whose conditional law along the orbits is right. After ``OrbitRefresh`` moves they test that
    move alone; see :func:`equipartition` for the other directions.

    A variational family that is closed under rescaling a unit (mean-field normals are) obeys (B1) at its optimum, since
    the evidence bound is stationary along the rescaling: there (B1) tells whether the fit has converged, and (B2) and
    (B3) what the family cannot say.

    Reading: z are normal scores of Student's t between batch means (:func:`zero_mean`); among n of them |z| up to
    sqrt(2 log n) is usual. The verdict is Bonferroni's at ``level``. "No violation seen" is worth what the standard
    errors in the table are.

    Args:
        posterior: what was sampled.
        draws: chains of any sampler, or independent draws of an approximation.
        symmetry: a ``NetworkSymmetry``; read from a perceptron unless given.
        rows: how many rows of the data serve as predictions in (B3).
        level: of the verdict.

    Raises:
        ValueError: no layer can be rescaled, or the draws are of another posterior, or not finite.
    """
    theta = check_draws(posterior, draws)
    layers = rescaling_layers(posterior, symmetry)
    invariants = _invariants(posterior, draws, rows)
    found = tuple(_layer_balance(layer, posterior, theta, invariants) for layer in layers)
    z = torch.cat([torch.cat([layer.unit_z.flatten(), layer.pooled_z]) for layer in found])
    batches = found[0].pooled["mean"].batches
    return Balancedness(found, bonferroni(z), verdict(z, batches, level), batches, draws.source)


def _invariants(posterior: NetworkPosterior, draws: Draws, rows: int) -> dict[str, Tensor]:
    """Functions of the draws that no rescaling changes, ``[chains, draws]`` each."""
    n, found = len(posterior.x), {}
    if n:
        with torch.no_grad():
            outputs, values = [], []
            chosen = torch.linspace(0, n - 1, min(rows, n)).long().unique()
            for chunk in draws.theta.to(posterior.x).split(max(1, 200_000 // (n * draws.chains)), 1):
                predicted = posterior.outputs(chunk)
                per_row = posterior.likelihood.log_prob(predicted, posterior.y, posterior.extra(chunk))
                values.append(per_row.sum(-1).double())
                outputs.append(predicted[..., chosen, 0].double())
        found["log likelihood"] = torch.cat(values, 1)
        for i, row in enumerate(chosen.tolist()):
            found[f"output at row {row}"] = torch.cat(outputs, 1)[..., i]
    return found


def _layer_balance(
    layer: UnitLayer, posterior: NetworkPosterior, theta: Tensor, invariants: Mapping[str, Tensor]
) -> LayerBalance:
    prior, k = posterior.parameter_prior, float(layer.degree or 1.0)
    a, b = layer.energies(theta, prior)
    expected = layer.p - k * layer.q
    d = a - k * b - expected
    virial, powers = prior.virial(theta), powers_of(prior)
    curvature = (virial[..., layer.incoming] * powers[layer.incoming]).sum(-1)
    curvature = curvature + k**2 * (virial[..., layer.outgoing] * powers[layer.outgoing]).sum(-1)
    values = {"mean": d, "variance": d.square() - curvature}
    for name, f in {**invariants, "log omega": layer.log_invariant(theta, prior)}.items():
        f = f if f.ndim == 3 else f[..., None]
        f = f - f.mean((0, 1))
        values[name] = d * f / f.square().mean((0, 1)).sqrt().clamp_min(1e-300)
    total, total_curvature = d.sum(-1), curvature.sum(-1)
    pooled = {name: zero_mean(v.mean(-1)) for name, v in values.items()}
    pooled["layer variance"] = zero_mean((total.square() - total_curvature) / layer.units)
    energy = float((a + b).sum(-1).mean())
    return LayerBalance(
        layer, a.mean((0, 1)), b.mean((0, 1)), expected, {name: zero_mean(v) for name, v in values.items()}, pooled,
        curvature.mean((0, 1)),
        float(total.square().mean().sqrt()) / energy,
        float(total_curvature.mean()) ** 0.5 / energy,
    )  # fmt: skip
