"""The element between two poses as a latent variable in Pyro."""

from ._pose_model import PoseModel as PoseModel

__all__ = ["PoseModel"]
