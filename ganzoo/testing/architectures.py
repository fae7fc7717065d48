"""Checks of architectures: what both nets return, that they can be trained, stored, and sampled again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from ganzoo.errors import PluginError
from ganzoo.guard import described
from ganzoo.registry import regularizers
from ganzoo.specs import Discriminators, RegularizerInputs, RegularizerSpec
from ganzoo.testing.checks import Check, Example, blamed, expect
from ganzoo.testing.every_spec import EVERY_SPEC, check_config
from ganzoo.testing.nets import BATCH, Nets, nets
from ganzoo.validation import plain, validated
from ganzoo.weights.building import build, build_on_meta, build_with_weights
from ganzoo.weights.tensors import deserialize, serialize

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
TOLERANCE = 1e-3
"""Largest difference between an output alone and in a batch, relative to the largest value: the size of a batch changes
the rounding of matrix products and convolutions, by far less."""


def its_config_is_bounded(example: Example) -> None:
    """Its config is a frozen dataclass whose every field has bounds, and survives JSON."""
    check_config(example.spec.config, "config", needs_defaults=False)
    config = nets(example)[0].config
    again = validated(example.spec.config, plain(config), "the config")
    expect(again == config, f"{config!r} becomes {again!r} as JSON.", "Give its fields types that JSON has.")


def its_nets_build_on_the_meta_device(example: Example) -> None:
    """Its builders work on the meta device, where the size of an untrusted config is found, with the same tensors."""
    for one in nets(example):
        for role, builder in one.builders.items():
            on_meta = {name: tensor.shape for name, tensor in build_on_meta(builder).state_dict().items()}
            on_cpu = {name: tensor.shape for name, tensor in build(builder, 0).state_dict().items()}
            expect(
                on_meta == on_cpu,
                f"the {role}{one.condition} has other tensors when it is built on the meta device.",
                "Let tensors depend on the config alone, not on values of other tensors.",
            )


def its_initial_weights_follow_from_the_seed(example: Example) -> None:
    """Its builders draw initial weights from torch's generators, which a run seeds, and from nothing else."""
    for one in nets(example):
        for role, builder in one.builders.items():
            first, second = (build(builder, 7).state_dict() for _ in range(2))
            differing = [name for name in first if not torch.equal(first[name], second[name])]
            expect(
                not differing,
                f"{differing[:1]} of the {role}{one.condition} has other initial values when it is built again.",
                "Draw initial weights with torch.nn.init, not with numpy, random or the time.",
            )


def its_generator_returns_samples(example: Example) -> None:
    """Its generator returns finite float32 [batch, *sample.shape], in evaluation mode for a single sample too."""
    for one in nets(example):
        generator = build(one.build_generator, 0)
        for num in (BATCH, 2):
            _expect_output("generator", one.fakes(generator, one.inputs(num)), [num, *one.sample.shape])
        generator.eval()
        _expect_output("generator in evaluation mode", one.fakes(generator, one.inputs(1)), [1, *one.sample.shape])


def its_images_lie_between_minus_one_and_one(example: Example) -> None:
    """Its generator, if it makes images, cannot leave [-1, 1], even before it is trained."""
    for one in nets(example) if nets(example)[0].sample.kind == "image" else ():
        with torch.no_grad():
            images = one.fakes(build(one.build_generator, 0), one.inputs())
        low, high = images.amin().item(), images.amax().item()
        expect(
            -1.001 <= low <= high <= 1.001,
            f"the generator returned values from {low:.4g} to {high:.4g}, but images lie in [-1, 1].",
            "End it with a tanh; if it is published without, add this check to the expected failures.",
        )


def its_discriminator_returns_logits(example: Example) -> None:
    """Its discriminator returns finite float32 logits [batch]."""
    for one in _with_discriminator(example):
        for num in (BATCH, 2):
            logits = one.logits(build(one.build_discriminator, 0), one.real(num))
            _expect_output("discriminator", logits, [num])


def gradients_reach_every_parameter(example: Example) -> None:
    """Every trainable parameter of both nets gets a finite gradient, the generator's through the discriminator.

    Parameters that only a regularizer for this architecture uses get theirs from its term.
    """
    for one in nets(example):
        generator = build(one.build_generator, 0)
        parameters = {("generator", name): value for name, value in generator.named_parameters() if value.requires_grad}
        output = one.fakes(generator, one.inputs())
        if one.spec.build_discriminator is not None:
            discriminator = build(one.build_discriminator, 0)
            for name, value in discriminator.named_parameters():
                if value.requires_grad:
                    parameters["discriminator", name] = value
            output = one.logits(discriminator, fakes := output).sum()
            for term in _own_terms(one, discriminator, fakes.detach()):
                output = output + term
        expect(parameters, "it has no trainable parameter.", "Make its weights torch.nn.Parameter.")
        expect(
            output.requires_grad,
            f"no gradient passes through the output{one.condition}.",
            "Do not detach it, and do not compute it under torch.no_grad().",
        )
        gradients = torch.autograd.grad(output.sum(), list(parameters.values()), allow_unused=True)
        for (role, name), gradient in zip(parameters, gradients, strict=True):
            expect(
                gradient is not None,
                f"no gradient reaches {name!r} of the {role}{one.condition}, so it would never be trained.",
                "Use it in forward, remove it, or make it a buffer.",
            )
            expect(
                gradient is None or bool(gradient.isfinite().all()),
                f"the gradient of {name!r} of the {role}{one.condition} holds NaN or infinite values.",
                "Look for a root or a division at zero.",
            )


