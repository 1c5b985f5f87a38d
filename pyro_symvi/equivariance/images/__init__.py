"""Images: exact symmetries of the grid, interpolated rotations, and the floor that interpolation sets."""

from ._image_error import image_error as image_error
from ._result import AngleError as AngleError
from ._result import ImageError as ImageError
from ._rotated import inscribed_disc as inscribed_disc
from ._rotated import rotated_images as rotated_images

__all__ = ["AngleError", "ImageError", "image_error", "inscribed_disc", "rotated_images"]
