"""The logger against closed forms, and whether it leaves a model as it found it."""

import json
import math
import os
from dataclasses import replace

import pytest
import torch
from torch import nn

from pyro_symvi.equivariance import spectrum
from pyro_symvi.equivariance.training import Record, SpectrumHistory, SpectrumLogger
from pyro_symvi.groups import InvariantAction, NaturalAction, Orthogonal, SpecialOrthogonal

SO3 = SpecialOrthogonal(3)


def affine(seed=0):
    """f(x) = M x + b in float64."""
    g = torch.Generator().manual_seed(seed)
    layer = nn.Linear(3, 3).double()
    with torch.no_grad():
        layer.weight.copy_(torch.randn(3, 3, generator=g, dtype=torch.float64))
        layer.bias.copy_(torch.randn(3, generator=g, dtype=torch.float64))
    return nn.Sequential(layer, nn.Identity())


def points(n=5, seed=1):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_closed_form_of_an_affine_map_at_two_times():
    model, x = affine(), points()
    logger = SpectrumLogger(x, SO3, 2, layers=["0"], rho_out=NaturalAction(SO3))
    logger(model, 0, loss=3.0)
    with torch.no_grad():
        model[0].weight.mul_(0.5)
    logger(model, 1, loss=torch.tensor(2.0, requires_grad=True), rate=0.1)
    history = logger.history
    assert history.fractions.shape == history.energies.shape == (2, 2, 3)
    assert history.layers == ("0", "output")
    for k, scale in enumerate((2.0, 1.0)):
        M, b = model[0].weight.detach() * scale, model[0].bias.detach()
        one = x.square().sum(1).mean() * M.square().sum() / 3
        zero = b.square().sum()
        expected = torch.stack([zero, one, torch.zeros(())])
        for layer in (0, 1):
            torch.testing.assert_close(history.energies[k, layer], expected, rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(history.fractions[k, layer], expected / (zero + one), rtol=1e-10, atol=1e-12)
        squared = x.square().sum(1).mean() * (M.square().sum() / 3 - M.trace() ** 2 / 9) + zero
        assert float(history.A[k, 0]) == pytest.approx(math.sqrt(squared), rel=1e-10)
        assert float(history.errors[k]) == pytest.approx(math.sqrt(squared / (zero + one)), rel=1e-10)
    assert history.epochs.tolist() == [0, 1]
    assert history.number("loss").tolist() == [3, 2]
    assert math.isnan(history.number("rate")[0]) and float(history.number("rate")[1]) == 0.1


def test_several_outputs_each_with_its_error():
    class Two(nn.Module):
        def forward(self, x):
            return {"length": x.square().sum(1) + 0.5 * x[:, 0], "vector": 2 * x}

    x = points()
    actions = {"length": InvariantAction(SO3), "vector": NaturalAction(SO3)}
    record = SpectrumLogger(x, SO3, 2, rho_out=actions).log(Two(), epoch=0)
    assert record.A["length"] == pytest.approx(math.sqrt(0.25 * x.square().sum(1).mean() / 3), rel=1e-10)
    assert record.A["vector"] < 1e-12
    spread = (x.square().sum(1)).std()  # of means over rotations, which have no linear part
    assert record.relative_to_spread["length"] == pytest.approx(record.A["length"] / float(spread), rel=1e-10)
    with pytest.raises(ValueError, match="charge"):
        SpectrumLogger(x, SO3, 2, rho_out={"charge": InvariantAction(SO3)}).log(Two(), epoch=0)


class Awkward(nn.Module):
    """Dropout in training, a norm frozen on purpose, and a buffer that counts calls."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.drop, self.last = (
            nn.Linear(3, 4),
            nn.BatchNorm1d(4),
            nn.Dropout(0.5),
            nn.Linear(4, 3),
        )
        self.register_buffer("calls", torch.zeros(()))
        self.norm.eval()

    def forward(self, x):
        self.calls += 1
        return self.last(self.drop(self.norm(self.first(x))))


def test_the_model_is_left_as_it_was():
    model, x = Awkward().double(), points()
    model(x).sum().backward()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    torch.manual_seed(5)
    logger = SpectrumLogger(x, SO3, 1, rho_out=NaturalAction(SO3))
    logger(model, 0)
    found = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(found, torch.rand(3))
    assert [module.training for module in model.modules()] == modes
    assert modes[0] and not model.norm.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(ValueError, match="evaluation mode"):  # what the logger spares its user
        spectrum(model, x, SO3, 1)


def test_modes_come_back_after_an_error():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout()).double()
    logger = SpectrumLogger(points(), SO3, 1, layers=["nowhere"])
    with pytest.raises(ValueError, match="expected layers"):
        logger(model, 0)
    assert all(module.training for module in model.modules())
    assert len(logger.history) == 0


def test_every_skips_and_log_does_not():
    model = affine()
    logger = SpectrumLogger(points(), SO3, 1, layers=(), every=2)
    assert [logger(model, step) is not None for step in range(5)] == [True, False, True, False, True]
    logger.log(model, epoch=4.5)
    assert logger.history.epochs.tolist() == [0, 2, 4, 4.5]
    with pytest.raises(ValueError, match="a time after 4.5"):
        logger.log(model, epoch=4.5)
    assert len(logger.history.until(2)) == 2
    with pytest.raises(ValueError, match="no rho_out"):
        _ = logger.history.errors


def test_a_file_goes_on_after_a_stop(tmp_path, monkeypatch):
    model, x, path = affine(), points(), tmp_path / "here" / "history.json"
    group = Orthogonal(3)
    settings = {"layers": ["0"], "rho_out": NaturalAction(group), "path": path}
    first = SpectrumLogger(x, group, 1, **settings)
    first(model, 0, loss=math.inf)
    second = SpectrumLogger(x, group, 1, **settings)
    second(model, 1, loss=0.5)
    back = SpectrumHistory.from_json(path)
    assert set(back.labels) == {(0, 1), (0, -1), (1, 1), (1, -1)}
    assert torch.equal(back.fractions, second.history.fractions) and len(back) == 2
    assert torch.equal(back.A, second.history.A) and back.layers == ("0", "output")
    assert math.isnan(back.number("loss")[0]) and float(back.number("loss")[1]) == 0.5

    def fails(*_):
        raise OSError("disk full")

    before = path.read_text()
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        second(model, 2)
    assert path.read_text() == before and list(path.parent.iterdir()) == [path]


def test_refusals(tmp_path):
    x, model = points(), affine()
    with pytest.raises(ValueError, match="every > 0"):
        SpectrumLogger(x, SO3, 1, every=0)
    with pytest.raises(TypeError, match="expected an action"):
        SpectrumLogger(x, SO3, 1, rho_out=NaturalAction(Orthogonal(3)))
    logger = SpectrumLogger(x, SO3, 1, layers=["0"])
    logger(model, 0)
    path = logger.to_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match="expected irreps"):
        SpectrumLogger(x, SO3, 2, path=path)
    again = SpectrumLogger(x, SO3, 1, layers=["1"], path=path)
    with pytest.raises(ValueError, match="a history is of one model"):
        again(model, 1)
    path.write_text(json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match="expected a file of format"):
        SpectrumHistory.from_json(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="expected a history as JSON"):
        SpectrumHistory.from_json(path)


def test_a_history_in_one_line():
    looks = (Record(time, 0.0, {"output": (0.5, 0.5)}, {"output": (1.0, 1.0)}, {"output": 0.0}) for time in (0, 5))
    history = SpectrumHistory(((0, 1), (1, 1)))
    assert repr(history) == "<history of no records over 2 irreps>"
    for look in looks:
        history.append(replace(look, A={"output": 2 / (1 + look.time)}, relative={"output": 1 / (1 + look.time)}))
    assert repr(history) == (
        "<history of 2 records at 0 to 5, 1 layers over 2 irreps; output: relative error 1 to 0.167>"
    )
