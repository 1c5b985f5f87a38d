"""Networks that denoise clouds: small, on CPU fast, and denoisers as they stand.

:class:`EquivariantNetwork` turns with the cloud; :class:`PointTransformer` does not, and is trained on turned clouds.
"""

from ._equivariant import EquivariantNetwork as EquivariantNetwork
from ._network import CloudNetwork as CloudNetwork
from ._network import build_network as build_network
from ._transformer import PointTransformer as PointTransformer

__all__ = ["CloudNetwork", "EquivariantNetwork", "PointTransformer", "build_network"]
