"""Writing whole files or none, and digests that tell whether something has changed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import python_path

from harness.machine import files

TEXT = st.text(st.characters(codec=None))  # all there is, halves of characters too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT.filter(lambda key: key != "seal"), inner),
    max_leaves=12,
)


@given(VALUES)
def test_json_comes_back_as_it_was(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "value.json"
    files.write_json(path, value)
    assert json.loads(path.read_bytes()) == value
    assert files.unpack_json(files.pack_json(value)) == value
    assert files.pack_json(value) == files.pack_json(value)


@given(st.dictionaries(st.text(), VALUES), st.text(min_size=1))
def test_a_seal_breaks_when_anything_changes(value, key):
    value.pop("seal", None)
    sealed = files.sealed(value)
    assert files.unbroken(sealed)
    assert files.unbroken(json.loads(json.dumps(sealed)))
    assert files.sealed(sealed) == sealed
    if key != "seal":
        assert not files.unbroken({**sealed, key: [value.get(key)]})


@pytest.mark.parametrize("value", [None, [], "text", 3, {}, {"a": 1}, {"a": 1, "seal": None}])
def test_what_was_never_sealed_is_not_whole(value):
    assert not files.unbroken(value)


def test_the_order_of_keys_changes_no_digest_and_everything_else_does():
    assert files.digest({"a": 1, "b": [2]}) == files.digest({"b": [2], "a": 1})
    different = [{"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": [1]}, {"a": True}, {"b": 1}, {"a": None}, {}]
    assert len({files.digest(value) for value in different}) == len(different)
    with pytest.raises(ValueError):
        files.digest(float("nan"))


def test_what_is_not_finite_becomes_null():
    nan, inf = float("nan"), float("inf")
    assert files.finite({1: [nan, (inf, 1.0)], "a": -inf}) == {"1": [None, [None, 1.0]], "a": None}


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space") as raised:
        patch.setattr(os, "fsync", full)
        files.write(path, b"new")
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    """Killed at any moment, the file is one of those that were written, whole."""
    program = """
import sys
from pathlib import Path
from harness.machine import files
for number in range(10**9):
    files.write(Path(sys.argv[1]), bytes([number % 256]) * 300_000)
    print(flush=True)
"""
    path = tmp_path / "file"
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": python_path()},
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    for _ in range(50):
        data = path.read_bytes()
        assert len(data) == 300_000
        assert len(set(data)) == 1
    writer.kill()
    writer.communicate()
    data = path.read_bytes()
    assert len(data) == 300_000
    assert len(set(data)) == 1
