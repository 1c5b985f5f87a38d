"""PDB files of Calpha traces: fixed columns, one model a cloud."""

from __future__ import annotations

import os
from collections.abc import Sequence

from torch import Tensor

from ._text import checked_clouds, parse_float, read_text, write_text
from ._xyz import Frame

RESIDUES = tuple("ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL".split())
"""The twenty amino acids in the alphabetical order of their three-letter names."""

_MODIFIED = {"MSE": "MET", "SEC": "CYS", "HSD": "HIS", "HSE": "HIS", "HSP": "HIS", "CSO": "CYS", "SEP": "SER"}


def write_pdb(path: str | os.PathLike[str], clouds: Tensor, residues: Sequence[str] | None = None) -> None:
    """Write clouds ``[M, N, 3]`` as M models of a Calpha trace, neighbours joined by CONECT records.

    Args:
        path: of the file, packed where it ends in .gz; it appears whole or not at all.
        clouds: ``[M, N, 3]`` or ``[N, 3]`` in angstrom.
        residues: three-letter names of the N residues; by default all are GLY.

    Raises:
        ValueError: for coordinates that are not finite or do not fit eight columns (-999.999 to 9999.999), more than
            9999 residues or models, or names of residues that are not three letters.

    Source: Protein Data Bank contents guide, version 3.3.
    """
    clouds = checked_clouds(clouds)
    points = clouds.shape[1]
    names = ["GLY"] * points if residues is None else [str(name).upper() for name in residues]
    if len(names) != points or any(len(name) != 3 or not name.isalnum() for name in names):
        raise ValueError(f"expected {points} residue names of three letters, got {names[:5]}; try residues=None")
    if max(points, len(clouds)) > 9999:
        raise ValueError(
            f"expected at most 9999 residues and models, got {points} and {len(clouds)}, because PDB columns hold no "
            "more; try several files"
        )
    if clouds.min() < -999.999 or clouds.max() > 9999.999:
        raise ValueError(
            f"expected coordinates in -999.999..9999.999, got {clouds.min():.1f}..{clouds.max():.1f}, because PDB "
            "columns hold no more; try to centre the clouds"
        )
    lines = []
    for model, cloud in enumerate(clouds.tolist(), 1):
        lines.append(f"MODEL     {model:4d}")
        for k, (name, (x, y, z)) in enumerate(zip(names, cloud, strict=True), 1):
            lines.append(f"ATOM  {k:5d}  CA  {name} A{k:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C  ")
        lines += [f"TER   {points + 1:5d}      {names[-1]} A{points:4d}", "ENDMDL"]
    for k in range(1, points + 1):
        lines.append(f"CONECT{k:5d}" + "".join(f"{other:5d}" for other in (k - 1, k + 1) if 1 <= other <= points))
    write_text(path, "\n".join([*lines, "END"]) + "\n")


def parse_pdb(path: str | os.PathLike[str]) -> list[Frame]:
    """Calpha atoms of each chain of each model of a PDB file; titles are chain identifiers, symbols residue names.

    The first of alternative locations counts. Modified residues of a chain (HETATM, selenomethionine for one) count
    where they stand among its atoms, under the name of the amino acid they are made of, or UNK.

    Raises:
        ValueError: naming file and line for coordinates that are no numbers; for files without Calpha atoms.
    """
    found: dict[tuple[int, str], tuple[list[str], list[tuple[float, ...]], set[str], int]] = {}
    model, ended = 0, set[tuple[int, str]]()
    for number, line in enumerate(read_text(path).splitlines(), 1):
        record = line[:6].strip()
        if record == "MODEL":
            model += 1
        key = (model, line[21:22].strip())
        if record == "TER":
            ended.add(key)
        if record not in ("ATOM", "HETATM") or line[12:16] != " CA " or key in ended:
            continue
        if line[76:78].strip().upper() == "CA":  # calcium
            continue
        if len(line.rstrip()) < 54:
            raise ValueError(
                f"expected coordinates in columns 31 to 54, got a line of {len(line.rstrip())} columns in "
                f"{str(path)!r}, line {number}"
            )
        symbols, points, seen, _ = found.setdefault(key, ([], [], set(), number))
        residue = line[22:27]
        if residue in seen:
            continue
        seen.add(residue)
        name = line[17:20].strip()
        name = _MODIFIED.get(name, name)
        symbols.append(name if name in RESIDUES else "UNK")
        cells = (line[30:38], line[38:46], line[46:54])
        points.append(tuple(parse_float(cell, path, number, "coordinate") for cell in cells))
    if not found:
        raise ValueError(
            f"expected ATOM records of Calpha atoms, got none in {str(path)!r}, because PDB files are read as protein "
            "traces; try .sdf or .xyz for molecules"
        )
    return [
        Frame(chain, tuple(symbols), tuple(points), line) for (_, chain), (symbols, points, _, line) in found.items()
    ]
