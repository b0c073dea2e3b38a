"""What tests of recorded datasets share: a tiny copy of each, in every layout, as users have them on their disks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from harness.data.datasets.audiocaps import AudioCaps
from harness.data.datasets.clotho import Clotho
from harness.data.datasets.coco import Coco
from harness.data.datasets.flickr30k import Flickr30k
from harness.data.datasets.msrvtt import MsrVtt
from harness.data.datasets.msvd import Msvd
from harness.data.datasets.recorded import Recorded
from harness.suite.registry import kinds


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_json(path: Path, value: Any) -> Path:
    return write(path, json.dumps(value))


def touch(folder: Path, names: Iterable[str]) -> None:
    """Media files, as far as their names and sizes go."""
    for name in names:
        write(folder / name, b"x" * len(name))


def real(folder: Path) -> None:
    """Put a picture or a sound that can be decoded, no two alike, in place of each file that only has its name."""
    for number, path in enumerate(sorted(folder.rglob("*"))):
        values = np.random.default_rng(number)
        if path.suffix == ".jpg":
            Image.fromarray(values.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
        if path.suffix in (".wav", ".flac"):
            soundfile.write(path, values.uniform(-0.5, 0.5, 1600), 16_000)


def contents(dataset: Recorded, split: str) -> dict[str, list[str]]:
    """Item → captions, as the split has them."""
    held = dataset.split(split)
    found: dict[str, list[str]] = {name: [] for name in held.item_names}
    for caption, owner in zip(held.captions, held.owner.tolist(), strict=True):
        found[held.item_names[owner]].append(caption)
    return found


# -- COCO, Flickr30K ---------------------------------------------------------------------------------------------------


def karpathy(images: Iterable[tuple[str, str, list[str]]], **more: Any) -> dict[str, Any]:
    """`dataset_*.json` of (file name, split, captions)."""
    told = []
    for number, (name, split, captions) in enumerate(images):
        sentences = [
            {"raw": text, "tokens": text.split(), "imgid": number, "sentid": 10 * number + place}
            for place, text in enumerate(captions)
        ]
        told.append(
            {"filename": name, "imgid": number, "cocoid": number, "split": split, "sentences": sentences, **more}
            | {"sentids": [sentence["sentid"] for sentence in sentences], "filepath": "val2014"}
        )
    return {"images": told, "dataset": "coco"}


def coco_name(number: int, year: str = "val2014") -> str:
    return f"COCO_{year}_{number:012d}.jpg"


def five(word: str) -> list[str]:
    return [f"{word} {number}" for number in range(5)]


COCO = [
    (coco_name(1, "train2014"), "train", five("one")),
    (coco_name(2), "restval", [*five("two"), "a sixth of two"]),
    (coco_name(3), "val", five("three")),
    (coco_name(4), "test", ["four 0  ", "four 1\n", *five("four")[2:], "a sixth of four"]),
    (coco_name(5), "test", five("five")),
]


def coco(root: Path) -> None:
    write_json(root / "dataset_coco.json", karpathy(COCO))
    coco_images(root)


def coco_images(root: Path) -> None:
    for name, _, _ in COCO:
        touch(root / name.split("_")[1], [name])


def coco_official(root: Path) -> None:
    for year, numbers in (("train2014", [1]), ("val2014", [4, 3])):
        annotations = [
            {"id": 10 * number + place, "image_id": number, "caption": f"{number} {place}\n"}
            for place in (4, 0, 2, 1, 3)
            for number in numbers
        ]
        images = [{"id": number, "file_name": coco_name(number, year), "height": 3} for number in numbers]
        write_json(root / f"annotations/captions_{year}.json", {"images": images, "annotations": annotations})
        touch(root / "images" / year, [coco_name(number, year) for number in numbers])


FLICKR = [(f"{number}.jpg", split, five(f"f{number}")) for number, split in ((10, "train"), (12, "val"), (11, "test"))]


def flickr(root: Path) -> None:
    write_json(root / "dataset_flickr30k.json", karpathy(FLICKR))
    touch(root / "flickr30k-images", [name for name, _, _ in FLICKR])


def flickr_csv(root: Path) -> None:
    rows = ["raw,sentids,split,filename,img_id"]
    for number, (name, split, captions) in enumerate(FLICKR):
        raw = json.dumps(captions).replace('"', '""')
        rows.append(f'"{raw}","[0, 1, 2, 3, 4]",{split},{name},{number}')
    write(root / "flickr_annotations_30k.csv", "\r\n".join(rows))
    touch(root / "images", [name for name, _, _ in FLICKR])


def flickr_token(root: Path) -> None:
    told = [f"{name}#{place}\t{text}" for name, _, texts in FLICKR for place, text in enumerate(texts)]
    write(root / "results_20130124.token", "\n".join([*told, "99.jpg#0\tin no split"]))
    for name, split, _ in FLICKR:
        write(root / f"karpathy/{split}.txt", name if split != "val" else name.removesuffix(".jpg") + "\r\n")
    touch(root / "flickr30k-images", [name for name, _, _ in FLICKR])


# -- AudioCaps, Clotho -------------------------------------------------------------------------------------------------

HEADER = "audiocap_id,youtube_id,start_time,caption"
DASHED, PLAIN = "-0Gj8-vB1q4", "7fmOlUlwoNg"  # ids may begin with a dash


def audiocaps_rows() -> dict[str, list[str]]:
    """The rows of a clip don't stand together; one has a comma in its caption."""
    test = []
    for place in range(5):
        test += [f"{100 + place},{DASHED},30,Dashed {place}", f'{200 + place},{PLAIN},20,"Plain, {place}"']
    rows = {"train": [f"1,{'t' * 11},0,Train 0"], "val": [f"{place},{'v' * 11},130,Val {place}" for place in range(5)]}
    rows["test"] = test
    return rows


