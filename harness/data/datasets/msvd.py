"""MSVD: 1,970 short videos from YouTube with about forty captions each; every caption of a test video is asked.

Layouts: `raw-captions.pkl` and `{train,val,test}_list.txt` (CLIP4Clip); `AllVideoDescriptions.txt` or the official
`MSR Video Description Corpus.csv`, with the same lists or with `youtube_mapping.txt`, by whose numbers the split goes.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from pathlib import Path

from harness.contract.dataset import Unavailable
from harness.contract.entry import Entry
from harness.contract.problems import Problems, some
from harness.data.datasets.recorded import Annotations, Clip, Recorded, RecordedSettings
from harness.reading import text_files

EXPECTED = {"msvd": {"train": (1_200, 48_774), "validation": (100, 4_290), "test": (670, 27_763)}}
RANGES = {"train": range(1, 1201), "validation": range(1201, 1301), "test": range(1301, 1971)}  # of vid1, vid2, …
PICKLE, PLAIN, CSV = "raw-captions.pkl", "AllVideoDescriptions.txt", "MSR Video Description Corpus.csv"
MAPPING = "youtube_mapping.txt"
SOURCE = "get msvd_data as prepared for CLIP4Clip (github.com/ArrowLuo/CLIP4Clip)"


class Msvd(Recorded):
    name, modality, counts = "msvd", "video", EXPECTED
    folders = ("YouTubeClips", "MSVD_Videos", "videos", ".")
    parts = {"train": "train", "validation": "val", "test": "test"}
    whole_names = False

    def __init__(self, settings: RecordedSettings, root: Path) -> None:
        super().__init__(settings, root, "msvd")

    def annotations(self, split: str) -> Annotations:
        path, captions = self._captions
        names, videos = self._videos(split)
        lacking = [video for video in videos if video not in captions]
        if lacking:
            raise Problems(names).fail(None, f"{some(lacking)} have no captions in {path}; expected some; {SOURCE}")
        numbers = self._mapping if names.name == MAPPING else {}
        clips = [Clip(video, (video, *numbers.get(video, ())), captions[video]) for video in videos]
        return Annotations(f"MSVD ({path.name}, {names.name})", clips)

    @cached_property
    def _captions(self) -> tuple[Path, dict[str, tuple[str, ...]]]:
        path = text_files.first(
            self.root, [folder + name for name in (PICKLE, PLAIN, CSV) for folder in ("", "annotations/")]
        )
        if path is None:
            raise Unavailable(f"msvd: no {PICKLE}, {PLAIN} or {CSV} below {self.root}; {SOURCE}")
        rows = {PICKLE: _from_pickle, PLAIN: _from_lines, CSV: _from_csv}[path.name](path)
        found: dict[str, list[str]] = defaultdict(list)
        for video, caption in rows:
            found[video].append(caption)
        return path, {video: tuple(each) for video, each in found.items()}

    def _videos(self, split: str) -> tuple[Path, list[str]]:
        path = text_files.first(self.root, [f"{folder}{self.parts[split]}_list.txt" for folder in ("", "annotations/")])
        if path is not None:
            return path, text_files.listed(path)
        if not (self.root / MAPPING).is_file():
            raise Unavailable(f"msvd: no {self.root / f'{self.parts[split]}_list.txt'} and no {MAPPING}; {SOURCE}")
        ordered = {int(numbered[0][3:]): video for video, numbered in self._mapping.items()}
        return self.root / MAPPING, [ordered[number] for number in RANGES[split] if number in ordered]

    @cached_property
    def _mapping(self) -> dict[str, tuple[str, ...]]:
        """A video's name on YouTube → its number, `vid1`, by which its file may go as well."""
        path = self.root / MAPPING
        problems = Problems(path)
        found: dict[str, tuple[str, ...]] = {}
        for number, line in text_files.lines(path):
            words = line.split()
            if len(words) == 2 and words[1].startswith("vid") and words[1][3:].isdigit():
                found[words[0]] = (words[1],)
            else:
                problems.add(number, f"{line!r:.60}; expected a name and vidNUMBER; get the file again")
        problems.raise_if_any()
        return found


Rows = list[tuple[str, str]]  # video, caption


def _from_pickle(path: Path) -> Rows:
    """A list of lists of words for each video."""
    held = text_files.plain_pickle(path)
    try:
        return [(video, " ".join(words)) for video, captions in held.items() for words in captions]
    except (AttributeError, TypeError) as error:
        raise Problems(path).fail(
            None, f"holds something else than lists of words by video ({error}); {SOURCE}"
        ) from error


def _from_lines(path: Path) -> Rows:
    """`VIDEO caption` a line; the head is commented out with #."""
    problems = Problems(path)
    found = []
    for number, line in text_files.lines(path):
        video, blank, caption = line.partition(" ")
        if blank and not line.startswith("#"):
            found.append((video, caption))
        elif not line.startswith("#"):
            problems.add(number, f"{line!r:.60}; expected a video, a blank and a caption; get the file again")
    problems.raise_if_any()
    return found


def _from_csv(path: Path) -> Rows:
    """Every language has its captions there: those in English count. A video is named by its id, start and end."""
    rows = text_files.table(path, ("VideoID", "Start", "End", "Language", "Description"))
    return [
        (f"{video}_{start}_{end}", caption)
        for _, (video, start, end, language, caption) in rows
        if language == "English"
    ]


ENTRY = Entry(
    "harness.data.datasets.msvd:Msvd",
    RecordedSettings,
    about="short videos, about forty captions each",
    modalities=("video",),
    folder="msvd",
    obtain="videos from the University of Texas (YouTubeClips), captions as prepared for CLIP4Clip",
)
