"""What TAB completes, and that it needs neither torch nor the command line for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ganzoo.cli import app
from ganzoo.cli.completion import VALUES, command_tree
from ganzoo.completion import VALUES as KNOWN
from ganzoo.completion import cached_tree, complete
from tests.conftest import Ganzoo

TREE = command_tree(app)


def words(line: str) -> list[str]:
    """The completions of the last word of a line; an empty last word stands behind a blank."""
    return [word for word, _ in complete(line.split(" "), TREE)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sam", ["sample"]),
        ("cache pr", ["prune"]),
        ("sample mnist-mlp-", ["mnist-mlp-small", "mnist-mlp-dropout"]),
        ("sample mnist-cgan --label ", list("0123456789")),
        ("sample mnist-mlp --label ", []),
        ("sample mnist-mlp --dev", ["--device"]),
        ("sample -n 3 quadratic-r", ["quadratic-relativistic"]),
        ("train quadratic-r", ["quadratic-relativistic"]),
        ("train quadratic-mlp --engine e", ["eager"]),
        ("train quadratic-mlp --set batch", ["batch_size="]),
        ("train quadratic-mlp --set batch_size=", ["batch_size=64"]),
        ("train quadratic-mlp --set optimizers.generator.l", ["optimizers.generator.learning_rate="]),
        ("train quadratic-mlp --set loss=h", ["loss=hinge"]),
        ("train quadratic-mlp --set share_fakes=", ["share_fakes=true", "share_fakes=false"]),
        ("train quadratic-mlp --set engine=g", ["engine=graph"]),
        ("train quadratic-mlp --set na", []),
        ("eval quadratic-mlp --protocol quadratic-q", ["quadratic-quick-v1"]),
        ("eval quadratic-mlp --protocol=quadratic-q", ["--protocol=quadratic-quick-v1"]),
        ("data prepare mn", ["mnist"]),
        ("list rec", ["recipes"]),
        ("show fd-", ["fd-lenet"]),
        ("plugins new x --kind d", ["dataset"]),
        ("bench mnist-mlp --engine c", ["compile"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("sample mnist-mlp --out ", []),
        ("zo", []),
    ],
)
def test_the_last_word_is_completed(line: str, expected: list[str], home: Path) -> None:
    assert words(line) == expected


def test_runs_and_pulled_repositories_are_completed(cwd: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cwd)
    for name, file in (("runs/a b", "run.json"), ("runs/weights", "config.json"), ("runs/photos", "x.png")):
        (cwd / name).mkdir(parents=True)
        (cwd / name / file).write_text("{}")
    (home / "hub").mkdir(parents=True)
    (home / "hub" / "you--my-gan.json").write_text("{}")
    assert words("resume runs/") == ["runs/a b", "runs/weights"]
    assert words("sample ./r") == ["./runs/a b", "./runs/weights"]
    assert words("sample hf:") == ["hf:you/my-gan"]


def test_every_kind_of_value_is_known() -> None:
    assert {*VALUES.values()} <= {*KNOWN}


def test_the_tree_is_kept_until_the_program_changes(home: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"commands": 0}

    assert cached_tree(make) == cached_tree(make)
    assert len(made) == 1
    for damaged in ('{"stamp": "0.0.1"}', "[]", "{"):
        (home / "completion.json").write_text(damaged)
        cached_tree(make)
    assert len(made) == 4


def test_a_tab_imports_neither_torch_nor_the_commands(home: Path) -> None:
    cached_tree(lambda: TREE)
    code = "import sys\nfrom ganzoo.__main__ import main\nmain()\nprint(*sys.modules, file=sys.stderr)"
    for line, word in (
        (["sample", "mnist-m"], "mnist-mlp"),
        (["train", "mnist-mlp", "--set", "batch"], "batch_size="),
    ):
        ran = subprocess.run(
            [sys.executable, "-c", code, *line],
            env={**os.environ, "_GANZOO_COMPLETE": "1", "GANZOO_DEBUG": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert word in ran.stdout, ran.stderr
        assert not {"torch", "numpy", "typer", "pydantic", "rich", "ganzoo.cli"} & {*ran.stderr.split()}


def test_nothing_is_printed_where_something_is_wrong(home: Path) -> None:
    command = [sys.executable, "-m", "ganzoo", "data", "prepare", "no-such", "--set", ""]
    environment = {**os.environ, "_GANZOO_COMPLETE": "1", "GANZOO_HOME": "/proc/nothing"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


SHELLS = {
    "bash": """
eval "$(ganzoo completion bash)"
COMP_LINE="ganzoo train quadratic-mlp --set loss=h" COMP_POINT=${#COMP_LINE}
COMP_POINT=${#COMP_LINE}
compopt() { :; }
_ganzoo
echo "${COMPREPLY[@]}"
""",
    "fish": """
ganzoo completion fish | source
complete -C 'ganzoo train quadratic-mlp --set loss=h'
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_completes(shell: str, tmp_path: Path, home: Path, ganzoo: Ganzoo) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "bin" / "ganzoo"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ganzoo "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    ran = subprocess.run([shell, "-c", SHELLS[shell]], env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.split()[:1] == ["hinge" if shell == "bash" else "loss=hinge"], ran.stderr
    assert json.loads((home / "completion.json").read_text())["commands"]
