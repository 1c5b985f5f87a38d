"""What train refuses, how it stops at nan, and what its options do."""

import math

import pytest
import torch

from pyro_symvi._batch_order import Order
from pyro_symvi.quotient import CloudDataset, Context, Diffusion, HarmonicPrior
from pyro_symvi.quotient.losses import Plain
from pyro_symvi.quotient.training import (
    Constant,
    Cosine,
    LogitNormalTimes,
    TrainingError,
    TrainingStatus,
    UniformTimes,
    train,
)
from pyro_symvi.quotient.training._recipe import Recipe

from . import training_worker
from .training_worker import clouds


def small(**changes: object):
    options = {"steps": 3, "batch_size": 4, "loss": Plain(), **changes}
    dataset = options.pop("dataset", clouds())
    return train(Diffusion(), options.pop("network", training_worker.Plain()), dataset, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"steps": 0}, ValueError, "expected steps >= 1"),
        ({"batch_size": 2.5}, TypeError, "expected batch_size to be an int"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate > 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate > 0"),
        ({"weight_decay": -1}, ValueError, "weight_decay >= 0"),
        ({"ema": 1.0}, ValueError, r"expected ema in \[0, 1\)"),
        ({"gradient_clip": 0.5}, ValueError, "expected gradient_clip > 1"),
        ({"parts": 3}, ValueError, "try 6"),
        ({"seed": -1}, ValueError, "expected seed >= 0"),
        ({"loss": "quotient"}, TypeError, "expected loss to be a Loss"),
        ({"schedule": 0.1}, TypeError, "expected schedule to be a Schedule"),
        ({"network": lambda x, t, c: x}, TypeError, "parameters to train"),
        ({"network": torch.nn.Identity()}, TypeError, "parameters to train"),
        ({"dataset": clouds().of_kinds([])}, ValueError, "at least one cloud"),
        ({"checkpoint": "no/such/folder/run.pt"}, ValueError, "in a folder that exists"),
        ({"checkpoint": "."}, ValueError, "in a folder that exists"),
        ({"checkpoint_every": 0}, ValueError, "expected checkpoint_every to be an int >= 1"),
        ({"evaluate_every": 1.5}, ValueError, "expected evaluate_every to be an int >= 1"),
        ({"progress": "yes"}, TypeError, "expected progress as True, False or a function"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_options_are_refused_before_any_step(change: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        small(**change)


def test_nan_stops_the_run_with_the_weights_of_the_last_good_step() -> None:
    """A network that overflows on one cloud: the status names it, the weights are finite, checked() raises."""

    class Fragile(training_worker.Plain):
        def forward(self, x, t, context=None):
            wild = (context.features[:, 0, 0] > 0).reshape(-1, 1, 1)
            return super().forward(x, t) / torch.where(wild, 0.0, 1.0)

    features = torch.zeros(2, 4, 1)
    features[1] = 1.0
    kinds = torch.zeros(50, dtype=torch.int64)
    kinds[31] = 1
    dataset = CloudDataset(clouds().clouds, kinds, ("tame", "wild"), Context(features=features))
    result = small(network=Fragile(), dataset=dataset, steps=50)
    assert result.status is TrainingStatus.NOT_FINITE and "lower learning_rate" in result.status.remedy
    assert result.cause is not None and "cloud 31 (wild) at t = " in result.cause
    assert result.steps == len(result.history.loss) < 13 and all(map(math.isfinite, result.history.loss))
    for network in (result.network, result.ema):
        assert all(bool(torch.isfinite(p).all()) for p in network.parameters())
    with pytest.raises(TrainingError, match=f"NOT_FINITE at step {result.steps}, because the batch of step"):
        result.checked()


def test_a_gradient_that_is_nan_though_the_loss_is_not_stops_the_run() -> None:
    class Branch(training_worker.Plain):
        def forward(self, x, t, context=None):
            output = super().forward(x, t)
            return torch.where(t[:, None, None] < 2, output, output / 0.0)

    result = small(network=Branch())
    assert result.status is TrainingStatus.NOT_FINITE and result.steps == 0
    assert result.cause is not None and "finite losses, so the gradient overflows" in result.cause


def test_a_large_gradient_is_scaled_down() -> None:
    """Plain gradient descent's first step is -rate * sign in Adam whatever the size; the norm kept is the unclipped."""
    free, clipped = small(gradient_clip=math.inf, steps=40), small(gradient_clip=1.0001, steps=40)
    assert free.history.gradient_norm[0] == clipped.history.gradient_norm[0]
    assert free.history.loss[1] == clipped.history.loss[1] and free.history.loss[-1] != clipped.history.loss[-1]


def test_without_averaging_ema_is_the_network() -> None:
    result = small(ema=0.0, steps=5)
    assert all(torch.allclose(a, b) for a, b in zip(result.ema.parameters(), result.network.parameters(), strict=True))
    assert not result.ema.training and not any(p.requires_grad for p in result.ema.parameters())


def test_parts_change_the_noise_and_not_the_data() -> None:
    """Another number of parts is another run of the same law."""
    assert small(parts=2, steps=1).history.loss != small(parts=1, steps=1).history.loss


def test_evaluations_and_progress() -> None:
    steps: list[int] = []
    result = small(
        steps=7, evaluate=lambda ema, step: {"step": step}, evaluate_every=3, progress=lambda s, v: steps.append(s)
    )
    assert result.history.evaluations == {3: {"step": 3.0}, 6: {"step": 6.0}, 7: {"step": 7.0}} and steps == list(
        range(1, 8)
    )


def test_every_cloud_is_seen_once_an_epoch_in_an_order_of_the_seed() -> None:
    recipe = Recipe(
        Diffusion(), Plain(), 10, 4, 1e-3, 0.0, Constant(), UniformTimes(), 0.9, 3.0, True, 1, seed=2
    )  # fmt: skip
    order = Order(recipe, 10)
    seen = torch.cat([order.batch(step) for step in range(10)])
    for epoch in seen.reshape(4, 10):
        assert sorted(epoch.tolist()) == list(range(10))
    assert not torch.equal(seen[:10], seen[10:20])
    assert torch.equal(Order(recipe, 10).batch(7), seen[28:32]), "a resumed run starts in the middle"
    assert Order(recipe, 3).batch(0).shape == (4,)


def test_a_harmonic_prior_trains_and_looks_at_each_graph_once(monkeypatch: pytest.MonkeyPatch) -> None:
    edges = (torch.eye(4).roll(1, 1) + torch.eye(4).roll(-1, 1))[None].long().repeat(2, 1, 1)
    edges[0, 0, 3] = edges[0, 3, 0] = 0  # a chain and a ring
    dataset = CloudDataset(clouds().clouds, torch.arange(50) % 2, ("chain", "ring"), Context(edges=edges))
    shapes, spectrum = [], HarmonicPrior.spectrum

    def counted(self, context, dtype=torch.float64):
        shapes.append(context.shape)
        return spectrum(self, context, dtype)

    monkeypatch.setattr(HarmonicPrior, "spectrum", counted)
    result = train(
        Diffusion(prior=HarmonicPrior(4.0)), training_worker.Plain(), dataset, steps=60, batch_size=32, ema=0.9
    )
    assert result.status is TrainingStatus.FINISHED and shapes == [(2, 4)]
    assert float(result.history.smoothed(20)[-1]) < float(result.history.smoothed(20)[0])


def test_chosen_contexts_remember_the_spectra_of_their_own_graphs() -> None:
    edges = (torch.eye(4).roll(1, 1) + torch.eye(4).roll(-1, 1))[None].long().repeat(2, 1, 1)
    edges[0, 0, 3] = edges[0, 3, 0] = 0
    context, prior, index = Context(edges=edges), HarmonicPrior(), torch.tensor([1, 0, 1])
    x = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prior.apply(torch.sqrt, x[:2], context)
    known, fresh = context[index], Context(edges=edges[index])
    assert known.__dict__["_remembered"] and not fresh.__dict__["_remembered"]
    assert torch.allclose(prior.apply(torch.sqrt, x, known), prior.apply(torch.sqrt, x, fresh), atol=1e-12)


# schedules and times


def test_schedules_against_their_formulas() -> None:
    assert [Constant(3).factor(s, 10) for s in (0, 1, 2, 3, 9)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    cosine = Cosine(floor=0.2)
    assert cosine.factor(0, 10) == 1.0 and cosine.factor(5, 10) == pytest.approx(0.5) and cosine.factor(9, 10) == 0.2
    with pytest.raises(ValueError, match="expected warmup >= 0"):
        Cosine(-1)
    with pytest.raises(ValueError, match=r"expected a floor in \[0, 1\]"):
        Cosine(floor=2)


def test_laws_of_times() -> None:
    """Kolmogorov-Smirnov against scipy at 4000 draws."""
    import scipy.stats

    generator = torch.Generator().manual_seed(0)
    t = UniformTimes().sample(4000, generator=generator)
    assert scipy.stats.kstest(t.numpy(), "uniform").pvalue > 1e-3 and float(t.max()) < 1
    t = LogitNormalTimes(0.5, 2.0).sample(4000, generator=generator, dtype=torch.float64)
    logit = (t / (1 - t)).log()
    assert scipy.stats.kstest(logit.numpy(), "norm", (0.5, 2.0)).pvalue > 1e-3
    with pytest.raises(ValueError, match="scale > 0"):
        LogitNormalTimes(scale=0.0)
