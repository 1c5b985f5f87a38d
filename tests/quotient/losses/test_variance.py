"""How much noise each loss takes out of what is regressed on, and out of gradients."""

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import SpecialOrthogonal
from pyro_symvi.quotient import Diffusion
from pyro_symvi.quotient.losses import Loss, OrbitAveraged, Plain, Quotient


def turned_copies(points: int, n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = torch.randn(points, 3, generator=generator, dtype=torch.float64)
    return (shape - shape.mean(0)) @ SpecialOrthogonal(3).sample(n, generator=generator).mT


@pytest.mark.parametrize("points", [3, 4, 8])
def test_at_high_noise_one_in_n_minus_one_is_vertical(points: int) -> None:
    """t = 0 and D = 0: E |P x_1|^2 / |x_1|^2 = 1 - 1 / (N - 1) for any shape, within 4 standard errors (some 0.2 %)."""
    x1, t = turned_copies(points, 20000, points), torch.zeros(20000, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    kept = Quotient()(Diffusion(), lambda x, t, c: 0 * x, x1, t, generator=generator) / x1.square().sum((-2, -1))
    error = float(kept.std()) / 20000**0.5
    assert float(kept.mean()) == pytest.approx(1 - 1 / (points - 1), abs=4 * error) and error < 0.003


def test_quotient_is_blind_to_turning_the_input() -> None:
    """Adding omega x x_t, omega any function of x_t, changes nothing; for the plain loss it does."""
    x1, t = turned_copies(4, 50, 0), torch.linspace(0, 0.99, 50, dtype=torch.float64)

    def spun(x: Tensor, t: Tensor, context: object) -> Tensor:
        omega = torch.stack([x[:, 0].sum(-1), t, x[:, 1, 0] ** 2], -1)
        return 0.5 * x + 3 * torch.linalg.cross(omega[:, None], x)

    for loss, same in ((Quotient(), True), (Plain(), False)):
        still, turned = (
            loss(Diffusion(), network, x1, t, generator=torch.Generator().manual_seed(2))
            for network in (lambda x, t, c: 0.5 * x, spun)
        )
        assert torch.allclose(still, turned, rtol=1e-9) is same


def gradients(loss: Loss, time: float, n: int) -> Tensor:
    """The gradient of each cloud's loss in a linear map of its points, ``[n, 16]``."""
    x1, t = turned_copies(4, n, 3), torch.full((n,), time, dtype=torch.float64)
    weights = torch.zeros(n, 4, 4, dtype=torch.float64, requires_grad=True)
    best = 0.3 * torch.eye(4, dtype=torch.float64)
    losses = loss(Diffusion(), lambda x, t, c: (best + weights) @ x, x1, t, generator=torch.Generator().manual_seed(4))
    return torch.autograd.grad(losses.sum(), weights)[0].flatten(1)


@pytest.mark.parametrize(
    ("loss", "time", "low", "high"),
    [
        (Quotient(), 0.05, 0.8, 0.9),
        (OrbitAveraged(), 0.05, 0.05, 0.12),
        (OrbitAveraged(rotations=16), 0.05, 0.0, 0.3),
        (OrbitAveraged(rotations=16), 0.5, 0.2, 0.9),
    ],
    ids=["quotient", "orbit-exact", "orbit-noise", "orbit-half"],
)
def test_gradients_vary_less_than_plain_ones(loss: Loss, time: float, low: float, high: float) -> None:
    """Ratio of traces of the gradients' covariances; its standard error by the jackknife over 40 parts."""
    n, parts = 4000, 40
    pair = [gradients(each, time, n).reshape(parts, -1, 16) for each in (loss, Plain())]
    traces = [g.var(1).sum(-1) for g in pair]
    ratio = float(traces[0].sum() / traces[1].sum())
    rest = (traces[0].sum() - traces[0]) / (traces[1].sum() - traces[1])
    error = float(((parts - 1) / parts * (rest - rest.mean()).square().sum()).sqrt())
    assert low < ratio - 4 * error and ratio + 4 * error < high, (ratio, error)
