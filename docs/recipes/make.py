"""Write a page for each first-party recipe, and an index, from the installed specs, the manifest and the pictures.

$ python docs/recipes/make.py
"""

from __future__ import annotations

import dataclasses
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data.settings import ConfiguredDataset, dataset_of
from ganzoo.errors import GanzooError, MissingDatasetError
from ganzoo.registry import FIRST_PARTY, architectures, losses, metrics, recipes, regularizers
from ganzoo.sampling import example_condition
from ganzoo.specs import Adam, AdamW, ArchitectureSpec, EvaluationProtocol, Number, Points, Recipe, Schedule
from ganzoo.specs.optimizers import Optimizer
from ganzoo.training.schedules import as_regularization
from ganzoo.units import human_size, human_time
from ganzoo.weights.building import build_on_meta, discriminator_builder, generator_builder, num_parameters
from ganzoo.weights.manifest import WeightsEntry, Zoo, measured
from ganzoo.weights.model_config import ModelConfig, model_config

HERE = Path(__file__).parent
PICTURES = HERE.parent / "images"
GENERATED = "<!-- Written by docs/recipes/make.py; edit the script or the recipe and run it again. -->"


def main() -> None:
    """Write the pages, and report recipes that cannot be loaded."""
    written, problems = pages()
    for name, problem in problems.items():
        print(f"no page for {name}: {problem}", file=sys.stderr)
    for name, text in written.items():
        (HERE / name).write_text(text, encoding="utf-8")


def pages() -> tuple[dict[str, str], dict[str, str]]:
    """Return the text of each page by file name, and by recipe why it has no page."""
    written: dict[str, str] = {}
    problems: dict[str, str] = {}
    rows = []
    for name, origins in recipes.origins().items():
        if [origin.distribution for origin in origins] != [FIRST_PARTY]:
            continue
        try:
            recipe = recipes.get(name)
            dataset, architecture = dataset_of(recipe), architectures.get(recipe.architecture)
            written[f"{name}.md"] = page(recipe, dataset, architecture)
        except GanzooError as error:
            problems[name] = str(error)
            continue
        rows.append(index_row(recipe))
    return {"README.md": index(rows), **written}, problems


# --- the index ---


def index(rows: Iterable[Sequence[str]]) -> str:
    """Return README.md."""
    return document(
        "# Recipes",
        "Each page shows the networks, the loss, what was published and what differs, how to train, and the results.",
        table(["recipe", "makes", "architecture", "data", "loss", "quality"], rows),
    )


def index_row(recipe: Recipe) -> list[str]:
    """Return a recipe's row of the index, with the first metric of its default weights."""
    quality = "–"
    for entry in entries(recipe):
        if entry.default and entry.metrics:
            metric = entry.metrics[0]
            quality = f"{metric['name']} {metric['value']:.3g} (`{metric['protocol']}`)"
    link = f"[{recipe.name}]({recipe.name}.md)"
    return [link, recipe.summary, recipe.architecture, recipe.dataset, recipe.loss, quality]


# --- a page ---


def page(recipe: Recipe, dataset: ConfiguredDataset, architecture: ArchitectureSpec) -> str:
    """Return a recipe's page. Raises GanzooError when its networks cannot be built."""
    return document(
        f"# {recipe.name}",
        sentence(mentioning(recipe.summary, recipe)),
        looks(recipe),
        "## Data",
        data(dataset),
        "## Networks",
        nets(recipe, dataset, architecture),
        "## Loss and updates",
        updates(recipe, dataset),
        "## What was published, and what differs",
        f"Follows {mentioning(recipe.source, recipe).rstrip('.')}." if recipe.source else "",
        mentioning(recipe.notes, recipe),
        "## Train it",
        training(recipe, dataset),
        "## Results",
        numbers(recipe, dataset),
    )


def looks(recipe: Recipe) -> str:
    """Return the picture, when there is one."""
    path = PICTURES / f"{recipe.name}.png"
    return f"![Samples of {recipe.name}](../images/{path.name})" if path.is_file() else ""


def data(dataset: ConfiguredDataset) -> str:
    """Say what the samples are and where they come from."""
    numbers = {None: "unlimited", "varies": "as many as you have"}
    splits = ", ".join(
        f"{name} {f'{num:,}' if isinstance(num, int) else numbers[num]}" for name, num in dataset.splits.items()
    )
    shape = " × ".join(map(str, dataset.sample.shape))
    classes = dataset.sample.classes
    lines = [
        f"`{dataset.name}`: {dataset.summary}.",
        f"A sample is a{'n' if dataset.sample.kind == 'image' else ''} {dataset.sample.kind} of shape {shape}",
        f"({splits}{f'; {len(classes)} classes' if classes else ''}).",
        f"Licence: {dataset.license.rstrip('.')}." if dataset.license else "",
        f"Home: {linked(dataset.homepage).rstrip('.')}." if dataset.homepage else "",
    ]
    return " ".join(filter(None, lines))


