"""What the families on the sphere share: laws that are symmetric about a direction."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..distributions._axial import AxialLaw
from ..groups import Action, AffineAction, LinearAction
from ._closure import Closure
from ._family import Family, Parameters
from ._levels import checked_levels
from ._structure import are_orthogonal, linear_parts

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class AxialFamily(Family):
    r"""Laws on the sphere of R^d whose density depends on :math:`\mu\cdot x` alone, with a concentration kappa.

    Parameters: ``{"direction": [*batch, d], "concentration": [*batch]}``. To implement one, give ``_law``,
    ``_angles`` and ``_concentration_at``.

    Closed under every action by orthogonal maps about the origin (rotations, reflections, permutations and signs of
    coordinates), concentration kept: ``moves_scale`` is False.

    Args:
        dim: d >= 2, the dimension of the space around the sphere.

    Raises:
        TypeError: ``dim`` is no int.
        ValueError: ``dim < 2``.
    """

    dim: int

    _law: ClassVar[type[AxialLaw]]

    def __post_init__(self) -> None:
        """Check the dimension."""
        if isinstance(self.dim, bool) or not isinstance(self.dim, int):
            raise TypeError(f"expected dim as an int, got {self.dim!r}, because it counts coordinates; try dim=3")
        if self.dim < 2:
            raise ValueError(
                f"expected dim >= 2, got {self.dim}, because the sphere of R^1 is two points; try dim=3, directions "
                "in space"
            )

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Direction and concentration."""
        return ("direction", "concentration")

    # -- laws --------------------------------------------------------------------------------------------------

    def distribution(self, parameters: Parameters) -> AxialLaw:
        """The law as a Pyro distribution: batch shape ``[*batch]``, event shape ``(d,)``."""
        return self._law(parameters["direction"], parameters["concentration"])

    def mean_direction(self, parameters: Parameters) -> Tensor:
        """The direction of the mean ``[*batch, d]``, which is also the mode; at concentration 0 it means nothing."""
        return parameters["direction"]

    def cap_angles(self, levels: Tensor, parameters: Parameters) -> Tensor:
        r"""The angle around the mean direction that holds each mass: ``[n, *batch]`` at ``levels[n]``, radians.

        Quantiles of :math:`\theta = \arccos\mu\cdot x`: a cap of this angle is the smallest region of that mass.

        Raises:
            ValueError: A level outside (0, 1).
        """
        u = checked_levels(levels)
        kappa = parameters["concentration"].detach()
        found = self._angles(u.cpu().numpy(), kappa.double().reshape(-1).cpu().numpy())
        return torch.as_tensor(found).reshape(len(u), *kappa.shape).to(kappa)

    def at_mode(self, direction: Tensor, precision: Tensor) -> Parameters:
        """Parameters of the law with this mode ``[*batch, d]`` and this curvature there.

        Minus the second derivative of its log density along every great circle is ``precision [*batch]`` >= 0.
        """
        return {"direction": direction, "concentration": self._concentration_at(precision)}

    # -- groups ------------------------------------------------------------------------------------------------

    def _closure(self, action: Action) -> Closure:
        if not isinstance(action, LinearAction):
            return Closure(False, f"{type(action).__name__} is not known to be by isometries of the sphere")
        if isinstance(action, AffineAction) and action.center is None:
            return Closure(False, "its centre is open, and about a centre other than the origin the sphere moves away")
        matrices = linear_parts(action, self.dim)
        if matrices is None:
            return Closure(False, "its shape or slope is open, and only isometries map the sphere to itself")
        if not are_orthogonal(matrices):
            return Closure(False, "its linear parts are not orthogonal, so the image of the sphere is an ellipsoid")
        bound = action.bind(self.dim) if isinstance(action, AffineAction) and not action.is_bound else action
        origin = torch.zeros(self.dim, dtype=torch.float64)
        if bool((bound.act(bound.group.generators(dtype=torch.float64), origin) != 0).any()):
            return Closure(False, "it moves the origin, and with it the sphere")
        return Closure(
            True,
            "the density depends on the angle to the direction alone, which an orthogonal map about the origin keeps",
            moves_scale=False,
        )

    def _push_forward(self, parameters: Parameters, action: Action, g: Tensor) -> Parameters:
        direction = parameters["direction"]
        matrix = action.matrix(g).to(direction)  # type: ignore[attr-defined]
        return {"direction": direction @ matrix.mT, "concentration": parameters["concentration"]}

    # -- the mathematics, for subclasses -----------------------------------------------------------------------

    @abstractmethod
    def _angles(self, levels: Array, kappa: Array) -> Array:
        """Quantiles of the angle, ``[n, b]``, at ``levels[n]`` for ``kappa[b]``."""

    @abstractmethod
    def _concentration_at(self, precision: Tensor) -> Tensor:
        """The concentration whose log density has this curvature at the mode."""
