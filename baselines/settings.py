"""What can be configured of the contestants in this folder. Imports no torch; the controls are in `controls`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from harness.contract.entry import Entry
from harness.contract.settings import (
    LIKELIHOOD,
    PAIRS,
    TEXT_SIDE,
    TUNED,
    Count,
    Rate,
    RetrieverName,
    Settings,
    Steps,
    Temperature,
    Tries,
)

Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class DualTowerSettings(Settings):
    later = frozenset({"start"})
    start: RetrieverName | None = Field(None, description="a dual_tuned, whose vectors and text side it looks up with")
    index: str = Field("exact", description="exact, or a FAISS factory string such as HNSW32,Flat, IVF*,Flat or PQ32x*")
    search: dict[str, Whole] = Field({}, description="search settings by their FAISS names: efSearch, nprobe, …")
    tune: dict[str, float] = Field({}, description="{recall: 0.99}: the least such setting that reaches it; `k` beside")

    def wants(self) -> Mapping[str, str]:
        return {"start": TUNED}


DUAL_TOWER = Entry(
    "baselines.dual_tower:DualTower",
    DualTowerSettings,
    about="encodes query and candidates apart and looks up the nearest: exact, or any FAISS factory string",
    version=2,  # PCA by L2 distance
    paradigm="dual-tower",
    needs=("encoder", "start", "seed"),
    check="baselines.index_trial:problem",
)

CAPTION_MATCH = Entry(
    "baselines.caption_match:CaptionMatch",
    about="the query against generated captions of each candidate: what captions alone bring",
    paradigm="control",
    needs=("encoder", "captioner"),
    asks=("text",),
)


class DualTunedSettings(Settings):
    later = frozenset({"temperature", "tune"})
    steps: Steps = 600
    batch: int = Field(256, ge=2, le=65_536, description="texts in a step")
    lr: Rate = 1e-3
    text: Literal["tower", "captioner"] = Field(
        "tower", description="the text side it begins with: the encoder's, or the layers that the captioner reads with"
    )
    teacher: Literal["none", "dual", "likelihood"] = Field(
        "none", description="who says which candidates other texts fit"
    )
    teacher_texts: Count = Field(4000, description="texts that the teacher judges")
    temperature: Temperature = 3.0
    tune: Tries = {}

    def wants(self) -> Mapping[str, str]:
        if self.teacher == "likelihood":
            return {"captioner": LIKELIHOOD}
        return {"captioner": TEXT_SIDE} if self.text == "captioner" else {}


DUAL_TUNED = Entry(
    "baselines.dual_tuned:DualTuned",
    DualTunedSettings,
    about="a dual tower with a vector for each candidate, tuned on generated captions of the gallery",
    version=2,
    learns=True,
    paradigm="dual-tower",
    needs=("encoder", "captioner", "store", "seed"),
    offers=(TUNED, PAIRS),
    asks=("text",),
    tiny={"steps": 4, "batch": 16},
)


class LexicalSettings(Settings):
    k1: float = Field(1.5, ge=0, le=100, description="how soon more of a word counts no more")
    b: float = Field(0.75, ge=0, le=1, description="how much the length of a document counts")


LEXICAL = Entry(
    "baselines.lexical:Lexical",
    LexicalSettings,
    about="BM25: the query's words against those of generated captions of each candidate",
    paradigm="control",
    seeded=False,
    needs=("captioner",),
    asks=("text",),
    requires=("bm25s",),
    install="pip install bm25s",
)


class RerankSettings(Settings):
    searching = frozenset({"n"})
    first: RetrieverName = Field(description="proposes")
    second: RetrieverName = Field("likelihood", description="decides")
    n: int = Field(20, ge=1, le=10_000, description="candidates that are proposed")

    def wants(self) -> Mapping[str, str]:
        return {"second": PAIRS}


RERANK = Entry(
    "baselines.rerank:Rerank",
    RerankSettings,
    about="one retriever proposes n candidates, another one, which judges pairs, decides",
    version=2,
    paradigm="hybrid",
    seeded=False,
    needs=("first", "second"),
    asks=("text",),
    tiny={"first": "dual_tower", "n": 12},
)
