"""`pyro_symvi.bnn`: gradients and samplers, eager and compiled."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pyro_symvi.bnn import HeteroscedasticGaussian, NetworkPosterior, NormalPrior
from pyro_symvi.bnn._kernels import Kernel
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.runs._plan import Plan
from pyro_symvi.bnn.samplers import MAMS, MCLMC, Sampler

from .measure import CLOCK, WALL, Run, calls_per_second
from .problem import HIDDEN, Problem, predicted_means

THIN = 10
#: MAMS takes some 50 gradients a step: its warm-up on more chains would take ten minutes.
ADJUSTED_CHAINS = 24


def posterior_of(problem: Problem, device: str = "cpu") -> NetworkPosterior:
    """The posterior."""
    torch.set_num_threads(1)
    first, second = HIDDEN
    inputs = problem.x.shape[1]
    network = nn.Sequential(
        nn.Linear(inputs, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, 2)
    )
    x, y = torch.from_numpy(problem.x).to(device), torch.from_numpy(problem.y).to(device)
    return NetworkPosterior(network.to(device), HeteroscedasticGaussian(), NormalPrior(1.0), x, y)


def starts(problem: Problem, chains: int, steps: int) -> Tensor:
    """Where all samplers start: N(0, 0.3^2), then ``steps`` steps of Adam on each vector by itself."""
    posterior = posterior_of(problem)
    theta = 0.3 * torch.randn(chains, posterior.dim, generator=torch.Generator().manual_seed(0))
    first, second = torch.zeros_like(theta), torch.zeros_like(theta)
    for t in range(1, steps + 1):
        gradient = posterior.value_and_grad(theta)[1]
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient.square()
        theta = theta + 0.01 * first / (1 - 0.9**t) / ((second / (1 - 0.999**t)).sqrt() + 1e-8)
    return theta


def by_autograd(posterior: NetworkPosterior, theta: Tensor) -> Tensor:
    """Gradients by autograd through batched products, with the likelihood's own written out."""
    with torch.no_grad():
        score = lambda outputs: posterior.likelihood.scores(outputs, posterior.y, theta[:, :0])[:2]  # noqa: E731
        gradient = Kernel.pull_back(posterior.kernel, theta, posterior.x, score)[1]
        return gradient + posterior.parameter_prior.score(theta)


@functools.cache
def compiled_for(problem: Problem, chains: int) -> tuple[NetworkPosterior, float]:
    """The posterior compiled for packs of at most 16 of the chains, and the seconds it took, once a process."""
    posterior = posterior_of(problem)
    begin = WALL()
    return posterior.compile(Plan.default_pack(chains)), WALL() - begin


def gradients(problem: Problem, chains: int) -> Iterator[tuple[str, float, float]]:
    """Label, gradients a second, seconds of compilation."""
    posterior, theta = posterior_of(problem), torch.from_numpy(problem.start[:chains])
    compiled, spent = compiled_for(problem, chains)
    yield "pyro_symvi, autograd", chains * calls_per_second(lambda: by_autograd(posterior, theta)), 0.0
    yield "pyro_symvi", chains * calls_per_second(lambda: posterior.value_and_grad(theta)), 0.0
    if type(compiled) is not NetworkPosterior:
        yield "pyro_symvi, compiled", chains * calls_per_second(lambda: compiled.value_and_grad(theta)), spent


def runs(problem: Problem, chains: int, budget: float, warmup: int) -> Iterator[Run]:
    """MCLMC and, for few chains, MAMS, in the packs that ``sample`` makes: activations stay in the caches."""
    posterior = posterior_of(problem)
    pack = Plan.default_pack(chains)
    compiled, compilation = compiled_for(problem, chains)
    samplers: dict[str, Sampler] = {"MCLMC": MCLMC()}
    if chains <= ADJUSTED_CHAINS:
        samplers["MAMS"] = MAMS()
    for name, sampler in samplers.items():
        yield _run(f"pyro_symvi {name}", sampler, posterior, problem, chains, pack, budget, warmup, 0.0)
        if type(compiled) is NetworkPosterior:
            continue
        begin = WALL()  # what lies between gradients is compiled when it is first met
        sample(compiled, sampler, chains=pack, draws=1, warmup=1, start=torch.from_numpy(problem.start[:pack]))
        spent = compilation + WALL() - begin
        yield _run(f"pyro_symvi {name}, compiled", sampler, compiled, problem, chains, pack, budget, warmup, spent)


def _run(
    label: str,
    sampler: Sampler,
    target: NetworkPosterior,
    problem: Problem,
    chains: int,
    pack: int,
    budget: float,
    warmup: int,
    compilation: float,
) -> Run:
    theta = torch.from_numpy(problem.start[:chains])
    rate = 0.0
    for probe in (True, False):  # a short run finds how many draws the budget buys
        draws = 4 if probe else max(8, int(budget * rate))
        times: list[float] = []
        begin = CLOCK()
        found = sample(
            target,
            sampler,
            chains=chains,
            draws=draws,
            thin=THIN if isinstance(sampler, MCLMC) else 1,
            warmup=200 if probe else warmup,
            start=theta,
            block=max(1, draws // 4),
            pack=pack,
            progress=lambda report, times=times: times.append(CLOCK()),  # type: ignore[misc]
        )
        blocks = len(times)
        seconds = (times[-1] - times[0]) * blocks / (blocks - 1)  # the first report comes after the first block
        rate = draws / seconds
    tuned = f"step {found.info['step_size'][0]:.3g}, energy error {found.info['energy_error_rms']:.2f} rms"
    warm = times[-1] - begin - seconds
    means = predicted_means(found.theta.numpy(), problem)
    return Run(label, chains, found.info["gradients"], seconds, compilation, warm, means, tuned)
