"""Weights folders whose JSON files are broken: config.json, training.json and saved evaluations."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganzoo.weights.tensors import deserialize, serialize
from tests.hostile.case import Case, Make, damaged, numbered, write
from tests.hostile.tensors import CONFIG, ESCAPES, MODEL, sound

TRAINING = "gan/training.json"


def folder_with(config: bytes) -> dict[str, bytes]:
    """The files of a model with another config.json, whose digest is that in model.safetensors."""
    tensors, metadata = deserialize(sound()[MODEL], "sound")
    digest = hashlib.sha256(config).hexdigest()
    return {MODEL: serialize(tensors, {**metadata, "ganzoo.config_sha256": digest}), CONFIG: config}


def config(content: bytes | Callable[[], bytes], *command: str) -> Make:
    def make(folder: Path) -> list[str]:
        write(folder, folder_with(content if isinstance(content, bytes) else content()))
        return list(command or ("verify", "./gan"))

    return make


def edited(edit: Callable[[dict[str, Any]], object], *command: str) -> Make:
    def content() -> bytes:
        document = json.loads(sound()[CONFIG])
        edit(document)
        return json.dumps(document).encode()

    return config(content, *command)


def having(**values: object) -> Make:
    """The sound config with other values; a double underscore leads into a table."""

    def edit(document: dict[str, Any]) -> None:
        for path, value in values.items():
            *tables, name = path.split("__")
            table = document
            for part in tables:
                table = table[part]
            table[name] = value

    return edited(edit)


def lacking(name: str) -> Make:
    return edited(lambda document: document.pop(name))


def show(content: bytes, name: str = CONFIG) -> Make:
    """Show a folder: nothing but JSON is checked, because a newer version may have written it."""

    def make(folder: Path) -> list[str]:
        write(folder, {**sound(), name: content})
        return ["show", "./gan"]

    return make


def show_json(content: bytes) -> Make:
    """The same as JSON, which cannot say NaN."""
    make = show(content)
    return lambda folder: [*make(folder), "--json"]


def training(content: bytes, *command: str) -> Make:
    def make(folder: Path) -> list[str]:
        write(folder, {**sound(), TRAINING: content})
        return list(command or ("verify", "./gan"))

    return make


RECORD = {
    **dict.fromkeys(("steps", "batch_size", "seed"), 1),
    "device": "cpu",
    "seconds": 1.5,
    "ganzoo": "0.1.0",
    "torch": "2.6",
    "settings": {"recipe": {"name": "mnist-mlp"}, "seed": 0, "precision": "fp32"},
}


def card(**values: object) -> Make:
    """Show the card that a push would write of a training record."""
    content = json.dumps({**RECORD, **values}).encode()
    return training(content, "push", "./gan", "you/gan", "--license", "mit", "--dry-run")


def evaluation(content: bytes | Callable[[Path], object]) -> Make:
    """A push reads the evaluations beside weights; a broken one is not one, and the push goes on without it."""

    def make(folder: Path) -> list[str]:
        path = folder / "gan/evaluations/p.json"
        write(folder, sound())
        path.parent.mkdir()
        if isinstance(content, bytes):
            digest = hashlib.sha256(sound()[MODEL]).hexdigest()
            path.write_bytes(content.replace(b"DIGEST", digest.encode()))
        else:
            content(path)
        return ["push", "./gan", "you/gan", "--license", "mit", "--dry-run"]

    return make


def measured(**values: object) -> bytes:
    metric = {"name": "fd-lenet", "value": 1.5, "std": 0.1, "protocol": "p", **values}
    return json.dumps({"weights_sha256": "DIGEST", "deviation": None, "metrics": [metric]}).encode()


def fifo(name: str) -> Make:
    def make(folder: Path) -> list[str]:
        write(folder, sound())
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        return ["verify", "./gan"]

    return make


DEEP = b"[" * 100_000
DIGITS = b"9" * 5000

CASES = [
    Case("sound", config(lambda: sound()[CONFIG]), "accepted", "config.json"),
    Case("shown", show(sound()[CONFIG]), "accepted", "architecture"),
    Case("training-sound", training(json.dumps(RECORD).encode()), "accepted", "training.json"),
    Case("card-sound", card(), "accepted", "ganzoo train mnist-mlp"),
    # --- not the format ---
    Case("empty", config(b""), word="is empty"),
    Case("not-json", config(b"{nonsense"), word="not JSON"),
    Case("list", config(b"[]"), word="not a JSON object"),
    Case("null", config(b"null"), word="not a JSON object"),
    Case("utf-16", config(lambda: sound()[CONFIG].decode().encode("utf-16")), word="not JSON"),
    Case("byte-order-mark", config(lambda: b"\xef\xbb\xbf" + sound()[CONFIG]), word="not JSON"),
    Case("latin-1", config(b'{"recipe": "\xe9"}'), word="not JSON"),
    Case("nested-100000-deep", config(DEEP), word="not JSON"),
    Case("nested-tables", config(b'{"config":' * 50_000), word="not JSON"),
    Case("number-of-5000-digits", config(b'{"schema":' + DIGITS + b"}"), word="not JSON"),
    Case("name-twice", config(lambda: sound()[CONFIG].replace(b"{", b'{"recipe": "other",', 1)), word="twice"),
    Case("trailing-text", config(lambda: sound()[CONFIG] + b"{}"), word="not JSON"),
    Case("web-page", config(b"<!DOCTYPE html>"), word="not JSON"),
    Case("nul-bytes", config(bytes(500)), word="not JSON"),
    Case("2-MB", config(lambda: sound()[CONFIG] + b" " * (2 << 20)), word="too large"),
    Case(
        "another-digest",
        lambda folder: (write(folder, {**sound(), CONFIG: sound()[CONFIG] + b" "}), ["verify", "./gan"])[1],
        word="not the one",
    ),
    # --- fields ---
    *(
        Case(f"no-{name}", lacking(name), word="is missing")
        for name in ("recipe", "architecture", "config", "dataset", "latent", "sample")
    ),
    Case("newer-schema", having(schema=2), word="schema 2"),
    Case("schema-text", having(schema="1")),
    Case("schema-negative-infinity", having(schema=float("-inf"))),
    Case("unknown-field", having(code="import os"), word="no setting"),
    Case("unknown-field-with-escapes", edited(lambda document: document.update({ESCAPES: 1})), word="no setting"),
    Case("unknown-field-of-500000-letters", edited(lambda document: document.update({"n" * 500_000: 1}))),
    Case("unknown-architecture", having(architecture="no-such"), word="no architecture named"),
    Case("architecture-a-path", having(architecture="../../evil"), word="no architecture named"),
    Case("architecture-a-number", having(architecture=7)),
    Case("architecture-of-500000-letters", having(architecture="a" * 500_000), word="no architecture named"),
    Case("architecture-with-escapes", having(architecture=ESCAPES), word="no architecture named"),
    Case("recipe-a-table", having(recipe={"name": "x"})),
    Case("dataset-null", having(dataset=None)),
    # --- the generator ---
    Case("width-huge", having(config__generator_hidden=[1_000_000, 1_000_000])),
    Case("width-beyond-64-bits", having(config__generator_hidden=[1 << 70])),
    Case("width-zero", having(config__generator_hidden=[0])),
    Case("width-negative", having(config__generator_hidden=[-8])),
    Case("width-a-fraction", having(config__generator_hidden=[8.5])),
    Case("width-true", having(config__generator_hidden=[True])),
    Case("width-text", having(config__generator_hidden="8")),
    Case("100000-layers", having(config__generator_hidden=[1] * 100_000)),
    Case("config-a-list", having(config=[])),
    Case("config-unknown-key", having(config__code="x"), word="no setting"),
    Case("config-nan", having(config__negative_slope=float("nan"))),
    Case("config-too-large", having(config__generator_hidden=[9] * 10), word="does not fit"),
    Case("latent-zero", having(latent__dim=0)),
    Case("latent-huge", having(latent__dim=1 << 40)),
    Case("latent-text", having(latent__dim="3")),
    Case("latent-unknown-distribution", having(latent__distribution="cauchy")),
    Case("sample-unknown-kind", having(sample__kind="video")),
    Case("sample-empty-shape", having(sample__shape=[])),
    Case("sample-negative-shape", having(sample__shape=[1, -4, 4])),
    Case("sample-huge-shape", having(sample__shape=[1, 1 << 20, 1 << 20])),
    Case("sample-of-30-dimensions", having(sample__shape=[1] * 30)),
    Case("sample-a-million-classes", having(sample__classes=["c"] * 40_000)),
    Case("sample-classes-numbers", having(sample__classes=[1, 2])),
    Case("sample-classes-empty", having(sample__classes=[])),
    # --- places ---
    Case("fifo", fifo(CONFIG), word="(?i)not a regular file"),
    Case("training-fifo", fifo(TRAINING), "accepted", "model.safetensors"),
    # --- shown without being checked ---
    Case("show-deep", show(b'{"a":' * 20_000), word="not JSON"),
    Case("show-deep-but-complete", show(b'{"a":' * 2000 + b"1" + b"}" * 2000)),
    Case("show-number-of-5000-digits", show(b'{"a":' + DIGITS + b"}"), word="not JSON"),
    Case("show-not-utf-8", show(b'{"a":"\xff"}'), word="not JSON"),
    Case("show-escapes", show(json.dumps({ESCAPES: ESCAPES}).encode()), "accepted"),
    Case("show-surrogates", show(b'{"a":"\\ud800"}'), "accepted"),
    Case("show-json-nan", show_json(b'{"a": NaN, "b": [-Infinity]}'), "accepted", "null"),
    Case("show-a-list", show(b"[]"), word="not a JSON object"),
    # --- training.json ---
    Case("training-empty", training(b""), word="empty"),
    Case("training-not-json", training(b"{"), word="not a training record"),
    Case("training-list", training(b"[]"), word="not a training record"),
    Case("training-number", training(b"3"), word="not a training record"),
    Case("training-deep", training(DEEP), word="not a training record"),
    Case("training-without-seconds", training(b'{"steps":1}'), word="not a training record"),
    Case("training-name-twice", training(b'{"steps":1,"steps":2}'), word="not a training record"),
    Case("training-17-MB", training(b" " * (17 << 20)), word="too large"),
    # --- the card of a push ---
    Case("card-settings-a-list", card(settings=[])),
    Case("card-settings-null", card(settings=None)),
    Case("card-seconds-text", card(seconds="long")),
    Case("card-seconds-infinite", card(seconds=float("inf"))),
    Case("card-seconds-nan", card(seconds=float("nan"))),
    Case("card-steps-of-4000-digits", card(steps=10**4000)),
    Case("card-recipe-a-number", card(settings={**RECORD["settings"], "recipe": {"name": 5}})),
    Case("card-steps-a-table", card(steps={})),
    Case("card-seed-text", card(seed="0; touch owned")),
    Case("card-device-with-escapes", card(device=ESCAPES), "accepted"),
    Case(
        "card-recipe-is-a-command",
        card(settings={**RECORD["settings"], "recipe": {"name": "x; touch owned #"}}),
        "accepted",
        r"'x; touch owned #'",
    ),
    # --- evaluations ---
    Case("evaluation-sound", evaluation(measured()), "accepted", "fd-lenet"),
    Case("evaluation-not-json", evaluation(b"{"), "accepted"),
    Case("evaluation-list", evaluation(b"[]"), "accepted"),
    Case("evaluation-deep", evaluation(DEEP), "accepted"),
    Case("evaluation-value-text", evaluation(measured(value="good")), "accepted"),
    Case("evaluation-value-null", evaluation(measured(value=None)), "accepted"),
    Case("evaluation-value-nan", evaluation(measured(value=float("nan"))), "accepted"),
    Case("evaluation-value-of-4000-digits", evaluation(measured(value=10**4000)), "accepted"),
    Case("evaluation-std-a-list", evaluation(measured(std=[1])), "accepted"),
    Case("evaluation-name-a-number", evaluation(measured(name=5)), "accepted"),
    Case("evaluation-name-with-markup", evaluation(measured(name=f"a\n---\n{ESCAPES}")), "accepted"),
    Case("evaluation-protocol-of-100000-letters", evaluation(measured(protocol="p" * 100_000)), "accepted"),
    Case("evaluation-fifo", evaluation(os.mkfifo), "accepted"),
    Case("evaluation-folder", evaluation(Path.mkdir), "accepted"),
    Case("evaluation-sparse-8-GB", evaluation(lambda path: (path.touch(), os.truncate(path, 8 << 30))), "accepted"),
    *numbered("damaged", 4, lambda seed: Case("", config(lambda: damaged(sound()[CONFIG], seed + 2000)), "either")),
]
