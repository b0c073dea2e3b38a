"""Writes files whole or not at all, and checks afterwards that they are unchanged."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import math
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

MOST_FILES, MOST_BYTES = 10_000, 500 * 10**9  # of a folder that is read whole, such as a checkpoint


def canonical(value: Any) -> bytes:
    """One spelling for one value: what digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class BadPath(ValueError):
    """A path that can't be the intended one."""


def objection(path: Path) -> str | None:
    """Why a path can't be read whole: what it is; what was expected; what to do. None: it can, or nothing is there.

    Nothing is opened: a pipe would wait for a writer.
    """
    try:
        if f"{os.path.realpath(path)}/".startswith(("/proc/", "/sys/")):
            return "is made up by the kernel as it is read; expected a file or folder on a disk; name that"
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) and os.access(path, os.R_OK):
            return None
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            return "is a pipe, a socket or a device; expected a file or folder; write it to a file first"
        count = size = 0
        for each in _shown(path) if stat.S_ISDIR(mode) else [path]:
            if not os.access(each, os.R_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(each))
            count, size = count + 1, size + each.stat().st_size
            if count > MOST_FILES or size > MOST_BYTES:
                return (
                    f"holds more than {MOST_FILES:,} files or {MOST_BYTES // 10**9:,} GB, all of which would be read; "
                    "expected a checkpoint or a file of data; name the folder or file that is meant"
                )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL character
        where = getattr(error, "filename", None)
        reason = getattr(error, "strerror", None) or str(error)
        reason = reason if where in (None, str(path)) else f"{where}: {reason}"
        return f"can't be read ({reason}); expected a file or folder that can; check its name and its permissions"
    return None


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # its name is too long, or above it is something that we may not read
        return False


def _shown(folder: Path) -> Iterator[Path]:
    """All files below a folder but the hidden ones. Links to folders are not followed: they may lead in circles."""

    def unreadable(error: OSError) -> NoReturn:
        raise error

    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if name[0] != "."]
        yield from (path for name in names if name[0] != "." and (path := Path(root, name)).is_file())


def path_digest(path: Path) -> str | None:
    """Of what a file holds, or of all files of a folder but the hidden ones; None where there is neither."""
    wrong = objection(path)
    if wrong:
        raise BadPath(f"{path} {wrong}")
    if path.is_file():
        return file_digest(path)
    if not path.is_dir():
        return None
    return digest({each.relative_to(path).as_posix(): file_digest(each) for each in _shown(path)})


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
    """With a digest at the end: for what may be resumed after a kill."""
    write(path, data + hashlib.sha256(data).digest())


def read_sealed(path: Path) -> bytes:
    """The data of `write_sealed`; ValueError if any bit of it has changed."""
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
