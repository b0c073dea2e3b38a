"""A task shuffles its gallery and still knows who belongs to whom; controls stand where they must."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from kit import Kit

from baselines.controls import Constant, Oracle, Random
from harness.contest.task import Task, open_task, write_page
from harness.contract.dataset import Contents, Split
from harness.contract.settings import Settings
from harness.machine import files
from harness.score import scoring

ITEMS = 600
KS = (1, 5, 10)


class Numbers:
    """Items are numbers, and their captions say which: one for each, and more for some at odd places."""

    name, modality, generated, digest = "numbers", "audio", False, "numbers"

    def __init__(self, items: int = ITEMS, captions: int = 1500) -> None:
        self.owner = np.concatenate([np.arange(items), np.random.default_rng(0).integers(0, items, captions - items)])
        self.items = items

    def split(self, name: str) -> Split:
        items = Contents("audio", lambda place: place, np.arange(self.items), "items")
        captions = Contents("text", lambda place: f"number {self.owner[place]}", np.arange(len(self.owner)), "captions")
        return Split(name, items, [f"n{item}" for item in range(self.items)], captions, self.owner, dropped=("n7777",))


@pytest.fixture(scope="module", params=["text-audio", "audio-text"])
def task(request: pytest.FixtureRequest) -> Task:
    return open_task(f"numbers/test/{request.param}", Numbers(), "test", request.param)


def number(thing: object) -> int:
    return int(thing.split()[1]) if isinstance(thing, str) else int(str(thing))


def test_links_are_right_after_the_shuffle(task):
    for query in range(len(task.queries)):
        assert task.links.counts[query] >= 1
        for target in task.links.of(query).tolist():
            assert number(task.gallery[target]) == number(task.queries[query])
    assert task.links.counts.sum() == 1500


def test_the_gallery_is_shuffled_and_whole(task):
    places = task.gallery.positions
    assert sorted(places.tolist()) == list(range(task.items))
    assert np.abs(np.corrcoef(places, np.arange(task.items))[0, 1]) < 0.2


def test_names_follow_their_candidates(task):
    assert len(set(task.candidate_names)) == task.items
    assert len(set(task.query_names)) == len(task.queries)
    for names, things in ((task.candidate_names, task.gallery), (task.query_names, task.queries)):
        for name, thing in list(zip(names, things, strict=True))[:200]:
            assert name.split("#")[0] == f"n{number(thing)}"


def test_the_cluster_of_a_query_is_its_item(task):
    assert task.cluster.tolist() == [number(query) for query in task.queries]


def test_opened_again_it_is_the_same_and_another_name_shuffles_otherwise(task):
    direction = task.name.rpartition("/")[2]
    again = open_task(task.name, Numbers(), "test", direction)
    other = open_task("another/name", Numbers(), "test", direction)
    assert again.digest == task.digest
    assert np.array_equal(again.gallery.positions, task.gallery.positions)
    assert other.digest != task.digest
    assert not np.array_equal(other.gallery.positions, task.gallery.positions)


def test_its_page_holds_all_that_a_report_needs(task, tmp_path):
    write_page(tmp_path / "task.json.gz", task)
    page = files.unpack_json((tmp_path / "task.json.gz").read_bytes())
    assert page["digest"] == task.digest
    assert page["dropped"] == ["n7777"]
    assert len(page["positives"]) == len(page["queries"]["names"]) == len(page["cluster"]) == len(task.queries)
    assert page["positives"][3] == task.links.of(3).tolist()
    assert page["candidates"]["names"] == list(task.candidate_names)
    assert (page["queries"]["texts"] is None) == (task.queries.modality != "text")


def test_the_ceiling_is_known_where_captions_have_a_meaning(tiny: Callable[[str], Kit]):
    dataset = tiny("audio").dataset
    assert 0.5 < (open_task("t", dataset, "test", "text-audio").ceiling or 0) <= 1.0
    assert open_task("t", dataset, "test", "audio-text").ceiling is None
    assert open_task("t", Numbers(), "test", "text-audio").ceiling is None


def measured(control: Constant | Random | Oracle, task: Task) -> dict[str, float]:
    control.index(task.gallery)
    if isinstance(control, Oracle):
        control.peek(task.links)
    ids = control.search(task.queries, 10).ids
    found = scoring.score(ids, task.links, task.cluster, KS, task.items)
    return {name: float(metric["value"] or 0) for name, metric in found.items() if name.startswith("hit@")}


@pytest.mark.parametrize("control", [Constant(Settings()), Random(Settings(), seed=0)])
def test_controls_are_at_chance(task, control):
    expected = scoring.chance(task.links, KS, task.items)
    found = measured(control, task)
    for name, odds in expected.items():
        spread = 5 * np.sqrt(odds * (1 - odds) / min(task.items, len(task.queries)))
        assert found[name] == pytest.approx(odds, abs=spread)


def test_the_oracle_is_always_right(task):
    assert measured(Oracle(Settings()), task) == {"hit@1": 1.0, "hit@5": 1.0, "hit@10": 1.0}


def test_chance_is_what_a_random_order_finds_on_average(task):
    odds = scoring.chance(task.links, KS, task.items)
    rounds = [measured(Random(Settings(), seed=seed), task)["hit@10"] for seed in range(20)]
    assert np.mean(rounds) == pytest.approx(odds["hit@10"], abs=5 * np.std(rounds) / np.sqrt(20))
