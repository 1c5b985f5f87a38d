"""Each guard with a model that breaks just that, and the same model mended."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyro_symvi.equivariance import equivariance_error, lie_error, spectrum
from pyro_symvi.equivariance._inputs import Inputs, Shared
from pyro_symvi.equivariance._sweep import Sweep
from pyro_symvi.groups import Action, Cyclic, InvariantAction, NaturalAction, SpecialOrthogonal

SO3 = SpecialOrthogonal(3)
RULE = SO3.quadrature(2)


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X = draws(4, 5, 3)


def sweep(model: Any, x: Any = X, rho: Any = None, layers: Any = (), **options: Any) -> Sweep:
    found = Sweep(model, Inputs.of(x, SO3, rho), RULE, layers, **options)
    for _ in found.blocks():
        pass
    return found


class Net(nn.Module):
    """Two layers on clouds; ``forward`` by hand."""

    def __init__(self, forward: Callable[[nn.Module, Tensor], Any] | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Linear(3, 4).double(), nn.Linear(4, 2).double()
        self.by_hand = forward
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.by_hand(self, x) if self.by_hand else self.second(self.first(x).tanh()).mean(1)


# -- modes and chance ------------------------------------------------
def test_training_mode_of_a_part_alone_is_refused() -> None:
    net = Net()
    sweep(net)
    net.second.train()
    with pytest.raises(ValueError, match="training mode in second, because"):
        sweep(net)
    assert net.second.training and not net.first.training
    with pytest.raises(ValueError, match="training mode in second"):
        sweep(lambda x: net(x))
    with pytest.raises(ValueError, match="training mode in second"):
        sweep(net.forward)
    sweep(net, allow_training=True)


def test_dropout_that_ignores_the_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="deterministic model.*draws random numbers"):
        sweep(Net(lambda net, x: F.dropout(net.first(x), 0.3, training=True)))
    sweep(Net(lambda net, x: F.dropout(net.first(x), 0.3, training=net.training)))


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize(
    "noise",
    [
        lambda: torch.randn(()).double(),  # the same for all samples
        lambda: torch.tensor(np.random.rand()),
        lambda: torch.tensor(random.random()),
    ],
    ids=["torch", "numpy", "python"],
)
def test_chance_is_refused_and_the_global_generators_stay(rows: int, noise: Callable[[], Tensor]) -> None:
    np.random.seed(0), random.seed(0)  # one pair of draws in a thousand agrees within rounding
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    for batch in (256, 1):
        with pytest.raises(ValueError, match="deterministic model, got two answers.*draws random numbers"):
            sweep(Net(lambda net, x: net.first(x) + noise()), X[:rows], batch=batch)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1] and random.getstate() == before[2]


def test_chance_with_its_own_generator_is_refused() -> None:
    own = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="nothing was drawn from a known generator"):
        sweep(Net(lambda net, x: net.first(x) + torch.randn(1, generator=own)))


def test_a_seed_fixed_inside_is_no_chance() -> None:
    def forward(net: nn.Module, x: Tensor) -> Tensor:
        torch.manual_seed(3)
        return net.first(x) + torch.randn(4).double()

    before = torch.get_rng_state()
    sweep(Net(forward))
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_that_is_allowed_is_new_in_every_block() -> None:
    net = Net(lambda net, x: torch.randn(len(x), 400).double())
    blocks = [r["output"] for _, _, r in Sweep(net, Inputs.of(X, SO3), RULE, (), 4, allow_training=True).blocks()]
    assert len({float(b.sum()) for b in blocks}) == len(blocks) == len(RULE.weights)


def test_running_statistics_come_back() -> None:
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(15)).double().train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    sweep(net, allow_training=True)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert net.training and net[1].training


# -- samples that see each other ------------------------------------------------
@pytest.mark.parametrize("batch", [256, 4, 2])
def test_batch_statistics_in_evaluation_mode_are_refused(batch: int) -> None:
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(15, track_running_stats=False)).double().eval()
    with pytest.raises(ValueError, match="samples that do not see each other"):
        sweep(net, batch=batch)


def test_a_cloud_without_samples_axis_is_refused() -> None:
    def model(x: Tensor) -> Tensor:  # centred cloud, [N, 3]
        return x - x.mean(0)

    with pytest.raises(ValueError, match=r"see each other.*x\[None\]"):
        sweep(model, X[0])
    sweep(lambda x: x - x.mean(1, keepdim=True), X[0][None])


def test_a_pooled_cloud_without_samples_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="samples on its first axis from 'output', got shape"):
        sweep(lambda x: x.mean(0), X[0])


def test_batch_one_evaluates_one_by_one() -> None:
    sizes: list[int] = []

    def model(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x - x.mean(0)

    sweep(model, batch=1)
    assert set(sizes) == {1}


# -- layouts ------------------------------------------------
def test_outputs_that_change_shape_with_orientation_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape at every image"):
        sweep(lambda x: x[..., : 1 + int(x[0, 0, 0] > 0)], X[:1], batch=1)
    net = Net(lambda net, x: net.second(net.first(x[:, : 2 + int(x[0, 0, 0] > 0)])).sum(1))
    with pytest.raises(ValueError, match="another shape in first, second"):
        sweep(net, X[:1], layers=None, batch=1)


def test_a_layer_called_for_some_orientations_is_refused() -> None:
    net = Net(lambda net, x: net.second(net.first(x) if x[0, 0, 0] > 0 else net.first(net.first(x)[..., :3])))
    with pytest.raises(ValueError, match="another shape in first@2"):
        sweep(net, X[:1], layers=None, batch=1)


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (lambda net, x: net.second(net.first(x.flatten(0, 1)).reshape(-1, 5, 4).sum(1)), "samples were expected"),
        (lambda net, x: net.second(net.first(x.transpose(0, 1)).sum(0)), "samples were expected"),
        (lambda net, x: net.second(F.linear(x, net.first.weight)), "never called"),
        (lambda net, x: net.second(x.new_ones(len(x), 4) + 0 * net.first(x[:, :0]).sum()), "no entries"),
        (lambda net, x: net.second(torch.func.vmap(net.first)(x)), "under vmap"),
        (lambda net, x: net.second(net.first(x / 0.0).nan_to_num(0.0, 0.0, 0.0)), "nan or inf"),
    ],
    ids=["flattened", "sequence first", "not called", "empty", "vmap", "nan"],
)
def test_a_layer_without_samples_axis_is_left_out_or_refused(forward: Any, why: str) -> None:
    net = Net(forward)
    assert why in sweep(net, layers=None).left_out["first"]
    assert why in sweep(net, layers="f*").left_out["first"]
    with pytest.raises(ValueError, match=f"first.*{why}|nan or inf in 'first'"):
        sweep(net, layers=["first", "second"])
    assert not sweep(net, layers="second").left_out


def test_a_first_axis_that_has_the_right_length_by_coincidence_is_noticed() -> None:
    """Clouds of 4 points, 4 samples, points first: [4, 4, 4] in a pass of one element."""
    net = Net(lambda net, x: net.second(net.first(x.transpose(0, 1)).sum(0)))
    x = X[:, :4]
    assert "first" in sweep(net, x, layers=None, batch=4).left_out
    swapped = Net(lambda net, x: net.second(net.first(x.flip(0)).flip(0)))
    assert "rest of the batch" in sweep(swapped, layers=None).left_out["first"]


def test_nan_and_integers_and_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="nan or inf in 'output'"):
        sweep(lambda x: x[..., 0].log())
    with pytest.raises(TypeError, match="floating tensors, got output: int64 entries"):
        sweep(lambda x: x.argmax(-1))
    with pytest.raises(TypeError, match="floating tensors, got NoneType"):
        sweep(lambda x: None)
    with pytest.raises(TypeError, match="sparse"):
        sweep(lambda x: x[:, 0].to_sparse())


# -- structures and names ------------------------------------------------
@dataclass
class Answer:
    energy: Tensor
    count: Tensor
    parts: tuple[Tensor, ...]


def test_structures_are_taken_apart() -> None:
    def forward(net: nn.Module, x: Tensor) -> Answer:
        return Answer(net.first(x).sum((1, 2)), x.sign().long(), (x, torch.view_as_complex(x[..., :2].contiguous())))

    net = Net(forward)
    found = Sweep(net, Inputs.of(X, SO3), RULE, None)
    (_, _, values), *_ = found.blocks()
    assert list(values) == ["first", "output['energy']", "output['parts'][0]", "output['parts'][1]"]
    assert values["output['parts'][1]"].shape == (18, 4, 5, 2)  # complex numbers as pairs
    assert found.left_out["output['count']"].startswith("int64") and "never called" in found.left_out["second"]


def test_a_layer_called_twice_and_one_named_output() -> None:
    class Named(Net):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Linear(3, 3).double()
            self.alias = self.output
            self.eval()

        def forward(self, x: Tensor) -> Tensor:
            return 2 * self.output(self.output(x))

    net = Named()
    (_, _, values), *_ = Sweep(net, Inputs.of(X, SO3), RULE, None).blocks()
    assert list(values) == ["self.output", "self.output@2", "output"]
    torch.testing.assert_close(values["output"], 2 * values["self.output@2"])
    (_, _, values), *_ = Sweep(net, Inputs.of(X, SO3), RULE, "alias").blocks()
    assert list(values) == ["alias", "alias@2", "output"]
    with pytest.raises(ValueError, match="among the modules of the model, got 'third'"):
        sweep(net, layers="third")


def test_hooks_go_when_the_model_fails() -> None:
    net = Net(lambda net, x: net.second(net.first(x)) @ x)
    with pytest.raises(RuntimeError):
        sweep(net, layers=None)
    assert not any(module._forward_hooks for module in net.modules())


# -- in place ------------------------------------------------
def test_activations_in_place_leave_the_layer_before_them() -> None:
    """One linear layer, then ReLU in place: fractions of the layer are those of a linear map."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(3, 6, bias=False), nn.ReLU(inplace=True)).double().eval()
    found = spectrum(net, X[:, 0], SO3, 2, degree=6)
    assert abs(found["0"].fraction(1) - 1) < 1e-13
    assert found["1"].fraction(0) > 0.2
    torch.testing.assert_close(found["1"].energies, found["output"].energies)


