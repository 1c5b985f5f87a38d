"""One cell: an init and a start on the orbit; a mean-field guide is trained for each seed and learning rate."""

from __future__ import annotations

import copy
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.optim import Adam
from rescaling_parts.tasks import TASKS, perceptron
from torch import Tensor, nn

from pyro_symvi.rescaling import RescalingGroup, improve_on_orbit_, init_to_canonical, kl_to_prior

METHODS = ("none", "l2", "path")
"""The point as it is; the point of its orbit of least sum of squares; path conditioning."""
INITS = ("uniform", "kaiming", "trained")
"""That of PyTorch; Kaiming normal with biases of zero; the first after five epochs of Adam."""
WIDTHS = (64, 50, 20, 10)
PRIOR, INIT_SCALE, BATCH, DRAWS = 0.3, 0.01, 128, 64


def cell(init: str, method: str, seeds: list[int], rates: list[float], steps: int) -> dict[str, Any]:
    """Data, point up to rescaling, minibatches, noise in training and evaluation draws of a seed are those of all."""
    runs = []
    for seed in seeds:
        (x, y), _ = TASKS["digits"].samples(seed)
        net = start(init, seed, x, y)
        runs.append([run(net, method, seed, rate, steps, x, y) for rate in rates])
    return {"runs": runs, "data": len(y)}


def start(init: str, seed: int, x: Tensor, y: Tensor) -> nn.Sequential:
    """A perceptron as initialised, or briefly trained."""
    with torch.random.fork_rng():
        torch.manual_seed(1000 + seed)
        net = perceptron(WIDTHS)
        if init == "kaiming":
            for layer in net[::2]:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        if init == "trained":
            optimizer = torch.optim.Adam(net.parameters(), 3e-3)
            for _ in range(5 * (len(y) // BATCH)):
                rows = torch.randint(len(y), (BATCH,))
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
                optimizer.step()
    return net


def run(
    net: nn.Sequential, method: str, seed: int, rate: float, steps: int, x: Tensor, y: Tensor
) -> dict[str, list[float] | float]:
    """ELBO, likelihood and prior term per datum (nats) at the start and the end; gain per datum of the orbit then."""
    group = RescalingGroup.from_module(net, (WIDTHS[0],))
    twin = copy.deepcopy(net)
    names = list(group.layout.names)

    def model(x: Tensor, y: Tensor) -> None:
        weights = {
            name: pyro.sample(name, dist.Normal(torch.zeros(shape), PRIOR).to_event(len(shape)))
            for name, shape in zip(names, group.layout.shapes, strict=True)
        }
        with pyro.plate("rows", len(y), subsample_size=BATCH) as rows:
            logits = torch.func.functional_call(twin, weights, (x[rows],))
            pyro.sample("y", dist.Categorical(logits=logits), obs=y[rows])

    values = {name: p.detach().clone() for name, p in net.named_parameters()}
    begin = (
        pyro.infer.autoguide.init_to_value(values=values) if method == "none" else init_to_canonical(net, group, method)
    )
    with torch.random.fork_rng():
        torch.manual_seed(5000 + seed)
        pyro.clear_param_store()
        # the plate belongs to the data alone: the guide has no sites in it
        guide = AutoNormal(model, init_loc_fn=begin, init_scale=INIT_SCALE)
        guide(x, y)
        first = terms(guide, group, twin, x, y)
        svi = SVI(model, guide, Adam({"lr": rate}), Trace_ELBO())
        with pyro.validation_enabled(False):
            for _ in range(steps):
                svi.step(x, y)
        last = terms(guide, group, twin, x, y)
        gain = improve_on_orbit_(guide, group).gain / len(y)
        moved = terms(guide, group, twin, x, y)
        pyro.clear_param_store()
    return {"first": first, "last": last, "gain": gain, "moved": moved}


def terms(guide: AutoNormal, group: RescalingGroup, net: nn.Sequential, x: Tensor, y: Tensor) -> list[float]:
    """E_q log p(y | theta) and KL(q || p), both per datum: the first by draws that are kept, the other exactly."""
    layout = group.layout
    loc, scale = (
        layout.flatten({name: values[name] for name in layout.names}).detach()
        for values in ({n: _at(part, n) for n in layout.names} for part in (guide.locs, guide.scales))
    )
    noise = torch.randn(DRAWS, layout.dim, generator=torch.Generator().manual_seed(77))
    weights = layout.unflatten(loc + scale * noise)
    with torch.no_grad():
        logits = torch.func.vmap(lambda w: torch.func.functional_call(net, w, (x,)))(weights)
        fit = float(logits.log_softmax(-1)[:, torch.arange(len(y)), y].double().mean())
    return [fit, float(kl_to_prior(loc.double(), scale.double(), PRIOR)) / len(y)]


def _at(module: Any, name: str) -> Tensor:
    for part in name.split("."):
        module = getattr(module, part)
    value: Tensor = module
    return value
