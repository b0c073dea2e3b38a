"""All that a contestant imports: the interfaces it implements, the instruments it gets, the errors it raises.

A name is imported when it is asked for: planning a suite needs the problems, and neither numpy nor the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.contract.dataset import Contents, Dataset, Pairs, Split, Unavailable, Waveform, texts
    from harness.contract.entry import Entry
    from harness.contract.instruments import Captioner, Encoder, Instrument, TextTower, TokenEncoder
    from harness.contract.problems import BadInput, Problems
    from harness.contract.retriever import Footprint, Generates, Quantises, Ranking, Retriever, Unsupported, best
    from harness.contract.settings import Conflict, Settings
    from harness.contract.store import Recipe, Store

__all__ = [
    "BadInput",
    "Captioner",
    "Conflict",
    "Contents",
    "Dataset",
    "Encoder",
    "Entry",
    "Footprint",
    "Generates",
    "Instrument",
    "Pairs",
    "Problems",
    "Quantises",
    "Ranking",
    "Recipe",
    "Retriever",
    "Settings",
    "Split",
    "Store",
    "TextTower",
    "TokenEncoder",
    "Unavailable",
    "Unsupported",
    "Waveform",
    "best",
    "texts",
]
HOMES = {
    "dataset": ("Contents", "Dataset", "Pairs", "Split", "Unavailable", "Waveform", "texts"),
    "entry": ("Entry",),
    "instruments": ("Captioner", "Encoder", "Instrument", "TextTower", "TokenEncoder"),
    "problems": ("BadInput", "Problems"),
    "retriever": ("Footprint", "Generates", "Quantises", "Ranking", "Retriever", "Unsupported", "best"),
    "settings": ("Conflict", "Settings"),
    "store": ("Recipe", "Store"),
}
HOME = {name: module for module, names in HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"harness.contract has no {name}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"harness.contract.{HOME[name]}"), name)
