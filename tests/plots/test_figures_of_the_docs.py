"""Pictures kept in the documentation: the script makes them, the page shows each of them with a description."""

import importlib.util
import re
from pathlib import Path

import torch

DOCS = Path(__file__).resolve().parents[2] / "docs"


def script():
    spec = importlib.util.spec_from_file_location("orbits", DOCS / "figures" / "orbits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_picture_of_orbits_is_made_again(tmp_path, capsys):
    orbits = script()
    torch.set_default_dtype(torch.float32)
    orbits.main(tmp_path, ["clouds"])
    (made,) = tmp_path.iterdir()
    assert made.name == "orbits_clouds.svg" and made.name in capsys.readouterr().out
    assert "</svg>" in made.read_text(encoding="utf-8")


def test_every_picture_is_kept_and_shown_with_a_description():
    page = (DOCS / "groups.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"!\[([^\]]+)\]\(figures/(\w+)\.svg\)", page))
    assert sorted(shown.values()) == sorted(f"orbits_{name}" for name in script().FIGURES)
    assert all(len(words) > 60 for words in shown)
    for name in (*shown.values(), "readme"):
        kept = (DOCS / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert kept.rstrip().endswith("</svg>") and len(kept) < 300_000
