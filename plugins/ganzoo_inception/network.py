"""torch-fidelity's Inception as an extractor.

Szegedy et al. 2015, arXiv:1512.00567; the trained graph of 2015-12-05 as torch-fidelity rebuilds it (Apache-2.0).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganzoo.errors import EvaluationError
from ganzoo.specs import Extractor
from ganzoo_inception.weights import URL, VARIABLE, Weights, find

VALUES, LOGITS = "2048", "logits_unbiased"
"""torch-fidelity's names of the layers; the Inception Score uses the logits without bias."""


def load(device: torch.device, folder: Path) -> Extractor:
    """Return the Inception on a device; `folder` is for weights that must be downloaded.

    Raises EvaluationError.
    """
    weights = find(folder)
    net = build(weights).to(device)

    def outputs(images: Tensor) -> Mapping[str, Tensor]:
        if images.shape[1] not in (1, 3):
            raise EvaluationError(
                f"the Inception takes images with one or three channels, not {images.shape[1]}.",
                hint="Choose a metric of the model's own dataset.",
            )
        # [batch, 1 or 3, height, width] -> [batch, 3, height, width]
        found = net.convert_features_tuple_to_dict(_forward(net, images.expand(-1, 3, -1, -1)))
        logits = {"logits": found[LOGITS]} if LOGITS in found else {}
        return {"values": found[VALUES], **logits}

    deviation = None if weights.pinned else f"{weights.path} does not hold the Inception weights of FID"
    return Extractor(outputs=outputs, sha256=weights.sha256, differentiable=True, deviation=deviation)


def _forward(net: Any, images: Tensor) -> tuple[Tensor, ...]:
    """Run torch-fidelity's module on uint8 images, or on float32 ones in [0, 255], whose gradients it then passes on.

    The module refuses floats before it resizes them. So they are resized here, and put in place of what it made of an
    image of zeros.
    """
    if images.dtype == torch.uint8:
        outputs: tuple[Tensor, ...] = net(images)
        return outputs
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    side = net.INPUT_IMAGE_SIZE
    resized = (interpolate_bilinear_2d_like_tensorflow1x(images, size=(side, side), align_corners=False) - 128) / 128
    hook = net.Conv2d_1a_3x3.register_forward_pre_hook(lambda *_: (resized,))
    try:
        outputs = net(torch.zeros(1, 3, 1, 1, dtype=torch.uint8, device=images.device))
    finally:
        hook.remove()
    return outputs


def build(weights: Weights) -> Any:
    """Return torch-fidelity's module with the given weights, for inference. Raises EvaluationError."""
    # Imported here because torch-fidelity imports torchvision, which takes longer than torch.
    from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3

    tensors = dict(weights.tensors)
    if not weights.has_classifier:
        tensors |= {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    # The constructor unpickles its argument, so it gets a file that is written here.
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    layers = [VALUES, LOGITS] if weights.has_classifier else [VALUES]
    try:
        with torch.random.fork_rng(devices=[]):  # it draws initial weights
            net = FeatureExtractorInceptionV3("inception-2015", layers, feature_extractor_weights_path=file)
    except RuntimeError as error:
        raise EvaluationError(
            f"{weights.path} holds other tensors than the Inception of FID.",
            hint=f"Set {VARIABLE} to the Inception weights: {URL}",
        ) from error
    # Fused layers are 1.3 times as fast; features differ by less than 1e-5.
    for module in net.modules():
        if isinstance(module, BasicConv2d):
            module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), nn.Identity()
    return net.to(memory_format=torch.channels_last)
