"""A layer of hidden units and the groups that act on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..._value import Value
from ...groups import (
    GeneralizedInverseGaussian,
    HiddenLayer,
    HiddenUnitPermutation,
    HiddenUnitRescaling,
    HiddenUnitSignFlip,
)
from .._priors import ParameterPrior
from ._preservation import Preservation
from ._rotation import HiddenUnitRotation


@dataclass(frozen=True, eq=False, repr=False)
class UnitFunction(Value):
    """The function phi of a hidden unit, from the weights into it to those out of it: activation, pooling and all.

    Attributes:
        name: in words.
        degree: k where phi(c z) = c^k phi(z) for every c > 0, else None.
        odd: whether phi(-z) = -phi(z).
        linear: whether phi is linear across the units.
    """

    name: str
    degree: float | None = None
    odd: bool = False
    linear: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False, repr=False)
class SymmetricLayer(Value):
    """Hidden units that may be moved without changing what the network computes.

    Which group holds depends on phi, the function between the weights into a unit and those out of it (activation,
    pooling and all):

    - permutations S_h: any phi (Hecht-Nielsen 1990);
    - signs {+1, -1}^h, all weights of a unit flipped: odd phi, such as tanh, erf, sin, identity (Sussmann 1992);
    - rescaling, incoming times c > 0, outgoing times c^-k: phi(c z) = c^k phi(z). k = 1 for ReLU, leaky ReLU,
      identity (Neyshabur, Salakhutdinov and Srebro 2015), 2 for squared ReLU;
    - invertible matrices, incoming W -> A W, outgoing V -> V A^-1: phi linear; the orthogonal ones keep isotropic
      normal priors.

    Attributes:
        name: the linear map (or batch normalisation) that the units come from.
        units: where their weights lie in the flat vector.
        activation: phi, with its degree and whether it is odd or linear.
        permutable: whether the units may be permuted (not where fixed numbers tell them apart).
    """

    name: str
    units: HiddenLayer
    activation: UnitFunction
    permutable: bool = True

    @property
    def degree(self) -> float | None:
        """The k of the rescaling: incoming times c, outgoing times c^-k; None where there is none."""
        return self.activation.degree

    @property
    def odd(self) -> bool:
        """Whether signs may be flipped."""
        return self.activation.odd

    @property
    def linear(self) -> bool:
        """Whether invertible matrices may act."""
        return self.activation.linear

    @property
    def h(self) -> int:
        """Number of units."""
        return len(self.units.incoming)

    @property
    def p(self) -> int:
        """Weights into each unit, bias included (flat priors are counted)."""
        return len(self.units.incoming[0])

    @property
    def q(self) -> int:
        """Weights out of each unit."""
        return len(self.units.outgoing[0])

    @property
    def incoming(self) -> Tensor:
        """Their places, LongTensor ``[h, p]``."""
        return self.units.incoming_index

    @property
    def outgoing(self) -> Tensor:
        """Their places, LongTensor ``[h, q]``."""
        return self.units.outgoing_index

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that act."""
        found = ["permutations"] if self.permutable else []
        found += ["signs"] if self.odd else []
        if self.degree is not None:
            found.append("rescaling" if self.degree == 1 else f"rescaling of degree {self.degree:g}")
        return (*found, "invertible matrices") if self.linear else tuple(found)

    # -- actions ---------------------------------------------------------------------------------------------------
    @cached_property
    def permutation(self) -> HiddenUnitPermutation | None:
        """S_h on the units."""
        return HiddenUnitPermutation(self.units) if self.permutable else None

    @cached_property
    def sign_flip(self) -> HiddenUnitSignFlip | None:
        """{+1, -1}^h on the units, for odd phi."""
        return HiddenUnitSignFlip(self.units) if self.odd else None

    @cached_property
    def rescaling(self) -> HiddenUnitRescaling | None:
        """(R_+)^h on the units, for phi positively homogeneous."""
        return None if self.degree is None else HiddenUnitRescaling(self.units, degree=float(self.degree))

    @cached_property
    def rotation(self) -> HiddenUnitRotation | None:
        """O(h) on the units, for linear phi."""
        return HiddenUnitRotation(self.units) if self.linear else None

    @property
    def log_order(self) -> float:
        """Log of the number of (signed) permutations: log h! + h log 2 where phi is odd."""
        order = math.lgamma(self.h + 1) if self.permutable else 0.0
        return order + (self.h * math.log(2) if self.odd else 0.0)

    # -- energies and the law along the orbit ----------------------------------------------------------------------
    def energies(self, theta: Tensor, parameter_prior: ParameterPrior) -> tuple[Tensor, Tensor]:
        """Prior energies a_j (into) and b_j (out of) each unit, ``[*batch, h]``: sums of -theta_i d log p / d theta_i.

        Normal priors: |w_j|^2 / tau^2; Laplace priors: |w_j|_1 / s; entries with a flat prior add nothing.
        """
        virial = parameter_prior.virial(theta)
        return virial[..., self.incoming.to(theta.device)].sum(-1), virial[..., self.outgoing.to(theta.device)].sum(-1)

    def dead(self, theta: Tensor) -> Tensor:
        """Units ``[*batch, h]`` whose incoming or outgoing weights are all zero: they have no balanced point."""
        into, out = (theta[..., i.to(theta.device)] == 0 for i in (self.incoming, self.outgoing))
        return into.all(-1) | out.all(-1)

    def orbit_law(self, theta: Tensor, parameter_prior: ParameterPrior) -> GeneralizedInverseGaussian:
        """The posterior law of t_j = c_j^2 along the rescaling orbit of each unit, given all that rescaling leaves.

        GIG((p - q) / 2, a_j, b_j), density t^((p - q) / 2 - 1) exp(-(a t + b / t) / 2): for degree 1 and normal
        priors (entries with flat priors count in p and q and are absent from a and b). The data do not enter.
        ``rescaling.act(t.sqrt(), theta)`` with t from it is an exact Gibbs move.
        """
        if self.degree != 1:
            raise ValueError(
                f"expected a layer of degree 1, got {self.degree} at {self.name!r} ({self.activation}), because other "
                "orbits have no generalised inverse Gaussian law; try orbit_log_density"
            )
        kinds = {
            parameter_prior.kinds[i] for i in (*self.incoming.flatten().tolist(), *self.outgoing.flatten().tolist())
        }
        if not kinds <= {"normal", "flat"}:
            raise ValueError(
                f"expected normal priors of the weights at {self.name!r}, got {sorted(kinds)}, because the law along "
                "the orbit is generalised inverse Gaussian for them alone; try orbit_log_density"
            )
        a, b = self.energies(theta, parameter_prior)
        if bool(((a <= 0) | (b <= 0)).any()):
            raise ValueError(
                f"expected units with prior energy on both sides at {self.name!r}, got one without, because its orbit "
                "has no normalisable law; try to leave out dead units, or normal priors instead of flat ones"
            )
        return GeneralizedInverseGaussian((self.p - self.q) / 2, a, b)

    def orbit_log_density(self, theta: Tensor, parameter_prior: ParameterPrior, s: Tensor) -> Tensor:
        """Log density of s_j = 2 log c_j along the orbit, up to a constant: any degree, any of the priors.

        (p - k q) s / 2 + log prior of (c w, c^-k v), for s ``[*batch, h]``: entries ``[*batch, h]``. Log-concave in s.
        With Laplace priors and k = 1 the scale c itself (not c^2) is GIG(p - q, 2 a, 2 b).
        """
        if self.degree is None:
            raise ValueError(f"expected a layer with a rescaling, got {self.activation} at {self.name!r}")
        square, linear = prior_powers(parameter_prior, theta)
        into, out = self.incoming.to(theta.device), self.outgoing.to(theta.device)
        value = (self.p - self.degree * self.q) * s / 2
        for index, rate in ((into, 1.0), (out, -self.degree)):
            value = value - 0.5 * square[..., index].sum(-1) * (rate * s).exp()
            value = value - linear[..., index].sum(-1) * (rate * s / 2).exp()
        return value

    def partner(self, theta: Tensor, parameter_prior: ParameterPrior) -> Tensor:
        """The other point of each unit's orbit with the same prior density, as its c*_j, ``[*batch, h]``.

        Degree 1. Normal priors: c* = sqrt(b / a); Laplace priors: c* = b / a. ``rescaling.act(c, theta)`` goes there.
        """
        kinds = self._kinds(parameter_prior) - {"flat"}
        if self.degree != 1 or len(kinds) != 1 or not kinds <= {"normal", "laplace"}:
            raise ValueError(
                f"expected degree 1 and priors of one kind, got {self.degree} and {sorted(kinds)} at {self.name!r}, "
                "because the equal-prior point has a closed form there alone; try a root of orbit_log_density"
            )
        a, b = self.energies(theta, parameter_prior)
        return b / a if kinds == {"laplace"} else (b / a).sqrt()

    # -- priors ----------------------------------------------------------------------------------------------------
    def preserves(self, parameter_prior: ParameterPrior) -> tuple[Preservation, ...]:
        """For each group that acts here, whether it leaves the prior as it is, and why."""
        found = []
        alike = self._alike(parameter_prior)
        if self.permutable:
            why = "the prior is the same for all units" if alike else "prior scales or kinds differ between its units"
            found.append(Preservation(self.name, "permutations", alike, why))
        if self.odd:
            found.append(Preservation(self.name, "signs", True, "all priors are symmetric about zero"))
        if self.degree is not None:
            found.append(Preservation(self.name, self._rescaling_name, False, "a prior ties the sizes of weights"))
        if self.linear:
            kinds = {parameter_prior.kinds[i] for i in self.units.units()[0]}
            normal = alike and kinds <= {"normal", "flat"}
            why = (
                "isotropic normal priors across the units" if normal else "priors are not normal and alike in the units"
            )
            found.append(Preservation(self.name, "orthogonal matrices", normal, why))
        return tuple(found)

    @property
    def _rescaling_name(self) -> str:
        return "rescaling" if self.degree == 1 else f"rescaling of degree {self.degree:g}"

    def _kinds(self, parameter_prior: ParameterPrior) -> set[str]:
        return {parameter_prior.kinds[i] for unit in self.units.units() for i in unit}

    def _alike(self, parameter_prior: ParameterPrior) -> bool:
        units = torch.tensor(self.units.units())
        scale = parameter_prior.scale[units]
        first = [parameter_prior.kinds[i] for i in units[0].tolist()]
        kinds = all([parameter_prior.kinds[i] for i in unit] == first for unit in units.tolist())
        return kinds and bool((scale == scale[0]).all())


def prior_powers(parameter_prior: ParameterPrior, theta: Tensor) -> tuple[Tensor, Tensor]:
    """theta^2 / scale^2 of normal entries and |theta| / scale of Laplace ones, zero elsewhere; ``[*batch, dim]``."""
    virial = parameter_prior.virial(theta)
    normal = torch.tensor([kind == "normal" for kind in parameter_prior.kinds], device=theta.device)
    zero = torch.zeros_like(virial)
    return torch.where(normal, virial, zero), torch.where(normal, zero, virial)