def nets(recipe: Recipe, dataset: ConfiguredDataset, architecture: ArchitectureSpec) -> str:
    """Return both networks, layer by layer."""
    config, source = model_config(recipe, dataset.sample), f"recipe {recipe.name}"
    generator = build_on_meta(generator_builder(config, source))
    discriminator = build_on_meta(discriminator_builder(config, source))
    latents = torch.empty(2, *recipe.latent.shape, device="meta")
    samples = torch.empty(2, *dataset.sample.shape, device="meta")
    latent = "standard normal" if recipe.latent.distribution == "normal" else "uniform on [-1, 1]"
    condition = "text" if recipe.condition == "text" else "label"
    labels = f" Both networks take the {condition}." if recipe.conditional else ""
    return paragraphs(
        f"Architecture `{architecture.name}`: {architecture.summary}. From {linked(architecture.paper)}.{labels}",
        f"**Generator**, {num_parameters(generator):,} parameters, from {recipe.latent.dim} {latent} numbers:",
        layers(generator, latents, config),
        f"**Discriminator**, {num_parameters(discriminator):,} parameters, to one logit:",
        layers(discriminator, samples, config),
    )


def layers(net: nn.Module, inputs: Tensor, config: ModelConfig) -> str:
    """Return a table with a row for each layer that has a matrix or kernel, including the layers that follow it.

    Layers that are no part of the forward pass, such as decoders that only a regularizer uses, have one row together.
    """
    rows: list[tuple[list[str], Tensor, int]] = []

    def record(layer: nn.Module, _: Any, output: object) -> None:
        if not isinstance(output, Tensor):
            return  # a layer that works on weights, such as spectral normalisation
        weights = any(parameter.dim() > 1 for parameter in layer.parameters())
        if weights or not rows:
            rows.append(([], output, 0))
        names, _, count = rows[-1]
        rows[-1] = ([*names, described(layer)], output, count + num_parameters(layer))

    for module in net.modules():
        if not list(module.children()):
            module.register_forward_hook(record)
    condition = example_condition(config.sample, len(inputs))
    net(inputs, *([] if condition is None else [condition.to("meta")]))
    cells = [(", ".join(names), " × ".join(map(str, output.shape[1:])), f"{count:,}") for names, output, count in rows]
    rest = num_parameters(net) - sum(count for _, _, count in rows)
    if rest:
        cells.append(("what only a regularizer uses", "", f"{rest:,}"))
    return table(["layer", "output", "parameters"], cells)


def described(layer: nn.Module) -> str:
    """Return a layer's kind, sizes and settings."""
    name = type(layer).__name__
    if isinstance(layer, nn.Linear):
        return f"{name} {layer.in_features} → {layer.out_features}"
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
        kernel, stride = ("×".join(map(str, _sizes(sizes))) for sizes in (layer.kernel_size, layer.stride))
        groups = f" in {layer.groups} groups" if layer.groups > 1 else ""
        return f"{name} {layer.in_channels} → {layer.out_channels}{groups}, kernel {kernel}, stride {stride}"
    if isinstance(layer, nn.Embedding):
        return f"{name} {layer.num_embeddings} → {layer.embedding_dim}"
    if isinstance(layer, nn.LeakyReLU):
        return f"{name} {layer.negative_slope:g}"
    if isinstance(layer, nn.Dropout):
        return f"{name} {layer.p:g}"
    return f"{name} (eps {layer.eps:g})" if getattr(layer, "eps", 1e-5) != 1e-5 else name


