from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save

from ganzoo.errors import WeightsFormatError
from ganzoo.weights.tensors import MAX_HEADER_BYTES, deserialize, serialize

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3)}


def framed(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def test_tensors_and_metadata_come_back() -> None:
    tensors, metadata = deserialize(serialize(TENSORS, {"format": "pt"}), "x")
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert metadata["format"] == "pt"


def test_shared_and_strided_tensors_are_written_as_their_own() -> None:
    base = torch.arange(6.0).view(2, 3)
    tensors, _ = deserialize(serialize({"a": base, "b": base, "c": base.T}, {}), "x")
    assert torch.equal(tensors["c"], base.T)


def test_the_same_tensors_give_the_same_bytes_in_every_process() -> None:
    code = (
        "import hashlib, torch; from ganzoo.weights.tensors import serialize;"
        "many = {str(k): torch.full((k + 1,), k) for k in range(20)};"
        "print(hashlib.sha256(serialize(many, {str(k): 'x' for k in range(20)})).hexdigest())"
    )
    results = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(results) == 1


def test_every_changed_byte_of_the_data_is_noticed() -> None:
    content = serialize(TENSORS, {})
    start = 8 + int.from_bytes(content[:8], "little")
    for index in range(start, len(content)):
        damaged = bytearray(content)
        damaged[index] ^= 1
        with pytest.raises(WeightsFormatError, match="damaged"):
            deserialize(bytes(damaged), "x")


DUPLICATE = (
    b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "an empty file"),
        (b"\x00\x01", "something else"),
        (pickle.dumps({"a": 1}), "a pickle"),
        (b"PK\x03\x04" + bytes(100), "a zip archive"),
        (b"<!doctype html><html></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (framed(b" " + json.dumps({}).encode()), "not safetensors"),
        ((MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b"{" + bytes(100), "not safetensors"),
        ((1 << 63).to_bytes(8, "little") + b"{}", "not safetensors"),
        ((100).to_bytes(8, "little") + b"{}", "truncated"),
        (framed(b"{nonsense"), "unreadable header"),
        (framed(b"{" + b'"a":{' * 5000), "unreadable header"),
        (framed(b'{"__metadata__":{"a":3}}'), "metadata is not text"),
        (framed(b'{"__metadata__":[]}'), "metadata is not text"),
        (framed(DUPLICATE, bytes(4)), "occurs twice"),
        (framed(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', bytes(4)), "not a valid safetensors"),
        (framed(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(9)), "not a valid safetensors"),
        (save({"a": torch.tensor([1.0, float("nan")])}), "NaN or infinite"),
        (save({"a": torch.tensor([float("inf")])}), "NaN or infinite"),
    ],
)
def test_what_is_no_sound_safetensors_file_is_refused(content: bytes, word: str) -> None:
    with pytest.raises(WeightsFormatError, match=word) as caught:
        deserialize(content, "model.safetensors")
    assert "model.safetensors" in str(caught.value)
    assert caught.value.hint
