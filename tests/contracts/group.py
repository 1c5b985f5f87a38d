"""The contract of a group: inherit ``GroupContract`` and give the group as the fixture ``group``.

Axioms are checked on every pair and triple up to order 120 (triples up to order 24, beyond by 400 draws) and on
random elements otherwise. Haar invariance: 16 bounded features of h g and of g h are compared with those of g on
20,000 common draws; a shift of the mean of a feature by 8 standard errors (0.06 of its standard deviation at most)
is found with probability above 0.998, a false alarm has probability below 2e-5 for each fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import Group, InfiniteGroupError, NonCompactGroupError

HAAR_DRAWS = 20_000
HAAR_FEATURES = 16
HAAR_THRESHOLD = 5.0


def features(group: Group, seed: int) -> Callable[[Tensor], Tensor]:
    """Bounded random functions of the elements: cos(<W, g> + b) with entries of W of moderate size."""
    generator = torch.Generator().manual_seed(seed)
    size = max(math.prod(group.element_shape), 1)
    weights = torch.randn(size, HAAR_FEATURES, generator=generator, dtype=torch.float64) * 1.5 / size**0.5
    shift = 2 * math.pi * torch.rand(HAAR_FEATURES, generator=generator, dtype=torch.float64)

    def evaluate(g: Tensor) -> Tensor:
        g = torch.view_as_real(g).sum(-1) if g.is_complex() else g
        flat = g.double().reshape(*g.shape[: g.ndim - len(group.element_shape)], -1)
        return torch.cos(flat @ weights[: flat.shape[-1]] + shift)

    return evaluate


def haar_scores(group: Group, h: Tensor, draws: Tensor, *, left: bool, seed: int = 0) -> Tensor:
    """Standardised means of phi(hg) - phi(g), or phi(gh) - phi(g), for each feature phi."""
    phi = features(group, seed)
    moved = group.compose(h, draws) if left else group.compose(draws, h)
    change = phi(moved) - phi(draws)
    error = change.std(0) / len(draws) ** 0.5
    return change.mean(0) / error.clamp_min(1e-12)


class GroupContract:
    """Tests that every group passes."""

    tolerance = 1e-10

    @pytest.fixture
    def group(self) -> Group:
        raise NotImplementedError("give the group under test as the fixture `group`")

    def draws(self, group: Group, n: int = 40, seed: int = 1) -> Tensor:
        """Elements to test with: all of a small group, random ones otherwise. Non-compact groups override this."""
        if group.is_finite and group.order <= 120:
            return group.elements()
        return group.sample(n, generator=torch.Generator().manual_seed(seed))

    def equal(self, group: Group, a: Tensor, b: Tensor) -> bool:
        return bool(group.equal(a, b, tolerance=self.tolerance).all())

    # -- axioms --
    def test_shapes_and_membership(self, group: Group) -> None:
        g = self.draws(group)
        assert g.shape[1:] == group.element_shape
        assert group.identity().shape == group.element_shape
        assert bool(group.contains(g).all()) and bool(group.contains(group.identity()))
        assert bool(group.contains(group.generators()).all())

    def test_identity_and_inverse(self, group: Group) -> None:
        g, e = self.draws(group), group.identity()
        assert self.equal(group, group.compose(g, e), g) and self.equal(group, group.compose(e, g), g)
        back = group.inverse(g)
        assert self.equal(group, group.compose(g, back), e.expand(g.shape))
        assert self.equal(group, group.compose(back, g), e.expand(g.shape))

    def test_associativity_and_closure(self, group: Group) -> None:
        g = self.draws(group)
        a, b, c = g, g, g
        if len(g) > 24:
            pick = torch.Generator().manual_seed(3)
            a, b, c = (g[torch.randint(len(g), (400,), generator=pick)] for _ in range(3))
            pairs = group.compose(g[:, None], g[None])
        else:
            a, b, c = g[:, None, None], g[None, :, None], g[None, None, :]
            pairs = group.compose(g[:, None], g[None])
        assert bool(group.contains(pairs).all())
        left, right = group.compose(group.compose(a, b), c), group.compose(a, group.compose(b, c))
        assert self.equal(group, left, right)

    def test_power(self, group: Group) -> None:
        g = self.draws(group)[:20]
        cube = group.compose(g, group.compose(g, g))
        assert self.equal(group, group.power(g, 3), cube)
        assert self.equal(group, group.power(g, -3), group.inverse(cube))
        assert self.equal(group, group.power(g, 0), group.identity().expand(g.shape))

    def test_order_is_the_number_of_distinct_elements(self, group: Group) -> None:
        if not group.is_finite or group.order > 2000:
            pytest.skip("not a small finite group")
        g = group.elements()
        assert len(g) == group.order
        same = group.equal(g[:, None], g[None])
        assert torch.equal(same, torch.eye(len(g), dtype=torch.bool))
        assert self.equal(group, g[0], group.identity())
        assert group.log_order == pytest.approx(math.log(len(g)))

    def test_generators_generate(self, group: Group) -> None:
        if not group.is_finite or group.order > 120:
            pytest.skip("not a small finite group")
        everything, generators = group.elements(), group.generators()
        reached = group.equal(everything, group.identity())
        while len(generators):
            words = group.compose(generators[:, None], everything[reached][None])
            hit = group.equal(words[..., None, *(slice(None),) * len(group.element_shape)], everything)
            grown = reached | hit.flatten(0, 1).any(0)
            if torch.equal(grown, reached):
                break
            reached = grown
        assert bool(reached.all())

    # -- measure --
    def test_sampling(self, group: Group) -> None:
        if not group.is_compact:
            with pytest.raises(NonCompactGroupError, match="expected a compact group.*orbit_conditional"):
                group.sample(3)
            return
        state = torch.random.get_rng_state()
        one = group.sample((4, 3), generator=torch.Generator().manual_seed(5))
        two = group.sample((4, 3), generator=torch.Generator().manual_seed(5))
        assert one.shape == (4, 3, *group.element_shape) and torch.equal(one, two)
        assert torch.equal(state, torch.random.get_rng_state()), "an explicit generator leaves the global one alone"

    @pytest.mark.parametrize("left", [True, False])
    def test_haar_invariance(self, group: Group, left: bool) -> None:
        if not group.is_compact:
            pytest.skip("no Haar probability")
        g = group.sample(HAAR_DRAWS, generator=torch.Generator().manual_seed(11))
        for seed, h in enumerate(group.sample(3, generator=torch.Generator().manual_seed(12))):
            assert float(haar_scores(group, h, g, left=left, seed=seed).abs().max()) < HAAR_THRESHOLD

    def test_quadrature_is_a_probability(self, group: Group) -> None:
        if not group.is_finite or group.order > 2000:
            pytest.skip("tested with the irreducible representations")
        rule = group.quadrature(0)
        assert rule.degree == math.inf and bool((rule.weights > 0).all())
        assert float(rule.weights.sum()) == pytest.approx(1, abs=1e-12)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_dtypes(self, group: Group, dtype: torch.dtype) -> None:
        wanted = {"real": dtype, "integer": torch.int64, "complex": dtype.to_complex()}[group.element_kind]
        found = [group.identity(dtype=dtype), group.generators(dtype=dtype)]
        if group.is_compact:
            found.append(group.sample(2, dtype=dtype, generator=torch.Generator().manual_seed(0)))
        for g in found:
            assert g.dtype == wanted or (group.exact_elements and g.dtype in (torch.float64, torch.int64))
        assert group.compose(found[0], found[0]).dtype == found[0].dtype == group.inverse(found[0]).dtype

    # -- value semantics and errors --
    def test_value(self, group: Group) -> None:
        assert group == group and hash(group) == hash(group) and type(group).__name__ in repr(group)
        with pytest.raises(AttributeError):
            group.order = 3  # type: ignore[misc]

    def test_errors(self, group: Group) -> None:
        if group.element_shape:
            with pytest.raises(ValueError, match=r"expected a of shape \[\.\.\., .*got"):
                group.inverse(torch.zeros(*group.element_shape[:-1], group.element_shape[-1] + 1))
        with pytest.raises(TypeError, match="expected a to be a tensor"):
            group.inverse(1.0)  # type: ignore[arg-type]
        if not group.is_finite:
            with pytest.raises(InfiniteGroupError, match="expected a finite group"):
                group.elements()
