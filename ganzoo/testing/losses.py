"""Checks of losses and regularizers: scalars, whose gradients push in the right direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from ganzoo.guard import described
from ganzoo.registry import architectures
from ganzoo.sampling import generate
from ganzoo.specs import Discriminators, GeneratorRegularizerInputs, LossSpec, RegularizerInputs, RegularizerSpec
from ganzoo.testing.checks import Check, CheckError, Example, blamed, expect
from ganzoo.testing.every_spec import EVERY_SPEC
from ganzoo.testing.nets import nets

BATCH = 6
RELATIVE = 1e-4
"""Largest relative difference between losses that are equal but for rounding."""


def _logits(low: float, high: float, num: int = BATCH) -> Tensor:
    return torch.linspace(low, high, num, requires_grad=True)


def _loss_d(spec: LossSpec, real: Tensor, fake: Tensor, label_smoothing: float | Tensor = 0.0) -> Tensor:
    with blamed("discriminator"):
        return _scalar("discriminator", spec.discriminator(real, fake, label_smoothing))


def _loss_g(spec: LossSpec, fake: Tensor, real: Tensor) -> Tensor:
    with blamed("generator"):
        return _scalar("generator", spec.generator(fake, real if spec.paired else None))


def _scalar(function: str, value: object) -> Tensor:
    if not isinstance(value, Tensor) or value.shape != ():
        what = f"{function} returned {described(value)}, not a scalar []."
        raise CheckError(what, "Take the mean over the batch: loss.mean().")
    return value


def its_losses_are_finite_scalars(example: Example) -> None:
    """Both losses are scalars [], and finite even for logits of ± 100."""
    for size in (1.0, 100.0):
        real, fake = _logits(-size, size), _logits(-size, size).flip(0)
        losses = {"discriminator": _loss_d(example.spec, real, fake), "generator": _loss_g(example.spec, fake, real)}
        for function, loss in losses.items():
            expect(
                loss.isfinite(),
                f"the loss of the {function} is {loss.item()} for logits between {-size:g} and {size:g}.",
                "Compute it from logits without overflow: softplus(-r) instead of -log(sigmoid(r)).",
            )


def its_losses_are_means_over_the_batch(example: Example) -> None:
    """A batch that holds every logit twice has the same loss."""
    real, fake = _logits(-1, 2).detach(), _logits(-2, 1).detach()
    twice = torch.cat([real, real]), torch.cat([fake, fake])
    pairs = {
        "discriminator": (_loss_d(example.spec, real, fake), _loss_d(example.spec, *twice)),
        "generator": (_loss_g(example.spec, fake, real), _loss_g(example.spec, twice[1], twice[0])),
    }
    for function, (once, doubled) in pairs.items():
        expect(
            torch.allclose(once, doubled, rtol=RELATIVE),
            f"the loss of the {function} is {once:.4g}, but {doubled:.4g} if the batch holds every logit twice.",
            "Take the mean over the batch, not the sum.",
        )


def the_discriminator_raises_real_logits_and_lowers_fakes(example: Example) -> None:
    """Gradient descent on the discriminator's loss raises real logits and lowers those of fakes."""
    real, fake = _logits(0.3, 0.6), _logits(0.3, 0.6)  # where least squares still has to move both
    gradients = torch.autograd.grad(_loss_d(example.spec, real, fake), (real, fake), allow_unused=True)
    for logits, gradient, sign, word in (("real", gradients[0], -1, "raise"), ("fake", gradients[1], 1, "lower")):
        expect(
            gradient is not None and bool((gradient * sign >= 0).all()) and bool(gradient.abs().sum() > 0),
            f"gradient descent on the discriminator's loss does not {word} the logits of {logits} samples.",
            "Check its signs, and the order of its arguments: (real_logits, fake_logits, label_smoothing).",
        )


