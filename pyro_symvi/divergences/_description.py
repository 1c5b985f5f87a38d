"""What a divergence says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Description:
    """Facts about a divergence that decide where it may be used.

    Attributes:
        name: its name in words.
        formula: its definition, as text; p is the target, q the guide.
        direction: which argument comes first.
        alpha: exponent on the target; None outside the alpha family.
        is_additive: the objective is linear in the log-weights: one particle and minibatches are enough.
        is_biased: with finitely many particles the objective is biased (and consistent).
        normalizer_cancels: the minimiser does not depend on the target's normaliser Z.
    """

    name: str
    formula: str
    direction: str
    alpha: float | None
    is_additive: bool
    is_biased: bool
    normalizer_cancels: bool

    def __str__(self) -> str:
        particles = "biased for finitely many particles" if self.is_biased else "unbiased for any number of particles"
        return "\n".join(
            (
                f"{self.name}: {self.formula}",
                f"direction    {self.direction}",
                f"exponent     {'none, not of the alpha family' if self.alpha is None else f'alpha = {self.alpha:g}'}",
                f"objective    {particles}, {'' if self.is_additive else 'not '}additive over log-weights",
                f"normaliser   {'cancels' if self.normalizer_cancels else 'does not cancel: log Z must be given'}",
            )
        )
