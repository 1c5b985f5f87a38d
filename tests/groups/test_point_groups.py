"""Point groups against printed character tables, the 32 groups of crystals, and the shapes that have them."""

import math

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import Group, NaturalAction, PointGroup, PolyhedralGroup
from pyro_symvi.groups._irreps import COMMUTANT_DIMENSION
from tests.contracts.group import GroupContract

GOLD = (1 + math.sqrt(5)) / 2
SILVER = 1 - GOLD
ROOT = math.sqrt(2)


def turn(fraction: float, axis: tuple[float, float, float] = (0, 0, 1)) -> Tensor:
    """The rotation by ``fraction`` of a full turn."""
    x, y, z = (torch.tensor(axis, dtype=torch.float64) / math.hypot(*axis)).tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.linalg.matrix_exp(2 * math.pi * fraction * cross)


def across(degrees: float) -> tuple[float, float, float]:
    """The horizontal axis at an angle to x."""
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0


E, INVERSION = torch.eye(3, dtype=torch.float64), -torch.eye(3, dtype=torch.float64)


def improper(g: Tensor) -> Tensor:
    """The mirror plane perpendicular to z, after g."""
    return INVERSION @ turn(1 / 2) @ g


def mirror(degrees: float) -> Tensor:
    """The vertical mirror plane whose trace lies at an angle to x."""
    return INVERSION @ turn(1 / 2, across(degrees + 90))


def doubled(rows: dict[str, list[float]]) -> dict[str, list[float]]:
    """The table of G x inversion from that of G."""
    even = {f"{label}g": row + row for label, row in rows.items()}
    return even | {f"{label}u": row + [-value for value in row] for label, row in rows.items()}


def primed(rows: dict[str, list[float]]) -> dict[str, list[float]]:
    """The table of G x horizontal mirror plane from that of G."""
    even = {f"{label}'": row + row for label, row in rows.items()}
    return even | {f"{label}''": row + [-value for value in row] for label, row in rows.items()}


C3 = {"A": [1, 1], "E": [2, -1]}
D3 = {"A1": [1, 1, 1], "A2": [1, 1, -1], "E": [2, -1, 0]}
D2 = {"A": [1, 1, 1, 1], "B1": [1, 1, -1, -1], "B2": [1, -1, 1, -1], "B3": [1, -1, -1, 1]}
AXES = [E, turn(1 / 2), turn(1 / 2, (0, 1, 0)), turn(1 / 2, (1, 0, 0))]
D4 = {"A1": [1, 1, 1, 1, 1], "A2": [1, 1, 1, -1, -1], "B1": [1, -1, 1, 1, -1], "B2": [1, -1, 1, -1, 1]}
D4 |= {"E": [2, 0, -2, 0, 0]}
D6 = {"A1": [1, 1, 1, 1, 1, 1], "A2": [1, 1, 1, 1, -1, -1], "B1": [1, -1, 1, -1, 1, -1], "B2": [1, -1, 1, -1, -1, 1]}
D6 |= {"E1": [2, 1, -1, -2, 0, 0], "E2": [2, -1, -1, 2, 0, 0]}
D5 = {"A1": [1, 1, 1, 1], "A2": [1, 1, 1, -1], "E1": [2, -SILVER, -GOLD, 0], "E2": [2, -GOLD, -SILVER, 0]}
O = {"A1": [1, 1, 1, 1, 1], "A2": [1, 1, -1, -1, 1], "E": [2, -1, 0, 0, 2], "T1": [3, 0, -1, 1, -1]}
O |= {"T2": [3, 0, 1, -1, -1]}
ICO = {"A": [1, 1, 1, 1, 1], "T1": [3, GOLD, SILVER, 0, -1], "T2": [3, SILVER, GOLD, 0, -1], "G": [4, -1, -1, 1, 0]}
ICO |= {"H": [5, 0, 0, -1, 1]}
TD = {"A1": [1, 1, 1, 1, 1], "A2": [1, 1, 1, -1, -1], "E": [2, -1, 2, 0, 0], "T1": [3, 0, -1, 1, -1]}
TD |= {"T2": [3, 0, -1, -1, 1]}
CUBE = [E, turn(1 / 3, (1, 1, 1)), turn(1 / 2, (1, 1, 0)), turn(1 / 4), turn(1 / 2)]
FIVE = (0.0, 1.0, GOLD)
SOLID = [E, turn(1 / 5, FIVE), turn(2 / 5, FIVE), turn(1 / 3, (1, 1, 1)), turn(1 / 2)]
SIX = [E, turn(1 / 6), turn(1 / 3), turn(1 / 2), turn(1 / 2, across(0)), turn(1 / 2, across(30))]
FOUR = [E, turn(1 / 4), turn(1 / 2), turn(1 / 2, across(0)), turn(1 / 2, across(45))]
THREE = [E, turn(1 / 3), turn(1 / 2, across(0))]
STAGGERED = {"A1": [1, 1, 1, 1, 1], "A2": [1, 1, 1, -1, -1], "B1": [1, -1, 1, 1, -1], "B2": [1, -1, 1, -1, 1]}


