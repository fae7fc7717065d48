"""Checks of optimizers: they lower a quadratic, use the learning rate, and keep their state in buffers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.specs import OptimizerSpec
from ganzoo.specs.optimizers import OPTIMIZER_KINDS
from ganzoo.testing.checks import Check, CheckError, Example, blamed, expect
from ganzoo.testing.every_spec import EVERY_SPEC, check_config
from ganzoo.validation import validated

STEPS = 50


class _Descent:
    """An optimizer of |p - 1|^2 / 2, whose gradient is p - 1, for two parameters."""

    def __init__(self, example: Example, learning_rate: float = 0.01) -> None:
        spec: OptimizerSpec = example.spec
        values = dict(example.config or {})
        if spec.config in OPTIMIZER_KINDS.values():  # ours have the learning rate among their settings
            values["learning_rate"] = learning_rate
        config = validated(spec.config, values, "example")
        self.parameters = [torch.zeros(3, 2), torch.full((4,), 2.0)]
        self.learning_rate = torch.tensor(learning_rate, dtype=torch.float64)
        with blamed("build"):
            self.module: Any = spec.build(self.parameters, config)
        if not isinstance(self.module, nn.Module) or not callable(getattr(self.module, "update", None)):
            raise CheckError(
                f"build returned {type(self.module).__name__}, not a torch.nn.Module with a method `update`.",
                "Return a module with update(parameters, gradients, values).",
            )

    def gradients(self) -> list[Tensor]:
        return [parameter - 1 for parameter in self.parameters]

    def step(self, steps: int = 1) -> None:
        for _ in range(steps):
            with blamed("update"), torch.no_grad():
                self.module.update(self.parameters, self.gradients(), {"learning_rate": self.learning_rate})

    def loss(self) -> float:
        return sum(float(gradient.square().sum()) / 2 for gradient in self.gradients())


def its_config_is_bounded(example: Example) -> None:
    """Its config is a frozen dataclass whose every field has bounds and a default."""
    if example.spec.config not in OPTIMIZER_KINDS.values():
        check_config(example.spec.config, "config", needs_defaults=True)


def it_lowers_a_quadratic(example: Example) -> None:
    """Fifty steps bring the parameters of |p - 1|^2 / 2 closer to 1, and leave them finite."""
    descent = _Descent(example)
    before = descent.loss()
    descent.step(STEPS)
    after = descent.loss()
    expect(
        after < before,
        f"{STEPS} steps take |p - 1|^2 / 2 from {before:.4g} to {after:.4g}, which is not lower.",
        "Subtract the step from the parameters, in place.",
    )


def it_uses_the_learning_rate_of_the_step(example: Example) -> None:
    """It reads `values["learning_rate"]` in each update, so that schedules work: at zero nothing moves."""
    descent = _Descent(example)
    before = [parameter.clone() for parameter in descent.parameters]
    descent.learning_rate = torch.zeros((), dtype=torch.float64)
    descent.step()
    expect(
        all(map(torch.equal, descent.parameters, before)),
        "parameters move in a step whose learning rate is 0.",
        'Take the learning rate of each step from values["learning_rate"].',
    )


def it_leaves_gradients_unchanged(example: Example) -> None:
    """It changes parameters, and not gradients, in place."""
    descent = _Descent(example)
    gradients = descent.gradients()
    before = [gradient.clone() for gradient in gradients]
    with blamed("update"), torch.no_grad():
        descent.module.update(descent.parameters, gradients, {"learning_rate": descent.learning_rate})
    same = all(map(torch.equal, gradients, before))
    expect(same, "update changes the gradients in place.", "Use operations without a trailing _ on gradients.")


def its_state_is_in_its_buffers(example: Example) -> None:
    """A new module with the `state_dict` of another goes on where that one was, bit for bit."""
    whole, first, second = (_Descent(example) for _ in range(3))
    whole.step(6)
    first.step(3)
    for parameter, value in zip(second.parameters, first.parameters, strict=True):
        parameter.copy_(value)
    second.module.load_state_dict({name: tensor.clone() for name, tensor in first.module.state_dict().items()})
    second.step(3)
    expect(
        all(map(torch.equal, whole.parameters, second.parameters)),
        "after its state was saved and loaded, it goes on with other steps.",
        "Keep everything that it remembers in buffers (register_buffer), step counts too, and change them in place.",
    )


def its_state_is_changed_in_place(example: Example) -> None:
    """Its buffers stay the same tensors, as recorded steps and checkpoints need."""
    descent = _Descent(example)
    before = dict(descent.module.named_buffers())
    descent.step(2)
    replaced = [name for name, buffer in descent.module.named_buffers() if before.get(name) is not buffer]
    expect(not replaced, f"update replaces the buffers {replaced}.", "Write into them: self.mean.lerp_(...), copy_().")


OPTIMIZER_CHECKS: tuple[Check, ...] = (
    *EVERY_SPEC,
    its_config_is_bounded,
    it_lowers_a_quadratic,
    it_uses_the_learning_rate_of_the_step,
    it_leaves_gradients_unchanged,
    its_state_is_in_its_buffers,
    its_state_is_changed_in_place,
)
