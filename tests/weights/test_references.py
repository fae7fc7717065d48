from __future__ import annotations

from pathlib import Path

import pytest

from ganzoo.errors import BadReferenceError
from ganzoo.weights.references import FolderReference, HubReference, ZooReference, parse_reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mnist-mlp", ZooReference("mnist-mlp")),
        ("mnist-mlp@v1", ZooReference("mnist-mlp", "v1")),
        ("hf:you/my-gan", HubReference("you", "my-gan")),
        ("hf://you/my-gan", HubReference("you", "my-gan")),
        ("hf:you/My_Gan.2@refs/pr/1", HubReference("you", "My_Gan.2", "refs/pr/1")),
        ("./mnist-mlp", FolderReference(Path("mnist-mlp"))),
        ("runs/a@b", FolderReference(Path("runs/a@b"))),
        ("/tmp/x", FolderReference(Path("/tmp/x"))),
    ],
)
def test_references_are_told_apart(text: str, expected: object) -> None:
    assert parse_reference(text) == expected


def test_a_path_object_is_a_folder_whatever_its_name() -> None:
    assert parse_reference(Path("mnist-mlp")) == FolderReference(Path("mnist-mlp"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mnist",
        "mnist mlp",
        "mnist@",
        "@v1",
        "-x",
        "hf:",
        "hf:you",
        "hf:you/",
        "hf:a/b/c",
        "hf:../b",
        "hf:a/b@",
        "hf:a/b@../c",
        "hf:a/é",
        "hf:a--b/c",
        "~nosuchuser/x",
        "x" * 100_000,
        "hf:" + "x" * 100_000,
    ],
)
def test_what_names_no_weights_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(BadReferenceError) as caught:
        parse_reference(text)
    assert caught.value.hint
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["mnist-mlp", "mnist-mlp@v1", "hf:you/gan", "hf:you/gan@main"])
def test_a_reference_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_reference(text)) == text
