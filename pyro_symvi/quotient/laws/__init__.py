"""Laws of shapes in Pyro models: a trained diffusion as a prior, or as a guide over shapes without poses."""

from ._guide import ShapeGuide as ShapeGuide
from ._reparam import NoiseReparam as NoiseReparam
from ._shape_distribution import ShapeDistribution as ShapeDistribution
from ._simulate import simulate as simulate
from ._support import CentredClouds as CentredClouds
from ._support import HelmertTransform as HelmertTransform
from ._weighted import Estimate as Estimate
from ._weighted import WeightedShapes as WeightedShapes

__all__ = [
    "CentredClouds",
    "Estimate",
    "HelmertTransform",
    "NoiseReparam",
    "ShapeDistribution",
    "ShapeGuide",
    "WeightedShapes",
    "simulate",
]
