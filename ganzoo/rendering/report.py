"""The report of a run: one HTML page that opens without a server, for people who were not there.

Everything is inside the file: pictures as data URLs, charts as SVG, `report.css` and `report.js`. All texts come from
files that may be anybody's, so they are escaped, and the page forbids every script but its own and every connection.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ganzoo.config import FIXED_FIELDS, TrainingSettings, settings_from_json
from ganzoo.errors import GanzooError, UsageError, hint_for
from ganzoo.registry import recipes
from ganzoo.rendering.animation import sample_pictures, shrink_to_fit, thinned
from ganzoo.rendering.history import read_records
from ganzoo.rendering.picture import MAX_BYTES, read_picture
from ganzoo.rendering.report_charts import escaped, report_charts
from ganzoo.system.files import open_regular, read_json, read_regular, write_atomically
from ganzoo.system.shell import quoted
from ganzoo.units import human_time

REPORT_NAME = "report.html"
NEIGHBOURS_NAME = "neighbours.json"
"""In the folder of evaluations, but not one under a protocol."""
MAX_SHEETS = 40
"""Sample sheets on the slider; more are thinned evenly."""

TRAINING_NUMBERS = frozenset(
    {
        "step",
        "images",
        "loss_d",
        "loss_g",
        "score_real",
        "score_fake",
        "accuracy",
        "seconds",
        "steps_per_second",
        "augment_probability",
    }
)
"""The numbers of a record that are not metrics of an evaluation."""

_MAX_CHARTED_STEP = 1 << 53
"""Later steps are not exact as numbers of a chart; no run has any."""
_MAX_PNG_BYTES = 100_000
"""Smaller pictures are taken as they are, pixel by pixel."""
_FOLDER = Path(__file__).parent
_NEIGHBOUR_FACTS = {
    "authenticity": "authenticity",
    "authenticity_of_real": "authenticity of real images",
    "is_copying": "copies real images",
    "features": "compared by",
    "num": "samples",
    "num_real": "real images",
}
"""What is shown of neighbours.json, which also names files of this machine."""
_ARROWS = {"lower": ("↓", "lower is better"), "higher": ("↑", "higher is better")}
_FLAGS = {"steps", "device", "engine", "precision", "threads", "eval_every"}
"""Settings that have a flag of `ganzoo train`."""
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, GanzooError)
"""What reading plain data raises that is not what ganzoo wrote."""


def write_report(run: Path, target: Path | None = None) -> Path:
    """Write the report of a run, finished or not, as one HTML file; return its path, by default RUN/report.html.

    Raises UsageError for a folder that is not a run, GanzooError for a damaged run.json or a file that cannot be
    written.
    """
    path = target or run / REPORT_NAME
    try:
        document = read_json(run / "run.json", 16 << 20)
        page = _page(run, document)
    except FileNotFoundError:
        raise UsageError(
            f"{run} is not a run: it has no run.json.", hint="Name a folder that ganzoo train has written."
        ) from None
    except OSError as error:
        raise GanzooError(f"cannot read {run}/run.json: {error.strerror}.", hint=hint_for(error)) from error
    except _UNREADABLE as error:
        raise GanzooError(f"cannot read {run}/run.json: {error}.", hint="Restore the file.") from error
    try:
        # Half of a surrogate pair may stand in JSON, but not in a file.
        write_atomically(path, page.encode("utf-8", "replace"))
    except OSError as error:
        raise GanzooError(f"cannot write {path}: {error.strerror}.", hint=hint_for(error)) from error
    return path


def _page(run: Path, document: Mapping[str, Any]) -> str:
    settings: dict[str, Any] = document["settings"]
    recipe: dict[str, Any] = settings["recipe"]
    records = [record for record in read_records(run) if 0 <= record["step"] <= _MAX_CHARTED_STEP]
    pictures = sample_pictures(run)
    last_step = max([0, *(record["step"] for record in records[-1:]), *(step for step, _ in pictures[-1:])])
    changed = _changes(recipe["name"], settings)
    sections = [
        ("Samples", _samples(run, pictures, last_step)),
        ("Metrics", _metrics(run, records)),
        ("Training", report_charts(records)),
        ("Nearest real images", _neighbours(run)),
        ("Settings", _settings(settings, changed)),
        ("Repeat it", _repetition(document, changed)),
    ]
    shown = [(title, title.lower().replace(" ", "-"), body) for title, body in sections if body]
    style, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    links = "".join(f'<a href="#{anchor}">{escaped(title)}</a>' for title, anchor, _ in shown)
    blocks = "".join(
        f'<section id="{anchor}"><h2>{escaped(title)}</h2>{body}</section>' for title, anchor, body in shown
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escaped(recipe['name'])} · ganzoo</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{_header(document, records, last_step)}<nav>{links}</nav>\n<main>{blocks}</main>\n{_footer(document)}"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


# --- texts ---


def _rows(rows: Iterable[tuple[object, object]]) -> str:
    """Return a list of names and values."""
    return "".join(f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in rows)


def _header(document: Mapping[str, Any], records: Sequence[Mapping[str, Any]], last_step: int) -> str:
    settings, recipe = document["settings"], document["settings"]["recipe"]
    steps = recipe["steps"]
    finished = last_step >= steps
    state = "finished" if finished else f"step {last_step:,} of {steps:,}"
    facts: list[tuple[str, object]] = [("steps", last_step)]
    if records:
        last = records[-1]
        speeds = sorted(_numbers(records, "steps_per_second"))
        facts += [
            ("real samples seen", last.get("images")),
            ("time in steps", human_time(next(_numbers([last], "seconds"), math.nan))),
            ("median speed", f"{speeds[len(speeds) // 2]:,.4g} steps/s" if speeds else None),
        ]
    facts += [
        ("batch size", recipe["batch_size"]),
        ("device", f"{document['device_type']}, {settings['precision']}"),
        ("seed", str(settings["seed"])),
        ("dataset", f"{recipe['dataset']}, {recipe['split']}"),
    ]
    return (
        f'<header><p class="kind">GAN training report<span class="state {"finished" if finished else "open"}">'
        f"{escaped(state)}</span></p><h1>{escaped(recipe['name'])}</h1>"
        f'<p class="summary">{escaped(recipe["summary"])}</p><dl class="facts">{_rows(facts)}</dl></header>\n'
    )


def _footer(document: Mapping[str, Any]) -> str:
    """Return when and with what the run was made."""
    versions = dict(document["versions"])
    plugins = [f"{one['distribution']} {one['version']}" for one in document.get("requires", ())]
    rows: list[tuple[str, object]] = [*versions.items(), ("platform", document.get("platform"))]
    if plugins:
        rows.append(("plugins", ", ".join(plugins)))
    rows += [("started", document.get("created")), ("sha256 of the data", document["dataset_digest"])]
    rows += [("resumed", f"{one['at']}, ganzoo {one['ganzoo']}, torch {one['torch']}") for one in document["resumed"]]
    return f'<footer><dl class="versions">{_rows(rows)}</dl><p>Written by ganzoo.</p></footer>\n'


# --- samples ---


def _samples(run: Path, pictures: Sequence[tuple[int, Path]], last_step: int) -> str:
    sheets = []
    for step, path in thinned(pictures, MAX_SHEETS):
        try:
            sheets.append((step, _image(path, f"samples after step {step:,}", f'data-step="{step}"')))
        except OSError:
            continue  # one that is damaged is missing on the slider
    if not sheets:
        arrays = any((run / "samples").glob("step-*.npy"))
        return '<p class="note">The samples of this run are tensors, which are not drawn.</p>' if arrays else ""
    last = len(sheets) - 1
    slider = (
        f'<div class="controls"><button type="button" id="play" aria-label="Play">▶</button>'
        f'<input type="range" id="slider" min="0" max="{last}" value="{last}" aria-label="Training step">'
        f'<output id="step">step {sheets[-1][0]:,}</output></div>'
    )
    on_paper = " paper" if _draws_curves(run) else ""
    return (
        f'<div class="sheets{on_paper}" data-last="{last_step}">{"".join(image for _, image in sheets)}</div>'
        f"{slider if last else ''}"
        f'<p class="note">Samples of the same latents{" throughout the training" if last else ""}.</p>'
    )


def _draws_curves(run: Path) -> bool:
    """Whether the pictures are plots on white paper, which the page may turn dark."""
    try:
        return bool(read_json(run / "config.json")["sample"]["kind"] == "curve")
    except (OSError, *_UNREADABLE):
        return False


def _image(path: Path, description: str, attributes: str = "") -> str:
    """Return a PNG as an element with the picture inside, small enough for a page. Raises OSError."""
    image = read_picture(path)  # which refuses what is not a whole PNG
    file_type, content = "png", read_regular(path, MAX_BYTES)
    if len(content) > _MAX_PNG_BYTES:  # WebP is several times smaller for photographs
        image, buffer = shrink_to_fit(image), io.BytesIO()
        image.save(buffer, "WEBP", quality=90)
        file_type, content = "webp", buffer.getvalue()
    data = base64.b64encode(content).decode()
    return (
        f'<img src="data:image/{file_type};base64,{data}" alt="{escape(description)}" '
        f'width="{image.width}" height="{image.height}" {attributes}>'
    )


# --- metrics ---


def _metrics(run: Path, records: Sequence[Mapping[str, Any]]) -> str:
    rows = [*_evaluations(run), *_evaluations_while_training(run, records)]
    if not rows:
        return '<p class="note">This run was not evaluated. <code>ganzoo eval RUN</code> measures its weights.</p>'
    head = "".join(f"<th>{name}</th>" for name in ("metric", "value", "protocol", "weights"))
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table class="metrics">{body}</table></div>'


def _evaluations(run: Path) -> Iterator[str]:
    """Yield table rows for each protocol under which `ganzoo eval` has measured the run."""
    current = _sha256(run / "model.safetensors")
    for path in sorted((run / "evaluations").glob("*.json")):
        if path.name == NEIGHBOURS_NAME:
            continue
        try:
            document = read_json(path)
            weights = "final" if document["weights_sha256"] == current else "earlier weights of this run"
            if document["deviation"] is not None:
                weights += f"; deviates from the protocol: {document['deviation']}"
            yield "".join(
                _metric(one["name"], one["value"], one["std"], one["better"], one["protocol"], weights)
                for one in document["metrics"]
            )
        except (OSError, *_UNREADABLE):
            continue  # damaged, or of another program


def _evaluations_while_training(run: Path, records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield table rows of the best evaluation during the training, and of the last."""
    best: dict[str, Any] = {}
    try:
        found = read_json(run / "best" / "best.json")
        name, step = found["metric"], found["step"]
        yield _metric(name, found["value"], None, _better(name), found["protocol"], f"best, step {step:,}", mark=True)
        best = found
    except (OSError, *_UNREADABLE):
        pass  # no evaluations, or a damaged file
    for record in [one for one in records if isinstance(one.get("protocol"), str)][-1:]:
        for name, value in record.items():
            is_best = (best.get("metric"), best.get("step")) == (name, record["step"])
            if name not in TRAINING_NUMBERS and type(value) in (int, float) and not is_best:
                yield _metric(name, value, None, _better(name), record["protocol"], f"step {record['step']:,}")


