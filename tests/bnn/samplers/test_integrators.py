"""Integrators against the differential equation, Jacobians, orders; refreshes against the uniform law."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from pyro_symvi.bnn.samplers import ChainState
from pyro_symvi.bnn.samplers._integrators import (
    Moved,
    finite,
    hamiltonian_leapfrog,
    microcanonical_leapfrog,
    minimal_norm,
    turn,
)
from pyro_symvi.bnn.samplers._refresh import mixed_unit, partial_refresh, unit
from tests.contracts.sampler import Valley

DOUBLE = torch.float64


class Normal:
    """N(0, I)."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def value_and_grad(self, theta):
        return -0.5 * theta.square().sum(-1), -theta


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def state_at(target, position: torch.Tensor, seed: int = 1) -> ChainState:
    return ChainState(position, *target.value_and_grad(position), unit(normal(*position.shape, seed=seed)))


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=DOUBLE)


def euler(target, state: ChainState, step_size: torch.Tensor, scale: torch.Tensor) -> Moved:
    """B(1) A(1): first order, the planted bug of the test of the order."""
    momentum, kinetic = turn(state.momentum, state.gradient, step_size)
    position = state.position + step_size * momentum
    value, gradient = target.value_and_grad(position)
    return Moved(ChainState(position, value, gradient, momentum), kinetic - (value - state.log_density))


def slope_of_variance(integrator, dim: int = 10) -> float:
    """Slope of log Var(Delta E) in log step size on N(0, I), one step from 4,000 exact draws."""
    target, sizes = Normal(dim), np.geomspace(0.1, 0.4, 5)
    state = state_at(target, normal(4000, dim))
    ones = torch.ones(dim, dtype=DOUBLE)
    variances = [float(integrator(target, state, number(size), ones).energy_error.var()) for size in sizes]
    return float(np.polyfit(np.log(sizes), np.log(variances), 1)[0])


def test_energy_variance_of_the_minimal_norm_step_falls_with_the_sixth_power() -> None:
    assert abs(slope_of_variance(minimal_norm) - 6) < 0.3


def test_a_first_order_step_does_not() -> None:
    assert abs(slope_of_variance(euler) - 4) < 0.3


def test_minimal_norm_adds_less_energy_than_two_leapfrog_steps() -> None:
    """At the same two gradients: McLachlan's coefficient makes the leading error over ten times smaller."""
    target, ones = Normal(10), torch.ones(10, dtype=DOUBLE)
    state = state_at(target, normal(2000, 10))
    one = minimal_norm(target, state, number(0.4), ones).energy_error.var()
    two = microcanonical_leapfrog(target, state, number(0.2), ones, 2).energy_error.var()
    assert float(two / one) > 3


