"""Examples at the end of each help screen. `tests/cli/test_first_screen.py` parses them with the program itself."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "list": ("ganzoo list", "ganzoo list recipes 'mnist-*'", "ganzoo list --hub"),
    "show": ("ganzoo show mnist-mlp", "ganzoo show mnist-mlp --all", "ganzoo show runs/digits"),
    "sample": (
        "ganzoo sample mnist-mlp",
        "ganzoo sample mnist-cdcgan --label 7 --num 16 --out sevens.png",
        "ganzoo sample mnist-cgan --grid 10x8 --seed 0 --out classes.png",
    ),
    "project": ("ganzoo project mnist-mlp photo.png --out projected/",),
    "neighbours": ("ganzoo neighbours runs/digits", "ganzoo neighbours mnist-mlp --features pixels --out sheet.png"),
    "demo": ("ganzoo demo", "ganzoo demo mnist-cgan"),
    "export": ("ganzoo export mnist-mlp --format onnx", "ganzoo export quadratic-mlp --format web --out page"),
    "report": ("ganzoo report runs/digits",),
    "eval": ("ganzoo eval quadratic-mlp", "ganzoo eval quadratic-mlp --check", "ganzoo eval runs/digits"),
    "reproduce": ("ganzoo reproduce quadratic-mlp", "ganzoo reproduce mnist-mlp --seeds 3 --out runs/again"),
    "train": (
        "ganzoo train quadratic-mlp",
        "ganzoo train photos/",
        "ganzoo train mnist-mlp --out runs/digits --batch-size 128",
    ),
    "resume": ("ganzoo resume runs/digits", "ganzoo resume runs/digits --steps 50000"),
    "animate": ("ganzoo animate runs/digits --out training.gif",),
    "pull": ("ganzoo pull mnist-mlp", "ganzoo pull hf:you/my-gan --revision v1"),
    "push": ("ganzoo push runs/digits you/my-gan --license mit --dry-run",),
    "import": ("ganzoo import generator.pth --recipe mnist-mlp --out my-gan",),
    "verify": ("ganzoo verify mnist-mlp", "ganzoo verify runs/digits"),
    "rm": ("ganzoo rm mnist-mlp",),
    "data": ("ganzoo data prepare mnist",),
    "data list": ("ganzoo data list", "ganzoo data list --data-dir ~/data"),
    "data prepare": ("ganzoo data prepare mnist", "ganzoo data prepare cifar10 --data-dir ~/data"),
    "data show": ("ganzoo data show mnist", "ganzoo data show photos/ --num 64 --out real.png"),
    "cache": ("ganzoo cache ls",),
    "cache ls": ("ganzoo cache ls",),
    "cache rm": ("ganzoo cache rm mnist-mlp data:mnist",),
    "cache prune": ("ganzoo cache prune --dry-run",),
    "cache verify": ("ganzoo cache verify --repair",),
    "protocols": ("ganzoo protocols 'mnist-*'",),
    "plugins": ("ganzoo plugins list",),
    "plugins list": ("ganzoo plugins list --check",),
    "plugins check": ("ganzoo plugins check ganzoo-rings",),
    "plugins new": ("ganzoo plugins new ganzoo-rings --kind dataset",),
    "bench": ("ganzoo bench quadratic-mlp", "ganzoo bench --startup"),
    "doctor": ("ganzoo doctor", "ganzoo doctor --offline --json"),
    "env": ("ganzoo env",),
    "completion": (
        "ganzoo completion bash > ~/.local/share/bash-completion/completions/ganzoo",
        "ganzoo completion zsh > ~/.zfunc/_ganzoo  # with fpath+=~/.zfunc before compinit in ~/.zshrc",
        "ganzoo completion fish > ~/.config/fish/completions/ganzoo.fish",
    ),
    "zoo": ("ganzoo zoo measure --check",),
    "zoo measure": ("ganzoo zoo measure --check",),
    "zoo bundle": ("ganzoo zoo bundle runs/digits src/my_package --version v2 --license MIT",),
    "zoo publish": ("ganzoo zoo publish my-organisation --dry-run",),
}
"""Path of a command -> commands that can be copied."""


def examples(path: str) -> str:
    """Return the end of the help screen of a command; empty if it has no examples."""
    lines = [f"  {command}" for command in EXAMPLES.get(path, ())]
    return "\n".join(["\b", "Examples:", *lines]) if lines else ""
