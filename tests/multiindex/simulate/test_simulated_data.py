"""Simulated data: laws, seeds, shapes and errors."""

import math

import pytest
import torch

from pyro_symvi.multiindex import Link
from pyro_symvi.multiindex.simulate import committee_data, single_index_data


def test_noise_and_signal_have_the_stated_laws():
    data = single_index_data("relu", 20, 2000.0, 0.7, seeds=[3, 4])
    index = (data.x @ data.direction[..., None])[..., 0]
    signal = Link.of("relu")(index)
    noise = data.y - math.sqrt(0.7) * signal
    n = noise.numel()  # 80,000: the standard error of a mean of variance 1 is 0.0035, that of a variance 0.005 or more
    assert abs(noise.mean()) < 4 / n**0.5
    assert abs(noise.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((noise * signal).mean()) < 4 / n**0.5
    assert abs(signal.var() - 1) < 0.05
    assert data.direction.norm(dim=-1) == pytest.approx([1.0, 1.0])
    assert data.ratio == 2000.0
    assert abs((data.y - signal).var() - 1) > 0.02  # with the amplitude left out it is another law


def test_committee_is_a_sum_of_orthonormal_units():
    data = committee_data("b4", 4, 30, 200.0, 0.5, tests=5000, seeds=[1, 2])
    eye = torch.eye(4, dtype=torch.float64).expand(2, 4, 4)
    torch.testing.assert_close(data.weights @ data.weights.mT, eye, atol=1e-12, rtol=0)
    for x, y in ((data.x, data.y), (data.x_test, data.y_test)):
        mean = Link.of("b4")(x @ data.weights.mT).sum(-1) / 2
        noise = y - mean
        assert abs(noise.var() - 0.5) < 4 * 0.5 * (2 / noise.numel()) ** 0.5
    torch.testing.assert_close(mean, data.mean_test)
    assert abs(data.mean_test.var() - 1) < 0.1
    silent = committee_data("b4", 4, 30, 1.0, 0, tests=7)
    torch.testing.assert_close(silent.y_test, silent.mean_test)


def test_one_unit_is_the_single_index_model_of_the_inverse_noise():
    data = committee_data("abs", 1, 10, 4000.0, 0.25, tests=0)
    scaled = data.y / 0.5  # y / sqrt(Delta), snr = 1 / Delta = 4
    signal = Link.of("abs")(data.x @ data.weights[0])
    slope = (scaled * signal).mean() / signal.square().mean()
    assert abs(slope - 2) < 4 / 40_000**0.5


def test_a_data_set_depends_on_its_own_seed_alone():
    together = single_index_data("abs", 8, 5.0, 1.0, seeds=[5, 6])
    alone = single_index_data("abs", 8, 5.0, 1.0, seeds=6)
    assert torch.equal(together.x[1], alone.x) and torch.equal(together.y[1], alone.y)
    assert not torch.equal(together.x[0], alone.x)
    given = single_index_data("abs", 8, 5.0, 1.0, generator=torch.Generator().manual_seed(6))
    assert torch.equal(given.y, alone.y)


def test_global_random_state_stays():
    before = torch.get_rng_state()
    single_index_data("abs", 8, 5.0, 1.0)
    committee_data("abs", 2, 8, 5.0, 1.0)
    assert torch.equal(before, torch.get_rng_state())


def test_dtype_and_shapes():
    data = single_index_data(torch.tanh, 6, 2.0, 1.0, dtype=torch.float32, seeds=[1])
    assert data.x.shape == (1, 12, 6) and data.y.dtype == data.direction.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dim": 0}, "dim"),
        ({"ratio": -1.0}, "ratio"),
        ({"snr": math.nan}, "snr"),
        ({"seeds": [1, 1]}, "different seeds"),
        ({"seeds": []}, "one or more"),
        ({"dtype": torch.float16}, "float32 or"),
    ],
    ids=["dim", "ratio", "snr", "copies", "none", "dtype"],
)
def test_errors(change, words):
    with pytest.raises(ValueError, match=words):
        single_index_data(**{"activation": "abs", "dim": 5, "ratio": 2.0, "snr": 1.0, **change})


def test_frames_point_everywhere():
    first = single_index_data("abs", 3, 1.0, 1.0, seeds=range(20)).direction[:, 0]
    assert (first < 0).any() and (first > 0).any()  # a QR without the signs of R gives one of them alone


def test_committee_errors():
    with pytest.raises(ValueError, match="orthonormal"):
        committee_data("abs", 6, 5, 2.0, 1.0)
    with pytest.raises(ValueError, match="noise"):
        committee_data("abs", 2, 5, 2.0, -1.0)
    with pytest.raises(TypeError, match="seeds"):
        single_index_data("abs", 5, 2.0, 1.0, seeds=[1.5])
