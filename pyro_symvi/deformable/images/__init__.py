"""Images to learn from: folders of the user, and faces of a package that ships them."""

from ._fit import FITS as FITS
from ._folder import CHANNELS as CHANNELS
from ._folder import ImageFolder as ImageFolder
from ._folder import load_images as load_images
from ._lfw import lfw_faces as lfw_faces

__all__ = ["CHANNELS", "FITS", "ImageFolder", "lfw_faces", "load_images"]
