"""How checks are run: by pytest, and by `ganzoo plugins check`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ganzoo import registry
from ganzoo.errors import ManifestError, UsageError
from ganzoo.testing import (
    CheckError,
    Example,
    check_loss,
    check_weights,
    examples_of,
    parametrize_with_checks,
    run_checks,
)
from ganzoo.weights.manifest import Zoo
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines
from tests.strange import install_strange

BROKEN = ("return self.layers(samples).squeeze(1)", "return self.layers(samples)")
LOGITS = "its_discriminator_returns_logits"


def parameters(*arguments: object) -> dict[str, list[str]]:
    """The marks of each test, by its id."""
    decorator = parametrize_with_checks(*arguments)  # type: ignore[arg-type]
    assert decorator.args[0] == ("spec", "check")
    return {one.id: [mark.name for mark in one.marks] for one in decorator.args[1]}


def test_a_test_is_named_after_its_spec_and_check() -> None:
    hinge, bce = registry.losses.get("hinge"), Example(registry.losses.get("bce"))
    found = parameters([hinge, bce], {"bce/smoothable_is_true": "reason"})
    assert next(iter(found)) == "hinge-fields_have_valid_values"
    assert found["hinge-smoothable_is_true"] == []
    assert found["bce-smoothable_is_true"] == ["xfail"]
    assert parameters([hinge, bce], {"smoothable_is_true": "reason"})["hinge-smoothable_is_true"] == ["xfail"]


def test_an_expected_failure_that_is_not_a_check_is_refused() -> None:
    with pytest.raises(UsageError, match="'smoothable_is_ture'"):
        parametrize_with_checks([registry.losses.get("hinge")], {"smoothable_is_ture": "reason"})


def test_what_is_not_a_spec_is_refused() -> None:
    with pytest.raises(TypeError, match="str is not a spec"):
        parametrize_with_checks(["hinge"])


def test_a_distribution_or_a_name_stands_for_everything_that_it_registers(install_plugin: InstallPlugin) -> None:
    install_strange(install_plugin)
    with pytest.raises(ManifestError, match=r"has no weights_manifest\.json"):
        examples_of("ganzoo-strange")
    found = {(one.kind, one.name) for one in examples_of("mnist-mlp")}
    assert found == {("recipe", "mnist-mlp"), ("weights", "mnist-mlp@v1")}


def test_checks_of_one_spec_raise_for_the_first_failure_only() -> None:
    check_loss(registry.losses.get("hinge"))
    check_weights(next(entry for entry in Zoo().entries if entry.name == "quadratic-mlp"))


@pytest.mark.slow
def test_pytest_runs_them_with_strict_expected_failures(tmp_path: Path, install_plugin: InstallPlugin) -> None:
    install_strange(install_plugin, BROKEN)
    (tmp_path / "test_contracts.py").write_text(
        "import ganzoo.testing\n"
        "from ganzoo import registry\n"
        "NET = registry.architectures.get('strange-net')\n"
        "MNIST = registry.datasets.get('mnist')\n"
        "FAILING = {'its_discriminator_returns_logits': 'two-dimensional', 'its_generator_returns_samples': 'wrong'}\n"
        "@ganzoo.testing.parametrize_with_checks([NET, MNIST], FAILING)\n"
        "def test_contracts(spec, check): check(spec)\n"
    )
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)]
    chosen = ["-k", "returns or it_loads_the_same_again"]
    result = subprocess.run([*command, *chosen], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "XFAIL test_contracts.py::test_contracts[strange-net-its_discriminator_returns_logits]" in result.stdout
    assert "[XPASS(strict)] wrong" in result.stdout
    assert "there are no files of mnist" in result.stdout
    assert "1 failed, 1 skipped" in result.stdout
    assert "1 xfailed" in result.stdout


def test_results_say_what_failed_what_was_expected_and_what_was_skipped(install_plugin: InstallPlugin) -> None:
    install_strange(install_plugin, BROKEN)
    example = Example(registry.architectures.get("strange-net"))
    failed = {one.check: one for one in run_checks([example]) if one.status == "failed"}
    assert "float32 [4, 1], not float32 [4]" in failed[LOGITS].problem
    assert "squeeze(1)" in failed[LOGITS].change
    again = {one.check: one for one in run_checks([example], {LOGITS: "as published", "its_config_is_bounded": "no"})}
    assert (again[LOGITS].status, again[LOGITS].change) == ("expected", "as published")
    assert again["its_config_is_bounded"].status == "failed"
    assert "does not fail" in again["its_config_is_bounded"].problem


def test_the_command_checks_a_name_and_exits_with_0(ganzoo: Ganzoo) -> None:
    result = ganzoo("plugins", "check", "hinge", "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["plugin"] == "hinge"
    assert {one["status"] for one in document["results"]} == {"ok"}
    assert {one["kind"] for one in document["results"]} == {"loss"}


def test_the_command_says_what_to_change_and_exits_with_1(ganzoo: Ganzoo, install_plugin: InstallPlugin) -> None:
    install_strange(install_plugin, BROKEN)
    result = ganzoo("plugins", "check", "strange-net")
    assert result.returncode == 1
    assert f"Error: strange-net, {LOGITS}: the discriminator returned float32 [4, 1], not float32 [4]." in result.stderr
    assert "Hint:  Return one raw logit for each sample" in result.stderr
    row = next(line for line in result.stdout.splitlines() if LOGITS in line)
    assert row.startswith(f"architecture  strange-net  {LOGITS}  failed  Return one raw logit")
    again = ganzoo("plugins", "check", "strange-net", "--expect", f"{LOGITS}=as published")
    assert f"{LOGITS}  expected  as published" in again.stdout


def test_the_command_refuses_names_that_do_not_exist_and_reasons_that_are_missing(ganzoo: Ganzoo) -> None:
    assert_two_lines(ganzoo("plugins", "check", "hinje"), 2, "'hinje'", "hinge")
    assert_two_lines(ganzoo("plugins", "check", "hinge", "--expect", "smoothable_is_true"), 2, "has no reason")


def test_a_plugin_that_cannot_be_imported_is_named(ganzoo: Ganzoo, install_plugin: InstallPlugin) -> None:
    install_strange(
        install_plugin, ("@dataclass(frozen=True, kw_only=True)\nclass Config", "import missing\nclass Config")
    )
    assert_two_lines(ganzoo("plugins", "check", "ganzoo-strange"), 1, "ganzoo-strange 0.3.1", "missing")


def test_an_error_has_both_sentences() -> None:
    error = CheckError("it is wrong.", "Make it right.")
    assert str(error) == "it is wrong.\nTo fix it: Make it right."
