"""At equal recall: the fastest setting that finds enough is chosen on half of the items and judged on the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import FIRST

from harness.contract.retriever import Ranking
from harness.machine import files
from harness.report import equal_recall, equal_recall_plot
from harness.results import rows as results
from harness.score.statistics import ratio_interval
from harness.store import record
from harness.store.run_folder import RunFolder, cell_name

TASK = "sounds/test/text-audio"
ITEMS, EACH = 400, 5


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    item = np.repeat(np.arange(ITEMS), EACH)
    page = {"digest": "these", "positives": item[:, None].tolist(), "cluster": item.tolist()}
    files.write(made.task_path(TASK), files.pack_json({**page, "candidates": {"names": list(map(str, range(ITEMS)))}}))
    return made


def add(
    folder: RunFolder,
    retriever: str,
    right: np.ndarray,
    rate: float,
    session: str = "monday",
    noisy: bool = False,
    **config: Any,
) -> None:
    """Right bool [queries]: whether each query's first answer is; rates differ a little from round to round."""
    item = np.repeat(np.arange(ITEMS), EACH)
    ids = np.where(right, item, (item + 1) % ITEMS)[:, None]
    name = cell_name(TASK, retriever, 0)
    found: Any = record.load(FIRST)
    found |= {"task": TASK, "retriever": retriever, "seed": 0, "paradigm": "dual-tower"}
    found["config"] = {**found["config"], "retriever": {"kind": "dual_tower", "index": "HNSW", **config}}
    found["data"] |= {"digest": "these", "items": ITEMS, "queries": len(item)}
    found["speed"] |= {"session": session, "noise": {"noisy": noisy, "others": 0.6}}
    found["metrics"] = {"hit@1": {"value": float(right.mean()), "low": 0.0, "high": 1.0}}
    rounds = (rate * np.array([0.98, 0.99, 1.0, 1.01, 1.02])).tolist()
    found["speed"]["offline"]["qps"] = {"median": rate, "q25": rounds[1], "q75": rounds[3], "rounds": rounds}
    ranking = Ranking(ids, np.ones(ids.shape, np.float32))
    found["rankings"] = folder.write_ranking(name, ranking, np.arange(len(item)))
    record.save(folder.record_path(name), found)


def contest(folder: RunFolder) -> list[equal_recall.Family]:
    """Exact search finds half; settings of another find 80, 93 and 100 % of these, each slower than the last."""
    rng = np.random.default_rng(0)
    exact = rng.random(ITEMS * EACH) < 0.5
    add(folder, "exact", exact, 100, index="exact")
    for number, (share, rate) in enumerate(((0.80, 4000), (0.93, 2000), (1.0, 50))):
        add(folder, f"hnsw@efSearch={2**number}", exact & (rng.random(len(exact)) < share), rate)
    (members,) = equal_recall.families(folder, results.rows(folder, folder.records())).values()
    return members


def test_the_fastest_that_finds_enough(folder: RunFolder) -> None:
    (family,) = contest(folder)
    chosen = {target: family.fastest(target) for target in (0.7, 0.9, 0.95, 0.99)}
    names = {target: setting.name for target, setting in chosen.items() if setting}
    assert names == {0.7: "efSearch=1", 0.9: "efSearch=2", 0.95: "efSearch=4", 0.99: "efSearch=4"}
    quick = chosen[0.9]
    assert quick is not None and np.exp(quick.logs[0]) == pytest.approx(20)
    assert quick.other.low < 0.93 < quick.other.high
    assert family.fastest(1.01) is None


def test_it_is_chosen_on_other_items_than_it_is_reported_on(folder: RunFolder) -> None:
    """One setting that is right on exactly the half that is chosen on: chosen, and found out on the other."""
    exact = np.ones(ITEMS * EACH, bool)
    add(folder, "exact", exact, 100, index="exact")
    seen = np.repeat(np.random.default_rng(0).permutation(ITEMS) % 2 == 0, EACH)
    add(folder, "lucky@ef=1", seen, 200)
    add(folder, "lucky@ef=2", exact, 150)
    ((family,),) = equal_recall.families(folder, results.rows(folder, folder.records())).values()
    best = family.fastest(0.99)
    assert best is not None and best.name == "ef=1" and best.seen == 1.0
    assert best.other.value == 0.0, "nothing of the other half"


