"""Colours of elements."""

ELEMENTS = {
    "H": ("#ffffff", 0.31),
    "B": ("#ffb5b5", 0.84),
    "C": ("#707070", 0.76),
    "N": ("#3050f8", 0.71),
    "O": ("#ee2010", 0.66),
    "F": ("#90e050", 0.57),
    "Si": ("#f0c8a0", 1.11),
    "P": ("#ff8000", 1.07),
    "S": ("#f0d020", 1.05),
    "Cl": ("#1ff01f", 1.02),
    "Br": ("#a62929", 1.20),
    "I": ("#940094", 1.39),
}
"""Colour (after Corey, Pauling and Koltun) and covalent radius in angstrom (Cordero et al., Dalton Trans. 2008,
2832)."""

OTHER = ("#e060a0", 1.2)
"""Elements that are not in the table."""
