"""Two unconstrained models to diagnose: a transformer on atoms and a PointNet on decorated points."""

from ._parts import MaxPooling as MaxPooling
from ._parts import MeanPooling as MeanPooling
from ._parts import SumPooling as SumPooling
from ._point_net import PointNet as PointNet
from ._transformer import PointCloudTransformer as PointCloudTransformer

__all__ = ["MaxPooling", "MeanPooling", "PointCloudTransformer", "PointNet", "SumPooling"]
