"""Copies and models in place, types, dead units, and what is refused before any work."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
import torch
from torch import nn

from pyro_symvi.rescaling import RescalingGroup, guess_input_shape, path_condition
from pyro_symvi.rescaling.conditioning._change import relative_change

Model = nn.Sequential


def perceptron(dtype: torch.dtype = torch.float64) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).to(dtype)


def test_copy_and_in_place_agree_and_the_model_stays_as_it_was() -> None:
    model = perceptron()
    model.train()
    before = copy.deepcopy(model.state_dict())
    state = torch.random.get_rng_state()
    result = path_condition(model)
    twin = result.copy()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model.training and twin.training and torch.equal(state, torch.random.get_rng_state())
    assert all(p.grad is None for p in model.parameters())
    assert result.apply_() is model and result.applied
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(result.copy().parameters(), twin.parameters(), strict=True))
    with pytest.raises(ValueError, match="second apply_"):
        result.apply_()
    assert path_condition(perceptron(), inplace=True).applied


def test_generators_of_gpus_are_not_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would not be restored: the generators of the user's GPUs would start anew at each call."""
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    path_condition(perceptron())  # whose own seed is the only one
    assert seeds == [1]


def test_the_weights_are_theta_exp_minus_bz_over_two() -> None:
    """By hand on a 1-1-1 net with a bias: z = log(w2^2 / (w1^2 + b^2)) / 2, F = 0 there."""
    w, b, v = 3.0, 4.0, 0.5
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.fill_(w), model[0].bias.fill_(b), model[2].weight.fill_(v)
    result = path_condition(model, tol=1e-13)
    z = 0.5 * math.log(v**2 / (w**2 + b**2))
    assert result.log_scale.item() == pytest.approx(z, rel=1e-9)
    g = torch.tensor([v**2, v**2, w**2 + b**2])
    assert result.objective == pytest.approx(((g.mean().log() - g.log().mean()).item(), 0.0), rel=1e-6, abs=1e-12)
    found = [p.item() for p in result.copy().parameters()]
    assert found == pytest.approx([w * math.exp(z / 2), b * math.exp(z / 2), v * math.exp(-z / 2)], rel=1e-9)
    assert len(result.history) >= 2 and result.live == 3


@pytest.mark.parametrize(
    ("dtype", "size"),
    [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.float16, 1e-2), (torch.bfloat16, 1e-1)],
    ids=["float64", "float32", "float16", "bfloat16"],
)
def test_types_are_kept_and_rounding_is_reported(dtype: torch.dtype, size: float) -> None:
    model = perceptron(dtype)
    result = path_condition(model)
    assert result.max_rel_output_change <= size and result.converged
    twin = result.copy()
    exact = path_condition(copy.deepcopy(model).double())
    for p, q in zip(twin.parameters(), exact.copy().parameters(), strict=True):
        assert p.dtype == dtype
        assert torch.equal(p, q.to(dtype))  # computed in float64, rounded once
    if dtype in (torch.float32, torch.float16):
        assert result.max_rel_output_change > 0


def test_weights_that_a_type_cannot_hold_are_refused_and_nothing_is_changed() -> None:
    """z of the net (1e-6, 6e4): factor about 2e5 on the bias of 60, beyond the 65504 of float16."""
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1, bias=False)).half()
    with torch.no_grad():
        model[0].weight.fill_(0.0), model[0].bias.fill_(1e-6), model[2].weight.fill_(6e4)
    group = RescalingGroup.from_module(model, (1,))
    result = path_condition(model, group)
    result.log_scale = torch.full((1,), 60.0, dtype=torch.float64)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"float16 can hold .* model\.float\(\)"):
        result.apply_()
    assert not result.applied and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("criterion", ["path", "l2", "range"])
def test_dead_units_keep_scale_one_and_are_named(criterion: str) -> None:
    model = perceptron()
    with torch.no_grad():
        model[0].weight[1], model[0].bias[1] = 0.0, 0.0  # nothing comes in
        model[2].weight[:, 4] = 0.0  # nothing goes out
    result = path_condition(model, criterion=criterion)
    assert result.frozen.tolist() == [1, 4] and result.converged
    assert result.log_scale[[1, 4]].tolist() == [0.0, 0.0] and result.max_rel_output_change <= 1e-13
    rows = result.report().frozen()
    assert {row["name"] for row in rows} == {"0"} and sum(row["units"] for row in rows) == 2
    assert "frozen: 1 units of 0 keep scale one" in str(result.report())


