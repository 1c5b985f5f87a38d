"""Pages, pictures and explanations: what they show is what the certificate says, and they stand by themselves."""

from __future__ import annotations

import html.parser
from pathlib import Path

import pyro
import pytest
import torch

import pyro_symvi as symvi
from pyro_symvi import examples
from pyro_symvi.density import LogDensity
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.recovery import Certificate, Verdict, certify
from tests.recovery.targets import certify_at, normal, skew_normal

VOID = {"meta", "br", "hr", "img"}


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    pyro.clear_param_store()
    example = examples.get("darwin")
    fit = symvi.fit(example.model, AutoLocationScale(example.model), *example.args)
    return certify(fit, statistics=("mean", "median", "correlation"))


class Reader(html.parser.HTMLParser):
    """Collects text, and checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_stands_by_itself(certificate: Certificate, tmp_path: Path) -> None:
    path = tmp_path / "certificate.html"
    certificate.to_html(path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and "<script" not in text
    reader = read(text)
    assert reader.links == []
    words = " ".join(reader.text)
    for entry in certificate["mean"].entries:
        assert entry.label in words and entry.verdict.name in words and f"{entry.value:.6g}" in words
    assert certificate.region in words and "invariance: proved" in words and "theorem: a-posteriori reflection" in words


def test_the_fragment_shows_every_row_with_its_verdict_in_words_and_colour(certificate: Certificate) -> None:
    text = certificate._repr_html_()
    assert text.startswith('<div class="symvi">') and text.endswith("</div>")
    read(text)
    assert text.count('<span class="v"') == len(certificate.rows())
    assert text.count("<tr>") == 1 + len(certificate.rows())
    assert text.count("<details>") >= 2


def test_nothing_in_a_name_becomes_markup() -> None:
    def model() -> None:
        pyro.sample("<b>x</b>", pyro.distributions.Normal(0.0, 1.0))

    text = certify(LogDensity.from_model(model))._repr_html_()
    assert "<b>x" not in text and "&lt;b&gt;x" in text


# -- explanations ----------------------------------------------------------------------------------------------------


def test_an_explanation_says_what_why_and_what_next(certificate: Certificate) -> None:
    text = certificate.explain("mean")
    assert max(map(len, text.splitlines())) <= 110
    proved, rest = text.split("mean of log sigma")
    assert "PROVED" in proved and "is exact" in proved and "no sample served as an argument" in " ".join(proved.split())
    assert "1. invariance: proved." in proved and "Theorem (a-posteriori reflection)" in proved
    assert "What to do:" in proved and "What numbers cannot show" in rest
    assert text == certificate.explain("mean") and certificate.explain() != text


def test_one_coordinate_by_name_or_number(certificate: Certificate) -> None:
    by_name = certificate.explain("mean", "mu")
    assert by_name == certificate.explain("mean", certificate.layout.index("mu"))
    assert "log sigma" not in by_name
    assert "correlation of" in certificate.explain("correlation", "mu")
    with pytest.raises(KeyError, match="expected one of the coordinates .*, got 'nu'"):
        certificate.explain("mean", "nu")
    with pytest.raises(KeyError, match="expected one of"):
        certificate.explain("kurtosis")


def test_each_verdict_is_told_apart() -> None:
    cases = {
        Verdict.VERIFIED: certify_at(lambda z: (z - 2 * torch.nn.functional.softplus(z)).sum(-1), [0.0]),
        Verdict.BOUNDED: certify_at(normal, [0.05]),
        Verdict.REFUTED: certify_at(normal, [3.0]),
        Verdict.UNKNOWN: certify(LogDensity.from_callable(skew_normal(3.0), 1)),
    }
    said = {
        Verdict.VERIFIED: "right as far as numbers can tell",
        Verdict.BOUNDED: "off by at most",
        Verdict.REFUTED: "is not recovered",
        Verdict.UNKNOWN: "Nothing can be said",
    }
    for verdict, made in cases.items():
        text = " ".join(made.explain().split())
        assert made["mean"].verdict is verdict
        assert said[verdict] in text and "What to do:" in text
        if verdict is not Verdict.BOUNDED:
            assert "is exact" not in text
    assert "the symmetric value is 0" in " ".join(cases[Verdict.BOUNDED].explain().split())


# -- pictures --------------------------------------------------------------------------------------------------------


def texts(figure) -> str:
    axis = figure.axes[0]
    return " ".join([t.get_text() for t in axis.texts] + [t.get_text() for t in axis.get_yticklabels()])


def test_the_forest_of_means_shows_verdicts_values_and_centres(certificate: Certificate, tmp_path: Path) -> None:
    figure = certificate.plot()
    figure.savefig(tmp_path / "forest.png")
    words = texts(figure)
    for entry in certificate["mean"].entries:
        assert entry.verdict.name in words and f"{entry.value:.5g}" in words
        assert entry.label.partition(" of ")[2] in words
    legend = " ".join(t.get_text() for t in figure.legends[0].get_texts())
    assert "guide: fitted value" in legend and "proved: exact" in legend
    diamonds = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert [float(line.get_xdata()[0]) for line in diamonds] == pytest.approx([0.0], abs=1e-6)


def test_bars_are_as_wide_as_the_bounds() -> None:
    made = certify_at(normal, [0.3, 0.0])
    bars = [line for line in made.plot().axes[0].lines if line.get_linewidth() == 8]
    assert [float(bar.get_xdata()[1]) for bar in bars] == pytest.approx([float(made["mean"].bounds[0])])
    diamonds = [line for line in made.plot().axes[0].lines if line.get_marker() == "D"]
    assert float(diamonds[0].get_xdata()[0]) == pytest.approx(-0.3, abs=0.02)


def test_tiles_show_each_pair_and_need_no_model(certificate: Certificate) -> None:
    again = Certificate.from_dict(certificate.to_dict())
    figure = again.plot("correlation")
    assert len(figure.axes[0].patches) == 1
    assert [t.get_text() for t in figure.axes[0].texts] == ["0.00"]
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert legend[0] == "PROVED"
    wide = certify_at(normal, [0.0] * 20, statistics=("correlation", "covariance"))
    assert len(wide.plot("correlation").axes[0].patches) == 190
    assert len(wide.plot("covariance").axes[0].patches) == 210


def test_tiles_give_the_symmetric_value_where_it_differs() -> None:
    precision = torch.tensor([[2.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    made = certify_at(lambda z: -0.5 * ((z @ precision) * z).sum(-1), [0.0, 0.0], statistics="correlation")
    (text,) = made.plot().axes[0].texts
    assert text.get_text() == "0.00\n(-0.64)"  # -0.9 / sqrt(2)


@pytest.mark.parametrize("kind", ["file", "target", "median"])
def test_pictures_refused(certificate: Certificate, kind: str) -> None:
    if kind == "median":
        with pytest.raises(ValueError, match="expected a matrix statistic"):
            certificate.plot("median")
        return
    made = Certificate.from_dict(certificate.to_dict())
    made = made if kind == "file" else certify(LogDensity.from_callable(normal, 2))
    with pytest.raises(ValueError, match="expected a certificate of a fit or of draws"):
        made.plot("mean")


def test_rows_about_which_nothing_is_known_have_no_bar_and_no_diamond() -> None:
    """A skewed Cauchy: no centre, no moments, no bound."""
    made = certify_at(lambda z: (-torch.log1p(z**2) + torch.special.log_ndtr(3 * z)).sum(-1), [1.0])
    assert made["mean"].verdict in (Verdict.UNKNOWN, Verdict.REFUTED)
    lines = made.plot().axes[0].lines
    assert not [line for line in lines if line.get_marker() == "D" or line.get_linewidth() == 8]
