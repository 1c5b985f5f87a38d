"""Whether a rule integrates products of matrix entries: its Gram matrix against Schur's orthogonality."""

from __future__ import annotations

import torch
from torch import Tensor

from ...groups import Group, Irrep, Quadrature
from ...groups._errors import sentence
from ...groups._irreps import COMMUTANT_DIMENSION

TOLERANCE = 1e-7
"""Largest :func:`gram_error` that an own rule may have: energies are wrong by about as much."""


def gram_error(group: Group, rule: Quadrature, cutoff: int | None = None) -> float:
    """Largest error of a rule in E[rho_ij(g) sigma_kl(g)] over the entries of all irreps through ``cutoff``.

    By Schur's orthogonality this is zero for inequivalent rho and sigma, and sum_a V^a_ik V^a_jl for rho = sigma,
    with V^a an orthonormal basis of the matrices that commute with rho (1 / sqrt(d) for a representation of real
    kind: 1 / d on the diagonal of the Gram matrix). About 1e-15 for a rule of degree 2 ``cutoff``; a rule one degree
    short is off by tenths: a wrong rule, not a coarse one. ``[sum d^2, sum d^2]`` numbers are held.

    Raises:
        ValueError: for a rule whose elements or weights do not fit the group.
    """
    irreps = group.irreps(cutoff)
    if tuple(rule.elements.shape[1:]) != group.element_shape or rule.weights.shape != rule.elements.shape[:1]:
        raise ValueError(
            f"expected elements [n, {', '.join(map(str, group.element_shape))}] and weights [n] of {group!r}, got "
            f"{list(rule.elements.shape)} and {list(rule.weights.shape)}"
        )
    found = torch.zeros((), dtype=torch.float64)
    for elements, weights in zip(rule.elements.split(4096), rule.weights.double().split(4096), strict=True):
        entries = torch.cat([irrep.matrix(elements).double().flatten(1) for irrep in irreps], 1)
        found = found + (entries * weights[:, None]).mT @ entries
    return float((found - torch.block_diag(*(_exact(group, irrep) for irrep in irreps)).to(found)).abs().max())


def require_gram(group: Group, rule: Quadrature, cutoff: int | None) -> Quadrature:
    """The rule itself, or a ValueError: elements outside the group, a Gram matrix off by over ``TOLERANCE``."""
    error = gram_error(group, rule, cutoff)
    group.require(rule.elements)
    if not error <= TOLERANCE:
        raise ValueError(
            sentence(
                f"a rule that integrates products of irreps through {cutoff}, up to {TOLERANCE:g}"
                if cutoff is not None
                else f"a rule that integrates products of irreps, up to {TOLERANCE:g}",
                f"an error of {error:.2g} in its Gram matrix (it calls itself exact to degree {rule.degree})",
                "energies would be wrong by as much",
                "rule=None for the group's own, or MonteCarlo(n) for random elements",
            )
        )
    return rule


def _exact(group: Group, irrep: Irrep) -> Tensor:
    """E[rho_ij rho_kl] as a matrix ``[d^2, d^2]`` with rows ij and columns kl."""
    d = irrep.dimension
    if irrep.kind == "real":
        return torch.eye(d * d, dtype=torch.float64) / d
    basis = commutant(group, irrep).reshape(-1, d, d)
    return torch.einsum("aik,ajl->ijkl", basis, basis).reshape(d * d, d * d)


def commutant(group: Group, irrep: Irrep) -> Tensor:
    """Orthonormal basis ``[e, d^2]`` of the matrices that commute with an irrep: e = 1, 2, 4 by kind."""
    eye = torch.eye(irrep.dimension, dtype=torch.float64)
    rows = [
        torch.kron(m, eye) - torch.kron(eye, m.mT.contiguous()) for m in irrep.matrix(group.generators()).double().cpu()
    ]
    size = COMMUTANT_DIMENSION[irrep.kind]
    values, vectors = torch.linalg.svd(torch.cat(rows))[1:]
    if float(values[-size]) > 1e-7 or float(values[-size - 1]) < 1e-7:
        raise ArithmeticError(f"expected {size} matrices to commute with {irrep!r}, because it is {irrep.kind}")
    return vectors[-size:]
