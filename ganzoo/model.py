"""The model that `ganzoo.load` returns: a generator with the description of its latents and samples."""

from __future__ import annotations

import hashlib
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganzoo.conditions import Labels, condition_batches
from ganzoo.deferred import deferred
from ganzoo.errors import MissingWeightsError, UsageError
from ganzoo.latents import checked_latents, loop_latents, truncate_latents
from ganzoo.randomness import (
    ambient_randomness,
    derive_seed,
    latent_batches,
    noise_batches,
    random_seed,
    sample_latents,
)
from ganzoo.sampling import SampleInputs, accelerated, best_batch_size, generate
from ganzoo.system.devices import find_device
from ganzoo.weights.building import noise_shapes, num_parameters, sampling_options
from ganzoo.weights.layout import GENERATOR_NAME
from ganzoo.weights.model_config import ModelConfig
from ganzoo.weights.nets import generator_from_bytes, save_nets

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from PIL.Image import Image

    from ganzoo.weights.manifest import WeightsEntry

# Drawing comes after the model, because it draws what models return.
_check_drawable = deferred("ganzoo.rendering.picture:check_drawable")
_picture = deferred("ganzoo.rendering.picture:picture")
_single_pictures = deferred("ganzoo.rendering.picture:single_pictures")
_notebook_html = deferred("ganzoo.rendering.notebook:model_html")


