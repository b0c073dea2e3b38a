"""The six recorded datasets in official layouts, with a few items each that can be decoded: no two alike."""

from __future__ import annotations

from itertools import islice, product
from pathlib import Path

import numpy as np
from disk import HEADER, karpathy, write, write_json
from media_files import write_picture, write_sound, write_video

TRAIN, VALIDATION, TEST = 16, 8, 40  # COCO's test is asked in five folds
SPLITS = ["train"] * TRAIN + ["val"] * VALIDATION + ["test"] * TEST
COLOURS, FORMS, PLACES = ("red", "blue"), ("circle", "square", "dog"), ("above", "left of", "then")


def captions(number: int, count: int = 5) -> list[str]:
    """Of the words that tiny checkpoints know; other ones for each item."""
    scenes = product(COLOURS, FORMS, PLACES, COLOURS, FORMS)
    first, form, place, second, other = next(islice(scenes, number, None))
    ends = ("", "rain falls", "barks", "then rain", "a dog", *(f"of {place} rain" for _ in range(count)))
    return [f"a {first} {form} {place} a {second} {other} {end}".strip() for end in ends[:count]]


def pictures(root: Path, name: str) -> None:
    """COCO or Flickr30K, with Karpathy's file."""
    files = [f"COCO_val2014_{number:012d}.jpg" if name == "coco" else f"{number}.jpg" for number in range(len(SPLITS))]
    images = [(file, split, captions(place)) for place, (file, split) in enumerate(zip(files, SPLITS, strict=True))]
    write_json(root / f"dataset_{name}.json", karpathy(images))
    folder = root / ("val2014" if name == "coco" else "flickr30k-images")
    folder.mkdir()
    for number, file in enumerate(files):
        write_picture(folder / file, number)


def sound(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sound(path, 200 + 5 * number, rate=16_000)


def audiocaps(root: Path) -> None:
    rows: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number, split in enumerate(SPLITS):
        clip = f"{number:011d}"
        said = captions(number)[: 1 if split == "train" else 5]
        told = [text.capitalize() for text in said]  # as the first version has
        rows[split] += [f"{10 * number + place},{clip},30,{text}" for place, text in enumerate(told)]
        sound(root / split / f"Y{clip}.wav", number)
    for split, lines in rows.items():
        write(root / f"{split}.csv", "\n".join([HEADER, *lines, ""]))


def clotho(root: Path) -> None:
    parts = {"train": "development", "val": "validation", "test": "evaluation"}
    rows = {part: ["file_name," + ",".join(f"caption_{place}" for place in range(1, 6))] for part in parts.values()}
    for number, split in enumerate(SPLITS):
        rows[parts[split]].append(",".join([f"{number}.wav", *captions(number)]))
        sound(root / parts[split] / f"{number}.wav", 1000 + number)
    for part, lines in rows.items():
        write(root / f"clotho_captions_{part}.csv", "\n".join([*lines, ""]))


def film(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, rate=4, colours=np.random.default_rng(number).integers(0, 256, (4, 3)).tolist())


def msrvtt(root: Path) -> None:
    """As CLIP4Clip has it: 1k-A's test is one half of the whole one."""
    videos = [f"video{number}" for number in range(len(SPLITS))]
    part = {"val": "validate"}
    told = [
        {"video_id": video, "split": part.get(split, split), "category": 9}
        for video, split in zip(videos, SPLITS, strict=True)
    ]
    sentences = [
        {"caption": text, "video_id": video, "sen_id": 20 * number + place}
        for number, video in enumerate(videos)
        for place, text in enumerate(captions(number, 6))
    ]
    write_json(root / "MSRVTT_data.json", {"info": {}, "videos": told, "sentences": sentences})
    asked = videos[-TEST // 2 :]
    rows = [f"ret{row},msr{row},{video},{captions(videos.index(video))[0]}" for row, video in enumerate(asked)]
    write(root / "MSRVTT_JSFUSION_test.csv", "\n".join(["key,vid_key,video_id,sentence", *rows]))
    write(root / "MSRVTT_train.9k.csv", "\n".join(["video_id", *(each for each in videos if each not in asked)]))
    for number, video in enumerate(videos):
        film(root / "MSRVTT_Videos" / f"{video}.mp4", number)


def msvd(root: Path) -> None:
    names = [f"video{number:04d}xyz_1_9" for number in range(len(SPLITS))]
    lines = [f"{name} {text}" for number, name in enumerate(names) for text in captions(number)]
    write(root / "AllVideoDescriptions.txt", "\n".join(lines))
    for split in ("train", "val", "test"):
        chosen = [name for name, each in zip(names, SPLITS, strict=True) if each == split]
        write(root / f"{split}_list.txt", "\n".join(chosen))
    for number, name in enumerate(names):
        film(root / "YouTubeClips" / f"{name}.avi", 1000 + number)


def write_all(data: Path) -> None:
    for name in ("coco", "flickr30k"):
        pictures(data / name, name)
    audiocaps(data / "audiocaps")
    clotho(data / "clotho")
    msrvtt(data / "msrvtt")
    msvd(data / "msvd")
