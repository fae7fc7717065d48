"""The program as a user meets it: its exit code and its two streams."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines, set_options

TINY = {"seed": 0, "steps": 20, "batch_size": 16, "config.generator_hidden": [8], "config.discriminator_hidden": [8]}


@pytest.mark.parametrize(
    "command",
    [
        "list",
        "show",
        "pull",
        "verify",
        "rm",
        "sample",
        "train",
        "resume",
        "animate",
        "report",
        "eval",
        "protocols",
        "bench",
        "data",
        "plugins",
        "zoo",
    ],
)
def test_every_command_has_help(ganzoo: Ganzoo, command: str) -> None:
    result = ganzoo(command, "--help")
    assert result.returncode == 0
    assert "Usage:" in result.stdout
    assert result.stderr == ""


def test_without_arguments_it_helps(ganzoo: Ganzoo) -> None:
    result = ganzoo()
    assert result.returncode == 0
    assert "sample" in result.stdout


def test_list_is_a_table_or_json(ganzoo: Ganzoo) -> None:
    table = ganzoo("list")
    assert "mnist-mlp@v1" in table.stdout
    assert ganzoo("ls").stdout == table.stdout
    document = json.loads(ganzoo("list", "--json").stdout)
    assert {entry["name"] for entry in document["weights"]} >= {"mnist-mlp", "quadratic-mlp"}
    assert "mlp" in [entry["name"] for entry in document["architectures"]]
    only = json.loads(ganzoo("list", "mnist*", "--json").stdout)
    assert {entry["name"].partition("-")[0] for entry in only["weights"]} == {"mnist"}
    assert [entry["name"] for entry in only["datasets"]] == ["mnist"]


@pytest.mark.parametrize("name", ["mnist-mlp", "mnist", "mlp", "fd-lenet", "quadratic-mlp@v1"])
def test_show_tells_everything_of_one_name(ganzoo: Ganzoo, name: str) -> None:
    assert name.partition("@")[0] in ganzoo("show", name).stdout
    assert json.loads(ganzoo("show", name, "--json").stdout)


def test_pull_prints_the_path_and_sample_writes_the_file(ganzoo_process: Ganzoo, tmp_path: Path) -> None:
    pulled = ganzoo_process("pull", "mnist-mlp")
    assert pulled.returncode == 0
    assert Path(pulled.stdout.strip()).is_file()
    sampled = ganzoo_process("sample", "mnist-mlp", "--num", "64", "--seed", "0", "--out", "digits.png")
    assert (sampled.returncode, sampled.stdout) == (0, "digits.png\n")
    with Image.open(tmp_path / "cwd" / "digits.png") as image:
        assert image.size[0] > 400


def test_the_same_seed_gives_the_same_bytes_and_json_says_their_digest(ganzoo: Ganzoo, tmp_path: Path) -> None:
    digests = []
    for name in ("a.png", "b.png"):
        result = ganzoo("sample", "quadratic-mlp", "--seed", "5", "--out", name, "--json")
        digests.append(json.loads(result.stdout)["sha256"])
    assert digests[0] == digests[1] == hashlib.sha256((tmp_path / "cwd" / "a.png").read_bytes()).hexdigest()
    other = ganzoo("sample", "quadratic-mlp", "--seed", "6", "--out", "c.png", "--json")
    assert json.loads(other.stdout)["sha256"] != digests[0]


def test_a_random_seed_is_printed_and_gives_the_same_again(ganzoo: Ganzoo, tmp_path: Path) -> None:
    first = ganzoo("sample", "quadratic-mlp", "-n", "2", "--out", "a.npy")
    seed = first.stderr.split("seed ")[1].split()[0]
    ganzoo("sample", "quadratic-mlp", "-n", "2", "--out", "b.npy", "--seed", seed)
    cwd = tmp_path / "cwd"
    assert np.array_equal(np.load(cwd / "a.npy"), np.load(cwd / "b.npy"))


def test_quiet_says_nothing_but_errors(ganzoo: Ganzoo) -> None:
    assert ganzoo("-q", "pull", "quadratic-mlp").stderr == ""
    assert "Error" in ganzoo("-q", "pull", "nothing").stderr


def in_terminal(*arguments: str) -> str:
    """Run the program with a terminal as its stdout, and return what it wrote there."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "60", "LINES": "40"}
    command = [sys.executable, "-m", "ganzoo", *arguments]
    process = subprocess.Popen(command, stdout=follower, stderr=subprocess.DEVNULL, env=environment)
    os.close(follower)
    written = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(leader)
    assert process.wait() == 0
    return written.decode()


