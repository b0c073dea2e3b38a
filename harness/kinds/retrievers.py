"""Retrievers: the contestants and their controls."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from harness.entry import TEACHER, Argument, Entry

RETRIEVERS = [
    Entry(
        "dual_tower",
        "baselines.dual_tower:DualTower",
        {
            "index": Argument(str, "exact"),
            "search": Argument(dict[str, int], {}),
            "tune": Argument(dict[str, float], {}),
        },
        about="encodes query and candidates apart and looks up the nearest: exact, or any FAISS factory string",
        paradigm="dual-tower",
        needs=("encoder",),
    ),
    Entry(
        "caption_match",
        "baselines.caption_match:CaptionMatch",
        about="the query against generated captions of each candidate: what captions alone bring",
        paradigm="control",
        needs=("encoder", "captioner"),
        asks=("text",),
    ),
    Entry(
        "dual_tuned",
        "baselines.dual_tuned:DualTuned",
        {
            "steps": Argument(int, 600, at_least=1, at_most=1_000_000),
            "batch": Argument(int, 256, at_least=2, at_most=65_536),
            "lr": Argument(float, 1e-3, above=0, at_most=1),
            "text": Argument(Literal["tower", "captioner"], "tower"),
            **TEACHER,
        },
        about="a dual tower with a vector for each candidate, tuned on generated captions of the gallery",
        paradigm="control",
        needs=("encoder", "captioner"),
        asks=("text",),
    ),
    Entry(
        "cart",
        "cart.retriever:CartRetriever",
        {
            "start": Argument("retriever", None),
            "text": Argument(Literal["tower", "vector", "scratch"] | Path, "tower"),
            "frozen": Argument(bool, False),
            "identifiers": Argument(Literal["cart", "residual", "structured", "atomic", "numeric", "random"], "cart"),
            "clusters": Argument(int, 32, at_least=1, at_most=65_536),
            "books": Argument(int, 2, at_least=1, at_most=16),
            "codes": Argument(int, 32, at_least=1, at_most=65_536),
            "fusion": Argument(Literal["both", "coarse", "fine", "last-layer"], "both"),
            "geometry": Argument(Literal["none", "codebook", "centroid", "learned", "lse"], "none"),
            "loss": Argument(Literal["legal", "full"], "full"),
            "consistency": Argument(float, 0.15, at_least=0, at_most=100),
            "steps": Argument(int, 1000, at_least=1, at_most=10_000_000),
            "batch": Argument(int, 256, at_least=1, at_most=65_536),
            "lr": Argument(float, 1e-3, above=0, at_most=1),
            "width": Argument(int, 192, at_least=8, at_most=4096),
            "layers": Argument(int, 2, at_least=1, at_most=64),
            "dropout": Argument(float, 0.1, at_least=0, at_most=0.9),
            "beams": Argument(int, 20, at_least=1, at_most=10_000),
            "teacher": Argument(Literal["none", "dual", "likelihood", "start"], "none"),
            "teacher_texts": TEACHER["teacher_texts"],
        },
        about="generates the identifier of what the query asks for (arXiv 2406.17507)",
        paradigm="generative",
        needs=("encoder", "captioner"),
        asks=("text",),
    ),
    Entry(
        "likelihood",
        "baselines.single_tower.likelihood:Likelihood",
        about="scores every pair by the captioner's log p(query given the candidate)",
        paradigm="single-tower",
        needs=("captioner",),
        asks=("text",),
    ),
    Entry(
        "match",
        "baselines.single_tower.match:Match",
        {
            "steps": Argument(int, 600, at_least=0, at_most=1_000_000),
            "items": Argument(int, 64, at_least=2, at_most=65_536),
            "negatives": Argument(int, 5, at_least=1, at_most=1000),
            "lr": Argument(float, 1e-3, above=0, at_most=1),
            "layers": Argument(int, 1, at_least=1, at_most=24),
        },
        about="scores every pair with a joint transformer over words and patches, trained here with hard negatives",
        paradigm="single-tower",
        needs=("encoder",),
        asks=("text",),
    ),
    Entry(
        "pretrained",
        "baselines.single_tower.pretrained:Pretrained",
        {"checkpoint": Argument(Path)},
        about="scores every pair with a checkpoint of transformers, BLIP's image-text matching or ViLT, a folder or a "
        "hub id; frames stand for a video",
        seeded=False,
        modalities=("image", "video"),
        paradigm="single-tower",
        asks=("text",),
    ),
    Entry(
        "lexical",
        "baselines.lexical:Lexical",
        {"k1": Argument(float, 1.5, at_least=0, at_most=100), "b": Argument(float, 0.75, at_least=0, at_most=1)},
        about="BM25: the query's words against those of generated captions of each candidate",
        paradigm="control",
        seeded=False,
        needs=("captioner",),
        asks=("text",),
        requires=("bm25s",),
        install="pip install bm25s",
    ),
    Entry(
        "rerank",
        "baselines.rerank:Rerank",
        {
            "first": Argument("retriever"),
            "second": Argument("retriever", "likelihood"),
            "n": Argument(int, 20, at_least=1, at_most=10_000),
        },
        about="one retriever proposes n candidates, another one, which judges pairs, decides",
        version=2,
        paradigm="hybrid",
        seeded=False,
        asks=("text",),
    ),
    Entry(
        "null", "baselines.controls:Null", about="answers nothing: what the referee itself costs", paradigm="control"
    ),
    Entry("random", "baselines.controls:Random", about="a random order for each query", paradigm="control"),
    Entry("constant", "baselines.controls:Constant", about="the same order for every query", paradigm="control"),
    Entry("oracle", "baselines.controls:Oracle", about="is told the answers", paradigm="control", needs=("links",)),
]
