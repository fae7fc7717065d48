"""torch.hub's door, with ganzoo installed and without."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

import torch

import ganzoo

ROOT = Path(__file__).parent.parent


def test_torch_hub_loads_what_ganzoo_loads() -> None:
    gan = torch.hub.load(str(ROOT), "mnist_mlp", source="local")
    assert torch.equal(gan.sample(4, seed=0), ganzoo.load("mnist-mlp").sample(4, seed=0))


def test_every_pretrained_model_has_an_entry() -> None:
    spec = importlib.util.spec_from_file_location("hubconf", ROOT / "hubconf.py")
    assert spec is not None
    assert spec.loader is not None
    hubconf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hubconf)
    for name in ganzoo.list_models():
        assert name in getattr(hubconf, name.replace("-", "_")).__doc__


def test_it_works_where_ganzoo_is_not_installed(tmp_path: Path) -> None:
    # Everything that is installed but ganzoo itself, as links in a folder that `-S` lets us choose.
    site = tmp_path / "site"
    site.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "ganzoo" not in path.name and path.suffix != ".pth":
            (site / path.name).symlink_to(path)
    code = (
        "import sys, importlib.util; sys.path.insert(0, sys.argv[1]);"
        "assert importlib.util.find_spec('ganzoo') is None;"
        "import torch; gan = torch.hub.load(sys.argv[2], 'quadratic_mlp', source='local');"
        "print(gan.sample(2, seed=0).shape)"
    )
    command = [sys.executable, "-S", "-c", code, str(site), str(ROOT)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stdout == "torch.Size([2, 15])\n", result.stderr
