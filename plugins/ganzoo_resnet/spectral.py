"""Weights divided by their largest singular values (Miyato et al. 2018, arXiv:1802.05957, section 2.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad


class SpectralNorm(nn.Module):
    """All weights of a network -> the weights over their largest singular values. Gradients flow through these too.

    A weight is a matrix, [outputs, everything else]. Each forward pass takes one step of power iteration for its left
    singular vector `u`, which is updated only in training. All matrices are stacked in one tensor, padded with zeros:
    layer by layer, forward and backward of the discriminator of `cifar10-sngan` took 322 operations, most of them too
    small to fill a GPU; stacked they take 96. On one CPU core this adds about 20 ms to an update of 2 seconds.
    """

    u: Tensor
    """[weights, rows], zero where a matrix has fewer rows."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()
        rows = max(len(weight) for weight in weights)
        directions = [normalize(torch.randn(len(weight)), dim=0) for weight in weights]
        self.register_buffer("u", torch.stack([pad(direction, (0, rows - len(direction))) for direction in directions]))

    def forward(self, weights: Sequence[Tensor]) -> list[Tensor]:
        matrices = _stacked(weights)  # [weights, rows, columns]
        # Elementwise, because autocast would compute matrix products in bfloat16. v = Wᵀu / |Wᵀu|, then sigma = |W v|;
        # one step a pass is enough, because weights move little between updates (appendix A). u and v count as
        # constants: the gradient of sigma is then u vᵀ, as for the singular value itself.
        with torch.no_grad():
            v = normalize((matrices * self.u[:, :, None]).sum(1), dim=1)
        images = (matrices * v[:, None]).sum(2)  # sigma u
        sigma = images.norm(dim=1)
        # In evaluation mode nothing moves, so the same images get the same logits.
        if self.training:
            self.u.copy_(images.detach() / sigma.detach()[:, None])
        # Zeros of the padding stay zeros and add nothing to a norm.
        normalized = (matrices / sigma[:, None, None]).unbind()
        return [_cut_out(matrix, weight) for matrix, weight in zip(normalized, weights, strict=True)]


def _stacked(weights: Sequence[Tensor]) -> Tensor:
    """Return [weights, rows, columns] with zeros to the right and below."""
    # The inputs last, which needs no copy for weights in channels_last.
    matrices = [weight.movedim(1, -1).flatten(1) for weight in weights]
    rows, columns = (max(sizes) for sizes in zip(*(matrix.shape for matrix in matrices), strict=True))
    return torch.stack([_padded(matrix, rows, columns) for matrix in matrices])


def _padded(matrix: Tensor, rows: int, columns: int) -> Tensor:
    missing_rows, missing_columns = rows - matrix.shape[0], columns - matrix.shape[1]
    return pad(matrix, (0, missing_columns, 0, missing_rows)) if missing_rows or missing_columns else matrix


def _cut_out(matrix: Tensor, weight: Tensor) -> Tensor:
    """Cut a weight out of its padded matrix."""
    # Undoes _stacked: [outputs, kernel * inputs] -> [outputs, *kernel, inputs] -> [outputs, inputs, *kernel].
    outputs, inputs, *kernel = weight.shape
    filled = matrix[:outputs, : weight[0].numel()]
    return filled.view(outputs, *kernel, inputs).movedim(-1, 1)
