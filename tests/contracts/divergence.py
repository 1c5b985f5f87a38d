"""The contract of a divergence: inherit ``DivergenceContract`` and give the divergence as the fixture ``divergence``.

Everything here is exact (to rounding) for any set of weights; agreement with the integral that a divergence stands for
is tested where its closed form is known. Tolerances are 1e-10 in float64 for weights of order one.
"""

import copy
import dataclasses
import pickle

import pytest
import torch
from torch import Tensor

from pyro_symvi import divergences
from pyro_symvi.divergences import Divergence
from pyro_symvi.divergences.generators import jensen_shannon, triangular

TOLERANCE = 1e-10


def weights(particles: int = 12, *batch: int, seed: int = 0, scale: float = 1.5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(particles, *batch, generator=generator, dtype=torch.float64)


class DivergenceContract:
    finite_at_zero: bool = False
    """Outside the alpha family: whether the divergence stays finite where the guide leaves the target's support."""

    @pytest.fixture
    def divergence(self) -> Divergence:
        raise NotImplementedError("give the divergence under test as the fixture 'divergence'")

    # a frozen value

    def test_it_is_frozen_and_hashable(self, divergence: Divergence) -> None:
        assert dataclasses.is_dataclass(divergence)
        with pytest.raises(dataclasses.FrozenInstanceError):
            divergence.anything = 0.3  # type: ignore[attr-defined]
        assert len({divergence, copy.deepcopy(divergence)}) == 1

    def test_it_survives_pickling_and_its_own_repr(self, divergence: Divergence) -> None:
        assert pickle.loads(pickle.dumps(divergence)) == divergence
        names, text = {name: getattr(divergences, name) for name in divergences.__all__}, repr(divergence)
        for generator in (jensen_shannon, triangular):
            text = text.replace(repr(generator), generator.__name__)
            names[generator.__name__] = generator
        assert eval(text, names) == divergence

    def test_it_describes_itself(self, divergence: Divergence) -> None:
        facts = divergence.describe()
        assert facts.name == type(divergence).__name__ and facts.formula and facts.direction
        assert (facts.alpha is None) == (not divergence.in_alpha_family)
        assert facts.is_additive == divergence.is_additive and facts.is_biased == divergence.is_biased
        assert facts.normalizer_cancels == divergence.normalizer_cancels
        assert facts.formula in str(facts)

    def test_additive_means_linear_in_the_log_weights(self, divergence: Divergence) -> None:
        a, b = weights(), weights(seed=1)
        mean = divergence.objective(0.5 * (a + b))
        linear = abs(float(mean - 0.5 * (divergence.objective(a) + divergence.objective(b)))) <= TOLERANCE
        # orders within rounding of 0 are linear to rounding
        assert linear == divergence.is_additive or (divergence.in_alpha_family and abs(divergence.alpha) < 1e-8)

    # the value

    def test_value_is_zero_for_equal_weights_and_positive_otherwise(self, divergence: Divergence) -> None:
        equal = divergence.value(torch.full((7,), -3.7, dtype=torch.float64))
        assert abs(float(equal)) <= 1e-12
        for seed in range(20):
            assert float(divergence.value(weights(seed=seed))) > 1e-3

    def test_value_does_not_depend_on_the_normaliser(self, divergence: Divergence) -> None:
        l = weights()
        for shift in (-700.0, 0.3, 1234.5):
            assert torch.allclose(divergence.value(l + shift), divergence.value(l), rtol=1e-9, atol=0.0)

    # the objective

    def test_the_normaliser_shifts_the_objective_by_a_constant(self, divergence: Divergence) -> None:
        if not divergence.normalizer_cancels:
            shifts = [float(divergence.objective(l + 2.5) - divergence.objective(l)) for l in map(_seeded, range(5))]
            assert max(shifts) - min(shifts) > 0.01  # it says so, and so it is
            return
        shifts = [float(divergence.objective(l + 2.5) - divergence.objective(l)) for l in map(_seeded, range(5))]
        assert max(shifts) - min(shifts) <= TOLERANCE * (1.0 + abs(shifts[0]))

    def test_the_gradient_does_not_depend_on_the_normaliser(self, divergence: Divergence) -> None:
        if not divergence.normalizer_cancels:
            pytest.skip("the normaliser does not cancel")
        gradients = []
        for shift in (0.0, 2.5):
            l = (weights() + shift).requires_grad_()
            gradients.append(torch.autograd.grad(divergence.objective(l), l)[0])
        assert torch.allclose(*gradients, rtol=0.0, atol=TOLERANCE)

    def test_derivatives_agree_with_finite_differences(self, divergence: Divergence) -> None:
        l = weights(5, 2).requires_grad_()
        assert torch.autograd.gradcheck(divergence.objective, l)
        assert torch.autograd.gradcheck(divergence.value, l)

    # particles and batches

    @pytest.mark.parametrize("estimator", ["objective", "value"])
    def test_order_of_particles_is_irrelevant(self, divergence: Divergence, estimator: str) -> None:
        l, function = weights(), getattr(divergence, estimator)
        order = torch.randperm(len(l), generator=torch.Generator().manual_seed(1))
        assert torch.allclose(function(l[order]), function(l), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("estimator", ["objective", "value"])
    def test_trailing_dimensions_are_separate_problems(self, divergence: Divergence, estimator: str) -> None:
        l, function = weights(12, 3, 2), getattr(divergence, estimator)
        together = function(l)
        alone = torch.stack([function(column) for column in l.flatten(1).unbind(1)]).reshape(3, 2)
        assert together.shape == (3, 2)
        assert torch.allclose(together, alone, rtol=1e-12, atol=1e-12)

    # hard weights

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_extreme_weights_stay_finite(self, divergence: Divergence, dtype: torch.dtype) -> None:
        if not divergence.normalizer_cancels:
            pytest.skip("f(u) itself overflows")
        l = torch.tensor([1e4, -1e4, 0.0, 1.0], dtype=dtype, requires_grad=True)
        loss = divergence.objective(l)
        assert loss.dtype == dtype
        assert bool(torch.isfinite(loss))
        assert bool(torch.isfinite(torch.autograd.grad(loss, l)[0]).all())
        for shift in (-1e4, 1e4):
            shifted = divergence.objective(torch.tensor([0.5, 0.0, -0.5], dtype=dtype) + shift)
            assert bool(torch.isfinite(shifted))

    def test_a_zero_weight_is_the_limit_of_small_ones(self, divergence: Divergence) -> None:
        zero, tiny = weights(), weights()
        alpha = divergence.alpha if divergence.in_alpha_family else float(self.finite_at_zero)
        zero[3], tiny[3] = -torch.inf, -1e3 / (abs(alpha) or 1.0)
        if alpha > 0:
            assert torch.allclose(divergence.objective(zero), divergence.objective(tiny), rtol=1e-9)
            assert torch.allclose(divergence.value(zero), divergence.value(tiny), rtol=1e-9)
        else:
            assert float(divergence.objective(zero)) == float("inf")
            assert float(divergence.value(zero)) == float("inf")

    @pytest.mark.parametrize("estimator", ["objective", "value"])
    def test_nan_stays_nan(self, divergence: Divergence, estimator: str) -> None:
        l = weights(6, 2)
        l[2, 0] = torch.nan
        result = getattr(divergence, estimator)(l)
        assert bool(result[0].isnan()) and not bool(result[0] <= 1e300)
        assert bool(torch.isfinite(result[1]))

    # escort weights

    def test_escort_weights_are_the_normalised_powers(self, divergence: Divergence) -> None:
        l = weights(9, 2)
        if not divergence.in_alpha_family:
            with pytest.raises(TypeError, match="member of the alpha family"):
                divergence.escort_weights(l)
            return
        if divergence.alpha == 0.0:
            with pytest.raises(ValueError, match="alpha != 0"):
                divergence.escort_weights(l)
            return
        powers = l.exp() ** divergence.alpha
        assert torch.allclose(divergence.escort_weights(l), powers / powers.sum(0), rtol=1e-9)

    def test_score_surrogate_has_the_escort_gradient(self, divergence: Divergence) -> None:
        if not divergence.in_alpha_family:
            pytest.skip("no escort weights")
        if divergence.alpha == 0.0:
            pytest.skip("no score form at alpha = 0")
        l, log_q = weights(9).requires_grad_(), weights(9, seed=1).requires_grad_()
        surrogate = divergence.score_surrogate(l, log_q)
        gradients = torch.autograd.grad(surrogate, (log_q, l), allow_unused=True)
        assert torch.allclose(gradients[0], -divergence.escort_weights(l) / divergence.alpha)
        assert gradients[1] is None
        with pytest.raises(ValueError, match="shape of log_weights"):
            divergence.score_surrogate(l, log_q[:4])

    # other forms of the gradient

    def test_surrogates_hold_their_weights_constant(self, divergence: Divergence) -> None:
        l, log_q = weights(9, 2).requires_grad_(), weights(9, 2, seed=1).requires_grad_()
        (slopes,) = torch.autograd.grad(divergence.path_surrogate(l).sum(), l)
        assert torch.allclose(slopes, divergence._path_weights(l.detach()), rtol=1e-12)
        if "leave_one_out" in divergence.gradient_forms:
            surrogate = divergence.leave_one_out_surrogate(l, log_q)
            gradients = torch.autograd.grad(surrogate.sum(), (log_q, l), allow_unused=True)
            assert gradients[1] is None and surrogate.shape == (2,)
            alone = divergence.leave_one_out_surrogate(l[:, 1], log_q[:, 1])
            assert torch.allclose(alone, surrogate[1], rtol=1e-9)

    def test_forms_that_do_not_exist_are_refused(self, divergence: Divergence) -> None:
        l = weights(5)
        for form, surrogate in (
            ("weighted", divergence.score_surrogate),
            ("leave_one_out", divergence.leave_one_out_surrogate),
        ):
            if form in divergence.gradient_forms:
                surrogate(l, l)
            else:
                with pytest.raises(ValueError, match="expected a"):
                    surrogate(l, l)
        assert divergence.preferred_gradient in divergence.gradient_forms

    # arguments

    @pytest.mark.parametrize("bad", [[0.0, 1.0], 3.0, None, torch.arange(3), torch.zeros(3, dtype=torch.complex64)])
    def test_wrong_types_are_refused(self, divergence: Divergence, bad: object) -> None:
        for estimator in (divergence.objective, divergence.value, divergence.escort_weights, divergence.path_surrogate):
            with pytest.raises(TypeError, match="expected (path_)?log_weights"):
                estimator(bad)

    @pytest.mark.parametrize("bad", [torch.tensor(0.0), torch.zeros(0), torch.zeros(0, 3)])
    def test_wrong_shapes_are_refused(self, divergence: Divergence, bad: Tensor) -> None:
        for estimator in (divergence.objective, divergence.value, divergence.escort_weights):
            with pytest.raises(ValueError, match="at least one particle"):
                estimator(bad)


def _seeded(seed: int) -> Tensor:
    return weights(seed=seed)
