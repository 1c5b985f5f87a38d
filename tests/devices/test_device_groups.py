"""Groups and actions on a GPU: what the CPU finds, on the device that was asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import (
    Action,
    Conjugation,
    CoordinatePermutation,
    HermitianConjugation,
    LinearAction,
    Orthogonal,
    Symmetric,
    UnsupportedError,
    solid_harmonics,
    wigner_d,
)
from tests.devices.device import NAME, normal, own, required, same, there
from tests.groups.test_actions import LINEAR, OTHER

DEVICE = required()
ACTIONS: dict[str, Action] = {**LINEAR, **OTHER}


def points(action: Action, seed: int) -> Tensor:
    x = normal(5, *(6 if size == -1 else size for size in action.event_shape), seed=seed)
    if isinstance(action, HermitianConjugation):
        z = torch.view_as_complex(x)
        return torch.view_as_real((z + z.mH) / 2)
    return (x + x.mT) / 2 if isinstance(action, Conjugation) else x


@pytest.mark.parametrize("name", list(ACTIONS))
def test_actions_are_those_of_the_cpu(name: str) -> None:
    action = ACTIONS[name]
    group = action.group
    x, v = points(action, 1), points(action, 2)
    if group.is_compact:
        drawn = group.sample(5, generator=own(), dtype=torch.float64, device=DEVICE)
        assert drawn.device == DEVICE and bool(group.contains(drawn).all())
        g = drawn.cpu()
    else:
        g = group.exp(0.5 * normal(5, group.dim, seed=3))
        same(group.exp(there(0.5 * normal(5, group.dim, seed=3))), g)
    h = there(g)
    same(group.compose(h, h.flip(0)), group.compose(g, g.flip(0)))
    same(group.inverse(h), group.inverse(g))
    same(group.identity(dtype=torch.float64, device=DEVICE), group.identity(dtype=torch.float64))
    same(action.act(h, there(x)), action.act(g, x))
    same(action.log_abs_det(h, there(x)), action.log_abs_det(g, x))
    same(action.vertical_basis(there(x)), action.vertical_basis(x))
    same(action.project(there(x), there(v)), action.project(x, v), 1e-7)
    same(action.log_orbit_volume(there(x)), action.log_orbit_volume(x), 1e-7)
    same(action.mean_curvature(there(x)), action.mean_curvature(x), 1e-6)


@pytest.mark.parametrize("name", list(ACTIONS))
def test_canonical_forms_and_distances_are_those_of_the_cpu(name: str) -> None:
    action = ACTIONS[name]
    x, y = points(action, 1), points(action, 2)
    try:
        form = action.canonicalize(x)[0]
    except UnsupportedError:
        with pytest.raises(UnsupportedError):
            action.canonicalize(there(x))
    else:
        found, element = action.canonicalize(there(x))
        same(found, form, 1e-8)
        same(action.act(element, there(x)), form, 1e-8)
    try:
        apart = action.distance(x, y)
    except UnsupportedError:
        with pytest.raises(UnsupportedError):
            action.distance(there(x), there(y))
    else:
        same(action.distance(there(x), there(y)), apart, 1e-8)
    if action.group.is_finite and action.group.order <= 400:
        same(action.orbit(there(x)), action.orbit(x))
        same(action.average(lambda z: z.square() + z, there(x)), action.average(lambda z: z.square() + z, x))


@pytest.mark.parametrize("name", list(LINEAR))
def test_matrices_are_those_of_the_cpu(name: str) -> None:
    action = LINEAR[name]
    assert isinstance(action, LinearAction)
    g = action.group.sample(3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    same(action.matrix(there(g)), action.matrix(g))
    try:
        rule = action.group.quadrature(2, dtype=torch.float64)
    except UnsupportedError:
        return
    found = action.group.quadrature(2, dtype=torch.float64, device=DEVICE)
    same(found.elements, rule.elements)
    same(found.weights, rule.weights)


def test_representations_and_harmonics_are_those_of_the_cpu() -> None:
    rotations = Orthogonal(3).sample(4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for irrep in Orthogonal(3).irreps(3):
        same(irrep.matrix(there(rotations)), irrep.matrix(rotations))
    for irrep in Symmetric(4).irreps():
        elements = Symmetric(4).elements()
        same(irrep.matrix(there(elements)), irrep.matrix(elements))
    turns = rotations * torch.linalg.det(rotations)[:, None, None]
    same(wigner_d(3, there(turns)), wigner_d(3, turns))
    x = normal(7, 3)
    same(solid_harmonics(3, there(x)), solid_harmonics(3, x))


def test_elements_of_another_device_are_refused_in_words() -> None:
    if NAME == "cpu":
        pytest.skip("one device only")
    action = CoordinatePermutation(4)
    with pytest.raises(ValueError, match="on one device"):
        action.act(action.group.sample(5, generator=torch.Generator().manual_seed(0)), there(normal(5, 4)))
    with pytest.raises(ValueError, match="on one device"):
        action.align(normal(5, 4), there(normal(5, 4)))
    with pytest.raises(RuntimeError, match="generator"):
        action.group.sample(5, generator=torch.Generator(), device=DEVICE)
    assert action.group.sample(5, generator=own()).device == DEVICE
