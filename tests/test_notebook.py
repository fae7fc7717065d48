"""The notebook of the documentation runs from top to bottom, and is stored without outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebooks" / "quick-start.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def shown(code: str, names: dict[str, Any]) -> Any:
    """Run a cell, and return the value of its last line, as a notebook shows it."""
    tree = ast.parse(code)
    last = tree.body[-1]
    assert isinstance(last, ast.Expr), "each cell ends with what it shows"
    exec(compile(ast.Module(tree.body[:-1], []), "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)


@pytest.mark.slow
def test_every_cell_runs_and_shows_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    model, digits, of_classes, walk, curves, metrics = [
        shown(code.replace('"steps": 1000', '"steps": 4'), names) for code in CODE
    ]
    for gan in (model, curves):
        assert "data:image/png;base64," in gan._repr_html_()
    assert isinstance(digits, Image.Image)
    assert of_classes.width > 3 * of_classes.height
    assert walk == (8, 1, 28, 28)
    assert "curve-w1" in {metric.name for metric in metrics}


def test_no_outputs_are_stored() -> None:
    assert all(
        cell["outputs"] == [] and cell["execution_count"] is None for cell in CELLS if cell["cell_type"] == "code"
    )
