"""The certificate as an object: access, rendering, JSON, determinism."""

import json
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from rich.console import Console

import pyro_symvi as symvi
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.recovery import Certificate, Verdict
from tests.recovery.targets import certify_at, normal, skew_normal


def regression(x: torch.Tensor, y: torch.Tensor) -> None:
    beta = pyro.sample("beta", dist.ImproperUniform(dist.constraints.real_vector, (), (x.shape[1],)))
    sigma = pyro.sample("sigma", dist.ImproperUniform(dist.constraints.positive, (), ()))
    pyro.sample("y", dist.Normal(x @ beta, sigma).to_event(1), obs=y)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    return x, x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) + torch.randn(40, generator=generator)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    pyro.clear_param_store()
    fit = symvi.fit(regression, AutoLocationScale(regression), *data())
    return symvi.certify(fit, statistics=("mean", "correlation"))


def test_a_regression_end_to_end(certificate: Certificate) -> None:
    x, y = data()
    beta = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    report = certificate["mean"]
    assert report.verdicts[:3] == [Verdict.PROVED] * 3
    assert not report.verdicts[3].is_exact
    torch.testing.assert_close(report.values[:3], beta, rtol=0, atol=1e-9)
    torch.testing.assert_close(report.exact[:3], beta, rtol=0, atol=1e-9)
    assert report.theorem == "a-posteriori reflection"
    assert [premise.name for premise in report.premises] == ["invariance", "moments", "fitted value"]
    gram = torch.linalg.inv(x.mT @ x)
    correlation = gram / torch.outer(gram.diagonal().sqrt(), gram.diagonal().sqrt())
    pairs = certificate["correlation"]
    assert pairs.at("beta").verdict is Verdict.PROVED
    torch.testing.assert_close(pairs.exact[:3, :3], correlation, rtol=0, atol=1e-9)
    torch.testing.assert_close(pairs.exact[3, :3], torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-9)
    assert pairs.theorem in ("a-posteriori ellipticity", "a-posteriori reflection")


def test_slices_by_site(certificate: Certificate) -> None:
    report = certificate["mean"]
    assert report.at("beta").values.shape == (3,)
    assert report.at("sigma").verdicts == report.verdicts[3:]
    assert torch.equal(report.at("beta").values, report.values[:3])
    assert certificate["correlation"].at("beta").values.shape == (3, 3)
    assert certificate["correlation"].at("sigma").values.shape == (1, 1)
    assert len(certificate["correlation"].verdicts) == 4
    assert certificate["correlation"].verdicts[2][2] is Verdict.PROVED


def test_unknown_keys_list_the_known_ones(certificate: Certificate) -> None:
    with pytest.raises(KeyError, match=r"expected one of the sites \['beta', 'sigma'\], got 'gamma'"):
        certificate["mean"].at("gamma")
    with pytest.raises(KeyError, match="expected one of .*'mean'.*, got 'variance'"):
        certificate["variance"]
    assert certificate.statistics == ("mean", "correlation")


def test_json_round_trip(certificate: Certificate) -> None:
    record = certificate.to_dict()
    again = json.loads(json.dumps(record, allow_nan=False))
    assert again == record
    entries = record["statistics"]["mean"]["entries"]
    assert [entry["verdict"] for entry in entries] == [v.name for v in certificate["mean"].verdicts]
    assert entries[0]["bound"] is None  # nan is no JSON
    assert entries[0]["premises"][0]["evidence"] == "proved"
    assert record["coordinates"] == ["beta[0]", "beta[1]", "beta[2]", "log sigma"]
    assert record["symmetries"][0]["coordinates"] == [0, 1, 2]
    assert record["divergence"] == "ReverseKL()"


def test_the_printed_table(certificate: Certificate) -> None:
    text = str(certificate)
    assert max(map(len, text.splitlines())) <= 120
    for words in ("mean of beta[0]", "PROVED", "mean of log sigma", "invariance: proved", "Region:", "sd"):
        assert words in text
    assert "nothing is known of mass that none of these came near" in " ".join(text.split())
    assert "exact" not in text.replace("exactly", "").lower() or Verdict.PROVED in certificate["mean"].verdicts
    console = Console(width=100, record=True, file=open("/dev/null", "w"))
    console.print(certificate)
    assert "Certificate for a normal location-scale, full scale guide" in console.export_text()


def test_html_escapes_what_it_shows(certificate: Certificate) -> None:
    html = certificate._repr_html_()
    assert html.count("<tr>") == 1 + len(certificate.rows())
    assert "&lt;" in html  # "gap < 1e-12"
    assert "< 1e" not in html
    assert "invariance: proved" in html


def test_long_sites_are_folded() -> None:
    certificate = certify_at(normal, [0.0] * 30, statistics=("mean", "correlation"), num_draws=4096)
    rows = certificate.rows()
    assert len(rows) == 2
    assert rows[0][0] == r"mean of z\[0] and 29 more"
    assert rows[1][0].endswith("and 434 more")


def test_a_refutation_shows_its_witness() -> None:
    certificate = certify_at(skew_normal(5.0), [4.0])
    (entry,) = certificate["mean"].entries
    assert entry.verdict is Verdict.REFUTED
    assert entry.witness is not None
    assert math.isnan(entry.bound)
    record = certificate.to_dict()["statistics"]["mean"]["entries"][0]
    assert record["witness"] == list(entry.witness)


def test_certificates_repeat() -> None:
    before = torch.random.get_rng_state()
    first, second = (certify_at(skew_normal(2.0), [0.7]) for _ in range(2))
    assert first.to_dict() == second.to_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    other = certify_at(skew_normal(2.0), [0.7], generator=torch.Generator().manual_seed(99))
    assert other["mean"].verdict is first["mean"].verdict
    assert float(other["mean"].bounds[0]) != float(first["mean"].bounds[0])


def test_a_single_coordinate_has_no_pairs() -> None:
    report = certify_at(normal, [0.0], statistics="correlation")["correlation"]
    assert report.verdict is Verdict.PROVED
    assert report.theorem == ""
    assert report.premises == ()


def test_the_word_exact_is_kept_for_proofs() -> None:
    """A proved reflection whose moments are only verified, bounds, refutations, draws: none of them is called exact."""

    def heavy(z: torch.Tensor) -> torch.Tensor:
        return -3 * torch.log1p(torch.exp(z[..., 1] / 5) * z[..., 0] ** 2 / 5) + (2 * z[..., 1] - z[..., 1].exp())

    made = [
        certify_at(heavy, [0.0, 0.5], statistics=("mean", "median", "correlation", "scatter", "covariance")),
        certify_at(normal, [0.3, 0.2], statistics=("mean", "median")),
        certify_at(skew_normal(3.0), [0.4], statistics=("mean", "median", "covariance", "slope")),
    ]
    for certificate in made:
        entries = [e for name in certificate.statistics for e in certificate[name].considered()]
        if not any(e.verdict is Verdict.PROVED for e in entries):
            assert "exact" not in (str(certificate) + certificate.explain()).lower()
        for entry in entries:
            if entry.verdict is not Verdict.PROVED:
                assert "exact" not in (entry.reason + " ".join(p.statement for p in entry.premises)).lower()
