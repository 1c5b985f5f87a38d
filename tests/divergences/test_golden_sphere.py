"""Von Mises-Fisher guides, to the digits of the reviewed figures: 1c.1 to 1c.3 and the thresholds of a bipolar target.

Points of the sphere of R^3 by the cosine t about an axis (Gauss-Legendre, area 2 pi dt) or by t and an angle; of the
circle by 512 equal angles. Targets are normalised on the same rule.
"""

import math
from collections.abc import Sequence

import pytest
import torch
from scipy import optimize
from torch import Tensor

from pyro_symvi.divergences import Alpha, Divergence, ReverseKL
from pyro_symvi.families import VonMisesFisherFamily
from tests.divergences.quadrature import hessian, minimize, objective, panels, t

Rule = tuple[Tensor, Tensor]
SPACE, PLANE, AXIS = VonMisesFisherFamily(3), VonMisesFisherFamily(2), t(0.0, 0.0, 1.0)


def zonal(edges: Sequence[float], nodes: int) -> Rule:
    cosine, log_weight = panels(edges, nodes)
    points = torch.stack([(1 - cosine**2).sqrt(), 0 * cosine, cosine], -1)
    return points, log_weight + math.log(2 * math.pi)


def circle() -> Rule:
    angle = torch.arange(512, dtype=torch.float64) * 2 * math.pi / 512
    return torch.stack([angle.sin(), angle.cos()], -1), torch.full_like(angle, math.log(2 * math.pi / 512))


def loss(divergence: Divergence, family: VonMisesFisherFamily, rule: Rule, log_p: Tensor, eta: Tensor) -> Tensor:
    """``eta``: the signed concentration about the last axis, shape []."""
    axis = torch.zeros(family.dim, dtype=torch.float64)
    axis[-1] = 1.0
    parameters = {"direction": torch.where(eta >= 0, axis, -axis), "concentration": eta.abs()}
    log_q = family.log_prob(rule[0], parameters)
    return objective(divergence, log_p - torch.logsumexp(log_p + rule[1], 0), log_q, log_q + rule[1])


def bipolar(family: VonMisesFisherFamily, rule: Rule, k: float, eta: Tensor) -> Tensor:
    return loss(ReverseKL(), family, rule, k * rule[0][:, -1] ** 2, eta)


def pole_and_uniform(family: VonMisesFisherFamily, rule: Rule, k: float) -> tuple[float, float, float]:
    """Concentration and KL of the fit at a pole, KL of the uniform law."""
    x, value = minimize(lambda s: bipolar(family, rule, k, s[0]), [2 * k - 3.0])
    return float(x[0]), value, float(bipolar(family, rule, k, t(0.0)[0]))


AROUND = zonal([-1.0, 0.0, 0.8, 0.95, 1.0], 40)
BIPOLAR = {
    4.0: (4.529772, 0.6889450, 0.7740047), 10.0: (17.745967, 0.6960592, None), 20.0: (37.888544, 0.6935818, None),
    3.7: (2.902009, 0.664957, 0.665804),
}  # fmt: skip


@pytest.mark.parametrize("k", BIPOLAR)
def test_1c1_a_bipolar_target_has_two_optima(k: float) -> None:
    """p = exp(k t^2): a pole beats the uniform law, at k = 3.7 too, where the latter is still a local minimum."""
    expected = BIPOLAR[k]
    concentration, value, uniform = pole_and_uniform(SPACE, AROUND, k)
    assert concentration == pytest.approx(expected[0], abs=1e-6)
    assert value == pytest.approx(expected[1], abs=1e-7 if k != 3.7 else 6e-7)
    assert value < uniform - 5e-4
    if expected[2] is not None:
        assert uniform == pytest.approx(expected[2], abs=1e-7 if k != 3.7 else 6e-7)


@pytest.mark.parametrize(("dim", "local", "switch"), [(3, 15 / 4, 3.69594), (2, 4.0, 3.61494)])
def test_thresholds_of_a_bipolar_target(dim: int, local: float, switch: float) -> None:
    """Local: curvature at concentration 0 vanishes at n (n + 2) / (2 (n - 1)). Global: a transition of first order."""
    family, rule = (SPACE, AROUND) if dim == 3 else (PLANE, circle())

    def curvature(k: float) -> float:
        def at(s: Tensor) -> Tensor:  # the concentration without its absolute value, which has no slope at 0
            log_q = family.log_prob(rule[0], {"direction": t(*[0.0] * (dim - 1), 1.0), "concentration": s[0]})
            return objective(ReverseKL(), k * rule[0][:, -1] ** 2, log_q, log_q + rule[1])

        return hessian(at, [0.0]).item()

    assert curvature(local) == pytest.approx(0.0, abs=1e-10)
    assert curvature(local - 0.01) > 1e-4 and curvature(local + 0.01) < -1e-4

    def gap(k: float) -> float:
        x, value = minimize(lambda s: bipolar(family, rule, k, s[0]), [3.5])
        assert x[0] > 1.0
        return value - float(bipolar(family, rule, k, t(0.0)[0]))

    assert optimize.brentq(gap, switch - 5e-4, switch + 5e-4, xtol=1e-8) == pytest.approx(switch, abs=1e-5)


