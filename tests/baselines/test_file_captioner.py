"""Captions from a file: who is who, what is wrong with a file, and what the audit finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import Kit
from links import single

from baselines.captioners.file import FileCaptioner, read
from baselines.captioners.settings import FileCaptionerSettings
from harness.contest.asking import in_memory
from harness.contest.builder import Builder
from harness.contest.task import open_task
from harness.contract.dataset import Contents, Pairs, Split, Unavailable, texts
from harness.contract.problems import BadInput, SuiteError
from harness.data.audit import audit
from harness.store.artifacts import Store
from harness.suite import Suite, load


def things(names: list[str]) -> Contents:
    return Contents("audio", str, np.arange(len(names)), "some sounds", names.__getitem__)


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def fitted(path: Path, samples: int | None = None) -> FileCaptioner:
    captioner = FileCaptioner(FileCaptionerSettings(path=path, samples=samples))
    captioner.fit(Pairs.empty("text", "audio"), Pairs.empty("text", "audio"))
    return captioner


# -- names ----------------------------------------------------------------------------------------------------------


def test_names_follow_shuffles_slices_and_memory(tiny: Callable[[str], Kit]) -> None:
    task = open_task("soundscapes/test/text-audio", tiny("audio").dataset, "test", "text-audio")
    assert task.gallery.names == list(task.candidate_names)
    assert task.gallery[3:5].names == list(task.candidate_names[3:5])
    assert in_memory(task.gallery[np.array([7, 2])]).names == [task.candidate_names[7], task.candidate_names[2]]


def test_names_are_those_of_items_wherever_their_source_keeps_them() -> None:
    items = Contents("audio", str, np.array([8, 3]), "some sounds")
    split = Split("test", items, ["eight", "three"], texts(["a", "b"]), np.array([0, 1]))
    assert split.pairs("text-audio").candidates[::-1].names == ["three", "eight"]
    assert split.pairs("audio-text").queries.names == ["eight", "three"]
    assert split.pairs("text-audio").candidates.digest == items.digest  # names are no part of it
    assert items.names is None


# -- files ----------------------------------------------------------------------------------------------------------


def test_captions_come_to_who_they_are_of(tmp_path: Path, messages: list[str]) -> None:
    path = written(
        tmp_path / "captions.jsonl",
        {"item": "b", "captions": ["second", "another"]},
        {"item": "a", "caption": "first"},
        {"item": "never asked for", "caption": "x"},
        {"item": "a", "caption": "more of it", "score": 0.5},
    )
    gallery = things(["a", "b"])
    assert fitted(path).describe(gallery[::-1]) == [["second", "another"], ["first", "more of it"]]
    assert fitted(path, samples=1).describe(gallery) == [["first"], ["second"]]
    assert "1 items are not asked for: 'never asked for'" in messages[0]
    captioner = fitted(path)
    captioner.save(tmp_path)
    again = FileCaptioner(FileCaptionerSettings(path=path))
    again.load(tmp_path)
    assert again.describe(gallery) == captioner.describe(gallery)


def test_candidates_without_captions_are_counted_and_named(tmp_path: Path) -> None:
    path = written(tmp_path / "captions.jsonl", {"item": "b", "caption": "second"})
    with pytest.raises(BadInput, match=r"no captions for 4 of 5 candidates: 'a', 'c', 'd' and 1 more"):
        fitted(path).describe(things(["a", "b", "c", "d", "e"]))


def test_contents_without_names_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "captions.jsonl", {"item": "a", "caption": "first"})
    with pytest.raises(BadInput, match="go by the names"):
        fitted(path).describe(Contents("audio", str, np.arange(2), "some sounds"))


def test_a_file_that_changes_during_a_run_is_noticed(tmp_path: Path) -> None:
    captioner = fitted(written(tmp_path / "captions.jsonl", {"item": "a", "caption": "first"}))
    written(captioner.path, {"item": "a", "caption": "other"})
    with pytest.raises(BadInput, match="no longer what it was"):
        captioner.describe(things(["a"]))


GOOD = b'{"item": "a", "caption": "first"}\n'


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (b"{'item': 'b'}", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"item": "b", "caption": "caf\xe9"}', "byte 0xe9 is not UTF-8"),
        (b'["b", "text"]', "a JSON list; expected an object"),
        (b'{"item": "b", "caption": "x", "caption": "y"}', "a key twice in one object"),
        (b'{"caption": "text"}', "item is missing"),
        (b'{"item": 7, "caption": "text"}', "item is a number"),
        (b'{"item": "b"}', "'b' has neither captions and caption"),
        (b'{"item": "b", "caption": "x", "captions": ["y"]}', "'b' has both captions and caption"),
        (b'{"item": "b", "captions": "text"}', "captions of 'b' is 'text'; expected a list"),
        (b'{"item": "b", "captions": []}', "captions of 'b' is an empty list"),
        (b'{"item": "b", "captions": ["x", null]}', "a caption of 'b' is null"),
        (b'{"item": "b", "caption": " "}', "a caption of 'b' is an empty text"),
        (b'{"item": "b", "caption": "\\ud800"}', "a caption of 'b' is"),
        (b'{"item": "a", "captions": ["x"]}', "'a' was there already, on line 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path: Path, row: bytes, told: str) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_bytes(GOOD + b"\n" + row + b"\n")
    with pytest.raises(SuiteError) as error:
        fitted(path)
    assert f"{path}:3: " in str(error.value) and told in str(error.value)


def test_all_that_is_wrong_comes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + b"x\n{}\n")
    with pytest.raises(SuiteError) as error:
        fitted(path)
    assert [problem.line for problem in error.value.problems] == [2, 3]


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(SuiteError, match="no captions in it"):
        read(tmp_path / "empty.jsonl")
    with pytest.raises(Unavailable, match=r"none\.jsonl can't be read \(No such file.*expected a file with a row"):
        fitted(tmp_path / "none.jsonl")


# -- the audit ------------------------------------------------------------------------------------------------------


def test_the_audit_counts_what_equals_real_captions() -> None:
    real = ["A dog barks", "rain", "rain"]
    links = single(np.array([0, 1, 2]))
    captions = [["a  dog\tBARKS", "rain", "a cat"], ["wind"], ["rain", "Rain", "a dog barks "]]
    found = audit(captions, real, links)
    assert found == (7, 5, 3, 2)  # captions, equal to any, to their own candidate's, candidates
    assert "3 of 7 captions (42.9 %)" in str(found)
    assert audit([], [], single(np.empty(0, np.int64))) == (0, 0, 0, 0)


# -- in a suite -----------------------------------------------------------------------------------------------------


def loaded(folder: Path) -> Suite:
    path = folder / "suite.yaml"
    path.write_text(
        "name: one\nk: [1]\nseeds: [0]\nscenarios: {offline: {}}\n"
        "encoders: {small: {kind: small, trained_on: sounds, steps: 1}}\n"
        "datasets: {sounds: {kind: soundscapes, train: 8, validation: 4, test: 4}}\n"
        f"tasks: [{{dataset: sounds, encoder: small, captioner: {{kind: file, path: {folder}/captions.jsonl}}}}]\n"
        "retrievers: {match: {kind: caption_match}}\n"
    )
    return load(path)


def test_a_changed_file_gives_other_captions_and_the_audit_is_said_once(tmp_path: Path, messages: list[str]) -> None:
    names = [f"soundscapes-test-{number:06d}" for number in range(4)]
    first = loaded(tmp_path).cells()[0]
    keys = [loaded(tmp_path).key(first)]
    with pytest.raises(Unavailable, match="can't be read"):
        _prepare(tmp_path, loaded(tmp_path))
    real = _task(loaded(tmp_path), tmp_path).queries[0]
    for text in (real, "something else"):
        written(tmp_path / "captions.jsonl", *({"item": name, "caption": text} for name in names))
        fresh = loaded(tmp_path)
        keys.append(fresh.key(fresh.cells()[0]))
        assert _prepare(tmp_path, fresh) == [[text]] * 4
        assert _prepare(tmp_path, loaded(tmp_path)) == [[text]] * 4
    assert len(set(keys)) == 3
    audits = [line.strip() for line in messages if "audit" in line]
    assert len(audits) == 4  # one for each builder, though both retrievers of it were audited
    assert audits[0].startswith("audit: 1 of 4 captions") and audits[2].startswith("audit: 0 of 4 captions")


def _task(one: Suite, folder: Path) -> Any:
    spec = one.tasks[0]
    dataset = Builder(Store(folder / "store"), folder).dataset(spec.dataset)
    return open_task(spec.name, dataset, spec.split, spec.direction)


def _prepare(folder: Path, one: Suite) -> list[list[str]]:
    """The captions that its captioner gives, after its retriever was made ready twice."""
    builder, cell = Builder(Store(folder / "store"), folder), one.cells()[0]
    task = _task(one, folder)
    for _ in range(2):
        builder.retriever(cell, task)
    assert cell.captioner is not None
    return builder.captioner(cell.captioner, 0).captions(task.gallery)