def lowered(row: str) -> str:
    """As v2 has it: the caption alone in lower case."""
    *ids, caption = row.split(",", 3)
    return ",".join([*ids, caption.lower()])


AUDIOCAPS = {
    "train": {"t" * 11: ["Train 0"]},
    "validation": {"v" * 11: [f"Val {place}" for place in range(5)]},
    "test": {DASHED: [f"Dashed {place}" for place in range(5)], PLAIN: [f"Plain, {place}" for place in range(5)]},
}


def audiocaps(root: Path) -> None:
    for part, rows in audiocaps_rows().items():
        write(root / f"{part}.csv", "\r\n".join([HEADER, *rows]))  # no newline at the end
    touch(root / "train", ["t" * 11 + ".wav"])
    touch(root / "val", [f"Y{'v' * 11}.wav"])
    touch(root / "test", [f"{DASHED}.wav", f"Y{PLAIN}.flac"])


def audiocaps_repository(root: Path) -> None:
    for part, rows in audiocaps_rows().items():
        write(root / f"dataset/{part}.csv", "\n".join([HEADER, *rows, ""]))
        write(root / f"dataset2.0/{part}.csv", "\n".join([HEADER, *map(lowered, rows)]))
    touch(root / "audio", [f"{'t' * 11}_0.flac", f"{'v' * 11}_130000.wav", f"{DASHED}_30.flac", "203.wav"])


CLOTHO_TEXTS = 'one,"two, with a comma",three,four,five'
ODD = (" Ambience Birds.wav", "Rock &amp; Roll &#39;live&#39;.wav", "Breaking Glass .wav", "twice.wav")


def clotho(root: Path, csvs: str = "", sounds: str = "") -> None:
    header = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5"
    for part, newline in (("development", "\r\n"), ("validation", "\r\n"), ("evaluation", "\n")):
        names = ODD if part == "development" else ("twice.wav", f"{part}.wav")
        rows = [header, *(f"{name},{CLOTHO_TEXTS}" for name in names), ""]
        write(root / csvs / f"clotho_captions_{part}.csv", newline.join(rows))
        touch(root / sounds / part, names)


CLOTHO = {
    split: {f"{part}/{name}": ["one", "two, with a comma", "three", "four", "five"] for name in names}
    for split, part, names in (
        ("train", "development", ODD),
        ("validation", "validation", ("twice.wav", "validation.wav")),
        ("test", "evaluation", ("twice.wav", "evaluation.wav")),
    )
}

# -- MSR-VTT, MSVD -----------------------------------------------------------------------------------------------------

# Sixteen videos: 0–9 full train, 10 and 11 full validation, 12–15 full test; 1k-A's test is 13 and 15.
VIDEOS = [f"video{number}" for number in range(16)]
PART = {video: "train" if place < 10 else "validate" if place < 12 else "test" for place, video in enumerate(VIDEOS)}
SPLIT_OF = {"train": "train", "validate": "validation", "test": "test"}
ASKED = {"video15": "a cat, and a dog", "video13": "a cat"}
VTT = {video: [f"{video} {place}" for place in range(19 if video == "video3" else 20)] for video in VIDEOS}
FULL = {
    split: {video: VTT[video] for video in VIDEOS if SPLIT_OF[PART[video]] == split}
    for split in ("train", "validation", "test")
}