@pytest.mark.parametrize("samples", [1, 4])
def test_a_model_may_change_its_inputs_in_place(samples: int) -> None:
    x, charges, table = X[:samples].clone(), draws(samples, 5, seed=2), draws(4, seed=3)
    kept = x.clone(), charges.clone(), table.clone()

    def clean(x: Tensor, charges: Tensor, table: Tensor) -> Tensor:
        return ((x - x[:, :1]) * (2 * charges)[..., None]).sum(1) * table[0]

    def rough(x: Tensor, charges: Tensor, table: Tensor) -> Tensor:
        x -= x[:, :1].clone()
        charges *= 2
        return (x * charges[..., None]).sum(1) * table[0]

    def rougher(x: Tensor, charges: Tensor, table: Tensor) -> Tensor:
        table *= 2
        return clean(x, charges, table)

    rho = (NaturalAction(SO3), None, None)
    wanted = equivariance_error(clean, (x, charges, Shared(table)), SO3, rho, degree=4, batch=1)
    got = equivariance_error(rough, (x, charges, Shared(table)), SO3, rho, degree=4, batch=1)
    torch.testing.assert_close(got.squared, wanted.squared)
    with pytest.raises(ValueError, match="deterministic"):
        equivariance_error(rougher, (x, charges, Shared(table)), SO3, rho, degree=4)
    for now, before in zip((x, charges, table), kept, strict=True):
        assert torch.equal(now, before)


