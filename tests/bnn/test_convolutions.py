"""Networks that are no perceptrons: convolutions against plain torch.nn and its autograd."""

import torch
from torch import nn

from pyro_symvi.bnn import Categorical, LaplacePrior, NetworkPosterior, NetworkPrior, NormalPrior


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3))


def test_convolutional_network_has_the_density_and_gradient_of_torch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, 4, 4, generator=generator, dtype=torch.float64)
    y = torch.arange(6) % 3
    prior = NetworkPrior(NormalPrior(0.8), {"0.weight": LaplacePrior(0.5)})
    posterior = NetworkPosterior(network(), Categorical(3), prior, x, y)
    theta = torch.randn(2, 2, posterior.dim, generator=generator, dtype=torch.float64)
    value, gradient = posterior.value_and_grad(theta)
    plain = network().double()
    for place in ((0, 0), (1, 1)):
        nn.utils.vector_to_parameters(theta[place], plain.parameters())
        outputs = plain(x)
        torch.testing.assert_close(posterior.outputs(theta)[place], outputs.detach(), rtol=1e-12, atol=1e-12)
        log_prob = -nn.functional.cross_entropy(outputs, y, reduction="sum")
        for name, parameter in plain.named_parameters():
            kind = torch.distributions.Laplace if name == "0.weight" else torch.distributions.Normal
            scale = 0.5 if name == "0.weight" else 0.8
            law = kind(theta.new_zeros(()), theta.new_tensor(scale))
            log_prob = log_prob + law.log_prob(parameter).sum()
        expected = torch.autograd.grad(log_prob, list(plain.parameters()))
        torch.testing.assert_close(value[place], log_prob.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient[place], nn.utils.parameters_to_vector(expected), rtol=1e-10, atol=1e-10)
