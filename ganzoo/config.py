"""Resolved settings: recipe < the user's pictures < user file < environment < `--config` file < `--set` and flags.

Each layer is a mapping of dotted keys, such as `optimizers.generator.learning_rate`, to values. A key names a field of
the recipe or of `TrainingSettings`; unknown keys and values of the wrong type or range are errors that name the layer.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval

from ganzoo.errors import SettingsError
from ganzoo.specs import Recipe, RegisteredOptimizer, Schedule
from ganzoo.specs.optimizers import OPTIMIZER_KINDS
from ganzoo.validation import SETTINGS_HINT, plain, validated

ENVIRONMENT_PREFIX = "GANZOO_"
PROGRAM_VARIABLES = frozenset({"HOME", "PLUGINS", "DEBUG", "HUB_SECONDS", "GRAPHICS"})
"""GANZOO_ variables that configure the program and are not training settings. Plugins may have others."""

FIXED_FIELDS = frozenset({"name", "summary", "source", "notes", "api_version"})
"""Fields that identify and describe a recipe; settings cannot change them."""

Steps = Annotated[int, Interval(ge=1, le=1 << 40)]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """A recipe with its settings applied, and how and where it is trained."""

    recipe: Recipe
    seed: Annotated[int, Interval(ge=0, lt=1 << 63)]
    """Fixes initial weights, latents, data order and dropout."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    engine: Literal["auto", "eager", "graph", "compile"] = "auto"
    """Execution engine: operation by operation (`eager`), recorded once and replayed (`graph`), or fused by torch's
    compiler, which rounds differently (`compile`). `auto` is eager or graph, whichever takes the first steps faster."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Compute dtype of both nets (autocast); parameters, losses and optimizers stay float32. `auto` is bf16 for nets of
    a million parameters or more on devices that are faster with it, else fp32; the run records which."""
    threads: Annotated[int, Interval(ge=1, le=1024)] | None = None
    """Threads of the CPU that take the steps; their number changes the last bits. None: when the run begins, one for
    small nets, else torch's number, which OMP_NUM_THREADS sets; the run records it, and is resumed with it."""
    data: Literal["auto", "resident", "streamed"] = "auto"
    """Where the dataset is kept: all of it on the device, or in the packed copy on disk. `auto` streams from disk what
    would take more than 40 % of the device's free memory. The batches are the same."""
    log_every: Steps = 100
    """Steps between two lines of metrics.jsonl."""
    sample_every: Steps = 2000
    """Steps between two sample pictures."""
    checkpoint_every: Steps = 5000
    """Steps between two checkpoints."""
    keep_checkpoints: Annotated[int, Interval(ge=1, le=10_000)] = 2
    """How many of the newest checkpoints stay on disk."""
    eval_every: Steps | None = None
    """Steps between two evaluations; their metrics are added to the records, and the best weights are kept. None:
    never."""
    eval_protocol: str | None = None
    """Evaluation protocol; None for the dataset's cheap one."""
    best_metric: str | None = None
    """Metric that decides which weights are the best; None for the protocol's first."""
    initial_weights: str | None = None
    """Reference of the weights that both nets begin with, where tensors fit; None: random ones. A new run records the
    pinned reference."""
    initial_discriminator: Literal["auto", "keep", "new"] = "auto"
    """Whether the discriminator begins with these weights too: `keep`, `new`, or `auto`, if they have one that fits."""
    freeze: tuple[str, ...] = ()
    """Shell patterns of parameters that are not trained, such as `discriminator.blocks.0.*` (FreezeD: Mo et al.,
    arXiv:2002.10964). Running statistics of batch normalisation change nevertheless."""
    rollbacks: Annotated[int, Interval(ge=0, le=1000)] = 0
    """How often a run with a loss that became NaN or infinite returns to its newest checkpoint, and goes on from there
    with other samples and latents, before it fails. One process only."""
    loggers: tuple[str, ...] = ()
    """Names of registered loggers, such as `tensorboard` or `wandb`, which get records, pictures and evaluations."""

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `settings_from_json` reads back."""
        document: dict[str, Any] = plain(self)
        return document


@dataclass(frozen=True)
class Layer:
    """Settings from one place."""

    source: str
    """Named in errors, such as `--set` or the file's path."""
    values: Mapping[str, Any]
    """Dotted key -> value."""
    shared: bool = False
    """Whether it may hold keys of others, which are ignored unless they look like a misspelled setting."""


