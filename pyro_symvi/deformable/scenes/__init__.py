"""Renderers of articulated symmetric objects with exact correspondences."""

from ._ellipsoid_face import EllipsoidFace as EllipsoidFace
from ._flower import Flower as Flower
from ._rendered import Rendered as Rendered
from ._scene import Scene as Scene
from ._two_arm_figure import TwoArmFigure as TwoArmFigure

__all__ = ["EllipsoidFace", "Flower", "Rendered", "Scene", "TwoArmFigure"]