def test_the_report_says_what_it_found() -> None:
    result = path_condition(perceptron())
    text, record = str(result.report()), json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert "62 parameters, 10 free scales" in text and "at most 52 degrees of freedom" in text
    assert "log of the arithmetic over the geometric mean of g" in text and "certificate     optimal" in text
    assert f"{result.objective[0]:.6g} before, {result.objective[1]:.6g} after" in text
    factors = (result.log_scale / 2).exp()
    assert record["layers"][0]["factor"] == pytest.approx(
        [f(factors[:6]).item() for f in (torch.min, torch.median, torch.max)]
    )
    assert record["layers"][2]["reason"] and record["log_scale"] == result.log_scale.tolist()
    ratios = [(b / a).detach() for a, b in zip(perceptron().parameters(), result.copy().parameters(), strict=True)]
    least, most = min(r.min().item() for r in ratios), max(r.max().item() for r in ratios)
    assert f"multiplied by {least:.4g} to {most:.4g}" in text
    assert repr(result).startswith("Conditioning(PathCriterion()")


def test_outputs_that_change_by_more_than_rounding_are_called_out() -> None:
    result = path_condition(perceptron(torch.float32))
    assert "rounding of float32" in str(result.report()) and "MORE than" not in str(result.report())
    for change in (0.01, math.inf, math.nan):
        result.max_rel_output_change = change
        assert "MORE than rounding of float32 explains" in str(result.report())
    one, lost = torch.ones(2), torch.tensor([1.0, math.nan])
    assert math.isnan(relative_change([one, one], [lost, one])) and relative_change([one], [2 * one]) == 1.0
    json.dumps(result.to_dict(), allow_nan=False)


def test_progress_names_the_parts() -> None:
    seen: list[str] = []
    path_condition(perceptron(), progress=lambda done, parts, name: seen.append(f"{done}/{parts} {name}"))
    assert seen == ["0/4 trace", "1/4 criterion", "2/4 solve", "3/4 measure"]


def test_input_shapes_are_read_from_a_leading_linear_layer() -> None:
    assert guess_input_shape(nn.Sequential(nn.Flatten(), nn.Linear(12, 2))) == (12,)
    with pytest.raises(ValueError, match="Conv2d at '0'"):
        path_condition(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 1)))
    with pytest.raises(ValueError, match="without any"):
        guess_input_shape(nn.ReLU())


def broken(value: float) -> Model:
    model = perceptron()
    model[2].weight.data[1, 1] = value
    return model


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (broken(float("nan")), {}, "nan or inf in '2.weight'"),
        (broken(float("inf")), {}, "nan or inf in '2.weight'"),
        (perceptron().to("meta"), {}, "meta device"),
        (nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.Linear(3, 1)), {"input_shape": (2,)}, "lazy layer"),
        (nn.Sequential(nn.Linear(2, 2, dtype=torch.complex64)), {}, "real parameters"),
        (perceptron(), {"criterion": "l3"}, "expected a criterion"),
        (perceptron(), {"solver": "sgd"}, "expected a solver among"),
        (perceptron(), {"tol": 0.0}, "tol > 0"),
        (perceptron(), {"max_iterations": 0}, "max_iterations >= 1"),
        (perceptron(), {"progress": 3}, "progress as True"),
        (perceptron(), {"input_shape": "3"}, "a shape such as"),
        (perceptron(), {"group": RescalingGroup.from_module(nn.Linear(3, 2), (3,))}, "read from this network"),
        ("net", {}, r"torch\.nn\.Module"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_before_any_work(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        path_condition(model, **options)


def test_a_group_and_a_shape_are_one_too_many() -> None:
    model = perceptron()
    group = RescalingGroup.from_module(model, (3,))
    with pytest.raises(ValueError, match="got both"):
        path_condition(model, group, input_shape=(3,))
    with pytest.raises(ValueError, match="one input shape"):
        path_condition(model, (3,), input_shape=(3,))
    few = path_condition(model, group, solver="layer", max_iterations=1, tol=1e-14)
    assert not few.converged and len(few.history) == 2 and "NOT CONVERGED" in str(few.report())
