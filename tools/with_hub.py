"""Run a command beside the local Hub of the tests, logged in as the user `you`.

    python tools/with_hub.py ganzoo push ./run you/my-gan --yes

The command finds the Hub through its environment, and may use another installation of ganzoo than this checkout.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.hub.server import HubServer


def main() -> int:
    """Run the command; return its exit code."""
    with HubServer() as server, tempfile.TemporaryDirectory() as folder:
        server.add_user("you", "hf_secret")
        environment = {
            "HF_ENDPOINT": server.url,
            "HF_HOME": folder,
            "HF_TOKEN": "hf_secret",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        }
        return subprocess.run(sys.argv[1:], env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
