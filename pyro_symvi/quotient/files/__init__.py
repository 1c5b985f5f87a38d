"""Files a chemist can open: SDF, XYZ and Calpha PDB."""

from ._clouds import are_molecules as are_molecules
from ._clouds import read_clouds as read_clouds
from ._clouds import write_clouds as write_clouds
from ._pdb import RESIDUES as RESIDUES
from ._pdb import write_pdb as write_pdb
from ._sdf import write_sdf as write_sdf
from ._xyz import write_xyz as write_xyz

__all__ = ["RESIDUES", "are_molecules", "read_clouds", "write_clouds", "write_pdb", "write_sdf", "write_xyz"]
