"""The program beside an exported generator, which uses it without ganzoo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from ganzoo.specs import LatentSpec, SampleSpec

if TYPE_CHECKING:
    from ganzoo.model import GAN

_NUM = 16


def example(format: Literal["onnx", "torch"], gan: GAN) -> str:  # noqa: A002
    """Return the program: it generates 16 samples from random latents, and saves them as samples.npy.

    Names of the model are not in it: a config may be untrusted, and this is code.
    """
    sample, latent = gan.config.sample, gan.config.latent
    shape = ", ".join(map(str, sample.shape))
    values = " in [-1, 1]" if sample.kind == "image" else ""
    run = _onnx(latent, sample, gan.noise_shapes) if format == "onnx" else _torch(latent, sample, gan.noise_shapes)
    needed = "onnxruntime numpy" if format == "onnx" else "torch numpy"
    lines = [
        '"""Generate samples and save them as samples.npy.',
        "",
        f"Needs {needed}{' pillow' if sample.kind == 'image' else ''}, and not ganzoo.",
        '"""',
        "",
        "from pathlib import Path",
        "",
        *run,
        f"np.save('samples.npy', samples)  # float32 [{_NUM}, {shape}]{values}",
    ]
    if sample.kind == "image":
        lines += [
            "",
            "pixels = np.clip((samples + 1) * 127.5, 0, 255).round().astype(np.uint8)",
            "row = np.concatenate(list(pixels), axis=2).transpose(1, 2, 0)  # [height, 16 * width, channels]",
            "Image.fromarray(row.squeeze()).save('samples.png')",
        ]
    return "\n".join(lines) + "\n"


def _onnx(latent: LatentSpec, sample: SampleSpec, noise: Mapping[str, tuple[int, ...]]) -> list[str]:
    size = _size(latent.shape)
    latents = {
        "normal": f"rng.standard_normal({size})",
        "uniform": f"rng.uniform(-1, 1, {size})",
        # Values outside of the bounds, a twentieth at 2, are drawn again.
        "truncated_normal": f"rng.standard_normal({size})",
        "categorical": f"np.moveaxis(np.eye({latent.dim})[rng.integers({latent.dim}, size="
        f"{_size(latent.grid)})], -1, 1)",
    }[latent.distribution]
    lines = [
        "import numpy as np",
        "import onnxruntime",
        *(["from PIL import Image"] if sample.kind == "image" else []),
        "",
        "session = onnxruntime.InferenceSession(Path(__file__).with_name('generator.onnx'))",
        "rng = np.random.default_rng(0)",
        f"latents = {latents}",
    ]
    if latent.distribution == "truncated_normal":
        lines += [
            f"while (outside := np.abs(latents) > {latent.truncation}).any():",
            "    latents[outside] = rng.standard_normal(outside.sum())",
        ]
    lines.append("inputs = {'latents': latents.astype(np.float32)}")
    if sample.text is not None:
        lines.append(f"inputs['texts'] = np.array([{list(_text(sample))}] * {_NUM})  # each character by its place")
    elif sample.classes is not None:
        lines.append(f"inputs['labels'] = np.arange({_NUM}) % {len(sample.classes)}")
    lines += [
        f"inputs[{f'noise.{name}'!r}] = rng.standard_normal({_size(shape)}).astype(np.float32)"
        for name, shape in noise.items()
    ]
    return [*lines, "(samples,) = session.run(['samples'], inputs)"]


def _torch(latent: LatentSpec, sample: SampleSpec, noise: Mapping[str, tuple[int, ...]]) -> list[str]:
    size, grid = _size(latent.shape), _size(latent.grid)
    latents = {
        "normal": f"torch.randn{size}",
        "uniform": f"2 * torch.rand{size} - 1",
        "truncated_normal": f"torch.nn.init.trunc_normal_(torch.empty{size}, a=-{latent.truncation}, "
        f"b={latent.truncation})",
        "categorical": f"torch.nn.functional.one_hot(torch.randint({latent.dim}, {grid}), {latent.dim})"
        ".movedim(-1, 1).float()",
    }[latent.distribution]
    lines = [
        "import numpy as np",
        "import torch",
        *(["from PIL import Image"] if sample.kind == "image" else []),
        "",
        "generator = torch.export.load(Path(__file__).with_name('generator.pt2')).module()",
        "torch.manual_seed(0)",
        f"inputs = [{latents}]",
    ]
    if sample.text is not None:
        lines.append(f"inputs.append(torch.tensor([{list(_text(sample))}] * {_NUM}))  # each character by its place")
    elif sample.classes is not None:
        lines.append(f"inputs.append(torch.arange({_NUM}) % {len(sample.classes)})")
    lines += [f"inputs.append(torch.randn{_size(shape)})" for shape in noise.values()]
    return [*lines, "samples = generator(*inputs).detach().numpy()"]


def _size(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, (_NUM, *shape)))},)" if not shape else f"({', '.join(map(str, (_NUM, *shape)))})"


def _text(sample: SampleSpec) -> tuple[int, ...]:
    assert sample.text is not None
    return sample.text.encode(sample.text.examples[0])
