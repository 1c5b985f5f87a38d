"""Checks that a wheel holds the package and its metadata, all of the package's own files, and nothing else.

Usage: python .ci/check_wheel.py WHEEL
"""

import sys
import zipfile
from pathlib import Path

PACKAGE = "pyro_symvi"
WANTED_SUFFIXES = {".py", ".bib", ".csv", ".json", ".typed"}


def check(wheel: Path) -> list[str]:
    """The complaints about a wheel's list of files; empty where all is well."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = f"{PACKAGE}-{wheel.name.split('-')[1]}.dist-info/"
    complaints = [f"does not belong in the wheel: {n}" for n in names if not n.startswith((f"{PACKAGE}/", metadata))]
    sources = {p.as_posix() for p in Path(PACKAGE).rglob("*") if p.is_file() and p.suffix in WANTED_SUFFIXES}
    complaints += [f"missing from the wheel: {n}" for n in sources - names]
    complaints += [f"in the wheel, not in the tree: {n}" for n in names - sources if not n.startswith(metadata)]
    return sorted(complaints)


def main() -> int:
    """Prints the complaints; the exit code is 1 where there are any."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    wheel = Path(sys.argv[1])
    complaints = check(wheel)
    for complaint in complaints:
        print(complaint)
    print(f"{wheel.name}: {'refused' if complaints else 'holds the package and nothing else'}")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
