"""Captioners: trained here, pretrained, or a file."""

from __future__ import annotations

from pathlib import Path

from harness.contract.entry import Argument, Entry

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
        version=2,
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
            "checkpoint": Argument(Path, hub=True),
            "samples": Argument(int, 10, at_least=1, at_most=10_000),
            "temperature": Argument(float, 1.0, above=0, at_most=100),
            "max_words": Argument(int, 24, at_least=1, at_most=1000),
        },
        about="an image captioning checkpoint of transformers, a folder or a hub id; frames stand for a video",
        modalities=("image", "video"),
    ),
]
