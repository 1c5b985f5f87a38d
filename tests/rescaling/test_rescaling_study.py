"""The statistics of the study of rescaling, and its stacked SGD, against closed forms and plain loops."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from studies.rescaling_parts.intervals import chosen_rates, epochs_to, holm, paired
from studies.rescaling_parts.tasks import perceptron
from studies.rescaling_parts.training import evaluate, train


def test_epochs_to_a_loss_are_exact_for_an_exponential() -> None:
    curve = [2.0 * math.exp(-0.3 * epoch) for epoch in range(1, 41)]
    assert epochs_to(curve, 0.1) == pytest.approx(math.log(20) / 0.3, abs=1e-12)
    assert epochs_to(curve, 0.1, block=10) == pytest.approx(10 * math.log(20) / 0.3, abs=1e-11)
    assert epochs_to(curve, 1e-9) == math.inf
    assert epochs_to([0.05, 0.01], 0.1) == 1.0
    assert epochs_to([math.nan, math.nan], 0.1) == math.inf


def test_epochs_to_a_loss_count_the_first_arrival() -> None:
    assert epochs_to([1.0, 0.1, 5.0, 0.01], 0.1) == pytest.approx(2.0)


def test_rates_are_chosen_on_other_seeds() -> None:
    scores = np.array([[0.0, 2.0], [3.0, 2.0], [3.0, 2.0]])  # the first seed likes rate 0, the others do not
    assert chosen_rates(scores).tolist() == [1, 0, 0]
    scores[1, 0] = np.inf
    assert chosen_rates(scores).tolist() == [1, 0, 1]
    scores[2, 0] = np.nan  # diverged somewhere
    assert chosen_rates(scores).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="two seeds"):
        chosen_rates(scores[:1])


def test_paired_interval_is_that_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 10)) + np.array([[0.5], [0.0]])
    found, truth = paired(one, other), stats.ttest_rel(one, other)
    assert found.student == pytest.approx(truth.confidence_interval(0.95))
    assert found.p == pytest.approx(truth.pvalue)
    assert found.bootstrap[0] < found.mean < found.bootstrap[1]
    assert found.bootstrap == paired(one, other).bootstrap
    flipped = paired(other, one)
    assert flipped.student == pytest.approx((-found.student[1], -found.student[0]))
    ratio, student, _ = paired(np.log([2.0, 4.0]), np.log([1.0, 1.0])).ratio()
    assert ratio == pytest.approx(math.sqrt(8)) and student[0] < 1 < student[1]


def test_pairs_without_spread_and_pairs_that_are_not_numbers() -> None:
    same = paired([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (same.mean, same.student, same.bootstrap, same.p) == (0.0, (0.0, 0.0), (0.0, 0.0), 1.0)
    with pytest.raises(ValueError, match="finite"):
        paired([1.0, math.inf], [1.0, 1.0])
    with pytest.raises(ValueError, match="as many"):
        paired([1.0, 2.0], [1.0])


def test_holm_on_the_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_stacked_sgd_is_sgd() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        models = [perceptron((3, 8, 4)).double() for _ in range(2)]
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 22, 3, dtype=torch.float64, generator=draw), torch.randint(4, (2, 22), generator=draw)
    rates = (0.1, 0.5)
    run = train(
        models, rates, x, y, batch=5, epochs=4, block=5, generators=[torch.Generator().manual_seed(s) for s in range(2)]
    )
    assert run.block_epochs == 1.25
    loss, accuracy = evaluate(models[0], run.parameters, x, y)
    for s, start in enumerate(models):
        for k, rate in enumerate(rates):
            model = perceptron((3, 8, 4)).double()
            model.load_state_dict(start.state_dict())
            optimizer, order = torch.optim.SGD(model.parameters(), lr=rate), torch.Generator().manual_seed(s)
            losses = []
            for _ in range(4):
                for part in torch.randperm(22, generator=order)[:20].split(5):
                    optimizer.zero_grad()
                    value = nn.functional.cross_entropy(model(x[s, part]), y[s, part])
                    value.backward()
                    optimizer.step()
                    losses.append(float(value.detach()))
            assert run.losses[s, k].tolist() == pytest.approx(np.reshape(losses[:15], (3, 5)).mean(1).tolist())
            for name, value in model.named_parameters():
                assert torch.allclose(run.parameters[name][s, k], value, rtol=1e-10, atol=1e-12)
            logits = model(x[s]).detach()
            assert float(loss[s, k]) == pytest.approx(float(nn.functional.cross_entropy(logits, y[s])))
            assert float(accuracy[s, k]) == float((logits.argmax(-1) == y[s]).double().mean())