def _loadable_regularizers() -> Iterator[RegularizerSpec]:
    for name in regularizers:
        with contextlib.suppress(PluginError):  # of another plugin, which is not what is checked here
            yield regularizers.get(name)


def _own_terms(one: Nets, discriminator: nn.Module, fakes: Tensor) -> Iterator[Tensor]:
    """Yield the terms of the discriminator's regularizers that name this architecture."""
    for spec in _loadable_regularizers():
        if one.spec.name in spec.architectures and spec.of == "discriminator":
            net = partial(one.logits, discriminator)
            given = RegularizerInputs(
                discriminators=Discriminators(real=net, fake=net),
                discriminator=discriminator,
                real=one.real(),
                fake=fakes,
                real_labels=one.conditions(BATCH),
                fake_labels=one.conditions(BATCH),
                epsilon=torch.rand(BATCH, generator=torch.Generator().manual_seed(0)),
                state=spec.state(),
            )
            yield spec.compute(given)


def its_nets_leave_their_inputs_unchanged(example: Example) -> None:
    """Neither net changes latents, noise or samples in place."""
    for one in nets(example):
        inputs = one.inputs()
        before = deepcopy(inputs)
        one.fakes(build(one.build_generator, 0), inputs)
        given, kept = ([one.latents, *(one.noise or {}).values()] for one in (inputs, before))
        _expect_unchanged("generator", given, kept)
        if one.spec.build_discriminator is not None:
            samples = one.real()
            one.logits(build(one.build_discriminator, 0), samples)
            _expect_unchanged("discriminator", [samples], [one.real()])


def its_samples_follow_from_the_seed(example: Example) -> None:
    """The same latents, condition and noise give the same samples again, bit for bit."""
    for one in nets(example):
        generator = build(one.build_generator, 0).eval()
        with torch.no_grad():
            first, second = (one.fakes(generator, one.inputs()) for _ in range(2))
        expect(
            torch.equal(first, second),
            f"the generator{one.condition} returns other samples when it is given the same latents again.",
            "Draw random numbers with torch or declare them in `noise`, and change no buffer in evaluation mode.",
        )


def its_samples_do_not_depend_on_their_batch(example: Example) -> None:
    """In evaluation mode, a sample is the same alone and in a batch of others."""
    for one in nets(example):
        generator = build(one.build_generator, 0).eval()
        with torch.no_grad():
            together, alone = one.fakes(generator, one.inputs()), one.fakes(generator, one.inputs(1))
        expect(
            _close(alone, together[:1]),
            f"the generator{one.condition} returns another sample when its batch holds other samples.",
            "In evaluation mode, use running statistics; declare random numbers in `noise`.",
        )


def conditions_change_the_output(example: Example) -> None:
    """Both nets use the labels or texts that the architecture declares to understand.

    The discriminator need not where a regularizer of the generator for this architecture sees the condition.
    """
    judged_elsewhere = any(
        spec.of == "generator" and example.spec.name in spec.architectures for spec in _loadable_regularizers()
    )
    for one in nets(example):
        if not one.condition:
            continue
        # Conditional layers may start as if there were no condition: of random weights, each one shows.
        for role, builder in one.builders.items():
            if role == "discriminator" and judged_elsewhere:
                continue
            net = _shaken(build(builder, 0)).eval()
            outputs = []
            for turn in (0, 1):
                inputs = one.inputs()
                assert inputs.condition is not None
                condition = inputs.condition.roll(turn, 0)
                with torch.no_grad():
                    if role == "generator":
                        outputs.append(one.fakes(net, inputs._replace(condition=condition)))
                    else:
                        outputs.append(one.logits(net, one.real(), condition))
            expect(
                not torch.equal(*outputs),
                f"the output of the {role} is the same for every condition{one.condition}.",
                "Use its second argument, or remove the entry from `conditions`.",
            )


