"""The contract of a loss of ``pyro_symvi.quotient``: inherit ``LossContract``, give the loss as the fixture ``loss``.

Where two clouds or two calls are compared, noise is given by hand (``WithNoise``), and all is float64.
"""

import copy
import dataclasses
import pickle

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import SpecialOrthogonal
from pyro_symvi.quotient import Context, Diffusion, HarmonicPrior, Trigonometric, losses
from pyro_symvi.quotient.losses import Loss


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class WithNoise(Diffusion):
    """A diffusion whose noise is given, ``[*batch, N, d]``; padded by zeros where clouds are."""

    given: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(0))

    def noise(self, like, context=None, *, generator=None):
        z = torch.zeros_like(like)
        z[..., : self.given.shape[-2], :] = self.given
        return self.centre(z, context)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def equivariant(x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
    """Turns with x; not linear in it."""
    size = x.square().sum(-1, keepdim=True)
    return x * (0.3 + torch.tanh(size) + t[..., None, None])


class LossContract:
    exactly_equivariant: bool = True
    """Whether the target turns with data and noise draw by draw; else only in law."""

    @pytest.fixture
    def loss(self) -> Loss:
        raise NotImplementedError("give the loss under test as the fixture 'loss'")

    # a frozen value

    def test_it_is_frozen_and_hashable(self, loss: Loss) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            loss.clip = 0.3  # type: ignore[misc]
        assert len({loss, copy.deepcopy(loss)}) == 1

    def test_it_survives_pickling_and_its_own_repr(self, loss: Loss) -> None:
        assert pickle.loads(pickle.dumps(loss)) == loss
        assert eval(repr(loss), {name: getattr(losses, name) for name in losses.__all__}) == loss

    @pytest.mark.parametrize("clip", [0.0, -1.0, float("nan"), float("inf"), True])
    def test_bad_clips_are_refused(self, loss: Loss, clip: float) -> None:
        with pytest.raises(ValueError, match="finite number > 0"):
            dataclasses.replace(loss, clip=clip)

    # shapes

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
    def test_one_number_for_each_cloud(self, loss: Loss, batch: tuple[int, ...], dtype: torch.dtype) -> None:
        x1, t = normal(*batch, 4, 3).to(dtype), torch.rand(batch, generator=seeded(1), dtype=dtype)
        value = loss(Diffusion(), equivariant, x1, t, generator=seeded(2))
        assert value.shape == batch and value.dtype == dtype and bool((value > 0).all())

    def test_the_same_generator_gives_the_same_loss(self, loss: Loss) -> None:
        x1, t = normal(3, 4, 3), torch.tensor([0.1, 0.5, 0.9]).double()
        calls = [loss(Diffusion(), equivariant, x1, t, generator=seeded(s)) for s in (0, 0, 1)]
        assert torch.equal(calls[0], calls[1]) and not torch.equal(calls[0], calls[2])

    # symmetry

    def test_where_the_data_lie_does_not_matter(self, loss: Loss) -> None:
        x1, t, diffusion = normal(3, 4, 3), torch.tensor([0.1, 0.5, 0.9]).double(), WithNoise(given=normal(3, 4, 3))
        here = loss(diffusion, equivariant, x1, t, generator=seeded())
        there = loss(diffusion, equivariant, x1 + normal(3, 1, 3, seed=4), t, generator=seeded())
        assert torch.allclose(here, there, rtol=1e-10)

    def test_an_equivariant_network_sees_no_rotation(self, loss: Loss) -> None:
        turn = SpecialOrthogonal(3).sample(3, generator=seeded(7))
        x1, z, t = normal(3, 4, 3), normal(3, 4, 3, seed=1), torch.tensor([0.1, 0.5, 0.9]).double()
        copies = 1 if self.exactly_equivariant else 4000

        def mean(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
            x, noise = x.expand(copies, *x.shape), noise.expand(copies, *x.shape)
            values = loss(WithNoise(given=noise), equivariant, x, t.expand(copies, 3), generator=seeded())
            return values.mean(0), values.std(0, correction=0) / copies**0.5

        (value, error), (turned, other) = mean(x1, z), mean(x1 @ turn.mT, z @ turn.mT)
        assert bool(((value - turned).abs() < 1e-10 * value + 4 * (error + other)).all())

    def test_padding_does_not_matter(self, loss: Loss) -> None:
        x1, t, diffusion = normal(3, 4, 3), torch.tensor([0.1, 0.5, 0.9]).double(), WithNoise(given=normal(3, 4, 3))
        padded = torch.cat([x1, 100 * normal(3, 2, 3, seed=5)], -2)
        context = Context(mask=torch.tensor([True] * 4 + [False] * 2).expand(3, 6))
        alone = loss(diffusion, equivariant, x1, t, generator=seeded())
        beside = loss(diffusion, lambda x, t, c: equivariant(x, t) + 3, padded, t, context, generator=seeded())
        assert torch.allclose(alone, beside, rtol=1e-9)

    def test_harmonic_prior_and_another_path(self, loss: Loss) -> None:
        edges = (torch.eye(4).roll(1, 1) + torch.eye(4).roll(-1, 1))[None].long().expand(3, 4, 4)
        diffusion = Diffusion(interpolant=Trigonometric(), prior=HarmonicPrior())
        x1, t = normal(3, 4, 3), torch.tensor([0.1, 0.5, 0.9]).double()
        value = loss(diffusion, equivariant, x1, t, Context(edges=edges), generator=seeded())
        assert value.shape == (3,) and bool((value > 0).all())

    # gradients

    def test_gradient_against_finite_differences(self, loss: Loss) -> None:
        x1, t, diffusion = normal(1, 4, 3), torch.tensor([0.6]).double(), WithNoise(given=normal(1, 4, 3, seed=1))
        start, direction = normal(1, 4, 3, seed=2).requires_grad_(), normal(1, 4, 3, seed=3)

        def value(output: Tensor) -> Tensor:
            return loss(diffusion, lambda x, t, c: output, x1, t, generator=seeded()).sum()

        (gradient,) = torch.autograd.grad(value(start), start)
        step = 1e-5
        difference = (value(start + step * direction) - value(start - step * direction)) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(float(difference.detach()), rel=1e-7)

    def test_the_weight_is_clipped(self, loss: Loss) -> None:
        """Beyond t = 1 - 1/clip the weight stays where it is."""
        z, x1 = normal(1, 4, 3, seed=1), normal(1, 4, 3)
        t = torch.tensor([0.9999]).double()

        def value(clip: float) -> float:
            output = 3 * normal(1, 4, 3, seed=2)
            return float(
                dataclasses.replace(loss, clip=clip)(
                    WithNoise(given=z), lambda x, t, c: output, x1, t, generator=seeded()
                )
            )

        assert value(10.0) == pytest.approx(4 * value(5.0), rel=1e-9)

    # refusals

    @pytest.mark.parametrize("t", [1.0, -0.1, float("nan")])
    def test_times_outside_are_refused(self, loss: Loss, t: float) -> None:
        with pytest.raises(ValueError, match=r"expected times in \[0, 1\)"):
            loss(Diffusion(), equivariant, normal(2, 4, 3), torch.tensor([0.5, t]).double())

    def test_shapes_that_do_not_agree_are_refused(self, loss: Loss) -> None:
        with pytest.raises(ValueError, match="one for each data point"):
            loss(Diffusion(), equivariant, normal(2, 4, 3), torch.tensor(0.5))
        with pytest.raises(ValueError, match="expected a denoiser that returns the shape of its points"):
            loss(Diffusion(), lambda x, t, c: x[..., :1, :], normal(2, 4, 3), torch.rand(2).double())

    def test_data_that_are_not_finite_are_refused(self, loss: Loss) -> None:
        x1 = normal(2, 4, 3)
        x1[1, 2, 0] = torch.nan
        with pytest.raises(ValueError, match="expected finite data"):
            loss(Diffusion(), equivariant, x1, torch.rand(2).double())
