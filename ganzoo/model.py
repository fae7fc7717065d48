"""The model that `ganzoo.load` returns: a generator with the description of its latents and samples."""

from __future__ import annotations

import hashlib
import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganzoo.conditions import condition_batches
from ganzoo.errors import UsageError
from ganzoo.randomness import (
    ambient_randomness,
    derive_seed,
    interpolate_latents,
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
    from ganzoo.weights.manifest import WeightsEntry


class GAN:
    """A trained generator.

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
    ) -> None:
        self.generator = generator
        self.config = config
        self.entry = entry
        self.weights_sha256 = weights_sha256

    def __repr__(self) -> str:
        name = self.entry.reference if self.entry is not None else self.config.recipe
        return f"GAN({name}, {num_parameters(self.generator):,} parameters, samples {list(self.config.sample.shape)})"

    @property
    def device(self) -> torch.device:
        """The device of the generator."""
        return next(self.generator.parameters()).device

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

    def to(self, device: torch.device | str) -> GAN:
        """Move the generator and return the model. Raises DeviceError when this machine has no such device."""
        self.generator.to(find_device(device))
        return self

    def sample(
        self,
        num: int = 1,
        *,
        seed: int | None = None,
        labels: int | Sequence[int] | None = None,
        texts: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Generate samples.

        Latents are drawn on the CPU, so that one seed means the same latents on every device, and the first k of n
        samples have the same latents for every n. So is the noise that a generator declares. A generator that draws
        random numbers itself gets torch's global generators seeded for each batch: the same seed and num give the same
        samples, but another device or batch size gives others.

        Args:
            num: how many, at least 1.
            seed: fixes the latents; None takes a random one.
            labels: class-conditional models only: one label for all, or one for each sample; None goes through the
                classes in turn.
            texts: text-conditional models only: one text, or several that the samples take in turn; None takes the
                examples of the model's `TextSpec`.
            options: sampling options of the architecture, such as {"psi": 0.7}; the others have their defaults.

        Returns:
            float32 [num, *config.sample.shape] on the model's device; images in [-1, 1].

        Raises:
            UsageError: num below 1, a seed below 0, values of other types, or labels, texts or options that the model
                does not have.
        """
        return torch.cat(list(self.stream(num, seed=seed, labels=labels, texts=texts, options=options)))

    def stream(
        self,
        num: int = 1,
        *,
        seed: int | None = None,
        labels: int | Sequence[int] | None = None,
        texts: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
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
        latents = latent_batches(self.config.latent, num, seed, size)
        inputs = self._inputs(latents, condition_batches(self.config.sample, num, labels, texts, size), num, seed, size)
        start, stop, _ = rows.indices(num)
        # Batches of other rows are drawn and thrown away, which is cheap beside generating them.
        own = islice(enumerate(inputs), -(-start // size), -(-stop // size))
        return self._generated(own, seed, self._options(options), num // size)

    def interpolate(
        self,
        num: int = 1,
        *,
        keys: int = 4,
        frames: int = 96,
        seed: int | None = None,
        labels: int | Sequence[int] | None = None,
        texts: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
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

        Yields:
            what `sample` returns, once for each frame. Noise does not move: it is that of the first seed throughout.

        Raises:
            UsageError: as `sample`, or too few keys or frames.
        """
        if keys < 2 or frames < keys or num < 1:
            raise UsageError(
                f"cannot go through {keys} keys in {frames} frames of {num} samples.",
                hint="Ask for at least 2 keys, as many frames as keys, and 1 sample.",
            )
        first, condition = _seed(seed), next(condition_batches(self.config.sample, num, labels, texts, num))
        latents = [sample_latents(self.config.latent, num, first + key) for key in range(keys)]
        for frame in range(frames):
            # Frame t lies at t * keys / frames on the loop: the integer part is the seed it comes from, the rest its
            # share of the way to the next one. The remainder by keys closes the loop.
            key, share = divmod(frame * keys / frames, 1)
            start, end = latents[int(key)], latents[(int(key) + 1) % keys]
            between = interpolate_latents(self.config.latent, start, end, share)
            yield self.generate(between, condition, seed=first, options=options)

    def generate(
        self,
        latents: Tensor,
        condition: Tensor | None = None,
        *,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Map given latents [num, *latent.shape] to samples [num, *sample.shape].

        A class-conditional model needs labels int64 [num] as condition, a text-conditional one texts int64 [num,
        max_length] as `TextSpec.encode` gives them. The seed fixes the noise of generators that have any.
        """
        num, size = len(latents), self.batch_size
        conditions = repeat(None) if condition is None else iter(condition.split(size))
        inputs = enumerate(self._inputs(iter(latents.split(size)), conditions, num, seed, size))
        return torch.cat(list(self._generated(inputs, seed, self._options(options), num // size)))

    def _inputs(
        self, latents: Iterator[Tensor], conditions: Iterator[Tensor | None], num: int, seed: int, size: int
    ) -> Iterator[SampleInputs]:
        """Yield the inputs of each batch of `size`, with the noise of the seed."""
        noise = noise_batches(self.noise_shapes, num, seed, size)
        # Without a condition, there is no end of conditions.
        return map(SampleInputs, latents, conditions, noise)

    # On a generator function, torch turns gradients off only while a batch is computed, not while the caller has it.
    @torch.no_grad()
    def _generated(
        self, inputs: Iterator[tuple[int, SampleInputs]], seed: int, options: Mapping[str, Any], num_full: int
    ) -> Iterator[Tensor]:
        """Yield the samples of each numbered batch of inputs; `num_full` batches have the full size."""

        def run(inputs: SampleInputs) -> Tensor:
            return generate(self.generator, *inputs, options)

        fast = None
        for number, cpu_inputs in inputs:
            batch = cpu_inputs.to(self.device)
            # The first batch is also the example from which a CUDA graph is captured.
            if fast is None:
                fast = accelerated(run, batch, num_full)
            # By its number, so that each batch of a seed has its own randomness wherever it is generated.
            with ambient_randomness(derive_seed(seed, "sample", "ambient", number), self.device):
                samples = fast(batch)
            yield samples

    def save(self, folder: str | Path) -> Path:
        """Write config.json and model.safetensors into a folder that `ganzoo.load` takes, and return the folder.

        An existing file is replaced only when the new one is complete. Raises StoreError.
        """
        folder = Path(folder)
        save_nets(folder, self.config, {GENERATOR_NAME: self.generator})
        return folder

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


def gan_from_bytes(config: bytes, weights: bytes, where: Path | str, entry: WeightsEntry | None = None) -> GAN:
    """Build a model from the contents of config.json and model.safetensors, after checking both.

    Raises WeightsFormatError, UnknownNameError, PluginError.
    """
    generator, described = generator_from_bytes(config, weights, where)
    # The digest is that of the bytes just parsed; a file read a second time might be another one.
    return GAN(generator, described, entry, hashlib.sha256(weights).hexdigest())
