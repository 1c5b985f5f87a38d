"""Samplers: what they refuse, and what they do at the limits."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean
from pyro_symvi.quotient import Context, Diffusion
from pyro_symvi.quotient.samplers import AlignedSampler, LangevinCorrector, ODESampler, SDESampler

SAMPLERS = [ODESampler(4), ODESampler(4, "euler"), SDESampler(4), AlignedSampler(4), ODESampler(1), SDESampler(1)]
NAMES = [repr(s) for s in SAMPLERS]


def shrink(x: Tensor, t: Tensor, context: Context | None) -> Tensor:
    """The denoiser of N(0, 1/4) data."""
    t = t.reshape(*t.shape, *(1,) * (x.ndim - t.ndim))
    return t / (t**2 + 4 * (1 - t) ** 2) * x


@pytest.mark.parametrize("sampler", SAMPLERS, ids=NAMES)
def test_shapes_and_seeds(sampler: Any) -> None:
    """Shape, dtype, a trajectory that ends in the result, repeatable draws that leave the global generator alone."""
    state = torch.get_rng_state()
    draw = [
        sampler.sample(Diffusion(), shrink, (2, 3, 5, 3), generator=torch.Generator().manual_seed(1), trajectory=k)
        for k in (False, True)
    ]
    assert torch.equal(state, torch.get_rng_state())
    assert draw[0].shape == (2, 3, 5, 3) and draw[1].shape == (sampler.steps + 1, 2, 3, 5, 3)
    assert torch.equal(draw[0], draw[1][-1])
    assert float(draw[0].mean(-2).abs().max()) < 1e-6
    start = torch.ones(5, 3, dtype=torch.float64)
    assert sampler.sample(Diffusion(), shrink, (5, 3), start=start).dtype == torch.float64


@pytest.mark.parametrize("sampler", SAMPLERS, ids=NAMES)
def test_masked_clouds_are_those_of_fewer_points(sampler: Any) -> None:
    """Padding stays at zero; a padded cloud follows the path of the bare one where no noise comes in."""
    mask = torch.tensor([[True] * 5 + [False] * 2, [True] * 7])
    start = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = sampler.sample(
        Diffusion(), shrink, (2, 7, 3), Context(mask=mask), start=start, generator=torch.Generator().manual_seed(1)
    )
    assert float(found[0, 5:].abs().max()) == 0
    assert float(found[0, :5].mean(0).abs().max()) < 1e-12 and float(found[1].mean(0).abs().max()) < 1e-12
    if not (isinstance(sampler, SDESampler) and sampler.steps > 1):
        bare = sampler.sample(Diffusion(), shrink, (5, 3), start=start[0, :5])
        assert float((found[0, :5] - bare).abs().max()) < 1e-12


def test_context_gains_batch_dimensions() -> None:
    """One mask a molecule serves any number of draws of it."""
    mask = torch.tensor([[True] * 3 + [False], [True] * 4])
    draw = SDESampler(3).sample(
        Diffusion(), shrink, (6, 2, 4, 3), Context(mask=mask), generator=torch.Generator().manual_seed(0)
    )
    assert float(draw[:, 0, 3].abs().max()) == 0 and float(draw[:, 1, 3].abs().min()) > 0
    with pytest.raises(ValueError, match="expected a context"):
        SDESampler(3).sample(Diffusion(), shrink, (6, 4, 3), Context(mask=mask))


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    SDESampler(3).sample(Diffusion(), shrink, (4, 3), progress=True)
    assert "3/3" in capsys.readouterr().err
    SDESampler(3).sample(Diffusion(), shrink, (4, 3))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("sampler", SAMPLERS[:4], ids=NAMES[:4])
def test_degenerate_starts(sampler: Any) -> None:
    """All points in one place: an ODE stays there, an SDE leaves. A straight cloud stays straight, or bends."""
    point = torch.ones(4, 3, dtype=torch.float64)
    line = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64)
    noisy = isinstance(sampler, SDESampler)
    for start, rank in ((point, 0), (line, 1)):
        generator = torch.Generator().manual_seed(0)
        found = sampler.sample(Diffusion(), shrink, (4, 3), start=start, generator=generator)
        assert int(torch.linalg.matrix_rank(found, atol=1e-9)) == (3 if noisy else rank)
        assert float(found.abs().max()) < 10


def test_a_curved_start_does_not_run_away() -> None:
    """Bonds of length 1e-12 and one all but straight cloud: the correction never outruns the noise."""
    start = torch.zeros(1000, 3, 3)
    start[:, 0, 0], start[:500, 1, 1] = 1e-12, 1e-14
    found = SDESampler(50).sample(Diffusion(), shrink, (1000, 3, 3), start=start, generator=torch.Generator())
    assert float(found.square().sum((-2, -1)).max()) < 10


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: ODESampler(0), ValueError, "expected steps >= 1"),
        (lambda: SDESampler(2.5), TypeError, "expected steps to be an int"),
        (lambda: AlignedSampler(True), TypeError, "expected steps to be an int"),
        (lambda: ODESampler(5, "midpoint"), ValueError, 'expected method "heun" or "euler"'),
        (lambda: ODESampler(5, horizontal=1), TypeError, "expected horizontal as True or False"),
        (lambda: SDESampler(5, noise=-1.0), ValueError, "expected noise finite and in"),
        (lambda: SDESampler(5, noise=float("nan")), ValueError, "expected noise finite and in"),
        (lambda: SDESampler(5, until=1.5), ValueError, "expected until finite and in"),
        (lambda: SDESampler(5, noise="high"), TypeError, "expected noise as a number"),
        (lambda: SDESampler(5, corrector=3), TypeError, "expected corrector as a LangevinCorrector"),
        (lambda: LangevinCorrector(0), ValueError, "expected steps >= 1"),
        (lambda: LangevinCorrector(1, 0.0), ValueError, "expected size in"),
    ],
)
def test_options_are_checked_when_made(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((Diffusion(), shrink, (5, 2)), {}, ValueError, "expected shape"),
        ((Diffusion(), shrink, (0, 3)), {}, ValueError, "expected shape"),
        ((Diffusion(), shrink, 5), {}, TypeError, "expected shape as integers"),
        ((Diffusion(), shrink, (5.0, 3)), {}, TypeError, "expected shape as integers"),
        ((Diffusion(), "x", (5, 3)), {}, TypeError, "expected a denoiser"),
        ((PointCloudAction(SpecialEuclidean(3)), shrink, (5, 3)), {}, TypeError, "expected a Diffusion"),
        ((Diffusion(), shrink, (5, 3)), {"start": torch.zeros(4, 3)}, ValueError, "expected start of shape"),
        ((Diffusion(), shrink, (1, 3)), {"start": torch.full((1, 3), torch.nan)}, ValueError, "expected finite start"),
        ((Diffusion(), shrink, (1, 3)), {"start": torch.zeros(1, 3).long()}, TypeError, "expected start as a tensor"),
        ((Diffusion(), shrink, (1, 3)), {"dtype": torch.int64}, TypeError, "expected a real floating dtype"),
        ((Diffusion(), lambda x, t, c: x[..., :2], (5, 3)), {}, ValueError, "returns the shape of its points"),
        ((Diffusion(), lambda x, t, c: x / 0, (5, 3)), {}, ValueError, "expected a finite denoised point"),
    ],
)
def test_bad_input(arguments: Any, options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        SDESampler(5).sample(*arguments, **options)


def test_langevin_checks_its_time() -> None:
    for t in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="expected a time t"):
            LangevinCorrector().refine(Diffusion(), shrink, torch.zeros(4, 3), t)
    with pytest.raises(ValueError, match="expected finite x"):
        LangevinCorrector().refine(Diffusion(), shrink, torch.full((4, 3), torch.nan), 0.5)
