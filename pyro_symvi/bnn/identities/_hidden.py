"""Which hidden units may be rescaled, and the prior energies of their weights."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value
from .._draws import Draws
from .._perceptron import Perceptron
from .._posterior import NetworkPosterior
from .._priors import ParameterPrior
from ..symmetry import NetworkSymmetry

#: How the virial of one weight, -w d log p / dw, scales with the weight: w^2 / scale^2, |w| / scale, or not at all.
_POWERS = {"normal": 2.0, "laplace": 1.0, "flat": 0.0}


@dataclass(frozen=True, eq=False, repr=False)
class UnitLayer(Value):
    """One hidden layer: where the weights into and out of each unit lie in the flat vector.

    Attributes:
        name: of the parameter that holds the incoming weights.
        incoming: ``[h, p]`` indices, bias included.
        outgoing: ``[h, q]`` indices.
        degree: k where phi(c z) = c^k phi(z) for c > 0; None where the activation has no such law.
        linear: whether phi is.
    """

    name: str
    incoming: Tensor
    outgoing: Tensor
    degree: float | None
    linear: bool = False

    @property
    def units(self) -> int:
        """Number of hidden units, h."""
        return len(self.incoming)

    @property
    def p(self) -> int:
        """Weights into a unit, bias included."""
        return self.incoming.shape[1]

    @property
    def q(self) -> int:
        """Weights out of a unit."""
        return self.outgoing.shape[1]

    def energies(self, theta: Tensor, prior: ParameterPrior) -> tuple[Tensor, Tensor]:
        """Sums of -w d log p / dw into and out of each unit, each ``[*batch, h]``: a_j and b_j.

        With normal priors |w_j|^2 / scale^2; with Laplace priors sum |w_ji| / scale; flat entries add nothing.
        """
        virial = prior.virial(theta)
        return virial[..., self.incoming].sum(-1), virial[..., self.outgoing].sum(-1)

    def energies_by_power(self, theta: Tensor, prior: ParameterPrior) -> dict[tuple[str, float], Tensor]:
        """The same sums split by how they scale: ("in" or "out", 2 or 1) -> ``[*batch, h]``."""
        virial, powers, found = prior.virial(theta), powers_of(prior).to(theta), {}
        for side, index in (("in", self.incoming), ("out", self.outgoing)):
            for power in (2.0, 1.0):
                mask = powers[index] == power
                if bool(mask.any()):
                    found[side, power] = (virial[..., index] * mask).sum(-1)
        return found

    def log_invariant(self, theta: Tensor, prior: ParameterPrior) -> Tensor:
        """Log of |w_j / scale|^k |v_j / scale|, ``[*batch, h]``: unchanged by rescaling; log omega_j where k = 1."""
        white = theta / prior.scale.to(theta)
        into, out = white[..., self.incoming].square().sum(-1), white[..., self.outgoing].square().sum(-1)
        tiny = torch.finfo(theta.dtype).tiny
        return 0.5 * ((self.degree or 1.0) * into.clamp_min(tiny).log() + out.clamp_min(tiny).log())


def powers_of(prior: ParameterPrior) -> Tensor:
    """How the virial of each entry scales, ``[dim]``; nan for parameters of the likelihood."""
    return torch.tensor([_POWERS.get(kind, float("nan")) for kind in prior.kinds], dtype=torch.float64)


def hidden_layers(
    posterior: NetworkPosterior, symmetry: NetworkSymmetry | None = None, *, alike: bool = True
) -> list[UnitLayer]:
    """The hidden layers of a perceptron; of another network, or where given, those that its symmetry has placed.

    ``alike``: only those whose units may be permuted.
    """
    perceptron = Perceptron.of(posterior.network) if symmetry is None else None
    if perceptron is None:
        symmetry = NetworkSymmetry.of(posterior) if symmetry is None else symmetry
        placed = [layer for layer in symmetry.layers if layer.permutable or not alike]
        if not placed:
            raise ValueError(
                f"expected a network some of whose hidden units are known, got {type(posterior.network).__name__}, "
                "because no layer could be placed; try print(NetworkSymmetry.of(posterior)) for the reasons"
            )
        return [UnitLayer(one.name, one.incoming, one.outgoing, one.degree, one.linear) for one in placed]
    layers, slices = [], posterior.layout.slices
    for before, after in itertools.pairwise(perceptron.stages):
        h = before.outputs
        incoming = _block(slices[before.weight], h, before.inputs)
        if before.bias is not None:
            incoming = torch.cat([incoming, _block(slices[before.bias], h, 1)], 1)
        outgoing = _block(slices[after.weight], after.outputs, h).T.contiguous()
        phi = before.activation
        layers.append(UnitLayer(before.weight, incoming, outgoing, phi.degree, phi.linear))
    return layers


def rescaling_layers(posterior: NetworkPosterior, symmetry: NetworkSymmetry | None = None) -> list[UnitLayer]:
    """Those hidden layers whose activation is homogeneous; a network without any is refused."""
    layers = hidden_layers(posterior, symmetry, alike=False)
    chosen = [layer for layer in layers if layer.degree is not None]
    if not chosen:
        raise ValueError(
            "expected a hidden layer with an activation homogeneous of some degree (ReLU, leaky ReLU, linear), got "
            f"{len(layers)} hidden layers without, because rescaling a unit changes such a network; try "
            "equipartition(posterior, draws), which asks nothing of the network"
        )
    if symmetry is not None:
        _check_rescaling(posterior, chosen)
    return chosen


@torch.no_grad()
def _check_rescaling(posterior: NetworkPosterior, layers: Sequence[UnitLayer]) -> None:
    """Raise where rescaling changes the outputs at random weights: the symmetry is that of another network."""
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(4, posterior.dim, generator=generator, dtype=torch.float64)
    rows = torch.randn(8, *posterior.x.shape[1:], generator=generator, dtype=torch.float64)
    x = torch.cat([posterior.x[:8], rows.to(posterior.x)])
    before = posterior.outputs(theta.to(posterior.x), x)
    for layer in layers:
        log_c, moved = 0.5 * torch.randn(4, layer.units, 1, generator=generator, dtype=torch.float64), theta.clone()
        moved[:, layer.incoming] *= log_c.exp()
        moved[:, layer.outgoing] *= (-float(layer.degree or 1.0) * log_c).exp()
        change = (posterior.outputs(moved.to(posterior.x), x) - before).abs().amax((1, 2))
        worst = float((change / before.abs().amax((1, 2)).clamp_min(1e-30)).max())
        if not worst < 10 * torch.finfo(posterior.dtype).eps ** 0.5:
            raise ValueError(
                f"expected the symmetry of the network of the posterior, got one under which its outputs change by "
                f"{worst:.1e} of their size at {layer.name!r}; try NetworkSymmetry.of(posterior)"
            )


def _block(place: slice, rows: int, columns: int) -> Tensor:
    return torch.arange(place.start, place.stop).reshape(rows, columns)


def check_draws(posterior: NetworkPosterior, draws: Draws) -> Tensor:
    """Weights ``[chains, draws, dim]`` in double precision, refused where they are not of this posterior."""
    if not isinstance(draws, Draws):
        raise TypeError(f"expected Draws, got {type(draws).__name__}; try Draws(theta, posterior.layout, 'mine')")
    if draws.theta.shape[-1] != posterior.dim or tuple(draws.layout.names) != tuple(posterior.layout.names):
        raise ValueError(
            f"expected draws of the {posterior.dim} parameters of this posterior, got {draws!r}, because the layouts "
            "differ; try the posterior that the draws were made from"
        )
    bad = ~torch.isfinite(draws.theta).all(-1)
    if bool(bad.any()):
        chain, draw = (int(i) for i in bad.nonzero()[0])
        raise ValueError(
            f"expected finite draws, got nan or infinity in draw {draw} of chain {chain} and {int(bad.sum()) - 1} "
            "others; try a smaller step size, or drop that chain"
        )
    return draws.theta.double()