def with_(extra: Tensor, elements: list[Tensor]) -> list[Tensor]:
    return elements + [extra @ g for g in elements]


#: symbol: elements of the classes, rows of the printed table in its order.
TABLES: dict[str, tuple[list[Tensor], dict[str, list[float]]]] = {
    "Cs": ([E, improper(E)], {"A'": [1, 1], "A''": [1, -1]}),
    "Ci": ([E, INVERSION], {"Ag": [1, 1], "Au": [1, -1]}),
    "C2v": (
        [E, turn(1 / 2), mirror(0), mirror(90)],
        {"A1": [1, 1, 1, 1], "A2": [1, 1, -1, -1], "B1": [1, -1, 1, -1], "B2": [1, -1, -1, 1]},
    ),
    "C3v": ([E, turn(1 / 3), mirror(0)], D3),
    "C5v": ([E, turn(1 / 5), turn(2 / 5), mirror(0)], D5),
    "C3h": (with_(improper(E), [E, turn(1 / 3)]), primed(C3)),
    "S4": (
        [E, improper(turn(1 / 4)), turn(1 / 2), improper(turn(3 / 4))],
        {"A": [1, 1, 1, 1], "B": [1, -1, 1, -1], "E": [2, 0, -2, 0]},
    ),
    "D2": (AXES, D2),
    "D2h": (with_(INVERSION, AXES), doubled(D2)),
    "D3h": (with_(improper(E), THREE), primed(D3)),
    "D3d": (with_(INVERSION, THREE), doubled(D3)),
    "D4h": (with_(INVERSION, FOUR), doubled(D4)),
    "D6h": (with_(INVERSION, SIX), doubled(D6)),
    "D2d": (
        [E, improper(turn(1 / 4)), turn(1 / 2), turn(1 / 2, across(0)), mirror(45)],
        STAGGERED | {"E": [2, 0, -2, 0, 0]},
    ),
    "D4d": (
        [E, improper(turn(1 / 8)), turn(1 / 4), improper(turn(3 / 8)), turn(1 / 2), turn(1 / 2, across(0))],
        {"A1": [1, 1, 1, 1, 1, 1], "A2": [1, 1, 1, 1, 1, -1], "B1": [1, -1, 1, -1, 1, 1], "B2": [1, -1, 1, -1, 1, -1]}
        | {"E1": [2, ROOT, 0, -ROOT, -2, 0], "E2": [2, 0, -2, 0, 2, 0], "E3": [2, -ROOT, 0, ROOT, -2, 0]},
    ),
    "Td": ([E, turn(1 / 3, (1, 1, 1)), turn(1 / 2), improper(turn(1 / 4)), mirror(45)], TD),
    "Oh": (with_(INVERSION, CUBE), doubled(O)),
    "Ih": (with_(INVERSION, SOLID), doubled(ICO)),
}


@pytest.mark.parametrize("symbol", list(TABLES))
def test_printed_character_tables(symbol: str) -> None:
    classes, rows = TABLES[symbol]
    irreps = PointGroup(symbol).irreps()
    assert [irrep.label for irrep in irreps] == list(rows)
    for irrep in irreps:
        found = irrep.character(torch.stack(classes))
        assert torch.allclose(found, torch.tensor(rows[irrep.label], dtype=torch.float64), atol=1e-10)  # type: ignore[index]


def test_a_table_of_another_setting_does_not_pass() -> None:
    """With the planes of C2v exchanged, B1 and B2 change places: the table sees the setting."""
    classes, rows = TABLES["C2v"]
    swapped = torch.stack([classes[0], classes[1], classes[3], classes[2]])
    b1 = PointGroup("C2v").irreps()[2]
    assert b1.label == "B1" and torch.allclose(b1.character(swapped), torch.tensor(rows["B2"]).double())


#: Orders of the 32 groups in the order of the International Tables.
ORDERS = [1, 2, 2, 2, 4, 4, 4, 8, 4, 4, 8, 8, 8, 8, 16, 3, 6, 6, 6, 12, 6, 6, 12, 12, 12, 12, 24, 12, 24, 24, 24, 48]


def test_the_32_groups_of_crystals() -> None:
    """Their orders; no two are conjugate (spectra of traces and determinants differ); both names mean one group."""
    groups = PointGroup.crystallographic()
    assert [group.order for group in groups] == ORDERS
    seen = set()
    for group in groups:
        assert group.hermann_mauguin is not None and PointGroup(group.hermann_mauguin) == group
        g = group.elements()
        trace, sign = g.diagonal(dim1=1, dim2=2).sum(-1), torch.linalg.det(g)
        assert torch.allclose(trace, trace.round(), atol=1e-12)  # the crystallographic restriction
        seen.add(tuple(sorted(zip(trace.round().tolist(), sign.round().tolist(), strict=True))))
    assert len(seen) == 32
    assert PointGroup("C5").hermann_mauguin is None