def resolve(recipe: Recipe, layers: Iterable[Layer], *, seed: int) -> TrainingSettings:
    """Apply layers in order; the last one wins. `seed` is used unless a layer sets another.

    Raises SettingsError for an unknown key or a value that does not fit.
    """
    return resolve_again(TrainingSettings(recipe=recipe, seed=seed), layers)


def resolve_again(settings: TrainingSettings, layers: Iterable[Layer]) -> TrainingSettings:
    """Apply layers to settings that are already resolved. Raises SettingsError."""
    document = settings.to_json()
    validated(TrainingSettings, document, f"recipe {settings.recipe.name}")
    for layer in layers:
        # Kinds first: which other keys there are depends on them.
        for key, value in sorted(layer.values.items(), key=lambda item: not item[0].endswith(".kind")):
            if not layer.shared or _resembles_setting(key, document):
                _assign(document, key, value, layer.source)
        settings = validated(TrainingSettings, document, layer.source)
    return _checked(settings)


def settings_from_json(document: Mapping[str, Any], source: str) -> TrainingSettings:
    """Read what `to_json` wrote. Raises SettingsError."""
    return _checked(validated(TrainingSettings, _renewed(document), source))


def _renewed(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return recorded settings in today's form: those of weights and runs of before 2026-11-22 may have another."""
    new = dict(document)
    if type(new.get("tensorboard")) is bool:  # there was no other logger
        new["loggers"] = ["tensorboard"] if new.pop("tensorboard") else []
    if isinstance(new.get("recipe"), Mapping):
        new["recipe"] = renewed_recipe(new["recipe"])
    return new


def renewed_recipe(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a recipe as it is written today: the oldest weights come from an Adam with a `decay` of its own."""
    optimizers = recipe.get("optimizers")
    if not isinstance(optimizers, Mapping):
        return recipe
    return {**recipe, "optimizers": {net: _renewed_optimizer(settings) for net, settings in optimizers.items()}}


def _renewed_optimizer(settings: Any) -> Any:
    if not isinstance(settings, Mapping) or "kind" in settings:
        return settings
    new = {"kind": "adam", "clip_norm": None, **settings}
    if new.pop("decay", None) == "linear":  # the only schedule there was: of the learning rate, to zero
        new["learning_rate"] = plain(Schedule(kind="linear", start=new.get("learning_rate"), end=0.0))
    return new


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the dotted keys whose values differ, with both values. Both documents are plain data."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found.update(differences(old, new, f"{prefix}{key}."))
        elif old != new:
            found[prefix + key] = (old, new)
    return found


# --- layers ---


def user_layer() -> Layer:
    """Return the user's own defaults, from config.toml in the user's configuration folder. Raises SettingsError."""
    from platformdirs import user_config_path

    path = user_config_path("ganzoo") / "config.toml"
    return file_layer(path) if path.is_file() else Layer(str(path), {})


MAX_FILE_BYTES = 1 << 20
"""A longer file does not hold settings."""


RUN_HINT = "Name the run.json of a run, the training.json of weights, or a TOML file of settings."


def file_layer(path: Path) -> Layer:
    """Return the settings of a TOML file, or those that a run.json or training.json records. Raises SettingsError."""
    if path.suffix == ".json":
        return record_layer(recorded_settings(path), str(path))
    try:
        return Layer(str(path), _flattened(tomllib.loads(_read(path).decode())))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.", hint="Write lines such as steps = 1000.") from error


def record_layer(document: Mapping[str, Any], source: str) -> Layer:
    """Return the settings in the contents of a run.json or training.json, as `parse_record` returns them.

    What an older record lacks has its default, whatever the recipe sets today. Raises SettingsError.
    """
    settings = settings_from_json(document["settings"], source).to_json()
    recipe = {key: value for key, value in settings["recipe"].items() if key not in FIXED_FIELDS}
    # Whole tables, so that nothing of the recipe as it is now remains in them.
    return Layer(source, {**recipe, **{key: value for key, value in settings.items() if key != "recipe"}})


def recorded_settings(path: Path) -> Mapping[str, Any]:
    """Return the contents of a run.json or training.json. Raises SettingsError for a file without settings."""
    return parse_record(_read(path), str(path))


def parse_record(content: bytes, source: str) -> Mapping[str, Any]:
    """Parse a run.json or training.json. Raises SettingsError for one without settings."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{source} is not valid JSON: {error}.", hint=RUN_HINT) from error
    settings = document.get("settings") if isinstance(document, dict) else None
    if not isinstance(settings, dict) or not isinstance(settings.get("recipe"), dict):
        raise SettingsError(f"{source} does not hold the settings of a run.", hint=RUN_HINT)
    return document


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:  # not a regular file alone: a shell passes <(command) as a pipe
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}.", hint=RUN_HINT) from error
    if len(content) > MAX_FILE_BYTES:
        raise SettingsError(f"{path} has more than {MAX_FILE_BYTES:,} bytes.", hint=RUN_HINT)
    return content