@pytest.mark.slow
def test_without_out_a_terminal_gets_a_picture() -> None:
    shown = in_terminal("sample", "mnist-mlp", "--seed", "0", "-n", "16")
    assert shown.count("▀") > 1000
    assert "\x1b[38;2;" in shown


def test_without_out_and_terminal_sample_says_so(ganzoo: Ganzoo) -> None:
    assert_two_lines(ganzoo("sample", "mnist-mlp"), 2, "output is not a terminal", "--out")


def test_train_sample_and_resume(ganzoo: Ganzoo, digits: Path, tmp_path: Path) -> None:
    options = ["--data-dir", digits, *set_options(TINY), "--lr", "1e-4"]  # constant, so that the run may become longer
    trained = ganzoo("train", "mnist-mlp", "--out", "run", *options)
    assert (trained.returncode, trained.stdout) == (0, "./run\n")
    assert "seed 0" in trained.stderr
    refused = ganzoo("eval", "./run")  # the run knows where its data is
    assert_two_lines(refused, 1, "takes 10,000 real samples; this test split of mnist has 128", "--data-dir")
    assert ganzoo("sample", "./run", "--out", "single/", "-n", "3", "--seed", "0").returncode == 0
    assert len(list((tmp_path / "cwd" / "single").iterdir())) == 3
    longer = ganzoo("resume", "run", "--steps", "30", "--json")
    assert json.loads(longer.stdout)["step"] == 30
    shown = json.loads(ganzoo("show", "./run", "--json").stdout)
    assert shown["training"]["steps"] == 30


def test_settings_come_in_the_stated_order(ganzoo: Ganzoo, tmp_path: Path) -> None:
    user = tmp_path / "config" / "ganzoo"
    user.mkdir(parents=True)
    (user / "config.toml").write_text("steps = 1\nlog_every = 1\nbatch_size = 4\nseed = 1\nkeep_checkpoints = 1\n")
    (tmp_path / "run.toml").write_text("steps = 3\nbatch_size = 6\nseed = 3\n")
    environment = {"GANZOO_STEPS": "2", "GANZOO_BATCH_SIZE": "5", "GANZOO_SEED": "2", "GANZOO_LOG_EVERY": "2"}
    result = ganzoo(
        *("train", "quadratic-mlp", "--out", "run", "--config", tmp_path / "run.toml"),
        *("--set", "batch_size=7", "--set", "seed=4", "--seed", "5"),
        **environment,
    )
    assert result.returncode == 0, result.stderr
    settings = json.loads((tmp_path / "cwd" / "run" / "run.json").read_text())["settings"]
    assert settings["keep_checkpoints"] == 1  # user file
    assert settings["log_every"] == 2  # environment
    assert settings["recipe"]["steps"] == 3  # --config
    assert settings["recipe"]["batch_size"] == 7  # --set
    assert settings["seed"] == 5  # flag


