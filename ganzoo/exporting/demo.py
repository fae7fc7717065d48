"""A page on this machine to try models: samples, a walk between two seeds, and the numbers of each model."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ganzoo.conditions import condition_batches
from ganzoo.config import assignments_layer
from ganzoo.errors import GanzooError, UsageError
from ganzoo.exporting.programs import needs
from ganzoo.model import GAN, gan_from_bytes
from ganzoo.randomness import interpolate_latents, random_seed, sample_latents
from ganzoo.rendering import check_drawable, picture
from ganzoo.sources import location, resolve
from ganzoo.system.devices import find_device
from ganzoo.validation import plain
from ganzoo.weights.building import num_parameters, sampling_options
from ganzoo.weights.manifest import Zoo, measured

if TYPE_CHECKING:
    from PIL import Image

    from ganzoo.hub.client import Access

MAX_SAMPLES = 100
"""In one picture."""
MAX_SEED = (1 << 53) - 1
"""The largest whole number that a browser counts with."""
_WALKING = 16
"""Samples in the picture of a walk."""

Result = TypeVar("Result")


@dataclass
class Model:
    """A model of the page."""

    name: str
    """Its pinned reference."""
    gan: GAN
    metrics: Sequence[Mapping[str, Any]]
    license: str | None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sample(self, num: float, seed: float, label: str | None, text: str | None, options: str | None) -> Image.Image:
        """Return a picture of the first samples of a seed. Raises UsageError."""
        num, seed = _whole(num, "the number of samples", 1, MAX_SAMPLES), _whole(seed, "the seed", 0, MAX_SEED)
        spec = self.gan.config.sample
        samples = self._alone(
            lambda: self.gan.sample(
                num, seed=seed, labels=self._label(label), texts=self._text(text), options=self._options(options)
            )
        )
        return picture(samples.cpu(), spec)

    def walk(
        self, start: float, end: float, share: float, label: str | None, text: str | None, options: str | None
    ) -> Image.Image:
        """Return a picture of samples on their way from one seed (share 0) to another (share 1). Raises UsageError."""
        first, last = (_whole(seed, "a seed", 0, MAX_SEED) for seed in (start, end))
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise UsageError("the share of the way must be from 0 to 1.", hint="Move the slider.")
        config = self.gan.config
        latents = [sample_latents(config.latent, _WALKING, seed) for seed in (first, last)]
        condition = next(condition_batches(config.sample, _WALKING, self._label(label), self._text(text), _WALKING))
        between = interpolate_latents(config.latent, latents[0], latents[1], share)
        samples = self._alone(lambda: self.gan.generate(between, condition, seed=first, options=self._options(options)))
        return picture(samples.cpu(), config.sample)

    def _alone(self, generate: Callable[[], Result]) -> Result:
        # Sampling seeds torch's global generators for its batch, which threads share.
        with self.lock:
            return generate()

    def _label(self, label: str | None) -> int | None:
        classes = self.gan.config.sample.classes
        if classes is None or label in (None, ALL_CLASSES):
            return None
        if label not in classes:
            raise UsageError("unknown class.", hint="Choose one of the list.")
        return classes.index(label)

    def _text(self, text: str | None) -> str | None:
        return text or None if self.gan.config.sample.text is not None else None

    def _options(self, options: str | None) -> Mapping[str, Any] | None:
        assignments = [part for part in (options or "").replace(",", " ").split() if part]
        return assignments_layer(assignments).values or None

    @property
    def default_options(self) -> str:
        """The sampling options with their defaults, as `KEY=VALUE`; empty for most models."""
        return " ".join(f"{key}={value}" for key, value in plain(sampling_options(self.gan.config, None)).items())

    @property
    def card(self) -> str:
        """What the model is, in Markdown; names of others are code."""
        config = self.gan.config
        shape, latent = (" × ".join(map(str, spec.shape)) for spec in (config.sample, config.latent))
        rows = [
            ("recipe", config.recipe),
            ("architecture", config.architecture),
            ("dataset", config.dataset),
            ("samples", f"{config.sample.kind}, {shape}"),
            ("latents", f"{latent}, {config.latent.distribution.replace('_', ' ')}"),
            ("parameters", f"{num_parameters(self.gan.generator):,}"),
            ("licence", self.license or "not stated"),
            ("sha256", self.gan.weights_sha256 or ""),
        ]
        lines = [f"### {_code(self.name)}", "", "| | |", "|---|---|"]
        lines += [f"| {key} | {_code(value)} |" for key, value in rows]
        if self.metrics:
            lines += ["", "| metric | value | protocol |", "|---|---|---|"]
            lines += [
                f"| {_code(metric['name'])} | {measured(metric['value'], metric['std'])} | {_code(metric['protocol'])} |"
                for metric in self.metrics
            ]
        command = f"ganzoo sample {self.name} --seed 0 --out samples.png"
        return "\n".join([*lines, "", "On the command line:", "", "```console", f"$ {_plain(command)}", "```"])


ALL_CLASSES = "all in turn"


def _code(text: object) -> str:
    return f"`{_plain(text)}`" if text else ""


def _plain(text: object) -> str:
    """Return text of others on one line, without signs that Markdown or HTML would read."""
    return " ".join(str(text).translate({ord(sign): " " for sign in "`<>|[]"}).split())


def _whole(value: object, what: str, least: int, most: int) -> int:
    """Return a number of a browser, which sends 3.0 for 3. Raises UsageError."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != value // 1
        or not least <= value <= most
    ):
        raise UsageError(f"{what} must be a whole number from {least} to {most}.", hint="Change it.")
    return int(value)


