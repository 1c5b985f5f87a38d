"""Noise sensitivity exponents against a table, closed forms, the Hermite rule and SciPy."""

import json
import math

import mpmath
import pytest
import torch

from pyro_symvi.multiindex import Link, noise_sensitivity

INF = math.inf
TABLE = {  # exponent, coefficient, first-moment exponent, mu_1 to mu_4, each to the digits given
    "linear": (2, "2.00000", 1, (1, 0, 0, 0)),
    "he2": (1, "1.41421", INF, (0, 1, 0, 0)),
    "square": (1, "1.41421", INF, (0, 1, 0, 0)),
    "he3": (2, "6.00000", 3, (0, 0, 1, 0)),
    "he4": (2, "8.00000", INF, (0, 0, 0, 1)),
    "he5": (2, "10.00000", 3, (0, 0, 0, 0)),
    "he6": (2, "12.00000", INF, (0, 0, 0, 0)),
    "abs": (1, "1.32361", INF, (0, 0.9359, 0, -0.2702)),
    "cos": (1, "-1.35696", INF, (0, -0.9595, 0, 0.2770)),
    "gaussian": (1, "-1.27123", INF, (0, -0.8989, 0, 0.3892)),
    "relu": (1, "0.68333", 1, (0.8564, 0.4832, 0, -0.1395)),
    "leaky_relu_0.1": (1, "0.58548", 1, (0.8969, 0.4140, 0, -0.1195)),
    "gelu": (1, "0.71973", 1, (0.8505, 0.5089, 0, -0.1224)),
    "silu": (1, "0.62703", 1, (0.8936, 0.4434, 0, -0.0676)),
    "softplus": (1, "0.39653", 1, (0.9596, 0.2804, 0, -0.0244)),
    "elu": (1, "0.33243", 1, (0.9678, 0.2351, -0.0713, -0.0356)),
    "relu2": (1, "0.89443", 1, (0.7136, 0.6325, 0.2913, 0)),
    "tanh": (2, "0.92214", 1, (0.9646, 0, -0.2364, 0)),
    "erf": (2, "1.10266", 1, (0.9772, 0, -0.1995, 0)),
    "sigmoid": (2, "1.43840", 1, (0.9921, 0, -0.1223, 0)),
    "sin": (2, "0.62607", 1, (0.9225, 0, -0.3766, 0)),
    "sin2": (2, "0.00537", 1, (0.3829, 0, -0.6252, 0)),
    "cube": (2, "6.00000", 1, (0.7746, 0, 0.6325, 0)),
    "quartic": (2, "8.00000", INF, (0, 0, 0, 1)),
    "sign": (INF, "0.00000", 1, (0.7979, 0, -0.3257, 0)),
    "step": (INF, "0.00000", 1, (0.7979, 0, -0.3257, 0)),
    "b4": (2, "1.74494", INF, (0, 0, 0, -0.6820)),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_to_all_its_digits(name):
    exponent, coefficient, first, mu = TABLE[name]
    found = noise_sensitivity(name)
    assert (found.exponent, found.first_moment_exponent) == (exponent, first)
    assert f"{found.coefficient:.5f}" == coefficient
    assert [round(v, 4) + 0.0 for v in found.hermite[1:5]] == [float(v) for v in mu]
    assert found.error < 1e-13


@pytest.mark.parametrize("degree", range(3, 11))
def test_hermite_rule(degree):
    found = noise_sensitivity(f"he{degree}")
    assert found.second_moments[0] == pytest.approx(0, abs=1e-12)
    assert found.exponent == 2
    assert found.coefficient == pytest.approx(2 * degree, rel=1e-11)
    assert found.information_exponent == degree


@pytest.mark.parametrize("name", ["relu", "tanh", "abs", "he4", "sign"])
@pytest.mark.parametrize(("slope", "shift"), [(2.5, -3.0), (-0.4, 7.0)])
def test_affine_maps_change_neither_exponent(name, slope, shift):
    plain, raw = noise_sensitivity(name), Link.of(name).raw
    moved = noise_sensitivity(lambda z: slope * raw(z) + shift)
    assert moved.exponent == plain.exponent
    assert moved.first_moment_exponent == plain.first_moment_exponent
    sign = math.copysign(1, slope) ** (plain.exponent if plain.exponent < INF else 1)
    assert moved.coefficient == pytest.approx(sign * plain.coefficient, rel=1e-11, abs=1e-14)
    bare = noise_sensitivity(lambda z: slope * raw(z) + shift, standardise=False)
    if plain.exponent == 1:  # without standardising the coefficient carries the scale to its power
        assert bare.coefficient == pytest.approx(slope * Link.of(name).scale * plain.coefficient, rel=1e-11)


def test_closed_forms():
    root = math.sqrt(2 / math.pi)
    assert noise_sensitivity("abs").coefficient == pytest.approx(root / math.sqrt(1 - 2 / math.pi), rel=1e-13)
    spread = math.sqrt(0.5 - 1 / (2 * math.pi))
    assert noise_sensitivity("relu").coefficient == pytest.approx(1 / math.sqrt(2 * math.pi) / spread, rel=1e-13)
    bell = noise_sensitivity("gaussian")
    assert bell.coefficient * bell.link.scale == pytest.approx(-(2**-1.5), rel=1e-13)
    for w in (0.5, 1.0, 1.7):
        wave = noise_sensitivity(lambda z, w=w: torch.cos(w * z))
        variance = (1 + math.exp(-2 * w * w)) / 2 - math.exp(-w * w)
        assert wave.coefficient == pytest.approx(-w * w * math.exp(-w * w / 2) / math.sqrt(variance), rel=1e-12)
        odd = noise_sensitivity(lambda z, w=w: torch.sin(w * z))
        size = (1 - math.exp(-2 * w * w)) / 2
        assert odd.second_moments[1] == pytest.approx(2 * w * w * math.exp(-2 * w * w) / size, rel=1e-11)


def test_against_mpmath_with_a_jump_off_zero():
    t = 0.3
    found = noise_sensitivity(lambda z: (z > t).double())
    with mpmath.workdps(30):
        above = mpmath.ncdf(-t)
        exact = t * mpmath.npdf(t) / mpmath.sqrt(above * (1 - above))
    assert found.exponent == 1
    assert found.coefficient == pytest.approx(float(exact), rel=1e-11)


def test_powers_up_to_five_against_mpmath():
    found = noise_sensitivity("softplus", max_power=5)
    with mpmath.workdps(18):

        def expected(f):
            return mpmath.quad(lambda z: f(z) * mpmath.npdf(z), [-12, -4, 0, 4, 12])

        mean = expected(lambda z: mpmath.log1p(mpmath.exp(z)))
        scale = mpmath.sqrt(expected(lambda z: (mpmath.log1p(mpmath.exp(z)) - mean) ** 2))
        for power in (1, 3, 5):
            exact = expected(lambda z, b=power: ((mpmath.log1p(mpmath.exp(z)) - mean) / scale) ** b * (z * z - 1))
            assert found.second_moments[power - 1] == pytest.approx(float(exact), rel=1e-11)


def test_an_infinite_exponent_is_claimed_only_where_it_is_proved():
    """Three values, placed so that the first power is blind and the second is not; and one that no low power sees."""
    blind = noise_sensitivity("sign")
    assert blind.exponent == INF and any("few values" in w for w in blind.warnings)
    three = noise_sensitivity(lambda z: torch.sign(z) * (z.abs() > 1).double())
    assert three.exponent == 2
    assert noise_sensitivity(three.link, max_power=1).exponent is None  # three values take two powers
    low = noise_sensitivity("tanh", max_power=1)  # many values: nothing is proved by one power
    assert low.exponent is None and any("not proved" in w for w in low.warnings)


def test_the_trap_of_a_small_coefficient_is_said_in_words():
    wave = noise_sensitivity("sin2")
    assert wave.exponent == 2
    assert wave.coefficient == pytest.approx(8 * math.exp(-8) / ((1 - math.exp(-8)) / 2), rel=1e-11)
    assert any("formally 2" in w and "5.4e-03" in w for w in wave.warnings)
    assert not noise_sensitivity("tanh").warnings
    heavy = noise_sensitivity("he4")
    assert heavy.crossover_snr == pytest.approx(1.1e-3, rel=0.05)
    assert any("later powers overtake" in w for w in heavy.warnings)


def test_crossover_is_where_two_powers_tell_the_same():
    found = noise_sensitivity("b4")
    c = found.second_moments
    information = [found.crossover_snr**b * c[b - 1] ** 2 / math.factorial(b) for b in range(1, 7)]
    assert max(information[2:]) == pytest.approx(information[1], rel=1e-9)


def test_numerical_dust_is_no_coefficient():
    assert noise_sensitivity(lambda z: torch.tanh(z) + 1e-12 * z.square()).exponent == 2
    assert noise_sensitivity(lambda z: torch.tanh(z) + 1e-6 * z.square()).exponent == 1
    large = noise_sensitivity(lambda z: 1e6 * torch.tanh(z) + 1e-6 * z.square(), standardise=False)
    assert large.exponent == 2  # the tolerance is relative: c_1 = 2e-6 where 9e5 is possible


def test_report_and_record():
    found = noise_sensitivity("sign")
    assert "infinity" in str(found) and "jumps" in str(found)
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["exponent"] == "infinity" and record["parity"] == "odd"
    assert repr(noise_sensitivity("abs")) == "NoiseSensitivity('abs', exponent=1, coefficient=1.32361)"


@pytest.mark.parametrize(
    ("options", "words"),
    [({"max_power": 0}, "max_power"), ({"tol": 0.0}, "tol"), ({"tol": 1}, "tol"), ({"hermite": 2}, "hermite")],
    ids=["power", "zero", "integer", "count"],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        noise_sensitivity("relu", **options)