@pytest.mark.slow
def test_a_plugins_architecture_trains_by_name(
    ganzoo: Ganzoo, ganzoo_process: Ganzoo, install_plugin: InstallPlugin
) -> None:
    without_plugin = os.environ.get("PYTHONPATH", "")
    source = """
from dataclasses import dataclass
from ganzoo.specs import ArchitectureSpec

@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 64

def build_generator(config, latent, sample):
    from torch import nn
    return nn.Sequential(nn.Linear(latent.dim, config.width), nn.ReLU(), nn.Linear(config.width, *sample.shape))

def build_discriminator(config, sample):
    from torch import nn
    return nn.Sequential(nn.Linear(*sample.shape, config.width), nn.ReLU(), nn.Linear(config.width, 1), nn.Flatten(0))

LINES = ArchitectureSpec(
    name="lines", summary="s", paper="p", license="MIT", config=Config,
    build_generator=build_generator, build_discriminator=build_discriminator,
)
"""
    install_plugin("my-lines", {"ganzoo.architectures": {"lines": "my_lines:LINES"}}, {"my_lines.py": source})
    options = ["--set", "architecture=lines", "--set", 'config={"width": 12}', "--steps", "5", "--seed", "0"]
    result = ganzoo("train", "quadratic-mlp", "--out", "run", *options)
    assert result.returncode == 0, result.stderr
    assert json.loads(ganzoo("eval", "./run", "--json").stdout)["metrics"]
    wrong = ganzoo("train", "quadratic-mlp", "--out", "other", "--set", "architecture=lines", "--steps", "5")
    assert_two_lines(wrong, 2, "generator_hidden")
    forgotten = ganzoo_process("sample", "./run", "--out", "x.png", PYTHONPATH=without_plugin)
    assert_two_lines(forgotten, 1, "needs the plugin my-lines (1.0 when trained)", 'pip install "my-lines>=1.0"')


def test_what_train_prints_is_a_reference(ganzoo: Ganzoo) -> None:
    printed = ganzoo("train", "quadratic-mlp", "--steps", "2", "--seed", "0", "--out", "run", "-q")
    assert printed.stderr == ""
    assert ganzoo("sample", printed.stdout.strip(), "--out", "x.png").returncode == 0


def test_show_lists_every_setting_of_a_recipe(ganzoo: Ganzoo) -> None:
    shown = ganzoo("show", "quadratic-mlp", "--all").stdout
    for name in (
        "checkpoint_every",
        "precision",
        "ema_decay",
        "optimizers.generator.learning_rate",
        "keep_checkpoints",
    ):
        assert name in shown


def test_a_console_without_unicode_shows_what_it_can() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, "-m", "ganzoo", "show", "quadratic"]
    result = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert result.returncode == 0
    assert b"curves y" in result.stdout


def test_a_wrong_setting_is_said_before_data_is_fetched(ganzoo: Ganzoo) -> None:
    for setting in ("loss=bcee", "config.nope=1", "regularizers.r9=1"):
        assert_two_lines(ganzoo("train", "mnist-mlp", "--set", setting), 2)