def the_generator_raises_fake_logits(example: Example) -> None:
    """Gradient descent on the generator's loss raises the logits of fakes."""
    fake = _logits(0.3, 0.6)
    (gradient,) = torch.autograd.grad(_loss_g(example.spec, fake, _logits(0.3, 0.6).detach()), fake, allow_unused=True)
    expect(
        gradient is not None and bool((gradient <= 0).all()) and bool(gradient.abs().sum() > 0),
        "gradient descent on the generator's loss does not raise the logits of fakes.",
        "Check its sign, and the order of its arguments: (fake_logits, real_logits).",
    )


def smoothable_is_true(example: Example) -> None:
    """Label smoothing, a number or a tensor, changes the loss if `smoothable`, and nothing if not."""
    real, fake = _logits(-1, 2).detach(), _logits(-2, 1).detach()
    plain, smoothed = (_loss_d(example.spec, real, fake, value) for value in (0.0, 0.2))
    expect(
        (plain != smoothed) == example.spec.smoothable,
        f"smoothable={example.spec.smoothable}, but label_smoothing "
        + ("does not change the loss." if example.spec.smoothable else "changes the loss."),
        f"Set smoothable={not example.spec.smoothable}, or change the discriminator's loss.",
    )
    scheduled = _loss_d(example.spec, real, fake, torch.tensor(0.2))
    expect(
        torch.allclose(scheduled, smoothed, rtol=RELATIVE),
        "label_smoothing as a tensor, which a schedule gives, has another result than as a number.",
        "Use it in arithmetic only.",
    )


LOSS_CHECKS: tuple[Check, ...] = (
    *EVERY_SPEC,
    its_losses_are_finite_scalars,
    its_losses_are_means_over_the_batch,
    the_discriminator_raises_real_logits_and_lowers_fakes,
    the_generator_raises_fake_logits,
    smoothable_is_true,
)


