"""What `irrep_instability` finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ._units import Units


@dataclass(frozen=True, eq=False)
class Instability:
    """The lowest eigenvalue of the Hessian of the loss (minus the ELBO) in one isotypic part; see `irrep_instability`.

    Attributes:
        eigenvalue: Negative: the tied point is a saddle, the ELBO rises by t^2 |eigenvalue| / 2 along t times
            ``direction``, either sign. Positive: no direction of this part raises it, to second order.
        direction: Unit vector in the form of the parameters. The eigenvalue belongs to a whole irreducible part (any
            mix of units): this is one direction of it, drawn at random.
        residual: Norm of Hessian times direction minus eigenvalue times direction. Some eigenvalue lies this close.
        iterations: Hessian-vector products used.
        converged: Whether the residual fell below the tolerance; False: ``eigenvalue`` is an upper bound alone.
        gradient_norm: Norm of the gradient in this part: 0 up to rounding for an invariant ELBO at a tied point.
        elbo: Its value at the tied point.
        dimension: Dimension of the part, all copies together.
        irrep: As asked for.
    """

    eigenvalue: float
    direction: Any = field(repr=False)
    residual: float
    iterations: int
    converged: bool
    gradient_norm: float
    elbo: float
    dimension: int
    irrep: Any
    units: Units = field(repr=False)

    @property
    def is_unstable(self) -> bool:
        """Whether the eigenvalue is negative by more than the residual."""
        return self.eigenvalue < -self.residual

    def to_dict(self) -> dict[str, Any]:
        """All numbers, without the direction."""
        names = ("eigenvalue", "residual", "iterations", "converged", "gradient_norm", "elbo", "dimension")
        return {**{name: getattr(self, name) for name in names}, "irrep": str(self.irrep)}

    def report(self) -> str:
        """The result in words."""
        kind = "stable in this part, to second order"
        if self.is_unstable:
            kind = "a saddle: this direction breaks the symmetry"
        elif not self.converged or self.eigenvalue <= self.residual:
            kind = "undecided in this part: zero is within what is known of the eigenvalue"
        settled = "converged" if self.converged else "NOT converged: an upper bound"
        return (
            f"Hessian of minus the ELBO, part {self.irrep!r} (dimension {self.dimension}): lowest eigenvalue "
            f"{self.eigenvalue:.6g} (residual {self.residual:.1e}, {self.iterations} products, {settled}).\n"
            f"The tied point is {kind}. Gradient in this part: {self.gradient_norm:.1e}."
        )
