"""All that a contestant imports: what it has to be, what it is handed, how it says what is wrong."""

from harness.contract.dataset import Contents, Dataset, Pairs, Split, Unavailable, Waveform, texts
from harness.contract.entry import Entry
from harness.contract.instruments import Captioner, Encoder, Instrument, TextTower, TokenEncoder
from harness.contract.problems import BadInput, Problems
from harness.contract.retriever import Footprint, Ranking, Retriever, Unsupported, best
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
    "Instrument",
    "Pairs",
    "Problems",
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
