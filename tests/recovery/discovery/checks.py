"""The check that all scenario tests share."""

from pyro_symvi.recovery import Evidence, find_symmetries
from tests.recovery.discovery.known_groups import KNOWN


def check(name: str) -> None:
    """Raise unless the list found is the list expected, up to order."""
    known = KNOWN[name]
    symmetries = find_symmetries(known.density())
    found = [(f.kind, f.coordinates) for f in symmetries]
    left = list(known.expected)
    for kind, coordinates in found:
        matching = [e for e in left if kind.startswith(e[0]) and e[1] == coordinates]
        assert matching, f"{name}: found {kind} of {coordinates}, which is not known to hold"
        left.remove(matching[0])
    assert not left, f"{name}: missed {left}"
    assert all(f.evidence in (Evidence.PROVED, Evidence.VERIFIED) for f in symmetries)
