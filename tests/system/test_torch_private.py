"""Private functions of torch: used in one module, and not needed."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganzoo import optimizers
from ganzoo.system import torch_private

ROOT = Path(__file__).parents[2]


def private_names(source: str) -> list[str]:
    """What a file names below torch that begins with an underscore; `__version__` and the like are public."""

    def is_private(name: str) -> bool:
        return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))

    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "torch":
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.startswith("torch.")]
        elif isinstance(node, ast.Attribute) and re.fullmatch(r"torch(\.\w+)+", ast.unparse(node)):
            found.append(ast.unparse(node))
    return [name for name in found if is_private(name)]


def test_private_names_are_recognised() -> None:
    assert private_names("from torch.utils import _pytree\ntorch._foreach_copy_([], [])\ntorch.__version__") == [
        "torch.utils._pytree",
        "torch._foreach_copy_",
    ]


def test_private_functions_of_torch_are_used_in_one_module() -> None:
    files = [*(ROOT / "ganzoo").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    used = {path.relative_to(ROOT).as_posix(): private_names(path.read_text(encoding="utf-8")) for path in files}
    assert {path for path, names in used.items() if names} == {"ganzoo/system/torch_private.py"}


def tensors(seed: int) -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=source) for shape in ((3, 2), (4,), ())]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch without the private functions."""
    for name in (
        "_foreach_copy_",
        "_foreach_clamp_min_",
        "_foreach_clamp_max_",
        "_foreach_lerp_",
        "_fused_adam_",
        "_fused_adamw_",
    ):
        monkeypatch.delattr(torch, name)


def results() -> list[torch.Tensor]:
    copied, clamped, moved = tensors(0), tensors(1), tensors(2)
    torch_private.foreach_copy_(copied, tensors(3))
    torch_private.foreach_clamp_(clamped, -0.5, 0.25)
    torch_private.foreach_lerp_(moved, tensors(4), 0.3)
    return [*copied, *clamped, *moved]


RESULTS = results()


@pytest.mark.usefixtures("without")
def test_public_functions_give_the_same_bits() -> None:
    for expected, found in zip(RESULTS, results(), strict=True):
        assert torch.equal(expected, found)


def updated(update: Callable[..., None]) -> list[torch.Tensor]:
    """Parameters after five updates, whose gradients are the parameters themselves."""
    parameters, step = tensors(5), torch.tensor(0.0)
    means, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    options = {"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.1, "eps": 1e-8, "amsgrad": False, "maximize": False}
    for _ in range(5):
        step += 1
        gradients = [parameter.clone() for parameter in parameters]
        rate = torch.tensor(0.01, dtype=torch.float64)
        update(parameters, gradients, means, squares, [], [step] * len(parameters), lr=rate, **options)
    return parameters


ADAM, ADAMW = updated(optimizers.fused_adam), updated(optimizers.fused_adamw)


@pytest.mark.usefixtures("without")
def test_adam_works_without_the_kernel() -> None:
    assert torch_private.fused_adam() is None
    assert torch_private.fused_adamw() is None
    for kernel, update in ((ADAM, optimizers.fused_adam), (ADAMW, optimizers.fused_adamw)):
        for expected, found in zip(kernel, updated(update), strict=True):
            torch.testing.assert_close(found, expected)