@pytest.mark.parametrize("size", [1e-8, 1.0, 300.0, 1e12], ids=["tiny", "one", "large", "huge"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
def test_momentum_stays_on_the_sphere(size: float, dtype: torch.dtype) -> None:
    u, g = unit(normal(200, 7)).to(dtype), size * normal(200, 7, seed=1).to(dtype)
    turned, kinetic = turn(u, g, torch.tensor(0.3, dtype=dtype))
    assert float((turned.norm(dim=-1) - 1).abs().max()) < (1e-12 if dtype == torch.float64 else 2e-5)
    assert bool(torch.isfinite(kinetic).all())


def test_a_zero_gradient_turns_nothing() -> None:
    u = unit(normal(3, 4))
    turned, kinetic = turn(u, torch.zeros(3, 4, dtype=DOUBLE), number(0.3))
    assert torch.equal(turned, u) and torch.equal(kinetic, torch.zeros(3, dtype=DOUBLE))


def test_turn_solves_its_differential_equation() -> None:
    """u' = (I - u u^T) g / (d - 1), K' = u.g with g constant."""
    u, g, time = unit(normal(1, 5)), 6 * normal(1, 5, seed=3), 0.7
    gradient = g[0].numpy()

    def slope(t: float, z: np.ndarray) -> np.ndarray:
        along = z[:5] @ gradient
        return np.append((gradient - along * z[:5]) / 4, along)

    truth = solve_ivp(slope, (0, time), np.append(u[0].numpy(), 0.0), rtol=1e-12, atol=1e-13).y[:, -1]
    turned, kinetic = turn(u, g, number(time))
    assert np.allclose(turned[0], truth[:5], atol=1e-9) and math.isclose(float(kinetic[0]), truth[5], rel_tol=1e-9)


def test_kinetic_energy_is_minus_the_log_jacobian_on_the_sphere() -> None:
    """Delta K = -log |det| of the tangent map of u -> turn(u), by autograd; (d - 1) and no other factor."""
    u, g, time = unit(normal(1, 5))[0], 3 * normal(1, 5, seed=3), number(0.9)
    jacobian = torch.autograd.functional.jacobian(lambda v: turn(unit(v[None]), g, time)[0][0], u)
    after, kinetic = turn(u[None], g, time)
    before_basis = torch.linalg.svd(u[None])[2][1:]
    after_basis = torch.linalg.svd(after)[2][1:]
    log_det = torch.linalg.slogdet(after_basis @ jacobian @ before_basis.T).logabsdet
    assert math.isclose(float(kinetic[0]), -float(log_det), rel_tol=1e-9)
    assert not math.isclose(float(kinetic[0]) * 5 / 4, -float(log_det), rel_tol=1e-2)


@pytest.mark.parametrize(
    "move",
    [
        lambda t, s, e, k: minimal_norm(t, s, e, k),
        lambda t, s, e, k: microcanonical_leapfrog(t, s, e, k, 7),
        lambda t, s, e, k: hamiltonian_leapfrog(t, s, e, k, 7),
    ],
    ids=["minimal-norm", "leapfrog", "hamiltonian"],
)
def test_reversed_in_time(move) -> None:
    target, scale = Valley(), torch.tensor([1.0, 1.7], dtype=DOUBLE)
    state = state_at(target, target.draw(50, torch.Generator().manual_seed(1)))
    there = move(target, state, number(0.1), scale)
    back = move(target, there.state._replace(momentum=-there.state.momentum), number(0.1), scale)
    assert torch.allclose(back.state.position, state.position, rtol=0, atol=1e-10)
    assert torch.allclose(back.state.momentum, -state.momentum, rtol=0, atol=1e-10)
    assert torch.allclose(back.energy_error, -there.energy_error, rtol=0, atol=1e-9)
    assert float(there.energy_error.abs().max()) > 1e-4


@pytest.mark.parametrize("steps", [100, 200])
def test_fine_steps_follow_the_microcanonical_flow(steps: int) -> None:
    """Path by a Runge-Kutta solver; the energy change goes to that of the flow, which is zero."""
    target, time = Valley(), 1.5
    state = state_at(target, torch.tensor([[1.2, 0.4]], dtype=DOUBLE))

    def slope(t: float, z: np.ndarray) -> np.ndarray:
        g = target.value_and_grad(torch.as_tensor(z[None, :2]))[1][0].numpy()
        return np.concatenate([z[2:], g - (g @ z[2:]) * z[2:]])

    start = np.concatenate([state.position[0], state.momentum[0]])
    truth = solve_ivp(slope, (0, time), start, rtol=1e-11, atol=1e-12).y[:, -1]
    ones = torch.ones(2, dtype=DOUBLE)
    moved = microcanonical_leapfrog(target, state, number(time / steps), ones, steps)
    assert np.allclose(moved.state.position[0], truth[:2], atol=3 / steps**2)
    assert np.allclose(moved.state.momentum[0], truth[2:], atol=3 / steps**2)
    assert abs(float(moved.energy_error[0])) < 3 / steps**2


def test_hamiltonian_flow_of_a_normal_is_a_rotation() -> None:
    target, steps = Normal(3), 1000
    state = state_at(target, normal(4, 3))
    moved = hamiltonian_leapfrog(target, state, number(1.0 / steps), torch.ones(3, dtype=DOUBLE), steps).state
    truth = math.cos(1) * state.position + math.sin(1) * state.momentum
    assert torch.allclose(moved.position, truth, atol=1e-6)


def test_scale_is_a_change_of_coordinates() -> None:
    """A step on N(0, diag(s^2)) with scale s is s times the step on N(0, I)."""

    class Scaled(Normal):
        s = torch.tensor([0.1, 1.0, 20.0], dtype=DOUBLE)

        def value_and_grad(self, theta):
            return super().value_and_grad(theta / self.s)[0], -theta / self.s**2

    plain = state_at(Normal(3), normal(6, 3))
    scaled = state_at(Scaled(3), normal(6, 3) * Scaled.s)
    one = minimal_norm(Normal(3), plain, number(0.4), torch.ones(3, dtype=DOUBLE))
    other = minimal_norm(Scaled(3), scaled, number(0.4), Scaled.s)
    assert torch.allclose(one.state.position * Scaled.s, other.state.position, rtol=1e-12)
    assert torch.allclose(one.energy_error, other.energy_error, atol=1e-12)


def test_momentum_is_forgotten_over_the_length() -> None:
    """E[u'.u] = exp(-step / length) to order 1 / dim, after one refresh and after ten."""
    dim = 400
    u = unit(normal(1500, dim))
    size, length = number(0.3), number(2.0)
    once = partial_refresh(u, normal(1500, dim, seed=1), size, length)
    assert abs(float((once * u).sum(-1).mean()) - math.exp(-0.15)) < 4e-3
    many = u
    for k in range(10):
        many = partial_refresh(many, normal(1500, dim, seed=10 + k), size, length)
    assert abs(float((many * u).sum(-1).mean()) - math.exp(-1.5)) < 6e-3
    assert abs(float((many * u).sum(-1).mean()) - math.exp(-3.0)) > 0.1


@pytest.mark.parametrize("memory", [0.0, 0.6, 1.0])
def test_memory_of_a_mixed_momentum(memory: float) -> None:
    u = unit(normal(4000, 300))
    new = mixed_unit(u, normal(4000, 300, seed=1), number(memory))
    assert abs(float((new * u).sum(-1).mean()) - memory) < 5e-3


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf], ids=["nan", "inf", "minus-inf"])
@pytest.mark.parametrize("where", ["density", "gradient"])
def test_what_is_not_finite_shows_in_the_energy(bad: float, where: str) -> None:
    class Broken(Normal):
        def value_and_grad(self, theta):
            value, gradient = super().value_and_grad(theta)
            if where == "density":
                value = value + torch.tensor([0.0, bad], dtype=DOUBLE)
            else:
                gradient[1, 2] = bad
            return value, gradient

    state, ones = state_at(Normal(4), normal(2, 4)), torch.ones(4, dtype=DOUBLE)
    for moved in (
        minimal_norm(Broken(4), state, number(0.2), ones),
        microcanonical_leapfrog(Broken(4), state, number(0.2), ones, 1),
        hamiltonian_leapfrog(Broken(4), state, number(0.2), ones, 1),
    ):
        assert finite(moved).tolist() == [True, False]
