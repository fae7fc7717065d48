"""Manifests of installed packages: data of strangers, which every command reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.case import Case, Make, damaged, numbered, write
from tests.hostile.tensors import ESCAPES

MANIFEST = "site/theirs/weights_manifest.json"
LIST = ["list", "[qt]*"]
"""A part of the list takes less time to print than all of it; ours (quadratic) and theirs are in it."""
OURS = Path(__file__).parents[2] / "weights_manifest.json"


def entry(**values: object) -> dict[str, Any]:
    """A sound entry under a name of its own, with other values."""
    record: dict[str, Any] = json.loads(OURS.read_text())["entries"][0]
    return {**record, "name": "theirs", "repo_id": "a/b", "revision": "0" * 40, "bundled": None, **values}


def file(**values: object) -> dict[str, Any]:
    files = entry()["files"]
    return entry(files=[{**files[0], **values}, *files[1:]])


def metric(**values: object) -> dict[str, Any]:
    return entry(metrics=[{"name": "m", "protocol": "p", "value": 1.0, "std": 0.1, "tolerance": 0.1, **values}])


def install(folder: Path, content: bytes, package: str = "theirs") -> None:
    write(
        folder,
        {
            MANIFEST: content,
            "site/theirs/__init__.py": b"open('owned', 'w')\n",
            "site/theirs-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n",
            "site/theirs-1.0.dist-info/entry_points.txt": f"[ganzoo.weights]\ntheirs = {package}\n".encode(),
        },
    )


def listed(content: bytes | Callable[[], bytes], *command: str) -> Make:
    """List all weights, a stranger's package among those installed."""

    def make(folder: Path) -> list[str]:
        install(folder, content if isinstance(content, bytes) else content())
        return list(command or LIST)

    return make


def holding(*records: Any, command: tuple[str, ...] = ()) -> Make:
    return listed(json.dumps({"schema": 1, "entries": list(records)}).encode(), *command)


def special(place: Callable[[Path], object]) -> Make:
    def make(folder: Path) -> list[str]:
        install(folder, b"")
        (folder / MANIFEST).unlink()
        place(folder / MANIFEST)
        return LIST

    return make


def pointing_to(package: str) -> Make:
    return lambda folder: (install(folder, b"{}", package), LIST)[1]


DEEP = b"[" * 100_000
NOT_ONE, BREAKS = "not a weights manifest", "breaks the rules"


def reported(name: str, make: Make, word: str = BREAKS) -> Case:
    return Case(name, make, "reported", word)


