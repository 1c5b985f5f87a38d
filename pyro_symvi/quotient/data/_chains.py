"""Chains of atoms whose bond lengths, bend angles and torsions are independent with known laws."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value, positive_int
from ...groups import SpecialOrthogonal
from .._context import Context
from .._dataset import CloudDataset

TRANS_GAUCHE = (math.pi, math.pi / 3, -math.pi / 3)
"""Torsions of the wells trans, gauche plus and gauche minus, in radians (IUPAC sign)."""


@dataclass(frozen=True, eq=False, repr=False)
class ChainLaw(Value):
    """The law of a chain x_1, ..., x_N modulo rigid motions, by its independent internal coordinates.

    Bond lengths |x_{i+1} - x_i| ~ N(bond, bond_spread^2). Bend angles in (0, pi) ~ sum_k w_k N(a_k, spread^2).
    Torsions in (-pi, pi] ~ sum_k w_k WN(c_k, spread^2), WN the wrapped normal law, trans at pi. Lengths in the units
    of ``bond`` (angstrom for the defaults), angles in radians. Poses are uniform, clouds are centred.

    In the plane (``dimension=2``, three atoms) the chain bends to the left: x_3 lies left of the ray from x_1 to x_2.

    Args:
        atoms: N >= 3.
        dimension: 3, or 2 for three atoms.
        bond, bond_spread: mean and standard deviation of bond lengths.
        angles, angle_weights, angle_spread: centres a_k, weights, common standard deviation of bend angles.
        torsions, torsion_weights, torsion_spread: centres c_k, weights, common spread of torsions.

    Raises:
        ValueError: for weights that are not probabilities, or laws with more than 1e-9 of their mass where no bond
            or angle is (a length below 0, an angle outside of (0, pi)).
    """

    atoms: int = 4
    dimension: int = 3
    bond: float = 1.53
    bond_spread: float = 0.03
    angles: tuple[float, ...] = (1.95,)
    angle_weights: tuple[float, ...] = (1.0,)
    angle_spread: float = 0.05
    torsions: tuple[float, ...] = TRANS_GAUCHE
    torsion_weights: tuple[float, ...] = (0.6, 0.3, 0.1)
    torsion_spread: float = 0.2

    def __post_init__(self) -> None:
        positive_int(self.atoms, "atoms", minimum=3)
        if self.dimension not in (2, 3) or (self.dimension == 2 and self.atoms != 3):
            raise ValueError(
                f"expected dimension 3, or 2 for three atoms, got {self.dimension} for {self.atoms} atoms; "
                "try dimension=3"
            )
        for name in ("angle", "torsion"):
            centres = tuple(float(c) for c in getattr(self, f"{name}s"))
            weights = tuple(float(w) for w in getattr(self, f"{name}_weights"))
            object.__setattr__(self, f"{name}s", centres)
            object.__setattr__(self, f"{name}_weights", weights)
            if len(centres) != len(weights) or not all(math.isfinite(c) for c in centres):
                raise ValueError(f"expected one weight for each finite centre of {name}s, got {centres} and {weights}")
            if not weights or not min(weights) >= 0 or not abs(sum(weights) - 1) < 1e-9:
                raise ValueError(f"expected {name} weights >= 0 that sum to 1, got {weights}")
        for name in ("bond", "bond_spread", "angle_spread", "torsion_spread"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"expected a finite {name} > 0, got {value!r}")
        if self.bond < 6 * self.bond_spread:
            raise ValueError(
                f"expected bond >= 6 bond_spread, got {self.bond} and {self.bond_spread}, because a length is positive"
            )
        reach = 6 * self.angle_spread
        if not all(reach <= centre <= math.pi - reach for centre in self.angles):
            raise ValueError(
                f"expected bend angles 6 spreads inside of (0, pi), got {self.angles} with spread "
                f"{self.angle_spread}; try a smaller angle_spread"
            )

    # -- drawing ---------------------------------------------------------------------------------------------------
    def sample_internal(
        self, n: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Bonds ``[n, N-1]``, angles ``[n, N-2]``, torsions ``[n, N-3]``."""
        positive_int(n, "n")
        bonds = self.bond + self.bond_spread * torch.randn(n, self.atoms - 1, generator=generator, dtype=dtype)
        angles = _mixture(n, self.atoms - 2, self.angles, self.angle_weights, self.angle_spread, generator, dtype)
        torsions = _mixture(
            n, self.atoms - 3, self.torsions, self.torsion_weights, self.torsion_spread, generator, dtype
        )
        return bonds, angles, _wrapped(torsions)

    def sample(self, n: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
        """Clouds ``[n, N, d]``, centred, turned by uniform rotations."""
        bonds, angles, torsions = self.sample_internal(n, generator=generator)
        clouds = chain_from_internal(bonds, angles, torsions, dimension=self.dimension)
        clouds = clouds - clouds.mean(-2, keepdim=True)
        turns = SpecialOrthogonal(self.dimension).sample(n, generator=generator)
        return (clouds @ turns.to(clouds).mT).to(dtype)

    # -- laws ------------------------------------------------------------------------------------------------------
    def bond_log_density(self, lengths: Tensor) -> Tensor:
        """The log density of bond lengths, elementwise."""
        return _normal_log_density(lengths - self.bond, self.bond_spread)

    def angle_log_density(self, angles: Tensor) -> Tensor:
        """The log density of bend angles, elementwise, with respect to the angle (no sine in it)."""
        terms = [
            math.log(w) + _normal_log_density(angles - centre, self.angle_spread)
            for w, centre in zip(self.angle_weights, self.angles, strict=True)
            if w > 0
        ]
        return torch.logsumexp(torch.stack(terms), 0)

    def torsion_log_density(self, torsions: Tensor) -> Tensor:
        """The log density of torsions, elementwise; windings up to 6 spreads away are summed."""
        windings = 1 + math.ceil(6 * self.torsion_spread / (2 * math.pi))
        terms = [
            math.log(w) + _normal_log_density(_wrapped(torsions - centre) + 2 * math.pi * k, self.torsion_spread)
            for w, centre in zip(self.torsion_weights, self.torsions, strict=True)
            if w > 0
            for k in range(-windings, windings + 1)
        ]
        return torch.logsumexp(torch.stack(terms), 0)

    def log_density(self, clouds: Tensor) -> Tensor:
        """The log density ``[*batch]`` of clouds ``[*batch, N, d]`` in the total space: the law with uniform poses,
        with respect to Lebesgue measure on centred clouds,

            p(x) = p(bonds) p(angles) p(torsions) N^(3/2) / (8 pi^2 prod b_i^2 prod sin theta_i),

        because d^3N x = d^3 x_1 (8 pi^2 dR) prod b^2 db prod sin(theta) dtheta dphi with dR of total mass 1. In the
        plane: N / (2 pi prod b_i), for chains that bend to the left; -inf for others.
        """
        bonds, angles, torsions = chain_internal(clouds)
        log_p = self.bond_log_density(bonds).sum(-1) + self.angle_log_density(angles.abs()).sum(-1)
        if self.dimension == 2:
            log_p = log_p + math.log(self.atoms / (2 * math.pi)) - bonds.log().sum(-1)
            return torch.where((angles > 0).all(-1), log_p, -math.inf)
        if self.atoms > 3:
            log_p = log_p + self.torsion_log_density(torsions).sum(-1)
        constant = 1.5 * math.log(self.atoms) - math.log(8 * math.pi**2)
        return log_p + constant - 2 * bonds.log().sum(-1) - angles.sin().log().sum(-1)


def torsion_chains(
    n: int,
    *,
    atoms: int = 4,
    bond: float = 1.53,
    bond_spread: float = 0.03,
    angle: float = 1.95,
    angle_spread: float = 0.05,
    wells: tuple[float, float, float] = (0.6, 0.3, 0.1),
    torsion_spread: float = 0.2,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> CloudDataset:
    """Chains with torsion wells trans, gauche plus, gauche minus of the given weights; see :class:`ChainLaw`.

    ``ChainLaw(atoms=.., torsion_weights=wells, ..)`` with the same numbers is their exact law. The context
    holds the bonds as edges of kind 1 and each atom's place in the chain, one-hot, as features. The law is chiral
    unless the last two wells are equal.

    Raises:
        ValueError: for fewer than four atoms.
    """
    law = ChainLaw(
        atoms=atoms,
        bond=bond,
        bond_spread=bond_spread,
        angles=(angle,),
        angle_spread=angle_spread,
        torsion_weights=wells,
        torsion_spread=torsion_spread,
    )
    if atoms < 4:
        raise ValueError(f"expected atoms >= 4, got {atoms}, because a torsion needs four; try bent_chains")
    return chain_dataset(law, n, generator=generator, dtype=dtype)


def bent_chains(
    n: int,
    *,
    dimension: int = 3,
    bond: float = 1.0,
    bond_spread: float = 0.02,
    angles: tuple[float, ...] = (1.2, 2.2),
    weights: tuple[float, ...] = (0.7, 0.3),
    angle_spread: float = 0.1,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> CloudDataset:
    """Chains of three atoms in the plane or in space, bent by one of several angles; see :class:`ChainLaw`."""
    law = ChainLaw(
        atoms=3,
        dimension=dimension,
        bond=bond,
        bond_spread=bond_spread,
        angles=angles,
        angle_weights=weights,
        angle_spread=angle_spread,
    )
    return chain_dataset(law, n, generator=generator, dtype=dtype)


def chain_dataset(
    law: ChainLaw, n: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
) -> CloudDataset:
    """Draws of a law as a data set of one kind, bonds as edges, places (one-hot) as features."""
    clouds = law.sample(n, generator=generator, dtype=dtype)
    name = f"chain of {law.atoms} atoms"
    return CloudDataset(clouds, torch.zeros(n, dtype=torch.int64), (name,), chain_context(law.atoms, dtype=dtype))


def chain_context(atoms: int, *, dtype: torch.dtype = torch.float32) -> Context:
    """The context of one chain, batch ``[1]``: edges of kind 1 between neighbours, places one-hot as features."""
    places = torch.arange(atoms)
    edges = ((places[:, None] - places).abs() == 1).long()
    return Context(features=torch.eye(atoms, dtype=dtype)[None], edges=edges[None])


# -- geometry ----------------------------------------------------------------------------------------------------------
def chain_from_internal(bonds: Tensor, angles: Tensor, torsions: Tensor, *, dimension: int = 3) -> Tensor:
    """Clouds ``[*batch, N, d]`` from bonds ``[*batch, N-1]``, angles ``[*batch, N-2]``, torsions ``[*batch, N-3]``.

    x_1 is at the origin, x_2 on the first axis, x_3 in the upper half plane of the first two axes.
    """
    zero = torch.zeros_like(bonds[..., 0])
    points = [torch.stack([zero, zero, zero], -1), torch.stack([bonds[..., 0], zero, zero], -1)]
    inward = torch.pi - angles[..., 0]
    step = torch.stack([inward.cos(), inward.sin(), zero], -1)
    points.append(points[-1] + bonds[..., 1, None] * step)
    for i in range(torsions.shape[-1]):
        forward = torch.nn.functional.normalize(points[-1] - points[-2], dim=-1)
        normal = torch.linalg.cross(points[-2] - points[-3], forward)
        normal = torch.nn.functional.normalize(normal, dim=-1)
        side = torch.linalg.cross(normal, forward)
        bend, turn = angles[..., i + 1, None], torsions[..., i, None]
        step = -bend.cos() * forward + bend.sin() * (turn.cos() * side + turn.sin() * normal)
        points.append(points[-1] + bonds[..., i + 2, None] * step)
    return torch.stack(points, -2)[..., :dimension]


def chain_internal(clouds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bonds, angles and torsions along chains ``[*batch, N, d]``, N >= 3; in the plane angles are signed, > 0 left."""
    steps = clouds.diff(dim=-2)
    bonds = steps.norm(dim=-1)
    before, after = -steps[..., :-1, :], steps[..., 1:, :]
    inner = (before * after).sum(-1)
    if clouds.shape[-1] == 2:
        area = after[..., 0] * before[..., 1] - after[..., 1] * before[..., 0]
        return bonds, torch.atan2(area, inner), clouds.new_zeros(*clouds.shape[:-2], 0)
    angles = torch.atan2(torch.linalg.cross(before, after).norm(dim=-1), inner)
    if clouds.shape[-2] == 3:
        return bonds, angles, clouds.new_zeros(*clouds.shape[:-2], 0)
    first, middle, last = steps[..., :-2, :], steps[..., 1:-1, :], steps[..., 2:, :]
    left, right = torch.linalg.cross(first, middle), torch.linalg.cross(middle, last)
    sine = (middle.norm(dim=-1)) * (first * right).sum(-1)
    return bonds, angles, torch.atan2(sine, (left * right).sum(-1))


# -- helpers -----------------------------------------------------------------------------------------------------------
def _mixture(
    n: int,
    columns: int,
    centres: tuple[float, ...],
    weights: tuple[float, ...],
    spread: float,
    generator: torch.Generator | None,
    dtype: torch.dtype,
) -> Tensor:
    if columns == 0:
        return torch.zeros(n, 0, dtype=dtype)
    chosen = torch.multinomial(torch.tensor(weights, dtype=dtype), n * columns, replacement=True, generator=generator)
    noise = torch.randn(n, columns, generator=generator, dtype=dtype)
    return torch.tensor(centres, dtype=dtype)[chosen].reshape(n, columns) + spread * noise


def _normal_log_density(difference: Tensor, spread: float) -> Tensor:
    return -0.5 * (difference / spread).square() - math.log(spread * math.sqrt(2 * math.pi))


def _wrapped(angle: Tensor) -> Tensor:
    """The angle in (-pi, pi]."""
    return torch.pi - torch.remainder(torch.pi - angle, 2 * torch.pi)
