"""The model card: the repository's README.md, and the metadata that the Hub indexes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganzoo.config import renewed_recipe
from ganzoo.errors import GanzooError
from ganzoo.registry import recipes
from ganzoo.specs import SampleSpec
from ganzoo.validation import plain
from ganzoo.version import __version__
from ganzoo.weights.manifest import measured
from ganzoo.weights.model_config import ModelConfig, Origin


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What a model card states."""

    repo_id: str
    config: ModelConfig
    license: str
    metrics: Sequence[Mapping[str, Any]]
    """Each with name, value, std and protocol."""
    training: Mapping[str, Any] | None
    """The contents of training.json, or None."""
    parameters: int
    """Number of parameters of the generator."""


def model_card(facts: CardFacts) -> str:
    """Return README.md: metadata for the Hub, then text."""
    return f"---\n{_metadata(facts)}\n---\n\n{_text(facts)}"


def _metadata(facts: CardFacts) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            # Required, and free text: the Hub has no name for generating images of a class, or what is no image.
            task_type=_pipeline_tag(facts.config.sample) or "other",
            dataset_type=facts.config.dataset,
            dataset_name=facts.config.dataset,
            metric_type=metric["name"],
            metric_name=f"{metric['name']} ({metric['protocol']})",
            metric_value=round(float(metric["value"]), 6),
            metric_args={"protocol": metric["protocol"], "std": metric["std"]},
        )
        for metric in facts.metrics
    ]
    data = ModelCardData(
        license=facts.license,
        library_name="ganzoo",
        pipeline_tag=_pipeline_tag(facts.config.sample),
        tags=["ganzoo", "gan", facts.config.architecture, facts.config.recipe],
        datasets=[facts.config.dataset],
        model_name=facts.repo_id.partition("/")[2],
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _pipeline_tag(sample: SampleSpec) -> str | None:
    """Return the Hub's name of what the model does; None where the Hub has no name for it."""
    if sample.text is not None:
        return "text-to-image" if sample.kind == "image" else None
    is_plain_image = sample.kind == "image" and sample.classes is None
    return "unconditional-image-generation" if is_plain_image else None


def _text(facts: CardFacts) -> str:
    config = facts.config
    shape, latent_shape = (" × ".join(map(str, spec.shape)) for spec in (config.sample, config.latent))
    condition = ", labels=0" if config.sample.classes is not None else ""
    if config.sample.text is not None:
        condition = f", texts={json.dumps(config.sample.text.examples[0], ensure_ascii=False)}"
    drawn, sample = config.sample.kind != "tensor", f"ganzoo sample hf:{facts.repo_id} --num 64 --seed 0 --out"
    parts = [
        f"# {facts.repo_id.partition('/')[2]}\n",
        *(["![samples](samples.png)\n"] if drawn else []),
        f"A generative adversarial network: the recipe `{config.recipe}` (architecture `{config.architecture}`) on "
        f"`{config.dataset}`. The generator has {facts.parameters:,} parameters and maps "
        f"{latent_shape} {config.latent.distribution.replace('_', ' ')} latents to samples of {shape}.\n",
        "## Use\n",
        *_plugins(config),
        "```python",
        "import ganzoo",
        "",
        f'samples = ganzoo.load("hf:{facts.repo_id}").sample(64, seed=0{condition})',
        "```\n",
        "The weights are safetensors; nothing is unpickled. "
        + (f"The picture above is `{sample} samples.png`.\n" if drawn else f"As an array: `{sample} samples.npy`.\n"),
        *_origin(facts.config.origin),
        *_quality(facts.metrics),
        *_training(facts),
        f"Published with ganzoo {__version__}.\n",
    ]
    return "\n".join(parts)


def _plugins(config: ModelConfig) -> list[str]:
    """Return how to install the third-party plugins that took part; nothing if there are none."""
    if not config.requires:
        return []
    needed = [
        f"- `{one.distribution}` ({one.version} when trained): {', '.join(one.provides)}" for one in config.requires
    ]
    commands = [f"$ {one.install_command}" for one in config.requires]
    intro = "It was made with these plugins. They run as code, so install them if you trust their authors.\n"
    return [intro, *needed, "", "```console", *commands, "```\n"]


def _origin(origin: Origin | None) -> list[str]:
    if origin is None:
        return []
    published = f" from {_text_line(origin.source)}" if origin.source else ""
    licence = f", under the licence {_text_line(origin.license)}" if origin.license else ", which states no licence"
    return [
        "## Origin\n",
        f"Trained by others and imported with `ganzoo import`: the file `{_text_line(origin.file)}`{published}"
        f"{licence}. Its sha256 is `{origin.sha256}`.\n",
    ]


def _text_line(text: str) -> str:
    """Return text of others as one line without Markdown's code marks and HTML."""
    return " ".join(text.translate({ord(sign): " " for sign in "`<>[]"}).split())


def _quality(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    if not metrics:
        return []
    rows = [f"| {m['name']} | {measured(m['value'], m['std'])} | {m['protocol']} |" for m in metrics]
    return ["## Quality\n", "| metric | value | protocol |", "|---|---|---|", *rows, ""]


def _training(facts: CardFacts) -> list[str]:
    training = facts.training
    if training is None:
        return []
    command = retraining_command(training["settings"])
    return [
        "## Training\n",
        f"{training['steps']:,} steps of batch {training['batch_size']} on {training['device']}, "
        f"{training['seconds']:,.0f} s, ganzoo {training['ganzoo']}, torch {training['torch']}. To train it again "
        "(the last bits may differ on another machine):\n",
        "```console",
        f"$ {command}",
        "```\n",
    ]


def retraining_command(settings: Mapping[str, Any]) -> str:
    """Return the command that trains the same model again: the recipe, the seed, and the settings that differ."""
    trained = renewed_recipe(settings["recipe"])
    parts = ["ganzoo train", shlex.quote(trained["name"]), f"--seed {settings['seed']}"]
    try:
        recipe = plain(recipes.get(trained["name"]))
    except GanzooError:
        recipe = trained  # not installed here: nothing to compare with
    changed = {key: value for key, value in _assignments(recipe, trained).items() if key not in RECIPE_TEXTS}
    if settings["precision"] != "fp32":
        changed["precision"] = settings["precision"]
    if settings.get("threads") is not None:  # the last bits depend on it
        changed["threads"] = settings["threads"]
    parts += [f"--set {shlex.quote(f'{key}={json.dumps(value)}')}" for key, value in changed.items()]
    return " ".join(parts)


RECIPE_TEXTS = frozenset({"summary", "source", "notes"})
"""Fields of a recipe that do not change what it trains."""


def _assignments(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings, by dotted key, that change one document into the other.

    --set cannot delete a key, so a table that loses one is set as a whole; and so is one of another kind, because
    setting the kind alone brings its defaults.
    """
    found: dict[str, Any] = {}
    for key, value in after.items():
        old = before.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and old.keys() <= value.keys()
            and old.get("kind") == value.get("kind")
        ):
            found |= _assignments(old, value, f"{prefix}{key}.")
        elif value != old:
            found[prefix + key] = value
    return found
