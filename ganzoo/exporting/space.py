"""A folder that runs the demo as a Space on the Hugging Face Hub."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ganzoo.errors import StoreError, UsageError, hint_for
from ganzoo.exporting.demo_models import load_models
from ganzoo.requirements import Requirement
from ganzoo.sources import resolve
from ganzoo.system.files import contents, expanded, whole_folder
from ganzoo.version import __version__

_APP = '''"""The demo of ganzoo as a Space. Locally: pip install -r requirements.txt && python app.py"""

from ganzoo.exporting.demo import build, launch

MODELS = {models}

if __name__ == "__main__":
    # A Space forwards its visitors to this port.
    launch(build(MODELS), host="0.0.0.0", port=7860)
'''

_CARD = """---
title: {title}
emoji: 🎲
colorFrom: blue
colorTo: gray
sdk: gradio
app_file: app.py
pinned: false
---

A demo of {names}, written by `ganzoo demo --space` (ganzoo {version}). To publish it:

```console
$ hf repo create OWNER/NAME --repo-type space --space-sdk gradio
$ hf upload OWNER/NAME . --repo-type space
```
"""


def write_space(references: Sequence[str | os.PathLike[str]], folder: str | os.PathLike[str]) -> Path:
    """Write app.py, requirements.txt and README.md, and the weights of models that are folders on this machine.

    Named weights and repositories are pinned to their version or commit. The folder must not exist or be empty; it is
    written as a whole or not at all. Raises UsageError for such a folder or without a reference, StoreError, and what
    `load_models` raises.
    """
    target = expanded(folder)
    if not references:
        raise UsageError("a Space needs a model.", hint="Name one: ganzoo demo mnist-mlp --space DIR")
    if target.exists() and (not target.is_dir() or contents(target)):
        raise UsageError(f"{target} already exists and is not empty.", hint="Name another folder.")
    models, names, files = [], [], {}
    needed: dict[str, Requirement] = {}
    for number, reference in enumerate(references):
        source = resolve(reference)
        (model,) = load_models([reference]).values()  # what cannot be loaded or drawn is refused here
        needed |= {requirement.distribution: requirement for requirement in model.gan.config.requires}
        names.append(model.gan.config.recipe if source.folder is not None else model.name)
        if source.folder is None:
            models.append(model.name)
        else:
            models.append(f"./model-{number}")
            for file, content in source.read_all().items():
                if file.role in ("config", "generator"):
                    files[f"model-{number}/{file.path}"] = content
    listed = [f"ganzoo[demo]=={__version__}", *(f"{name}=={needed[name].version}" for name in sorted(needed))]
    plain = [re.sub(r"[^\w@:/. -]", " ", name)[:80] for name in names]
    card = _CARD.format(title=json.dumps(", ".join(plain)[:80]), names=", ".join(plain), version=__version__)
    files |= {
        "app.py": _APP.format(models=json.dumps(models)).encode(),
        "requirements.txt": ("\n".join(listed) + "\n").encode(),
        "README.md": card.encode(),
    }
    try:
        with whole_folder(target) as partial:
            for path, data in files.items():
                (partial / path).parent.mkdir(exist_ok=True)
                (partial / path).write_bytes(data)
    except OSError as error:
        raise StoreError(f"cannot write to {target}: {error.strerror}.", hint=hint_for(error)) from error
    return target