def environment_layer(environment: Mapping[str, str] = os.environ) -> Layer:
    """Return what may be settings in GANZOO_ variables; a double underscore stands for a dot."""
    values = {}
    for name, text in environment.items():
        key = name.removeprefix(ENVIRONMENT_PREFIX)
        if key != name and key not in PROGRAM_VARIABLES:
            values[key.lower().replace("__", ".")] = parsed(text)
    return Layer("the environment (GANZOO_ variables)", values, shared=True)


def assignments_layer(assignments: Iterable[str]) -> Layer:
    """Return the settings of `key=value` texts. Raises SettingsError."""
    values = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise SettingsError(
                f"--set {assignment!r} is not of the form key=value.", hint="Example: --set batch_size=128."
            )
        values[key.strip()] = parsed(text.strip())
    return Layer("--set", values)


def parsed(text: str) -> Any:
    """Return the value of a JSON text (numbers, lists, true, null) or of a TOML table; any other text is a string."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # GANZOO_ variables may be others', with any text
        return _inline_table(text) if text.startswith("{") else text


def _inline_table(text: str) -> Any:
    """Return the table of `{kind = "linear", start = 2e-4, end = 0}`; the text itself if it is none."""
    try:
        return tomllib.loads(f"table = {text}")["table"] if "\n" not in text else text
    except (ValueError, RecursionError):
        return text


def _flattened(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            flat.update(_flattened(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


# --- the rules of settings ---

_FREE_TABLES = frozenset({"config", "dataset_config", "regularizers"})
"""Tables of a recipe whose keys are checked later: by the config of the architecture or of the dataset, and by the
registered regularizers."""

_NUMBER_KINDS = ("linear", "cosine", "points", "adaptive")
"""The `kind` of tables that stand where a number may stand too."""


def _assign(document: dict[str, Any], key: str, value: Any, source: str) -> None:
    """Set one dotted key in place; fields of the recipe need no `recipe.` in front."""
    *path, last = key.removeprefix("recipe.").split(".")
    top = (path or [last])[0]
    in_run = top in document and top != "recipe"
    table: Any = document if in_run else document["recipe"]
    if not in_run and top in FIXED_FIELDS:
        raise SettingsError(f"{source}: {key!r} describes the recipe and cannot be set.", hint=SETTINGS_HINT)
    of_plugin = (top in _FREE_TABLES and top != "regularizers") or "options" in path
    for depth, part in enumerate(path, start=1):
        inner = table.get(part)
        if not isinstance(inner, dict):
            known = part in table or top == "regularizers"
            may_be_table = depth == len(path) and known and not of_plugin
            if may_be_table and last == "kind" and value not in _NUMBER_KINDS and not isinstance(inner, str | list):
                kinds = _NUMBER_KINDS if part == "augment_probability" else _NUMBER_KINDS[:-1]
                raise SettingsError(
                    f"{source}: {key} = {json.dumps(value)} is not valid.",
                    hint=f"A number may become a schedule, whose kind is one of {', '.join(kinds)}.",
                )
            inner = _table_for(inner, last, value) if may_be_table else None
        if inner is None:
            raise _unknown_key(key, source, document)
        table[part] = inner
        table = inner
    if last == "kind" and "kind" in table and not of_plugin and isinstance(value, str):
        _change_kind(table, value, optimizer=top == "optimizers" and len(path) == 2)
        return
    free = of_plugin or top == "regularizers" or _stands_for_number(table)
    if last not in table and not free:
        raise _unknown_key(key, source, document)
    before = table.get(last)
    if isinstance(before, dict) and not isinstance(value, Mapping) and not _stands_for_number(before):
        raise SettingsError(f"{source}: {key!r} is a table, not a value.", hint=f"Set one of its keys: {key}.…")
    if isinstance(value, Mapping) and isinstance(before, dict) and top == "optimizers" and "kind" in before:
        value = {"kind": before["kind"], **value}
    table[last] = deepcopy(value)  # later layers change tables in place, and this one is its layer's


def _stands_for_number(table: Mapping[str, Any]) -> bool:
    """Whether a table is a schedule, an adaptive probability, or the weight of a regularizer."""
    return table.get("kind") in _NUMBER_KINDS or not table.keys().isdisjoint({"weight", "every"})


def _table_for(number: Any, key: str, value: Any) -> dict[str, Any] | None:
    """Return the table that takes the place of a number when a key of it is set; None if no such table has the key."""
    if key == "kind" and value in _NUMBER_KINDS:
        start = {"start": number} if value in ("linear", "cosine") and number is not None else {}
        return {"kind": value, **start}
    if key in ("weight", "every"):
        return {} if number is None else {"weight": number}
    return None


def _change_kind(table: dict[str, Any], kind: str, *, optimizer: bool) -> None:
    """Turn a table into one of another kind, with its defaults. An optimizer keeps the learning rate."""
    before = table["kind"]
    if optimizer and kind != before:
        learning_rate = table["learning_rate"]
        # Any learning rate: it is replaced at once.
        defaults = OPTIMIZER_KINDS[kind](learning_rate=1) if kind in OPTIMIZER_KINDS else None
        table.clear()
        table.update(plain(defaults or RegisteredOptimizer(kind=kind, learning_rate=1)), learning_rate=learning_rate)
    elif not optimizer and kind != before and not {before, kind} <= {"linear", "cosine"}:
        table.clear()  # no field in common
    table["kind"] = kind


SYNONYMS = {
    "lr": "learning_rate",
    "beta1": "betas",
    "beta2": "betas",
    "bs": "batch_size",
    "epochs": "steps",
    "ema": "ema_decay",
    "latent_dim": "dim",
    "nz": "dim",
    "z_dim": "dim",
}
"""What other programs call a setting -> the last part of its key here."""


def _unknown_key(key: str, source: str, document: Mapping[str, Any]) -> SettingsError:
    known = _known_keys(document)
    path, _, last = key.removeprefix("recipe.").rpartition(".")
    meant = SYNONYMS.get(last, last)
    close = sorted((name for name in known if name.startswith(path) and name.rpartition(".")[2] == meant), key=len)
    close = close or difflib.get_close_matches(key, known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return SettingsError(f"{source}: there is no setting {key!r}.{guess}", hint=SETTINGS_HINT)


def _known_keys(document: Mapping[str, Any]) -> list[str]:
    values = _flattened(document["recipe"])
    known = [name for name in values if name not in FIXED_FIELDS]
    # A schedule can be set as a whole, or field by field.
    scheduled = [
        name.removesuffix(".kind") for name, value in values.items() if value in ("linear", "cosine", "points")
    ]
    return [*(name for name in document if name != "recipe"), *scheduled, *known]


def _resembles_setting(key: str, document: Mapping[str, Any]) -> bool:
    """Whether a key is a setting, one of a free table, or so close to a setting that it is probably misspelled."""
    key = key.removeprefix("recipe.")
    return key.split(".")[0] in _FREE_TABLES or bool(difflib.get_close_matches(key, _known_keys(document), 1, 0.8))


def _checked(settings: TrainingSettings) -> TrainingSettings:
    """Check the rules that concern several fields."""
    recipe = settings.recipe
    if recipe.condition != "classes" and not recipe.conditional:
        raise SettingsError(
            f"condition={recipe.condition} needs conditional=true.", hint="Set conditional=true, or condition=classes."
        )
    if recipe.share_fakes and recipe.discriminator_steps != 1:
        raise SettingsError(
            "share_fakes needs discriminator_steps=1.", hint="Set share_fakes=false, or discriminator_steps=1."
        )
    if recipe.accumulate > 1:
        if recipe.batch_size % recipe.accumulate:
            raise SettingsError(
                f"batch_size {recipe.batch_size} cannot be split into {recipe.accumulate} parts of one size.",
                hint=f"Set batch_size to a multiple of {recipe.accumulate}, or another accumulate.",
            )
        # Shared fakes have one graph, which the backward pass of the first part would free.
        if recipe.share_fakes or not recipe.drop_last:
            raise SettingsError(
                "accumulate needs share_fakes=false and drop_last=true.", hint="Set both, or accumulate=1."
            )
    return settings
