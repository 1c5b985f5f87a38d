"""The two-arm figure with less movement in its arms."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pyro_symvi.deformable import TwoArmFigure
from pyro_symvi.deformable.scenes._scene import Poses


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CalmFigure(TwoArmFigure):
    """Angles of shoulders and elbows are this share of the usual ones, about arms that hang a little.

    Args:
        articulation: 1 for the two-arm figure itself, 0 for a stiff one, which still turns, yaws and bends its trunk.
        **others: see :class:`TwoArmFigure`.
    """

    articulation: float = 1.0

    def _pose(self, count: int, generator: torch.Generator | None) -> Poses:
        poses = super()._pose(count, generator)
        poses["shoulder"] = 0.1 + self.articulation * (poses["shoulder"] - 0.1)
        poses["elbow"] = self.articulation * poses["elbow"]
        return poses
