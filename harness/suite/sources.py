"""Digests of the files that a `{kind: python}` class is made of, found by reading them: nothing is imported or run.

Called where a suite's components are built, so that edited code counts as other code.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from harness.machine.files import file_digest
from harness.suite.registry import OURS

MOST_FILES = 500
MOST_BYTES = 10_000_000


class Module(NamedTuple):
    file: Path | None  # None: a folder without __init__.py
    inside: tuple[Path, ...]  # where its submodules lie


def digests(target: str, home: Path) -> dict[str, str]:
    """File → SHA-256: of the target's module, and of what it imports from beside it.

    That is from its own folder or package or from `home`, the suite's folder, directly or by way of others. Empty where
    there is no such module.
    """
    wanted = target.partition(":")[0]
    top = _top(wanted.partition(".")[0], home)
    if top is None:
        return {}
    roots = {home, *(top.inside or (() if top.file is None else (top.file.parent,)))}
    found: dict[str, str] = {}
    waiting, seen = [wanted], set[str]()
    while waiting and len(found) < MOST_FILES:
        name = waiting.pop()
        for each in _parents(name):
            if each in seen:
                continue
            seen.add(each)
            module = _find(each, home)
            if module is None:
                break
            if module.file is None or not (each == wanted or _own(each, module.file, roots, wanted)):
                continue
            package = module.file.name == "__init__.py"
            found[each.replace(".", "/") + ("/__init__.py" if package else module.file.suffix)] = file_digest(
                module.file
            )
            waiting += _imports(module.file, each, package)
    return dict(sorted(found.items()))


def changed(record: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """The files that differ from those that a record was made with, came or went."""
    before = record.get("sources")
    if not isinstance(before, dict):  # made before records held them, or without outside code
        return []
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _parents(name: str) -> Iterator[str]:
    """`a`, `a.b`, `a.b.c`: all that is run when the last is imported."""
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _own(name: str, file: Path, roots: set[Path], wanted: str) -> bool:
    top = name.partition(".")[0]
    if top in OURS and top != wanted.partition(".")[0]:
        return False
    return not _installed(file) and any(file.is_relative_to(root) for root in roots)


def _installed(file: Path) -> bool:
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    return bool({"site-packages", "dist-packages"} & set(file.parts)) or any(map(file.is_relative_to, libraries))


def _find(name: str, home: Path) -> Module | None:
    first, *rest = name.split(".")
    module = _top(first, home)
    for part in rest:
        module = _below(module.inside, part) if module else None
    return module


def _top(name: str, home: Path) -> Module | None:
    """As Python itself would look for it, and then beside the suite's file."""
    importlib.invalidate_caches()
    with suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(name)
        if spec is not None and (spec.origin not in ("built-in", "frozen") or spec.submodule_search_locations):
            file = Path(spec.origin).absolute() if spec.has_location and spec.origin else None
            return Module(file, tuple(Path(each).absolute() for each in spec.submodule_search_locations or ()))
    return _below((home,), name)


def _below(folders: Sequence[Path], name: str) -> Module | None:
    for folder in folders:
        if (folder / name / "__init__.py").is_file():
            return Module(folder / name / "__init__.py", (folder / name,))
        if (folder / f"{name}.py").is_file():
            return Module(folder / f"{name}.py", ())
    bare = tuple(folder / name for folder in folders if (folder / name).is_dir())
    return Module(None, bare) if bare else None


def _imports(file: Path, name: str, package: bool) -> Iterator[str]:
    """Every name that an import statement anywhere in the file may bring: modules, and what may be one."""
    if file.suffix != ".py" or file.stat().st_size > MOST_BYTES:
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):  # importing it will say so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = name.split(".") if package else name.split(".")[:-1]
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
