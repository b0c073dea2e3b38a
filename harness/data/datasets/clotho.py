"""Clotho v2.1: 15 to 30 seconds of sound from Freesound, five captions each.

Layouts: `clotho_captions_*.csv` beside `development/ validation/ evaluation/`, or with the CSVs in `clotho_csv_files/`
and the sounds in `clotho_audio_files/`. File names are taken as they stand in the CSV: some begin with a blank, some
hold HTML entities, on the disk too. Four names occur in two splits, so that an item's name is `split/name`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.contract.dataset import Unavailable
from harness.contract.entry import Entry
from harness.data.datasets.recorded import Annotations, Clip, Recorded, RecordedSettings
from harness.reading import text_files

EXPECTED = {"v2.1": {"train": (3_839, 19_195), "validation": (1_045, 5_225), "test": (1_045, 5_225)}}
MD5 = {  # of the published CSVs
    "train": "d4090b39ce9f2491908eebf4d5b09bae",
    "validation": "5879e023032b22a2c930aaa0528bead4",
    "test": "1b16b9e57cf7bdb7f13a13802aeb57e2",
}
COLUMNS = ("file_name", *(f"caption_{number}" for number in range(1, 6)))


class Clotho(Recorded):
    name, modality, counts = "clotho", "audio", EXPECTED
    folders = (
        "{part}",
        "clotho_audio_files/{part}",
        "clotho_audio_{part}",
        "clotho_audio_{part}/{part}",
        "audio/{part}",
    )
    parts = {"train": "development", "validation": "validation", "test": "evaluation"}

    def __init__(self, settings: RecordedSettings, root: Path) -> None:
        super().__init__(settings, root, "v2.1")

    def annotations(self, split: str) -> Annotations:
        part, path = self.parts[split], self._csv(split)
        if path is None:
            name = self.root / f"clotho_captions_{part}.csv"
            raise Unavailable(f"clotho: no {name}; get it from Zenodo, record 4783391 (v2.1)")
        clips = [
            Clip(f"{part}/{file}", (file,), tuple(captions)) for _, (file, *captions) in text_files.table(path, COLUMNS)
        ]
        return Annotations(f"Clotho v2.1 ({path.relative_to(self.root)})", clips)

    def remarks(self) -> list[str]:
        paths = {split: path for split in MD5 if (path := self._csv(split)) is not None}
        return [
            f"{path}: not the published file of v2.1, byte for byte"
            for split, path in paths.items()
            if hashlib.md5(text_files.content(path), usedforsecurity=False).hexdigest() != MD5[split]
        ]

    def _csv(self, split: str) -> Path | None:
        name = f"clotho_captions_{self.parts[split]}.csv"
        return text_files.first(self.root, [folder + name for folder in ("", "clotho_csv_files/", "csv/")])


ENTRY = Entry(
    "harness.data.datasets.clotho:Clotho",
    RecordedSettings,
    about="15 to 30 seconds of sound, five captions each",
    modalities=("audio",),
    folder="clotho",
    obtain="clips and captions from Zenodo, record 4783391 (v2.1); Tampere University licence",
)
