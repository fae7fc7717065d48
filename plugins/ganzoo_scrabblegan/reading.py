"""The probability that a recogniser reads a text, as the loss of both nets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganzoo.specs import GeneratorRegularizerInputs, RegularizerInputs

IMPOSSIBLE = -1e30
"""Stands for log 0: with minus infinity, gradients would be NaN."""


def read_real(inputs: RegularizerInputs) -> Tensor:
    """-log p(text | x) / length, mean over the real samples.

    The recogniser is trained on real words only, so that it cannot adapt to unreadable fakes.
    """
    assert inputs.real_labels is not None
    return loss_per_character(inputs.discriminator.read(inputs.real), inputs.real_labels)


def read_fake(inputs: GeneratorRegularizerInputs) -> Tensor:
    """-log p(text | G(z, text)) / length, mean over the fakes.

    The recogniser's batch normalisation takes the statistics of the fakes, as it takes those of real samples above.
    """
    assert inputs.labels is not None
    return loss_per_character(inputs.discriminator.read(inputs.fake), inputs.labels)


def loss_per_character(log_probs: Tensor, texts: Tensor) -> Tensor:
    """Return the mean over the batch of the CTC loss divided by the text's length, []."""
    lengths = (texts > 0).sum(1).clamp_min(1)
    return (ctc_loss(log_probs, texts) / lengths).mean()


def ctc_loss(log_probs: Tensor, texts: Tensor) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006, section 4.1): -log p(text).

    The probability of a text is the sum over all ways to write it into the columns: each character in one column or
    several adjoining ones, with any number of blanks between two characters and at least one between equal ones.

    Args:
        log_probs: [columns, batch, 1 + characters], log-probabilities of the blank and of each character.
        texts: int64 [batch, max_length], 1 for the first character, padded with 0.

    Returns:
        [batch]; 0 for a text that does not fit into the columns.

    Not `torch.nn.functional.ctc_loss`: on a GPU it reads the lengths on the host, so a step with it could not be
    recorded.
    """
    # Blanks before, between and after the characters: [batch, states], states = 2 max_length + 1.
    states = pad(texts[:, :, None], (1, 0)).flatten(1)
    states = pad(states, (0, 1))
    emitted = log_probs.gather(2, states.expand(len(log_probs), -1, -1))  # [columns, batch, states]
    # A blank between two different characters may be left out.
    before = pad(states, (2, 0))[:, :-2]
    may_skip = (states > 0) & (states != before)
    # 0 where a skip is allowed.
    skip_penalty = torch.zeros_like(emitted[0]).masked_fill(~may_skip, IMPOSSIBLE)
    # alpha[s]: log-probability of all ways to have come to state s in the columns so far; a way begins in the first
    # blank or in the first character.
    first = torch.arange(states.shape[1], device=states.device) < 2
    alpha = emitted[0].masked_fill(~first, IMPOSSIBLE)
    for column in emitted[1:]:
        stay, step, skip = alpha, _shifted(alpha, 1), _shifted(alpha, 2) + skip_penalty
        alpha = torch.logsumexp(torch.stack([stay, step, skip]), dim=0) + column
    # A way ends in the last character or in the blank after it.
    last = 2 * (texts > 0).sum(1, keepdim=True)
    ends = torch.cat([alpha.gather(1, last), alpha.gather(1, (last - 1).clamp_min(0))], dim=1)
    # The text without characters has one end, its only blank.
    ends = ends.masked_fill(torch.cat([last < 0, last == 0], dim=1), IMPOSSIBLE)
    loss = -torch.logsumexp(ends, dim=1)
    return torch.where(loss < -IMPOSSIBLE / 2, loss, 0.0)


def _shifted(alpha: Tensor, places: int) -> Tensor:
    """[batch, states] -> the same, moved to later states; what enters is impossible."""
    return pad(alpha, (places, 0), value=IMPOSSIBLE)[:, :-places]
