"""Groups and their actions: elements, Haar measure, orbits, and what a symmetry pins down.

Start with :class:`Group` and :class:`Action`; a :class:`LinearAction` computes which vectors (means) and symmetric
matrices (covariances) an invariant law may have.
"""

from ._action import Action as Action
from ._affine_action import AffineAction as AffineAction
from ._axis_flips import AxisFlips as AxisFlips
from ._elliptical_rotation import EllipticalRotation as EllipticalRotation
from ._errors import InfiniteGroupError as InfiniteGroupError
from ._errors import NonCompactGroupError as NonCompactGroupError
from ._errors import UnsupportedError as UnsupportedError
from ._group import Group as Group
from ._group import Quadrature as Quadrature
from ._linear_action import LinearAction as LinearAction
from ._orthogonal import Orthogonal as Orthogonal
from ._point_reflection import PointReflection as PointReflection
from ._sign_flips import SignFlips as SignFlips
from ._trivial import Trivial as Trivial

__all__ = [
    "Action",
    "AffineAction",
    "AxisFlips",
    "EllipticalRotation",
    "Group",
    "InfiniteGroupError",
    "LinearAction",
    "NonCompactGroupError",
    "Orthogonal",
    "PointReflection",
    "Quadrature",
    "SignFlips",
    "Trivial",
    "UnsupportedError",
]
