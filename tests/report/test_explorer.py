"""The explorer's data: answers beside each other, from the run's folder alone."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from folders import TASK, add
from harm import flip

from harness.machine import files
from harness.report.explorer import Room, explorer
from harness.results.rows import rows
from harness.store.run_folder import RunFolder, cell_name

PAGE = {
    "digest": "these",
    "modality": "audio",
    "positives": [[0], [1], [2], [3]],
    "cluster": [0, 1, 2, 3],
    "queries": {"names": ["a#0", "b#0", "c#0", "d#0"], "texts": ["rain", "<b>", "a bell", "wind"]},
    "candidates": {"names": ["a", "b", "c", "d"], "texts": None},
}


def made(folder: RunFolder, room: Room | None = None) -> dict[str, Any]:
    files.write(folder.task_path(TASK), files.pack_json(PAGE))
    add(folder, retriever="dual", answers=[0, 1, 3, 2])
    add(folder, retriever="twin", answers=[0, 1, 3, 2])  # the same answers: shown once
    add(folder, retriever="cart", answers=[0, 2, 2, 3], paradigm="generative")
    add(folder, retriever="random", paradigm="control", config={"retriever": {"kind": "random"}})
    found = explorer(folder, TASK, rows(folder, folder.records()), room or Room())
    assert found is not None
    return found


def test_contestants_stand_beside_each_other_and_controls_do_not(tmp_path: Path) -> None:
    found = made(RunFolder(tmp_path))
    assert [each["name"] for each in found["retrievers"]] == ["cart", "dual"]
    assert found["retrievers"][0]["ids"] == [[0, 1], [2, 3], [2, 3], [3, 0]]
    assert found["retrievers"][0]["scores"][0] == [1.0, 0.5]
    assert [each["text"] for each in found["queries"]] == PAGE["queries"]["texts"]  # type: ignore[index]
    assert [each["right"] for each in found["queries"]] == PAGE["positives"]
    assert found["candidates"]["2"] == {"name": "c", "text": None, "medium": None}
    assert (found["shown"], found["all"], found["media"]) == (4, 4, [])


def test_media_go_into_the_page_while_there_is_room(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    kept = {"shown": [1, 3], "queries": {}, "candidates": {str(place): f"x/{place}" for place in range(4)}}
    files.write_json(folder.media_path(TASK), kept)
    for place in range(4):
        files.write(tmp_path / f"media/x/{place}.webp", bytes([place]) * 10)
        files.write(tmp_path / f"media/x/{place}.ogg", bytes([place]) * 100)
    found = made(folder, Room(thumbnails=1000, clips=250))
    assert [each["id"] for each in found["queries"]] == [1, 3]
    clips = [each["clip"] for each in found["media"]]
    assert [clip.startswith("data:audio/ogg;base64,") for clip in clips] == [True, True, False, False]
    assert clips[2].startswith("media/x/") and all(each["thumb"].startswith("data:") for each in found["media"])
    first = found["media"][found["candidates"]["1"]["medium"]]
    assert base64.b64decode(first["clip"].partition(",")[2]) == bytes([1]) * 100
    json.dumps(found)


def test_a_missing_file_is_no_medium(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    files.write_json(folder.media_path(TASK), {"shown": [0], "queries": {}, "candidates": {"0": "x/0"}})
    medium = made(folder)["media"][0]
    assert medium["thumb"] is None and medium["clip"] is None


def test_paths_of_generated_identifiers(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    identifiers = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    odds = np.array([[[0.5, 0.25], [0.5, 0.75]]] * 2)
    folder.write_odds(cell_name(TASK, "cart", 0), np.array([1, 3]), odds, identifiers)
    cart = made(folder)["retrievers"][0]
    assert [each is None for each in cart["paths"]] == [True, False, True, False]
    assert cart["paths"][1] == [{"tokens": [1, 0], "odds": [0.5, 0.25]}, {"tokens": [1, 1], "odds": [0.5, 0.75]}]
    assert cart["right_tokens"] == identifiers.tolist()


def test_of_damaged_odds_no_path_is_shown(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    name = cell_name(TASK, "cart", 0)
    folder.write_odds(name, np.array([1]), np.ones((1, 2, 2)), np.zeros((4, 2), int))
    flip(folder.odds_path(name))
    assert made(folder)["retrievers"][0]["paths"] is None


def test_a_query_that_was_not_asked_has_no_answer(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    made(folder)
    ranking = folder.read_ranking(cell_name(TASK, "cart", 0))
    found_rows = rows(folder, folder.records())
    from harness.contract.retriever import Ranking

    folder.write_ranking(cell_name(TASK, "cart", 0), Ranking(ranking[0][:2], ranking[1][:2]), np.array([1, 2]))
    found = explorer(folder, TASK, found_rows, Room())
    assert found is not None
    cart = next(each for each in found["retrievers"] if each["name"] == "cart")
    assert cart["ids"] == [None, [0, 1], [2, 3], None] == [ids and list(ids) for ids in cart["ids"]]
    assert cart["scores"][0] is None and cart["scores"][1] == [1.0, 0.5]
