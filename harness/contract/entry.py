"""What the registry knows of a kind: where it lives, what it takes, what it needs. A package announces its entries by
entry points in the groups `harness.retrievers`, `harness.datasets`, `harness.encoders` and `harness.captioners`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.contract.settings import SECTIONS, Section, Settings
from harness.machine.files import is_folder

__all__ = ["SECTIONS", "Entry", "Section", "WrongTarget", "folder_state"]

# Only what is one of these is ever called; a dataset is any class with a `split`.
INTERFACES: Mapping[str, tuple[str, str]] = {
    "retrievers": ("harness.contract", "Retriever"),
    "encoders": ("harness.contract", "Encoder"),
    "captioners": ("harness.contract", "Captioner"),
}


class WrongTarget(Exception):
    """A target names something other than a class of the section's interface."""


@dataclass(frozen=True)
class Entry:
    target: str  # package.module:Class, imported when the first one is built; empty: this version can't build it
    settings: type[Settings] = Settings
    about: str = ""
    version: int = 1  # raise it whenever the same configuration gives other results: what was made before is made anew
    seeded: bool = True  # false: the seed changes nothing, so that all seeds share one
    modalities: tuple[str, ...] = ("image", "audio", "video")  # the media it can handle
    # What its constructor takes by name, besides its settings. Where the settings have a field of that name, the
    # suite names it there; else: encoder, captioner (the task's), store, scratch (a folder for checkpoints), seed;
    # `links` to controls; `reveal` to instruments whose files go by names. What those must offer: `Settings.wants`.
    needs: tuple[str, ...] = ()
    offers: tuple[str, ...] | None = ()  # in the words of `settings`; None: unknown, as of outside code
    asks: tuple[str, ...] = ("text", "image", "audio", "video")  # retrievers: the queries it can answer
    learns: bool = False  # retrievers: their indexes are trained, and come out otherwise on another machine
    paradigm: str = ""  # retrievers: one of harness.contract.PARADIGMS
    tiny: Mapping[str, Any] = field(default_factory=dict)  # retrievers: settings with which it is trained in a second
    requires: tuple[str, ...] = ()  # modules that must be importable
    install: str = ""  # the command that brings them
    generated: bool = False  # datasets: made by a program
    closed: bool = False  # encoders: knows what it was given and no other queries, such as one warms up with
    folder: str = ""  # datasets: where it lies below the data root, which its constructor takes as `root`
    obtain: str = ""  # datasets: where it comes from, under which licence
    folds: Mapping[str, int] = field(default_factory=dict)  # datasets: value of `protocol` → folds it is asked in
    # module:function, called with the arguments before anything is made: a sentence that says what is wrong with them,
    # or None. For what settings can't tell by themselves; it must not import torch or faiss itself.
    check: str = ""
    kind: str = ""  # the name that suites know it by: its entry point's
    foreign: bool = False  # from another package or a suite's `kind: python`: prepared in a process of its own
    home: Path | None = None  # `kind: python`: the folder of the suite, where modules are looked for too

    def missing(self) -> str | None:
        """Why it can't be used on this machine, and what to do; None when it can."""
        absent = [module for module in self.requires if not _importable(module)]
        if absent:
            return f"{self.kind} needs the package {', '.join(absent)}: {self.install}"
        return None

    def absent(self, data: Path) -> str | None:
        """Why a dataset can't be had from below this folder, and what to do; None when it seems to be there."""
        if self.missing():
            return self.missing()
        root = data / self.folder
        state = folder_state(root) if self.folder else "present"
        if state != "present":
            return (
                f"{self.kind}: {'nothing' if state == 'absent' else 'an empty folder'} at {root}; get {self.obtain}; "
                "put it there, or name the folder above it with --data or HARNESS_DATA"
            )
        return None if self.target else f"{self.kind}: {self.about or 'this version has no loader for it yet'}"

    def module(self) -> Any:
        """Import the target's module: from the path, or else from the suite's folder."""
        if self.home is not None and str(self.home) not in sys.path:
            sys.path.append(str(self.home))
        return importlib.import_module(self.target.partition(":")[0])

    def load(self, section: Section) -> Any:
        """Import the class; anything but a class of the section's interface raises `WrongTarget`."""
        module, _, name = self.target.partition(":")
        found = getattr(self.module(), name, None)
        if found is None:
            raise WrongTarget(f"{self.target}: there is no {name} in {module}; expected a class; correct the name")
        if section == "datasets":
            fits, wanted = isinstance(found, type) and callable(getattr(found, "split", None)), "a class with `split`"
        else:
            where, interface = INTERFACES[section]
            base = getattr(importlib.import_module(where), interface)
            fits, wanted = isinstance(found, type) and issubclass(found, base), f"a subclass of {where}.{interface}"
        if not fits:
            raise WrongTarget(f"{self.target} is {_what(found)}; expected {wanted}; it is not called")
        return found


def _what(found: Any) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}({', '.join(base.__name__ for base in found.__bases__)})"
    return "a function" if callable(found) else f"of the type {type(found).__name__}"


def folder_state(path: Path) -> Literal["absent", "empty", "present"]:
    """Whether there is a folder with something in it; hidden files are nothing."""
    if not is_folder(path):
        return "absent"
    try:
        return "present" if any(not entry.name.startswith(".") for entry in path.iterdir()) else "empty"
    except OSError:  # it can't be read
        return "absent"


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # the package that it's in isn't there; or it's half imported
        return False