def test_the_table_names_the_setting_and_who_never_finds_enough(folder: RunFolder) -> None:
    members = contest(folder)
    page = equal_recall.markdown({TASK: members})
    lines = [each for each in page.splitlines() if each.startswith("| hnsw")]
    assert len(lines) == 3 and "efSearch=2" in lines[0] and "20 [" in lines[0] and "efSearch=4" in lines[2]
    poor = equal_recall.Family(TASK, "poor", "generative", members[0].settings[:1], members[0].exact)
    page = equal_recall.markdown({TASK: [poor]})
    assert page.count("at most 7") + page.count("at most 8") == 3 and page.count("| – |") == 3


def families(folder: RunFolder) -> dict[str, list[equal_recall.Family]]:
    return equal_recall.families(folder, results.rows(folder, folder.records()))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ({"session": "tuesday"}, "- rates come from 2 sessions (monday, tuesday): don't compare them with each other."),
        ({"noisy": True}, "- INVALID: noise (hnsw@ef=1): other processes took 60 % of the machine"),
    ],
)
def test_a_setting_whose_rate_does_not_compare_is_not_chosen(folder: RunFolder, harm: Any, reason: str) -> None:
    right = np.ones(ITEMS * EACH, bool)
    add(folder, "exact", right, 100, index="exact")
    add(folder, "hnsw@ef=1", right, 4000, **harm)
    add(folder, "hnsw@ef=2", right, 200)
    found = families(folder)
    best = found[TASK][0].fastest(0.99)
    assert best is not None and best.name == "ef=2"
    page = equal_recall.markdown(found)
    assert "- not compared with exact search: hnsw@ef=1.\n" in page and reason in page
    add(folder, "hnsw@ef=2", right, 200, **harm)
    page = equal_recall.markdown(families(folder))
    assert page.count("| – |  |  | not compared |") == 3 and "- not compared with exact search: all." in page


def test_without_valid_rates_of_exact_search_nothing_is_compared(folder: RunFolder, tmp_path: Path) -> None:
    right = np.ones(ITEMS * EACH, bool)
    add(folder, "exact", right, 100, index="exact", noisy=True)
    add(folder, "hnsw@ef=1", right, 4000)
    found = families(folder)
    assert found[TASK][0].fastest(0.9) is None
    assert "INVALID: noise (exact)" in equal_recall.markdown(found)
    assert equal_recall_plot.recall_against_speedup(found, tmp_path) == []


def test_without_settings_or_exact_search_there_is_no_such_table(folder: RunFolder) -> None:
    right = np.ones(ITEMS * EACH, bool)
    add(folder, "hnsw@ef=1", right, 10)
    assert equal_recall.families(folder, results.rows(folder, folder.records())) == {}
    add(folder, "exact", right, 10, index="exact")
    assert list(equal_recall.families(folder, results.rows(folder, folder.records()))) == [TASK]


def test_the_plot_is_written(folder: RunFolder, tmp_path: Path) -> None:
    written = equal_recall_plot.recall_against_speedup({TASK: contest(folder)}, tmp_path)
    assert {path.suffix for path in written} == {".svg", ".png"} and "hnsw" in written[0].read_text()


def test_the_interval_of_a_share_covers_it() -> None:
    """Clusters of five whose queries go together; one retriever finds 90 % of what another one finds."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        easy = rng.random(200).repeat(5)
        one = (rng.random(1000) < easy).astype(float)
        other = one * (rng.random(1000) < 0.9)
        found = ratio_interval(other, one, np.repeat(np.arange(200), 5))
        covered += found.low <= 0.9 <= found.high
    assert 183 <= covered <= 199
    assert np.isnan(ratio_interval(np.zeros(5), np.zeros(5), np.arange(5)).value)
