"""The statistics that `certify` knows, by the kind of space they are of."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Statistic
from .contrast import Contrast
from .correlation import Correlation
from .covariance import Covariance
from .mean import Mean
from .median import Median
from .regression import Intercept, Slope
from .scatter import Scatter

STATISTICS: dict[str, Statistic] = {}
"""Every statistic by name."""


def register(statistic: Statistic) -> Statistic:
    """Add a statistic; a package for another kind of space registers its own when it is imported.

    Raises:
        TypeError: No `Statistic`.
        ValueError: Its name is taken.
    """
    if not isinstance(statistic, Statistic):
        raise TypeError(f"expected a Statistic, got {statistic!r}, because certificates are made of its entries")
    if statistic.name in STATISTICS:
        raise ValueError(f"expected a new name, got {statistic.name!r}, because it names another statistic")
    STATISTICS[statistic.name] = statistic
    return statistic


def chosen(names: str | Sequence[str], space: str = "real") -> tuple[Statistic, ...]:
    """The statistics asked for, of one space, each once.

    Raises:
        ValueError: None asked for, or a name that is not among those of this space; the message lists them.
    """
    asked = (names,) if isinstance(names, str) else tuple(names)
    known = [name for name, statistic in STATISTICS.items() if statistic.space == space]
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise ValueError(
            f"expected statistics among {known}, got {list(asked)}, because no theorem speaks of others on this kind "
            'of space; try statistics=("mean", "correlation")'
        )
    return tuple(STATISTICS[name] for name in dict.fromkeys(asked))


for _statistic in (Mean(), Median(), Correlation(), Scatter(), Covariance(), Contrast(), Slope(), Intercept()):
    register(_statistic)
