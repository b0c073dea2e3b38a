"""What can be configured of CART, and what can't go together. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from harness.contract.entry import Entry
from harness.contract.settings import (
    LIKELIHOOD,
    TEXT_SIDE,
    TUNED,
    Checkpoint,
    Conflict,
    Count,
    Rate,
    RetrieverName,
    Settings,
    Temperature,
    Tries,
)

HEADS = 4  # of the decoder's attention


class CartSettings(Settings):
    later = frozenset({"add_steps", "described", "temperature", "text_dropout", "tune"})
    searching = frozenset({"beams"})
    start: RetrieverName | None = Field(None, description="a dual_tuned, whose vectors and text side it takes over")
    text: Literal["tower", "vector", "scratch"] | Checkpoint = Field(
        "tower", description="the text side: the encoder's word by word, its vector alone, one from scratch, another's"
    )
    frozen: bool = Field(False, description="the text side is not trained; a vector never is")
    identifiers: Literal["cart", "residual", "structured", "atomic", "numeric", "random"] = Field(
        "cart", description="the scheme: the paper's, or a rival's"
    )
    clusters: int = Field(32, ge=1, le=65_536, description="sizes the first token")
    books: int = Field(2, ge=1, le=16, description="codebooks after it")
    codes: int = Field(32, ge=1, le=65_536, description="in each codebook")
    pca: int = Field(0, ge=0, le=65_536, description="main directions in which vectors are quantised; 0: all of them")
    balanced: bool = Field(False, description="clusters of about equal size, by a price on crowded ones")
    fusion: Literal["both", "coarse", "fine", "last-layer"] = Field(
        "both", description="how the decoder looks at the layers of the text side"
    )
    geometry: Literal["none", "codebook", "centroid", "learned", "lse"] = Field(
        "none", description="vectors of tokens or of nodes that the query's vector is compared with"
    )
    loss: Literal["legal", "full"] = Field(
        "full", description="normalised over the children that the tree has, or over a level's whole vocabulary"
    )
    consistency: float = Field(0.15, ge=0, le=100, description="the weight of R-Drop; 0 saves the second pass")
    described: int = Field(
        0, ge=0, le=100_000_000, description="of the candidates so many are described for lessons; 0: all"
    )
    steps: int = Field(1000, ge=1, le=10_000_000, description="of training")
    batch: int = Field(256, ge=1, le=65_536, description="texts in a step")
    lr: Rate = 1e-3
    width: int = Field(192, ge=8, le=4096, description="of the decoder")
    layers: int = Field(2, ge=1, le=64, description="of the decoder")
    dropout: float = Field(0.1, ge=0, le=0.9, description="of the decoder")
    text_dropout: float = Field(
        0.0, ge=0, le=0.9, description="of the text side's states: above 0, R-Drop's two passes differ there too"
    )
    beams: int = Field(20, ge=1, le=10_000, description="kept in a search; at least k")
    teacher: Literal["none", "dual", "likelihood", "start"] = Field(
        "none", description="who says which candidates other texts fit"
    )
    teacher_texts: Count = Field(4000, description="texts that the teacher judges")
    temperature: Temperature = 1.0
    blend: float = Field(0.0, ge=0, le=1, description="how far from one text to another the teacher is asked too")
    add_steps: int = Field(
        0, ge=0, le=1_000_000, description="of training once later candidates are added; 0: they get identifiers alone"
    )
    tune: Tries = {}

    @model_validator(mode="after")
    def _together(self) -> CartSettings:
        if self.frozen and self.text == "scratch":
            raise Conflict(
                "frozen",
                "text: scratch with frozen: true, so that no word would ever be learnt; expected one of them; remove "
                "the other",
            )
        if self.teacher == "start" and self.start is None:
            raise Conflict(
                "teacher",
                "teacher: start without a tuned dual tower to start from; expected `start`; name a retriever of kind "
                "dual_tuned with it",
            )
        if self.add_steps and self.teacher != "start":
            raise Conflict(
                "add_steps",
                f"add_steps: {self.add_steps} with teacher: {self.teacher}; expected `teacher: start`, for the tuned "
                "dual tower says which texts fit old candidates, and which the added ones; write that, or remove "
                "`add_steps`",
            )
        if self.blend and (self.text != "vector" or self.teacher != "start"):
            raise Conflict(
                "blend",
                f"blend: {self.blend} with text: {self.text} and teacher: {self.teacher}; expected `text: vector` and "
                "`teacher: start`, for the tuned dual tower is asked about what lies between two vectors; write both, "
                "or remove `blend`",
            )
        if self.geometry == "codebook" and self.identifiers not in ("cart", "residual"):
            raise Conflict(
                "geometry",
                f"geometry: codebook with identifiers: {self.identifiers}; expected cart or residual, whose vectors "
                "are sums of codewords; write one of these, or `geometry: centroid`",
            )
        if self.described and self.teacher != "none":
            raise Conflict(
                "described",
                f"described: {self.described} with teacher: {self.teacher}, who judges all candidates; expected "
                "`teacher: none`; write that, or remove `described`",
            )
        if self.width % HEADS:
            raise Conflict(
                "width",
                f"width is {self.width}; expected a multiple of {HEADS}, the heads of its attention; write "
                f"{self.width + HEADS - self.width % HEADS}",
            )
        return self

    def wants(self) -> Mapping[str, str]:
        wanted = {"start": TUNED}
        if self.text == "tower" and self.start is None:
            wanted["encoder"] = TEXT_SIDE
        if self.teacher == "likelihood":
            wanted["captioner"] = LIKELIHOOD
        return wanted


CART = Entry(
    "cart.retriever:CartRetriever",
    CartSettings,
    about="generates the identifier of what the query asks for (arXiv 2406.17507)",
    version=3,
    learns=True,
    paradigm="generative",
    needs=("encoder", "captioner", "start", "store", "scratch", "seed"),
    asks=("text",),
    tiny={"steps": 4, "batch": 16, "clusters": 4, "codes": 4, "width": 48, "layers": 1, "beams": 50},
)
