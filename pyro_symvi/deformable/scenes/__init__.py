"""Renderers of articulated symmetric objects with exact correspondences."""

from ._rendered import Rendered as Rendered

__all__ = ["Rendered"]
