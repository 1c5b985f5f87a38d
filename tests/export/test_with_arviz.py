"""ArviZ's own functions on what is exported, on whichever line is installed: leave-one-out against its closed form."""

import json
import math
import warnings
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pyro
import pytest
import torch

import pyro_symvi as symvi
from pyro_symvi.density._importance import pareto_k
from pyro_symvi.export._container import arviz_line
from pyro_symvi.guides import AutoLocationScale
from tests.export import models

try:
    LINE = int(version("arviz").split(".")[0])
except PackageNotFoundError:
    pytest.skip("arviz is not installed: pip install 'pyro-symvi[arviz]'", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def az():
    import matplotlib

    matplotlib.use("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.23 announces ArviZ 1 once a day
        import arviz
    return arviz


@pytest.fixture(scope="module")
def fit():
    return symvi.fit(models.known_variance, AutoLocationScale(models.known_variance), models.Y)


@pytest.fixture(scope="module")
def data(fit):
    return symvi.to_arviz(fit, certificate=symvi.certify(fit), num_samples=4000)


def pointwise_loo(az, data):
    found = az.loo(data, pointwise=True)
    values, k = (found.loo_i, found.pareto_k) if LINE == 0 else (found.elpd_i, found.pareto_k)
    return np.asarray(values), np.asarray(k)


def psis(log_weights):
    """Smoothed, normalised log weights [m, n] and k-hats [m], by the installed line."""
    if LINE == 0:
        import arviz

        return tuple(np.asarray(x) for x in arviz.psislw(log_weights.copy()))
    from arviz_stats.base import array_stats

    return array_stats.psislw(-log_weights, axis=-1)  # of log likelihoods, which it takes the negative of


def test_the_default_kind_is_what_the_installed_line_reads(az, data):
    assert type(data).__name__ == ("InferenceData" if LINE == 0 else "DataTree") and arviz_line() == LINE
    table = az.summary(data, round_to="none")
    m, v = models.exact(models.Y)
    assert float(table.loc["mu", "mean"]) == pytest.approx(float(m), abs=4 * float(v.sqrt()) / math.sqrt(4000))
    assert float(table.loc["mu", "sd"]) == pytest.approx(float(v.sqrt()), rel=4 / math.sqrt(8000))


def test_leave_one_out_is_that_of_the_closed_form(az, data):
    values, k = pointwise_loo(az, data)
    assert np.abs(values - models.leave_one_out(models.Y).numpy()).max() < 0.03 and k.max() < 0.7


def test_with_log_weights_it_is_right_from_a_wrong_guide_too(az):
    """A guide 1.6 times too wide and off by a half sd: its draws alone give another answer."""
    m, v = models.exact(models.Y)
    guide = AutoLocationScale(models.known_variance)
    guide.set_up(models.Y)
    guide.set_parameters({"loc": (m + 0.5 * v.sqrt())[None], "scale": 1.6 * v.sqrt().reshape(1, 1)})
    data = symvi.to_arviz(guide, models.Y, num_samples=4000)
    exact = models.leave_one_out(models.Y).numpy()
    density = np.moveaxis(data["log_likelihood"]["y"].values, -1, 0).reshape(len(exact), -1)
    weight = data["sample_stats"]["log_weight"].values.reshape(1, -1)
    smoothed, k = psis(weight - density)
    corrected = np.log(np.exp(smoothed + density).sum(-1)) - np.log(np.exp(smoothed).sum(-1))
    assert k.max() < 0.7 and np.abs(corrected - exact).max() < 0.05
    wrong, _ = pointwise_loo(az, data)
    assert abs(wrong.sum() - exact.sum()) > 5 * abs(corrected.sum() - exact.sum())
    if LINE > 0:
        import arviz_stats

        stats = data["sample_stats"]
        found = arviz_stats.loo_approximate_posterior(data, stats["lp"], stats["lp"] - stats["log_weight"])
        assert float(found.elpd) == pytest.approx(exact.sum(), abs=0.1)


def test_pareto_k_is_that_of_arviz():
    guide = pyro.infer.autoguide.AutoDiagonalNormal(models.several, init_scale=0.5)
    data = symvi.to_arviz(guide, models.WEIGHTS, models.COUNTS, log_likelihood=False, posterior_predictive=False)
    weight = data["sample_stats"]["log_weight"].values.reshape(-1)
    _, k = psis(weight[None])
    assert data.attrs["pareto_k"] == pareto_k(torch.as_tensor(weight)) == pytest.approx(float(np.squeeze(k)), abs=0.05)
    assert ("does not reach the posterior" in data.attrs.get("notes", "")) == (data.attrs["pareto_k"] >= 0.7)


def test_a_guide_that_is_too_narrow_is_told():
    guide = pyro.infer.autoguide.AutoNormal(models.known_variance, init_scale=0.01)
    quick = {"log_likelihood": False, "posterior_predictive": False}
    attributes = symvi.to_arviz(guide, models.Y, **quick).attrs
    assert attributes["pareto_k"] > 0.7 and "does not reach the posterior" in attributes["notes"]


def test_forest_and_trace_plots_run(az, data):
    import matplotlib.pyplot as plt

    for plot in (az.plot_forest, az.plot_trace):
        assert plot(data) is not None
        if LINE == 0:
            words = [text.get_text() for axes in plt.gcf().axes for text in (axes.title, *axes.get_yticklabels())]
            assert any("mu" in word for word in words) and any(axes.lines for axes in plt.gcf().axes)
        plt.close("all")


def test_the_certificate_reads_back_and_survives_a_file(data, tmp_path):
    certificate = symvi.Certificate.from_json(data.attrs["certificate"])
    assert certificate["mean"].verdict is symvi.Verdict.PROVED
    assert certificate.verify(models.known_variance, models.Y)
    assert "mean of mu: PROVED" in data.attrs["certificate_text"] and "notes" not in data.attrs
    attributes = data["posterior"]["mu"].attrs
    assert attributes["verdict"] == "PROVED" and attributes["statistic"] == "mean"
    pytest.importorskip("h5netcdf")
    path = tmp_path / "data.nc"
    data.to_netcdf(str(path), **({"engine": "h5netcdf"} if LINE == 0 else {}))
    if LINE == 0:
        import arviz

        again = arviz.from_netcdf(str(path), engine="h5netcdf")
    else:
        from arviz_base import from_netcdf

        again = from_netcdf(path)
    assert json.loads(again.attrs["certificate"]) == json.loads(data.attrs["certificate"])
    assert again["posterior"]["mu"].attrs["verdict"] == "PROVED"


def test_the_other_kind_is_at_hand_or_refused(fit):
    options = {"log_likelihood": False, "posterior_predictive": False, "num_samples": 2}
    assert type(symvi.to_arviz(fit, kind="datatree", **options)).__name__ == "DataTree"
    if LINE > 0:
        with pytest.raises(ValueError, match=r"expected kind='datatree'.*no InferenceData"):
            symvi.to_arviz(fit, kind="inference_data")
    with pytest.raises(ValueError, match=r"expected kind as one of"):
        symvi.to_arviz(fit, kind="xarray")


def test_without_arviz_the_extra_is_named(fit, monkeypatch):
    from pyro_symvi.export import _container

    def absent(name):
        raise ImportError(f"No module named {name!r}")

    from pyro_symvi.export import _summary

    with monkeypatch.context() as patched:
        patched.setattr(_summary, "needed", lambda name: object())
        with pytest.raises(ImportError, match=r"without it; try pip install 'pyro-symvi\[arviz\]'"):
            symvi.summary({"mu": torch.zeros(2, 3)}, group_by_chain=True)
    monkeypatch.setattr(_container, "import_module", absent)
    with pytest.raises(ImportError, match=r"pip install 'pyro-symvi\[arviz\]'"):
        symvi.to_arviz(fit, num_samples=2)
