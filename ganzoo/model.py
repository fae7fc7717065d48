"""The model that `ganzoo.load` returns: a generator that knows its latents, its samples and where it came from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganzoo.building import build_with_weights, discriminator_builder, generator_builder, num_parameters
from ganzoo.errors import GanzooError, SettingsError, StoreError, UsageError, WeightsFormatError
from ganzoo.files import write_atomically
from ganzoo.model_config import ModelConfig, parse_model_config
from ganzoo.randomness import interpolate_latents, random_seed, sample_latents
from ganzoo.tensors import DATA_DIGEST_KEY, deserialize, serialize
from ganzoo.version import __version__

if TYPE_CHECKING:
    from ganzoo.manifest import WeightsEntry

CONFIG_NAME = "config.json"
GENERATOR_NAME = "model.safetensors"
DISCRIMINATOR_NAME = "discriminator.safetensors"
TRAINING_NAME = "training.json"

_CONFIG_DIGEST_KEY = "ganzoo.config_sha256"
_BATCH = 256


class GAN:
    """A trained generator.

    Attributes:
        generator: the module, in evaluation mode: z [batch, latent.dim] (, labels [batch]) -> [batch, *sample.shape].
        config: what it is: architecture, latents, samples, dataset, recipe.
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
        """Where the generator is."""
        return next(self.generator.parameters()).device

    def to(self, device: torch.device | str) -> GAN:
        """Move the generator and return the model."""
        self.generator.to(device)
        return self

    @torch.no_grad()
    def sample(self, num: int = 1, *, seed: int | None = None, labels: int | Sequence[int] | None = None) -> Tensor:
        """Generate samples.

        Latents are drawn on the CPU, so that one seed means the same latents on every device, and the first k of n
        samples have the same latents for every n.

        Args:
            num: how many, at least 1.
            seed: fixes the latents; None takes a random one.
            labels: class-conditional models only: one label for all, or one for each sample; None goes through the
                classes in turn.

        Returns:
            float32 [num, *config.sample.shape] on the model's device; images in [-1, 1].

        Raises:
            UsageError: num below 1, or labels that the model does not have.
        """
        if num < 1:
            raise UsageError(f"cannot generate {num} samples.", hint="Ask for at least 1.")
        latents = sample_latents(self.config.latent, num, random_seed() if seed is None else seed)
        return self.generate(latents, self.labels(num, labels))

    def interpolate(
        self,
        num: int = 1,
        *,
        keys: int = 4,
        frames: int = 96,
        seed: int | None = None,
        labels: int | Sequence[int] | None = None,
    ) -> Iterator[Tensor]:
        """Generate samples while their latents go in a loop from seed to seed.

        Args:
            num: how many samples move.
            keys: seeds on the way, at least 2: the samples of `sample(num, seed=seed)`, of seed + 1, and so on.
            frames: how many moments of the loop, at least `keys`; the last one leads back to the first.
            seed: fixes the latents; None takes a random one.
            labels: as in `sample`; they stay as they are.

        Yields:
            what `sample` returns, `frames` times.

        Raises:
            UsageError: as `sample`, or too few keys or frames.
        """
        if keys < 2 or frames < keys or num < 1:
            raise UsageError(
                f"cannot go through {keys} keys in {frames} frames of {num} samples.",
                hint="Ask for at least 2 keys, as many frames, and 1 sample.",
            )
        first, chosen = random_seed() if seed is None else seed, self._labels(num, labels)
        latents = [sample_latents(self.config.latent, num, first + key) for key in range(keys)]
        for frame in range(frames):
            key, share = divmod(frame * keys / frames, 1)
            start, end = latents[int(key)], latents[(int(key) + 1) % keys]
            yield self.generate(interpolate_latents(self.config.latent, start, end, share), chosen)

    @torch.no_grad()
    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map given latents [num, latent.dim] (and labels int64 [num]) to samples [num, *sample.shape]."""
        parts = []
        for start in range(0, len(latents), _BATCH):
            inputs = [latents[start : start + _BATCH].to(self.device)]
            if labels is not None:
                inputs.append(labels[start : start + _BATCH].to(self.device))
            parts.append(self.generator(*inputs))
        return torch.cat(parts)

    def labels(self, num: int, labels: int | Sequence[int] | None = None) -> Tensor | None:
        """Return the labels int64 [num] that `sample` uses, None for a model without classes. Raises UsageError."""
        classes = self.config.sample.classes
        if classes is None:
            if labels is not None:
                raise UsageError("this model is not class-conditional.", hint="Leave the labels out.")
            return None
        if labels is None:
            return torch.arange(num) % len(classes)
        chosen = torch.full((num,), labels) if isinstance(labels, int) else torch.as_tensor(labels)
        if chosen.shape != (num,) or chosen.is_floating_point() or chosen.min() < 0 or chosen.max() >= len(classes):
            raise UsageError(
                f"labels must be {num} integers from 0 to {len(classes) - 1}.",
                hint=f"The classes are {', '.join(classes[:20])}.",
            )
        return chosen.long()

    def save(self, folder: str | Path) -> Path:
        """Write config.json and model.safetensors into a folder that `ganzoo.load` takes, and return it.

        Each file is replaced as a whole. Raises StoreError.
        """
        folder = Path(folder)
        save_nets(folder, self.config, {GENERATOR_NAME: self.generator})
        return folder

    # --- the names that users of the Hugging Face ecosystem expect ---

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
        device: str = "cpu",
    ) -> GAN:
        """Load a model from a folder, from the zoo by name, or from the Hub as `owner/repo`; raises as `ganzoo.load`.

        Args:
            name_or_path: an existing folder, a name such as `mnist-mlp`, or `owner/repo` (with or without `hf:`).
            revision: branch, tag or commit of a Hub repository.
            token: for private repositories; None takes HF_TOKEN or the login, False none.
            cache_dir: a store other than GANZOO_HOME.
            force_download: fetch again, and resolve the revision anew.
            local_files_only: ask nothing of the network.
            device: where the generator goes.
        """
        from ganzoo.hub.access import Access
        from ganzoo.store import Store
        from ganzoo.zoo import load, pull

        name = os.fspath(name_or_path)
        store = Store() if cache_dir is None else Store(Path(cache_dir))
        access = Access(store=store, token=token, offline=local_files_only)
        if Path(name).is_dir():
            return load(Path(name), device=device)
        reference = f"hf:{name}" if name.count("/") == 1 and not name.startswith((".", "hf:", "/")) else name
        if revision is not None:
            reference = f"{reference}@{revision}"
        if force_download:
            pull(reference, force=True, access=access)
        return load(reference, device=device, access=access)

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
        """Publish this model, read it back and compare it; return the commit's address. Raises HubError, UsageError."""
        import tempfile

        from ganzoo.hub.push import prepare, push

        with tempfile.TemporaryDirectory(prefix="ganzoo-") as folder:
            package = prepare(self.save(folder), repo_id, license=license)
        done = push(package, private=private, tag=tag, message=commit_message, create_pr=create_pr, token=token)
        return done.url


