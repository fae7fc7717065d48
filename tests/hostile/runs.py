"""Run folders, as a crash, a bad disk or a stranger leaves them."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ganzoo
from tests.hostile.case import Case, Make, damaged, numbered, write
from tests.hostile.tensors import ESCAPES

RUN, METRICS, CHECKPOINT = "run/run.json", "run/metrics.jsonl", "run/checkpoints/step-00000004.safetensors"
BEST = "run/best/best.json"
RESUME = ["resume", "./run"]
EVALUATED = ["--steps", "5", "--set", "eval_every=5"]
"""Options with which best.json is read."""


@functools.cache
def sound() -> Mapping[str, bytes]:
    """A finished run of four steps."""
    settings = {
        "seed": 0,
        "steps": 4,
        "batch_size": 4,
        "config.generator_hidden": [4],
        "config.discriminator_hidden": [4],
        "log_every": 1,
        "engine": "eager",
    }
    with TemporaryDirectory() as folder:
        ganzoo.train("quadratic-mlp", out=Path(folder, "run"), settings=settings)
        files = [
            path
            for path in Path(folder).rglob("*")
            if path.is_file() and path.suffix in (".json", ".jsonl", ".safetensors")
        ]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def resumed(name: str, content: Callable[[], bytes], *options: str) -> Make:
    """Resume a run in which one file is another."""
    return lambda folder: (write(folder, {**sound(), name: content()}), [*RESUME, *options])[1]


def document(edit: Callable[[dict[str, Any]], object]) -> Make:
    def content() -> bytes:
        edited = json.loads(sound()[RUN])
        edit(edited)
        return json.dumps(edited).encode()

    return resumed(RUN, content)


def having(**values: object) -> Make:
    return document(lambda edited: edited.update(values))


def metrics(content: Callable[[bytes], bytes]) -> Make:
    return resumed(METRICS, lambda: content(sound()[METRICS]))


def checkpoint(content: Callable[[bytes], bytes]) -> Make:
    return resumed(CHECKPOINT, lambda: content(sound()[CHECKPOINT]))


def special(name: str, place: Callable[[Path], object], *options: str) -> Make:
    def make(folder: Path) -> list[str]:
        write(folder, sound())
        (folder / name).unlink(missing_ok=True)
        (folder / name).parent.mkdir(exist_ok=True)
        place(folder / name)
        return [*RESUME, *options]

    return make


def linked(name: str) -> Make:
    """A part of the run is a link to a folder of somebody else's."""

    def make(folder: Path) -> list[str]:
        write(folder, {**sound(), "theirs/.a.partial": b"x", "theirs/step-00000001.safetensors": b"x"})
        if (folder / "run" / name).is_dir():
            (folder / "run" / name).rename(folder / "moved")
        (folder / "run" / name).symlink_to("../theirs")
        return RESUME

    return make


DEEP = b"[" * 100_000

