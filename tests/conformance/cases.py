"""Every retriever that the conformance test runs through: each kind of the registry with its tiny settings, and
variants that go other ways inside.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import tiny_checkpoints
from judges import judge
from kit import Kit, Remembered

from harness.contract.dataset import Contents, Pairs
from harness.contract.entry import Entry
from harness.contract.instruments import Encoder
from harness.contract.retriever import Footprint, Ranking, Retriever
from harness.suite.registry import kinds
from harness.suite.schema import marked, shapes

sys.path.append(str(Path(__file__).parents[1] / "fixtures" / "outside"))

from outside.entries import LENGTHS

Given = Mapping[str, Any]
TEXT = ("text-audio",)
PICTURES = ("text-image", "image-text", "text-video")


@dataclass(frozen=True)
class Case:
    entry: Entry
    settings: Given | Callable[[], Given] = field(default_factory=dict)  # besides the kind's tiny ones
    inside: Mapping[str, Given] = field(default_factory=dict)  # the same of retrievers that it is handed, by name
    encoder: Callable[[], Encoder] | None = None  # in place of the kit's
    ways: tuple[str, ...] = ()
    smallest: int = 1  # a gallery with fewer candidates may be refused: a ValueError that says so
    grows: bool = True  # what it keeps grows with the gallery
    learns: bool = False  # from the gallery, how to store it: what is added later is stored otherwise

    @property
    def directions(self) -> tuple[str, ...]:
        medium = "audio" if "audio" in self.entry.modalities else self.entry.modalities[0]
        both = (f"text-{medium}", f"{medium}-text")
        return self.ways or tuple(way for way in both if way.partition("-")[0] in self.entry.asks)

    def build(self, kit: Kit) -> Retriever:
        tools = {"encoder": self.encoder() if self.encoder else kit.encoder}
        given = self.settings() if callable(self.settings) else self.settings
        return _built(self.entry, given, self.inside, kit, tools)


def _built(entry: Entry, given: Given, inside: Mapping[str, Given], kit: Kit, tools: Given) -> Retriever:
    settings = entry.settings(**{**entry.tiny, **given})
    handed: dict[str, Any] = {"seed": 0, **tools} | ({"captioner": kit.captioner} if "captioner" in entry.needs else {})
    retrievers: dict[str, Retriever] = {}
    for name, shape in shapes(entry.settings).items():
        if marked(shape, "section") == "retrievers" and getattr(settings, name) is not None:
            inner = kinds("retrievers")[getattr(settings, name)]
            retrievers[name] = _built(inner, inside.get(name, {}), {}, kit, tools)
    handed = {name: value for name, value in (handed | retrievers).items() if name in entry.needs}
    retriever: Retriever = entry.load("retrievers")(settings, **handed)
    return Together(retriever, retrievers) if retrievers else retriever


class Together(Retriever):
    """In a suite those inside come prepared, and are kept apart; here all are made ready and kept at once."""

    def __init__(self, outer: Retriever, inside: Mapping[str, Retriever]) -> None:
        self.outer, self.inside = outer, inside
        self.search, self.add, self.footprint = outer.search, outer.add, outer.footprint  # type: ignore[method-assign]
        self.counts, self.reset_counts, self.details = outer.counts, outer.reset_counts, outer.details  # type: ignore[method-assign]

    def fit(self, train: Pairs, validation: Pairs) -> None:
        for each in (*self.inside.values(), self.outer):
            each.fit(train, validation)

    def index(self, gallery: Contents) -> None:
        for each in (*self.inside.values(), self.outer):
            each.index(gallery)

    def search(self, queries: Contents, k: int) -> Ranking:
        return self.outer.search(queries, k)

    def footprint(self) -> Footprint:
        return self.outer.footprint()

    def save(self, folder: Path) -> None:
        for name, each in self.inside.items():
            (folder / f"inside-{name}").mkdir()
            each.save(folder / f"inside-{name}")
        self.outer.save(folder)

    def load(self, folder: Path) -> None:
        for name, each in self.inside.items():
            each.load(folder / f"inside-{name}")
        self.outer.load(folder)


ADAPTERS: Mapping[str, Given] = {"clip": {"frames": 2}, "siglip": {"frames": 2}, "clap": {}, "open_clip": {"frames": 2}}
MEDIA = {"clip": PICTURES, "siglip": PICTURES[:1], "clap": ("text-audio", "audio-text"), "open_clip": PICTURES}
HERE = [name for name in ADAPTERS if name != "open_clip" or importlib.util.find_spec("open_clip")]  # it is an extra


@cache
def foreign(name: str) -> Encoder:
    """An encoder of another library, from a tiny checkpoint of random weights."""
    entry = kinds("encoders")["clip" if name == "siglip" else name]
    key = next(iter(entry.settings.model_fields))
    folder = getattr(tiny_checkpoints, name)(Path(tempfile.mkdtemp()))
    encoder: Encoder = entry.load("encoders")(entry.settings(**{key: folder, **ADAPTERS[name]}))
    encoder.fit(Pairs.empty("text", "text"), Pairs.empty("text", "text"))
    encoder.digest, encoder.stored = f"tiny-{name}", Remembered()
    return encoder


# What isn't as it is with most, of the kinds themselves.
OTHERWISE: Mapping[str, Given] = {
    **{name: {"grows": False} for name in ("null", "random", "constant", "oracle")},
    **{name: {"learns": True} for name in ("caption_match", "cart", "dual_tuned", "lexical")},
    "pretrained": {"settings": lambda: {"checkpoint": judge("blip")}, "ways": ("text-image",)},
}
KINDS = {name: entry for name, entry in kinds("retrievers").items() if not entry.foreign}
DUAL, TUNED, CART = (KINDS[name] for name in ("dual_tower", "dual_tuned", "cart"))


def dual(index: str, tune: Given | None = None, **search: int) -> Given:
    return {"index": index, "search": search, "tune": tune or {}}


def across(name: str, index: str = "exact", ways: tuple[str, ...] | None = None, **search: int) -> Case:
    return Case(DUAL, dual(index, **search), encoder=lambda: foreign(name), ways=ways or MEDIA[name])


def started(**settings: Any) -> Case:
    distilled = {"text": "captioner", "teacher": "likelihood", "teacher_texts": 20}
    return Case(CART, {"start": "dual_tuned", "loss": "legal", **settings}, {"start": distilled}, learns=True)


VECTOR: Given = {"text": "vector", "fusion": "last-layer", "teacher": "start", "teacher_texts": 20}

CASES: Mapping[str, Case] = {
    **{name: Case(entry, **OTHERWISE.get(name, {})) for name, entry in KINDS.items()},
    "exact-image": Case(DUAL, ways=("text-image", "image-text")),
    "exact-video": Case(DUAL, ways=("text-video", "video-text")),
    "flat": Case(DUAL, dual("Flat")),
    "hnsw": Case(DUAL, dual("HNSW8,Flat", efSearch=256)),  # deep enough to see a tiny gallery whole
    "exact-learnt": Case(DUAL, {"start": "dual_tuned"}, ways=TEXT, learns=True),
    "ivf-tuned": Case(DUAL, dual("IVF4,Flat", {"recall": 0.95}), smallest=4, learns=True),
    **{f"dual-{name}": across(name) for name in HERE},
    **{f"hnsw-{name}": across(name, "HNSW8,Flat", MEDIA[name][:1], efSearch=256) for name in HERE},
    "sq-clap": Case(DUAL, dual("SQ8"), encoder=lambda: foreign("clap"), learns=True),
    "dual-taught": Case(TUNED, {"teacher": "dual", "teacher_texts": 20}, learns=True),
    "dual-distilled": Case(TUNED, {"text": "captioner", "teacher": "likelihood", "teacher_texts": 20}, learns=True),
    "cart-started": started(),
    "cart-vector": started(**VECTOR, pca=8, balanced=True),
    "cart-blend": started(**VECTOR, blend=0.5),
    "cart-adding": started(**VECTOR, add_steps=3),
    "cart-clap": Case(CART, encoder=lambda: foreign("clap"), learns=True),
    "cart-legal": Case(CART, {"loss": "legal", "geometry": "codebook"}, learns=True),
    "cart-taught": Case(CART, {"teacher": "likelihood", "teacher_texts": 20}, learns=True),
    "match-deep": Case(KINDS["match"], {"layers": 2}, ways=("text-image",)),
    "vilt": Case(KINDS["pretrained"], lambda: {"checkpoint": judge("vilt")}, ways=("text-image", "text-video")),
    "rerank-match": Case(KINDS["rerank"], {"second": "match"}, {"first": {"index": "Flat"}}),
    "outside": Case(LENGTHS),
}
