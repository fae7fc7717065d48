from __future__ import annotations

import subprocess
import sys

import pytest
import torch

PROGRAM = """
import torch
from ganzoo.training.precision import allow_tf32

matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
switches = (matmul, cudnn.conv, cudnn.rnn)
first = [switch.fp32_precision for switch in switches]


def state():
    return [switch.fp32_precision for switch in switches], cudnn.benchmark


def check():
    before = state()
    with allow_tf32(torch.device("cuda")):
        assert matmul.allow_tf32 and cudnn.allow_tf32 and cudnn.benchmark
        assert [switch.fp32_precision for switch in switches] == ["tf32"] * 3
    assert state() == before
    with allow_tf32(torch.device("cpu")):
        assert state() == before


check()
assert not matmul.allow_tf32 and cudnn.allow_tf32
for new in [("none", "ieee", "tf32"), ("tf32", "ieee", "ieee"), ("ieee", "tf32", "tf32")]:
    for switch, precision in zip(switches, new):
        switch.fp32_precision = precision
    check()
for switch, precision in zip(switches, first):
    switch.fp32_precision = precision
matmul.allow_tf32, cudnn.allow_tf32 = True, False
check()
assert matmul.allow_tf32 and not cudnn.allow_tf32
"""


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="this torch has one API only")
def test_tf32_is_allowed_for_a_while_whichever_api_the_caller_uses() -> None:
    # In a process of its own: these switches belong to the whole process. They need no GPU.
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
