"""Whether a symmetric point of variational inference is a saddle, and the way off it."""

from ._break_symmetry import break_symmetry_init as break_symmetry_init
from ._break_symmetry import symmetrised as symmetrised
from ._guide_elbo import GuideELBO as GuideELBO
from ._instability import Instability as Instability
from ._irrep_instability import irrep_instability as irrep_instability
from ._irrep_instability import project_irrep as project_irrep

__all__ = ["GuideELBO", "Instability", "break_symmetry_init", "irrep_instability", "project_irrep", "symmetrised"]
