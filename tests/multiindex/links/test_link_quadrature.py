"""The quadrature of a link against SciPy, closed forms and a plain grid."""

import itertools
import math

import pytest
import torch
from scipy import integrate, stats
from torch import nn

from pyro_symvi.multiindex import ACTIVATIONS, Link, activation_named, hermite_functions

KINKED = {
    "relu at 1": (lambda z: torch.relu(z - 1.0), [1.0]),
    "step at 0.3": (lambda z: (z > 0.3).double(), [0.3]),
    "dead zone": (lambda z: torch.relu(z.abs() - 0.7123), [-0.7123, 0.7123]),
    "hardtanh": (nn.Hardtanh(-0.513, 2.2), [-0.513, 2.2]),
}


def by_scipy(function, places):
    """E f and E f^2 by SciPy's adaptive quadrature with the breaks given."""

    def moment(power):
        def integrand(z):
            return float(function(torch.tensor([z], dtype=torch.float64))[0]) ** power * stats.norm.pdf(z)

        edges = [-10.0, *places, 10.0]
        return sum(
            integrate.quad(integrand, a, b, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
            for a, b in itertools.pairwise(edges)
        )

    return moment(1), moment(2)


@pytest.mark.parametrize("name", sorted(KINKED))
def test_kinks_off_zero_are_found_and_integrated(name):
    function, places = KINKED[name]
    link = Link.of(function)
    first, second = by_scipy(function, places)
    assert link.mean == pytest.approx(first, abs=2e-12)
    assert link.scale == pytest.approx(math.sqrt(second - first**2), abs=2e-12)
    assert link.breaks == pytest.approx(places, abs=1e-6)
    assert link.error < 1e-12


def test_a_plain_grid_misses_a_kink_that_bisection_finds():
    function, _ = KINKED["relu at 1"]
    exact = by_scipy(lambda z: function(z + 0.1234), [1 - 0.1234])[0]
    moved = Link.of(lambda z: torch.relu(z + 0.1234 - 1.0))
    grid = Link.of(lambda z: torch.relu(z + 0.1234 - 1.0), panels=56)
    assert abs(moved.mean - exact) < 1e-12
    assert abs(grid.mean - exact) > 1e-7  # the outside truth tells the two apart
    assert grid.error > 1e-8  # and the error estimate says so


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_grid_and_adaptive_quadrature_agree(name):
    adaptive, grid = Link.of(name), Link.of(name, panels=56)
    assert adaptive.mean == pytest.approx(grid.mean, abs=1e-13)
    assert adaptive.scale == pytest.approx(grid.scale, rel=2e-6 if name == "relu6" else 1e-13)
    assert torch.allclose(adaptive.hermite(8), grid.hermite(8), atol=1e-8 if name in ("hardtanh", "relu6") else 1e-12)


def test_a_rule_integrates_moments_of_the_normal_law():
    link = Link.of("tanh")
    for power in range(0, 13, 2):
        double_factorial = math.prod(range(power - 1, 0, -2))
        assert float(link.expect(link.nodes**power)) == pytest.approx(double_factorial, rel=1e-13)
    gram = hermite_functions(link.nodes, 11) * link.weights @ hermite_functions(link.nodes, 11).T
    assert torch.allclose(gram, torch.eye(11, dtype=torch.float64), atol=1e-12)


def test_standardised_and_differentiable():
    link = Link.of("gelu")
    assert float(link.expect(link.values)) == pytest.approx(0, abs=1e-14)
    assert float(link.expect(link.values.square())) == pytest.approx(1, abs=1e-13)
    z = torch.linspace(-2, 2, 7, requires_grad=True)
    assert torch.autograd.gradcheck(link, (z.detach().double().requires_grad_(),))
    assert link(z).dtype == torch.float32
    assert Link.of(link) is link


def test_a_module_comes_back_as_it_was():
    module = nn.Sequential(nn.PReLU(), nn.Dropout(0.5))
    link = Link.of(module)
    assert module.training and module[0].weight.dtype == torch.float32 and module[0].weight.requires_grad
    assert link.breaks == (0.0,)
    assert float(link(torch.tensor([-1.0]))) == pytest.approx((-0.25 - link.mean) / link.scale, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "parity"),
    [("abs", "even"), ("b4", "even"), ("tanh", "odd"), ("sigmoid", "odd"), ("relu", "none"), ("he5", "odd")],
)
def test_parity(name, parity):
    assert Link.of(name).parity == parity


def test_parity_sees_a_small_part_of_the_other_kind():
    assert Link.of(lambda z: torch.tanh(z) + 1e6 / 3).parity == "odd"  # up to the rounding of the mean
    assert Link.of(lambda z: torch.tanh(z) + 1e-9 * z.square()).parity == "none"
    assert Link.of(lambda z: z.square() + 1e-9 * z).parity == "none"


@pytest.mark.parametrize(
    ("activation", "error", "words"),
    [
        (lambda z: torch.exp(z * z), ValueError, "grows too fast"),
        (lambda z: torch.full_like(z, 3.0), ValueError, "constant"),
        (lambda z: z.sum(), ValueError, "one number for each"),
        (lambda z: 1 / z.clamp_min(0), ValueError, "finite values"),
        (lambda z: torch.tanh(z.float()), ValueError, "float64"),
        (lambda z: nn.Linear(1, 1)(z[:, None])[:, 0], ValueError, "work on a float64 tensor"),
        ("rlu", ValueError, "relu"),
        ("he99", ValueError, "he20"),
        (3, TypeError, "an activation"),
    ],
    ids=["growing", "constant", "summing", "infinite", "float32", "module inside", "misspelt", "hermite", "number"],
)
def test_what_is_no_activation_is_refused(activation, error, words):
    with pytest.raises(error, match=words):
        Link.of(activation)


def test_names_are_read_loosely():
    z = torch.linspace(-1, 1, 5)
    assert torch.equal(activation_named(" Leaky-ReLU ")(z), nn.functional.leaky_relu(z))
