"""The model card: the repository's README.md, and the metadata that the Hub indexes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganzoo.errors import GanzooError
from ganzoo.registry import recipes
from ganzoo.specs import Schedule
from ganzoo.validation import plain
from ganzoo.version import __version__
from ganzoo.weights.manifest import measured
from ganzoo.weights.model_config import ModelConfig


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
            task_type="unconditional-image-generation",
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
        pipeline_tag="unconditional-image-generation",
        tags=["ganzoo", "gan", facts.config.architecture, facts.config.recipe],
        datasets=[facts.config.dataset],
        model_name=facts.repo_id.partition("/")[2],
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _text(facts: CardFacts) -> str:
    config = facts.config
    shape = " × ".join(map(str, config.sample.shape))
    parts = [
        f"# {facts.repo_id.partition('/')[2]}\n",
        "![samples](samples.png)\n",
        f"A generative adversarial network: the recipe `{config.recipe}` (architecture `{config.architecture}`) on "
        f"`{config.dataset}`. The generator has {facts.parameters:,} parameters and maps {config.latent.dim} "
        f"{config.latent.distribution} latents to samples of {shape}.\n",
        "## Use\n",
        "```python",
        "import ganzoo",
        "",
        f'samples = ganzoo.load("hf:{facts.repo_id}").sample(64, seed=0)',
        "```\n",
        "The weights are safetensors; nothing is unpickled. The picture above is `ganzoo sample "
        f"hf:{facts.repo_id} --num 64 --seed 0 --out samples.png`.\n",
        *_quality(facts.metrics),
        *_training(facts),
        f"Published with ganzoo {__version__}.\n",
    ]
    return "\n".join(parts)


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
    trained = _with_schedules(settings["recipe"])
    parts = ["ganzoo train", shlex.quote(trained["name"]), f"--seed {settings['seed']}"]
    try:
        recipe = plain(recipes.get(trained["name"]))
    except GanzooError:
        recipe = trained  # not installed here: nothing to compare with
    changed = {key: value for key, value in _assignments(recipe, trained).items() if key not in RECIPE_TEXTS}
    if settings["precision"] != "fp32":
        changed["precision"] = settings["precision"]
    parts += [f"--set {shlex.quote(f'{key}={json.dumps(value)}')}" for key, value in changed.items()]
    return " ".join(parts)


def _with_schedules(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a recipe as it is written today: the oldest weights come from an Adam with a `decay` of its own."""
    optimizers = {}
    for net, settings in recipe.get("optimizers", {}).items():
        if "kind" not in settings:
            fields, rate = {key: value for key, value in settings.items() if key != "decay"}, settings["learning_rate"]
            if settings.get("decay") == "linear":
                rate = plain(Schedule(kind="linear", start=rate, end=0.0))
            settings = {"kind": "adam", "clip_norm": None, **fields, "learning_rate": rate}
        optimizers[net] = settings
    return {**recipe, "optimizers": optimizers} if optimizers else recipe


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