class GAN:
    """A trained generator.

        gan = ganzoo.load("mnist-cgan")
        images = gan.sample(16, seed=0, labels="7")  # float32 [16, 1, 28, 28] in [-1, 1]
        latents = gan.latents(16, seed=0)
        images = gan(latents, "7")  # the same; gradients reach latents that require them

    Attributes:
        generator: the module, in evaluation mode: z [batch, *latent.shape] (, labels [batch] or texts [batch,
            max_length]) -> samples [batch, *sample.shape]; `generate` also passes noise and options.
        config: its description: architecture, latents, samples, dataset, recipe.
        entry: its entry in a weights manifest, or None (a folder, a run, a Hub repository).
        weights_sha256: digest of the file that the generator was loaded from, or None.
    """

    def __init__(
        self,
        generator: nn.Module,
        config: ModelConfig,
        entry: WeightsEntry | None = None,
        weights_sha256: str | None = None,
        read_discriminator: Callable[[], nn.Module] | None = None,
    ) -> None:
        self.generator = generator
        self.config = config
        self.entry = entry
        self.weights_sha256 = weights_sha256
        self._read_discriminator = read_discriminator
        self._saved_dtype = self.dtype

    def __getstate__(self) -> dict[str, Any]:
        # A copy in another process cannot read where this one did: the way there may hold a token.
        return {**self.__dict__, "_read_discriminator": None}

    @property
    def name(self) -> str:
        """Its reference in a weights manifest, or the name of its recipe."""
        return str(self.entry.reference) if self.entry is not None else self.config.recipe

    def __repr__(self) -> str:
        shape = list(self.config.sample.shape)
        return f"GAN({self.name}, {num_parameters(self.generator):,} parameters, samples {shape})"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of a class-conditional model; empty for others."""
        return self.config.sample.classes or ()

    @cached_property
    def discriminator(self) -> nn.Module:
        """The module that was trained with the generator, in evaluation mode, read when it is first asked for.

        samples [batch, *sample.shape] (, labels [batch] or texts [batch, max_length]) -> raw logits [batch].

        Raises MissingWeightsError where weights were published without one, and what `ganzoo.load` raises.
        """
        if self._read_discriminator is None:
            raise MissingWeightsError(
                f"{self.name} has no discriminator.", hint="Load a run, or weights that were published with one."
            )
        return self._read_discriminator().eval().requires_grad_(False).to(self.device, self.dtype)

    @property
    def device(self) -> torch.device:
        """The device of the generator."""
        return next(self.generator.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type that the generator computes in. Latents and samples are float32 all the same."""
        return next(self.generator.parameters()).dtype

    @property
    def batch_size(self) -> int:
        """Samples generated in one pass by default."""
        return best_batch_size(self.device)

    @cached_property
    def noise_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the noise that the generator takes for a sample, by name; empty for most."""
        return noise_shapes(self.config, self.config.recipe)

    @cached_property
    def _default_options(self) -> Mapping[str, Any]:
        return sampling_options(self.config, None)

    def _options(self, options: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return all sampling options, the given ones checked. Raises UsageError."""
        return sampling_options(self.config, options) if options else self._default_options

    def to(self, device: torch.device | str | torch.dtype | None = None, dtype: torch.dtype | None = None) -> GAN:
        """Move the model to a device, make it compute in another floating-point type, or both, and return it.

        Raises DeviceError when this machine has no such device, UsageError for another type.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        if dtype is not None and not dtype.is_floating_point:
            raise UsageError(f"a generator cannot compute in {dtype}.", hint="Pass torch.float32 or torch.bfloat16.")
        target = self.device if device is None else find_device(device)
        self.generator.to(target, dtype)
        if "discriminator" in self.__dict__:
            self.discriminator.to(target, dtype)
        return self

    def latents(self, num: int = 1, seed: int | None = None, *, truncation: float | None = None) -> Tensor:
        """Draw latents: those of `sample` with the same num and seed.

        Args:
            num: how many, at least 1.
            seed: fixes them; None takes a random one.
            truncation: largest absolute value of a component, such as 1.0 for more typical samples of less variety.

        Returns float32 [num, *config.latent.shape] on the model's device. Raises UsageError.
        """
        drawn = sample_latents(self.config.latent, _whole(num, "the number of latents", 1), _seed(seed))
        return self._truncated(truncation, drawn).to(self.device)

    def _truncated(self, truncation: float | None, latents: Tensor) -> Tensor:
        return latents if truncation is None else truncate_latents(self.config.latent, latents, truncation)

    def sample(
        self,
        num: int = 1,
        *,
        seed: int | None = None,
        labels: Labels | None = None,
        texts: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Generate samples.

        Latents are drawn on the CPU, so that one seed means the same latents on every device, and the first k of n
        samples have the same latents for every n. So is the noise that a generator declares. A generator that draws
        random numbers itself gets torch's global generators seeded for each batch: the same seed and num give the same
        samples, but another device or batch size gives others.

        Args:
            num: how many, at least 1.
            seed: fixes the latents; None takes a random one.
            labels: class-conditional models only: one label for all, or one for each sample, by number or name; None
                goes through the classes in turn.
            texts: text-conditional models only: one text, or several that the samples take in turn; None takes the
                examples of the model's `TextSpec`.
            options: sampling options of the architecture, such as {"psi": 0.7}; the others have their defaults.
            truncation: as in `latents`.

        Returns:
            float32 [num, *config.sample.shape] on the model's device; images in [-1, 1].

        Raises:
            UsageError: num below 1, a seed below 0, values of other types, or labels, texts or options that the model
                does not have.
        """
        batches = self.stream(num, seed=seed, labels=labels, texts=texts, options=options, truncation=truncation)
        return torch.cat(list(batches))

    def stream(
        self,
        num: int = 1,
        *,
        seed: int | None = None,
        labels: Labels | None = None,
        texts: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        truncation: float | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
    ) -> Iterator[Tensor]:
        """Generate the samples of `sample` batch by batch, in memory that does not grow with their number.

        On a CUDA device many batches are generated by one CUDA graph, which saves a small net its launches.

        Args:
            num: how many, at least 1.
            seed: fixes the latents; None takes a random one.
            labels: as in `sample`.
            texts: as in `sample`.
            options: as in `sample`.
            truncation: as in `latents`.
            batch_size: samples in one pass, at least 1; None takes what is fast on the device. Another one changes no
                latent, and samples by rounding only.
            rows: only these of the num samples, as whole batches: for processes that share the work.

        Yields:
            float32 [batch_size, *config.sample.shape] on the model's device; the last one may be shorter.

        Raises:
            UsageError: num or batch_size below 1, or labels, texts or options that the model does not have; before the
                first batch.
        """
        # Not a generator function itself: arguments are checked at the call, and only the samples are lazy.
        num = _whole(num, "the number of samples", 1)
        size = self.batch_size if batch_size is None else _whole(batch_size, "batch_size", 1)
        seed = _seed(seed)
        if truncation is not None:  # a wrong one is refused here, not at the first batch
            self._truncated(truncation, torch.zeros(1, *self.config.latent.shape))
        latents = map(partial(self._truncated, truncation), latent_batches(self.config.latent, num, seed, size))
        inputs = self._inputs(latents, condition_batches(self.config.sample, num, labels, texts, size), num, seed, size)
        start, stop, _ = rows.indices(num)
        # Batches of other rows are drawn and thrown away, which is cheap beside generating them.
        own = islice(enumerate(inputs), -(-start // size), -(-stop // size))
        # On a generator function, torch turns gradients off while a batch is computed, not while the caller has it.
        return torch.no_grad()(self._generated)(own, seed, self._options(options), num // size)

    def interpolate(
        self,
        num: int = 1,
        *,
        keys: int = 4,
        frames: int = 96,
        seed: int | None = None,
        labels: Labels | None = None,
        texts: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        truncation: float | None = None,
    ) -> Iterator[Tensor]:
        """Generate samples while their latents move in a loop from seed to seed.

        Args:
            num: how many samples move.
            keys: seeds on the way, at least 2: the samples of `sample(num, seed=seed)`, of seed + 1, and so on.
            frames: steps of the loop, at least `keys`; the step after the last one is the first again.
            seed: fixes the latents; None takes a random one.
            labels: as in `sample`; they do not change on the way.
            texts: as labels.
            options: as in `sample`.
            truncation: as in `latents`.

        Yields:
            what `sample` returns, once for each frame. Noise does not move: it is that of the first seed throughout.

        Raises:
            UsageError: as `sample`, or too few keys or frames.
        """
        num, first = _whole(num, "the number of samples", 1), _seed(seed)
        drawn = [self.latents(num, first + key, truncation=truncation) for key in range(_whole(keys, "keys", 2))]
        for between in loop_latents(self.config.latent, drawn, _whole(frames, "frames", keys)):
            yield self.generate(between, labels, texts=texts, seed=first, options=options)

    def generate(
        self,
        latents: Tensor | ArrayLike,
        labels: Labels | None = None,
        *,
        texts: str | Sequence[str] | None = None,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Map given latents to samples; `gan(latents)` is the same.

        Args:
            latents: [num, *config.latent.shape], a tensor or an array of any kind. Where they require gradients, so do
                the samples.
            labels: as in `sample`.
            texts: as in `sample`.
            seed: fixes the noise of generators that have any.
            options: as in `sample`.

        Returns float32 [num, *config.sample.shape] on the model's device. Raises UsageError, also for latents of
        another shape.
        """
        given = checked_latents(self.config.latent, latents)
        num, size, seed = len(given), self.batch_size, _seed(seed)
        conditions = condition_batches(self.config.sample, num, labels, texts, size)
        inputs = enumerate(self._inputs(iter(given.split(size)), conditions, num, seed, size))
        with torch.set_grad_enabled(given.requires_grad and torch.is_grad_enabled()):
            return torch.cat(list(self._generated(inputs, seed, self._options(options), num // size)))

    __call__ = generate

    def _inputs(
        self, latents: Iterator[Tensor], conditions: Iterator[Tensor | None], num: int, seed: int, size: int
    ) -> Iterator[SampleInputs]:
        """Yield the inputs of each batch of `size`, with the noise of the seed."""
        noise = noise_batches(self.noise_shapes, num, seed, size)
        # Without a condition, there is no end of conditions.
        return map(SampleInputs, latents, conditions, noise)

    def _generated(
        self, inputs: Iterator[tuple[int, SampleInputs]], seed: int, options: Mapping[str, Any], num_full: int
    ) -> Iterator[Tensor]:
        """Yield the samples of each numbered batch of inputs; `num_full` batches have the full size."""
        dtype = self.dtype

        def run(inputs: SampleInputs) -> Tensor:
            latents, condition, noise = inputs
            noise = None if noise is None else {name: values.to(dtype) for name, values in noise.items()}
            return generate(self.generator, latents.to(dtype), condition, noise, options).float()

        fast = None
        for number, cpu_inputs in inputs:
            batch = cpu_inputs.to(self.device)
            # The first batch is also the example from which a CUDA graph is captured.
            if fast is None:
                fast = run if torch.is_grad_enabled() else accelerated(run, batch, num_full)
            # By its number, so that each batch of a seed has its own randomness wherever it is generated.
            with ambient_randomness(derive_seed(seed, "sample", "ambient", number), self.device):
                samples = fast(batch)
            yield samples

    def save(self, folder: str | Path) -> Path:
        """Write config.json and model.safetensors into a folder that `ganzoo.load` takes, and return the folder.

        An existing file is replaced only when the new one is complete. Raises StoreError, and UsageError for a model
        that `to` made compute in another type.
        """
        if self.dtype != self._saved_dtype:
            raise UsageError(
                f"this model was converted to {self.dtype}, which its config does not describe.",
                hint=f"Save it first, or convert it back: gan.to({self._saved_dtype})",
            )
        folder = Path(folder)
        save_nets(folder, self.config, {GENERATOR_NAME: self.generator})
        return folder

    # --- pictures ---

    def images(
        self,
        num: int = 1,
        *,
        seed: int | None = None,
        labels: Labels | None = None,
        texts: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        truncation: float | None = None,
    ) -> list[Image]:
        """Return the samples of `sample` as Pillow images, one for each: pixel by pixel, or the plot of a curve.

        Raises as `sample`, and UsageError for tensors, which are not drawn.
        """
        samples = self.sample(num, seed=seed, labels=labels, texts=texts, options=options, truncation=truncation)
        pictures: list[Image] = _single_pictures(samples, self.config.sample)
        return pictures

    def grid(
        self,
        num: int = 16,
        *,
        columns: int | None = None,
        seed: int | None = None,
        labels: Labels | None = None,
        texts: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        truncation: float | None = None,
    ) -> Image:
        """Return one Pillow image of all samples: images in a grid, about square without `columns`; curves in a plot.

        Raises as `images`.
        """
        # Before memory is taken for too many.
        _check_drawable(_whole(num, "the number of samples", 1), self.config.sample)
        samples = self.sample(num, seed=seed, labels=labels, texts=texts, options=options, truncation=truncation)
        grid: Image = _picture(samples, self.config.sample, columns)
        return grid

    def _repr_html_(self) -> str:
        """Return what a notebook shows: samples of seed 0, facts, and a line to start with."""
        html: str = _notebook_html(self)
        return html

    # --- the names that users of the Hugging Face ecosystem expect; they call ganzoo's own functions ---

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        device: str | torch.device = "cpu",
    ) -> GAN:
        """Load a model from a folder, from the zoo by name, or from the Hub as `owner/repo`; raises as `ganzoo.load`.

        Args:
            name_or_path: an existing folder, a name such as `mnist-mlp`, or `owner/repo` (with or without `hf:`).
            revision: branch, tag or commit of a Hub repository.
            token: for private repositories; None takes HF_TOKEN or the login, False none.
            cache_dir: a store other than GANZOO_HOME.
            force_download: download again, and resolve the revision again.
            local_files_only: make no requests.
            device: where the generator goes.
        """
        import ganzoo
        from ganzoo.hub.client import Access
        from ganzoo.weights.store import Store

        name = os.fspath(name_or_path)
        store = Store() if cache_dir is None else Store(Path(cache_dir))
        access = Access(store=store, token=token, offline=local_files_only)
        if Path(name).is_dir():
            return ganzoo.load(Path(name), device=device)
        # Exactly one slash means owner/repo. Names in the zoo have none, and ./x is a folder that does not exist.
        reference = f"hf:{name}" if name.count("/") == 1 and not name.startswith((".", "hf:", "/")) else name
        if revision is not None:
            reference = f"{reference}@{revision}"
        if force_download:
            ganzoo.pull(reference, force=True, access=access)
        return ganzoo.load(reference, device=device, access=access)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> Path:
        """Save, as `save` does."""
        return self.save(Path(save_directory))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        license: str,
        commit_message: str | None = None,
        private: bool = False,
        token: str | bool | None = None,
        create_pr: bool = False,
        tag: str | None = None,
    ) -> str:
        """Publish this model as `ganzoo.push` does, and return the address of the commit. Raises as it does."""
        import ganzoo

        pushed = ganzoo.push(
            self,
            repo_id,
            license=license,
            private=private,
            tag=tag,
            message=commit_message,
            create_pr=create_pr,
            token=token,
        )
        return pushed.url


def _whole(value: object, what: str, least: int) -> int:
    """Return an integer, numpy's and torch's too. Raises UsageError for another type or a smaller one."""
    try:
        # `index` takes integers of numpy and torch and refuses 3.0, but it would also take True, as 1.
        number = least - 1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least:
        raise UsageError(f"{what} is {value!r}.", hint=f"Pass an integer of at least {least}.")
    return number


def _seed(seed: int | None) -> int:
    return random_seed() if seed is None else _whole(seed, "the seed", 0)


def gan_from_bytes(
    config: bytes,
    weights: bytes,
    where: Path | str,
    entry: WeightsEntry | None = None,
    read_discriminator: Callable[[ModelConfig], nn.Module] | None = None,
) -> GAN:
    """Build a model from the contents of config.json and model.safetensors, after checking both.

    Raises WeightsFormatError, UnknownNameError, PluginError.
    """
    generator, described = generator_from_bytes(config, weights, where)
    # The digest is that of the bytes just parsed; a file read a second time might be another one.
    discriminator = None if read_discriminator is None else partial(read_discriminator, described)
    return GAN(generator, described, entry, hashlib.sha256(weights).hexdigest(), discriminator)
