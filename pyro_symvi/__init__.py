"""Which numbers of a simple variational guide are right? Symmetry certificates for Pyro models.

    import pyro_symvi as symvi

    fit = symvi.fit(model, symvi.guides.AutoLocationScale(model), data)
    print(symvi.certify(fit))

Everything is loaded at first use: importing the package costs nothing and changes nothing.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import density as density
    from . import distributions as distributions
    from . import divergences as divergences
    from . import examples as examples
    from . import families as families
    from . import groups as groups
    from . import guides as guides
    from . import infer as infer
    from . import quotient as quotient
    from . import recovery as recovery
    from .density import LogDensity as LogDensity
    from .infer import Fit as Fit
    from .infer import fit as fit
    from .recovery import Advice as Advice
    from .recovery import Certificate as Certificate
    from .recovery import Verdict as Verdict
    from .recovery import advise as advise
    from .recovery import certify as certify
    from .recovery import find_symmetries as find_symmetries

__version__ = "0.1.0"

_MODULES = (
    "density",
    "distributions",
    "divergences",
    "examples",
    "families",
    "groups",
    "guides",
    "infer",
    "quotient",
    "recovery",
)
_NAMES = {
    "Advice": "recovery",
    "Certificate": "recovery",
    "Fit": "infer",
    "LogDensity": "density",
    "Verdict": "recovery",
    "advise": "recovery",
    "certify": "recovery",
    "find_symmetries": "recovery",
    "fit": "infer",
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
