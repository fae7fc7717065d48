"""What users and scripts write where weights are named."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.case import Case, Make, write
from tests.hostile.tensors import ESCAPES, sound


def shown(reference: str) -> Make:
    return lambda folder: ["show", "--", reference]


def verified(reference: str) -> Make:
    return lambda folder: ["verify", "--", reference]


def folder_named(name: str) -> Make:
    """A sound folder whose own name is the difficulty."""

    def make(folder: Path) -> list[str]:
        write(folder, {path.replace("gan/", f"{name}/"): content for path, content in sound().items()})
        return ["verify", f"./{name}"]

    return make


LONG = 100_000

CASES = [
    Case("sound", verified("quadratic-mlp"), "accepted", "model.safetensors"),
    Case("sound-version", shown("quadratic-mlp@v1"), "accepted", "quadratic-mlp@v1"),
    Case("folder-with-spaces", folder_named("a b  c"), "accepted", "a b  c"),
    Case("folder-with-escapes", folder_named(ESCAPES.replace("/", "")), "accepted"),
    Case("folder-with-a-line-break", folder_named("a\nError: b"), "accepted"),
    Case("folder-named-like-a-hub", folder_named("hf:a"), "accepted"),
    *(
        Case(name, (shown if name.startswith("hub") else verified)(text))
        for name, text in {
            "empty": "",
            "blank": " ",
            "dots": "...",
            "at": "@",
            "version-alone": "@v1",
            "no-version": "quadratic-mlp@",
            "two-versions": "quadratic-mlp@v1@v1",
            "upper-case": "Quadratic-MLP",
            "unicode": "quadratic-mlp\u0301",
            "escapes": ESCAPES,
            "escapes-in-a-path": f"./{ESCAPES}",
            "line-breaks": "a\nError: b\nHint: c",
            "long": "a" * LONG,
            "long-path": "./" + "a" * LONG,
            "deep-path": "a/" * (LONG // 2),
            "upwards": "../../../../etc/passwd",
            "device": "/dev/zero",
            "root": "/",
            "unknown-user": "~nosuchuser/weights",
            "surrogates": "a\udc80b",
            "hub-alone": "hf:",
            "hub-one-part": "hf:owner",
            "hub-three-parts": "hf:a/b/c",
            "hub-upwards": "hf:../../etc",
            "hub-dashes": "hf:a--b/c",
            "hub-escapes": f"hf:{ESCAPES}/b",
            "hub-long": "hf:" + "a" * LONG + "/b",
            "hub-upward-revision": "hf:a/b@../../main",
            "hub-empty-revision": "hf:a/b@",
            "hub-revision-with-a-blank": "hf:a/b@x y",
            "hub-address": "hf:https://huggingface.co/a/b",
            "address": "https://huggingface.co/a/b",
            "option": "--help-me",
        }.items()
    ),
]
