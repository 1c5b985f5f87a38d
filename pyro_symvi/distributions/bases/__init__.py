r"""Base laws :math:`q_0` of location-scale families: :math:`z = \nu + C\xi,\ \xi\sim q_0`, even about zero."""

from ._base import Array, Base, Tail
from ._generalized_normal import GeneralizedNormal, Laplace
from ._logistic import Logistic
from ._normal import Normal
from ._student_t import Cauchy, StudentT
from ._uniform_ball import UniformBall

BASES: dict[str, type[Base]] = {base.name: base for base in (Normal, StudentT, Cauchy, Laplace, Logistic, UniformBall)}
"""The bases that a name (and degrees of freedom, for ``student_t``) is enough to make."""

__all__ = [
    "BASES",
    "Array",
    "Base",
    "Cauchy",
    "GeneralizedNormal",
    "Laplace",
    "Logistic",
    "Normal",
    "StudentT",
    "Tail",
    "UniformBall",
]
