"""The page shows the numbers that were computed, and says when they can't be read."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import EquivarianceReport, MonteCarlo, equivariance_error, report, spectrum
from pyro_symvi.equivariance.report._report import UNREADABLE
from pyro_symvi.groups import FiniteMatrixGroup, NaturalAction, Orthogonal, SpecialOrthogonal
from tests.equivariance_samples import normal

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)


def matrix_model() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3, bias=False)).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(normal(3, 3))
    return model


@pytest.fixture(scope="module")
def made() -> EquivarianceReport:
    history = SimpleNamespace(
        epochs=[0, 1, 2],
        errors=[0.9, 0.1, 0.5],
        labels=[irrep.label for irrep in O3.irreps(1)],
        fractions=torch.tensor([0.1, 0.0, 0.9, 0.0]).expand(3, 2, 4),
    )
    model, x = matrix_model(), normal(4, 3, seed=1)
    return report(model, x, O3, 1, rho_out=NaturalAction(O3), history=Sized(vars(history)), title="a <matrix>")


class Sized(SimpleNamespace):
    """A history as the logger keeps it."""

    def __init__(self, fields: dict) -> None:
        super().__init__(**{key: value for key, value in fields.items() if not key.startswith("__")})

    def __len__(self) -> int:
        return len(self.epochs)


def test_the_page_holds_what_the_metrics_say(made: EquivarianceReport) -> None:
    model, x = matrix_model(), normal(4, 3, seed=1)
    error = equivariance_error(model, x, O3, None, NaturalAction(O3))
    assert math.isclose(made.error.A, error.A, rel_tol=1e-10)
    torch.testing.assert_close(made.spectrum.fractions, spectrum(model, x, O3, 1).fractions, rtol=0, atol=1e-12)
    assert made.target == ((1, 1),) and made.converged is True and made.error_change < 1e-10
    assert made.diagnosis.modes == ("right sector, wrong copy", "lost in training")
    assert made.lie is not None and made.lie.L > 0.1
    text = made.to_text()
    assert f"A = {made.error.A:.4g}" in text and "right sector, wrong copy" in text and "1+" in text
    assert str(made) == text


def test_printed_it_fits_the_width(made: EquivarianceReport) -> None:
    shown = io.StringIO()
    made.print(shown, width=60)
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 60 and "EquivariancePenalty" in shown.getvalue() and "output" in shown.getvalue()


def test_it_is_saved_as_a_page_a_record_and_a_folder(made: EquivarianceReport, tmp_path: Path) -> None:
    folder = replace(made, history=None).save(tmp_path / "deep" / "all")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["report.html", "report.json", "samples.svg", "spectrum.svg"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    pictures = re.findall(r"base64,([^\"]+)", page)
    assert len(pictures) == 2 and base64.b64decode(pictures[0]).startswith(b"\x89PNG")
    assert "a &lt;matrix&gt;" in page and page.index("<h2>Findings") < page.index("<img")
    record = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert record["error"]["A"] == made.error.A and record["converged"] is True
    assert record["diagnosis"]["findings"][0]["mode"] == "right sector, wrong copy"
    with pytest.raises(ValueError, match=r"ends in \.html"):
        made.save(tmp_path / "page.docx")


def test_a_history_adds_two_pictures(made: EquivarianceReport) -> None:
    figures = made.figures()
    assert list(figures) == ["spectrum", "samples", "training", "epochs"]
    assert figures["training"].axes[0].get_lines()[0].get_ydata() == pytest.approx([0.9, 0.1, 0.5])
    target = figures["epochs"].axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert target.max() == pytest.approx(0.9)


def test_one_output_of_several_and_the_model_as_it_was() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.same = nn.Identity()

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"energy": x.square().sum(-1), "vector": self.same(x)}

    model, x = Two().eval(), normal(3, 3)
    found = report(model, x, SO3, 1, rho_out=NaturalAction(SO3), output="vector", lie=False)
    assert found.diagnosis.modes == ("nothing to mend",) and list(found.spectrum) == ["same", "output"]
    assert "(vector)" in found.title and not model._forward_hooks and isinstance(model(x), dict)
    history = SimpleNamespace(
        epochs=[0, 1],
        errors=[0.9, 0.9],
        labels=[0, 1],
        layers=("output['vector']", "output['energy']"),
        outputs=("output['vector']", "output['energy']"),
        relative=torch.tensor([[0.4, 0.9], [0.2, 0.9]]),
        fractions=torch.tensor([[[0.3, 0.7], [1.0, 0.0]]]).expand(2, 2, 2),
    )
    drawn = replace(found, history=Sized(vars(history)), output="vector").figures()
    assert drawn["training"].axes[0].get_lines()[0].get_ydata() == pytest.approx([0.4, 0.2])
    assert drawn["epochs"].axes[0].collections[0].get_paths()[0].vertices[:, 1].max() == pytest.approx(0.7)
    with pytest.raises(ValueError, match="output among"):
        report(model, x, SO3, 1, output="dipole")
    pair = report(lambda x: (x, 2 * x), x, SO3, 1, rho_out=NaturalAction(SO3), output=1, lie=False)
    assert pair.diagnosis.sound and not model._forward_hooks


def test_a_band_beyond_the_rule_is_not_read() -> None:
    """A power 16 of a component of the direction: its square has degree 32, the rule 6."""
    wild = report(lambda x: nn.functional.normalize(x, dim=-1)[:, :1] ** 16, normal(3, 3), SO3, 1, lie=False)
    assert wild.converged is False and wild.diagnosis.modes == ("not converged",) and wild.error_change > UNREADABLE
    assert "not converged" in wild.error_text
    finer = report(lambda x: torch.cos(x[:, :1]), normal(3, 3), SO3, 1, degree=16, lie=False)
    assert finer.converged is True


def test_finite_groups_are_exact_and_draws_not_known(tmp_path: Path) -> None:
    quarter = FiniteMatrixGroup.generated_by([torch.tensor([[0.0, -1.0], [1.0, 0.0]])])
    square = report(lambda x: x.square().sum(-1, keepdim=True), normal(3, 2), quarter)
    assert square.converged is True and square.lie is None and "exact" in square.error_text
    assert square.diagnosis.modes == ("nothing to mend",) and set(square.figures()) == {"spectrum", "samples"}
    drawn = report(lambda x: x[:, :1], normal(3, 3), SO3, 1, rule=MonteCarlo(64), lie=False)
    assert drawn.converged is None and "not known" in drawn.error_text and drawn.to_dict()["error_change"] is None


def test_a_model_that_cannot_be_differentiated_says_so() -> None:
    """Detached: torch sees a constant, and central differences don't."""
    detached = report(lambda x: (3 * x).detach(), normal(2, 3), SO3, 1)
    assert detached.lie is None and "no Lie derivative: " + detached.lie_reason in detached.error_text
    assert detached.error.relative > 0.5


def test_progress_names_every_part_in_order() -> None:
    seen: list[tuple[int, int, str]] = []
    arguments = (matrix_model(), normal(2, 3), SO3, 1)
    report(*arguments, rho_out=NaturalAction(SO3), lie=False, progress=lambda *part: seen.append(part))
    assert seen == [(0, 3, "spectrum"), (1, 3, "error"), (2, 3, "error at degree + 2")]
    with pytest.raises(TypeError, match="expected progress as True, False or a function, got 'yes'"):
        report(*arguments, rho_out=NaturalAction(SO3), progress="yes")
