"""What the equivariance error of an image model holds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import EquivarianceError


@dataclass(frozen=True, repr=False)
class AngleError:
    """The spread over angles of responses z to turned images.

    Attributes:
        angles: radians, ``[n]``.
        squared: A^2 = E|z|^2 - |E z|^2 over the angles with equal weights, summed over the pixels inside the mask for
            outputs that are images, ``[B, *copies]`` (copies: channels, classes).
        norm: E|z|^2, the same shape.
        deviation: |z(a) - z(0)|^2 at each angle, averaged over samples and copies, ``[n]``; z(0) is the response to
            the image as it is.
    """

    angles: Tensor
    squared: Tensor
    norm: Tensor
    deviation: Tensor

    @property
    def A(self) -> float:
        """Root of the mean of A^2 over samples and copies."""
        return float(self.squared.mean().sqrt())

    @property
    def relative(self) -> float:
        """A by the root of the mean of E|z|^2."""
        whole = float(self.norm.mean().sqrt())
        return self.A / whole if whole > 0 else 0.0

    def __repr__(self) -> str:
        return f"<A = {self.A:.4g} over {len(self.angles)} angles, relative {self.relative:.3g}>"

    @property
    def by_angle(self) -> Tensor:
        """Root of :attr:`deviation` by the root of the mean of E|z|^2, ``[n]``."""
        whole = self.norm.mean().sqrt()
        return self.deviation.sqrt() / whole if float(whole) > 0 else torch.zeros_like(self.deviation)

    @property
    def per_sample(self) -> Tensor:
        """A of each sample, pooled over copies, ``[B]``."""
        return self.squared.reshape(len(self.squared), -1).mean(1).sqrt()


@dataclass(frozen=True, repr=False)
class ImageError:
    """The error of an image model under exact symmetries of the grid, and under any angle beside two floors.

    Attributes:
        grid: under quarter turns (and mirror images), without interpolation: a clean number.
        turned: under interpolated rotations, ``z(a) = T_-a f(T_a x)`` for outputs that are images, else ``f(T_a x)``.
            Holds the error of the model and that of the interpolation.
        identity: the same for the identity map of the images, ``T_-a T_a x``: what interpolation does to these images.
        round_trip: of ``z(a) = f(T_-a T_a x)``: what of it reaches the output through this model, in units of its
            output.
    """

    grid: EquivarianceError
    turned: AngleError
    identity: AngleError
    round_trip: AngleError

    @property
    def floor(self) -> float:
        """A of :attr:`round_trip`: at errors of this size or below nothing is known about angles off the grid."""
        return self.round_trip.A

    @property
    def excess(self) -> float:
        """The root of A^2 - floor^2 (0 where negative): what is left of A if both add as independent errors do.

        An indication, since they need not be independent; trust it where A is several times the floor.
        """
        return max(0.0, self.turned.A**2 - self.floor**2) ** 0.5

    @property
    def resolved(self) -> bool:
        """Whether the error under interpolated rotations is more than twice the floor."""
        return self.turned.A > 2 * self.floor

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<{self.summary()}>"

    def summary(self) -> str:
        """Both errors beside the floors, in words."""
        size = float(self.turned.norm.mean().sqrt()) or 1.0
        verdict = (
            f"beyond interpolation {self.excess / size:.3g}" if self.resolved else "not to be told from interpolation"
        )
        return (
            f"relative error under the {self.grid.evaluations} symmetries of the grid {self.grid.relative:.3g}; "
            f"under {len(self.turned.angles)} angles {self.turned.relative:.3g}, of which {verdict} "
            f"(floor {self.floor / size:.3g} at the output, {self.identity.relative:.3g} on the images)"
        )
