"""Entry points for torch.hub: `torch.hub.load("owner/ganzoo", "mnist_mlp")` is `ganzoo.load("mnist-mlp")`.

ganzoo need not be installed: torch.hub puts this folder on sys.path, and the plugins are read from here.
"""

import sys as _sys
from pathlib import Path as _Path

_ROOT = _Path(__file__).resolve().parent

dependencies = ["torch", "safetensors", "pydantic", "numpy", "PIL", "platformdirs", "filelock", "packaging"]


def _prepare():
    """Make this checkout importable and, if ganzoo is not installed, register its plugins."""
    from importlib.metadata import PackageNotFoundError, distribution

    for folder in (_ROOT, _ROOT / "plugins"):
        if str(folder) not in _sys.path:
            _sys.path.append(str(folder))
    try:
        distribution("ganzoo")
    except PackageNotFoundError:
        from ganzoo.checkout import register_checkout

        register_checkout(_ROOT)


def _entry(name):
    def load(device="cpu", **kwargs):
        _prepare()
        import ganzoo

        return ganzoo.load(name, device=device, **kwargs)

    load.__name__ = name.replace("-", "_")
    load.__doc__ = f"Return the pretrained model {name}; see ganzoo.load."
    return load


def _names():
    import json

    entries = json.loads((_ROOT / "weights_manifest.json").read_text(encoding="utf-8"))["entries"]
    return sorted({entry["name"] for entry in entries})


for _name in _names():
    globals()[_name.replace("-", "_")] = _entry(_name)
