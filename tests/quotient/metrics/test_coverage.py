"""COV and AMR from their definition, with intervals that cover."""

import math

import numpy as np
import pytest
import torch

from pyro_symvi.quotient.metrics import coverage

MATRIX = torch.tensor([[0.1, 0.9, 2.0], [0.3, 0.2, 2.0], [0.4, 0.6, 2.0], [3.0, 3.0, 0.7]])


def test_a_molecule_by_hand():
    result = coverage([MATRIX], (0.25, 0.5, 1.0), names=["water"])
    torch.testing.assert_close(result.recall, torch.tensor([[2 / 3, 2 / 3, 1.0]]).double())
    torch.testing.assert_close(result.precision, torch.tensor([[0.5, 0.75, 1.0]]).double())
    assert result.amr_recall.item() == pytest.approx((0.1 + 0.2 + 0.7) / 3)
    assert result.amr_precision.item() == pytest.approx((0.1 + 0.2 + 0.4 + 0.7) / 4)
    assert result.names == ("water",)


def test_the_threshold_itself_is_not_within_it():
    result = coverage([torch.tensor([[0.5]]).double()], (0.5,))
    assert result.recall.item() == 0 and result.precision.item() == 0


def test_swapping_the_sides_swaps_recall_and_precision():
    one, other = coverage([MATRIX]), coverage([MATRIX.mT])
    assert torch.equal(one.recall, other.precision) and torch.equal(one.amr_precision, other.amr_recall)


def test_molecules_are_separate_and_the_summary_is_over_them():
    matrices = [MATRIX, MATRIX * 2, MATRIX * 3, MATRIX[:2]]
    result = coverage(matrices, (0.25, 0.5))
    alone = [coverage([m], (0.25, 0.5)) for m in matrices]
    assert torch.equal(result.recall, torch.cat([a.recall for a in alone]))
    summary = result.summary(0.5)
    mean, median = summary["AMR-R"]
    assert mean.estimate == pytest.approx(float(result.amr_recall.mean()))
    assert median.estimate == pytest.approx(float(np.median(result.amr_recall.numpy())))
    assert mean.low < mean.estimate < mean.high
    assert result.summary(0.5) == summary  # the same data, the same interval
    assert result.summary(0.5, generator=torch.Generator().manual_seed(5)) != summary


def test_intervals_cover_the_mean_of_other_molecules():
    """120 sets of 30 molecules with exponential AMR of mean 1: 95 % intervals hold it in about 93 % (SE 2.4 %)."""
    generator, hits = torch.Generator().manual_seed(0), 0
    for _ in range(120):
        draws = torch.empty(30, dtype=torch.float64).exponential_(generator=generator)
        mean = coverage([d.reshape(1, 1) for d in draws]).summary(0.5, resamples=300)["AMR-R"][0]
        hits += mean.low <= 1 <= mean.high
    assert 0.86 < hits / 120 < 0.99


def test_few_molecules_have_no_interval():
    mean, _ = coverage([MATRIX, MATRIX * 2]).summary(0.5)["AMR-P"]
    assert math.isnan(mean.low) and "[" not in str(mean)
    mean, _ = coverage([MATRIX] * 3).summary(0.5)["AMR-P"]
    assert mean.low == mean.estimate == mean.high


def test_the_table_names_figures_and_thresholds():
    text = str(coverage([MATRIX, MATRIX * 2, MATRIX * 3], (0.25, 0.5)))
    assert text.splitlines()[0].startswith("3 molecules")
    assert [line.split("  ")[0] for line in text.splitlines()[2:]] == [
        "COV-R at 0.25",
        "COV-P at 0.25",
        "COV-R at 0.5",
        "COV-P at 0.5",
        "AMR-R",
        "AMR-P",
    ]


CASES = {
    "none": (lambda: coverage([]), "at least one molecule"),
    "empty": (lambda: coverage([torch.zeros(0, 3)]), "\\[0, 3\\]"),
    "nan": (lambda: coverage([MATRIX, MATRIX * math.nan], names=["a", "benzene"]), "benzene"),
    "negative": (lambda: coverage([-MATRIX]), ">= 0"),
    "integers": (lambda: coverage([MATRIX.long()]), "floating"),
    "names": (lambda: coverage([MATRIX], names=["a", "b"]), "1 names"),
    "threshold": (lambda: coverage([MATRIX], (0.0,)), "> 0"),
    "no threshold": (lambda: coverage([MATRIX], ()), "threshold"),
    "unknown threshold": (lambda: coverage([MATRIX]).at(0.3), "one of the thresholds"),
    "confidence": (lambda: coverage([MATRIX]).summary(0.5, confidence=95), "confidence"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_arguments_are_refused(name):
    call, words = CASES[name]
    with pytest.raises(ValueError, match=words):
        call()
