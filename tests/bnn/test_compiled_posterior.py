"""Posteriors recorded as graphs: the numbers of the eager posterior at every size of batch, or the eager posterior.

What inductor makes of a graph is checked at each compilation, against the eager posterior; here a wrong kernel is.
"""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import (
    Categorical,
    HeteroscedasticGaussian,
    LaplacePrior,
    LearnedGaussianNoise,
    Likelihood,
    NetworkPosterior,
    NetworkPrior,
    NormalPrior,
    _compiled_posterior,
)
from pyro_symvi.bnn._compiled_posterior import CompiledPosterior
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.runs._fingerprint import _of_target
from pyro_symvi.bnn.samplers import MAMS, MCLMC

CASES = {
    "heteroscedastic": (HeteroscedasticGaussian(), nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4))),
    "learned": (LearnedGaussianNoise(), nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Linear(4, 2))),
    "categorical": (Categorical(3), nn.Sequential(nn.Linear(3, 5, bias=False), nn.GELU(), nn.Linear(5, 3))),
    "convolution": (
        Categorical(2),
        nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2), nn.Flatten(), nn.Linear(4, 2)),
    ),
}


def posterior_of(kind: str, dtype: torch.dtype = torch.float64) -> NetworkPosterior:
    likelihood, network = CASES[kind]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 3, generator=generator, dtype=torch.float64).to(dtype)
    y = torch.randn(9, 2, generator=generator, dtype=torch.float64).to(dtype)
    prior = NetworkPrior(NormalPrior(0.7), {"0.weight" if kind == "learned" else "*.bias": LaplacePrior(1.3)})
    return NetworkPosterior(network, likelihood, prior, x, torch.arange(9) % 2 if likelihood.is_classification else y)


@pytest.mark.parametrize("kind", CASES)
def test_numbers_are_those_of_the_eager_posterior(kind):
    dtype = torch.float64 if kind == "learned" else torch.float32
    posterior = posterior_of(kind, dtype)
    compiled = posterior.compile((2, 4) if kind == "learned" else 4, level="graph")
    assert isinstance(compiled, CompiledPosterior)
    assert compiled.chains == ((2, 4) if kind == "learned" else (4,))
    assert compiled.layout is posterior.layout
    sizes = (
        (2, 4) if kind == "learned" else (4,)
    )  # rounding differs between sizes: a checkpoint is continued by the same
    assert _of_target(compiled, None)["compiled"] == f"graph for {sizes} chains" and "compiled" not in _of_target(
        posterior, None
    )
    generator = torch.Generator().manual_seed(1)
    for batch in ((4,), (2,), (1,), (3,), (11,), (2, 3), (0,), ()):
        theta = torch.randn(*batch, posterior.dim, generator=generator, dtype=torch.float64).to(dtype)
        for found, expected in zip(compiled.value_and_grad(theta), posterior.value_and_grad(theta), strict=True):
            torch.testing.assert_close(found, expected)
            assert found.dtype == dtype


def test_recording_leaves_the_memory_of_the_eager_posterior_alone():
    posterior = posterior_of("heteroscedastic")
    theta = torch.ones(4, posterior.dim, dtype=torch.float64)
    before = posterior.value_and_grad(theta)
    compiled = posterior.compile(4, level="graph")
    first = compiled.value_and_grad(theta)
    compiled.value_and_grad(0.5 * theta)
    for found, again, expected in zip(first, posterior.value_and_grad(theta), before, strict=True):
        assert torch.equal(again, expected)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("error", [1e-6, 0.0])
def test_wrong_code_is_refused(error, monkeypatch):
    right = _compiled_posterior.lower

    def planted(*args):
        kernel = right(*args)
        off = lambda *given: [result * (1 + error) for result in kernel.run(*given)]  # noqa: E731
        return dataclasses.replace(kernel, run=off)

    monkeypatch.setattr(_compiled_posterior, "lower", planted)
    posterior = posterior_of("heteroscedastic")
    assert (posterior.compile(2, level="graph") is posterior) is (error > 0)


class Branching(HeteroscedasticGaussian):
    """A likelihood of the user whose code depends on values."""

    def _scores(self, outputs, y, extra):
        return super()._scores(outputs if float(outputs.sum()) > 0 else 1 * outputs, y, extra)


def test_what_is_no_graph_stays_eager():
    posterior = posterior_of("heteroscedastic")
    branching = NetworkPosterior(posterior.network, Branching(), NormalPrior(), posterior.x, posterior.y)
    assert issubclass(Branching, Likelihood)
    assert branching.compile(2, level="graph") is branching


def test_bad_input():
    posterior = posterior_of("heteroscedastic")
    with pytest.raises(ValueError, match="expected level"):
        posterior.compile(2, level="fast")
    with pytest.raises(ValueError, match="chains"):
        posterior.compile(0)
    with pytest.raises(ValueError, match=r"expected parameters in torch\.float32"):
        posterior_of("learned", torch.float32).compile(2, level="graph").value_and_grad(
            torch.zeros(2, posterior_of("learned").dim, dtype=torch.float64)
        )
    with pytest.raises(TypeError, match="machine code"):
        copy.deepcopy(posterior.compile(2, level="graph"))


@pytest.mark.parametrize("sampler", [MCLMC(ascent=0), MAMS(ascent=0)], ids=["MCLMC", "MAMS"])
def test_samplers_on_a_graph_take_the_eager_path(sampler):
    posterior = posterior_of("learned")
    start = 0.1 * torch.randn(4, posterior.dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    compiled = posterior.compile(4, level="graph")
    assert isinstance(compiled, CompiledPosterior)
    ours, theirs = (
        sample(target, sampler, chains=4, draws=3, warmup=4, start=start, seed=3).theta
        for target in (compiled, posterior)
    )
    assert len(compiled._fused) >= 2  # what lies between gradients was recorded as well
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


def test_functions_are_fused_where_they_are_graphs_and_the_chains_fit(caplog):
    compiled = posterior_of("heteroscedastic").compile(3, level="graph")

    def plain(a, b):
        return a + b, a * b

    def branching(a, b):
        return (a if float(b.sum()) > 0 else b), b

    a, b = torch.arange(6.0).reshape(3, 2), torch.ones(3, 2)
    with caplog.at_level("INFO", logger="pyro_symvi.bnn"):
        for function in (plain, branching):
            for rows in (3, 2):
                for found, expected in zip(
                    compiled.fuse(function)(a[:rows], b[:rows]), function(a[:rows], b[:rows]), strict=True
                ):
                    assert torch.equal(found, expected)
    assert compiled.fuse(plain) is compiled.fuse(plain)
    assert [record.args[0] for record in caplog.records] == ["branching"]
