"""What is true of each base law, and which families are closed under which action? Two tables, computed; no timing.

A family is closed under an action where the image of each of its laws under each group element is one of its laws:
premise 2 of every recovery theorem. "yes" alone: the scale stays as it is, the action moves the location only.

    python benchmarks/what_families_keep.py
"""

from __future__ import annotations

import torch

from pyro_symvi import groups
from pyro_symvi.distributions import Cauchy, GeneralizedNormal, Laplace, Logistic, Normal, StudentT, UniformBall
from pyro_symvi.families import BlockDiagonal, Family, Fixed, LocationScale, Tied, VonMisesFisherFamily

DIM = 4
BASES = [
    Normal(),
    StudentT(5.0, spherical=True),
    StudentT(5.0),
    Cauchy(spherical=True),
    Laplace(),
    Laplace(spherical=True),
    Logistic(),
    GeneralizedNormal(3.0),
    GeneralizedNormal(0.5, spherical=True),
    UniformBall(),
]


def families() -> dict[str, Family]:
    exchangeable = Tied(groups.CoordinatePermutation(DIM))
    return {
        "normal, full": LocationScale(DIM),
        "Laplace, full": LocationScale(DIM, "laplace"),
        "normal, diagonal": LocationScale(DIM, "normal", "diagonal"),
        "Student-t, isotropic": LocationScale(DIM, "student_t", "isotropic", 5.0),
        "normal, low rank": LocationScale(DIM, "normal", "low_rank"),
        "normal, blocks 2 + 2": LocationScale(DIM, "normal", BlockDiagonal([2, 2])),
        "normal, tied by permutations": LocationScale(DIM, "normal", exchangeable),
        "normal, fixed diag(1, 2, 3, 4)": LocationScale(DIM, "normal", Fixed([1.0, 2.0, 3.0, 4.0])),
        "von Mises-Fisher": VonMisesFisherFamily(DIM),
    }


def actions() -> dict[str, groups.Action]:
    slope = torch.ones(1, 1, dtype=torch.float64)
    origin = {"center": torch.zeros(DIM)}
    return {
        "point reflection": groups.PointReflection(**origin),
        "axis flips": groups.AxisFlips(**origin),
        "permutations": groups.CoordinatePermutation(DIM),
        "signed permutations": groups.SignedCoordinatePermutation(DIM),
        "rotations": groups.SphereRotation(DIM),
        "rotations of an ellipse": groups.EllipticalRotation(**origin),
        "regression of 4 on 1": groups.ConditionalReflection([3], 0.0, slope, given=[0]).bind(DIM),
        "regression of 1 on 4": groups.ConditionalReflection([0], 0.0, slope, given=[3]).bind(DIM),
        "translations": groups.TranslationAction(DIM),
    }


def row(cells: list[str]) -> None:
    print("| " + " | ".join(cells) + " |")


def yes(value: bool) -> str:
    return "yes" if value else "-"


def print_bases() -> None:
    row(
        [
            "base",
            "spherical",
            "log-concave",
            "strictly",
            "convex level sets, d = 3",
            "positive everywhere",
            "tail, d = 3",
        ]
    )
    row(["---"] * 7)
    for law in BASES:
        tail = law.tail(3)
        fall = {"compact": "0 beyond 1", "exponential": f"exp(-r^{tail.exponent:g})", "power": f"r^-{tail.exponent:g}"}
        shape = [law.spherical, law.log_concave, law.strictly_log_concave, law.has_convex_superlevel_sets(3)]
        row([f"`{law!r}`", *(yes(value) for value in (*shape, law.full_support)), fall[tail.kind]])


def print_closure() -> None:
    named = actions()
    row(["family", *named])
    row(["---"] * (1 + len(named)))
    for name, family in families().items():
        cells = []
        for action in named.values():
            closure = family.closure(action)
            cells.append("-" if not closure else "moves the scale" if closure.moves_scale else "yes")
        row([name, *cells])


if __name__ == "__main__":
    print_bases()
    print()
    print_closure()
