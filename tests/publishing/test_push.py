"""Pushing, and what a stranger then finds."""

from __future__ import annotations

import gzip
import hashlib
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import torch
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from huggingface_hub import ModelCard, constants

import ganzoo
from ganzoo.config import assignments_layer, resolve
from ganzoo.errors import GanzooError, HubError, UsageError, WeightsFormatError
from ganzoo.hub import client
from ganzoo.hub.search import search
from ganzoo.publishing.card import retraining_command
from ganzoo.publishing.push import Package, prepare, send
from ganzoo.registry import recipes
from ganzoo.release.publish import publish_zoo
from ganzoo.sources import pull, verify
from ganzoo.specs import SampleSpec
from ganzoo.weights.importing import import_weights
from ganzoo.weights.manifest import read_manifest
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines
from tests.hub import faults
from tests.hub.conftest import NAME
from tests.hub.server import HubServer
from tests.test_model import make_gan
from tests.test_noise import GROUPS, PLUGIN, make_noisy_gan

REFERENCE = f"hf:{NAME}"
ROOT = Path(__file__).parents[2]

CREATE, PREUPLOAD, BATCH, UPLOAD, COMMIT = (
    "POST /api/repos/create",
    "POST */preupload/*",
    "POST *objects/batch",
    "PUT *",
    "POST */commit/*",
)


