"""The page on a posterior and its command: what it shows are the numbers that were computed."""

import argparse
import base64
import itertools
import json
import re

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from pyro_symvi.bnn import Categorical, Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn._draws import independent_draws
from pyro_symvi.bnn.identities import balancedness, equipartition, orbit_law
from pyro_symvi.bnn.pictures import (
    draw_balancedness,
    draw_curve,
    draw_marginals,
    draw_orbit_law,
    draw_predictions,
    draw_reliability,
    draw_scores,
    draw_temperatures,
)
from pyro_symvi.bnn.predictions import NormalMixture, evaluate, predictive_mixture
from pyro_symvi.bnn.report import report
from pyro_symvi.cli import main


def made(classes: bool = False) -> tuple[NetworkPosterior, Draws, Draws, torch.Tensor, torch.Tensor]:
    """A posterior without data, so that prior draws are exact, and rows held out."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 3 if classes else 1))
    y = torch.zeros(0, dtype=torch.long) if classes else torch.zeros(0, dtype=torch.float64)
    likelihood = Categorical(3) if classes else GaussianNoise(0.5)
    posterior = NetworkPosterior(network, likelihood, NormalPrior(1.0), torch.zeros(0, 2, dtype=torch.float64), y)
    theta = posterior.sample_prior(1200, generator=generator).reshape(12, 100, -1)
    draws = Draws(theta, posterior.layout, "exact")
    other = Draws(theta[:1, :10] * 0.5, posterior.layout, "narrow")
    x = torch.randn(40, 2, generator=generator, dtype=torch.float64)
    held = torch.arange(40) % 3 if classes else torch.randn(40, generator=generator, dtype=torch.float64)
    return posterior, draws, other, x, held


def axis():
    return Figure().add_subplot()


def test_a_page_holds_scores_identities_and_convergence(tmp_path):
    posterior, draws, other, x, y = made()
    made_report = report(posterior, draws, x, y, baselines={"narrow": other}, target_scale=2.0, facts="what was run")
    expected = evaluate(posterior, draws, x, y, target_scale=2.0)
    assert made_report.to_dict()["scores"]["exact"]["LPPD"][0] == pytest.approx(expected.lppd, rel=1e-12)
    assert made_report.balancedness.verdict == "no violation seen"
    text = made_report.to_text()
    gain, error = expected.lppd_difference(evaluate(posterior, other, x, y, target_scale=2.0))
    assert f"{gain:+.4f} +- {2 * error:.4f}" in text
    assert "what was run" in text and "Convergence of exact" in text and "permutations, rescaling" in text
    page = made_report.save(tmp_path / "deep" / "page.html").read_text(encoding="utf-8")
    picture = base64.b64decode(re.search(r"base64,([^\"]+)", page).group(1))
    assert picture.startswith(b"\x89PNG") and f"{expected.lppd:.4f}" in page
    assert made_report.save(tmp_path / "figure.svg").read_text(encoding="utf-8").startswith("<?xml")
    with pytest.raises(ValueError, match=r"ends in \.html"):
        made_report.save(tmp_path / "page.docx")
    assert not list(tmp_path.glob("page.docx"))


def test_wrong_draws_are_told_on_the_page():
    posterior, draws, other, x, y = made()
    shrunk = Draws(draws.theta * 0.8, draws.layout, "shrunk")
    page = report(posterior, shrunk, x, y, baselines={"narrow": other})
    assert page.balancedness.verdict == "violated"
    assert page.figure.axes[2].get_title(loc="left") == "Balancedness: violated"


def test_classes_and_networks_without_rescaling():
    posterior, draws, other, x, y = made(classes=True)
    page = report(posterior, draws, x, y, baselines={"narrow": other})
    assert page.to_dict()["scores"]["exact"]["accuracy"][0] == evaluate(posterior, draws, x, y).accuracy
    smooth = NetworkPosterior(
        nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3)),
        Categorical(3),
        NormalPrior(),
        posterior.x,
        posterior.y,
    )
    page = report(smooth, draws, x, y, baselines={"narrow": other})
    assert page.balancedness is None and "no rescaling to test" in page.to_text()
    assert set(page.to_dict()["identities"]) == {"equipartition"}


def test_bad_reports_are_refused():
    posterior, draws, other, x, y = made()
    with pytest.raises(ValueError, match="expected a baseline"):
        report(posterior, draws, x, y, baselines={})
    with pytest.raises(ValueError, match="at least 2 rows"):
        report(posterior, draws, x[:1], y[:1], baselines={"narrow": other})


def test_pictures_show_their_numbers():
    posterior, draws, other, x, y = made()
    mixture = predictive_mixture(posterior, draws, x)
    drawn = axis()
    draw_predictions(drawn, mixture, y, level=0.5)
    low, high = (end.flatten() for end in mixture.interval(0.5))
    inside = int(((low <= y) & (y <= high)).sum())
    assert [t.get_text() for t in drawn.get_legend().get_texts()] == [
        f"covered ({inside} of 40)",
        f"not covered ({40 - inside} of 40)",
    ]
    balance, law = balancedness(posterior, draws), orbit_law(posterior, draws)
    drawn = axis()
    draw_balancedness(drawn, balance)
    assert drawn.lines[0].get_ydata() == pytest.approx(balance.layers[0].units["mean"].mean.numpy())
    drawn = axis()
    draw_orbit_law(drawn, law, bins=10)
    assert drawn.patches[1].get_data().values == pytest.approx(law.layers[0].histogram(10).numpy())
    drawn = axis()
    temperatures = equipartition(posterior, draws)
    draw_temperatures(drawn, temperatures)
    assert drawn.lines[0].get_xdata()[0] == pytest.approx(1 - float(temperatures.blocks["0.weight"].mean))
    drawn = axis()
    draw_marginals(drawn, posterior, draws, limit=6.0, bins=30)
    for steps in drawn.patches:  # a density: its area is 1 (nothing of N(0, 1) lies beyond 6)
        values, edges, _ = steps.get_data()
        assert sum(values) * (edges[1] - edges[0]) == pytest.approx(1, abs=1e-6)
    scores = {"exact": evaluate(posterior, draws, x, y), "narrow": evaluate(posterior, other, x, y)}
    drawn = axis()
    draw_scores(drawn, scores, baseline="narrow")
    assert drawn.lines[0].get_xdata()[0] == pytest.approx(scores["exact"].lppd - scores["narrow"].lppd)
    with pytest.raises(ValueError, match="expected the baseline among"):
        draw_scores(axis(), scores, baseline="none")
    with pytest.raises(ValueError, match="as many targets"):
        draw_predictions(axis(), mixture, y[:3])


def test_curves_and_reliability():
    loc = torch.tensor([[3.0, 1.0, 2.0]])
    drawn = axis()
    draw_curve(drawn, loc[0], NormalMixture(loc, torch.ones_like(loc)), (loc[0], loc[0]), level=0.9)
    assert drawn.lines[0].get_xdata() == pytest.approx([1, 2, 3])
    band = drawn.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(3 + 1.6448536, abs=1e-4)
    posterior, draws, _, x, y = made(classes=True)
    scores = evaluate(posterior, draws, x, y)
    drawn = axis()
    draw_reliability(drawn, scores)
    offsets = drawn.collections[0].get_offsets()
    bins_right = float((scores.probabilities.argmax(-1) == y).double().mean())
    weights = drawn.collections[0].get_sizes() - 20  # areas grow with the number of rows of each bin
    assert float((offsets[:, 1] * weights).sum() / weights.sum()) == pytest.approx(bins_right, abs=1e-6)


def test_the_command_writes_a_page(tmp_path, capsys):
    table = tmp_path / "line.csv"
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(60, generator=generator)
    y = 3 * x + 7 + 0.1 * torch.randn(60, generator=generator)
    table.write_text("dose,answer\n" + "\n".join(f"{a:.5f},{b:.5f}" for a, b in zip(x, y, strict=True)) + "\n")
    size = ["--hidden", "2", "--chains", "4", "--draws", "20", "--warmup", "60", "--members", "2"]
    outputs = ["--out", str(tmp_path / "page.html"), "--json", str(tmp_path / "page.json")]
    assert main(["bnn", str(table), *size, "--sampler", "hmc", "--refresh", "5", *outputs]) == 0
    printed = capsys.readouterr().out
    scores = json.loads((tmp_path / "page.json").read_text())["scores"]
    assert set(scores) == {"HMC", "deep ensemble", "mean-field", "last-layer Laplace"}
    assert scores["HMC"]["RMSE"][0] < 0.5  # in the table's units: noise .1, sd of the target 3
    assert f"{scores['HMC']['LPPD'][0]:.4f}" in printed and "wrote" in printed
    assert (tmp_path / "page.html").stat().st_size > 20_000


@pytest.mark.parametrize(
    "rows, arguments, match",
    [
        ("a,y\n1,2\n", [], "rows"),
        ("a,y\n" + "1,2\n2,nan\n" * 20, [], "nan|missing|finite"),
        ("a,b,y\n" + "1,5,2\n2,5,3\n" * 20, [], "constant"),
        ("a,y\n" + "1,2\nred,3\n" * 20, [], "red"),
        ("a,y\n" + "1,2\n2,3\n" * 20, ["--target", "z"], "z"),
        ("a,y\n" + "1,2.5\n2,3.5\n" * 20, ["--likelihood", "categorical"], "classes"),
        ("a,y\n" + "1,2\n2,3\n" * 20, ["--out", "page.txt"], "ends in"),
    ],
    ids=["one-row", "nan", "constant", "string", "no-column", "likelihood", "ending"],
)
def test_bad_tables_are_refused_before_any_work(tmp_path, capsys, rows, arguments, match):
    table = tmp_path / "bad.csv"
    table.write_text(rows)
    assert main(["bnn", str(table), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: expected") and re.search(match, error)


def test_under_torchrun_one_process_prints(tmp_path, capsys, monkeypatch):
    """The help says that packs are dealt out: the command sets up the group, and takes it down."""
    from torch import distributed

    from pyro_symvi.bnn.commands import _arguments

    def second(options, first):
        assert distributed.get_world_size() == 1 and first
        return 7

    for name, value in (("RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setattr(_arguments, "_report", second)
    assert main(["bnn", "iris"]) == 7 and not distributed.is_initialized()
    monkeypatch.undo()
    monkeypatch.setattr(_arguments, "run", lambda table, options: None)  # nothing can be printed of None
    options = argparse.Namespace(table="iris", target=None, kind="auto", drop=[], drop_constant=False)
    assert _arguments._report(options, first=False) == 0 and not capsys.readouterr().out


def test_a_missing_table_is_named(capsys):
    assert main(["bnn", "diabetis"]) == 2
    assert "diabetis" in capsys.readouterr().err
    assert main(["bnn", "diabetis.csv"]) == 2
    assert "'diabetis.csv', where there is none" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, match",
    [
        (["--chains", "0"], "--chains >= 1"),
        (["--thin", "0"], "--thin >= 1"),
        (["--warmup", "-1"], "--warmup >= 0"),
        (["--hidden", "4", "0"], "--hidden >= 1"),
        (["--draws", "7"], "--draws >= 8"),
        (["--test", "0"], "--test as a share"),
        (["--out", "{folder}.png"], "for --out, got .*is a directory"),
        (["--json", "{table}/x.json"], "--json in a directory that can be written"),
        (["--checkpoint", "{table}"], "--checkpoint where a run is or nothing"),
        (["--drop", "dose"], "at least one input"),
        (["--drop", "age"], "in drop, got \\['age'\\]"),
        (["--target", "word"], "try --drop 'word'|numbers or labels"),
    ],
    ids=[
        "chains",
        "thin",
        "warmup",
        "hidden",
        "draws",
        "test",
        "out",
        "json",
        "checkpoint",
        "none",
        "stranger",
        "mixed",
    ],
)
def test_bad_options_are_refused_before_any_work(tmp_path, capsys, monkeypatch, arguments, match):
    monkeypatch.setattr("pyro_symvi.bnn.commands._run.DeepEnsemble", None)  # no training is reached
    table = tmp_path / "good.csv"
    extra = ",word" if "--target" in arguments else ""
    table.write_text(
        f"dose{extra},answer\n" + "".join(f"{k}.5{extra and ',' + 'ab1'[k % 3]},{k * k}\n" for k in range(30))
    )
    (tmp_path / "page.png").mkdir()
    given = [one.format(folder=tmp_path / "page", table=table) for one in arguments]
    assert main(["bnn", str(table), *given]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: expected") and re.search(match, error)


def test_hints_are_flags_of_the_command(tmp_path, capsys):
    table = tmp_path / "words.csv"
    table.write_text("who,dose,flat,answer\n" + "".join(f"p{k},{k}.5,1,{k * k}\n" for k in range(30)))
    assert main(["bnn", str(table)]) == 2 and "try --drop 'who'" in capsys.readouterr().err
    assert main(["bnn", str(table), "--drop", "who"]) == 2 and "try --drop-constant" in capsys.readouterr().err


class Stub:
    """An approximation that costs nothing."""

    source = "stub"

    def fit(self, posterior, **options):
        self.posterior = posterior
        return self

    def sample(self, n, generator=None):
        return independent_draws(torch.zeros(n, self.posterior.dim), self.posterior.layout, self.source)


def test_an_interrupted_run_says_where_it_is_and_starts_where_it_did(tmp_path, capsys, monkeypatch):
    table, store, starts = tmp_path / "line.csv", tmp_path / "run", []
    table.write_text("dose,answer\n" + "".join(f"{k % 7},{(k % 7) * 2 + k % 3}.5\n" for k in range(40)))

    def interrupted(*arguments, start, checkpoint, **options):
        starts.append(start.theta)
        checkpoint.mkdir(exist_ok=True)
        raise KeyboardInterrupt

    monkeypatch.setattr("pyro_symvi.bnn.commands._run.sample", interrupted)
    for name in ("MeanField", "LastLayerLaplace"):
        monkeypatch.setattr(f"pyro_symvi.bnn.commands._run.{name}", Stub)
    with torch.random.fork_rng():
        for seed in (1, 2):  # the state of the global generator is no part of a run
            torch.manual_seed(seed)
            size = ["--hidden", "2", "--members", "5", "--checkpoint", str(store)]
            assert main(["bnn", str(table), *size]) == 130
            assert f"finished blocks are in {store}; run it again" in capsys.readouterr().err
    assert torch.equal(*starts) and len(starts[0].unique(dim=1)[0]) == 5


def test_figures_of_deep_networks_stay_readable():
    """Ten layers: no label on another, no legend beyond its axis."""
    parts = [part for _ in range(10) for part in (nn.Linear(2, 2), nn.ReLU())]
    network, none = nn.Sequential(*parts, nn.Linear(2, 1)), torch.zeros(0, 2)
    posterior = NetworkPosterior(network, GaussianNoise(0.5), NormalPrior(1.0), none, none[:, 0])
    theta = posterior.sample_prior(400, generator=torch.Generator().manual_seed(0)).reshape(8, 50, -1)
    draws = Draws(theta, posterior.layout, "exact")
    figure = Figure(figsize=(11, 6.4))
    axes = figure.subplots(2, 2).ravel()
    draw_balancedness(axes[0], balancedness(posterior, draws))
    draw_orbit_law(axes[1], orbit_law(posterior, draws))
    draw_temperatures(axes[2], equipartition(posterior, draws))
    draw_marginals(axes[3], posterior, draws)
    figure.canvas.draw()
    for labels in (axes[0].get_xticklabels(), axes[2].get_yticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert len(boxes) >= 10 and not any(a.shrunk(0.99, 0.99).overlaps(b) for a, b in itertools.pairwise(boxes))
    for axis, lines in ((axes[1], 10), (axes[3], 22)):
        assert len(axis.patches) >= lines
        assert axis.get_legend().get_window_extent().height < axis.get_window_extent().height / 2