FLIPPED = {0.0: 3.40201, 0.5: 2.15728, 1.0: 0.62121, 1.5: -0.31596, 2.0: -0.72067}


def steps() -> tuple[Rule, Tensor]:
    """The density of t: 10 on [-1, -.98], 1e-4 up to 0, .8 up to 1; panels end at the jumps."""
    rules = [zonal([-1.0, -0.98], 20), zonal([-0.98, -0.5, 0.0], 20), zonal([0.0, 0.5, 1.0], 20)]
    heights = [torch.full_like(r[1], math.log(h)) for r, h in zip(rules, (10.0, 1e-4, 0.8), strict=True)]
    return (torch.cat([r[0] for r in rules]), torch.cat([r[1] for r in rules])), torch.cat(heights)


def escort_mean(alpha: float) -> float:
    (points, log_area), heights = steps()
    return float(torch.softmax(alpha * heights + log_area, 0) @ points[:, 2])


def test_1c2_the_sign_of_the_direction_depends_on_the_order() -> None:
    """The axis is right, the direction that of the escort mean; E t = +.2019322."""
    rule, heights = steps()
    assert escort_mean(1.0) == pytest.approx(0.2019322, abs=1e-7)
    assert escort_mean(1.2) > 0 > escort_mean(1.5)
    for alpha, expected in FLIPPED.items():
        divergence = Alpha(alpha)
        fits = [minimize(lambda s, d=divergence: loss(d, SPACE, rule, heights, s[0]), [s0]) for s0 in (2.0, -2.0)]
        x, _ = min(fits, key=lambda fit: fit[1])
        assert x[0] == pytest.approx(expected, abs=6e-6)


@pytest.mark.parametrize(
    ("height", "width", "on_axis", "off_axis"),
    [
        (0.5, 50.0, (3.50851, 5.110507), (33.8069, 2.191605, 0.530931)),
        (0.5, 10.0, (2.693183, 0.812410), None),
        (0.8, 50.0, (7.318771, 0.717920), None),
    ],
)
def test_1c3_a_small_circle_has_optima_off_its_axis(
    height: float, width: float, on_axis: tuple[float, float], off_axis: tuple[float, float, float] | None
) -> None:
    """p = exp(-b (t - t0)^2), 300 x 256 nodes: the narrow circle of radius 60 degrees draws the direction to itself."""
    cosine, log_weight = panels([-1.0, 1.0], 300)
    angle = torch.arange(256, dtype=torch.float64) * 2 * math.pi / 256
    sine = (1 - cosine**2).sqrt()[:, None]
    points = torch.stack([sine * angle.cos(), sine * angle.sin(), cosine[:, None].expand(-1, 256)], -1).reshape(-1, 3)
    log_area = (log_weight + math.log(2 * math.pi / 256))[:, None].expand(-1, 256).reshape(-1)
    log_p = -width * (points[:, 2] - height) ** 2
    log_p = log_p - torch.logsumexp(log_p + log_area, 0)

    def at(theta: Tensor, log_kappa: Tensor) -> Tensor:
        direction = torch.stack([theta.sin(), 0 * theta, theta.cos()])
        log_q = SPACE.log_prob(points, {"direction": direction, "concentration": log_kappa.exp()})
        return objective(ReverseKL(), log_p, log_q, log_q + log_area)

    x, axial = minimize(lambda v: at(0 * v[0], v[0]), [1.2])
    assert (math.exp(x[0]), axial) == pytest.approx(on_axis, abs=6e-6)
    y, best = minimize(lambda v: at(v[0], v[1]), [1.0, 2.5], newton=1)
    if off_axis is None:
        assert abs(y[0]) < 1e-5 and best == pytest.approx(axial, abs=1e-9)
    else:
        assert (math.exp(y[1]), best, math.cos(y[0])) == pytest.approx(off_axis, rel=3e-6)


def test_a_wrong_measure_is_seen() -> None:
    """The rule of a line in place of the sphere's area (1 - t^2)^(-1/2) dt of the circle: the figure of k = 4 moves."""
    points, log_area = AROUND
    bent = points, log_area - 0.5 * torch.log(1 - points[:, 2] ** 2)
    x, _ = minimize(lambda s: bipolar(SPACE, bent, 4.0, s[0]), [4.0])
    assert abs(x[0] - BIPOLAR[4.0][0]) > 0.05