def _metric(
    name: str, value: float, std: float | None, better: str | None, protocol: str, weights: str, *, mark: bool = False
) -> str:
    arrow, meaning = _ARROWS.get(better or "", ("", ""))
    spread = "" if std is None else f" <small>± {std:.2g}</small>"
    title = f'{escaped(name)} <span class="arrow" title="{meaning}">{arrow}</span>'
    cells = (title, f"<b>{value:.5g}</b>{spread}", escaped(protocol), escaped(weights))
    return f"<tr{' class=best' if mark else ''}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _better(metric: str) -> str | None:
    """Return which values of a metric are better; None if its plugin is not installed here."""
    from ganzoo.registry import metrics

    try:
        return metrics.get(metric).better
    except GanzooError:
        return None


def _sha256(path: Path) -> str | None:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _numbers(records: Iterable[Mapping[str, Any]], key: str) -> Iterator[float]:
    for record in records:
        value = record.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            with contextlib.suppress(OverflowError):  # an integer of hundreds of digits
                if math.isfinite(value):
                    yield float(value)


# --- neighbours ---


def _neighbours(run: Path) -> str:
    """Return samples beside their nearest real images and what was measured of them, if `ganzoo neighbours` has run."""
    try:
        picture = _image(run / "neighbours.png", "generated samples, each beside its nearest real images")
    except OSError:
        return ""
    rows: list[tuple[object, object]] = []
    try:
        document = read_json(run / "evaluations" / NEIGHBOURS_NAME)
        rows = [(label, document[key]) for key, label in _NEIGHBOUR_FACTS.items() if key in document]
    except (OSError, *_UNREADABLE):
        pass  # the picture alone
    return f'<div class="sheets wide">{picture}</div><dl class="facts">{_rows(rows)}</dl>'


