"""The backward pass of perceptrons written out: against autograd, in blocks, from several threads, after copies."""

import copy
import pickle
import threading

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import (
    Activation,
    GaussianNoise,
    HeteroscedasticGaussian,
    NetworkPosterior,
    NormalPrior,
    _perceptron_kernel,
    register_activation,
)
from pyro_symvi.bnn._kernels import Kernel
from pyro_symvi.bnn._likelihoods import LOG_SCALE_LIMIT
from pyro_symvi.bnn._perceptron_kernel import PerceptronKernel

NETWORKS = {
    "linear": nn.Linear(3, 4),
    "linear without bias": nn.Linear(3, 4, bias=False),
    "no biases": nn.Sequential(nn.Linear(3, 5, bias=False), nn.ReLU(), nn.Linear(5, 4, bias=False)),
    "two linear maps": nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 6), nn.Identity(), nn.Linear(6, 4)),
    "mixed": nn.Sequential(
        nn.Flatten(), nn.Linear(3, 5), nn.ELU(), nn.Linear(5, 6, bias=False), nn.Tanh(), nn.Linear(6, 4)
    ),
    "falling": nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(-0.3), nn.Linear(5, 4)),
}


def posterior_of(network: nn.Module, rows: int = 7, dtype: torch.dtype = torch.float64) -> NetworkPosterior:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 3, generator=generator, dtype=torch.float64).to(dtype)
    y = torch.randn(rows, 2, generator=generator, dtype=torch.float64).to(dtype)
    return NetworkPosterior(network, HeteroscedasticGaussian(), NormalPrior(0.7), x, y)


def points(posterior: NetworkPosterior, chains: int) -> torch.Tensor:
    return torch.randn(chains, posterior.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(
        posterior.dtype
    )


def by_autograd(posterior: NetworkPosterior, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = theta.clone().requires_grad_()
    value = posterior.log_prob(leaf)
    return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]


@pytest.mark.parametrize("network", NETWORKS)
def test_gradient_is_that_of_autograd(network):
    posterior = posterior_of(NETWORKS[network])
    assert isinstance(posterior.kernel, PerceptronKernel)
    theta = points(posterior, 5)
    for _ in range(2):  # the second time in memory that the first has left
        value, gradient = posterior.value_and_grad(theta)
        expected_value, expected = by_autograd(posterior, theta)
        torch.testing.assert_close(value, expected_value, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-10)


def test_scales_beyond_their_limit_have_no_gradient():
    posterior = posterior_of(nn.Linear(3, 4))
    theta = torch.zeros(2, posterior.dim, dtype=torch.float64)
    theta[0, -1] = LOG_SCALE_LIMIT + 1  # the bias of a log scale; the prior is left
    torch.testing.assert_close(posterior.value_and_grad(theta)[1], by_autograd(posterior, theta)[1])
    assert float(posterior.value_and_grad(theta)[1][0, -1]) == pytest.approx(-(LOG_SCALE_LIMIT + 1) / 0.49)


class Bent(nn.Module):
    """An activation of the user, with a slope that needs z."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z * z.abs()


@pytest.mark.parametrize("wrong", [False, True])
def test_slopes_that_users_give_are_used(wrong, monkeypatch):
    monkeypatch.setattr("pyro_symvi.bnn._activations._READERS", {})
    slope = (lambda z, f: z.abs()) if wrong else (lambda z, f: 2 * z.abs())
    register_activation(Bent, lambda m: Activation("bent", m, degree=2.0, odd=True, slope=slope))
    posterior = posterior_of(nn.Sequential(nn.Linear(3, 5), Bent(), nn.Linear(5, 4)))
    theta = points(posterior, 2)
    same = torch.allclose(posterior.value_and_grad(theta)[1], by_autograd(posterior, theta)[1], rtol=1e-10)
    assert same is not wrong


def test_blocks_of_chains_change_nothing(monkeypatch):
    posterior = posterior_of(NETWORKS["mixed"])
    theta = points(posterior, 11)
    whole = posterior.value_and_grad(theta)
    assert posterior.kernel.block(11, posterior.x) == 11
    monkeypatch.setattr(_perceptron_kernel, "BLOCK_BYTES", 4 * 2 * 15 * 7 * 8)
    assert posterior.kernel.block(11, posterior.x) == 4
    for found, expected in zip(posterior.value_and_grad(theta.reshape(1, 11, -1)), whole, strict=True):
        torch.testing.assert_close(found[0], expected, rtol=1e-13, atol=1e-13)


def test_equal_batches_give_equal_bits():
    posterior = posterior_of(NETWORKS["mixed"], rows=101, dtype=torch.float32)
    theta = points(posterior, 6)
    first = posterior.value_and_grad(theta)
    posterior.value_and_grad(points(posterior, 3))
    for found, expected in zip(posterior.value_and_grad(theta.clone()), first, strict=True):
        assert torch.equal(found, expected)


def test_inputs_that_changed_are_seen():
    posterior = posterior_of(NETWORKS["mixed"])
    theta = points(posterior, 3)
    before = posterior.value_and_grad(theta)[0]
    posterior.x.mul_(0.5)
    value, gradient = posterior.value_and_grad(theta)
    assert not torch.allclose(value, before)
    torch.testing.assert_close(gradient, by_autograd(posterior, theta)[1])


def test_copies_and_threads_have_memory_of_their_own():
    posterior = posterior_of(NETWORKS["mixed"], rows=300)
    thetas = [points(posterior, 4) * scale for scale in (0.5, 1.0, 1.5)]
    expected = [by_autograd(posterior, theta)[1] for theta in thetas]
    found: dict[int, list[torch.Tensor]] = {}

    def work(i: int, target: NetworkPosterior) -> None:
        found[i] = [target.value_and_grad(thetas[i])[1] for _ in range(20)]

    posterior.value_and_grad(thetas[0])
    targets = (posterior, posterior, pickle.loads(pickle.dumps(copy.deepcopy(posterior))))
    threads = [threading.Thread(target=work, args=(i, target)) for i, target in enumerate(targets)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, gradients in found.items():
        for gradient in gradients:
            torch.testing.assert_close(gradient, expected[i], rtol=1e-10, atol=1e-10)


def test_a_kernel_without_a_backward_pass_uses_autograd():
    posterior = posterior_of(NETWORKS["mixed"])
    theta = points(posterior, 3)
    likelihood = GaussianNoise(0.5)
    y = torch.zeros(7, 4, dtype=torch.float64)
    score = lambda outputs: likelihood.scores(outputs, y, theta[:, :0])[:2]  # noqa: E731
    with torch.no_grad():
        ours = posterior.kernel.pull_back(theta, posterior.x, score)
    general = Kernel.pull_back(posterior.kernel, theta, posterior.x, score)
    for a, b in zip(ours, general, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
