"""Which guide to take for a committee of equal units: tied, or an orbit mixture, and from which start."""

from ._advice import GuideAdvice as GuideAdvice
from ._advice import advise_guide as advise_guide
from ._spec import CommitteeSpec as CommitteeSpec

__all__ = ["CommitteeSpec", "GuideAdvice", "advise_guide"]
