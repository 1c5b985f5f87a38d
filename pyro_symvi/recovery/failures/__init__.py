"""The catalogue of failures: runnable counterexamples, each with one premise that fails and a conclusion that is wrong.

``FAILURES`` maps names to records. ``failure.curve()`` is the objective by quadrature against the location,
``failure.optima()`` its minimisers, ``failure.error()`` how many standard deviations of the target the statistic is
off; ``failure.verdict`` is what theory says, never ``PROVED``. `pyro_symvi.plots.plot_failure` draws one.

    >>> from pyro_symvi.recovery.failures import FAILURES
    >>> failure = FAILURES["two modes"]
    >>> failure.verdict.name, round(failure.error(), 2)
    ('UNKNOWN', 0.94)
"""

from .displaced import Displaced
from .elliptical import ELLIPTICAL
from .failure import Curve, Failure, Optimum
from .modes import MODES
from .objectives import OBJECTIVES
from .plateaus import PLATEAUS
from .read import Read
from .skewed import SKEWED_TARGETS
from .sphere import SPHERE, Directed
from .statistics import STATISTICS
from .tails import TAILS
from .unbounded import Unbounded

_ALL: tuple[Failure, ...] = (*MODES, *PLATEAUS, *TAILS, *ELLIPTICAL, *SKEWED_TARGETS, *OBJECTIVES, *STATISTICS, *SPHERE)

FAILURES: dict[str, Failure] = {failure.name: failure for failure in _ALL}
"""Every failure, by name."""

__all__ = ["FAILURES", "Curve", "Directed", "Displaced", "Failure", "Optimum", "Read", "Unbounded"]