CASES = [
    Case("sound", lambda folder: (write(folder, sound()), RESUME)[1], "accepted", "already finished"),
    Case("trained-further", lambda folder: (write(folder, sound()), [*RESUME, "--steps", "5"])[1], "accepted", "Done"),
    # --- run.json ---
    Case("run-empty", resumed(RUN, lambda: b""), word="cannot read"),
    Case("run-not-json", resumed(RUN, lambda: b"{"), word="cannot read"),
    Case("run-list", resumed(RUN, lambda: b"[]"), word="cannot read"),
    Case("run-null", resumed(RUN, lambda: b"null"), word="cannot read"),
    Case("run-deep", resumed(RUN, lambda: DEEP), word="cannot read"),
    Case("run-not-utf-8", resumed(RUN, lambda: b'{"schema": "\xff"}'), word="cannot read"),
    Case("run-number-of-5000-digits", resumed(RUN, lambda: b'{"schema":' + b"9" * 5000 + b"}"), word="cannot read"),
    Case("run-sparse-8-GB", special(RUN, lambda path: (path.touch(), os.truncate(path, 8 << 30))), word="cannot read"),
    Case("run-fifo", special(RUN, os.mkfifo), word="(?i)not a regular file"),
    Case(
        "run-link-to-dev-zero", special(RUN, lambda path: path.symlink_to("/dev/zero")), word="(?i)not a regular file"
    ),
    Case("run-newer", having(schema=99), word="newer"),
    Case("run-schema-text", having(schema="1"), word="cannot read"),
    Case("run-no-settings", document(lambda edited: edited.pop("settings")), word="cannot read"),
    Case("run-no-digest", document(lambda edited: edited.pop("dataset_digest")), word="cannot read"),
    Case("run-settings-a-list", having(settings=[]), word="cannot read"),
    Case("run-settings-unknown", document(lambda edited: edited["settings"].update(code="x")), word="no setting"),
    Case(
        "run-settings-unknown-with-escapes",
        document(lambda edited: edited["settings"].update({ESCAPES: "x"})),
        word="no setting",
    ),
    Case("run-settings-of-500000-letters", document(lambda edited: edited["settings"].update(precision="x" * 500_000))),
    Case("run-recipe-a-number", document(lambda edited: edited["settings"].update(recipe=5)), word="cannot read"),
    Case("run-recipe-missing", document(lambda edited: edited["settings"].pop("recipe")), word="cannot read"),
    Case("run-architecture-unknown", document(lambda edited: edited["settings"]["recipe"].update(architecture="../x"))),
    Case("run-dataset-unknown", document(lambda edited: edited["settings"]["recipe"].update(dataset=ESCAPES))),
    Case("run-loss-unknown", document(lambda edited: edited["settings"]["recipe"].update(loss="os.system"))),
    Case("run-steps-zero", document(lambda edited: edited["settings"]["recipe"].update(steps=0))),
    Case("run-batch-of-2-to-40", document(lambda edited: edited["settings"]["recipe"].update(batch_size=1 << 40))),
    Case(
        "run-hidden-of-2-to-40",
        document(lambda edited: edited["settings"]["recipe"]["config"].update(generator_hidden=[1 << 40])),
    ),
    Case("run-resumed-a-number", having(resumed=5), word="cannot read"),
    Case("run-device-a-list", having(device_type=[]), word="cannot read"),
    Case("run-device-unknown", having(device_type="tpu")),
    Case("run-data-dir-a-number", having(data_dir=5), word="cannot read"),
    Case("run-data-dir-with-nul", having(data_dir="a\0b")),
    Case("run-digest-of-other-data", having(dataset_digest="0" * 64)),
    # --- records: never worth a training ---
    Case("metrics-empty", metrics(lambda content: b""), "accepted", "already finished"),
    Case("metrics-nul-bytes", metrics(lambda content: content + bytes(4096) + b"\n"), "accepted"),
    Case("metrics-garbage", metrics(lambda content: b"garbage\n" + content), "accepted"),
    Case("metrics-cut-off", metrics(lambda content: content[:-9]), "accepted"),
    Case("metrics-deep", metrics(lambda content: DEEP + b"\n"), "accepted"),
    Case("metrics-list", metrics(lambda content: b"[]\n"), "accepted"),
    Case("metrics-without-step", metrics(lambda content: b'{"loss_d": 1}\n'), "accepted"),
    Case("metrics-step-text", metrics(lambda content: b'{"step": "1"}\n'), "accepted"),
    Case("metrics-step-of-4000-digits", metrics(lambda content: b'{"step": ' + b"9" * 4000 + b"}\n"), "accepted"),
    Case("metrics-loss-text", metrics(lambda content: b'{"step": 1, "loss_d": "x"}\n'), "accepted"),
    Case(
        "metrics-loss-of-4000-digits",
        metrics(lambda content: b'{"step": 1, "loss_d": ' + b"9" * 4000 + b"}\n"),
        "accepted",
    ),
    Case("metrics-loss-nan", metrics(lambda content: b'{"step": 1, "loss_d": NaN}\n'), "accepted"),
    Case(
        "metrics-loss-nan-as-json",
        resumed(METRICS, lambda: b'{"step": 1, "loss_d": NaN}\n', "--json"),
        "accepted",
        "null",
    ),
    Case(
        "metrics-names-with-escapes",
        metrics(lambda content: json.dumps({"step": 1, ESCAPES: 3}).encode() + b"\n"),
        "accepted",
    ),
    Case("metrics-not-utf-8", metrics(lambda content: b'{"step": 1, "\xff": 3}\n'), "accepted"),
    Case("metrics-20-MB-without-a-line", metrics(lambda content: b"x" * (20 << 20)), "accepted"),
    Case("metrics-fifo", special(METRICS, os.mkfifo)),
    Case("metrics-folder", special(METRICS, Path.mkdir)),
    # --- the best evaluation ---
    *(
        Case(f"best-{name}", resumed(BEST, lambda content=content: content, *EVALUATED), "accepted", "Done")
        for name, content in {"empty": b"", "list": b"[]", "deep": DEEP, "step-text": b'{"step":"1","value":1}'}.items()
    ),
    *(
        Case(f"best-{name}", special(BEST, place, *EVALUATED), "accepted", "Done")
        for name, place in {
            "fifo": os.mkfifo,
            "link-to-dev-zero": lambda path: path.symlink_to("/dev/zero"),
            "link-to-itself": lambda path: path.symlink_to(path),
            "sparse-8-GB": lambda path: (path.touch(), os.truncate(path, 8 << 30)),
        }.items()
    ),
    # --- checkpoints ---
    Case("checkpoint-empty", checkpoint(lambda content: b""), word="cannot load the checkpoint"),
    Case(
        "checkpoint-pickle", checkpoint(lambda content: b"\x80\x02cos\nsystem\n(S'touch owned'\ntR."), word="a pickle"
    ),
    Case("checkpoint-cut-off", checkpoint(lambda content: content[:-100]), word="cannot load the checkpoint"),
    Case("checkpoint-one-bit", checkpoint(lambda content: content[:-1] + bytes([content[-1] ^ 1])), word="damaged"),
    Case(
        "checkpoint-of-weights",
        resumed(CHECKPOINT, lambda: sound()["run/model.safetensors"]),
        word="cannot load the checkpoint",
    ),
    Case("checkpoint-fifo", special(CHECKPOINT, os.mkfifo), word="(?i)not a regular file"),
    Case("checkpoint-folder", special(CHECKPOINT, Path.mkdir), word="cannot load the checkpoint"),
    Case(
        "checkpoint-sparse-8-GB",
        special(CHECKPOINT, lambda path: (path.touch(), os.truncate(path, 8 << 30))),
        word="cannot load",
    ),
    Case(
        "checkpoint-of-another-step",
        special("run/checkpoints/step-00000009.safetensors", lambda path: path.write_bytes(sound()[CHECKPOINT])),
        "either",
    ),
    Case(
        "checkpoint-step-of-40-digits",
        special("run/checkpoints/step-" + "9" * 40 + ".safetensors", Path.touch),
        word="cannot load",
    ),
    Case("checkpoints-a-link", linked("checkpoints"), word="symbolic link"),
    Case("samples-a-link", linked("samples"), word="symbolic link"),
    Case("best-a-link", linked("best"), word="symbolic link"),
    *numbered("damaged-run", 3, lambda seed: Case("", resumed(RUN, lambda: damaged(sound()[RUN], seed)), "either")),
    *numbered("damaged-metrics", 2, lambda seed: Case("", metrics(lambda content: damaged(content, seed)), "accepted")),
    *numbered("damaged-checkpoint", 2, lambda seed: Case("", checkpoint(lambda content: damaged(content, seed)))),
]
