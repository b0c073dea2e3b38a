"""MSR-VTT: 10,000 videos with twenty captions each, in three protocols.

    1k-a     trained on 9,000, tested on JSFusion's 1,000 with the one sentence that it chose for each
    1k-a-7k  trained on the 7,010 of the full train and validation splits, tested on the same
    full     6,513 / 497 / 2,990, all captions

1k-A has no validation split: one is carved out of its train. Its test needs MSRVTT_JSFUSION_test.csv and the videos, no
more; train and validation need all captions. Layouts: CLIP4Clip, Frozen in Time, the official files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.contract.dataset import Unavailable
from harness.contract.entry import Entry
from harness.contract.problems import Problems, some
from harness.data.datasets import msrvtt_layouts as layouts
from harness.data.datasets.msrvtt_layouts import LISTS, Captioned
from harness.data.datasets.recorded import Annotations, Clip, Recorded, RecordedSettings, carve
from harness.reading import text_files

CARVED = 500  # videos of 1k-A's train that serve as validation; of 9,000 and 7,010 so many are left to train on
EXPECTED = {  # in some copies two of the videos have 19 captions
    "1k-a": {"train": (8_500, 170_000), "validation": (500, 10_000), "test": (1_000, 1_000)},
    "1k-a-7k": {"train": (6_510, 130_200), "validation": (500, 10_000), "test": (1_000, 1_000)},
    "full": {"train": (6_513, 130_260), "validation": (497, 9_940), "test": (2_990, 59_800)},
}
SENTENCES = "MSRVTT_JSFUSION_test.csv"
CHOSEN = "jsfusion_val_caption_idx.pkl"  # Frozen in Time: which of its captions each video of 1k-A is asked with
TRAIN = {  # the lists that circulate; where there is none, what they hold is known
    "1k-a": ("MSRVTT_train.9k.csv", f"{LISTS}train_list_jsfusion.txt"),
    "1k-a-7k": ("MSRVTT_train.7k.csv",),
}


class MsrVttSettings(RecordedSettings):
    protocol: Literal["1k-a", "1k-a-7k", "full"] = Field("1k-a", description="which videos train and test have")


class MsrVtt(Recorded):
    name, modality, counts = "msrvtt", "video", EXPECTED
    folders = (
        "MSRVTT_Videos",
        "videos/all",
        "videos",
        "TrainValVideo",
        "TestVideo",
        "videos/train",
        "videos/test",
        ".",
    )
    whole_names = False

    def __init__(self, settings: MsrVttSettings, root: Path) -> None:
        super().__init__(settings, root, settings.protocol)

    def annotations(self, split: str) -> Annotations:
        if split == "test" and self.version != "full":
            source, captions = self._test
        else:
            source, captions = self._source.layout, self._captioned(self._lists[split])
        clips = [Clip(video, (video,), texts) for video, texts in captions.items()]
        return Annotations(f"MSR-VTT {self.version} ({source})", clips)

    @cached_property
    def _source(self) -> Captioned:
        return layouts.read(self.root)

    @cached_property
    def _lists(self) -> Mapping[str, list[str]]:
        """The videos of each split, without 1k-A's test."""
        if self.version == "full":
            return layouts.full(self.root, self._source)
        path = text_files.first(self.root, TRAIN[self.version])
        if path is None:
            train = self._usual_train()
        elif path.suffix == ".csv":
            train = [video for _, (video,) in text_files.table(path, ("video_id",))]
        else:
            train = text_files.listed(path)
        tested = self._test[1]
        shared = [video for video in train if video in tested]
        if shared:
            raise Problems(path or self.root).fail(
                None, f"{some(shared)} are in train and in 1k-A's test; expected none; get the list again"
            )
        rest, taken = carve([Clip(video, (), ()) for video in train], min(CARVED, len(train) // 5))
        return {"train": [clip.name for clip in rest], "validation": [clip.name for clip in taken]}

    def _usual_train(self) -> list[str]:
        """9k: whatever is not tested. 7k: the full train and validation splits."""
        if self.version == "1k-a":
            return [video for video in self._source.captions if video not in self._test[1]]
        full = layouts.full(self.root, self._source)
        return [*full["train"], *full["validation"]]

    @cached_property
    def _test(self) -> tuple[str, dict[str, tuple[str, ...]]]:
        """1k-A's videos, each with its one sentence, and where that stands: the CSV needs no other file beside it."""
        path = text_files.first(self.root, [folder + SENTENCES for folder in ("", "csv/", "annotation/", LISTS)])
        if path is not None:
            return path.relative_to(self.root).as_posix(), _sentences(path)
        names, chosen = self.root / f"{LISTS}val_list_jsfusion.txt", self.root / f"{LISTS}{CHOSEN}"
        if not names.is_file() or not chosen.is_file():
            raise Unavailable(
                f"msrvtt: no {self.root / SENTENCES}, which says what 1k-A asks; get it from "
                "github.com/ArrowLuo/CLIP4Clip"
            )
        numbers = text_files.plain_pickle(chosen)
        listed = self._captioned(text_files.listed(names))
        try:
            return self._source.layout, {video: (captions[numbers[video]],) for video, captions in listed.items()}
        except (KeyError, IndexError, TypeError) as error:
            raise Problems(chosen).fail(
                None, f"names no caption of a video of {names.name} ({error!r}); put {SENTENCES} beside it"
            ) from error

    def _captioned(self, videos: list[str]) -> dict[str, tuple[str, ...]]:
        captions = self._source.captions
        lacking = [video for video in videos if video not in captions]
        if lacking:
            raise Unavailable(
                f"msrvtt: {self._source.layout} has no captions for {len(lacking):,} of {len(videos):,} videos "
                f"({some(lacking)}); {self._source.more}"
            )
        return {video: captions[video] for video in videos}


def _sentences(path: Path) -> dict[str, tuple[str, ...]]:
    """One row a video; a variant with semicolons circulates."""
    problems = Problems(path)
    found: dict[str, tuple[str, ...]] = {}
    for line, (video, sentence) in text_files.table(path, ("video_id", "sentence")):
        if video in found:
            problems.add(line, f"{video} again; expected each video once; remove one of the rows")
        found[video] = (sentence,)
    problems.raise_if_any()
    return found


ENTRY = Entry(
    "harness.data.datasets.msrvtt:MsrVtt",
    MsrVttSettings,
    about="short videos; 1k-a: trained on 9,000 (or 7,000), one caption each in test; full: twenty",
    modalities=("video",),
    folder="msrvtt",
    obtain="videos and MSRVTT_data.json as prepared for CLIP4Clip; no licence stated",
)
