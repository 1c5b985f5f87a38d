"""Images to learn from."""

from ._lfw import lfw_faces as lfw_faces

__all__ = ["lfw_faces"]