def _sizes(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of all axes, or the only one where they are equal."""
    return sizes[:1] if len(set(sizes)) == 1 else sizes


def updates(recipe: Recipe, dataset: ConfiguredDataset) -> str:
    """Return the loss, its paper, and the order of updates."""
    loss = losses.get(recipe.loss)
    added = []
    for name, value in recipe.regularizers.items():
        spec, regularization = regularizers.get(name), as_regularization(value)
        lazily = f" once in {regularization.every} steps" if regularization.every > 1 else ""
        added.append(
            f"Added to the loss of {spec.of[0].upper()}{lazily}, with weight {number(regularization.weight)}: "
            + linked(sentence(f"{spec.summary} ({spec.paper})"))
        )
    smooth = recipe.label_smoothing
    target = f"{1 - smooth:g}" if isinstance(smooth, float) else f"1 - {number(smooth)}"
    smoothing = f"The discriminator's target for real samples is {target}."
    clipping = f"After each update the discriminator's parameters are clipped to ±{recipe.weight_clip}."
    halved = "The discriminator's loss is the mean of its real and fake halves, not their sum."
    fakes = "Both updates use the same fakes." if recipe.share_fakes else "Each update draws fresh fakes."
    turns = "the discriminator" + (f" {recipe.discriminator_steps} times" if recipe.discriminator_steps > 1 else "")
    order = [turns, "the generator" if recipe.discriminator_steps == 1 else "the generator once"]
    if recipe.update_order == "generator_first":
        order.reverse()
    average = f"The saved generator is an exponential moving average (EMA, decay {number(recipe.ema_decay or 0)})."
    return paragraphs(
        f"`{loss.name}`: each network minimises its own loss, where r and f are the discriminator's logits of real and "
        "generated samples and s(t) = 1 / (1 + exp(-t)).",
        "\n".join(f"    {side}" for side in loss.summary.split("; ")),
        sentence(linked(loss.paper)),
        *added,
        " ".join(
            [
                *([smoothing] if recipe.label_smoothing else []),
                *([halved] if recipe.discriminator_loss == "mean" else []),
                f"A step updates {order[0]}, then {order[1]}. {fakes}",
                *([clipping] if recipe.weight_clip is not None else []),
                *([average] if recipe.ema_decay is not None else []),
            ]
        ),
        optimizers(recipe) + f" {length(recipe, dataset)}",
    )


def optimizers(recipe: Recipe) -> str:
    """Return one sentence, or one per network when they differ."""
    generator, discriminator = recipe.optimizers.generator, recipe.optimizers.discriminator
    if generator == discriminator:
        return f"Both networks: {optimizer(generator)}."
    return f"Generator: {optimizer(generator)}. Discriminator: {optimizer(discriminator)}."


def optimizer(settings: Optimizer) -> str:
    """Return an optimizer's name, learning rate, betas, and other settings that are not the defaults."""
    parts = [type(settings).__name__, f"learning rate {number(settings.learning_rate)}"]
    if isinstance(settings, Adam | AdamW):
        parts.append(" and ".join(["betas", *map(number, settings.betas)]).replace("betas and", "betas"))
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name not in ("kind", "learning_rate", "betas") and value != field.default:
            parts.append(f"{field.name.replace('_', ' ')} {value:g}")
    return ", ".join(parts)


def number(value: Number[float]) -> str:
    """Return a number, or what its schedule does."""
    if isinstance(value, Points):
        return "through " + ", ".join(f"{y:g} at step {x:,}" for x, y in value.points)
    if not isinstance(value, Schedule):
        return f"{value:g}"
    warmup = f" after a warm-up of {value.warmup_steps:,} steps" if value.warmup_steps else ""
    length = f" over {value.steps:,} steps" if value.steps is not None else ""
    curve = "linearly" if value.kind == "linear" else "along a cosine"
    return f"{value.start:g}{warmup} that changes {curve} to {value.end:g}{length}"


def length(recipe: Recipe, dataset: ConfiguredDataset) -> str:
    """Return the steps, and the epochs where the training split is finite."""
    text = f"{recipe.steps:,} steps in batches of {recipe.batch_size}"
    num = dataset.splits.get("train")
    if not isinstance(num, int):
        return f"{text}."
    epochs = recipe.steps * recipe.discriminator_steps / (num // recipe.batch_size)
    return f"{text}: the discriminator sees the training set {epochs:.3g} times."


def training(recipe: Recipe, dataset: ConfiguredDataset) -> str:
    """Return the commands, and the files they need."""
    name, folder = recipe.name, f"runs/{recipe.name}"
    files = " --data-dir photos" if dataset.splits["train"] == "varies" else ""
    commands = [
        (f"ganzoo train {name}{files} --seed 0 --out {folder}", ""),
        (f"ganzoo resume {folder}", "after an interruption, bit for bit"),
        (f"ganzoo sample {folder} --num 64 --seed 0 --out samples.png", ""),
    ]
    classes = dataset.sample.classes
    if recipe.conditional and classes:
        commands.append((f"ganzoo sample {folder} --label {classes[-1]} --out samples.png", "one class"))
    if dataset.protocols:
        # That of the published numbers, where it is not the one that `eval` takes by itself.
        protocol = next((entry.protocols[0] for entry in entries(recipe) if entry.protocols), dataset.protocols[0].name)
        option = "" if protocol == dataset.protocols[0].name else f" --protocol {protocol}"
        commands.append((f"ganzoo eval {folder}{option}", ""))
    width = max(len(command) for command, _ in commands)
    block = [f"$ {command:{width}}  # {remark}" if remark else f"$ {command}" for command, remark in commands]
    return paragraphs(
        "\n".join(["```console", *block, "```"]),
        expected_files(dataset),
        f"`ganzoo show {name}` lists every setting; `--set KEY=VALUE` changes one.",
    )


def expected_files(dataset: ConfiguredDataset) -> str:
    """Say where the training data comes from, using the dataset's own error about missing files."""
    if dataset.splits["train"] is None:
        return "The samples are drawn on the fly, so there is nothing to download."
    if dataset.splits["train"] == "varies":
        return (
            "`photos` is a folder of images, or a .zip or .tar of them. `ganzoo train photos/` chooses the recipe and "
            "its widths by their number and size."
        )
    with tempfile.TemporaryDirectory() as empty:
        try:
            dataset.load(Path(empty), "train", False)
        except MissingDatasetError as error:
            by_hand = linked(error.hint.replace(empty, "FOLDER"))
            return f"Without `--data-dir`, ganzoo downloads the data unless it is in the store. By hand: {by_hand}"
    return ""


def numbers(recipe: Recipe, dataset: ConfiguredDataset) -> str:
    """Return metrics, protocols and cost of every published training."""
    parts = []
    for entry in entries(recipe):
        parts += [f"**`{entry.reference}`**", cost(entry)]
        if entry.metrics:
            parts += [metric_table(entry), *map(protocol_sentence, protocols(entry, dataset))]
            parts.append(f"`ganzoo eval {entry.reference} --check` reproduces these numbers.")
    if not parts:
        return "No weights have been published yet."
    return paragraphs(*parts)


def cost(entry: WeightsEntry) -> str:
    """Say what the training took."""
    facts = entry.training
    return (
        f"{facts['steps']:,} steps ({facts['images']:,} real samples) took {human_time(facts['seconds'])} on "
        f"{device(facts['device'])} with torch {facts['torch']}. The files are {human_size(entry.size)}, "
        f"licence {entry.license}."
    )


def device(name: str) -> str:
    """Turn `cpu (1 threads)` into words."""
    return name.replace("cpu", "a CPU").replace("(1 threads)", "(1 thread)")


def metric_table(entry: WeightsEntry) -> str:
    """Return one row per metric."""
    rows = []
    for metric in entry.metrics:
        better, summary = "", ""
        if metric["name"] in metrics.names():
            spec = metrics.get(metric["name"])
            better, summary = f"{spec.better} is better", spec.summary
        value = measured(metric["value"], metric["std"])
        rows.append((metric["name"], value, better, f"`{metric['protocol']}`", summary))
    return table(["metric", "value", "", "protocol", "what it is"], rows)


def protocols(entry: WeightsEntry, dataset: ConfiguredDataset) -> list[EvaluationProtocol]:
    """Return the protocols that an entry was measured under, in the dataset's order."""
    names = {metric["protocol"] for metric in entry.metrics}
    return [protocol for protocol in dataset.protocols if protocol.name in names]


def protocol_sentence(protocol: EvaluationProtocol) -> str:
    """Say how a protocol samples."""
    real = "" if protocol.num_real is None else f"{protocol.num_real:,} samples of "
    against = f", against {real}the {protocol.split} split" if protocol.split else ""
    samples = f"`{protocol.name}`: {protocol.num_samples:,} samples"
    if len(protocol.seeds) == 1:
        return f"{samples} of seed {protocol.seeds[0]}{against}."
    return f"{samples} for each of {len(protocol.seeds)} seeds{against}; mean ± standard deviation over the seeds."


def entries(recipe: Recipe) -> list[WeightsEntry]:
    """Return the first-party weights of a recipe."""
    return [
        entry
        for entry in Zoo().matching()
        if entry.recipe == recipe.name and entry.owner.partition(" ")[0] == FIRST_PARTY
    ]


# --- text ---


def document(*parts: str) -> str:
    """Return a page of Markdown."""
    return paragraphs(GENERATED, *parts) + "\n"


def paragraphs(*parts: str) -> str:
    """Join the parts that are not empty."""
    return "\n\n".join(part for part in parts if part)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def sentence(text: str) -> str:
    """Capitalise, and end with a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def mentioning(text: str, recipe: Recipe) -> str:
    """Link a recipe's text, including the names of other recipes to their pages."""
    others = "|".join(sorted({name for name in recipes.names() if name != recipe.name}, key=len, reverse=True))
    return re.sub(rf"(?<![\w/-])({others})(?![\w@/-])", r"[\1](\1.md)", linked(text))


def linked(text: str) -> str:
    """Turn arXiv numbers and addresses into links, and settings into code."""
    text = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    text = re.sub(r"(?<![(<])https://[^\s,;)]*[^\s,;).]", r"<\g<0>>", text)
    return re.sub(r"--[a-z][a-z-]*(?: [\w.]+=[^\s),]+| FOLDER\b)?", r"`\g<0>`", text)


if __name__ == "__main__":
    main()