def test_a_store_that_cannot_be_written_is_not_called_a_network_problem(ganzoo: Ganzoo, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = ganzoo("train", "mnist-mlp", GANZOO_HOME=str(tmp_path / "file" / "home"))
    assert_two_lines(result, 1, "cannot write to the store", "GANZOO_HOME")


@pytest.mark.parametrize("content", ["", "[]", "{", "3"])
def test_show_refuses_a_folder_of_nonsense(ganzoo: Ganzoo, tmp_path: Path, content: str) -> None:
    (tmp_path / "cwd" / "run").mkdir()
    (tmp_path / "cwd" / "run" / "config.json").write_text(content)
    result = ganzoo("show", "./run")
    assert result.returncode in (0, 1)
    assert "bug" not in result.stderr


def test_show_of_a_folder_without_a_slash_says_how_to_name_it(ganzoo: Ganzoo, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "flowers").mkdir()
    assert_two_lines(ganzoo("show", "flowers"), 2, "no weights named 'flowers'", "write ./flowers")


def test_a_missing_file_is_not_taken_for_a_name_in_capitals(ganzoo: Ganzoo) -> None:
    assert_two_lines(ganzoo("show", "README.md"), 2, "'README.md' is not a reference", "Use a name")
    assert_two_lines(ganzoo("show", "MNIST-MLP"), 2, "Names are lower case: mnist-mlp")


def test_eval_reports_its_whole_protocol_beside_the_run(ganzoo: Ganzoo, tmp_path: Path) -> None:
    ganzoo("train", "quadratic-mlp", "--out", "run", "--steps", "3", "--eval-every", "2", "--seed", "0")
    report = json.loads(ganzoo("eval", "./run", "--protocol", "quadratic-quick-v1", "--json").stdout)
    assert report["protocol"]["num_samples"] == 2000
    saved = tmp_path / "cwd" / "run" / "evaluations" / "quadratic-quick-v1.json"
    assert json.loads(saved.read_text())["metrics"] == report["metrics"]
    table = ganzoo("eval", "./run/best", "--protocol", "quadratic-quick-v1")
    assert table.returncode == 0, table.stderr
    assert table.stdout.splitlines()[1].split() == ["metric", "value", "direction", "protocol"]
    assert "lower is better" in table.stdout


@pytest.mark.slow
def test_published_numbers_are_found_again_and_others_are_not(
    ganzoo: Ganzoo, ganzoo_process: Ganzoo, tmp_path: Path
) -> None:
    held = ganzoo("eval", "quadratic-mlp", "--check", "--json")
    assert held.returncode == 0, held.stderr
    assert all(row["holds"] for row in json.loads(held.stdout)["comparisons"])

    site = tmp_path / "cwd" / "forged"
    shutil.copytree(Path(__file__).parents[2] / "ganzoo", site / "ganzoo")
    shutil.copytree(Path(__file__).parents[2] / "plugins", site, dirs_exist_ok=True)
    manifest = json.loads((Path(__file__).parents[2] / "weights_manifest.json").read_text())
    curves = [entry for entry in manifest["entries"] if entry["name"] == "quadratic-mlp"]
    curves[0]["metrics"][0]["value"] += 1
    (site / "weights_manifest.json").write_text(json.dumps({**manifest, "entries": curves}))
    for arguments in (("eval", "quadratic-mlp", "--check"), ("zoo", "measure", "--check")):
        missed = ganzoo_process(*arguments, PYTHONPATH=str(site))
        assert missed.returncode == 1, missed.stderr
        assert "1 of 7 published numbers were not reproduced; curve-w1" in missed.stderr
        title, _, *rows = missed.stdout.splitlines()
        assert title == "quadratic-mlp@v1 under quadratic-exact-v2"
        assert [row.split()[-1] for row in rows] == ["no", *["yes"] * 6]
    written = ganzoo_process("zoo", "measure", "--out", "boards", PYTHONPATH=str(site))
    assert written.stdout.split() == ["boards/leaderboard.md", "boards/leaderboard.csv"], written.stderr
    assert "| `quadratic-mlp@v1` |" in (tmp_path / "cwd" / "boards" / "leaderboard.md").read_text()
    assert len((tmp_path / "cwd" / "boards" / "leaderboard.csv").read_text().splitlines()) == 1 + 7
    printed = ganzoo_process("zoo", "measure", PYTHONPATH=str(site))
    assert "| `quadratic-mlp@v1` |" in printed.stdout
    assert not (tmp_path / "cwd" / "docs").exists()


def test_protocols_are_listed(ganzoo: Ganzoo) -> None:
    assert "quadratic-exact-v2" in ganzoo("protocols").stdout
    (exact,) = json.loads(ganzoo("protocols", "quadratic-exact-v2", "--json").stdout)["protocols"]
    assert exact["metrics"][0] == "curve-w1"


def test_a_run_has_no_published_numbers_to_check(ganzoo: Ganzoo) -> None:
    assert_two_lines(ganzoo("eval", "./run", "--check"), 2, "no published numbers")
    other = ganzoo("eval", "quadratic-mlp", "--check", "--protocol", "quadratic-quick-v1")
    assert_two_lines(other, 2, "no published numbers under quadratic-quick-v1", "quadratic-exact-v2")


def test_rm_asks_and_without_a_terminal_refuses(ganzoo: Ganzoo, home: Path) -> None:
    ganzoo("pull", "quadratic-mlp")
    assert_two_lines(ganzoo("rm", "quadratic-mlp"), 2, "--yes")
    assert list((home / "blobs").iterdir())
    assert ganzoo("rm", "quadratic-mlp", "--yes").returncode == 0
    assert list((home / "blobs").iterdir()) == []


@pytest.mark.slow
def test_bundle_enters_a_run_that_then_loads_by_name(ganzoo: Ganzoo, cwd: Path, install_plugin: InstallPlugin) -> None:
    source = """
import dataclasses
from ganzoo_quadratic import QUADRATIC_MLP

MY_CURVES = dataclasses.replace(QUADRATIC_MLP, name="my-curves", steps=30)
"""
    groups = {"ganzoo.recipes": {"my-curves": "my_curves:MY_CURVES"}, "ganzoo.weights": {"my-curves": "my_curves"}}
    package = install_plugin("my-curves", groups, {"my_curves/__init__.py": source}) / "my_curves"

    def bundle(run: str, version: str) -> subprocess.CompletedProcess[str]:
        return ganzoo("zoo", "bundle", run, package, "--version", version, "--license", "MIT")

    ganzoo("train", "my-curves", "--out", "short", "--steps", "20", "--seed", "0")
    assert_two_lines(bundle("short", "v7"), 2, "not trained as the recipe 'my-curves' says: steps")
    ganzoo("train", "my-curves", "--out", "run", "--seed", "0")
    assert_two_lines(bundle("run", "V!"), 2, "'V!' is not a version")
    assert [path.name for path in package.iterdir()] == ["__init__.py"]
    record = cwd / "run" / "training.json"
    document = json.loads(record.read_text())
    notes, document["settings"]["recipe"]["notes"] = document["settings"]["recipe"]["notes"], "of an older recipe"
    record.write_text(json.dumps(document))
    done = bundle("run", "v7")
    assert (done.returncode, done.stdout) == (0, "my-curves@v7\n")
    bundled = json.loads((package / "weights" / "my-curves-v7" / "training.json").read_text())
    assert bundled["settings"]["recipe"]["notes"] == notes
    assert_two_lines(bundle("run", "v7"), 2, "already has my-curves@v7")
    assert ganzoo("verify", "my-curves@v7").returncode == 0
    assert ganzoo("sample", "my-curves", "--out", "x.png").returncode == 0


def test_train_says_which_engine_takes_the_steps(ganzoo: Ganzoo, digits: Path) -> None:
    options = ("--steps", "25", "--data-dir", str(digits), "--set", "config.generator_hidden=[8]")
    assert "\nengine graph\n" in ganzoo("train", "mnist-mlp", "--engine", "graph", *options).stderr
    assert "\nengine eager: too few steps for a graph to pay off\n" in ganzoo("train", "mnist-mlp", *options).stderr


@pytest.mark.slow
def test_bench_compares_with_the_plain_loop(ganzoo: Ganzoo, digits: Path, tmp_path: Path) -> None:
    options = ["--data-dir", digits, "--rounds", "1", "--seconds", "0.01", "--device", "cpu", "--samples", "8"]
    options += ["--engine", "eager", "--precision", "fp32", "--precision", "bf16"]
    result = ganzoo("bench", "mnist-mlp", *options, "--json", "--csv", "rows.csv")
    speeds = json.loads(result.stdout)["speeds"]
    variants = [("baseline", "fp32"), ("eager", "fp32"), ("eager", "bf16"), ("sample", "fp32")]
    assert [(speed["variant"], speed["precision"]) for speed in speeds] == variants
    assert [speed["batch"] for speed in speeds] == [64, 64, 64, 8]
    assert all(speed["steps_per_second"] > 0 for speed in speeds)
    assert "round 1 of 1" in result.stderr
    header, *rows = (tmp_path / "cwd" / "rows.csv").read_text().splitlines()
    assert header == ",".join(speeds[0])
    assert len(rows) == len(speeds)


@pytest.mark.slow
def test_bench_shows_a_table(ganzoo: Ganzoo) -> None:
    options = ["--rounds", "1", "--seconds", "0.01", "--device", "cpu", "--engine", "graph", "--precision", "fp32"]
    result = ganzoo("-q", "bench", "quadratic-mlp", *options)
    title, columns, baseline, graph, sample, versions = result.stdout.splitlines()
    assert title.startswith("quadratic-mlp on ")
    assert columns.split()[:3] == ["variant", "precision", "batch"]
    assert [line.split()[0] for line in (baseline, graph, sample)] == ["baseline", "graph", "sample"]
    assert versions.startswith("ganzoo ")
    assert result.stderr == ""


def test_bench_refuses_what_it_cannot_add_to_before_it_measures(ganzoo: Ganzoo, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "rows.csv").write_text("a,b\n1,2\n")
    for subject in ("--startup", "quadratic-mlp"):
        assert_two_lines(ganzoo("bench", subject, "--csv", "rows.csv"), 2, "other columns", "another file")
    assert (tmp_path / "cwd" / "rows.csv").read_text() == "a,b\n1,2\n"


def test_bench_wants_a_recipe_or_the_start(ganzoo: Ganzoo) -> None:
    assert_two_lines(ganzoo("bench"), 2, "name a recipe, or --startup")
    assert_two_lines(ganzoo("bench", "mnist-mlp", "--startup"), 2, "name a recipe, or --startup")


def test_data_prepare_packs_every_split(ganzoo: Ganzoo, digits: Path, home: Path) -> None:
    result = ganzoo("data", "prepare", "mnist", "--data-dir", digits, "--json")
    assert result.stderr.splitlines() == ["train: 256 of the official 60,000", "test: 128 of the official 10,000"]
    document = json.loads(result.stdout)
    assert [(split["split"], split["samples"]) for split in document["splits"]] == [("train", 256), ("test", 128)]
    assert len(list((home / "datasets" / "mnist" / "packed").iterdir())) == 2
    assert "quadratic" in ganzoo("data", "list").stdout


def test_debug_shows_the_traceback(ganzoo_process: Ganzoo) -> None:
    assert "Traceback" in ganzoo_process("show", "nothing", GANZOO_DEBUG="1").stderr


# --- bad input: the exit code, one line what, one line how to mend, nothing written ---


def assert_nothing_written(tmp_path: Path) -> None:
    assert list((tmp_path / "cwd").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["train", "mnist-mpl"], 2, "Did you mean 'mnist-mlp'"),
        (["train", "quadratic-mlp", "--set", "stepz=3"], 2, "Did you mean 'steps'"),
        (["train", "quadratic-mlp", "--set", "steps"], 2, "not of the form key=value"),
        (["train", "quadratic-mlp", "--set", "steps=-3"], 2, "steps = -3"),
        (["train", "quadratic-mlp", "--device", "gpu"], 2, "unknown device 'gpu'"),
        (["train", "quadratic-mlp", "--device", "cuda:99"], 2, "this machine has no device cuda:99"),
        (["train", "quadratic-mlp", "--precision", "fp8"], 2, "precision"),
        (["train", "quadratic-mlp", "--config", "none.toml"], 2, "cannot read none.toml"),
        (["train", "--config", "none.toml"], 2, "cannot read none.toml"),
        (["train", "quadratic-mlp", "--set", "regularizers.r1.every=16"], 2, "regularizers.r1.weight is missing"),
        (["train", "quadratic-mlp", "--sweep", "loss=bce,nope", "--out", "sweep"], 2, "no loss named 'nope'"),
        (["train", "quadratic-mlp", "--sweep", "regularizers.nope=0,1"], 2, "no regularizer named 'nope'"),
        (
            ["train", "quadratic-mlp", "--sweep", "label_smoothing=0,0.1", "--set", "loss=hinge"],
            2,
            "no targets to smooth",
        ),
        (
            ["train", "quadratic-mlp", "--set", 'regularizers.r1={"weight":1,"end":2}'],
            2,
            "setting 'regularizers.r1.end'",
        ),
        (["train", "mnist-mlp", "--data-dir", "."], 1, "no MNIST train files"),
        (["resume", "nothing"], 1, "is not a run"),
        (["sample", "nothing", "--out", "x.png"], 2, "no weights named 'nothing'"),
        (["sample", "mnist-mlp", "--out", "x.tiff"], 2, "unknown file type .tiff"),
        (["sample", "mnist-mlp", "--out", "x.mp4"], 2, "x.mp4 is for an animation"),
        (["sample", "mnist-mlp@v9", "--out", "x.png"], 2, "Did you mean 'mnist-mlp@v1'"),
        (["sample", "mnist-mlp", "--out", "x.png", "--device", "cuda:99"], 2, "this machine has no device cuda:99"),
        (["sample", "mnist-mlp", "--out", "x.png", "--label", "7"], 2, "not class-conditional"),
        (["sample", "./nothing", "--out", "x.png"], 1, "does not exist"),
        (["sample", "mnist-mlp", "--out", "/proc/nothing/x.png"], 1, "cannot write"),
        (["eval", "quadratic-mlp", "--protocol", "x"], 2, "no protocol of quadratic named 'x'"),
        (["pull", "hf:you"], 2, "is not a Hub repository"),
        (["pull", "./folder"], 2, "is a folder"),
        (["push", "mnist-mlp", "mygan"], 2, "'mygan' is not a repository"),
        (["show", "mlpp"], 2, "Did you mean 'mlp'"),
        (["data", "prepare", "cifar"], 2, "no dataset named 'cifar'"),
        (["zoo", "bundle", "nothing", ".", "--version", "v1", "--license", "MIT"], 2, "is not a run with weights"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_two_lines_and_leaves_nothing(
    ganzoo: Ganzoo, tmp_path: Path, arguments: list[str], code: int, word: str
) -> None:
    assert_two_lines(ganzoo(*arguments), code, word)
    assert_nothing_written(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["sample"],
        ["sample", "mnist-mlp", "--num", "0"],
        ["list", "--x"],
        ["eval"],
        ["eval", "mnist-mlp", "--list"],
        ["push", "./run"],
        ["bundle", "run", "."],
    ],
)
def test_wrong_usage_exits_with_2(ganzoo: Ganzoo, arguments: list[str]) -> None:
    result = ganzoo(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_missing_data_without_network_says_where_files_go(ganzoo: Ganzoo, tmp_path: Path) -> None:
    unreachable = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    result = ganzoo("train", "mnist-mlp", **unreachable)
    assert_two_lines(result, 1, "cannot download MNIST", "train-images-idx3-ubyte.gz", "--data-dir")
    assert_nothing_written(tmp_path)


def test_a_corrupt_gz_is_two_lines(ganzoo: Ganzoo, digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits, tmp_path / "data")
    path = tmp_path / "data" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:1000])
    assert_two_lines(ganzoo("train", "mnist-mlp", "--data-dir", tmp_path / "data"), 1, str(path), "Replace it")
    assert_nothing_written(tmp_path)


@pytest.mark.slow
def test_two_processes_pull_at_once(tmp_path: Path, home: Path) -> None:
    command = [sys.executable, "-m", "ganzoo", "pull", "mnist-mlp"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert not list((home / "blobs").glob(".*"))
    assert subprocess.run([*command[:3], "verify", "mnist-mlp"], capture_output=True, check=False).returncode == 0


def test_a_store_in_an_impossible_place_is_two_lines(ganzoo: Ganzoo, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = ganzoo("pull", "mnist-mlp", GANZOO_HOME=str(tmp_path / "file" / "home"))
    assert_two_lines(result, 1, "cannot write to the store", "GANZOO_HOME")