def sentences(videos: Iterable[str]) -> list[dict[str, Any]]:
    """Of all videos in turn: a video's captions don't stand together."""
    turns = [(place, video) for place in range(20) for video in videos if place < len(VTT[video])]
    return [{"caption": VTT[video][place], "video_id": video, "sen_id": place} for place, video in turns]


def data(videos: Iterable[str]) -> dict[str, Any]:
    told = [{"video_id": video, "split": PART[video], "category": 9} for video in videos]
    return {"info": {}, "videos": told, "sentences": sentences(videos)}


def jsfusion(path: Path, semicolons: bool = False) -> None:
    rows = ["key,vid_key,video_id,sentence".replace(",", ";" if semicolons else ",")]
    for number, (video, text) in enumerate(ASKED.items()):
        cells = [f"ret{number}", video.replace("video", "msr"), video]
        rows.append(";".join([*cells, text]) if semicolons else ",".join([*cells, f'"{text}"']))
    write(path, "\n".join(rows))


def clip4clip(root: Path) -> None:
    write_json(root / "MSRVTT_data.json", data(VIDEOS))
    jsfusion(root / "MSRVTT_JSFUSION_test.csv", semicolons=True)
    write(root / "MSRVTT_train.9k.csv", "\n".join(["video_id", *(v for v in VIDEOS if v not in ASKED)]))
    write(root / "MSRVTT_train.7k.csv", "\n".join(["video_id", *(v for v in VIDEOS if PART[v] != "test"), ""]))
    touch(root / "MSRVTT_Videos", [f"{video}.mp4" for video in VIDEOS])


def frozen(root: Path) -> None:
    annotations = [{"image_id": each["video_id"], "caption": each["caption"]} for each in sentences(VIDEOS)]
    write_json(root / "annotation/MSR_VTT.json", {"images": [], "annotations": annotations})
    lists = root / "high-quality/structured-symlinks"
    for part, name in (("train", "train"), ("validate", "val"), ("test", "test")):
        write(lists / f"{name}_list_full.txt", "\n".join(video for video in VIDEOS if PART[video] == part))
    write(lists / "train_list_jsfusion.txt", "\n".join(video for video in VIDEOS if video not in ASKED))
    write(lists / "val_list_jsfusion.txt", "\n".join(ASKED))
    jsfusion(root / "MSRVTT_JSFUSION_test.csv")
    touch(root / "videos/all", [f"{video}.mp4" for video in VIDEOS])


def official(root: Path) -> None:
    for name, inside in (("train_val", ("train", "validate")), ("test", ("test",))):
        write_json(root / f"{name}_videodatainfo.json", data([video for video in VIDEOS if PART[video] in inside]))
    jsfusion(root / "MSRVTT_JSFUSION_test.csv")
    touch(root / "TrainValVideo", [f"{video}.mp4" for video in VIDEOS if PART[video] != "test"])
    touch(root / "TestVideo", [f"{video}.mp4" for video in VIDEOS if PART[video] == "test"])


MSVD_NAMES = {"train": "mv89psg6zh4_33_46", "validation": "-4wsuPCjDBc_5_15", "test": "_O9kWD8nuRU_75_83"}
MSVD = {split: {name: [f"a {split} is shown {n}" for n in range(41)]} for split, name in MSVD_NAMES.items()}
MSVD_TEXTS = {name: texts for each in MSVD.values() for name, texts in each.items()}


def msvd_lists(root: Path) -> None:
    for split, name in MSVD_NAMES.items():
        write(root / f"{split.replace('idation', '')}_list.txt", name)
    touch(root / "YouTubeClips", [f"{name}.avi" for name in MSVD_NAMES.values()])


def msvd_pickle(root: Path) -> None:
    import pickle

    words = {name: [text.split() for text in texts] for name, texts in MSVD_TEXTS.items()}
    write(root / "raw-captions.pkl", pickle.dumps(words))
    msvd_lists(root)


def msvd_lines(root: Path) -> None:
    rows = [f"{name} {texts[place]}" for place in range(41) for name, texts in MSVD_TEXTS.items()]
    write(root / "AllVideoDescriptions.txt", "\n".join(["# a head", "#", *rows]))
    msvd_lists(root)


