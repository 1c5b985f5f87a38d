"""SVI on two real processes with 15 and 25 of 40 rows, against one process with all; and ranks that fail."""

import json
from pathlib import Path

import pytest

from pyro_symvi.divergences import ReverseKL
from pyro_symvi.infer import DataParallelELBO, synchronize_parameters
from tests.two_ranks import launch

WORKER = Path(__file__).with_name("parallel_worker.py")
PAIRS = [
    "reverse KL",
    "alpha 1/2",
    "forward KL",
    "full guide",
    "effect guide",
    "location-scale guide",
    "doubly reparameterised",
    "tail adaptive",
    "leave one out",
    "particles in a loop",
    "learnable model",
]


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """Where the ranks wrote, and how they ended: rank 1 killed, after all else."""
    folder = tmp_path_factory.mktemp("ranks")
    return folder, launch(WORKER, str(folder))


@pytest.fixture(scope="module")
def reports(launched):
    """What each rank wrote."""
    folder, result = launched
    assert (folder / "0.json").exists() and (folder / "1.json").exists(), result.stderr[-4000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("pair", PAIRS)
def test_steps_on_shards_are_those_of_one_process(reports, pair):
    for report in reports:
        found = report["svi"][pair]
        assert found["losses"] < 1e-10 and found["parameters"] < 1e-10, found
        assert (
            found["steps"] == {"reverse KL": 25, "alpha 1/2": 12, "forward KL": 12}.get(pair, 6)
            and found["moved"] > 0.1
        )
        assert found["weights"][0] == pytest.approx(found["weights"][1], rel=1e-9)
    assert reports[0]["svi"][pair]["values"] == reports[1]["svi"][pair]["values"]  # bitwise


def test_the_module_form_takes_the_same_steps(reports):
    assert max(report["module form"] for report in reports) < 1e-10


def test_the_prior_counts_once(reports):
    assert min(report["prior counted on each rank"] for report in reports) > 0.01


def test_only_rank_zero_draws_from_its_random_stream(reports):
    assert [report["random state left alone"] for report in reports] == [False, True]


REFUSALS = {
    "whole data": "ValueError: expected the rows of site 'y' to be divided among the ranks",
    "uncommon hint": "ValueError: expected the rows of site 'hint' to be divided among the ranks",
    "local": "ValueError: expected latent sites that all rows share, got 'x' in plate 'rows'",
    "unknown": "ValueError: expected common to name some of",
    "another start": "ValueError: expected the same parameters on every rank, got other values of ['loc']",
    "mended": "accepted",
    "drifting": "RuntimeError: expected the same draws on every rank",
    "failing later": "RuntimeError: expected a share that can be computed on every rank, got on rank 1 KeyError: 'no s",
    "usual": "ValueError: expected gradient to be",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_every_rank_refuses_or_fails(reports, case):
    for report in reports:
        assert report["refusals"][case].startswith(REFUSALS[case])


def test_a_rank_that_fails_at_once_is_named_to_the_others(reports):
    told = [report["refusals"]["failing at once"] for report in reports]
    assert told[0].startswith("RuntimeError: expected a loss on every rank, got on rank 1 KeyError: 'no such column'")
    assert told[1] == "KeyError: 'no such column'"


def test_a_density_that_raises_on_one_rank_raises_on_all(reports):
    for report in reports:
        *told, recovered = report["failing density"]
        assert recovered
        assert len(told) == 3
        for message in told:
            assert message.startswith(
                "RuntimeError: expected a share that can be computed on every rank, got on rank 1"
            )


def test_a_rank_that_hangs_or_is_killed_ends_the_others(launched):
    folder, result = launched
    assert result.returncode != 0 and "a rank ended with status 9" in result.stderr  # SIGKILL
    report = json.loads((folder / "losses0.json").read_text())
    for message in (report["hangs"], report["killed"]):
        assert message.startswith("RuntimeError: expected all 2 ranks to answer, got on rank 0: ")
        assert "another rank has died, hangs, or left the common course" in message
    assert not (folder / "losses1.json").exists()


def test_without_a_process_group_it_says_what_to_do():
    with pytest.raises(ValueError, match="expected a process group, got none"):
        DataParallelELBO(ReverseKL(), 4)
    with pytest.raises(ValueError, match="expected a process group, got none"):
        synchronize_parameters()
