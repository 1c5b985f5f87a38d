"""Advice: which guide in which region, and that nothing is claimed which is not known."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from pyro_symvi.groups import SignedPermutations, Symmetric
from pyro_symvi.guides import OrbitMixture
from pyro_symvi.multiindex import CommitteeSpec, GuideAdvice, Link, advise_guide, committee_thresholds

B4, TANH, ABS = Link.of("b4"), Link.of("tanh"), Link.of("abs")
TIED, INFORMED, RANDOM = "tied", "orbit-mixture, informed start", "orbit-mixture"


@dataclass(frozen=True)
class Given:
    """Thresholds as the advice reads them."""

    activation: str
    units: int
    noise: float
    information: float | None
    algorithmic: float | None
    exponent: float | None = 2
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"information": self.information}


def advice(link: Any, units: int, ratio: float, information: float | None, algorithmic: float | None) -> GuideAdvice:
    spec = CommitteeSpec(link, units, 0.5)
    given: Any = Given(spec.link.name, units, 0.5, information, algorithmic)
    return advise_guide(spec, n=ratio * 100, d=100, thresholds=given)


@pytest.mark.parametrize(
    ("ratio", "information", "algorithmic", "guide"),
    [
        (9.9, 10.0, 20.0, TIED),
        (10.0, 10.0, 20.0, INFORMED),
        (19.9, 10.0, 20.0, INFORMED),
        (20.0, 10.0, 20.0, RANDOM),
        (9.9, 10.0, 10.0, TIED),  # no gap: nothing between
        (10.0, 10.0, 10.0, RANDOM),
        (9.0, 10.0, 8.0, RANDOM),  # a large-p formula that comes out above the exact threshold does not count
        (7.9, 10.0, 8.0, TIED),
        (1e6, 10.0, math.inf, INFORMED),
        (1e6, 10.0, None, INFORMED),
        (9.9, 10.0, None, TIED),
        (21.0, None, 20.0, RANDOM),
        (1.0, None, 20.0, INFORMED),
        (1.0, None, None, INFORMED),
    ],
)
def test_the_guide_follows_from_the_thresholds(
    ratio: float, information: float | None, algorithmic: float | None, guide: str
) -> None:
    assert advice(B4, 4, ratio, information, algorithmic).guide == guide


def test_what_is_not_known_is_called_so() -> None:
    unknown = advice(B4, 4, 5.0, None, None)
    assert unknown.reason.count("not known") == 2 and "data kept back" in unknown.reason
    assert "not known" in advice(B4, 4, 5.0, None, 20.0).reason
    assert "none (infinite)" in advice(B4, 4, 50.0, 10.0, math.inf).reason
    assert "information-theoretic threshold 8" in advice(B4, 4, 7.0, 10.0, 8.0).reason  # the algorithmic one bounds it
    for known in (advice(B4, 4, r, 10.0, 20.0) for r in (5.0, 15.0, 25.0)):
        assert "not known" not in known.reason


def test_heuristic_thresholds_are_not_called_exact() -> None:
    heuristic, exact = advice(TANH, 4, 5.0, 10.0, 20.0), advice(B4, 4, 5.0, 10.0, 20.0)
    assert "heuristic algorithmic threshold" in advice(TANH, 4, 25.0, 10.0, 20.0).reason
    assert "heuristic" not in advice(B4, 4, 25.0, 10.0, 20.0).reason
    assert "estimated information-theoretic" in exact.reason  # from the limit of many units
    assert "estimated" not in advice(B4, 1, 5.0, 10.0, 20.0).reason
    assert "heuristic" in heuristic.caveats[0] and "exact" not in heuristic.caveats[0]
    assert "exact at 4 units" in exact.caveats[0] and "heuristic" not in exact.caveats[0]


@pytest.mark.parametrize("ratio", [6.6, 6.7, 15.0, 29.9, 30.1])
def test_a_ratio_near_a_threshold_is_called_uncertain(ratio: float) -> None:
    text = advice(B4, 4, ratio, 10.0, 20.0).report()
    assert ("within a factor 1.5" in text) == (6.6667 <= ratio <= 30.0)
    assert (
        "the information-theoretic threshold (10) and of the algorithmic threshold (20)" in " ".join(text.split())
    ) == (ratio == 15.0)


@pytest.mark.parametrize(("link", "units", "copies"), [(TANH, 6, 720), (TANH, 7, 5040), (B4, 4, 384), (B4, 5, 3840)])
def test_copies_and_the_limit_of_the_mixture(link: Link, units: int, copies: int) -> None:
    spec = CommitteeSpec(link, units, 0.5)
    assert spec.copies == spec.group.order == copies
    text = " ".join(advice(link, units, 1.0, 10.0, 20.0).report().split())
    assert f"= {copies:,} copies" in text and f"= {math.log(copies):.3g} nats" in text
    assert ("max_order = 720" in text) == (copies > 720)
    defaults = OrbitMixture.__init__.__defaults__ or ()
    assert defaults[:2] == (720, 64)


def test_one_unit_has_signs_at_most() -> None:
    plain = advice(TANH, 1, 100.0, 1.0, 2.0)
    assert (plain.guide, plain.spec.copies) == (TIED, 1) and "no symmetry to break" in plain.reason
    assert not any("copies" in caveat or "within a factor" in caveat for caveat in plain.caveats)
    even = advice(B4, 1, 100.0, 1.0, 2.0)
    assert (even.guide, even.spec.copies) == (RANDOM, 2)
    for found in (plain, even):
        assert any("no permutation symmetry" in caveat for caveat in found.caveats)
    assert not any("no permutation symmetry" in caveat for caveat in advice(B4, 2, 100.0, 1.0, 2.0).caveats)


def test_polynomials_of_degree_two_single_out_no_axes() -> None:
    assert advice("linear", 3, 1e3, 1.0, 2.0).guide == TIED
    square = CommitteeSpec(lambda z: z**2 + 0.5 * z, 3, 0.5)
    assert square.degree == 2 and CommitteeSpec("cube", 3, 0.5).degree is None
    weights = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    axis = torch.ones(3, dtype=torch.float64) / 3**0.5  # the rotations that keep it leave the output as it is
    angle = torch.tensor(0.7, dtype=torch.float64)
    cross = torch.linalg.cross(axis.expand(3, 3), torch.eye(3, dtype=torch.float64)).T
    turn = torch.matrix_exp(angle * cross)
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    outputs = [square.link(x @ w.T).sum(-1) for w in (weights, turn @ weights)]
    assert torch.allclose(*outputs, rtol=1e-12, atol=1e-12)
    found = advice("square", 3, 1e3, 1.0, 2.0)
    assert any("rotations" in caveat for caveat in found.caveats) and "tell the units apart" not in found.reason
    assert not any("rotations" in caveat for caveat in advice(ABS, 3, 1e3, 1.0, 2.0).caveats)


@pytest.fixture(scope="module")
def computed() -> Any:
    """Of cos z - (e^1.5 / 4) cos 2z, 4 units, noise variance 0.5."""
    return committee_thresholds(B4, 4, 0.5)


def test_computed_thresholds_are_used(computed: Any) -> None:
    spec = CommitteeSpec(B4, 4, 0.5)
    assert computed.algorithmic == pytest.approx(20.99, abs=0.01)  # by characteristic functions, another program
    found = [advise_guide(spec, n=n, d=50, thresholds=computed) for n in (250, 800, 1100)]
    assert [a.guide for a in found] == [TIED, INFORMED, RANDOM]
    for one in found:
        text = " ".join(one.report().split())
        assert "like p^2" in text and "no gap" not in text
        assert "known for many units only" in text  # what the thresholds say of themselves
    assert found[1].ratio == 16.0
    record = json.loads(json.dumps(found[1].to_dict()))
    assert record["guide"] == INFORMED and record["copies"] == 384
    assert str(found[1]) == found[1].report() and max(map(len, found[1].report().splitlines())) <= 100
    for other in (CommitteeSpec(B4, 3, 0.5), CommitteeSpec(B4, 4, 0.6), CommitteeSpec(ABS, 4, 0.5)):
        with pytest.raises(ValueError, match="expected thresholds of this committee"):
            advise_guide(other, 100, 10, thresholds=computed)


def test_relu_has_no_gap() -> None:
    found = advise_guide(CommitteeSpec("relu", 2, 0.5), n=500, d=50)
    assert found.guide == RANDOM and any("no gap" in caveat for caveat in found.caveats)


def test_groups_by_parity() -> None:
    assert isinstance(CommitteeSpec("abs", 3, 1).group, SignedPermutations)
    assert isinstance(CommitteeSpec("tanh", 3, 1).group, Symmetric)  # odd: a sign is no symmetry of the sum
    shifted = CommitteeSpec(lambda z: torch.relu(z - 1), 3, 1)
    assert isinstance(shifted.group, Symmetric)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("relu", 0, 0.5), ValueError, "expected units >= 1, got 0"),
        (("relu", 2.0, 0.5), TypeError, "expected units as an integer"),
        (("relu", True, 0.5), TypeError, "expected units as an integer"),
        (("relu", 2, 0.0), ValueError, "expected noise as a positive variance"),
        (("relu", 2, math.nan), ValueError, "expected noise as a positive variance"),
        (("relu", 2, "1"), TypeError, "expected noise as a number"),
        (("rleu", 2, 0.5), ValueError, "relu"),
        ((3, 2, 0.5), TypeError, "expected an activation"),
    ],
)
def test_wrong_committees(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CommitteeSpec(*arguments)


@pytest.mark.parametrize(
    ("n", "d", "error", "message"),
    [
        (0, 10, ValueError, "expected n > 0"),
        (math.inf, 10, ValueError, "expected n > 0"),
        ("10", 10, TypeError, "expected n as a number"),
        (10, 10.5, TypeError, "expected d as an integer"),
        (10, 2, ValueError, "expected d >= 3"),
    ],
)
def test_wrong_sizes(n: Any, d: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        advise_guide(CommitteeSpec("relu", 3, 0.5), n, d)
    with pytest.raises(TypeError, match="expected a CommitteeSpec"):
        advise_guide("relu", 10, 10)  # type: ignore[arg-type]