def save_nets(folder: Path, config: ModelConfig, nets: Mapping[str, nn.Module]) -> None:
    """Write a config.json and one safetensors file for each net, each naming the config it belongs to.

    Raises StoreError.
    """
    content = config.to_bytes()
    metadata = {
        "format": "pt",
        "ganzoo.version": __version__,
        _CONFIG_DIGEST_KEY: hashlib.sha256(content).hexdigest(),
    }
    try:
        write_atomically(folder / CONFIG_NAME, content)
        for name, net in nets.items():
            write_atomically(folder / name, serialize(net.state_dict(), metadata))
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder}: {error.strerror}.", hint="Free some space, or name another folder."
        ) from error


def gan_from_bytes(config: bytes, weights: bytes, where: Path | str, entry: WeightsEntry | None = None) -> GAN:
    """Build a model from the contents of config.json and model.safetensors, all checked before anything is built.

    Raises WeightsFormatError, UnknownNameError, PluginError.
    """
    described = parse_model_config(config, f"{where}/{CONFIG_NAME}")
    place = f"{where}/{GENERATOR_NAME}"
    tensors, metadata = deserialize(weights, place)
    if DATA_DIGEST_KEY not in metadata or _CONFIG_DIGEST_KEY not in metadata:
        raise WeightsFormatError(f"{place} was not written by ganzoo.", hint="Save it with GAN.save().")
    if metadata[_CONFIG_DIGEST_KEY] != hashlib.sha256(config).hexdigest():
        raise WeightsFormatError(
            f"{where}/{CONFIG_NAME} is not the one that {GENERATOR_NAME} was written with.",
            hint="Restore the config.json of these weights.",
        )
    try:
        builder = generator_builder(described, place)
        generator = build_with_weights(builder, tensors, place).eval().requires_grad_(False)
        return GAN(generator, described, entry, hashlib.sha256(weights).hexdigest())
    except SettingsError as error:
        raise WeightsFormatError(str(error), hint=error.hint) from error
    except GanzooError:
        raise
    except Exception as error:  # a plugin's builder met a config it did not foresee
        raise WeightsFormatError(
            f"{where}: the architecture {described.architecture!r} cannot be built from this config: {error}.",
            hint="Update the plugin that registers it.",
        ) from error


def discriminator_from_bytes(config: ModelConfig, weights: bytes, where: Path | str) -> nn.Module:
    """Build the discriminator that was trained with a model from the contents of its file, checked as the generator's.

    Raises WeightsFormatError, UnknownNameError, PluginError.
    """
    tensors, _ = deserialize(weights, where)
    return build_with_weights(discriminator_builder(config, str(where)), tensors, where)
