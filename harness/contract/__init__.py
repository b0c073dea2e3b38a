"""All that a contestant imports: the interfaces it implements, the instruments it gets, the errors it raises."""

from harness.contract.dataset import Contents, Dataset, Pairs, Split, Unavailable, Waveform, texts
from harness.contract.entry import Argument, Entry
from harness.contract.instruments import Captioner, Encoder, Instrument, TextTower, TokenEncoder
from harness.contract.problems import BadInput, Problems
from harness.contract.retriever import Footprint, Ranking, Retriever, Unsupported, best
from harness.contract.store import Recipe, Store

__all__ = [
    "Argument",
    "BadInput",
    "Captioner",
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
