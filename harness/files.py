"""Writing so that nobody ever reads half a file, and telling afterwards whether a file is still what was written."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def canonical(value: Any) -> bytes:
    """One spelling for one value: what digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def path_digest(path: Path) -> str | None:
    """Of what a file holds, or of all files of a folder but the hidden ones; None where there is neither."""
    if path.is_file():
        return file_digest(path)
    if not path.is_dir():
        return None
    inside = {each.relative_to(path).as_posix(): each for each in path.rglob("*") if each.is_file()}
    shown = {name: each for name, each in inside.items() if not any(part[0] == "." for part in name.split("/"))}
    return digest({name: file_digest(each) for name, each in shown.items()})


def sync(path: Path) -> None:
    """Have a file, or a folder's list of names, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, data: bytes) -> None:
    """The whole file or nothing, whenever the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    try:
        with half.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        half.replace(path)
    except BaseException as error:
        half.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk doesn't say which file it was
            error.filename = str(path)
        raise
    sync(path.parent)


def finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {str(key): finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [finite(member) for member in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _encoded(text: str) -> bytes:
    """File names and command lines may hold halves of characters; `json.loads` takes them back from bytes."""
    return text.encode("utf-8", "surrogatepass")


def write_sealed(path: Path, data: bytes) -> None:
    """With a digest behind it: for what may be taken up after a kill."""
    write(path, data + hashlib.sha256(data).digest())


def read_sealed(path: Path) -> bytes:
    """What was written so; ValueError where any bit of it has changed."""
    whole = path.read_bytes()
    data, seal = whole[:-32], whole[-32:]
    if hashlib.sha256(data).digest() != seal:
        raise ValueError("it was altered since it was written")
    return data


def write_json(path: Path, value: Any) -> None:
    write(path, _encoded(json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False)) + b"\n")


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """With a digest of itself, so that any change to it shows."""
    bare = {key: member for key, member in finite(value).items() if key != "seal"}
    return {**bare, "seal": digest(bare)}


def unbroken(value: Any) -> bool:
    return isinstance(value, dict) and value.get("seal") == sealed(value)["seal"]


def pack_json(value: Any) -> bytes:
    """Gzipped JSON, the same bytes for the same value."""
    return gzip.compress(_encoded(json.dumps(finite(value), ensure_ascii=False, allow_nan=False)), mtime=0)


def unpack_json(data: bytes) -> Any:
    return json.loads(gzip.decompress(data))
