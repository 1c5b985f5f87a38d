"""Two real processes with 23 and 37 of 60 rows, against one density of all rows; started once."""

import json
from pathlib import Path

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.density._ranks import fingerprint
from tests.two_ranks import launch

WORKER = Path(__file__).with_name("parallel_worker.py")
MODELS = ["logistic", "compiled", "grouped", "factor", "function", "common plate", "empty shard"]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """What each rank wrote."""
    folder = tmp_path_factory.mktemp("ranks")
    result = launch(WORKER, str(folder))
    assert result.returncode == 0, result.stderr[-4000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("model", MODELS)
def test_shards_give_values_and_derivatives_of_all_rows(reports, model):
    for report in reports:
        assert report[model]["empty batch"] == 0
        assert max(report[model].values()) < 1e-12, report[model]


def test_fit_finds_the_same_on_shards(reports):
    for report in reports:
        fit = report["fit"]
        assert fit["reverse status"] == fit["forward status"] == ["CONVERGED", "CONVERGED"]
        assert max(fit["reverse"], fit["forward"], fit["guide"]) < 1e-10, fit
    assert reports[0]["fit"]["reverse parameters"] == reports[1]["fit"]["reverse parameters"]  # bitwise
    assert reports[0]["fit"]["forward parameters"] == reports[1]["fit"]["forward parameters"]


def test_the_prior_counts_once(reports):
    """Without the factor 1/W the answer is off by the log prior at the point, W - 1 = 1 times."""
    z = torch.ones(4, dtype=torch.float64)
    beta, scale = torch.distributions.Normal(0.0, 2.0), torch.distributions.Gamma(2.0, 1.0)
    prior = 3 * beta.log_prob(z[0]) + scale.log_prob(z[3].exp()) + z[3]
    for report in reports:
        assert report["prior counted on each rank"] == pytest.approx(float(-prior), rel=1e-6)


def test_nothing_is_proved_of_all_rows_from_one_shard(reports):
    for report in reports:
        alone, joint, told = report["analysis"]
        assert (alone, joint) == (1, 0)
        assert "summed over ranks" in told


def test_ranks_share_names_and_starting_points(reports):
    assert reports[0]["names"][:2] == [True, True]
    assert reports[1]["names"][2].endswith("rank 1 of 2)")
    assert reports[0]["names"][3] == "graph"
    assert reports[0]["starts"] == reports[1]["starts"]
    assert len(reports[0]["starts"]) >= 3


REFUSALS = {
    "whole data": "ValueError: expected the rows of site 'y' to be divided among the ranks, got the same data",
    "uncommon hint": "ValueError: expected the rows of site 'hint' to be divided among the ranks",
    "not common": "ValueError: expected site 'y' to be the same on every rank",
    "unknown": "ValueError: expected common to name some of ['beta', 'rows', 'scale', 'y'], got ['x']",
    "bare name": "TypeError: expected common as a tuple of names, got 'y'",
    "local plate": "ValueError: expected latent sites that all rows share, got 'x' in plate 'rows'",
    "groups": "ValueError: expected latent sites that all rows share, got 'level' in plate 'groups'",
    "local": "ValueError: expected latent sites that all rows share, got 'x' of shape (30,)",
    "uneven local": "ValueError: expected latent sites that all rows share, got 'x' of shape",
    "prior": "ValueError: expected the same prior on every rank",
    "twice": "TypeError: expected the LogDensity of this rank's rows",
    "compiled": "TypeError: expected the LogDensity of this rank's rows, got CompiledDensity",
    "different points": "RuntimeError: expected the same point on every rank",
    "sharded": "accepted",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_every_rank_refuses_what_is_no_posterior_of_all_rows(reports, case):
    for report in reports:
        assert report["refusals"][case].startswith(REFUSALS[case])


def test_a_rank_with_bad_data_is_named_to_the_others(reports):
    told = [report["refusals"]["one rank's data"] for report in reports]
    assert told[1].startswith("Refusal: expected finite data, got 37 nan or infinite values")
    assert told[0].startswith("RuntimeError: expected a density on every rank, got on rank 1 ValueError: expected fin")


def test_without_a_process_group_it_says_what_to_do():
    density = LogDensity.from_callable(lambda z: -(z**2).sum(), 1)
    with pytest.raises(ValueError, match=r"expected a process group, got none, .* try torch.distributed.init_process"):
        density.data_parallel()


def test_the_fingerprint_sees_the_last_bit():
    z = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    marks = {fingerprint(z)}
    for i in range(100):
        moved = z.clone()
        moved[i % 50, i % 3] = torch.nextafter(moved[i % 50, i % 3], torch.tensor(9.0, dtype=torch.float64))
        marks.add(fingerprint(moved))
    assert fingerprint(z.clone()) == fingerprint(z)
    assert len(marks) > 95  # 101 values of 65536: about 0.08 coincidences are expected
    assert fingerprint(z[:0]) == 0