@pytest.mark.parametrize(
    ("symbol", "order"),
    [("C7", 7), ("C7v", 14), ("C8h", 16), ("S10", 10), ("S12", 12), ("D9", 18), ("D5h", 20), ("D5d", 20), ("D12d", 48)],
)
def test_molecular_families(symbol: str, order: int) -> None:
    """Orders; labels without repeats; sum of d^2 / e over the real representations is the order."""
    group = PointGroup(symbol)
    irreps = group.irreps()
    assert group.order == order and len({irrep.label for irrep in irreps}) == len(irreps)
    assert sum(r.dimension**2 // COMMUTANT_DIMENSION[r.kind] for r in irreps) == order


def test_shapes_have_their_groups() -> None:
    """Ammonia C3v, ethane (staggered) D3d, benzene D6h, methane Td: atoms move to atoms, also under no larger list."""
    angle = torch.arange(6).double() * math.pi / 3
    ring = torch.stack([angle.cos(), angle.sin(), torch.zeros(6).double()], -1)
    up = torch.tensor([0.0, 0, 0.7], dtype=torch.float64)
    ethane = turn(1 / 12) @ torch.stack([p + up * (-1) ** k for k, p in enumerate(ring)]).T
    tetrahedron = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    shapes = {"3m": ring[::2] + up, "-3m": ethane.T, "6/mmm": ring, "-43m": tetrahedron}
    for symbol, points in shapes.items():
        action = NaturalAction(PointGroup(symbol))
        assert _kept(action.group.elements(), points)
        assert not _kept(PolyhedralGroup("octahedral").elements(), points)
        images = action.orbit(points[0])
        assert len(torch.unique((images * 1e6).round(), dim=0)) == len(points)


def _kept(g: Tensor, points: Tensor) -> bool:
    away = torch.cdist((g @ points.T).mT, points.expand(len(g), -1, -1))
    return bool((away.amin(-1) < 1e-9).all())


#: Printed correlations: where the components of vectors, axial vectors, and atomic levels go.
BRANCHINGS = [
    ("C2v", 1, 1, "A1 B1 B2"),
    ("C2v", 1, -1, "A2 B1 B2"),
    ("C3v", 2, 1, "A1 E E"),
    ("D3h", 1, 1, "A2'' E'"),
    ("D3h", 1, -1, "A2' E''"),
    ("D4h", 2, 1, "A1g B1g B2g Eg"),
    ("D6h", 1, 1, "A2u E1u"),
    ("Td", 1, -1, "T1"),
    ("Td", 3, 1, "A1 T1 T2"),
    ("Oh", 3, 1, "A2u T1u T2u"),
    ("Oh", 4, 1, "A1g Eg T1g T2g"),
    ("Ih", 3, 1, "T2u Gu"),
    ("Ih", 6, 1, "Ag T1g Gg Hg"),
    ("C3h", 1, 1, "A'' E'"),
    ("S4", 1, 1, "B E"),
]


@pytest.mark.parametrize(("symbol", "degree", "sigma", "parts"), BRANCHINGS)
def test_branching(symbol: str, degree: int, sigma: int, parts: str) -> None:
    found = PointGroup(symbol).branching(degree, sigma)
    assert sorted(label for label, times in found.items() for _ in range(times)) == sorted(parts.split())


def test_branching_is_refused_where_it_has_no_meaning() -> None:
    with pytest.raises(ValueError, match="expected sigma as 1"):
        PointGroup("Td").branching(1, 0)
    with pytest.raises(ValueError, match="expected degree >= 0"):
        PointGroup("Td").branching(-1)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        *[("c_{3v}", "C3v"), ("C_2h", "C2h"), ("S3", "C3h"), ("S2", "Ci"), ("C1v", "Cs"), ("D1h", "C2v"), ("td", "Td")],
        *[("m3m", "Oh"), ("-62m", "D3h"), ("m m 2", "C2v"), ("C3i", "S6")],
    ],
)
def test_spellings(text: str, symbol: str) -> None:
    assert PointGroup(text).symbol == symbol


@pytest.mark.parametrize("text", ["C0", "D", "Dinfh", "C3d", "S4v", "5/m", "K", ""])
def test_unknown_symbols(text: str) -> None:
    with pytest.raises(ValueError, match="expected the symbol of a point group, got"):
        PointGroup(text)
    with pytest.raises(TypeError, match="expected the symbol of a point group, got 3"):
        PointGroup(3)  # type: ignore[arg-type]


class TestContract(GroupContract):
    @pytest.fixture(params=["C1", "S4", "D3h"])
    def group(self, request: pytest.FixtureRequest) -> Group:
        return PointGroup(request.param)
