"""Flickr30K: photographs with five captions each, in Karpathy's split (that of Flickr30K Entities is another one).

Layouts: `dataset_flickr30k.json` (Karpathy); `flickr_annotations_30k.csv`; or `results_20130124.token`, which knows no
splits, with Karpathy's beside it as `karpathy/{train,val,test}.txt`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from harness.contract.dataset import Unavailable
from harness.contract.entry import Entry
from harness.contract.problems import Problems
from harness.data.datasets import karpathy
from harness.data.datasets.recorded import Annotations, Clip, Recorded, RecordedSettings
from harness.reading import text_files

EXPECTED = {"karpathy": {"train": (29_000, 145_000), "validation": (1_014, 5_070), "test": (1_000, 5_000)}}
JSON, CSV, TOKEN = "dataset_flickr30k.json", "flickr_annotations_30k.csv", "results_20130124.token"


class Flickr30k(Recorded):
    name, modality, counts = "flickr30k", "image", EXPECTED
    folders = ("flickr30k-images", "flickr30k_images", "images", ".")
    parts = {"train": "train", "validation": "val", "test": "test"}

    def __init__(self, settings: RecordedSettings, root: Path) -> None:
        super().__init__(settings, root, "karpathy")

    def annotations(self, split: str) -> Annotations:
        path = self._whole_file
        if path is not None:
            return Annotations(f"Karpathy ({path.relative_to(self.root)})", self._whole[split])
        token, names = self.root / TOKEN, self.root / "karpathy" / f"{self.parts[split]}.txt"
        if not token.is_file():
            raise Unavailable(f"flickr30k: no {JSON}, {CSV} or {TOKEN} below {self.root}; {karpathy.SOURCE}")
        if not names.is_file():
            raise Unavailable(
                f"flickr30k: {token} has the captions, but not which images {split} has; {karpathy.SOURCE} and put "
                f"{JSON} beside it, or the names of {split}'s images into {names}, one a line"
            )
        listed = [name if name.endswith(".jpg") else f"{name}.jpg" for name in text_files.listed(names)]
        lacking = [name for name in listed if name not in self._tokens]
        if lacking:
            raise Problems(names).fail(None, f"{lacking[0]!r} has no caption in {token}; correct the name")
        clips = [Clip(name, (name,), self._tokens[name]) for name in listed]
        return Annotations(f"{TOKEN} and karpathy/{names.name}", clips)

    @cached_property
    def _whole_file(self) -> Path | None:
        return text_files.first(self.root, [folder + name for name in (JSON, CSV) for folder in ("", "karpathy/")])

    @cached_property
    def _whole(self) -> dict[str, list[Clip]]:
        assert self._whole_file is not None
        return karpathy.read(self._whole_file) if self._whole_file.name == JSON else read_csv(self._whole_file)

    @cached_property
    def _tokens(self) -> dict[str, tuple[str, ...]]:
        return read_token(self.root / TOKEN)


def read_csv(path: Path) -> dict[str, list[Clip]]:
    """One image a row; `raw` is a JSON list written as text."""
    problems = Problems(path)
    found: dict[str, list[Clip]] = {split: [] for split in Flickr30k.parts}
    for line, (raw, part, name) in text_files.table(path, ("raw", "split", "filename")):
        try:
            captions = json.loads(raw)
        except ValueError:
            captions = None
        if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
            problems.add(line, f"raw is {raw!r:.60}; expected a JSON list of captions; get the file again")
        elif part not in karpathy.SPLIT_OF:
            problems.add(line, f"split is {part!r}; expected {', '.join(karpathy.SPLIT_OF)}; correct it")
        else:
            found[karpathy.SPLIT_OF[part]].append(Clip(name, (name,), tuple(captions)))
    problems.raise_if_any()
    return found


def read_token(path: Path) -> dict[str, tuple[str, ...]]:
    """`1000092795.jpg#0<TAB>caption` a line: image → captions."""
    problems = Problems(path)
    captions: dict[str, list[str]] = defaultdict(list)
    for number, line in text_files.lines(path):
        name, tab, caption = line.partition("\t")
        if tab and "#" in name:
            captions[name.rpartition("#")[0]].append(caption)
        else:
            problems.add(number, f"{line!r:.60}; expected NAME.jpg#NUMBER, a tab and a caption; get the file again")
    problems.raise_if_any()
    return {name: tuple(each) for name, each in captions.items()}


ENTRY = Entry(
    "harness.data.datasets.flickr30k:Flickr30k",
    RecordedSettings,
    about="photographs, five captions each; Karpathy's split",
    modalities=("image",),
    folder="flickr30k",
    obtain="request the images from the University of Illinois, split file dataset_flickr30k.json by Karpathy; "
    "non-commercial research",
)