class _Term:
    """A regularizer computed once, on small nets between latents [3], samples [8] and logits if it takes any nets."""

    def __init__(self, example: Example) -> None:
        spec: RegularizerSpec = example.spec
        source = torch.Generator().manual_seed(0)
        latent: tuple[int, ...] = (3,)
        shape: tuple[int, ...] = (8,)
        self.labels: Tensor | None = None
        self.generator: nn.Module
        self.discriminator: nn.Module
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            if spec.architectures:
                own = nets(replace(example, spec=architectures.get(spec.architectures[0])))[0]
                self.generator, self.discriminator = own.build_generator(), own.build_discriminator()
                latent, shape, self.labels = own.latent.shape, own.sample.shape, own.conditions(BATCH)
            else:
                self.generator = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 8))
                self.discriminator = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0))
        self.net = self.discriminator if spec.of == "discriminator" else self.generator
        self.latents, self.real, self.directions = (
            torch.randn(BATCH, *sizes, generator=source) for sizes in (latent, shape, shape)
        )
        self.fake, self.epsilon = self.generate(self.latents).detach(), torch.rand(BATCH, generator=source)
        with blamed("state"):
            self.state = dict(spec.state())
        self.spec = spec

    def generate(self, latents: Tensor) -> Tensor:
        """Latents -> fakes, labels filled in."""
        return generate(self.generator, latents, self.labels)

    def discriminate(self, samples: Tensor) -> Tensor:
        """Samples -> logits, labels filled in."""
        logits: Tensor = self.discriminator(samples, *([] if self.labels is None else [self.labels]))
        return logits

    def compute(self) -> Tensor:
        """Raise CheckError for an exception, and for what is not a scalar."""
        given: Any
        if self.spec.of == "discriminator":
            given = RegularizerInputs(
                discriminators=Discriminators(real=self.discriminate, fake=self.discriminate),
                discriminator=self.discriminator,
                real=self.real,
                fake=self.fake,
                real_labels=self.labels,
                fake_labels=self.labels,
                epsilon=self.epsilon,
                state=self.state,
            )
        else:
            given = GeneratorRegularizerInputs(
                generate=self.generate,
                latents=self.latents,
                fake=self.generate(self.latents),
                labels=self.labels,
                discriminator=self.discriminator,
                directions=self.directions,
                state=self.state,
            )
        with blamed("compute"):
            return _scalar("compute", self.spec.compute(given))

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the inputs by name."""
        names = ("latents", "real", "fake", "epsilon", "directions", "labels")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def it_is_a_finite_scalar_of_at_least_zero(example: Example) -> None:
    """Its term is a scalar [], finite, and not negative."""
    term = _Term(example).compute()
    expect(
        bool(term.isfinite()) and bool(term >= 0),
        f"it is {term.item():.4g}, but a penalty is finite and at least 0.",
        "Look for a root or division at zero, and check the sign.",
    )


def it_is_differentiable_by_its_net(example: Example) -> None:
    """Its gradient reaches the parameters of the net that `of` names, and is finite."""
    term = _Term(example)
    value = term.compute()
    gradients = (
        torch.autograd.grad(value, list(term.net.parameters()), allow_unused=True) if value.requires_grad else ()
    )
    reached = [gradient for gradient in gradients if gradient is not None]
    expect(
        any(gradient.abs().sum() > 0 for gradient in reached),
        f"no gradient reaches the {example.spec.of}, so it has no effect.",
        "Do not detach it; take gradients inside with create_graph=True; check `of`.",
    )
    expect(
        all(bool(gradient.isfinite().all()) for gradient in reached),
        "its gradient holds NaN or infinite values.",
        "Add a small number under roots: their gradient at zero is infinite.",
    )


def it_leaves_its_inputs_unchanged(example: Example) -> None:
    """It changes nothing in place but its state."""
    term = _Term(example)
    before = {name: tensor.clone() for name, tensor in term.tensors().items()}
    term.compute()
    changed = [name for name, tensor in term.tensors().items() if not torch.equal(tensor, before[name])]
    expect(not changed, f"it changes {changed} in place.", "Use operations without a trailing _ on its inputs.")


def its_state_is_float32_and_changed_in_place(example: Example) -> None:
    """Its state are float32 tensors that keep their shape, in one place, and some of which it changes."""
    term = _Term(example)
    before = {name: tensor.clone() for name, tensor in term.state.items()}
    kept = dict(term.state)
    for name, tensor in kept.items():
        expect(
            isinstance(tensor, Tensor) and tensor.dtype == torch.float32,
            f"state {name!r} is {described(tensor)}, not a float32 tensor.",
            "Return float32 tensors from `state`.",
        )
    for _ in range(2):
        term.compute()
    expect(
        not kept or any(not torch.equal(kept[name], before[name]) for name in kept),
        "it does not change its state in place, so it would forget it.",
        "Write the new value with copy_: inputs.state['mean'].copy_(mean).",
    )


def it_can_be_recorded(example: Example) -> None:
    """It reads no values on the host, so that steps with it can be recorded."""
    term = _Term(example)
    given = term.tensors()

    def compute(*tensors: Tensor) -> Tensor:
        vars(term).update(zip(given, tensors, strict=True))
        return term.compute()

    can_be_recorded("compute", compute, *given.values())


def can_be_recorded(name: str, function: Callable[..., Tensor], *tensors: Tensor) -> None:
    """Trace a function of tensors, as the engine `graph` does. Raises CheckError when it reads their values."""
    try:
        make_fx(function)(*tensors)
    except CheckError as error:
        raise CheckError(
            f"{name} cannot be recorded: {error.what}",
            "Do not read values on the host (no .item(), float(), bool() or if on a tensor): use torch.where.",
        ) from error


REGULARIZER_CHECKS: tuple[Check, ...] = (
    *EVERY_SPEC,
    it_is_a_finite_scalar_of_at_least_zero,
    it_is_differentiable_by_its_net,
    it_leaves_its_inputs_unchanged,
    its_state_is_float32_and_changed_in_place,
    it_can_be_recorded,
)