# --- settings, and the command that repeats the run ---


def _settings(settings: Mapping[str, Any], changed: Sequence[tuple[str, Any]] | None) -> str:
    recipe = settings["recipe"]
    described = [(name, recipe[name]) for name in ("source", "notes") if recipe.get(name)]
    about = f'<dl class="about">{_rows(described)}</dl>' if described else ""
    own = {key: value for key, value in settings.items() if key != "recipe"}
    rest = {key: value for key, value in recipe.items() if key not in FIXED_FIELDS}
    different = ""
    if changed:
        different = f'<h3>Different from the recipe</h3><dl class="settings">{_rows(changed)}</dl>'
    return (
        f"{about}{different}<details><summary>All settings</summary>"
        f'<dl class="settings">{_rows([*_flat(rest), *_flat(own)])}</dl></details>'
    )


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys with their values."""
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _changes(recipe: str, settings: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
    """Return the settings in which a run differs from its recipe, as dotted keys; None if that cannot be told here.

    `--set key=value` of each makes the settings of the run out of those of the recipe.
    """
    try:
        installed = TrainingSettings(recipe=recipes.get(recipe), seed=0).to_json()
        after = settings_from_json(settings, "run.json").to_json()
    except GanzooError:  # a recipe or a plugin that is not installed, or settings of another version
        return None
    for name in FIXED_FIELDS:
        for document in (installed, after):
            document["recipe"].pop(name, None)
    found = _assignments(installed.pop("recipe"), after.pop("recipe"))
    return [*found, *((key, value) for key, value in _assignments(installed, after) if key != "seed")]


def _assignments(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in after.items():
        old = before.get(key)
        # A table with other keys, such as the config of another architecture, is set as a whole.
        if isinstance(value, Mapping) and isinstance(old, Mapping) and value.keys() == old.keys():
            found += _assignments(old, value, f"{prefix}{key}.")
        elif value != old:
            found.append((prefix + key, value))
    return found


def repeating_command(document: Mapping[str, Any], changed: Iterable[tuple[str, Any]]) -> str:
    """Return the `ganzoo train` command that repeats a run: recipe, seed, and every setting that was changed."""
    settings = document["settings"]
    words = ["ganzoo", "train", settings["recipe"]["name"], "--seed", str(settings["seed"])]
    for key, value in changed:
        # JSON is read back as it is; a plain text may stay without quotes unless it reads as JSON, such as "1".
        text = value if isinstance(value, str) and not _is_json(value) else json.dumps(value)
        words += [f"--{key.replace('_', '-')}", text] if key in _FLAGS else ["--set", f"{key}={text}"]
    if document.get("data_dir"):
        # The folder's name alone: the page may be shown to people who need not know where it was.
        words += ["--data-dir", Path(document["data_dir"]).name]
    # JSON may hold half of a surrogate pair, which no command line can.
    return " ".join(quoted(word.encode("utf-8", "replace").decode()) for word in words)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _repetition(document: Mapping[str, Any], changed: Sequence[tuple[str, Any]] | None) -> str:
    command = repeating_command(document, changed or ())
    note = "On a CPU, the same versions give the same weights, bit for bit."
    if changed is None:
        note = "The recipe is not installed where this report was written, so settings that differ from it are missing."
    if document.get("data_dir"):
        note += " The data came from a folder; put in where yours is."
    return (
        f'<div class="command"><pre><code id="command">{escape(command)}</code></pre>'
        f'<button type="button" id="copy">Copy</button></div><p class="note">{escaped(note)}</p>'
    )