def noise_changes_the_samples(example: Example) -> None:
    """Its generator uses every noise that the architecture declares."""
    for one in nets(example):
        generator, inputs = _shaken(build(one.build_generator, 0)).eval(), one.inputs()
        for name, tensor in (inputs.noise or {}).items():
            with torch.no_grad():
                before = one.fakes(generator, inputs)
                after = one.fakes(generator, inputs._replace(noise={**(inputs.noise or {}), name: tensor + 1}))
            expect(
                not torch.equal(before, after),
                f"the samples do not depend on the noise {name!r}.",
                "Use it, or remove it from `noise`.",
            )


def sampling_options_are_accepted(example: Example) -> None:
    """Its sampling options are a bounded frozen dataclass with defaults, and keyword arguments of the generator."""
    options = example.spec.sampling_options
    if options is not None:
        check_config(options, "sampling_options", needs_defaults=True)
        for one in nets(example):
            generator = build(one.build_generator, 0).eval()
            with torch.no_grad():
                one.fakes(generator, one.inputs(), **vars(options()))


def its_weights_survive_a_file(example: Example) -> None:
    """Both nets give the same output after a way through safetensors, in which nothing but `state_dict` is kept."""
    for one in nets(example):
        for role, builder in one.builders.items():
            # Of another seed than 0, with which the second one is built: a tensor that is drawn and not saved differs.
            net = _shaken(build(builder, 1)).eval()
            with blamed(f"state_dict of the {role}{one.condition}"):
                content = serialize(net.state_dict(), {})
            tensors, _ = deserialize(content, "the file")
            again = build_with_weights(builder, tensors, "the file").eval()
            with torch.no_grad():
                outputs = [
                    one.fakes(module, one.inputs()) if role == "generator" else one.logits(module, one.real())
                    for module in (net, again)
                ]
            expect(
                torch.equal(*outputs),
                f"the {role}{one.condition} gives another output after its weights were saved and loaded.",
                "Keep every tensor that the output depends on in a parameter or a persistent buffer.",
            )


def batch_independent_is_true(example: Example) -> None:
    """If the architecture claims `batch_independent`, the logit of a sample does not depend on the batch's others."""
    for one in _with_discriminator(example) if example.spec.batch_independent else ():
        discriminator = build(one.build_discriminator, 0)  # in training mode, where the claim is used
        for module in discriminator.modules():
            if isinstance(module, DROPOUTS):
                module.eval()  # which values are dropped is another question
        # Copies: a pass may change buffers, such as the vectors of spectral normalization.
        together = one.logits(deepcopy(discriminator), one.real())
        halves = [
            one.logits(deepcopy(discriminator), part, None if labels is None else labels)
            for part, labels in zip(one.real().split(2), _split(one.conditions(BATCH), 2), strict=True)
        ]
        expect(
            _close(torch.cat(halves), together),
            f"batch_independent=True, but a logit{one.condition} changes with the other samples of the batch.",
            "Leave batch_independent out, or remove batch statistics from the discriminator.",
        )


ARCHITECTURE_CHECKS: tuple[Check, ...] = (
    *EVERY_SPEC,
    its_config_is_bounded,
    its_nets_build_on_the_meta_device,
    its_initial_weights_follow_from_the_seed,
    its_generator_returns_samples,
    its_images_lie_between_minus_one_and_one,
    its_discriminator_returns_logits,
    gradients_reach_every_parameter,
    its_nets_leave_their_inputs_unchanged,
    its_samples_follow_from_the_seed,
    its_samples_do_not_depend_on_their_batch,
    conditions_change_the_output,
    noise_changes_the_samples,
    sampling_options_are_accepted,
    its_weights_survive_a_file,
    batch_independent_is_true,
)


def _with_discriminator(example: Example) -> list[Nets]:
    return nets(example) if example.spec.build_discriminator is not None else []


def _expect_output(role: str, output: Tensor, shape: list[int]) -> None:
    expected = f"float32 {shape}"
    expect(
        described(output) == expected,
        f"the {role} returned {described(output)}, not {expected}.",
        "Return one value for each entry of the sample's shape, in float32."
        if len(shape) > 1
        else "Return one raw logit for each sample: logits.squeeze(1), for example, in float32.",
    )
    expect(
        output.isfinite().all(), f"the {role} returned NaN or infinite values.", "Look for a division or root at zero."
    )


def _expect_unchanged(role: str, given: list[Tensor], before: list[Tensor]) -> None:
    same = all(map(torch.equal, given, before))
    expect(same, f"the {role} changes its input in place.", "Use operations without a trailing _, and no inplace=True.")


def _shaken(net: nn.Module) -> nn.Module:
    """Add random numbers to all parameters, so that nothing depends on special initial values."""
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=source), alpha=0.1)
    return net


def _close(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().amax() <= TOLERANCE * expected.abs().amax())


def _split(condition: Tensor | None, size: int) -> tuple[Tensor | None, ...]:
    return (None,) * (BATCH // size) if condition is None else condition.split(size)