# -- compiled, scripted, other dtypes, gradients inside ------------------------------------------------
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_layers_of_compiled_models_are_refused() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double().eval()
    compiled = torch.compile(net, backend="eager")
    traced = torch.jit.trace(net, X)
    for closed in (compiled, traced):
        with pytest.raises(TypeError, match="uncompiled model where layers are asked for"):
            sweep(closed, layers=None)
        sweep(closed)
    mixed = nn.Sequential(traced, nn.Linear(2, 2).double()).eval()
    left = sweep(mixed, layers=None).left_out
    assert left and all(name.startswith("0.") and "compiled or scripted" in why for name, why in left.items())
    with pytest.raises(ValueError, match="'0.2'.*compiled or scripted"):
        sweep(mixed, layers="0.2")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_models_pass_with_their_own_rounding(dtype: torch.dtype) -> None:
    net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2)).to(dtype).eval()
    found = Sweep(net, Inputs.of(X.to(dtype), SO3), RULE, None)
    (_, _, values), *_ = found.blocks()
    assert values["output"].dtype == torch.float64
    assert next(net.parameters()).dtype == dtype


def test_models_that_differentiate_inside_run_and_leave_no_graph() -> None:
    def forces(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        x.requires_grad_()
        energy = net.first(x).square().sum((1, 2))
        (slope,) = torch.autograd.grad(energy.sum(), x)
        return energy, -slope

    x = X.clone().requires_grad_()
    net = Net(forces)
    found = Sweep(net, Inputs.of(x, SO3), RULE, "first")
    (_, _, values), *_ = found.blocks()
    assert values["output[1]"].shape == (18, 4, 5, 3) and not any(v.requires_grad for v in values.values())
    matrix = net.first.weight
    wanted = -2 * (found.inputs.moved(RULE.elements) @ matrix.T + net.first.bias) @ matrix
    torch.testing.assert_close(values["output[1]"].flatten(0, 1), wanted.detach())
    assert x.grad is None and matrix.grad is None


def test_a_spectrum_says_what_was_left_out() -> None:
    net = Net(lambda net, x: net.second(net.first(x.transpose(0, 1)).sum(0)))
    found = spectrum(net, X, SO3, 1)
    assert list(found) == ["second", "output"] and found.left_out is not None
    assert "samples were expected on the first axis" in found.left_out["first"]
    assert type(found).from_dict(found.to_dict()).left_out == found.left_out


@pytest.mark.parametrize("metric", [spectrum, equivariance_error])
def test_a_number_is_no_rule(metric: Callable[..., Any]) -> None:
    arguments = (2,) if metric is spectrum else ()
    with pytest.raises(TypeError, match="expected rule as MonteCarlo.* got 100 of type int.* try degree=n"):
        metric(lambda x: x, X[:, 0], SO3, *arguments, rule=100)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_outputs_whose_squares_are_no_floats_are_refused(scale: float) -> None:
    """Their errors would be 0, or nan, and nothing would be called broken."""
    group, x = SpecialOrthogonal(3), torch.ones(2, 3, dtype=torch.float64)
    for measure in (equivariance_error, lambda *args: spectrum(*args, 2), lie_error):
        with pytest.raises(ValueError, match="squares"):
            measure(lambda r: scale * r[:, 2:], x, group)
    assert equivariance_error(lambda r: 0 * r, x, group).A == 0


@dataclass(frozen=True, eq=False, repr=False)
class TooSlow(Action):
    """A cyclic group of n turns in the plane, by angles of 2 pi / (n + 1): it does not close."""

    turns: Cyclic

    @property
    def group(self) -> Cyclic:
        return self.turns

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (2,)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        angle = 2 * torch.pi / (self.turns.n + 1) * g.double()
        c, s = angle.cos(), angle.sin()
        return torch.stack([c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]], -1)


@pytest.mark.parametrize("n", [2, 3, 4, 60])
def test_actions_of_small_groups_that_do_not_close_are_refused(n: int) -> None:
    group, x = Cyclic(n), torch.ones(2, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="action"):
        spectrum(lambda r: r, x, group, rho_in=TooSlow(group))
    with pytest.raises(ValueError, match="action"):
        equivariance_error(lambda r: r, x, group, InvariantAction(group), TooSlow(group))
