"""Student-t guides under forward KL: the population maximum-likelihood estimate, for targets of any shape."""

from __future__ import annotations

from ..verdicts import Premise
from .general import COMMON
from .setting import Setting
from .target import Symmetry
from .theorem import UNIQUE, APriori
from .uniqueness import student_route, symmetric_premises


def _premises(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or setting.g.least_df is None or setting.o.alpha != 1 or not setting.o.is_population:
        return None
    return symmetric_premises(setting, symmetry, student_route(setting).premise(UNIQUE))


_STATEMENT = (
    "Forward KL, a multivariate t with k > 1 degrees of freedom, location and full scale free; or univariate t's with "
    "a "
    "location and a scale for each coordinate. P has a density and E log(1 + |z|) is finite; no moments, no "
    "unimodality. "
    "The optimum is unique (its only stationary point), so it has every symmetry of p the family is closed under. With "
    "learned degrees of freedom above one the same holds at each of their values. Without a finite first moment the "
    "location is the centre of symmetry. False for k <= 1, and for a multivariate t with a diagonal or fixed scale."
)
_PROOF = (
    "The likelihood equations are those of a scatter-only t problem in d + 1 dimensions with k - 1 degrees of freedom "
    "(add a coordinate equal to one), whose solution is unique for k - 1 > 0 and laws without mass on hyperplanes."
)
_REFERENCE = (
    "Kent & Tyler (1991), 'Redescending M-estimates of multivariate location and scatter'; Dudley et al. (2009)"
)

STUDENT_MEAN = APriori(
    "Student-t guide, forward KL",
    "mean",
    (*COMMON, UNIQUE),
    _STATEMENT,
    _PROOF,
    _REFERENCE,
    judge=_premises,
    stationary=True,
    keys=("dudley2009", "kent1991"),
)

STUDENT_CORRELATION = APriori(
    "Student-t guide, forward KL: scatter",
    "correlation",
    (*COMMON, UNIQUE),
    _STATEMENT,
    _PROOF,
    _REFERENCE,
    judge=_premises,
    stationary=True,
    keys=("dudley2009", "kent1991"),
)

THEOREMS = (STUDENT_MEAN, STUDENT_CORRELATION)
