"""Networks <-> the files of a weights folder: config.json, and one safetensors file for each net."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from ganzoo.errors import GanzooError, SettingsError, StoreError, WeightsFormatError, hint_for
from ganzoo.system.files import contents, whole_folder, write_atomically
from ganzoo.version import __version__
from ganzoo.weights.building import build_with_weights, discriminator_builder, generator_builder
from ganzoo.weights.layout import CONFIG_NAME, GENERATOR_NAME
from ganzoo.weights.model_config import ModelConfig, parse_model_config
from ganzoo.weights.tensors import DATA_DIGEST_KEY, deserialize, serialize

_CONFIG_DIGEST_KEY = "ganzoo.config_sha256"


def save_nets(folder: Path, config: ModelConfig, nets: Mapping[str, nn.Module]) -> None:
    """Write a config.json and one safetensors file per net, whose header holds the digest of that config.

    Raises StoreError.
    """
    # Two files cannot be replaced in one step. The digest in the header ties them together, so that a mixture of old
    # and new is noticed on loading instead of sampling with the wrong description.
    content = config.to_bytes()
    metadata = {
        "format": "pt",
        "ganzoo.version": __version__,
        _CONFIG_DIGEST_KEY: hashlib.sha256(content).hexdigest(),
    }

    def write(folder: Path) -> None:
        write_atomically(folder / CONFIG_NAME, content)
        for name, net in nets.items():
            write_atomically(folder / name, serialize(net.state_dict(), metadata))

    try:
        if folder.is_dir() and contents(folder):
            write(folder)
        else:  # all files or none
            with whole_folder(folder) as partial:
                write(partial)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}.", hint=hint_for(error)) from error


def generator_from_bytes(config: bytes, weights: bytes, where: Path | str) -> tuple[nn.Module, ModelConfig]:
    """Build the generator of a model from the contents of config.json and model.safetensors, after checking both.

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
        # In evaluation mode: batch normalization would otherwise make a sample depend on the others of its batch.
        return build_with_weights(builder, tensors, place).eval().requires_grad_(False), described
    except SettingsError as error:
        raise WeightsFormatError(str(error), hint=error.hint) from error
    except GanzooError:
        raise
    except Exception as error:  # a plugin's builder may raise anything for a config that it does not expect
        raise WeightsFormatError(
            f"{where}: the architecture {described.architecture!r} cannot be built from this config: {error}.",
            hint="Update the plugin that registers it.",
        ) from error


def discriminator_from_bytes(config: ModelConfig, weights: bytes, where: Path | str) -> nn.Module:
    """Build the discriminator of a model from the contents of its file, checked like the generator's.

    Raises WeightsFormatError, UnknownNameError, PluginError.
    """
    tensors, _ = deserialize(weights, where)
    return build_with_weights(discriminator_builder(config, str(where)), tensors, where)
