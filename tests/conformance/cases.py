"""Every retriever that the conformance test runs through. Adding a retriever is adding one line to CASES."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tiny_checkpoints
from judges import judge
from kit import Kit, Remembered

from baselines.caption_match import CaptionMatch
from baselines.controls import Constant, Null, Oracle, Random
from baselines.dual_tower import DualTower
from baselines.dual_tuned import DualTuned
from baselines.encoders.clap import ClapEncoder
from baselines.encoders.clip import ClipEncoder
from baselines.encoders.open_clip import OpenClipEncoder
from baselines.encoders.pretrained import PretrainedEncoder
from baselines.lexical import Lexical
from baselines.rerank import Rerank
from baselines.single_tower.likelihood import Likelihood
from baselines.single_tower.match import Match
from baselines.single_tower.pretrained import Pretrained
from cart.retriever import CartRetriever
from harness.contract.dataset import Contents, Pairs
from harness.contract.retriever import Retriever

sys.path.append(str(Path(__file__).parents[1] / "fixtures" / "outside"))

from outside.lengths import Lengths


@dataclass(frozen=True)
class Case:
    build: Callable[[Kit], Retriever]
    directions: tuple[str, ...] = ("text-audio", "audio-text")
    smallest: int = 1  # a gallery with fewer candidates may be refused: a ValueError that says so
    grows: bool = True  # what it keeps grows with the gallery
    learns: bool = False  # from the gallery, how to store it: what is added later is stored otherwise


TEXT = ("text-audio",)
PICTURES = ("text-image", "image-text", "text-video")
MEDIA = {"clip": PICTURES, "siglip": PICTURES[:1], "clap": ("text-audio", "audio-text"), "open_clip": PICTURES}


class Together(Rerank):
    """In a suite the two inside it come prepared; here all are made ready at once."""

    def fit(self, train: Pairs, validation: Pairs) -> None:
        self.first.fit(train, validation)
        self.second.fit(train, validation)

    def index(self, gallery: Contents) -> None:
        self.first.index(gallery)
        self.second.index(gallery)
        self.grown = True  # since the two were saved, of which there is no trace


class Started(CartRetriever):
    """The same of CART and the fine-tuned dual tower that it starts from, stored beside it here."""

    start: DualTuned

    def fit(self, train: Pairs, validation: Pairs) -> None:
        self.start.fit(train, validation)
        super().fit(train, validation)

    def index(self, gallery: Contents) -> None:
        self.start.index(gallery)
        super().index(gallery)

    def save(self, folder: Path) -> None:
        (folder / "start").mkdir()
        self.start.save(folder / "start")
        super().save(folder)

    def load(self, folder: Path) -> None:
        self.start.load(folder / "start")
        super().load(folder)


def tuned(kit: Kit, **settings: Any) -> DualTuned:
    return DualTuned(kit.encoder, kit.captioner, steps=4, batch=16, lr=1e-3, **settings)


SMALL: Mapping[str, Any] = {
    "steps": 4,
    "batch": 16,
    "clusters": 4,
    "codes": 4,
    "width": 48,
    "layers": 1,
    "beams": 50,
}


def cart(kit: Kit, **settings: Any) -> Retriever:
    return CartRetriever(kit.encoder, kit.captioner, **{**SMALL, **settings})


def started(kit: Kit, **settings: Any) -> Retriever:
    start = tuned(kit, text="captioner", teacher="likelihood", teacher_texts=20)
    return Started(kit.encoder, kit.captioner, start=start, **{**SMALL, "loss": "legal", **settings})


def match(kit: Kit, **settings: Any) -> Match:
    return Match(kit.encoder, **({"steps": 2, "items": 8, "negatives": 3, "lr": 1e-3, "layers": 1} | settings))


def dual(index: str, **search: int) -> Callable[[Kit], Retriever]:
    return lambda kit: DualTower(kit.encoder, index, search)


ADAPTERS: Mapping[str, Callable[[Path], PretrainedEncoder]] = {
    "clip": lambda folder: ClipEncoder(folder, frames=2),
    "siglip": lambda folder: ClipEncoder(folder, frames=2),
    "clap": ClapEncoder,
    "open_clip": lambda folder: OpenClipEncoder(folder, frames=2),
}
HERE = [name for name in ADAPTERS if name != "open_clip" or importlib.util.find_spec("open_clip")]  # it is an extra


@cache
def foreign(name: str) -> PretrainedEncoder:
    """An encoder of another library, from a tiny checkpoint of random weights."""
    encoder = ADAPTERS[name](getattr(tiny_checkpoints, name)(Path(tempfile.mkdtemp())))
    encoder.fit(Pairs.empty("text", "text"), Pairs.empty("text", "text"))
    encoder.digest, encoder.stored = f"tiny-{name}", Remembered()
    return encoder


def across(name: str, index: str = "exact", **search: int) -> Callable[[Kit], Retriever]:
    return lambda kit: DualTower(foreign(name), index, search)


CASES: Mapping[str, Case] = {
    "null": Case(lambda kit: Null(), grows=False),
    "random": Case(lambda kit: Random(seed=3), grows=False),
    "constant": Case(lambda kit: Constant(), grows=False),
    "oracle": Case(lambda kit: Oracle(), grows=False),
    "exact": Case(dual("exact")),
    "exact-image": Case(dual("exact"), ("text-image", "image-text")),
    "exact-video": Case(dual("exact"), ("text-video", "video-text")),
    "flat": Case(dual("Flat")),
    "hnsw": Case(dual("HNSW8,Flat", efSearch=256)),  # deep enough to see a tiny gallery whole
    "ivf-tuned": Case(lambda kit: DualTower(kit.encoder, "IVF4,Flat", tune={"recall": 0.95}), smallest=4, learns=True),
    **{f"dual-{name}": Case(across(name), MEDIA[name]) for name in HERE},
    **{f"hnsw-{name}": Case(across(name, "HNSW8,Flat", efSearch=256), MEDIA[name][:1]) for name in HERE},
    "sq-clap": Case(across("clap", "SQ8"), learns=True),
    "caption-match": Case(lambda kit: CaptionMatch(kit.encoder, kit.captioner), TEXT, learns=True),
    "dual-tuned": Case(lambda kit: tuned(kit), TEXT),
    "dual-taught": Case(lambda kit: tuned(kit, teacher="dual", teacher_texts=20), TEXT),
    "dual-distilled": Case(lambda kit: tuned(kit, text="captioner", teacher="likelihood", teacher_texts=20), TEXT),
    "cart": Case(lambda kit: cart(kit), TEXT, learns=True),
    "cart-started": Case(lambda kit: started(kit), TEXT, learns=True),
    "cart-vector": Case(
        lambda kit: started(kit, text="vector", fusion="last-layer", teacher="start", teacher_texts=20),
        TEXT,
        learns=True,
    ),
    "cart-blend": Case(
        lambda kit: started(kit, text="vector", fusion="last-layer", teacher="start", teacher_texts=20, blend=0.5),
        TEXT,
        learns=True,
    ),
    "cart-clap": Case(lambda kit: CartRetriever(foreign("clap"), kit.captioner, **SMALL), TEXT, learns=True),
    "cart-legal": Case(lambda kit: cart(kit, loss="legal", geometry="codebook"), TEXT, learns=True),
    "cart-taught": Case(lambda kit: cart(kit, teacher="likelihood", teacher_texts=20), TEXT, learns=True),
    "likelihood": Case(lambda kit: Likelihood(kit.captioner), TEXT),
    "match": Case(match, TEXT),
    "match-deep": Case(lambda kit: match(kit, layers=2), ("text-image",)),
    "blip": Case(lambda kit: Pretrained(judge("blip")), ("text-image",)),
    "vilt": Case(lambda kit: Pretrained(judge("vilt")), ("text-image", "text-video")),
    "lexical": Case(lambda kit: Lexical(kit.captioner), TEXT, learns=True),
    "rerank": Case(lambda kit: Together(DualTower(kit.encoder), Likelihood(kit.captioner), n=12), TEXT),
    "rerank-match": Case(lambda kit: Together(DualTower(kit.encoder, "Flat"), match(kit), n=12), TEXT),
    "outside": Case(lambda kit: Lengths()),
}