CASES = [
    Case("sound", holding(entry()), "accepted", "theirs@"),
    Case("sound-shown", holding(entry(), command=("show", "theirs")), "accepted", "theirs@"),
    Case("no-entries", holding(), "accepted", "quadratic-mlp@v1"),
    # --- the file ---
    reported("empty", listed(b""), NOT_ONE),
    reported("not-json", listed(b"{"), NOT_ONE),
    reported("list", listed(b"[]"), NOT_ONE),
    reported("null", listed(b"null"), NOT_ONE),
    reported("deep", listed(DEEP), NOT_ONE),
    reported("not-utf-8", listed(b'{"schema": 1, "entries": ["\xff"]}'), NOT_ONE),
    reported("utf-16", listed('{"schema": 1}'.encode("utf-16")), NOT_ONE),
    reported("number-of-5000-digits", listed(b'{"schema":' + b"9" * 5000 + b"}"), NOT_ONE),
    reported("no-schema", listed(b'{"entries": []}'), NOT_ONE),
    reported("schema-text", listed(b'{"schema": "1", "entries": []}'), NOT_ONE),
    reported("schema-null", listed(b'{"schema": null, "entries": []}'), NOT_ONE),
    reported("schema-newer", listed(b'{"schema": 2, "entries": []}'), "schema 2"),
    reported("schema-of-4000-digits", listed(b'{"schema": ' + b"9" * 4000 + b', "entries": []}'), "schema 9"),
    reported("entries-a-number", listed(b'{"schema": 1, "entries": 5}'), NOT_ONE),
    reported("entries-a-table", listed(b'{"schema": 1, "entries": {"a": 1}}')),
    reported("entries-text", listed(b'{"schema": 1, "entries": "abc"}')),
    reported(
        "20000-entries", listed(lambda: b'{"schema": 1, "entries": [{}' + b", {}" * 20_000 + b"]}"), "20,001 entries"
    ),
    reported("9-MB", listed(lambda: b'{"schema": 1, "entries": []}'.ljust(9 << 20)), NOT_ONE),
    reported("sparse-8-GB", special(lambda path: (path.touch(), os.truncate(path, 8 << 30))), NOT_ONE),
    reported("fifo", special(os.mkfifo), "has no weights_manifest"),
    reported("folder", special(Path.mkdir), "has no weights_manifest"),
    reported("link-to-dev-zero", special(lambda path: path.symlink_to("/dev/zero")), "has no weights_manifest"),
    reported("package-a-path", pointing_to("../../etc"), "has no weights_manifest"),
    reported("package-unknown", pointing_to("nosuch"), "has no weights_manifest"),
    reported("package-dotted", pointing_to("theirs.sub"), "has no weights_manifest"),
    # --- entries ---
    *(
        reported(f"entry-{name}", holding(record))
        for name, record in {
            "null": None,
            "a-number": 5,
            "a-list": [],
            "empty": {},
            "unknown-key": entry(code="import os"),
            "escapes-as-key": entry(**{ESCAPES: 1}),
            "name-a-path": entry(name="../x"),
            "name-escapes": entry(name=ESCAPES),
            "name-long": entry(name="n" * 100_000),
            "name-upper-case": entry(name="Theirs"),
            "name-null": entry(name=None),
            "version-a-path": entry(version="../../v1"),
            "version-a-number": entry(version=1),
            "default-text": entry(default="yes"),
            "repository-a-path": entry(repo_id="x/../../../../tmp/x"),
            "repository-absolute": entry(repo_id="/etc/passwd"),
            "repository-with-nul": entry(repo_id="a/b\0"),
            "repository-a-number": entry(repo_id=5),
            "repository-one-part": entry(repo_id="a"),
            "repository-with-a-revision": entry(repo_id="a/b@main"),
            "repository-prefixed": entry(repo_id="hf:a/b"),
            "repository-escapes": entry(repo_id=f"a/{ESCAPES}"),
            "revision-a-branch": entry(revision="main"),
            "revision-a-path": entry(revision="../" * 13 + "x"),
            "revision-short": entry(revision="0" * 39),
            "revision-upper-case": entry(revision="A" * 40),
            "revision-with-a-line-break": entry(revision="0" * 40 + "\n"),
            "bundled-a-path": entry(bundled="theirs:../../outside"),
            "bundled-absolute": entry(bundled="theirs:/etc"),
            "bundled-a-number": entry(bundled=5),
            "bundled-dotted": entry(bundled="os.path:x"),
            "minimum-not-a-version": entry(min_ganzoo="1.0; touch owned"),
            "minimum-of-5000-digits": entry(min_ganzoo="9" * 5000),
            "files-null": entry(files=None),
            "files-empty": entry(files=[]),
            "files-a-number": entry(files=[5]),
            "files-twice": entry(files=entry()["files"] * 2),
            "file-a-path": file(path="../../etc/passwd"),
            "file-absolute": file(path="/etc/passwd"),
            "file-a-backslash": file(path="..\\x"),
            "file-hidden": file(path=".git/config"),
            "file-a-pickle": file(path="pytorch_model.bin"),
            "file-long": file(path="p" * 100_000),
            "file-of-another-role": file(role="signature"),
            "file-digest-a-path": file(sha256="../" * 21 + "x"),
            "file-digest-short": file(sha256="abc"),
            "file-size-negative": file(size=-1),
            "file-size-true": file(size=True),
            "file-size-text": file(size="10"),
            "file-size-nan": file(size=float("nan")),
            "file-size-a-fraction": file(size=0.5),
            "file-unknown-key": file(url="http://x"),
            "sample-empty": entry(sample={}),
            "sample-shape-text": entry(sample={"kind": "image", "shape": "1"}),
            "latent-text": entry(latent="normal"),
            "latent-dimension-text": entry(latent={"dim": "3", "distribution": "normal"}),
            "parameters-empty": entry(parameters={}),
            "parameters-text": entry(parameters={"generator": "1", "discriminator": "1"}),
            "parameters-of-4000-digits": entry(parameters={"generator": 10**4000, "discriminator": 1}),
            "training-a-list": entry(training=[]),
            "training-seconds-infinite": entry(training={"steps": 1, "seconds": float("inf"), "device": "cpu"}),
            "metrics-a-number": entry(metrics=5),
            "metrics-of-numbers": entry(metrics=[3]),
            "metric-value-text": metric(value="good"),
            "metric-value-nan": metric(value=float("nan")),
            "metric-value-of-4000-digits": metric(value=10**4000),
            "metric-std-true": metric(std=True),
            "metric-name-null": metric(name=None),
            "license-null": entry(license=None),
        }.items()
    ),
    Case(
        "refused-where-it-is-asked-for", holding(entry(revision="main"), command=("show", "theirs")), word="no weights"
    ),
    Case("of-a-newer-ganzoo", holding(entry(min_ganzoo="99.0"), command=("verify", "theirs")), word="needs ganzoo 99"),
    Case(
        "a-bundled-name",
        holding(entry(name="quadratic-mlp", version="v1"), command=("verify", "quadratic-mlp")),
        "accepted",
        "model.safetensors",
    ),
    Case(
        "bundled-in-no-package",
        holding(entry(bundled="nosuch:x", repo_id=None), command=("verify", "theirs")),
        word="neither in the store",
    ),
    Case(
        "metric-with-escapes",
        holding(metric(name=ESCAPES, protocol=ESCAPES), command=("show", "theirs")),
        "accepted",
        "theirs@",
    ),
    Case("texts-with-escapes", holding(entry(license=ESCAPES, recipe=ESCAPES, dataset=ESCAPES)), "accepted", "theirs@"),
    Case("texts-of-100000-letters", holding(entry(dataset="d" * 100_000)), "accepted", "theirs@"),
    Case(
        "config-nan-as-json", holding(entry(config={"a": float("nan")}), command=("show", "theirs", "--json")), "either"
    ),
    Case(
        "config-deep",
        listed(
            lambda: (
                json.dumps({"schema": 1, "entries": [entry(config={"a": 1})]})
                .encode()
                .replace(b'{"a": 1}', b'{"a":' * 300 + b"1" + b"}" * 300)
            ),
            "show",
            "theirs",
        ),
        "either",
    ),
    *numbered(
        "damaged",
        4,
        lambda seed: Case(
            "",
            listed(lambda: damaged(json.dumps({"schema": 1, "entries": [entry()]}).encode(), seed), "verify", "theirs"),
        ),
    ),
]
