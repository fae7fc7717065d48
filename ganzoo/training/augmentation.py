"""What the discriminator sees of images: augmentations, each applied with a probability."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganzoo import registry
from ganzoo.specs import AdaptiveProbability, Recipe
from ganzoo.training.schedules import Scheduled


class Augmentation(nn.Module):
    """The augmentations of a recipe in their order, and the probability that each applies to an image.

    An adaptive probability is a buffer that the training changes, and so is the sum that decides how.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        super().__init__()
        self._specs = [registry.augmentations.get(name) for name in recipe.augment]
        self._probability = recipe.augment_probability
        adaptive = recipe.augment_probability if recipe.augment else None
        self.adaptive = adaptive if isinstance(adaptive, AdaptiveProbability) else None
        if self.adaptive is not None:
            self._num_signs = self.adaptive.every * recipe.discriminator_steps
            self.probability: Tensor = nn.Buffer(torch.zeros((), device=device))
            self.sum_of_signs: Tensor = nn.Buffer(torch.zeros((), device=device))
        # One more number where chance decides whether an augmentation applies.
        self.num_numbers = max((spec.num_numbers for spec in self._specs), default=0) + (self._probability != 1)

    def __len__(self) -> int:
        return len(self._specs)

    def forward(self, images: Tensor, numbers: Tensor, probability: float | Tensor) -> Tensor:
        """Return augmented images.

        Args:
            images: [batch, channels, height, width].
            numbers: [batch, augmentations, num_numbers], uniform in [0, 1).
            probability: that each augmentation applies to an image; as a tensor [] it may differ from step to step.
        """
        for index, spec in enumerate(self._specs):
            own = numbers[:, index]
            changed = spec.apply(images, own[:, : spec.num_numbers] if own.shape[1] > spec.num_numbers else own)
            if not isinstance(probability, Tensor) and probability == 1:
                images = changed
            else:
                images = torch.where((own[:, -1] < probability).view(-1, 1, 1, 1), changed, images)
        return images

    def probability_in(self, scheduled: Scheduled) -> float | Tensor:
        """Return the probability in a step."""
        if isinstance(self._probability, AdaptiveProbability):
            return self.probability
        return scheduled.number("augment_probability", self._probability)

    @torch.no_grad()
    def observe(self, sign: Tensor) -> None:
        """Note the mean sign [] of the logits of real samples in an update of the discriminator."""
        self.sum_of_signs.add_(sign)

    @torch.no_grad()
    def adapt(self, change: Tensor) -> None:
        """Change the probability by this much, up or down, and begin a new mean; a change of 0 does neither."""
        assert self.adaptive is not None
        # r_t is the mean; comparing sums saves the division.
        overfitting = (self.sum_of_signs - self.adaptive.target * self._num_signs).sign()
        self.probability.add_(change * overfitting).clamp_(0, 1)
        self.sum_of_signs.mul_(change == 0)
