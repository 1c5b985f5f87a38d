"""The contract of an action: inherit ``ActionContract`` (or ``LinearActionContract``) and give the fixture ``action``.

Points are standard normal unless ``points`` is overridden; group elements are all of a small group, else random.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import Action, LinearAction


class ActionContract:
    """Tests that every action passes."""

    tolerance = 1e-10
    free_size = 4  # replaces -1 in event_shape

    @pytest.fixture
    def action(self) -> Action:
        raise NotImplementedError("give the action under test as the fixture `action`")

    def points(self, action: Action, n: int = 5, seed: int = 2) -> Tensor:
        shape = [self.free_size if size == -1 else size for size in action.event_shape]
        return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def elements(self, action: Action, n: int = 12, seed: int = 1) -> Tensor:
        group = action.group
        if group.is_finite and group.order <= 120:
            return group.elements()
        if not group.is_compact:
            coordinates = torch.randn(n, group.dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            return group.exp(0.7 * coordinates)
        return group.sample(n, generator=torch.Generator().manual_seed(seed))

    def close(self, a: Tensor, b: Tensor) -> bool:
        scale = max(1.0, float(b.abs().max())) if b.numel() else 1.0
        return a.shape == b.shape and bool(((a - b).abs() <= self.tolerance * scale).all())

    def sweep(self, action: Action, g: Tensor, x: Tensor) -> Tensor:
        """Every element on every point, ``[k, n, *event_shape]``."""
        return action.act(g[:, None], x)

    def test_action_law(self, action: Action) -> None:
        x, g = self.points(action), self.elements(action)
        assert self.close(action.act(action.group.identity(), x), x)
        h = g.flip(0)
        both = self.sweep(action, action.group.compose(g, h), x)
        assert self.close(both, action.act(g[:, None], self.sweep(action, h, x)))
        assert self.close(action.act(action.group.inverse(g)[:, None], self.sweep(action, g, x)), x.expand(both.shape))

    def test_broadcasting_and_dtype(self, action: Action) -> None:
        x, g = self.points(action, 3), self.elements(action)[:2]
        table = self.sweep(action, g, x)
        assert table.shape == (len(g), *x.shape)
        for i in range(len(g)):
            for j in range(3):
                assert self.close(action.act(g[i], x[j]), table[i, j])
        if x.is_floating_point():
            narrow = action.act(g[:, None], x.float())
            assert narrow.dtype == torch.float32 and bool(torch.allclose(narrow.double(), table, atol=2e-3, rtol=1e-4))

    def test_log_abs_det_against_autograd(self, action: Action) -> None:
        x, g = self.points(action, 3), self.elements(action)[:6]
        found = action.log_abs_det(g[:, None], x)
        assert found.shape == (len(g), 3)
        if x.is_complex():
            return
        for i in range(len(g)):
            for j in range(3):
                jacobian = torch.autograd.functional.jacobian(lambda z, i=i: action.act(g[i], z), x[j])
                square = jacobian.reshape(x[j].numel(), x[j].numel())
                assert float(torch.linalg.slogdet(square).logabsdet) == pytest.approx(float(found[i, j]), abs=1e-9)

    def test_orbit_and_stabiliser(self, action: Action) -> None:
        if not action.group.is_finite or action.group.order > 2000:
            pytest.skip("no list of elements")
        x = self.points(action, 3)
        orbit = action.orbit(x)
        assert orbit.shape == (action.group.order, *x.shape) and self.close(orbit[0], x)
        flat = orbit.flatten(2)
        for j in range(3):
            same = (flat[:, None, j] - flat[None, :, j]).abs().amax(-1) < 1e-8
            distinct = len(torch.unique(same.int(), dim=0))
            stabiliser = int(same[0].sum())
            assert distinct * stabiliser == action.group.order

    def test_average_is_invariant_and_idempotent(self, action: Action) -> None:
        if not action.group.is_finite or action.group.order > 400:
            pytest.skip("averages over infinite groups are tested with their quadrature")
        x = self.points(action, 3)
        weights = torch.randn(x[0].numel(), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        flat = len(action.event_shape)

        def function(z: Tensor) -> Tensor:
            y = z.flatten(z.ndim - flat)
            return torch.sin(y @ weights) + (y**3).sum(-1)

        def averaged(z: Tensor) -> Tensor:
            return action.average(function, z)

        once = averaged(x)
        assert once.shape == (3,)
        assert self.close(action.average(averaged, x), once)
        assert self.close(averaged(action.act(self.elements(action)[-1], x)), once)

    def test_vertical_basis_against_finite_differences(self, action: Action) -> None:
        x = self.points(action, 2)
        basis = action.vertical_basis(x)
        assert basis.shape == (*x.shape, action.group.dim)
        step = 1e-5
        for a in range(action.group.dim):
            e = torch.zeros(action.group.dim, dtype=torch.float64)
            e[a] = step
            ahead, back = action.act(action.group.exp(e), x), action.act(action.group.exp(-e), x)
            assert bool(torch.allclose(basis[..., a], (ahead - back) / (2 * step), atol=1e-7))

    def test_projection(self, action: Action) -> None:
        x, v, w = self.points(action), self.points(action, seed=7), self.points(action, seed=8)
        flat = -len(action.event_shape)
        pv, pw = action.project(x, v), action.project(x, w)
        assert self.close(action.project(x, pv), pv)
        assert self.close((pv * w).flatten(flat).sum(-1), (v * pw).flatten(flat).sum(-1))
        for column in action.vertical_basis(x).unbind(-1):
            assert float((pv * column).flatten(flat).sum(-1).abs().max()) < 1e-8
            assert float(action.project(x, column).abs().max()) < 1e-8

    def test_canonical_form(self, action: Action) -> None:
        x = self.points(action)
        if type(action)._canonicalize is Action._canonicalize and not action.group.is_finite:
            with pytest.raises(TypeError, match="expected an action with a canonical form"):
                action.canonicalize(x)
            return
        representative, g = action.canonicalize(x)
        assert self.close(action.act(g, x), representative)
        for h in self.elements(action)[-4:]:
            assert float((action.canonicalize(action.act(h, x))[0] - representative).abs().max()) < 1e-7
        again = action.canonicalize(representative)[0]
        assert float((again - representative).abs().max()) < 1e-7

    def test_alignment_is_optimal(self, action: Action) -> None:
        """The distance is zero along an orbit, and no larger than that of 300 random elements."""
        x, y = self.points(action), self.points(action, seed=6)
        if type(action)._align is Action._align and not action.group.is_finite:
            with pytest.raises(TypeError, match="expected an action with a closed-form alignment"):
                action.distance(x, y)
            return
        g = self.elements(action)
        assert float(action.distance(self.sweep(action, g, x), x).max()) < 1e-6
        found = action.distance(x, y)
        assert found.shape == x.shape[:1]
        h = self.elements(action, 300, seed=10)
        others = torch.stack([action._norm(action.act(e, x) - y) for e in h])
        assert bool((found <= others.amin(0) + 1e-9).all())

    def test_value_and_errors(self, action: Action) -> None:
        assert action == action and hash(action) == hash(action) and type(action).__name__ in repr(action)
        x, g = self.points(action), self.elements(action)
        with pytest.raises(TypeError, match="expected x to be a tensor"):
            action.act(g[0], [1.0])  # type: ignore[arg-type]
        if action.event_shape:
            with pytest.raises(ValueError, match=r"expected x of shape .*got \[\]"):
                action.act(g[0], torch.tensor(1.0))
        if not action.group.exact_elements:
            coarse = g[0].to(torch.complex64 if g.is_complex() else torch.float32)
            with pytest.raises(ValueError, match=r"expected a group element of dtype torch\.\w+ or finer, got"):
                action.act(coarse, x)


class LinearActionContract(ActionContract):
    """Tests that every linear (or affine) action passes."""

    def test_matrices_are_a_representation(self, action: LinearAction) -> None:
        g, h = self.elements(action), self.elements(action).flip(0)
        product = action.matrix(action.group.compose(g, h))
        assert self.close(action.matrix(g).double() @ action.matrix(h).double(), product.double())

    def test_matrix_is_the_linear_part(self, action: LinearAction) -> None:
        x, y, g = self.points(action), self.points(action, seed=9), self.elements(action)
        moved = self.sweep(action, g, x) - self.sweep(action, g, y)
        linear = (action.matrix(g)[:, None].to(x.dtype) @ (x - y)[..., None])[..., 0]
        assert self.close(moved, linear)

    def test_fixed_spaces_are_fixed(self, action: LinearAction) -> None:
        matrices = action.matrix(self.elements(action)).double()
        vectors, symmetric = action.fixed_subspace(), action.symmetric_square_fixed_subspace()
        assert self.close(matrices @ vectors, vectors.expand(len(matrices), *vectors.shape))
        moved = matrices[:, None] @ symmetric @ matrices[:, None].mT
        assert self.close(moved, symmetric.expand(moved.shape))
        assert self.close(symmetric, symmetric.mT)
        assert vectors.shape[1] == 0 or int(torch.linalg.matrix_rank(vectors)) == vectors.shape[1]

    def test_fixed_spaces_are_complete(self, action: LinearAction) -> None:
        """For finite groups the dimensions are averages of characters: chi and (chi(g)^2 + chi(g^2)) / 2."""
        if not action.group.is_finite or action.group.order > 2000:
            pytest.skip("no list of elements")
        g = action.group.elements()
        chi = action.matrix(g).double().diagonal(dim1=-2, dim2=-1).sum(-1)
        squares = action.matrix(action.group.compose(g, g)).double().diagonal(dim1=-2, dim2=-1).sum(-1)
        assert action.fixed_subspace().shape[1] == round(float(chi.mean()))
        assert len(action.symmetric_square_fixed_subspace()) == round(float(((chi**2 + squares) / 2).mean()))

    def test_isotypic_projections(self, action: LinearAction) -> None:
        parts = action.isotypic_projections()
        dim = parts.shape[-1]
        assert self.close(parts.sum(0), torch.eye(dim, dtype=torch.float64))
        products = parts[:, None] @ parts[None]
        expected = torch.zeros_like(products)
        expected[torch.arange(len(parts)), torch.arange(len(parts))] = parts
        assert self.close(products, expected)
        matrices = action.matrix(self.elements(action)).double()[:, None]
        assert self.close(matrices @ parts, parts @ matrices)
        fixed = action.fixed_subspace()
        if fixed.shape[1]:
            assert self.close(parts[0] @ fixed, fixed)
            assert round(float(parts[0].trace())) == fixed.shape[1]
