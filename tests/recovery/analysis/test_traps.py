"""Soundness traps: tiny log densities on which a careless analyser claims too much. One test each."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery.analysis import Analysis, analyze, analyze_function


def proved(function: Callable[[torch.Tensor], torch.Tensor], dim: int) -> Analysis:
    return analyze_function(function, dim)


def claims_nothing(analysis: Analysis) -> bool:
    """No symmetry, no Gaussian block, no moment."""
    return not any(b.is_symmetric or b.is_gaussian or b.has_mean for b in analysis.blocks)


def refuses(function: Callable[[torch.Tensor], torch.Tensor], dim: int, because: str) -> None:
    analysis = proved(function, dim)
    assert because in analysis.refusal, analysis.refusal
    assert analysis.blocks == ()


def test_1_rounded_decimals_are_not_equal() -> None:
    """0.1 + 0.2 is not 0.3 as stored."""
    analysis = proved(lambda z: -((z[0] - 0.1 - 0.2) ** 2) - (z[0] - 0.3) ** 4, 1)
    assert claims_nothing(analysis)


def test_2_branches_that_differ() -> None:
    analysis = proved(lambda z: torch.where(z[0] > 0, -(z[0] ** 2), -2 * z[0] ** 2), 1)
    assert claims_nothing(analysis)


def test_3_a_quadratic_inside_where_is_not_gaussian() -> None:
    analysis = proved(lambda z: torch.where(z[0] ** 2 > 1, -(z[0] ** 2), 1 - 2 * z[0] ** 2), 1)
    assert not any(b.is_gaussian for b in analysis.blocks)


def test_4_a_clamped_square() -> None:
    assert claims_nothing(proved(lambda z: -(torch.clamp(z[0], -1, 2) ** 2), 1))


def test_5_detach_leaves_the_value_and_spoils_the_gradient() -> None:
    analysis = proved(lambda z: -z[0] * z[0].detach(), 1)
    assert list(analysis.blocks[0].center or ()) == [0]
    assert not analysis.gradient_agrees
    assert "nothing is said of fitted values" in str(analysis)


def test_6_log_gamma_of_an_argument_of_unknown_sign() -> None:
    refuses(lambda z: -torch.lgamma(z[0]), 1, "a log-gamma's argument that is positive")


def test_7_a_quotient_of_equals_is_one_only_off_zero() -> None:
    refuses(lambda z: -(z[0] / z[0]) * z[0] ** 2, 1, "a divisor that is not zero")


def test_8_a_precision_that_changes_sign() -> None:
    analysis = proved(lambda z: -(z[0] ** 2) * (torch.exp(z[1]) - 1), 2)
    assert not any(b.is_gaussian or b.has_mean for b in analysis.blocks)
    assert any(b.is_symmetric and b.coordinates == (0,) for b in analysis.blocks)


def test_9_a_ridge_has_no_center() -> None:
    analysis = proved(lambda z: -((z[0] + z[1]) ** 2), 2)
    assert not any(b.is_gaussian or b.has_mean for b in analysis.blocks)


def test_12_even_functions_about_two_points() -> None:
    analysis = proved(lambda z: -torch.log1p((z[0] - 0.5) ** 2) - 2 * torch.log1p((z[0] + 0.5) ** 2), 1)
    assert claims_nothing(analysis)


def test_13_a_quadratic_beside_a_log_about_another_point() -> None:
    assert claims_nothing(proved(lambda z: -torch.log1p((z[0] - 0.5) ** 2) - (z[0] - 0.25) ** 2, 1))


def test_14_a_high_odd_power_is_not_positive() -> None:
    analysis = proved(lambda z: -(z[0] ** 9) - z[1] ** 2, 2)
    assert not any(b.has_mean for b in analysis.blocks)
    refuses(lambda z: torch.log(z[0] ** 9 + 1), 1, "a logarithm's argument that is positive")


def test_15_a_density_that_is_zero_somewhere() -> None:
    refuses(lambda z: torch.log(z[0] ** 2) - z[0] ** 2, 1, "a logarithm's argument that is positive")


def test_16_zero_times_infinity_is_not_dropped() -> None:
    refuses(lambda z: -(z[0] ** 2) + 0 * torch.log(torch.zeros(1)).sum() * z[0], 1, "arithmetic on")


def test_17_a_support_that_is_cut_off() -> None:
    refuses(lambda z: torch.where(z[0] > -3, -(z[0] ** 2), -torch.inf), 1, "cut off")


READS = {
    "numpy": lambda z: -(z[0] ** 2) * (1 + abs(float(z.detach().numpy()[0]))),
    "tolist": lambda z: -(z[0] ** 2) * (1 + abs(z.tolist()[0])),
    "item": lambda z: -(z[0] ** 2) * (1 + abs(z[0].item())),
    "tensor of elements": lambda z: -(z[0] ** 2) * (1 + torch.tensor([z[0]]).abs().sum()),
    "branch": lambda z: -(z[0] ** 2) if z[0] > 0 else -2 * z[0] ** 2,
    "equal": lambda z: -(z[0] ** 2) * (1 + torch.equal(z, z)),
}


@pytest.mark.parametrize("name", READS)
def test_18_values_that_are_read(name: str) -> None:
    analysis = proved(READS[name], 1)
    assert analysis.refusal and claims_nothing(analysis)


def test_18_a_read_hidden_from_fake_tensors() -> None:
    def function(z: torch.Tensor) -> torch.Tensor:
        try:
            scale = 1 + abs(float(z.detach().numpy()[0]))
        except Exception:
            scale = 1.0
        return -scale * z[0] ** 2

    assert proved(function, 1).refusal


def test_19_python_randomness_and_counters() -> None:
    calls = [0]

    def counting(z: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return -(z[0] ** 2) * (1 + calls[0])

    refuses(lambda z: -(z[0] ** 2) * (1 + random.random()), 1, "run to run")
    refuses(counting, 1, "run to run")


def test_20_torch_randomness() -> None:
    refuses(lambda z: -(z[0] ** 2) + torch.randn(()), 1, "random")
    refuses(lambda z: -(torch.nn.functional.dropout(z, 0.5) ** 2).sum(), 1, "random")


def test_21_a_shape_that_depends_on_values() -> None:
    refuses(lambda z: -(z[z > 0] ** 2).sum(), 1, "depends")


def test_22_a_branch_hidden_in_try() -> None:
    def function(z: torch.Tensor) -> torch.Tensor:
        try:
            positive = bool(z[0] > 0)
        except Exception:
            positive = True
        return -(z[0] ** 2) if positive else -2 * z[0] ** 2

    assert proved(function, 1).refusal


def test_23_symmetric_up_to_a_unit_in_the_last_place() -> None:
    """A quartic about one centre, a quadratic about its neighbour."""
    c, d = 0.1, 0.1 + 2.0**-56
    assert c != d
    assert claims_nothing(proved(lambda z: -((z[0] - c) ** 4) - (z[0] - d) ** 2, 1))


def test_26_a_clamp_that_saturates_is_kept() -> None:
    analysis = proved(lambda z: -torch.log(torch.clamp(torch.exp(z[0]), max=1 - 1e-7)) - z[1] ** 2, 2)
    assert not any(b.has_mean for b in analysis.blocks)


class WrongBackward(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(z: torch.Tensor) -> torch.Tensor:
        return -(z**2)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (z,) = ctx.saved_tensors
        return 2 * z * grad


def test_27_a_custom_backward_that_is_wrong() -> None:
    """Functions with a backward of their own are not even traced."""
    refuses(lambda z: WrongBackward.apply(z[0]), 1, "can't be traced")


def test_28_a_coordinate_that_log_p_does_not_see() -> None:
    refuses(lambda z: -(z[0] ** 2), 2, "does not depend on z[1]")


def test_29_an_index_that_depends_on_the_unknowns() -> None:
    table = torch.tensor([1.0, 2.0], dtype=torch.float64)
    refuses(lambda z: -(z[0] ** 2) * table[(z[1] > 0).long()] - z[1] ** 2, 2, "depend")


def test_30_a_write_into_a_constant_tensor() -> None:
    def function(z: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(2, dtype=torch.float64)
        out[0] = z[0]
        return -(out**2).sum()

    (block,) = proved(function, 1).blocks
    assert list(block.center or ()) == [0]
    assert block.block.shape == [[Fraction(2)]]


def test_31_single_precision_inside() -> None:
    refuses(lambda z: -((z[0].float() - 0.1).double() ** 2), 1, "torch.float32")


def test_32_a_proof_is_bound_to_the_parameters() -> None:
    def model() -> None:
        scale = pyro.param("scale", torch.tensor(2.0))
        pyro.sample("x", dist.Normal(0.0, scale))

    def analysis() -> Analysis:
        return analyze(model)

    pyro.clear_param_store()
    first, again = analysis(), analysis()
    assert first.blocks[0].has_mean
    assert any("parameters" in text for text in first.conditions)
    assert first.fingerprint == again.fingerprint
    pyro.get_param_store()["scale"] = torch.tensor(3.0)
    assert analysis().fingerprint != first.fingerprint


def test_33_a_square_root_of_a_square_is_an_absolute_value() -> None:
    """No division by its derivative at the kink, no smoothness claimed."""
    analysis = proved(lambda z: -torch.sqrt(z[0] ** 2), 1)
    assert not any(b.is_gaussian for b in analysis.blocks)


def test_an_improper_posterior_whose_weighted_moments_are_finite() -> None:
    """exp(s/2) times a Gaussian of precision exp(2s): its mass is infinite as s -> -inf, its second moment is not.

    Had only the weighted integrals been looked at, a mean would be claimed.
    """
    analysis = proved(
        lambda z: -0.5 * torch.exp(-2 * z[1]) * z[0] ** 2 - 1.5 * z[1] - torch.nn.functional.softplus(2 * z[1]), 2
    )
    (block,) = [b for b in analysis.blocks if b.coordinates == (0,)]
    assert block.is_gaussian and not block.has_mean


def test_too_few_observations_for_a_mean() -> None:
    """n - d = 1 with a flat prior on log sigma: proper, but E|beta| is infinite (a Cauchy)."""
    y = torch.tensor([0.3, 1.1], dtype=torch.float64)

    def function(z: torch.Tensor) -> torch.Tensor:
        return torch.distributions.Normal(z[0], torch.exp(z[1]), validate_args=False).log_prob(y).sum()

    (block,) = [b for b in proved(function, 2).blocks if b.is_symmetric]
    assert block.is_gaussian and not block.has_mean


def test_data_on_the_plane_leave_no_proper_posterior() -> None:
    """Residuals that vanish exactly: q0 = 0, so sigma -> 0 has infinite mass."""
    x = torch.arange(6, dtype=torch.float64)

    def function(z: torch.Tensor) -> torch.Tensor:
        scale = torch.exp(z[1])
        return torch.distributions.Normal(z[0] * x, scale, validate_args=False).log_prob(2 * x).sum()

    (block,) = [b for b in proved(function, 2).blocks if b.is_symmetric]
    assert list(block.center or ()) == [2] and not block.has_mean


def test_an_unknown_operation_is_refused() -> None:
    refuses(lambda z: -(torch.special.i0(z[0]) ** 2) - z[1] ** 2, 2, "not known to the checker")


def test_complete_models_are_refused_with_a_reason() -> None:
    refused = LogDensity.from_callable(
        lambda z: -(z**2).sum() * torch.linalg.cholesky(torch.eye(2) + z[0] ** 2)[0, 0], 2
    )
    assert "not known to the checker" in analyze(refused).refusal


@pytest.mark.parametrize("name", ["centre", "shape", "sign"])
def test_one_mutation_takes_the_claim_away(name: str) -> None:
    """Two precisions with one centre and one shape; then one constant off by a unit in the last place, or a sign."""
    ulp = {"centre": 2.0**-54, "shape": 0.0, "sign": 0.0}[name]
    weight = {"centre": 3.0, "shape": 3.0 + 2.0**-51, "sign": 3.0}[name]
    sign = -1 if name == "sign" else 1

    def function(z: torch.Tensor, c: float = 0.3, b: float = 3.0, s: int = 1) -> torch.Tensor:
        x, y = z[0], z[1]
        tied = torch.exp(z[2]) * ((x - 0.3) ** 2 + 3.0 * (y + 1) ** 2)
        return -tied - s * ((x - c) ** 2 + b * (y + 1) ** 2) - z[2] ** 2

    def mutant(z: torch.Tensor) -> torch.Tensor:
        return function(z, 0.3 + ulp, weight, sign)

    whole = next(b for b in proved(function, 3).blocks if b.coordinates == (0, 1))
    assert whole.is_symmetric and whole.is_elliptical and whole.has_covariance
    left = [b for b in proved(mutant, 3).blocks if b.coordinates == (0, 1)]
    if name == "centre":
        assert 0.3 + ulp != 0.3 and not any(b.is_symmetric for b in left)
    elif name == "shape":
        assert left[0].is_symmetric and not left[0].is_elliptical
    else:
        assert not any(b.is_gaussian or b.has_mean for b in left)