def msvd_csv(root: Path) -> None:
    rows = ["VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description"]
    for name, texts in MSVD_TEXTS.items():
        video, start, end = name.rsplit("_", 2)
        rows += [f'{video},{start},{end},1,clean,9,English,"{text}"' for text in texts]
        rows.append(f"{video},{start},{end},1,clean,9,German,ein Film")
    write(root / "MSR Video Description Corpus.csv", "\r\n".join(rows))
    numbers = {"train": 7, "validation": 1201, "test": 1970}
    write(root / "youtube_mapping.txt", "\n".join(f"{MSVD_NAMES[split]} vid{n}" for split, n in numbers.items()))
    touch(root / "YouTubeClips", [f"vid{number}.avi" for number in numbers.values()])


# -- all of them -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Copy:
    """One dataset in one layout, and what must be read from it."""

    kind: type[Recorded]
    build: Callable[[Path], None]
    told: str  # in the name of the layout
    holds: Mapping[str, Mapping[str, list[str]]]  # split → item → captions
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def at(self, root: Path) -> Recorded:
        return self.kind(kinds("datasets")[self.kind.name].settings(**self.arguments), root)


def of(images: Iterable[tuple[str, str, list[str]]], first: int | None = 5) -> dict[str, dict[str, list[str]]]:
    where = {"train": "train", "restval": "train", "val": "validation", "test": "test"}
    found: dict[str, dict[str, list[str]]] = {"train": {}, "validation": {}, "test": {}}
    for name, split, captions in images:
        kept = captions if where[split] == "train" else captions[:first]
        found[where[split]][name] = [caption.strip() for caption in kept]
    return found


LOWER = {
    split: {name: [text.lower() for text in texts] for name, texts in each.items()} for split, each in AUDIOCAPS.items()
}
OFFICIAL_COCO = {
    "train": {coco_name(1, "train2014"): [f"1 {place}" for place in range(5)]},
    "validation": {coco_name(n): [f"{n} {place}" for place in range(5)] for n in (4, 3)},
}
ONLY_ASKED = {"test": {video: [text] for video, text in ASKED.items()}}
COPIES = {
    "coco": Copy(Coco, coco, "Karpathy", of(COCO)),
    "coco-all": Copy(Coco, coco, "Karpathy", of(COCO, None), {"captions": "all"}),
    "coco-official": Copy(Coco, coco_official, "official", OFFICIAL_COCO),
    "flickr30k": Copy(Flickr30k, flickr, "Karpathy (dataset_flickr30k.json)", of(FLICKR)),
    "flickr30k-csv": Copy(Flickr30k, flickr_csv, "Karpathy (flickr_annotations_30k.csv)", of(FLICKR)),
    "flickr30k-token": Copy(Flickr30k, flickr_token, "results_20130124.token", of(FLICKR)),
    "audiocaps": Copy(AudioCaps, audiocaps, "v1", AUDIOCAPS),
    "audiocaps-repository": Copy(AudioCaps, audiocaps_repository, "v1 (dataset/", AUDIOCAPS),
    "audiocaps-v2": Copy(AudioCaps, audiocaps_repository, "v2 (dataset2.0/", LOWER, {"version": "v2"}),
    "clotho": Copy(Clotho, clotho, "v2.1", CLOTHO),
    "clotho-apart": Copy(
        Clotho, lambda root: clotho(root, "clotho_csv_files", "clotho_audio_files"), "clotho_csv_files/", CLOTHO
    ),
    "msrvtt-clip4clip": Copy(MsrVtt, clip4clip, "MSRVTT_JSFUSION_test.csv", ONLY_ASKED),
    "msrvtt-clip4clip-full": Copy(MsrVtt, clip4clip, "CLIP4Clip", FULL, {"protocol": "full"}),
    "msrvtt-frozen": Copy(MsrVtt, frozen, "MSRVTT_JSFUSION_test.csv", ONLY_ASKED),
    "msrvtt-frozen-full": Copy(MsrVtt, frozen, "Frozen in Time", FULL, {"protocol": "full"}),
    "msrvtt-official": Copy(MsrVtt, official, "MSRVTT_JSFUSION_test.csv", ONLY_ASKED),
    "msrvtt-official-full": Copy(MsrVtt, official, "official", FULL, {"protocol": "full"}),
    "msvd-pickle": Copy(Msvd, msvd_pickle, "raw-captions.pkl", MSVD),
    "msvd-lines": Copy(Msvd, msvd_lines, "AllVideoDescriptions.txt", MSVD),
    "msvd-csv": Copy(Msvd, msvd_csv, "MSR Video Description Corpus.csv, youtube_mapping.txt", MSVD),
}
