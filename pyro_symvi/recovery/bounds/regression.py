r"""Logistic and Poisson regressions in the form that deterministic bounds need.

.. math:: -\log p(z) = \tfrac12 z^\top P z - b^\top z + \sum_i w_i\,\beta_i(x_i^\top z + o_i) + \text{const},
    \qquad w_i > 0,

each :math:`\beta_i` either :math:`\log(1+e^\eta)` (logistic) or :math:`e^\eta` (Poisson), P positive semidefinite.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from ...density import LogDensity
from ..analysis import Analysis, exact
from ..analysis.expressions import Expressions
from ..verdicts import Evidence, Premise

FORM = "regression"
_LOGISTIC_THIRD = 3**0.5 / 18
"""The largest third derivative of log(1 + e^eta), at eta = log(2 + sqrt 3) up to sign."""
_CHECKED = 64


@dataclass(frozen=True)
class Regression:
    """A log-concave regression.

    Attributes:
        design: ``x``, ``[n, d]``.
        offset: ``o``, ``[n]``.
        weight: ``w > 0``, ``[n]``.
        is_poisson: Where beta is the exponential, ``[n]`` (bool); elsewhere it is log(1 + e^eta).
        precision: P, ``[d, d]``, positive semidefinite.
        linear: b, ``[d]``.
        premise: That the target has this form, with its evidence.

    Raises:
        ValueError: for shapes that do not fit the design, weights that are not positive, or a precision that is not
            positive semidefinite.
    """

    design: Tensor
    offset: Tensor
    weight: Tensor
    is_poisson: Tensor
    precision: Tensor
    linear: Tensor
    premise: Premise

    def __post_init__(self) -> None:
        n, d = self.design.shape
        shapes = {"offset": (n,), "weight": (n,), "is_poisson": (n,), "precision": (d, d), "linear": (d,)}
        for name, shape in shapes.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(
                    f"expected {name} of shape {shape}, got {tuple(getattr(self, name).shape)}, because the design is "
                    f"{n} x {d}; try one row an observation"
                )
        if not bool((self.weight > 0).all()):
            raise ValueError("expected positive weights, got others, because log p must be concave; try dropping rows")
        if float(torch.linalg.eigvalsh(self.precision).min()) < -1e-12 * float(self.precision.abs().max()):
            raise ValueError("expected a positive semidefinite precision, got another; try the prior's own")

    @property
    def dim(self) -> int:
        """Number of coefficients."""
        return self.design.shape[1]

    def potential(self, z: Tensor) -> Tensor:
        """-log p up to a constant at ``z[..., d]``."""
        eta = z @ self.design.mT + self.offset
        logistic = torch.logaddexp(eta, torch.zeros_like(eta))
        terms = torch.where(self.is_poisson, eta.exp(), logistic)
        return 0.5 * ((z @ self.precision) * z).sum(-1) - z @ self.linear + terms @ self.weight

    def gradient(self, z: Tensor) -> Tensor:
        """Of -log p at ``z[d]``."""
        eta = self.design @ z + self.offset
        return self.precision @ z - self.linear + self.design.mT @ (self.weight * self._mean(eta))

    def hessian(self, z: Tensor) -> Tensor:
        """Of -log p at ``z[d]``."""
        return self._hessian(self.curvature(self.design @ z + self.offset))

    def _hessian(self, curvature: Tensor) -> Tensor:
        return self.precision + (self.design.mT * (self.weight * curvature)) @ self.design

    def _mean(self, eta: Tensor) -> Tensor:
        return torch.where(self.is_poisson, eta.exp(), torch.sigmoid(eta))

    def curvature(self, eta: Tensor) -> Tensor:
        """Second derivatives of beta at ``eta[n]``."""
        return torch.where(self.is_poisson, eta.exp(), torch.sigmoid(eta) * torch.sigmoid(-eta))

    def least_curvature(self, eta: Tensor, radius: Tensor) -> Tensor:
        """The minimum of beta'' over ``eta +- radius``: the logistic one falls with \\|eta\\|, the other one rises."""
        return torch.where(self.is_poisson, (eta - radius).exp(), self.curvature(eta.abs() + radius))

    def greatest_third(self, eta: Tensor, radius: Tensor) -> Tensor:
        """The maximum of \\|beta'''\\| over ``eta +- radius``; of the logistic one, its interior maximum included."""

        def third(e: Tensor) -> Tensor:
            return torch.sigmoid(e) * torch.sigmoid(-e) * torch.tanh(e / 2).abs()

        turn = torch.log(torch.tensor(2 + 3**0.5, dtype=torch.float64))
        near, far = (eta.abs() - radius).clamp_min(0.0), eta.abs() + radius
        ends = torch.maximum(third(near), third(far))
        logistic = torch.where((near <= turn) & (turn <= far), torch.full_like(ends, _LOGISTIC_THIRD), ends)
        return torch.where(self.is_poisson, (eta + radius).exp(), logistic)


def logistic_regression(density: LogDensity, design: Tensor, outcome: Tensor, precision: Tensor) -> Regression:
    """A logistic regression with a centred Gaussian prior, as described by the caller, checked against the density.

    Args:
        density: The target.
        design: ``[n, d]``.
        outcome: ``[n]``, zeros and ones.
        precision: Prior precision, ``[d, d]``.
    """
    return _described(density, design, outcome, precision, False)


def poisson_regression(density: LogDensity, design: Tensor, outcome: Tensor, precision: Tensor) -> Regression:
    """A Poisson regression with a log link and a centred Gaussian prior, checked against the density.

    ``design``: ``[n, d]``; ``outcome``: counts ``[n]``; ``precision`` of the prior: ``[d, d]``.
    """
    return _described(density, design, outcome, precision, True)


def _described(density: LogDensity, design: Tensor, outcome: Tensor, precision: Tensor, poisson: bool) -> Regression:
    design, outcome, precision = (torch.as_tensor(t).to(torch.float64) for t in (design, outcome, precision))
    n = len(design)
    told = Premise(FORM, Evidence.ASSUMED, "the density is the regression described")
    model = Regression(
        design,
        torch.zeros(n, dtype=torch.float64),
        torch.ones(n, dtype=torch.float64),
        torch.full((n,), poisson),
        precision,
        design.mT @ outcome,
        told,
    )
    if model.dim != density.dim:
        raise ValueError(
            f"expected a design with {density.dim} columns, got {model.dim}, because each coordinate of the target is "
            "a coefficient; try adding the intercept's column"
        )
    generator = torch.Generator().manual_seed(0)
    root = torch.linalg.cholesky(torch.linalg.inv(model.hessian(density.starts[0])))
    z = density.starts[0] + torch.randn(_CHECKED, model.dim, dtype=torch.float64, generator=generator) @ root.mT
    ours, theirs = -model.potential(z), density(z).detach()
    gap = (ours - ours[0]) - (theirs - theirs[0])
    slack = 1e-9 * (1 + ours.abs() + theirs.abs() + theirs[0].abs() + ours[0].abs())
    if bool((gap.abs() > slack).any()):
        raise ValueError(
            f"expected the description to give the target's log density up to a constant, got differences of "
            f"{float(gap.abs().max()):.3g} nats, because prior, outcome or design differ; try analyze(density)"
        )
    checked = Premise(
        FORM, Evidence.VERIFIED, f"the regression described equals the density at {_CHECKED} random points, to rounding"
    )
    return replace(model, premise=checked)


def read_regression(analysis: Analysis) -> Regression | None:
    """The regression that the exact expression of log p is, term by term; None where it is none.

    Its coefficients are the exact rationals of the expression, each rounded once.
    """
    if analysis.reading is None or not analysis.is_plain:
        return None
    table, p = analysis.reading
    dim = len(analysis.coordinates)
    own = {table.coordinate_atom(j): j for j in range(dim)}
    quadratic = [[Fraction(0)] * dim for _ in range(dim)]
    linear = [Fraction(0)] * dim
    rows: list[tuple[list[Fraction], Fraction, Fraction, bool]] = []
    for monomial, numerator in p.terms.items():
        c = Fraction(numerator, p.denominator)
        powers = table.monomials[monomial]
        inside = [own[a] for a, k in powers if a in own for _ in range(max(k, 0))]
        if all(a in own and k > 0 for a, k in powers) and len(inside) <= 2:
            if len(inside) == 1:
                linear[inside[0]] += c
            elif inside:
                i, j = inside
                quadratic[i][j] -= c
                quadratic[j][i] -= c
        elif len(powers) == 1 and powers[0][1] == 1 and c < 0 and table.atoms[powers[0][0]].kind in _LINKS:
            atom = table.atoms[powers[0][0]]
            affine = _affine(table, atom.arguments[0], own, dim)
            if affine is None:
                return None
            rows.append((affine[0], affine[1], -c, atom.kind == "exp"))
        else:
            return None
    if not rows or not exact.definiteness(quadratic):
        return None
    premise = Premise(
        FORM,
        Evidence.PROVED,
        f"log p is a quadratic less {len(rows)} logistic or exponential terms: by static analysis",
    )
    return Regression(
        _matrix([r[0] for r in rows]),
        _matrix([[r[1] for r in rows]])[0],
        _matrix([[r[2] for r in rows]])[0],
        torch.tensor([r[3] for r in rows]),
        _matrix(quadratic),
        _matrix([linear])[0],
        premise,
    )


_LINKS = ("softplus", "exp")


def _affine(table: Expressions, p: object, own: dict[int, int], dim: int) -> tuple[list[Fraction], Fraction] | None:
    slopes, constant = [Fraction(0)] * dim, Fraction(0)
    for monomial in p.terms:  # type: ignore[attr-defined]
        powers = table.monomials[monomial]
        value = p.coefficient(monomial)  # type: ignore[attr-defined]
        if not powers:
            constant += value
        elif len(powers) == 1 and powers[0][0] in own and powers[0][1] == 1:
            slopes[own[powers[0][0]]] += value
        else:
            return None
    return slopes, constant


def _matrix(rows: list[list[Fraction]]) -> Tensor:
    return torch.tensor([[float(x) for x in row] for row in rows], dtype=torch.float64)
