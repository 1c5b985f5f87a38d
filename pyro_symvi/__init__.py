"""Which numbers of a simple variational guide are right? Symmetry certificates for Pyro models.

    import pyro_symvi as symvi

    fit = symvi.fit(model, symvi.guides.AutoLocationScale(model), data)
    print(symvi.certify(fit))

Everything is loaded at first use: importing the package costs nothing and changes nothing.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import bnn as bnn
    from . import deformable as deformable
    from . import density as density
    from . import distributions as distributions
    from . import divergences as divergences
    from . import equivariance as equivariance
    from . import examples as examples
    from . import export as export
    from . import families as families
    from . import groups as groups
    from . import guides as guides
    from . import infer as infer
    from . import multiindex as multiindex
    from . import plots as plots
    from . import quotient as quotient
    from . import recovery as recovery
    from . import rescaling as rescaling
    from . import special as special
    from .density import LogDensity as LogDensity
    from .export import summary as summary
    from .export import to_arviz as to_arviz
    from .infer import Fit as Fit
    from .infer import fit as fit
    from .recovery import Advice as Advice
    from .recovery import Certificate as Certificate
    from .recovery import Verdict as Verdict
    from .recovery import advise as advise
    from .recovery import certify as certify
    from .recovery import citation as citation
    from .recovery import find_symmetries as find_symmetries

__version__ = "0.1.0"

_MODULES = (
    "bnn",
    "deformable",
    "density",
    "distributions",
    "divergences",
    "equivariance",
    "examples",
    "export",
    "families",
    "groups",
    "guides",
    "infer",
    "multiindex",
    "plots",
    "quotient",
    "recovery",
    "rescaling",
    "special",
)
_NAMES = {
    "Advice": "recovery",
    "Certificate": "recovery",
    "Fit": "infer",
    "LogDensity": "density",
    "Verdict": "recovery",
    "advise": "recovery",
    "certify": "recovery",
    "citation": "recovery",
    "find_symmetries": "recovery",
    "fit": "infer",
    "summary": "export",
    "to_arviz": "export",
}

__all__ = [*_NAMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return _import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(_import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
