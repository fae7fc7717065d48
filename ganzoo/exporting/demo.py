"""A page on this machine to try models: samples, a walk between two seeds, and the numbers of each model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ganzoo.errors import GanzooError
from ganzoo.exporting.demo_models import ALL_CLASSES, MAX_SAMPLES, Model, load_models
from ganzoo.randomness import random_seed
from ganzoo.system.extras import import_extra

if TYPE_CHECKING:
    from PIL import Image

    from ganzoo.hub.client import Access

Result = TypeVar("Result")


def build(
    references: Sequence[str | os.PathLike[str]] = (), *, device: str = "cpu", access: Access | None = None
) -> Any:
    """Return the page, a `gradio.Blocks`. Its functions `sample` and `walk` can be called by programs too.

    Raises UsageError without the extra `demo`, and what `load_models` raises.
    """
    # Read when gradio is imported: it would otherwise ask for newer versions and report its use.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    gr = import_extra("gradio", "demo")
    models = load_models(references, device=device, access=access)
    first = next(iter(models.values()))
    answers = _Answers(gr, models)
    shown = _choices(first)
    # Without the button that uploads a picture.
    shown_as: dict[str, Any] = {
        "label": "Samples",
        "format": "png",
        "interactive": False,
        "buttons": ["download", "fullscreen"],
        "scale": 2,
    }
    # Pictures are deleted an hour after they were made, every ten minutes.
    with gr.Blocks(title="ganzoo", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown("# ganzoo\nEverything is computed on this machine.")
        name = gr.Dropdown(
            list(models),
            value=first.name,
            label="Model",
            visible=len(models) > 1,
            elem_id="model",
            allow_custom_value=True,
        )
        with gr.Row():
            # Custom values: a program that calls `sample` never chose a model here, so its classes are not the list.
            label = gr.Dropdown(**shown["label"], label="Class", allow_custom_value=True, elem_id="class")
            text = gr.Textbox(**shown["text"], label="Text", elem_id="text")
            options = gr.Textbox(**shown["options"], label="Sampling options", elem_id="options")
        with gr.Tab("Samples"), gr.Row():
            with gr.Column(scale=1):
                seed = gr.Number(0, label="Seed", precision=0, elem_id="seed")
                num = gr.Slider(1, MAX_SAMPLES, 16, step=1, label="Samples", elem_id="num")
                generate = gr.Button("Generate", variant="primary", elem_id="generate")
                other = gr.Button("Random seed", elem_id="random")
            samples = gr.Image(**shown_as, elem_id="samples")
        with gr.Tab("Between two seeds"), gr.Row():
            with gr.Column(scale=1):
                start = gr.Number(0, label="From seed", precision=0, elem_id="start")
                end = gr.Number(1, label="To seed", precision=0, elem_id="end")
                share = gr.Slider(0, 1, 0.5, step=0.01, label="Share of the way", elem_id="share")
            walked = gr.Image(**shown_as, elem_id="walked")
        with gr.Tab("About the model"):
            card = gr.Markdown(first.card, elem_id="card")

        inputs, shared = [name, num, seed, label, text, options], [label, text, options]
        # `always_last`: while one picture is computed, only the newest of further requests waits.
        show: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden"}
        hidden = {**show, "api_visibility": "private"}
        generate.click(answers.sample, inputs, samples, api_name="sample", **show)
        seed.submit(answers.sample, inputs, samples, **hidden)
        num.release(answers.sample, inputs, samples, **hidden)
        other.click(random_seed, None, seed, **hidden).then(answers.sample, inputs, samples, **hidden)
        ways = [name, start, end, share, *shared]
        share.input(answers.walk, ways, walked, api_name="walk", **show)
        for control in (start, end):
            control.submit(answers.walk, ways, walked, **hidden)
        for control in (label.input, text.submit, options.submit):
            control(answers.sample, inputs, samples, **hidden).then(answers.walk, ways, walked, **hidden)
        name.input(answers.chosen, name, [*shared, card], **hidden).then(
            answers.sample, inputs, samples, **hidden
        ).then(answers.walk, ways, walked, **hidden)
        page.load(answers.sample, inputs, samples, **hidden).then(answers.walk, ways, walked, **hidden)
    return page


def launch(page: Any, *, host: str = "127.0.0.1", port: int | None = None, block: bool = True) -> str:
    """Serve the page and return its address.

    Args:
        page: of `build`.
        host: the address to listen on; only programs of this machine reach 127.0.0.1.
        port: None takes a free one.
        block: wait until the server ends (Ctrl-C).
    """
    gr = import_extra("gradio", "demo")
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
        max_file_size="1kb",  # it takes no files, and gradio would take them
        footer_links=["api"],
        ssr_mode=False,  # would start a server of Node.js beside it
        theme=theme,
    )
    return str(address)


@dataclass(frozen=True)
class _Answers:
    """What the page's controls call; errors of ganzoo become the page's own."""

    gr: Any
    models: Mapping[str, Model]

    def sample(self, name: str, num: float, seed: float, label: str, text: str, options: str) -> Image.Image:
        return self._guarded(name, lambda model: model.sample(num, seed, label, text, options))

    def walk(
        self, name: str, start: float, end: float, share: float, label: str, text: str, options: str
    ) -> Image.Image:
        return self._guarded(name, lambda model: model.walk(start, end, share, label, text, options))

    def chosen(self, name: str) -> tuple[Any, ...]:
        """Return the controls and the card of a model."""
        model = self._guarded(name, lambda model: model)
        shown = _choices(model)
        return (
            self.gr.Dropdown(**shown["label"]),
            self.gr.Textbox(**shown["text"]),
            self.gr.Textbox(**shown["options"]),
            model.card,
        )

    def _guarded(self, name: str, work: Callable[[Model], Result]) -> Result:
        try:
            return work(self.models[name])
        except KeyError:
            raise self.gr.Error("Unknown model.", print_exception=False) from None
        except GanzooError as error:
            raise self.gr.Error(f"{error} {error.hint}", print_exception=False) from error


def _choices(model: Model) -> dict[str, dict[str, Any]]:
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
