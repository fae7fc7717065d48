"""docs/recipes: the pages are what docs/recipes/make.py writes, and their numbers add up."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import InstallPlugin

FOLDER = Path(__file__).parent.parent / "docs" / "recipes"


@pytest.fixture
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe_pages", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_script_writes(make: ModuleType) -> None:
    written, problems = make.pages()
    for name, text in written.items():
        assert (FOLDER / name).is_file(), f"{name} is missing: run docs/recipes/make.py"
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name} is stale: run docs/recipes/make.py"
    pages = {path.name for path in FOLDER.glob("*.md")}
    assert pages - {f"{name}.md" for name in problems} == set(written), "pages without a recipe: delete them"


def test_the_rows_of_a_net_add_up_to_its_parameters() -> None:
    for path in FOLDER.glob("*-*.md"):
        nets = re.findall(r"\*\*, ([\d,]+) parameters.*?:\n\n(.*?)\n\n", path.read_text(encoding="utf-8"), re.DOTALL)
        assert len(nets) == 2, path
        for total, rows in nets:
            counts = re.findall(r"\| ([\d,]+) \|$", rows, re.MULTILINE)
            assert sum(int(count.replace(",", "")) for count in counts) == int(total.replace(",", "")), path


def test_a_recipe_that_fails_to_load_has_no_page_and_is_reported(
    make: ModuleType,
    install_plugin: InstallPlugin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # It hides the real distribution of that name, and so its recipes.
    install_plugin("ganzoo", {"ganzoo.recipes": {"lost": "nowhere_to_be_found:LOST"}}, {})
    monkeypatch.setattr(make, "HERE", tmp_path / "pages")
    (tmp_path / "pages").mkdir()
    make.main()
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["README.md"]
    assert "no page for lost: ganzoo 1.0 failed to load recipe 'lost'" in capsys.readouterr().err


def test_other_peoples_recipes_have_no_page_here(make: ModuleType, install_plugin: InstallPlugin) -> None:
    install_plugin("stranger", {"ganzoo.recipes": {"their-gan": "stranger:GAN"}}, {"stranger.py": "GAN = None\n"})
    written, problems = make.pages()
    assert "their-gan.md" not in written
    assert "their-gan" not in problems
