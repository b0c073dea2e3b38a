"""AudioCaps: ten seconds of sound from YouTube; one caption each in train, five in validation and test.

Layouts: `{train,val,test}.csv` beside the sounds, or in the folders of the authors' repository: `dataset/` (v1) and
`dataset2.0/` (v2, lower-cased and lightly corrected), or `v1/` and `v2/`. Clips vanish from YouTube, so that subsets of
many sizes circulate: what is there is counted, and the digest of its ids printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.contract.dataset import Unavailable
from harness.contract.entry import Entry
from harness.contract.problems import Problems
from harness.data.datasets.recorded import Annotations, Clip, Recorded, RecordedSettings
from harness.reading import text_files

EXPECTED = {
    "v1": {"train": (49_838, 49_838), "validation": (495, 2_475), "test": (975, 4_875)},
    "v2": {"validation": (495, 2_475), "test": (975, 4_875)},
}
ANYWHERE = ("", "csv/", "annotations/", "metadata/")
FOLDERS = {"v1": ("v1/", "dataset/", *ANYWHERE), "v2": ("v2/", "dataset2.0/", *ANYWHERE)}
COLUMNS = ("audiocap_id", "youtube_id", "start_time", "caption")
SOURCE = "get it from github.com/cdjkim/audiocaps"


class AudioCapsSettings(RecordedSettings):
    version: Literal["v1", "v2"] = Field("v1", description="of the captions")
    clips: Path | None = Field(None, description="a file of the ids that make up the test")


class AudioCaps(Recorded):
    name, modality, counts = "audiocaps", "audio", EXPECTED
    folders = ("{part}", "audio/{part}", "wavs/{part}", "waveforms/{part}", "audio", "wavs", "waveforms", ".")
    parts = {"train": "train", "validation": "val", "test": "test"}
    whole_names = False

    def __init__(self, settings: AudioCapsSettings, root: Path) -> None:
        super().__init__(settings, root, settings.version)
        self.only = settings.clips

    def annotations(self, split: str) -> Annotations:
        name = f"{self.parts[split]}.csv"
        path = text_files.first(self.root, [folder + name for folder in FOLDERS[self.version]])
        if path is None:
            raise Unavailable(f"audiocaps: no {name} ({self.version}) below {self.root}; {SOURCE}")
        found, clips = version_and_clips(path)
        if found != self.version:
            raise Unavailable(
                f"audiocaps: {path} holds {found} (by the case of its captions), and {self.version} was asked for; "
                f"write `version: {found}`, or put the other one into {self.root / self.version}; {SOURCE}"
            )
        layout = f"AudioCaps {self.version} ({path.relative_to(self.root)})"
        if self.only is None or split != "test":
            return Annotations(layout, clips)
        return Annotations(f"{layout}, clips of {self.only}", chosen(self.only, clips))


def version_and_clips(path: Path) -> tuple[str, list[Clip]]:
    """A clip's rows need not stand together, and `audiocap_id` names a caption: clips go by `youtube_id`."""
    problems = Problems(path)
    rows: dict[str, list[tuple[str, str]]] = {}
    starts: dict[str, int] = {}
    capitals = total = 0
    for line, (number, name, start, caption) in text_files.table(path, COLUMNS):
        try:
            starts[name] = int(float(start))
        except (ValueError, OverflowError):
            problems.add(line, f"start_time is {start!r:.40}; expected seconds; correct it")
            continue
        rows.setdefault(name, []).append((number, caption))
        capitals += caption[:1].isupper()
        total += 1
    problems.raise_if_any()
    clips = [
        Clip(name, _files(name, starts[name], [number for number, _ in found]), tuple(caption for _, caption in found))
        for name, found in rows.items()
    ]
    return ("v1" if 2 * capitals > total else "v2"), clips


def _files(name: str, start: int, numbers: list[str]) -> tuple[str, ...]:
    """What a clip's file is called in the copies that circulate."""
    return (f"Y{name}", name, f"{name}_{start}", f"{name}_{1000 * start}", *numbers)


def chosen(path: Path, clips: list[Clip]) -> list[Clip]:
    """Those of the clips that a file lists, one id a line: for subsets such as the 957 of the retrieval papers."""
    if not path.is_file():
        raise Unavailable(f"audiocaps: no list of clips at {path}; write a youtube id a line into it")
    known = {name: clip for clip in clips for name in (f"Y{clip.name}", clip.name)}
    names = [Path(name).stem if name.endswith(".wav") else name for name in text_files.listed(path)]
    stray = [name for name in names if name not in known]
    if stray:
        raise Problems(path).fail(None, f"{stray[0]!r} is no youtube id of test; correct it, or ask for its split")
    wanted = {known[name].name for name in names}
    return [clip for clip in clips if clip.name in wanted]


ENTRY = Entry(
    "harness.data.datasets.audiocaps:AudioCaps",
    AudioCapsSettings,
    about="ten seconds of sound, five captions each in test; `clips`: a file of the ids that make up the test",
    modalities=("audio",),
    folder="audiocaps",
    obtain="captions from github.com/cdjkim/audiocaps, clips from YouTube; academic use",
)
