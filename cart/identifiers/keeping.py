"""Schemes by name, and identifiers with their scheme to and from a folder: safetensors and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from cart.identifiers.base import Identifiers, Scheme
from cart.identifiers.fine import Settings
from cart.identifiers.plain import Atomic, Numeric, Random
from cart.identifiers.schemes import Cart, Residual, Structured
from harness.machine.files import write_json

SCHEMES: dict[str, type[Scheme]] = {
    "cart": Cart,
    "residual": Residual,
    "structured": Structured,
    "atomic": Atomic,
    "numeric": Numeric,
    "random": Random,
}


def make(kind: str, settings: Mapping[str, Any] | None = None) -> Scheme:
    """A scheme not yet fitted, from plain settings; `fine` may be a mapping of its own."""
    if kind not in SCHEMES:
        raise ValueError(f"identifiers {kind!r}: there are {', '.join(SCHEMES)}")
    settings = dict(settings or {})
    if isinstance(settings.get("fine"), Mapping):
        settings["fine"] = Settings(**settings["fine"])
    return SCHEMES[kind](**settings)


def save(folder: Path, scheme: Scheme, identifiers: Identifiers) -> None:
    arrays = {**scheme.arrays(), "tokens": identifiers.tokens}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "identifiers.safetensors")
    kind = next(name for name, known in SCHEMES.items() if type(scheme) is known)
    given = {f.name for f in fields(scheme) if f.init}  # type: ignore[arg-type]  # every scheme is a dataclass
    settings = {name: value for name, value in asdict(scheme).items() if name in given}  # type: ignore[call-overload]
    facts = {"kind": kind, "settings": settings, "code_sizes": scheme.sizes, "sizes": identifiers.sizes}
    write_json(folder / "identifiers.json", {**facts, "statistics": identifiers.statistics})


def load(folder: Path) -> tuple[Scheme, Identifiers]:
    facts = json.loads((folder / "identifiers.json").read_text())
    arrays = load_file(folder / "identifiers.safetensors")
    identifiers = Identifiers(arrays.pop("tokens"), tuple(facts["sizes"]), facts["statistics"])
    scheme = make(facts["kind"], facts["settings"])
    scheme.restore(arrays, facts["code_sizes"])
    return scheme, identifiers