@pytest.fixture
def user(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The Hub, with us logged in."""
    server.add_user("you", "hf_secret", orgs=("zoo",))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_gan().save(tmp_path / "gan")


@pytest.fixture
def package(folder: Path) -> Package:
    return prepare(folder, NAME, license="MIT")


def files_of(server: HubServer, repo_id: str = NAME) -> set[str]:
    return set(server.repo(repo_id).head().files)


def test_tensors_are_pushed_without_a_picture(tmp_path: Path) -> None:
    package = prepare(make_gan(SampleSpec(kind="tensor", shape=(2,))).save(tmp_path / "gan"), NAME, license="MIT")
    assert set(package.files) == {"README.md", "config.json", "model.safetensors"}
    card = package.files["README.md"].decode()
    assert "![samples]" not in card
    assert f"ganzoo sample {REFERENCE} --num 64 --seed 0 --out samples.npy" in card


def test_what_was_pushed_samples_the_same_when_pulled(user: HubServer, package: Package) -> None:
    before = make_gan().sample(16, seed=0)
    result = send(package, tag="v1")
    assert torch.equal(ganzoo.load(f"{REFERENCE}@v1").sample(16, seed=0), before)
    assert pull(REFERENCE).reference == f"{REFERENCE}@{result.commit}"
    assert files_of(user) == {".gitattributes", "README.md", "config.json", "model.safetensors", "samples.png"}
    assert user.repo(NAME).tags == {"v1": result.commit}
    assert user.leaks() == []


@pytest.mark.parametrize("name", ["styled-curves", "ambient-curves"])
def test_a_generator_with_noise_is_pushed_and_compared(
    user: HubServer, install_plugin: InstallPlugin, name: str
) -> None:
    install_plugin("noisy", GROUPS, {"noisy.py": PLUGIN})
    gan = make_noisy_gan(name)
    ganzoo.push(gan, NAME, license="mit")
    assert torch.equal(ganzoo.load(REFERENCE).sample(70, seed=0), gan.sample(70, seed=0))


def test_a_push_is_one_commit(user: HubServer, package: Package) -> None:
    send(package)
    assert len(user.requested("POST */commit/*")) == 1
    assert len(user.repo(NAME).history()) == 2  # and the one that every repository begins with


@pytest.mark.slow
def test_a_run_is_pushed_with_its_discriminator_record_and_metrics(user: HubServer, ganzoo: Ganzoo) -> None:
    ganzoo("train", "quadratic-mlp", "--steps", "30", "--seed", "7", "--out", "run")
    ganzoo("eval", "./run")
    result = ganzoo("push", "./run", NAME, "--license", "mit", "--tag", "v1", "--yes")
    assert result.returncode == 0, result.stderr
    assert files_of(user) >= {"discriminator.safetensors", "training.json"}
    card = user.repo(NAME).head().files["README.md"].content.decode()
    assert "ganzoo train quadratic-mlp --seed 7 --set steps=30" in card
    assert "curve-w1" in card
    assert "quadratic-exact-v2" in card


def test_the_card_says_what_the_hub_and_its_visitors_need(package: Package) -> None:
    text = package.files["README.md"].decode()
    data = ModelCard(text).data
    assert data.license == "mit"
    assert data.library_name == "ganzoo"
    assert data.pipeline_tag == "unconditional-image-generation"
    assert data.datasets == ["mnist"]
    assert "ganzoo" in data.tags
    assert f'ganzoo.load("{REFERENCE}")' in text
    assert "![samples](samples.png)" in text


def test_the_card_of_a_manifest_entry_carries_its_metrics_with_their_protocol() -> None:
    text = prepare("quadratic-mlp", "zoo/quadratic-mlp").files["README.md"].decode()
    results = ModelCard(text).data.eval_results
    assert results is not None
    assert {result.metric_type for result in results} >= {"curve-w1", "curve-rmse", "point-in-band", "curve-in-band"}
    assert all(result.metric_args["protocol"] == "quadratic-exact-v2" for result in results)


def test_a_licence_is_required(folder: Path) -> None:
    with pytest.raises(UsageError, match="no licence is stated") as caught:
        prepare(folder, NAME)
    assert "--license" in caught.value.hint


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_would_not_load_is_not_pushed(user: HubServer, folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(WeightsFormatError):
        prepare(folder, NAME, license="mit")
    assert user.requests == []


def test_a_push_removes_what_an_earlier_one_had_besides(user: HubServer, package: Package) -> None:
    extra = {"training.json": b"{}", "model.sig": b"old", "notes.txt": b"not ours"}
    user.add_repo(NAME, {**package.files, **extra})
    send(package)
    assert files_of(user) == {".gitattributes", "notes.txt", *package.files}


def test_a_taken_tag_is_refused_before_anything_is_sent(user: HubServer, package: Package) -> None:
    send(package, tag="v1")
    before = user.repo(NAME).head().id
    changed = Package(NAME, package.gan, {**package.files, "README.md": package.files["README.md"] + b"\nMore.\n"})
    with pytest.raises(UsageError, match="already has a tag 'v1'"):
        send(changed, tag="v1")
    assert user.repo(NAME).head().id == before
    with pytest.raises(UsageError, match="a pull request cannot have a tag"):
        send(changed, tag="v2", create_pr=True)


def test_private_never_writes_into_a_public_repository(user: HubServer, package: Package) -> None:
    user.add_repo(NAME, {"config.json": b"before"})
    before = user.repo(NAME).head().id
    with pytest.raises(HubError, match="is already public"):
        send(package, private=True)
    assert user.repo(NAME).head().id == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        (CREATE, faults.Stall()),
        (COMMIT, faults.Stall()),
        (CREATE, faults.TooManyRequests(3600)),
        (UPLOAD, faults.TooManyRequests(3600)),
    ],
    ids=repr,
)
def test_a_push_has_a_deadline_everywhere_and_the_program_ends(
    user: HubServer, ganzoo_process: Ganzoo, folder: Path, pattern: str, fault: faults.Fault
) -> None:
    user.misbehave(pattern, fault, times=None)
    started = time.monotonic()
    result = ganzoo_process("push", folder, NAME, "--license", "mit", "--yes", GANZOO_HUB_SECONDS="1")
    assert_two_lines(result, 1)
    assert time.monotonic() - started < 60


def test_a_failed_first_push_leaves_no_repository(user: HubServer, package: Package) -> None:
    user.misbehave("POST */commit/*", faults.Status(400), times=None)
    with pytest.raises(GanzooError):
        send(package)
    assert user.repositories == {}


@pytest.mark.parametrize("exists", [True, False])
def test_only_an_own_repository_that_is_still_empty_is_deleted(user: HubServer, package: Package, exists: bool) -> None:
    """Once there was a wrong 404 for a repository that exists; once, a colleague commits to the new one first."""

    class Meanwhile(faults.Status):
        def change(self, request: faults.Request, reply: faults.Reply) -> faults.Reply:
            if not exists:
                user.repo(NAME).commit({"theirs": b"precious"}, "Theirs")
            return super().change(request, reply)

    if exists:
        user.add_repo(NAME, {"theirs": b"precious"})
        user.misbehave("GET /api/models/*", faults.Status(404, {"X-Error-Code": "RepoNotFound"}), times=1)
    user.misbehave(COMMIT, Meanwhile(400), times=None)
    for _ in range(2):
        with pytest.raises(GanzooError):
            send(package)
    assert user.requested("DELETE *") == []
    assert "theirs" in files_of(user)


@pytest.mark.parametrize(
    "fault", [faults.Status(500), faults.TooManyRequests(1), faults.Drop(), faults.LostAnswer()], ids=repr
)
def test_a_commit_that_fails_for_a_moment_is_made_once(user: HubServer, package: Package, fault: faults.Fault) -> None:
    user.misbehave(COMMIT, fault, times=1)
    assert send(package).commit == user.repo(NAME).head().id
    assert len(user.repo(NAME).history()) == 2


@pytest.mark.parametrize("values", [{"commitUrl": None}, {"commitUrl": "\x1b[31m"}, {"commitUrl": {}}])
def test_a_commit_whose_answer_is_odd_is_found_by_its_files(
    user: HubServer, package: Package, values: dict[str, object]
) -> None:
    user.misbehave(COMMIT, faults.Changed(values), times=None)
    pushed = send(package)
    assert pushed.commit == user.repo(NAME).head().id
    assert pushed.url == f"{user.url}/{NAME}/commit/{pushed.commit}"
    assert len(user.repo(NAME).history()) == 2


def test_a_commit_is_found_although_the_listing_lagged_behind_its_lost_answer(
    user: HubServer, package: Package
) -> None:
    user.add_repo(NAME, {})
    user.misbehave(COMMIT, faults.LostAnswer())
    looked: list[int] = []

    class Lag(faults.Fault):
        def change(self, request: faults.Request, reply: faults.Reply) -> faults.Reply | None:
            looked.append(1)
            return faults.Reply(404) if len(looked) == 2 else None  # first before the commit, then after it

    class OldFiles(faults.Fault):
        def change(self, request: faults.Request, reply: faults.Reply) -> faults.Reply:
            rows = [{**row, "oid": None} for row in json.loads(reply.body)["files"]]
            return replace(reply, body=json.dumps({"files": rows}).encode())

    user.misbehave("GET /api/models/*", Lag(), times=None)
    user.misbehave(PREUPLOAD, OldFiles(), times=None)
    assert send(package).commit == user.repo(NAME).head().id
    assert len(user.requested(COMMIT)) == 2
    assert len(user.repo(NAME).history()) == 3


def test_a_new_repository_that_is_not_found_at_once_is_asked_for_again(user: HubServer, package: Package) -> None:
    user.misbehave(f"GET /api/models/{NAME}", faults.Status(404, {"X-Error-Code": "RepoNotFound"}))
    assert send(package).commit == user.repo(NAME).head().id


def test_a_new_repository_that_is_never_found_is_said_so(user: HubServer, package: Package) -> None:
    user.misbehave(f"GET /api/models/{NAME}", faults.Status(404, {"X-Error-Code": "RepoNotFound"}), times=None)
    with pytest.raises(HubError, match=f"the Hub created {NAME}, but does not find it"):
        send(package)
    assert files_of(user) == {".gitattributes"}


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b"{}", b"[" * 100_000])
@pytest.mark.parametrize("pattern", [CREATE, "GET /api/models/*", PREUPLOAD, BATCH])
def test_json_of_another_form_is_not_a_hubs(user: HubServer, package: Package, pattern: str, body: bytes) -> None:
    user.misbehave(pattern, faults.Content(body))
    with pytest.raises(HubError, match="does not answer as a Hub does"):
        send(package)


def test_a_token_with_odd_letters_is_said_to_have_them(
    user: HubServer, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_sécret")
    with pytest.raises(HubError, match="token holds letters"):
        send(package)


@pytest.mark.parametrize("pattern", [CREATE, "GET /api/models/*", COMMIT])
def test_a_login_page_is_said_to_be_one(user: HubServer, package: Package, pattern: str) -> None:
    user.misbehave(pattern, faults.html_page(), times=None)
    with pytest.raises(HubError, match="login page"):
        send(package)


def test_what_fails_after_the_commit_says_where_the_commit_is(user: HubServer, package: Package) -> None:
    user.misbehave("POST */tag/*", faults.Status(403), times=None)
    with pytest.raises(HubError) as caught:
        send(package, tag="v1")
    assert f"The commit was made, see {user.url}/{NAME}/commit/{user.repo(NAME).head().id}" in str(caught.value)


def test_an_upload_is_confirmed_elsewhere_without_our_token(user: HubServer, package: Package) -> None:
    user.misbehave(BATCH, faults.VerifyAt(f"{user.storage_url}/verify"), times=None)
    with pytest.raises(GanzooError):
        send(package)
    assert user.requested("POST /verify")
    assert user.leaks() == []


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize("pattern", [CREATE, "GET /api/models/*", PREUPLOAD, BATCH, UPLOAD, COMMIT])
def test_an_answer_that_the_client_reads_itself_has_a_longest_size(
    user: HubServer, package: Package, monkeypatch: pytest.MonkeyPatch, pattern: str, status: int
) -> None:
    monkeypatch.setattr(client, "MAX_JSON_BYTES", 100_000)
    user.misbehave(pattern, faults.Status(status, body=b'"' + b"x" * 200_000 + b'"'), times=None)
    with pytest.raises(HubError, match="more than 100,000 bytes"):
        send(package)


def test_a_compressed_answer_is_not_unpacked(user: HubServer, package: Package) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    user.misbehave(CREATE, faults.Status(200, {"Content-Encoding": "gzip"}, bomb), times=None)
    with pytest.raises(HubError, match="does not answer as a Hub does"):
        send(package)


def test_a_session_that_the_client_opens_again_does_not_send_our_token_elsewhere(user: HubServer) -> None:
    client.hub_api("hf_secret")
    huggingface_hub.close_session()  # as the client does after a failed connection
    headers = {"Authorization": "Bearer hf_secret", "User-Agent": "ganzoo/1"}
    with HubServer() as other:
        huggingface_hub.get_session().get(f"{other.url}/api/models/a/b", headers=headers)
        assert [request.authorized for request in other.requests] == [False]


def test_metrics_of_other_weights_are_not_published(folder: Path) -> None:
    evaluation = {
        "deviation": None,
        "weights_sha256": "0" * 64,
        "metrics": [{"name": "fid", "value": 0.01, "std": 0, "protocol": "p"}],
    }
    (folder / "evaluations").mkdir()
    (folder / "evaluations" / "p.json").write_text(json.dumps(evaluation))
    assert b"fid" not in prepare(folder, NAME, license="mit").files["README.md"]


@pytest.mark.parametrize("content", ["{}", "[", "3"])
def test_a_training_record_of_nonsense_is_refused(folder: Path, content: str) -> None:
    (folder / "training.json").write_text(content)
    with pytest.raises(WeightsFormatError, match="is not a training record"):
        prepare(folder, NAME, license="mit")


@pytest.mark.parametrize("license", ["no such\nlicence: 1", "", " ", "a b"])
def test_a_licence_is_an_identifier(folder: Path, license: str) -> None:
    with pytest.raises(UsageError, match="licence"):
        prepare(folder, NAME, license=license)


@pytest.mark.parametrize("name", ["quadratic-relativistic", "mnist-cgan"])
def test_the_oldest_weights_are_trained_again_with_the_schedules_of_today(name: str) -> None:
    (folder,) = Path(__file__).parents[2].glob(f"plugins/*/weights/{name}-v1")
    settings = json.loads((folder / "training.json").read_text())["settings"]
    assert "kind" not in settings["recipe"]["optimizers"]["generator"]
    assert "optimizers" not in retraining_command(settings)


def test_the_card_retrains_with_every_changed_setting(ganzoo: Ganzoo, tmp_path: Path) -> None:
    ganzoo("train", "quadratic-mlp", "--steps", "3", "--seed", "1", "--out", "run", "--set", "regularizers.r1=0.5")
    card = prepare(tmp_path / "cwd" / "run", NAME, license="mit").files["README.md"].decode()
    assert "$ ganzoo train quadratic-mlp --seed 1" in card
    assert "--set steps=3" in card
    assert "--set regularizers.r1=0.5" in card


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (
            "quadratic-mlp",
            [
                "architecture=dcgan",
                'config={"base_channels": 8}',
                "dataset=mnist",
                "latent.dim=8",
                "batch_size=16",
            ],
        ),
        ("cifar10-wgan-gp", ["regularizers={}", "steps=7", "optimizers.generator.learning_rate=0.001"]),
        ("cifar10-wgan-gp", ["optimizers.generator.kind=adamw", "optimizers.generator.betas=[0.0, 0.9]"]),
        (
            "cifar10-sngan",
            [
                "optimizers.generator.learning_rate.kind=points",
                "optimizers.generator.learning_rate.points=[[0, 1e-3], [9, 0]]",
                "regularizers.r1.every=16",
                "regularizers.r1.weight=1",
            ],
        ),
    ],
    ids=["another architecture", "no regularizer", "another optimizer", "another schedule"],
)
def test_the_command_of_the_card_gives_the_same_settings(recipe: str, options: list[str]) -> None:
    settings = resolve(recipes.get(recipe), [assignments_layer(options)], seed=3)
    words = shlex.split(retraining_command(settings.to_json()))
    assert words[:5] == ["ganzoo", "train", recipe, "--seed", "3"]
    assert set(words[5::2]) == {"--set"}
    assert resolve(recipes.get(recipe), [assignments_layer(words[6::2])], seed=3) == settings


def test_the_command_of_the_card_is_quoted() -> None:
    name = "quadratic-mlp; rm -rf ~ #"
    command = retraining_command({"recipe": {"name": name}, "seed": 3, "precision": "fp32"})
    assert shlex.split(command) == ["ganzoo", "train", name, "--seed", "3"]


def test_a_model_a_folder_and_a_name_are_pushed_from_python(user: HubServer, folder: Path) -> None:
    for source, name, license in (
        (make_gan(), "you/a", "mit"),
        (folder, "you/b", "mit"),
        ("quadratic-mlp", "you/c", None),
    ):
        pushed = ganzoo.push(source, name, license=license, tag="v1")
        assert user.repo(name).tags == {"v1": pushed.commit}
    assert torch.equal(ganzoo.load("hf:you/a").sample(3, seed=0), ganzoo.load("hf:you/b").sample(3, seed=0))
    with pytest.raises(UsageError, match="already on the Hub"):
        ganzoo.push("hf:you/a", "you/d", license="mit")


def test_a_second_push_changes_the_repository_and_keeps_its_history(user: HubServer, package: Package) -> None:
    first = send(package)
    second = send(Package(NAME, package.gan, {**package.files, "README.md": package.files["README.md"] + b"\nMore.\n"}))
    assert second.commit != first.commit
    assert pull(f"{REFERENCE}@{first.commit}").reference.endswith(first.commit)


def test_private_repositories_are_private(user: HubServer, package: Package) -> None:
    send(package, private=True)
    assert user.repo(NAME).private


def test_a_pull_request_leaves_main_alone(user: HubServer, package: Package) -> None:
    send(package)
    before = user.repo(NAME).head().id
    changed = Package(NAME, package.gan, {**package.files, "README.md": package.files["README.md"] + b"\nMore.\n"})
    send(changed, create_pr=True)
    assert user.repo(NAME).head().id == before
    assert len(user.repo(NAME).pull_requests) == 1


# --- what goes wrong ---


def test_without_a_token_one_line_says_so(server: HubServer, package: Package) -> None:
    with pytest.raises(GanzooError) as caught:
        send(package)
    assert "hf auth login" in caught.value.hint
    assert server.repositories == {}


def test_somebody_elses_namespace_is_refused(user: HubServer, folder: Path) -> None:
    with pytest.raises(HubError, match="does not let you"):
        send(prepare(folder, "other/gan", license="mit"))


def test_offline_pushes_nothing(user: HubServer, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        send(package)
    assert user.requests == []


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        *(
            (pattern, faults.Status(status))
            for pattern in (CREATE, PREUPLOAD, BATCH, UPLOAD, COMMIT)
            for status in (400, 403)
        ),
        *((pattern, faults.Drop()) for pattern in (CREATE, COMMIT)),  # elsewhere the client tries for 23 s
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_a_push_that_fails_anywhere_leaves_the_repository_as_it_was(
    user: HubServer, package: Package, contents: dict[str, bytes], pattern: str, fault: faults.Fault
) -> None:
    if pattern != CREATE:
        user.add_repo(NAME, {"config.json": b"before", "model.safetensors": b"before"})
    before = {name: repository.head().id for name, repository in user.repositories.items()}
    user.misbehave(pattern, fault, times=None)
    with pytest.raises(GanzooError) as caught:
        send(package)
    assert caught.value.hint
    assert {name: repository.head().id for name, repository in user.repositories.items()} == before


@pytest.mark.slow
def test_a_push_killed_while_it_uploads_leaves_the_repository_as_it_was(user: HubServer, folder: Path) -> None:
    user.add_repo(NAME, {"config.json": b"before"})
    before = user.repo(NAME).head().id
    user.misbehave("PUT *", faults.Stall(), times=None)
    user.misbehave("POST *objects/batch", faults.Drip(20), times=None)
    command = [sys.executable, "-m", "ganzoo", "push", str(folder), NAME, "--license", "mit", "--yes"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not user.requested("POST *objects/batch"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert user.repo(NAME).head().id == before


def test_bytes_that_changed_on_the_way_are_noticed_afterwards(
    user: HubServer, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.misbehave("GET /objects/*", faults.FlippedByte(), times=None)
    monkeypatch.setattr("ganzoo.hub.client._pause", lambda *_: None)
    with pytest.raises(HubError, match=r"the Hub holds other bytes than were sent.*The commit was made"):
        send(package)


# --- the command ---


def test_a_dry_run_shows_every_file_and_the_card_and_sends_nothing(
    user: HubServer, ganzoo: Ganzoo, folder: Path
) -> None:
    result = ganzoo("push", folder, NAME, "--license", "mit", "--dry-run")
    assert result.returncode == 0, result.stderr
    for word in ("model.safetensors", "samples.png", "library_name: ganzoo", REFERENCE):
        assert word in result.stdout
    assert user.requests == []


def test_publishing_asks_and_without_a_terminal_refuses(user: HubServer, ganzoo: Ganzoo, folder: Path) -> None:
    assert_two_lines(ganzoo("push", folder, NAME, "--license", "mit"), 2, "for everyone to see", "--yes")
    assert user.repositories == {}
    private = ganzoo("push", folder, NAME, "--license", "mit", "--private", "--json")
    assert private.returncode == 0, private.stderr
    (result,) = json.loads(private.stdout)["repositories"]
    assert result["commit"] == user.repo(NAME).head().id


@pytest.mark.parametrize(
    "arguments",
    [
        ["./x", "no-slash"],
        ["hf:a/b", "you/x"],
        ["./nothing", "you/x"],
    ],
)
def test_wrong_arguments_are_two_lines(ganzoo: Ganzoo, arguments: list[str]) -> None:
    result = ganzoo("push", *arguments, "--license", "mit", "--yes")
    assert_two_lines(result, result.returncode)
    assert result.returncode in (1, 2)


@pytest.mark.slow
def test_the_whole_zoo_is_published_and_pinned(user: HubServer, tmp_path: Path) -> None:
    manifest = tmp_path / "weights_manifest.json"
    shutil.copy(ROOT / "weights_manifest.json", manifest)
    approve: Callable[[list[Package]], bool] = lambda packages: True  # noqa: E731
    pushed = publish_zoo("zoo", manifest, private=False, approve=approve)
    entries = {entry.name: entry for entry in read_manifest(manifest)}
    assert {one.repo_id for one in pushed} == {f"zoo/{name}" for name in entries}
    for name, entry in entries.items():
        assert entry.repo_id == f"zoo/{name}"
        assert entry.revision == user.repo(f"zoo/{name}").tags[entry.version]
        pulled = ganzoo.load(f"hf:{entry.repo_id}@{entry.version}")
        assert torch.equal(pulled.sample(8, seed=0), ganzoo.load(name).sample(8, seed=0))
        assert pulled.weights_sha256 == entry.file("generator").sha256
    with pytest.raises(GanzooError, match="already published"):
        publish_zoo("zoo", manifest, private=False, approve=approve)


# --- finding ---


def test_a_strangers_card_breaks_no_search(user: HubServer, ganzoo: Ganzoo) -> None:
    rows = [
        b'datasets: ["a\\e]0;owned\\a", "2"]',
        b"datasets: 5",
        b"model-index: 5",
        b"model-index: [{results: [{metrics: [3, {name: {a: b}, value: [1]}]}, 4]}, 5]",
    ]
    for number, row in enumerate(rows):
        card = b"---\nlibrary_name: ganzoo\ntags: [ganzoo]\n" + row + b"\n---\n"
        user.add_repo(f"you/strange-{number}", {"README.md": card})
    listed = ganzoo("list", "--hub")
    assert listed.returncode == 0, listed.stderr
    assert all(f"you/strange-{number}" in listed.stdout for number in range(len(rows)))
    assert "\x1b" not in listed.stdout + listed.stderr


def test_search_finds_ganzoo_repositories_with_their_metrics(user: HubServer, ganzoo: Ganzoo) -> None:
    send(prepare("quadratic-mlp", "zoo/quadratic-mlp"))
    user.add_repo("you/other", {"README.md": b"---\nlibrary_name: diffusers\n---\n"})
    (found,) = search("quadratic")
    assert found.repo_id == "zoo/quadratic-mlp"
    assert any("curve-w1" in metric for metric in found.metrics)
    assert search("nothing") == []
    listed = ganzoo("list", "--hub")
    assert "hf:zoo/quadratic-mlp" in listed.stdout
    assert "you/other" not in listed.stdout


def test_the_three_forms_of_loading_agree(user: HubServer, package: Package, folder: Path) -> None:
    send(package)
    torch_hub = torch.hub.load(str(ROOT), "quadratic_mlp", source="local")
    assert torch.equal(torch_hub.sample(5, seed=0), ganzoo.load("quadratic-mlp").sample(5, seed=0))
    by_folder, by_hub = ganzoo.load(folder), ganzoo.load(REFERENCE)
    assert torch.equal(by_folder.sample(5, seed=0), by_hub.sample(5, seed=0))
    assert verify(REFERENCE)


# --- signatures ---


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public half."""
    return make_keys(tmp_path / "key")


def test_a_signed_push_verifies_with_its_key_and_no_other(
    user: HubServer, ganzoo: Ganzoo, folder: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    options = ["--license", "mit", "--yes", "--sign", keys[0]]
    result = ganzoo("push", folder, NAME, *options)
    assert result.returncode == 0, result.stderr
    good = ganzoo("verify", REFERENCE, "--key", keys[1])
    assert good.returncode == 0, good.stderr
    assert "signed by the owner" in good.stderr
    _, stranger = make_keys(tmp_path / "stranger")
    assert_two_lines(ganzoo("verify", REFERENCE, "--key", stranger), 1, "is not what the owner of")
    assert_two_lines(ganzoo("verify", REFERENCE, "--key", keys[0].with_name("none")), 2, "is not a public key")


def make_keys(stem: Path) -> tuple[Path, Path]:
    """Write a fresh pair of keys; return the private and the public one."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    paths = stem.with_suffix(".pem"), stem.with_suffix(".pub")
    paths[0].write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    paths[1].write_bytes(private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return paths


def test_what_is_not_signed_is_said_so(user: HubServer, ganzoo: Ganzoo, folder: Path, keys: tuple[Path, Path]) -> None:
    assert_two_lines(ganzoo("verify", folder, "--key", keys[1]), 1, "is not signed")


def test_a_repository_changed_after_signing_is_noticed(user: HubServer, folder: Path, keys: tuple[Path, Path]) -> None:
    send(prepare(folder, NAME, license="mit", sign_with=keys[0]))
    assert verify(REFERENCE, key=keys[1])
    user.commit(NAME, {"README.md": b"# changed by somebody else"})
    pull(REFERENCE, force=True)
    with pytest.raises(GanzooError, match="is not what the owner"):
        verify(REFERENCE, key=keys[1])


def test_imported_weights_say_where_they_are_from(tmp_path: Path) -> None:
    gan = make_gan()
    torch.save({"netG": gan.generator.state_dict()}, tmp_path / "theirs.pth")
    source = "https://example.org/theirs\n# <b>`not` [a](heading)"
    imported = import_weights(tmp_path / "theirs.pth", gan.config, source=source, license="apache-2.0")
    theirs = ganzoo.GAN(imported.generator, imported.config).save(tmp_path / "theirs")
    package = prepare(theirs, NAME)
    card = package.files["README.md"].decode()
    digest = hashlib.sha256((tmp_path / "theirs.pth").read_bytes()).hexdigest()
    assert ModelCard(card).data.license == "apache-2.0"
    assert f"sha256 is `{digest}`" in card
    assert "\n# <b>" not in card
    assert "https://example.org/theirs # b" in card
    unknown = import_weights(tmp_path / "theirs.pth", gan.config)
    ganzoo.GAN(unknown.generator, unknown.config).save(tmp_path / "unknown")
    with pytest.raises(UsageError, match="no licence is stated"):
        prepare(tmp_path / "unknown", NAME)
    assert "which states no licence" in prepare(tmp_path / "unknown", NAME, license="mit").files["README.md"].decode()
