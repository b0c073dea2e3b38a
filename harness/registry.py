"""Which kinds there are, where each lives and what it takes: static facts, so that planning imports no contestant.

A new retriever, dataset or instrument is one file and one entry here. Another package joins through the entry points
`harness.retrievers`, `harness.datasets`, `harness.encoders` or `harness.captioners`, each naming an `Entry`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

Section = Literal["retrievers", "datasets", "encoders", "captioners"]
SECTIONS: tuple[Section, ...] = ("retrievers", "datasets", "encoders", "captioners")
REQUIRED: Any = ...


@dataclass(frozen=True)
class Argument:
    """One key that a kind accepts in a suite. A list in place of the value makes a variant for each member."""

    # `Any` type that pydantic can check, or "dataset", "encoder", "captioner", "retriever": the name of another
    # component of the suite (or that component itself, written in place), its default a kind. With `Path` it isn't the
    # name that shapes digests but what lies there, where something does.
    type: Any
    default: Any = REQUIRED
    above: float | None = None  # the value must be greater
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Entry:
    kind: str
    target: str  # package.module:Class, imported when the first one is built; empty: this version can't build it
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    about: str = ""
    version: int = 1  # raise it whenever the same configuration gives other results: what was made before is made anew
    seeded: bool = True  # false: the seed changes nothing, so that all seeds share one
    modalities: tuple[str, ...] = ("image", "audio", "video")  # the media it can handle
    needs: tuple[str, ...] = ()  # handed to its constructor by name: encoder, captioner, store; and `links` to controls
    asks: tuple[str, ...] = ("text", "image", "audio", "video")  # retrievers: the queries it can answer
    paradigm: str = ""  # retrievers: one of harness.retriever.PARADIGMS
    requires: tuple[str, ...] = ()  # modules that must be importable
    install: str = ""  # the command that brings them
    generated: bool = False  # datasets: made by a program
    closed: bool = False  # encoders: knows what it was given and no other queries, such as one warms up with
    folder: str = ""  # datasets: where it lies below the data root
    obtain: str = ""  # datasets: where it comes from, under which licence
    folds: Mapping[str, int] = field(default_factory=dict)  # datasets: value of `protocol` → folds it is asked in

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
        if self.folder and not _is_folder(root):
            return (
                f"{self.kind}: nothing at {root}; get {self.obtain}; put it there, or name the folder above it with "
                "--data or HARNESS_DATA"
            )
        return None if self.target else f"{self.kind}: {self.about or 'this version has no loader for it yet'}"

    def load(self) -> Any:
        """Import the class."""
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # above it is something that we may not read
        return False


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # the package that it's in isn't there; or it's half imported
        return False


WHOLE = {"at_least": 1, "at_most": 50_000_000}
SIZES = {
    "train": Argument(int, 8000, **WHOLE),
    "validation": Argument(int, 500, **WHOLE),
    "test": Argument(int, 1000, **WHOLE),
    "seed": Argument(int, 0, at_least=0, at_most=2**32 - 1),
}

FRAMES = {"frames": Argument(int, 8, at_least=1, at_most=1000)}  # of a video
PRECISION = {"precision": Argument(Literal["fp32", "bf16"], "fp32")}

TEACHER = {  # distillation: the same for whoever learns from captions of the gallery
    "teacher": Argument(Literal["none", "dual", "likelihood"], "none"),
    "teacher_texts": Argument(int, 4000, **WHOLE),
}

DATASETS = [
    Entry(
        "soundscapes",
        "harness.datasets.soundscapes:Soundscapes",
        SIZES,
        about="two or three ordered events in 4 s of sound",
        modalities=("audio",),
        generated=True,
    ),
    Entry(
        "shapes",
        "harness.datasets.shapes:Shapes",
        SIZES,
        about="two or three coloured, textured shapes and how they stand to each other",
        modalities=("image",),
        generated=True,
    ),
    Entry(
        "motions",
        "harness.datasets.motions:Motions",
        SIZES,
        about="shapes that move, turn, grow and meet",
        modalities=("video",),
        generated=True,
    ),
    Entry(
        "coco",
        "harness.datasets.coco:Coco",
        {
            "protocol": Argument(Literal["5k", "1k"], "5k"),  # the whole gallery, or five folds of 1,000
            "captions": Argument(Literal["five", "all"], "five"),  # of an image in validation and test
        },
        about="photographs, five captions each; Karpathy's split",
        modalities=("image",),
        folder="coco",
        obtain="images and annotations from cocodataset.org, split file dataset_coco.json by Karpathy; annotations "
        "CC BY 4.0, images under Flickr's terms",
        folds={"1k": 5},
    ),
    Entry(
        "flickr30k",
        "harness.datasets.flickr30k:Flickr30k",
        about="photographs, five captions each; Karpathy's split",
        modalities=("image",),
        folder="flickr30k",
        obtain="request the images from the University of Illinois, split file dataset_flickr30k.json by Karpathy; "
        "non-commercial research",
    ),
    Entry(
        "audiocaps",
        "harness.datasets.audiocaps:AudioCaps",
        {"version": Argument(Literal["v1", "v2"], "v1"), "clips": Argument(Path, None)},
        about="ten seconds of sound, five captions each in test; `clips`: a file of the ids that make up the test",
        modalities=("audio",),
        folder="audiocaps",
        obtain="captions from github.com/cdjkim/audiocaps, clips from YouTube; academic use",
    ),
    Entry(
        "clotho",
        "harness.datasets.clotho:Clotho",
        about="15 to 30 seconds of sound, five captions each",
        modalities=("audio",),
        folder="clotho",
        obtain="clips and captions from Zenodo, record 4783391 (v2.1); Tampere University licence",
    ),
    Entry(
        "msrvtt",
        "harness.datasets.msrvtt:MsrVtt",
        {"protocol": Argument(Literal["1k-a", "1k-a-7k", "full"], "1k-a")},
        about="short videos; 1k-a: trained on 9,000 (or 7,000), one caption each in test; full: twenty",
        modalities=("video",),
        folder="msrvtt",
        obtain="videos and MSRVTT_data.json as prepared for CLIP4Clip; no licence stated",
    ),
    Entry(
        "msvd",
        "harness.datasets.msvd:Msvd",
        about="short videos, about forty captions each",
        modalities=("video",),
        folder="msvd",
        obtain="videos from the University of Texas (YouTubeClips), captions as prepared for CLIP4Clip",
    ),
    Entry(
        "manifest",
        "harness.datasets.manifest:Manifest",
        {
            "path": Argument(Path),
            "modality": Argument(Literal["image", "audio", "video"]),
            "media": Argument(str, ""),
            "vectors": Argument(Path, None),
            "split": Argument(dict[str, float], {}, at_least=0),
            "columns": Argument(dict[str, str], {}),
            "broken": Argument(float, 0.01, at_least=0, at_most=1),
            "allow_outside": Argument(bool, False),
            "rate": Argument(int, 16_000, at_least=1000, at_most=384_000),
            "frames": Argument(int, 8, at_least=1, at_most=1000),
        },
        about="your own files or vectors: a CSV or JSONL of paths and captions or labels",
    ),
]

ENCODERS = [
    Entry(
        "small",
        "baselines.encoders.small:SmallEncoder",
        {
            "trained_on": Argument("dataset"),
            "modality": Argument(Literal["image", "audio", "video"], None),
            "steps": Argument(int, 500, at_least=1, at_most=1_000_000),
            "batch": Argument(int, 256, at_least=2, at_most=65_536),
            "dim": Argument(int, 256, at_least=8, at_most=4096),
            "lr": Argument(float, 1e-3, above=0, at_most=1),
        },
        about="a text transformer and a CNN, trained here from scratch",
    ),
    Entry(
        "open_clip",
        "baselines.encoders.open_clip:OpenClipEncoder",
        {"pretrained": Argument(Path), "architecture": Argument(str, None), **FRAMES, **PRECISION},
        about="any architecture of open_clip: a pretrained tag, a file of weights, a folder, or hf-hub:org/name",
        modalities=("image", "video"),
        seeded=False,
        requires=("open_clip", "torchvision"),
        install="python -m pip install 'open_clip_torch>=2.24,<4' torchvision",
    ),
    Entry(
        "clip",
        "baselines.encoders.clip:ClipEncoder",
        {"checkpoint": Argument(Path), **FRAMES, **PRECISION},
        about="a CLIP or SigLIP checkpoint of transformers, a folder or a hub id",
        modalities=("image", "video"),
        seeded=False,
    ),
    Entry(
        "clap",
        "baselines.encoders.clap:ClapEncoder",
        {"checkpoint": Argument(Path), **PRECISION},
        about="a CLAP checkpoint of transformers, a folder or a hub id",
        modalities=("audio",),
        seeded=False,
    ),
    Entry(
        "laion_clap",
        "baselines.encoders.laion_clap:LaionClapEncoder",
        {
            "checkpoint": Argument(Path),
            "architecture": Argument(str, "HTSAT-tiny"),
            "fusion": Argument(bool, False),
            **PRECISION,
        },
        about="LAION's own CLAP package and its .pt checkpoints",
        modalities=("audio",),
        seeded=False,
        requires=("laion_clap", "torchvision"),
        install="python -m pip install 'laion-clap>=1.1.4,<2' 'numpy<2' torchvision, in an environment of its own",
    ),
    Entry(
        "precomputed",
        "baselines.encoders.precomputed:PrecomputedEncoder",
        {
            "media": Argument(Path),
            "text": Argument(Path),
            "media_names": Argument(Path, None),
            "text_names": Argument(Path, None),
            "split": Argument(str, None),
        },
        about="vectors made elsewhere, .npy, .npz or .safetensors, looked up: what encoding costs is not in its rates",
        seeded=False,
        closed=True,
    ),
]

CAPTIONERS = [
    Entry(
        "small",
        "baselines.captioners.small:SmallCaptioner",
        {
            "encoder": Argument("encoder"),
            "steps": Argument(int, 400, at_least=1, at_most=1_000_000),
            "items": Argument(int, 64, at_least=1, at_most=65_536),
            "texts": Argument(int, 4, at_least=1, at_most=100),
            "lr": Argument(float, 1e-3, above=0, at_most=1),
            "samples": Argument(int, 30, at_least=1, at_most=10_000),
            "temperature": Argument(float, 1.0, above=0, at_most=100),
        },
        about="describes what a small encoder perceives; trained here, on what the encoder was trained on",
    ),
    Entry(
        "file",
        "baselines.captioners.file:FileCaptioner",
        {"path": Argument(Path), "samples": Argument(int, None, at_least=1, at_most=10_000)},
        about="captions written elsewhere, a JSON object a line: item and captions; audited against the real ones",
        seeded=False,
    ),
    Entry(
        "pretrained",
        "baselines.captioners.pretrained:PretrainedCaptioner",
        {
            "checkpoint": Argument(Path),
            "samples": Argument(int, 10, at_least=1, at_most=10_000),
            "temperature": Argument(float, 1.0, above=0, at_most=100),
            "max_words": Argument(int, 24, at_least=1, at_most=1000),
        },
        about="an image captioning checkpoint of transformers, a folder or a hub id; frames stand for a video",
        modalities=("image", "video"),
    ),
]

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
            "text": Argument(Literal["tower", "scratch"] | Path, "tower"),
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
            **TEACHER,
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

OUR_OWN: dict[Section, list[Entry]] = {
    "retrievers": RETRIEVERS,
    "datasets": DATASETS,
    "encoders": ENCODERS,
    "captioners": CAPTIONERS,
}


@cache
def kinds(section: Section) -> Mapping[str, Entry]:
    """Every kind of a section by name: ours first, then those of installed packages, which can't replace ours."""
    known = {entry.kind: entry for entry in OUR_OWN[section]}
    for point in entry_points(group=f"harness.{section}"):
        known.setdefault(point.name, _outside(section, point))
    return known


def _outside(section: Section, point: Any) -> Entry:
    """The entry that a package announces; one that can't be loaded says so when it is used."""
    try:
        entry = point.load()
    except (Exception, SystemExit) as error:  # a broken package must not break `list` or other people's suites
        return Entry(point.name, "", about=f"entry point harness.{section}: {point.value} can't be loaded: {error!r}")
    problem = ""
    if not isinstance(entry, Entry):
        problem = f"is no harness.registry.Entry but {type(entry).__name__}"
    elif not isinstance(entry.arguments, Mapping) or not all(
        isinstance(argument, Argument) for argument in entry.arguments.values()
    ):
        problem = "has arguments that aren't a mapping to harness.registry.Argument"
    if problem:
        return Entry(point.name, "", about=f"entry point harness.{section}: {point.value} {problem}")
    return replace(entry, kind=point.name)  # the name that suites know it by
