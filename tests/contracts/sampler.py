"""The contract of a sampler: inherit ``SamplerContract`` and give ``sampler`` (and ``tolerance`` if it is not exact).

Invariance is tested from exact draws of the target: many independent chains take some steps, and statistics averaged
over each chain are compared with the truth in units of the standard error over the chains, which is exact however
slowly the chains mix. A biased sampler is compared within its declared bias besides.
"""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from pyro_symvi.bnn._streams import stream
from pyro_symvi.bnn.samplers import ChainState, Sampler, Target, Tuning


class CorrelatedGaussian:
    """N(mean, covariance) in 4 dimensions, standard deviations 0.5 to 2."""

    dim = 4
    mean = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    _root = torch.tensor(
        [[2.0, 0, 0, 0], [0.8, 0.6, 0, 0], [-0.3, 0.4, 0.5, 0], [0.2, -0.5, 0.3, 0.7]], dtype=torch.float64
    )
    covariance = _root @ _root.T

    def value_and_grad(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        centred = theta - self.mean
        gradient = -centred @ torch.linalg.inv(self.covariance)
        return 0.5 * (centred * gradient).sum(-1), gradient

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.mean + torch.randn(n, 4, generator=generator, dtype=torch.float64) @ self._root.T

    def statistics(self, theta: Tensor) -> Tensor:
        """Coordinates and products of centred coordinates, ``[..., 14]``."""
        centred = theta - self.mean
        rows, columns = torch.triu_indices(4, 4)
        return torch.cat([theta, centred[..., rows] * centred[..., columns]], -1)

    def truth(self) -> Tensor:
        rows, columns = torch.triu_indices(4, 4)
        return torch.cat([self.mean, self.covariance[rows, columns]])


class Valley:
    """log density -x^4 / 4 - (y - x^2)^2 in two dimensions: curved, with light tails; truth by quadrature on a grid."""

    dim = 2

    def value_and_grad(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        x, y = theta.unbind(-1)
        gap = y - x * x
        return -0.25 * x**4 - gap**2, torch.stack([-(x**3) + 4 * x * gap, -2 * gap], -1)

    @staticmethod
    @cache
    def _marginal() -> tuple[Tensor, Tensor]:
        x = torch.linspace(-5, 5, 200_001, dtype=torch.float64)
        weight = torch.exp(-0.25 * x**4)
        return x, weight / weight.sum()

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        grid, weight = self._marginal()
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        x = grid[torch.searchsorted(weight.cumsum(0), u).clamp(max=len(grid) - 1)]
        y = x * x + math.sqrt(0.5) * torch.randn(n, generator=generator, dtype=torch.float64)
        return torch.stack([x, y], -1)

    def statistics(self, theta: Tensor) -> Tensor:
        x, y = theta.unbind(-1)
        return torch.stack([x, y, x * x, y * y, x * x * y, x.abs()], -1)

    def truth(self) -> Tensor:
        x, weight = self._marginal()
        moments = [torch.zeros_like(x), x**2, x**2, x**4 + 0.5, x**4, x.abs()]
        return torch.stack([(weight * m).sum() for m in moments])


def advance(
    sampler: Sampler, target: Target, state: ChainState, tuning: Tuning, steps: int, keys: list[int], block: int = 0
) -> tuple[ChainState, Tensor, Tensor]:
    """The state after ``steps`` steps, positions ``[steps, chains, dim]`` and energy errors ``[steps, chains]``."""
    generators = [stream(7, key, block) for key in keys]
    noise = sampler.noise(generators, steps, target.dim, state.position, shared=stream(7, block))
    positions, errors = [], []
    for k in range(steps):
        state, info = sampler.step(target, state, tuning, {name: values[k] for name, values in noise.items()})
        positions.append(state.position)
        errors.append(info.energy_error)
    return state, torch.stack(positions), torch.stack(errors)


def standard_scores(
    sampler: Sampler, target: CorrelatedGaussian | Valley, tuning: Tuning, chains: int, steps: int
) -> tuple[Tensor, Tensor]:
    """Errors of the statistics over their standard errors, and over their truths' sizes, from exact draws."""
    start = target.draw(chains, torch.Generator().manual_seed(11))
    keys = list(range(chains))
    state = sampler.start(target, start, [stream(5, key) for key in keys])
    _, positions, _ = advance(sampler, target, state, tuning, steps, keys)
    means = target.statistics(positions).mean(0)
    error = means.mean(0) - target.truth()
    return error / (means.std(0) / math.sqrt(chains)), error / target.truth().abs().clamp_min(1.0)


class SamplerContract:
    """Tests that every sampler passes."""

    sampler: Sampler
    #: Largest error of a statistic relative to its size, beyond 4.5 standard errors: 0 for exact samplers.
    tolerance = 0.0
    #: Step size, length and steps used on both targets.
    step_size, length, steps = 0.5, 3.0, 5.0

    def tuning(self, dim: int, scale: float = 1.0) -> Tuning:
        """A tuning for the two targets, whose scales are about one; ``scale`` as preconditioner."""
        one = torch.ones((), dtype=torch.float64)
        scales = torch.linspace(1.0, scale, dim, dtype=torch.float64)
        return Tuning(self.step_size * one, self.length * one, scales, self.steps * one)

    @pytest.mark.parametrize(
        ("target", "scale"), [(CorrelatedGaussian(), 1.4), (Valley(), 1.0)], ids=["scaled-gaussian", "valley"]
    )
    def test_invariance(self, target: CorrelatedGaussian | Valley, scale: float) -> None:
        z, relative = standard_scores(self.sampler, target, self.tuning(target.dim, scale), chains=300, steps=40)
        excess = relative.abs() * (1 - 4.5 / z.abs().clamp_min(4.5))
        assert float(excess.max()) <= self.tolerance, (z, relative)

    def test_a_chain_alone_takes_the_path_it_takes_in_a_batch(self) -> None:
        target, keys = CorrelatedGaussian(), [3, 8, 1, 40]
        start = target.draw(4, torch.Generator().manual_seed(1))
        whole = self.sampler.start(target, start, [stream(5, k) for k in keys])
        _, together, _ = advance(self.sampler, target, whole, self.tuning(4), 30, keys)
        one = self.sampler.start(target, start[2:3], [stream(5, keys[2])])
        _, alone, _ = advance(self.sampler, target, one, self.tuning(4), 30, keys[2:3])
        assert torch.allclose(together[:, 2:3], alone, rtol=0, atol=1e-12)
        other = self.sampler.start(target, start[2:3], [stream(5, 99)])
        _, elsewhere, _ = advance(self.sampler, target, other, self.tuning(4), 30, [99])
        assert not torch.allclose(together[:, 2:3], elsewhere, rtol=0, atol=1e-2)

    def test_same_keys_same_bits(self) -> None:
        target = Valley()
        paths = []
        for _ in range(2):
            state = self.sampler.start(
                target, target.draw(3, torch.Generator().manual_seed(1)), [stream(k) for k in range(3)]
            )
            found = self.sampler.warm_up(target, state, 40, [stream(1, k) for k in range(3)])
            _, path, _ = advance(self.sampler, target, found.state, found.tuning, 10, [0, 1, 2])
            paths.append(path)
        assert torch.equal(paths[0], paths[1])

    def test_warm_up_from_afar_finds_the_target(self) -> None:
        target = CorrelatedGaussian()
        keys = list(range(30))
        start = 30 * torch.randn(30, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        state = self.sampler.start(target, start, [stream(5, k) for k in keys])
        seen: list[int] = []
        found = self.sampler.warm_up(target, state, 200, [stream(6, k) for k in keys], seen.append)
        assert seen == sorted(seen) and seen[-1] == 200
        _, positions, _ = advance(self.sampler, target, found.state, found.tuning, 60, keys)
        means = target.statistics(positions[10:]).mean(0)
        z = (means.mean(0) - target.truth()) / (means.std(0) / math.sqrt(len(keys)))
        assert float(z.abs().max()) < 4.5 or (self.tolerance > 0 and float(z.abs().max()) < 9), z

    def test_infinite_density_is_never_entered(self) -> None:
        class HalfSpace(CorrelatedGaussian):
            def value_and_grad(self, theta: Tensor) -> tuple[Tensor, Tensor]:
                value, gradient = super().value_and_grad(theta)
                outside = theta[:, 0] < 1.0
                return torch.where(outside, -math.inf, value), torch.where(outside[:, None], math.nan, gradient)

        target, keys = HalfSpace(), list(range(20))
        start = target.draw(400, torch.Generator().manual_seed(2))
        start = start[start[:, 0] > 1.0][:20]
        state = self.sampler.start(target, start, [stream(5, k) for k in keys])
        state, positions, errors = advance(self.sampler, target, state, self.tuning(4), 50, keys)
        assert bool((positions[..., 0] > 1.0).all()) and bool(torch.isinf(errors).any())
        assert all(bool(torch.isfinite(part).all()) for part in state)

    def test_value(self) -> None:
        assert self.sampler == type(self.sampler)(
            **{f: getattr(self.sampler, f) for f in self.sampler.__dataclass_fields__}
        )
        assert repr(self.sampler).startswith(type(self.sampler).__name__)