def load_models(
    references: Sequence[str | os.PathLike[str]], *, device: str = "cpu", access: Access | None = None
) -> dict[str, Model]:
    """Load models by their references; without any, all that are on this machine and can be drawn.

    Raises UsageError for models of tensors, or if there are none, and what `ganzoo.load` raises.
    """
    named = bool(references)
    found: Sequence[Any] = references or [entry for entry in Zoo().entries if location(entry) != "missing"]
    models = {}
    for reference in found:
        source = resolve(reference, access)
        gan = gan_from_bytes(source.read("config"), source.read("generator"), source.reference, source.entry)
        if gan.config.sample.kind == "tensor" and not named:
            continue
        check_drawable(1, gan.config.sample)
        models[source.reference] = Model(
            source.reference, gan.to(find_device(device)), list(source.metrics), source.license
        )
    if not models:
        raise UsageError("there are no models on this machine.", hint="Name one: ganzoo demo mnist-mlp")
    return models


def build(
    references: Sequence[str | os.PathLike[str]] = (), *, device: str = "cpu", access: Access | None = None
) -> Any:
    """Return the page, a `gradio.Blocks`. Its functions `sample` and `walk` can be called by programs too.

    Raises UsageError without the extra `demo`, and what `load_models` raises.
    """
    # Read when gradio is imported: it would otherwise ask for newer versions and report its use.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    gr = needs("gradio", "demo")
    models = load_models(references, device=device, access=access)
    first = next(iter(models.values()))

    def guarded(name: str, work: Callable[[Model], Result]) -> Result:
        try:
            return work(models[name])
        except KeyError:
            raise gr.Error("Unknown model.", print_exception=False) from None
        except GanzooError as error:
            raise gr.Error(f"{error} {error.hint}", print_exception=False) from error

    def sample(name: str, num: float, seed: float, label: str, text: str, options: str) -> Image.Image:
        return guarded(name, lambda model: model.sample(num, seed, label, text, options))

    def walk(name: str, start: float, end: float, share: float, label: str, text: str, options: str) -> Image.Image:
        return guarded(name, lambda model: model.walk(start, end, share, label, text, options))

    def choices(model: Model) -> dict[str, dict[str, Any]]:
        """Return what the controls of a model show."""
        spec = model.gan.config.sample
        example = spec.text.examples[0] if spec.text is not None else ""
        return {
            "label": {
                "choices": [ALL_CLASSES, *(spec.classes or ())],
                "value": ALL_CLASSES,
                "visible": spec.classes is not None,
            },
            "text": {"value": example, "visible": spec.text is not None},
            "options": {"value": model.default_options, "visible": bool(model.default_options)},
        }

    def chosen(name: str) -> tuple[Any, ...]:
        model = guarded(name, lambda model: model)
        shown = choices(model)
        return (
            gr.Dropdown(**shown["label"]),
            gr.Textbox(**shown["text"]),
            gr.Textbox(**shown["options"]),
            model.card,
        )

    shown = choices(first)
    # Pictures are deleted an hour after they were made, every ten minutes.
    with gr.Blocks(title="ganzoo", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown("# ganzoo\nEverything is computed on this machine.")
        name = gr.Dropdown(list(models), value=first.name, label="Model", visible=len(models) > 1, elem_id="model")
        with gr.Row():
            label = gr.Dropdown(**shown["label"], label="Class", elem_id="class")
            text = gr.Textbox(**shown["text"], label="Text", elem_id="text")
            options = gr.Textbox(**shown["options"], label="Sampling options", elem_id="options")
        with gr.Tab("Samples"), gr.Row():
            with gr.Column(scale=1):
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="seed")
                num = gr.Slider(1, MAX_SAMPLES, 16, step=1, label="Samples", elem_id="num")
                generate = gr.Button("Generate", variant="primary", elem_id="generate")
                other = gr.Button("Random seed", elem_id="random")
            samples = gr.Image(label="Samples", format="png", interactive=False, elem_id="samples", scale=2)
        with gr.Tab("Between two seeds"), gr.Row():
            with gr.Column(scale=1):
                start = gr.Number(0, label="From seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="start")
                end = gr.Number(1, label="To seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="end")
                share = gr.Slider(0, 1, 0.5, step=0.01, label="Share of the way", elem_id="share")
            walked = gr.Image(label="Samples", format="png", interactive=False, elem_id="walked", scale=2)
        with gr.Tab("About the model"):
            card = gr.Markdown(first.card, elem_id="card")

        inputs, shared = [name, num, seed, label, text, options], [label, text, options]
        # `always_last`: while one picture is computed, only the newest of further requests waits.
        show: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden"}
        hidden = {**show, "api_visibility": "private"}
        generate.click(sample, inputs, samples, api_name="sample", **show)
        seed.submit(sample, inputs, samples, **hidden)
        num.release(sample, inputs, samples, **hidden)
        other.click(random_seed, None, seed, **hidden).then(sample, inputs, samples, **hidden)
        ways = [name, start, end, share, *shared]
        share.input(walk, ways, walked, api_name="walk", **show)
        for control in (start, end):
            control.submit(walk, ways, walked, **hidden)
        for control in (label.input, text.submit, options.submit):
            control(sample, inputs, samples, **hidden).then(walk, ways, walked, **hidden)
        name.input(chosen, name, [*shared, card], **hidden).then(sample, inputs, samples, **hidden).then(
            walk, ways, walked, **hidden
        )
        page.load(sample, inputs, samples, **hidden).then(walk, ways, walked, **hidden)
    return page


def launch(page: Any, *, host: str = "127.0.0.1", port: int | None = None, block: bool = True) -> str:
    """Serve the page and return its address.

    Args:
        page: of `build`.
        host: the address to listen on; only programs of this machine reach 127.0.0.1.
        port: None takes a free one.
        block: wait until the server ends (Ctrl-C).
    """
    import gradio as gr

    plain_fonts = ("system-ui", "sans-serif")  # gradio's own are loaded from the internet
    theme = gr.themes.Default(font=plain_fonts, font_mono=("ui-monospace", "monospace"))
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        inbrowser=False,
        prevent_thread_lock=not block,
        allowed_paths=[],  # the pictures that it makes itself, and nothing else
        footer_links=["api"],
        ssr_mode=False,  # would start a server of Node.js beside it
        theme=theme,
    )
    return str(address)
