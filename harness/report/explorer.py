"""The answers of a run's contestants to some queries, beside each other, with the media: the page's explorer.

From the run's folder alone. Thumbnails and short clips go into the page while there is room, the others stay in the
folder's `media/`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.results.rows import Row
from harness.score.scoring import blind
from harness.store.run_folder import RunFolder, cell_name

QUERIES, ANSWERS, RETRIEVERS = 1000, 10, 16  # at most, of a task
THUMBNAIL = ("image/webp", ".webp")
CLIPS: Mapping[str, tuple[str, str]] = {
    "image": ("image/webp", ".full"),
    "audio": ("audio/ogg", ".ogg"),
    "video": ("image/webp", ".anim"),
}


@dataclass
class Room:
    """Bytes that media may still take inside the page; what doesn't fit stays a file beside it."""

    thumbnails: int = 4_000_000
    clips: int = 4_000_000


def explorer(folder: RunFolder, task: str, rows: Sequence[Row], room: Room) -> dict[str, Any] | None:
    """Of one task; None where nobody who sees the content has answered."""
    fine = [row for row in rows if row.status == "ok" and not row.folds and not blind(row.records[0])]
    if not fine:
        return None
    page, kept = folder.read_task(task), _media(folder, task)
    count = len(page["positives"])
    queries = np.array(kept.get("shown") or _spread(count), np.int64)
    right = [page["positives"][query] for query in queries.tolist()]
    answered = [_answers(folder, task, row, queries, right) for row in _leading(_distinct(fine))[:RETRIEVERS]]
    media = _Media(folder.root / "media", page["modality"], room)
    texts = page["queries"]["texts"]
    asked = "text" if texts else page["modality"]
    wanted = dict.fromkeys(place for each in right for place in each)
    wanted |= dict.fromkeys(place for each in answered for found in each["ids"] if found for place in found)
    files_of = {name: kept.get(name, {}) for name in ("queries", "candidates")}
    return {
        "task": task,
        "query_modality": asked,
        "candidate_modality": page["modality"] if texts else "text",
        "shown": len(queries),
        "all": count,
        "queries": [
            {
                "id": query,
                "text": texts[query] if texts else None,
                "name": page["queries"]["names"][query],
                "medium": media.place(files_of["queries"].get(str(query))),
                "right": right[number],
            }
            for number, query in enumerate(queries.tolist())
        ],
        "candidates": {
            str(place): {
                "name": page["candidates"]["names"][place],
                "text": (page["candidates"].get("texts") or {place: None})[place],
                "medium": media.place(files_of["candidates"].get(str(place))),
            }
            for place in wanted
        },
        "media": media.listed,
        "retrievers": answered,
    }


def _media(folder: RunFolder, task: str) -> dict[str, Any]:
    """What the run has kept; older runs have kept nothing."""
    try:
        found = json.loads(folder.media_path(task).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _spread(count: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, min(count, QUERIES)).astype(int)).tolist()


def _leading(rows: Sequence[Row]) -> list[Row]:
    """The best of each paradigm first, the others in the suite's order: the page shows the first few."""

    def found(row: Row) -> float:
        return row.metrics["hit@1"]["value"] or 0.0 if "hit@1" in row.metrics else 0.0

    paradigms = dict.fromkeys(row.paradigm for row in rows)
    leading = [max((row for row in rows if row.paradigm == paradigm), key=found) for paradigm in paradigms]
    return [*leading, *(row for row in rows if row not in leading)]


def _distinct(rows: Iterable[Row]) -> list[Row]:
    """Those with the very same answers once, under the first one's name."""
    return list({row.records[0]["rankings"]: row for row in reversed(list(rows))}.values())[::-1]


def _answers(
    folder: RunFolder, task: str, row: Row, queries: np.ndarray, right: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Of the first seed; null where a query was not asked."""
    name = cell_name(task, row.retriever, row.seeds[0])
    ids, scores, asked = folder.read_ranking(name)
    place = np.searchsorted(asked, queries).clip(max=len(asked) - 1)
    known = asked[place] == queries
    answers = ids[place, :ANSWERS].tolist()
    listed = [
        [each for each in found if each >= 0] if there else None for found, there in zip(answers, known, strict=True)
    ]
    finite = np.nan_to_num(scores[place, :ANSWERS].astype(float), posinf=1e30, neginf=-1e30)  # JSON has no infinity
    given = [
        [round(score, 4) for score in row[: len(each)]] if each is not None else None
        for row, each in zip(finite.tolist(), listed, strict=True)
    ]
    return {
        "name": row.retriever,
        "paradigm": row.paradigm,
        "ids": listed,
        "scores": given,
        **_paths(folder.read_odds(name), queries, listed, right),
    }


def _paths(
    odds: Mapping[str, np.ndarray] | None,
    queries: np.ndarray,
    answers: Sequence[Sequence[int] | None],
    right: Sequence[Sequence[int]],
) -> dict[str, Any]:
    """Of a generative retriever: each answer's tokens and how likely each was; the right candidate's tokens."""
    if odds is None:
        return {"paths": None, "right_tokens": None}
    rows = {query: row for row, query in enumerate(odds["query"].tolist())}
    named, likely = odds["identifiers"], np.round(odds["odds"].astype(float), 3)
    paths: list[Any] = []
    for query, found in zip(queries.tolist(), answers, strict=True):
        row = rows.get(query)
        if row is None or found is None:
            paths.append(None)
            continue
        paths.append(
            [
                {"tokens": named[each].tolist(), "odds": likely[row, number].tolist()}
                for number, each in enumerate(found)
            ]
        )
    return {"paths": paths, "right_tokens": [named[each[0]].tolist() if each else None for each in right]}


class _Media:
    """Media of one explorer, each once."""

    def __init__(self, folder: Path, modality: str, room: Room) -> None:
        self.folder, self.modality, self.room = folder, modality, room
        self.listed: list[dict[str, Any]] = []
        self._places: dict[str, int] = {}

    def place(self, name: str | None) -> int | None:
        if name is None:
            return None
        if name not in self._places:
            self._places[name] = len(self.listed)
            self.listed.append(self._read(name))
        return self._places[name]

    def _read(self, name: str) -> dict[str, Any]:
        about = {"audio": "spectrogram of a sound", "video": "frame of a video", "image": "picture"}[self.modality]
        thumbnail, self.room.thumbnails = self._link(name, THUMBNAIL, self.room.thumbnails)
        clip, self.room.clips = self._link(name, CLIPS[self.modality], self.room.clips)
        return {"kind": self.modality, "thumb": thumbnail, "clip": clip, "alt": about}

    def _link(self, name: str, form: tuple[str, str], room: int) -> tuple[str | None, int]:
        """As data where there is room, else as a path from the page; and the room that is left."""
        path = self.folder / f"{name}{form[1]}"
        try:
            size = path.stat().st_size
            if size > room:
                return f"media/{name}{form[1]}", room
            return f"data:{form[0]};base64,{base64.b64encode(path.read_bytes()).decode()}", room - size
        except OSError:
            return None, room
